"""One request and its answer: endings, silence, and what is asked for again."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator

import pytest

from promptkit import Client, Prompt
from promptkit.errors import ConnectionFailed, ProviderError, ServerFailed, StreamTruncated, TimedOut
from promptkit.providers.openai import OpenAI
from promptkit.providers.scripted import Fault, Scripted
from promptkit.transport.base import Timeout
from tests.transport.servers import DONE, Connection, FaultServer, answer, ending, event, text

HI = Prompt("Hi")
SOON = 1.0  # more than any of these may take, once it is to end


async def no_sleep(_: float) -> None:
    return None


def client_of(url: str, *, attempts: int = 1, timeout: Timeout | None = None) -> Client:
    provider = OpenAI(model="m", dialect="compatible", base_url=url)
    return Client(provider=provider, attempts=attempts, timeout=timeout, sleep=no_sleep)


def streams(*pieces: str) -> Callable[[Connection], None]:
    """A script: these pieces, then a clean end."""
    return lambda connection: connection.stream(*pieces)


def drips(pieces: Iterator[str], every: float = 0.02) -> Callable[[Connection], None]:
    """A script: one piece after the other, until the client hangs up."""

    def script(connection: Connection) -> None:
        connection.stream()
        connection.drip(pieces, every)

    return script


def stalls(*pieces: str) -> Callable[[Connection], None]:
    """A script: these pieces, then silence."""

    def script(connection: Connection) -> None:
        connection.stream(*pieces)
        connection.until_left()

    return script


# Endings


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([answer("Hel", "lo")], id="an ending and the marker"),
        pytest.param([text("Hel"), text("lo"), ending()], id="an ending without the marker"),
        pytest.param([text("Hel"), ": ping\n\n", text("lo"), ending(), DONE], id="with pings between"),
        pytest.param(list(answer("Hel", "lo")), id="a byte at a time"),
        pytest.param([answer("Hel", "lo").replace("\n", "\r\n")], id="lines that end in CRLF"),
        pytest.param([answer("Hel", "lo").replace("\n", "\r")], id="lines that end in CR"),
        pytest.param([answer("Hel", "lo"), text("too late")], id="what follows the marker is not read"),
    ],
)
def test_a_complete_stream(pieces: list[str]) -> None:
    with FaultServer(streams(*pieces)) as server, client_of(server.url) as client:
        assert client.run(HI).output == "Hello"


def test_the_marker_ends_an_answer_though_the_server_stays() -> None:
    with FaultServer(stalls(answer("Hello"))) as server, client_of(server.url) as client:
        began = time.monotonic()
        assert client.run(HI).output == "Hello"
        assert time.monotonic() - began < SOON


@pytest.mark.parametrize(
    ("pieces", "partial"),
    [
        pytest.param([text("Hel"), text("lo")], "Hello", id="a clean end without an ending"),
        pytest.param([text("Hel"), text("lo"), DONE], "Hello", id="the marker without an ending"),
        pytest.param([text("Hel"), text("lo")[:-5]], "Hel", id="an end inside an event"),
        pytest.param([text("Hello"), ending().rstrip()], "Hello", id="an ending that is not complete"),
        pytest.param([DONE], "", id="the marker alone"),
        pytest.param([": ping\n\n"], "", id="a ping alone"),
        pytest.param([], "", id="nothing"),
    ],
)
def test_a_stream_that_stops_too_early(pieces: list[str], partial: str) -> None:
    with (
        FaultServer(streams(*pieces)) as server,
        client_of(server.url) as client,
        pytest.raises(StreamTruncated) as raised,
    ):
        client.run(HI)

    assert (raised.value.partial, raised.value.retryable) == (partial, True)


def test_an_error_in_the_stream_has_what_came_before() -> None:
    pieces = [text("Hel"), text("lo"), event({"error": {"message": "gone", "code": 503}})]
    with (
        FaultServer(streams(*pieces)) as server,
        client_of(server.url) as client,
        pytest.raises(ServerFailed, match="gone") as raised,
    ):
        client.run(HI)

    assert (raised.value.status, raised.value.partial) == (503, "Hello")


# Silence


def test_dripped_text_ends_with_the_total_time() -> None:
    script = drips(text(f"{number} ") for number in itertools.count())
    with FaultServer(script) as server, client_of(server.url, timeout=Timeout(read=5, total=0.3)) as client:
        began = time.monotonic()
        with pytest.raises(TimedOut, match=r"no complete answer within 0\.3 s") as raised:
            client.run(HI)
        took = time.monotonic() - began

    assert 0.3 <= took < SOON
    assert raised.value.partial.startswith("0 1 2 ")
    assert raised.value.retryable


def test_bytes_that_never_make_an_event_end_with_the_idle_time() -> None:
    script = drips(itertools.chain("data: ", itertools.repeat("x")))
    with FaultServer(script) as server, client_of(server.url, timeout=Timeout(read=0.2, total=5)) as client:
        began = time.monotonic()
        with pytest.raises(TimedOut, match=r"nothing came for 0\.2 s"):
            client.run(HI)

    assert 0.2 <= time.monotonic() - began < SOON


@pytest.mark.parametrize(
    "ping", [": ping\n\n", ":\n", "\n", "event: ping\n\n"], ids=["comment", "colon", "line", "name"]
)
def test_endless_pings_are_silence(ping: str) -> None:
    script = drips(itertools.chain([text("Hel")], itertools.repeat(ping)))
    with FaultServer(script) as server, client_of(server.url, timeout=Timeout(read=0.2, total=5)) as client:
        began = time.monotonic()
        with pytest.raises(TimedOut, match=r"nothing came for 0\.2 s") as raised:
            client.run(HI)
        took = time.monotonic() - began

    assert 0.2 <= took < SOON
    assert raised.value.partial == "Hel"


def test_a_stall_in_the_middle_is_silence() -> None:
    with (
        FaultServer(stalls(text("Hel"), text("lo"))) as server,
        client_of(server.url, timeout=Timeout(read=0.2, total=5)) as client,
    ):
        began = time.monotonic()
        with pytest.raises(TimedOut) as raised:
            client.run(HI)
        took = time.monotonic() - began

    assert 0.2 <= took < SOON
    assert raised.value.partial == "Hello"


def test_slow_text_is_no_silence() -> None:
    pieces = [*(text(f"{number} ") for number in range(8)), ending(), DONE]
    script = drips(iter(pieces), every=0.06)
    with FaultServer(script) as server, client_of(server.url, timeout=Timeout(read=0.3, total=5)) as client:
        assert client.run(HI).output == "0 1 2 3 4 5 6 7 "


def test_the_total_time_covers_all_tries_and_the_waits_between() -> None:
    script = Scripted(replies=[Fault(status=503)], repeat=True)
    with Client(
        provider=script, timeout=Timeout(total=0.3), attempts=1000, sleep=lambda _: asyncio.sleep(0.05)
    ) as client:
        began = time.monotonic()
        with pytest.raises(TimedOut, match=r"within 0\.3 s"):
            client.run(HI)

    assert 0.3 <= time.monotonic() - began < SOON
    assert len(script.requests) > 2


def test_leaving_on_time_hangs_up() -> None:
    def script(connection: Connection) -> None:
        connection.stream(text("Hel"))
        server.wait_for_leave(connection)

    server = FaultServer(script)
    with server, client_of(server.url, timeout=Timeout(read=0.1, total=5)) as client:
        with pytest.raises(TimedOut):
            client.run(HI)
        assert server.left.wait(SOON)


# Asked again


def refused(connection: Connection) -> None:
    connection.reply("503 Service Unavailable", {"error": {"message": "Loading model"}})


def broken(connection: Connection) -> None:
    connection.reset()


def broken_later(connection: Connection) -> None:
    connection.stream(text("Hel"))
    time.sleep(0.05)  # a reset discards what the client has not read yet
    connection.reset()


FAILURES = [
    pytest.param(refused, ServerFailed, "", id="refused"),
    pytest.param(broken, ConnectionFailed, "", id="broken before"),
    pytest.param(streams(), StreamTruncated, "", id="cut before any text"),
    pytest.param(streams(": ping\n\n", DONE), StreamTruncated, "", id="ended before any text"),
    pytest.param(streams(event({"error": "busy"})), ServerFailed, "", id="an error before any text"),
    pytest.param(stalls(), TimedOut, "", id="silent before any text"),
    pytest.param(broken_later, ConnectionFailed, "Hel", id="broken after text"),
    pytest.param(streams(text("Hel")), StreamTruncated, "Hel", id="cut after text"),
    pytest.param(streams(text("Hel"), event({"error": "busy"})), ServerFailed, "Hel", id="an error after text"),
    pytest.param(stalls(text("Hel")), TimedOut, "Hel", id="silent after text"),
]


@pytest.mark.parametrize(("failure", "kind", "partial"), FAILURES)
def test_a_run_asks_again_and_gives_one_whole_answer(
    failure: Callable[[Connection], None], kind: type[ProviderError], partial: str
) -> None:
    with (
        FaultServer(failure, streams(answer("Hello"))) as server,
        client_of(server.url, attempts=3, timeout=Timeout(read=0.2, total=5)) as client,
    ):
        result = client.run(HI)

    assert result.output == "Hello"
    assert len(server.requests) == 2
    assert server.requests[0].partition(b"\r\n\r\n")[2] == server.requests[1].partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(("failure", "kind", "partial"), FAILURES)
def test_a_run_that_fails_every_time_says_how(
    failure: Callable[[Connection], None], kind: type[ProviderError], partial: str
) -> None:
    with (
        FaultServer(failure) as server,
        client_of(server.url, attempts=2, timeout=Timeout(read=0.1, total=5)) as client,
        pytest.raises(kind) as raised,
    ):
        client.run(HI)

    assert type(raised.value) is kind
    assert raised.value.partial == partial
    assert len(server.requests) == 2


@pytest.mark.parametrize(("failure", "kind", "partial"), FAILURES)
def test_a_stream_is_asked_again_only_until_text_was_delivered(
    failure: Callable[[Connection], None], kind: type[ProviderError], partial: str
) -> None:
    seen: list[str] = []
    with (
        FaultServer(failure, streams(answer("Hello"))) as server,
        client_of(server.url, attempts=3, timeout=Timeout(read=0.2, total=5)) as client,
    ):
        if not partial:
            assert list(client.stream(HI)) == ["Hello"]
            assert len(server.requests) == 2
            return
        stream = client.stream(HI)
        with pytest.raises(kind) as raised:
            seen.extend(stream)

    assert seen == [partial]
    assert raised.value.partial == partial
    assert len(server.requests) == 1


def test_the_partial_text_is_of_the_last_try() -> None:
    with (
        FaultServer(streams(text("first")), streams(text("sec"), text("ond"))) as server,
        client_of(server.url, attempts=2) as client,
        pytest.raises(StreamTruncated) as raised,
    ):
        client.run(HI)

    assert raised.value.partial == "second"
