"""HTTP on real sockets: what is sent, what breaks, and that nothing is left open."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import pickle
import socket
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from promptkit import Client, Config, Prompt
from promptkit.errors import (
    AuthenticationFailed,
    ConfigError,
    ConnectionFailed,
    PromptkitError,
    ProviderError,
    RequestRejected,
    ServerFailed,
    StreamTruncated,
    TimedOut,
)
from promptkit.providers.base import HttpCall
from promptkit.providers.openai import OpenAI
from promptkit.secrets import Secret
from promptkit.transport.base import Timeout, Transports
from promptkit.transport.http import Http
from tests.transport.servers import Connection, FaultServer, again, answer, ending, event, text

HI = Prompt("Hi")
KEY = "sk-plain/7Qz4vN8w+x"


async def no_sleep(_: float) -> None:
    return None


def client_of(url: str, *, attempts: int = 1, timeout: Timeout | None = None, key: str | None = None) -> Client:
    provider = OpenAI(model="m", dialect="compatible", base_url=url, api_key=Secret(key) if key else None)
    return Client(provider=provider, attempts=attempts, timeout=timeout, sleep=no_sleep)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


# What breaks


def reset_before_any_answer(connection: Connection) -> None:
    connection.reset()


def closed_before_any_answer(connection: Connection) -> None:
    pass


def no_http(connection: Connection) -> None:
    connection.send("SSH-2.0-OpenSSH_9.6\r\n\r\n")


def closed_inside_a_body(connection: Connection) -> None:
    connection.send('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{"choices"')


def reset_inside_a_stream(connection: Connection) -> None:
    connection.stream(text("Hel"), text("lo"))
    time.sleep(0.05)  # a reset discards what the client has not read yet
    connection.reset()


def closed_inside_a_chunked_stream(connection: Connection) -> None:
    piece = text("Hello")
    connection.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    connection.send(f"{len(piece):x}\r\n{piece}\r\n")


def a_page(connection: Connection) -> None:
    connection.reply("200 OK", "<html>Sign in</html>", kind="text/html")


def an_endless_body(connection: Connection) -> None:
    connection.send("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
    for _ in range(64):
        connection.send(b" " * 2**20)


BROKEN = [
    pytest.param(reset_before_any_answer, ConnectionFailed, "broke", "", True, id="reset before any answer"),
    pytest.param(closed_before_any_answer, ConnectionFailed, "broke", "", True, id="closed before any answer"),
    pytest.param(no_http, ConnectionFailed, "broke", "", True, id="not HTTP"),
    pytest.param(closed_inside_a_body, ConnectionFailed, "broke", "", True, id="closed inside a body"),
    pytest.param(reset_inside_a_stream, ConnectionFailed, "broke", "Hello", True, id="reset inside a stream"),
    pytest.param(closed_inside_a_chunked_stream, ConnectionFailed, "broke", "Hello", True, id="closed inside a stream"),
    pytest.param(a_page, ServerFailed, "no JSON", "", True, id="a page"),
    pytest.param(an_endless_body, ServerFailed, "larger than 32 MiB", "", False, id="a body without end"),
]


@pytest.mark.parametrize(("script", "kind", "message", "partial", "retryable"), BROKEN)
def test_what_breaks_is_an_error_of_ours(
    script: Callable[[Connection], None], kind: type[ProviderError], message: str, partial: str, retryable: bool
) -> None:
    with FaultServer(script) as server, client_of(server.url) as client, pytest.raises(ProviderError) as raised:
        client.run(HI)

    error = raised.value
    assert type(error) is kind
    assert message in error.message
    assert (error.partial, error.retryable) == (partial, retryable)
    assert isinstance(pickle.loads(pickle.dumps(error)), kind)


def test_no_server_at_all() -> None:
    url = f"http://127.0.0.1:{closed_port()}/v1"

    with client_of(url) as client, pytest.raises(ConnectionFailed) as raised:
        client.run(HI)

    assert raised.value.message.startswith(f"cannot connect to {url}/chat/completions: ")
    assert raised.value.hint == "is the server running, and base_url right?"
    assert (raised.value.status, raised.value.retryable, raised.value.partial) == (None, True, "")


def test_a_host_without_an_address() -> None:
    with client_of("http://nowhere.invalid/v1") as client, pytest.raises(ConnectionFailed) as raised:
        client.run(HI)

    assert "cannot connect to http://nowhere.invalid/v1/chat/completions" in raised.value.message


@pytest.mark.parametrize(
    "url",
    ["http://h:port/v1", "http://[::1/v1", "http://h:99999/v1", "http:///v1", "http://exa\x00mple/v1"],
    ids=["no port", "half an address", "a port too high", "no host", "a NUL"],
)
def test_an_address_that_is_none(url: str) -> None:
    with client_of(url) as client, pytest.raises(PromptkitError):
        client.run(HI)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "no proxy"], ids=["of a missing extra", "of no address"])
def test_a_proxy_that_cannot_be_used(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("all_proxy", "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ALL_PROXY", proxy)

    with client_of("http://nowhere.invalid/v1") as client, pytest.raises(PromptkitError):
        client.run(HI)


def test_a_redirect_is_not_followed() -> None:
    elsewhere = FaultServer(lambda connection: connection.reply("200 OK", {}))

    def redirect(connection: Connection) -> None:
        connection.reply("307 Temporary Redirect", "", headers=f"location: {elsewhere.url}/chat/completions\r\n")

    with elsewhere, FaultServer(redirect) as server, client_of(server.url, key=KEY) as client:
        with pytest.raises(RequestRejected, match="redirects") as raised:
            client.run(HI)
        assert elsewhere.requests == []

    assert (raised.value.status, raised.value.retryable) == (307, False)


# What is sent, and over which connection


def test_the_key_is_a_header_and_nothing_else() -> None:
    with FaultServer(lambda c: c.stream(answer("Hi"))) as server, client_of(server.url, key=KEY) as client:
        client.run(HI)

    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert [line for line in head.split(b"\r\n") if KEY.encode() in line] == [b"authorization: Bearer " + KEY.encode()]
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert b"\r\naccept-encoding: identity\r\n" in head.lower() + b"\r\n"
    assert KEY.encode() not in body


def whole(connection: Connection) -> Callable[[Connection], None]:
    connection.reply("200 OK", {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}, keep=True)
    return again


def streamed(connection: Connection) -> Callable[[Connection], None]:
    connection.chunked(text("Hi"), ending(), "data: [DONE]\n\n")
    return again


@pytest.mark.parametrize("script", [whole, streamed], ids=["whole answers", "streamed answers"])
def test_one_connection_serves_one_call_after_another(
    script: Callable[[Connection], Callable[[Connection], None]],
) -> None:
    with FaultServer(script) as server, client_of(server.url) as client:
        assert [client.run(HI).output for _ in range(3)] == ["Hi"] * 3

    assert len(server.requests) == 3
    assert server.connections == 1


def open_sockets() -> int:
    count = 0
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the listing's own is gone by now
            count += os.readlink(f"/proc/self/fd/{fd}").startswith("socket:")
    return count


@pytest.mark.parametrize("script", [whole, streamed], ids=["whole answers", "streamed answers"])
def test_one_client_over_three_event_loops(
    script: Callable[[Connection], Callable[[Connection], None]],
) -> None:
    with FaultServer(script) as server:
        client = client_of(server.url)
        try:
            assert [asyncio.run(client.arun(HI)).output for _ in range(3)] == ["Hi"] * 3
        finally:
            client.close()
            gc.collect()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts sockets where the system lists them")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_event_loops_that_have_ended_leave_no_sockets() -> None:
    with FaultServer(whole) as server, client_of(server.url) as client:
        before = open_sockets()
        for _ in range(5):
            asyncio.run(client.arun(HI))
        gc.collect()
        # The server's ends live in this process too, each until its client's end is closed.
        deadline = time.monotonic() + 2
        while open_sockets() > before + 1 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert open_sockets() <= before + 1


def test_sync_and_async_on_one_client_closed_either_way() -> None:
    async def both(client: Client) -> list[str]:
        outputs = [(await client.arun(HI)).output, await asyncio.to_thread(lambda: client.run(HI).output)]
        await client.aclose()
        return outputs

    with FaultServer(whole) as server:
        assert asyncio.run(both(client_of(server.url))) == ["Hi", "Hi"]
        gc.collect()


def test_one_client_from_four_threads() -> None:
    with FaultServer(streamed) as server, client_of(server.url) as client:

        def work(number: int) -> list[str]:
            if number % 2:
                return [client.run(HI).output for _ in range(5)]
            return [asyncio.run(client.arun(HI)).output for _ in range(5)]

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(work, range(4))) == [["Hi"] * 5] * 4

    assert len(server.requests) == 20


def test_many_streams_left_early_block_nobody() -> None:
    def endless(connection: Connection) -> None:
        connection.stream()
        connection.drip((text("x") for _ in range(1000)), every=0.005)

    with FaultServer(*[endless] * 40, streamed) as server, client_of(server.url) as client:
        for _ in range(40):
            for _piece in client.stream(HI):
                break
        assert client.run(HI).output == "Hi"


# Time


@pytest.mark.parametrize(
    ("timeout", "message"),
    [
        pytest.param(Timeout(read=0.2, total=5), "nothing came", id="for an answer"),
        pytest.param(Timeout(read=5, total=0.2), "no complete answer within 0.2 s", id="for everything"),
    ],
)
def test_a_server_that_says_nothing(timeout: Timeout, message: str) -> None:
    with (
        FaultServer(lambda connection: connection.until_left()) as server,
        client_of(server.url, timeout=timeout) as client,
    ):
        began = time.monotonic()
        with pytest.raises(TimedOut) as raised:
            client.run(HI)
        took = time.monotonic() - began

    assert message in raised.value.message
    assert (raised.value.retryable, raised.value.partial) == (True, "")
    assert 0.19 <= took < 1.0


def test_a_server_that_does_not_accept() -> None:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    waiting = []
    try:
        for _ in range(4):  # the queue is full after these, and more are dropped
            extra = socket.socket()
            extra.setblocking(False)
            extra.connect_ex(listener.getsockname())
            waiting.append(extra)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        with (
            client_of(url, timeout=Timeout(connect=0.2, read=5, total=5)) as client,
            pytest.raises(TimedOut, match=r"no connection to .* within 0\.2 s") as raised,
        ):
            client.run(HI)
    finally:
        for extra in waiting:
            extra.close()
        listener.close()

    assert raised.value.retryable


# Keys

CONFIG = """\
model = "a"
[models.a]
provider = "openai"
model = "m"
dialect = "compatible"
base_url = "{url}"
api_key = "{key}"
attempts = 2
"""


def echo_401(connection: Connection) -> None:
    connection.reply(
        "401 Unauthorized",
        {"error": {"message": f"Incorrect API key provided: {KEY}.", "code": f"bad_{KEY}", "type": KEY}},
        headers=f'www-authenticate: Bearer realm="{KEY}"\r\nretry-after: {KEY}\r\nx-key: {KEY}\r\n',
    )


def echo_as_page(connection: Connection) -> None:
    connection.reply("403 Forbidden", f"<html>{KEY} is not welcome</html>", kind="text/html")


def echo_json_escaped(connection: Connection) -> None:
    escaped = KEY.replace("/", "\\/")
    connection.reply("401 Unauthorized", f'{{"error": {{"message": "bad key {escaped}"}}}}')


def echo_in_a_200(connection: Connection) -> None:
    connection.reply("200 OK", {"error": {"message": f"bad key {KEY}"}})


def echo_in_a_page_of_200(connection: Connection) -> None:
    connection.reply("200 OK", f"<html>{KEY} is welcome</html>", kind="text/html")


def echo_in_an_ending(connection: Connection) -> None:
    connection.reply("200 OK", {"choices": [{"message": {"content": ""}, "finish_reason": KEY}]})


def echo_in_the_stream(connection: Connection) -> None:
    connection.stream(text("Hel"), event({"error": {"message": f"bad key {KEY}", "code": KEY}}))


def echo_as_a_torn_event(connection: Connection) -> None:
    connection.stream(f'data: {{"error": "{KEY}\n\n')


def echo_as_the_answer(connection: Connection) -> None:
    connection.stream(text(f"Your key is {KEY}"))


def echo_as_no_http(connection: Connection) -> None:
    connection.send(f"{KEY}\r\n\r\n")


@pytest.mark.parametrize("planted", [KEY, "${env:PLANTED}"], ids=["key in the file", "key in the environment"])
@pytest.mark.parametrize(
    ("script", "kind"),
    [
        pytest.param(echo_401, AuthenticationFailed, id="in a 401"),
        pytest.param(echo_as_page, AuthenticationFailed, id="in a page"),
        pytest.param(echo_json_escaped, AuthenticationFailed, id="with escaped slashes"),
        pytest.param(echo_in_a_200, ServerFailed, id="in an error of a 200"),
        pytest.param(echo_in_a_page_of_200, ServerFailed, id="in a page of a 200"),
        pytest.param(echo_in_an_ending, ServerFailed, id="in an ending"),
        pytest.param(echo_in_the_stream, ServerFailed, id="in an error of the stream"),
        pytest.param(echo_as_a_torn_event, ServerFailed, id="in a torn event"),
        pytest.param(echo_as_the_answer, StreamTruncated, id="in an answer cut off"),
        pytest.param(echo_as_no_http, ConnectionFailed, id="in what is no HTTP"),
    ],
)
def test_a_key_the_server_echoes_does_not_show(
    script: Callable[[Connection], None],
    kind: type[ProviderError],
    planted: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PLANTED", KEY)
    file = tmp_path / "promptkit.toml"
    with FaultServer(script) as server:
        file.write_text(CONFIG.format(url=server.url, key=planted))
        config = Config.load(file)
        with Client(config, sleep=no_sleep) as client, pytest.raises(ProviderError) as raised:
            client.run(HI)
        sent = server.requests[0]

    error = raised.value
    assert KEY.encode() in sent, "the server did get the key"
    assert type(error) is kind
    shown = [str(error), repr(error), repr(vars(error)), repr(error.args), "".join(traceback.format_exception(error))]
    shown += [repr(client), str(client), repr(config), repr(client.model), repr(pickle.loads(pickle.dumps(error)).args)]
    for text_ in shown:
        assert KEY not in text_
        assert KEY.replace("/", "\\/") not in text_


def test_a_call_does_not_show_its_key() -> None:
    call = OpenAI(model="m", api_key=Secret(KEY)).build(HI.render(), stream=True)

    assert KEY not in repr(call)
    assert KEY not in str(call)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(call)


@pytest.mark.parametrize(
    "script",
    [echo_401, echo_in_the_stream, reset_inside_a_stream],
    ids=["echoed in a 401", "echoed in the stream", "reset"],
)
def test_a_key_is_in_no_log(script: Callable[[Connection], None], caplog: pytest.LogCaptureFixture) -> None:
    loggers = ["promptkit", "httpx", "httpcore", "httpcore.connection", "httpcore.http11", "asyncio"]
    for name in (None, *loggers):
        caplog.set_level(logging.DEBUG, name)

    with FaultServer(script) as server, client_of(server.url, key=KEY) as client, pytest.raises(ProviderError):
        client.run(HI)

    assert any(record.name.startswith("httpcore") for record in caplog.records), "the logs were listened to"
    for record in caplog.records:
        assert KEY not in record.getMessage(), record.name
        assert KEY not in repr(vars(record)), record.name


@pytest.mark.parametrize(
    "key",
    ["sk-7Qz4vN8w\n", "sk-7Qz4vN8w\r\nx: 1", "sk-7Qz4vN8w-ключ"],
    ids=["a line end", "two lines", "another script"],
)
def test_a_header_that_cannot_be_sent_does_not_show(key: str) -> None:
    headers = {"authorization": Secret(f"Bearer {key}")}

    def nothing(connection: Connection) -> None:
        connection.reply("200 OK", {})

    async def send(server: FaultServer) -> None:
        http = Http()
        call = HttpCall(url=server.url, body=b"", secret_headers=headers, secrets=(Secret(key),))
        try:
            async with http.open(call, Timeout()) as reply:
                assert reply.status == 200
        finally:
            await http.aclose()

    with FaultServer(nothing) as server, pytest.raises(PromptkitError) as raised:
        asyncio.run(send(server))

    assert "7Qz4vN8w" not in "".join(traceback.format_exception(raised.value))


# The transports


@pytest.mark.parametrize("url", ["ftp://h/x", "nothing", ""])
def test_an_address_nobody_carries(url: str) -> None:
    with pytest.raises(ConfigError, match="no transport for") as raised:
        Transports().carry(HttpCall(url=url, body=b""))

    assert raised.value.hint == "known: http, https, llama, loopback"


def test_one_transport_for_both_kinds_of_http() -> None:
    transports = Transports()

    one = transports.carry(HttpCall(url="http://h", body=b""))
    assert isinstance(one, Http)
    assert transports.carry(HttpCall(url="https://h", body=b"")) is one


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
@pytest.mark.parametrize("name", ["connect", "read", "total"])
def test_nothing_may_wait_for_ever(name: str, seconds: float) -> None:
    with pytest.raises(ConfigError, match=f"timeout '{name}' must be a number of seconds above 0") as raised:
        Timeout(**{name: seconds})

    assert raised.value.field == name


def test_no_thread_is_left() -> None:
    before = threading.active_count()
    with FaultServer(streamed) as server, client_of(server.url) as client:
        client.run(HI)

    assert threading.active_count() == before
