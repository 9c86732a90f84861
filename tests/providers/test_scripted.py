"""The fake: it answers through the same path as a server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

import pytest

from promptkit import Client, Prompt
from promptkit.errors import AuthenticationFailed, ProviderError, RateLimited, ServerFailed
from promptkit.providers.base import Provider
from promptkit.providers.scripted import Fault, Scripted
from promptkit.requests import Request, Usage

ECHO = Prompt("{% system %}Repeat.{% endsystem %}{% user %}{{ text }}{% enduser %}")


class Waits:
    """A sleep that takes no time, and remembers."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def test_it_is_a_provider() -> None:
    assert isinstance(Scripted(replies=[]), Provider)


@pytest.mark.parametrize(
    "text",
    ["one", "one two", "", " ", "  two  spaces ", "line\nend\r\n\r\n", "data: [DONE]", '{"a": 1}', "é🎉\u2028\u0085"],
    ids=["a word", "words", "nothing", "a space", "spaces", "line ends", "a marker", "JSON", "Unicode"],
)
def test_a_reply_arrives_as_it_was_written(text: str) -> None:
    with Client(provider=Scripted(replies=[text, text])) as client:
        assert client.run(ECHO, text="x").output == text
        assert "".join(client.stream(ECHO, text="x")) == text


def test_replies_are_given_in_order() -> None:
    with Client(provider=Scripted(replies=["a", "b"])) as client:
        assert [client.run(ECHO, text="x").output for _ in range(2)] == ["a", "b"]


def test_a_script_can_repeat() -> None:
    with Client(provider=Scripted(replies=["a", "b"], repeat=True)) as client:
        assert [client.run(ECHO, text="x").output for _ in range(5)] == ["a", "b", "a", "b", "a"]


@pytest.mark.parametrize(("replies", "count"), [([], 0), (["a"], 1)], ids=["empty", "one"])
def test_a_script_that_has_run_out_says_so(replies: list[str], count: int) -> None:
    waits = Waits()
    with Client(provider=Scripted(replies=replies), sleep=waits) as client:
        for _ in replies:
            client.run(ECHO, text="x")
        with pytest.raises(ProviderError, match=f"run out after {count} replies") as raised:
            client.run(ECHO, text="x")

    assert raised.value.hint == "add replies, or set repeat = true"
    assert not raised.value.retryable
    assert waits.seconds == []


def test_a_function_answers_by_the_request() -> None:
    def shout(request: Request) -> str:
        return request.messages[-1].text.upper()

    with Client(provider=Scripted(replies=shout)) as client:
        assert client.run(ECHO, text="quiet").output == "QUIET"


def test_a_function_may_fail() -> None:
    def refuse(request: Request) -> Fault:
        return Fault(status=401, message=f"not for {request.messages[-1].text}")

    with (
        Client(provider=Scripted(replies=refuse)) as client,
        pytest.raises(AuthenticationFailed, match="not for you"),
    ):
        client.run(ECHO, text="you")


def test_requests_are_kept() -> None:
    script = Scripted(replies=["a", "b"])
    with Client(provider=script) as client:
        client.run(ECHO, text="first")
        client.run(ECHO.with_parameters(seed=3), text="second")

    assert [[message.text for message in asked.messages] for asked in script.requests] == [
        ["Repeat.", "first"],
        ["Repeat.", "second"],
    ]
    assert script.requests[1].parameters.seed == 3


def test_words_are_counted_as_tokens() -> None:
    with Client(provider=Scripted(replies=["three words here"])) as client:
        result = client.run(ECHO, text="a b")

    assert result.usage == Usage(input_tokens=3, output_tokens=3)
    assert result.completions[0].model == "scripted"


def test_a_fault_is_tried_again_like_a_servers() -> None:
    waits = Waits()
    script = Scripted(replies=[Fault(status=503), Fault(status=429, headers={"retry-after": "4"}), "fine"])
    with Client(provider=script, sleep=waits) as client:
        assert client.run(ECHO, text="x").output == "fine"

    assert len(script.requests) == 3
    assert waits.seconds[1] == 4.0


@pytest.mark.parametrize("name", ["retry-after", "Retry-After", "RETRY-AFTER"])
def test_a_faults_headers_are_found_however_they_are_written(name: str) -> None:
    with (
        Client(provider=Scripted(replies=[Fault(status=429, headers={name: "100"})])) as client,
        pytest.raises(RateLimited) as raised,
    ):
        client.run(ECHO, text="x")

    assert raised.value.retry_after == 100.0


def test_a_fault_has_the_facts_of_a_servers_error() -> None:
    with (
        Client(provider=Scripted(replies=[Fault(status=500, message="broken")]), attempts=1) as client,
        pytest.raises(ServerFailed) as raised,
    ):
        client.run(ECHO, text="x")

    assert raised.value.message == "broken (HTTP 500)"
    assert (raised.value.status, raised.value.code, raised.value.retryable) == (500, "scripted", True)


def test_a_typed_output_is_scripted_as_the_model_would_write_it() -> None:
    prompt = Prompt("{{ text }}", output=Literal["spam", "ham"])
    with Client(provider=Scripted(replies=['{"value": "ham"}'])) as client:
        assert client.run(prompt, text="x").output == "ham"


def test_a_script_can_stand_in_a_config(tmp_path: Path) -> None:
    file = tmp_path / "promptkit.toml"
    file.write_text('model = "s"\n[models.s]\nprovider = "scripted"\nreplies = ["a", "b"]\nrepeat = true\n')

    with Client(file) as client:
        assert [client.run(ECHO, text="x").output for _ in range(3)] == ["a", "b", "a"]


def test_two_scripts_do_not_mix() -> None:
    with Client(provider=Scripted(replies=["a"])) as one, Client(provider=Scripted(replies=["b"])) as other:
        assert (other.run(ECHO, text="x").output, one.run(ECHO, text="x").output) == ("b", "a")


def test_many_at_once_get_each_reply_once() -> None:
    replies = [str(index) for index in range(50)]

    async def all_at_once() -> list[str]:
        async with Client(provider=Scripted(replies=replies)) as client:
            results = await asyncio.gather(*(client.arun(ECHO, text="x") for _ in replies))
        return [result.text for result in results]

    assert sorted(asyncio.run(all_at_once()), key=int) == replies
