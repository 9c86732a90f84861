"""A client runs prompts: sync, async, from many places, until it is closed."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from promptkit import Client, Config, Message, Parameters, Prompt, Request, Scripted
from promptkit.errors import (
    ConfigError,
    DefinitionError,
    InputError,
    NotParsed,
    RateLimited,
    RequestRejected,
    ServerFailed,
)
from promptkit.plans import Plan
from promptkit.providers.scripted import Fault
from promptkit.transport.base import Timeout

ECHO = Prompt("{{ word }}")


class Note(BaseModel):
    word: str


def echo(request: Request) -> str:
    return request.messages[-1].text


def echoing() -> Client:
    return Client(provider=Scripted(replies=echo))


class Waits:
    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


class Chain:
    """A plan of two batches, as a technique is."""

    def plan(self, inputs: Any = None, /, **fields: Any) -> Plan[list[str]]:
        def ask(text: str) -> Request:
            return Request(messages=(Message.of("user", text),))

        first = yield [ask(f"{fields['word']}{number}") for number in range(3)]
        [second] = yield [ask("+".join(answer.text for answer in first))]
        return [second.text]


# Running


def test_a_prompt_is_run_with_keywords_a_mapping_or_its_type() -> None:
    typed = Prompt("{{ word }}", input=Note)
    with echoing() as client:
        assert client.run(ECHO, word="a").output == "a"
        assert client.run(ECHO, {"word": "b"}).output == "b"
        assert client.run(typed, Note(word="c")).output == "c"
        assert asyncio.run(client.arun(ECHO, word="d")).output == "d"
        assert asyncio.run(client.arun(typed, Note(word="e"))).output == "e"
        assert list(client.stream(typed, Note(word="f"))) == ["f"]


def test_a_typed_answer() -> None:
    prompt = Prompt("{{ word }}", output=Literal["spam", "ham"])
    with Client(provider=Scripted(replies=['{"value": "ham"}', "ham"])) as client:
        assert client.run(prompt, word="x").output == "ham"
        with pytest.raises(NotParsed) as raised:
            client.run(prompt, word="x")

    assert raised.value.text == "ham"


def test_a_plan_of_several_batches_is_run() -> None:
    with echoing() as client:
        result = client.run(Chain(), word="w")
        assert asyncio.run(client.arun(Chain(), word="w")).output == ["w0+w1+w2"]

    assert result.output == ["w0+w1+w2"]
    assert [request.messages[0].text for request in result.requests] == ["w0", "w1", "w2", "w0+w1+w2"]
    assert [completion.text for completion in result.completions] == ["w0", "w1", "w2", "w0+w1+w2"]


def test_answers_of_a_batch_are_in_the_order_of_its_requests() -> None:
    class Many:
        def plan(self, inputs: Any = None, /, **fields: Any) -> Plan[list[str]]:
            answers = yield [Request(messages=(Message.of("user", str(number)),)) for number in range(40)]
            return [answer.text for answer in answers]

    with echoing() as client:
        assert client.run(Many()).output == [str(number) for number in range(40)]


def test_one_failure_in_a_batch_is_the_failure_of_the_batch() -> None:
    def fails_on_one(request: Request) -> str | Fault:
        return Fault(status=400, message="not that one") if request.messages[0].text == "w1" else "fine"

    with Client(provider=Scripted(replies=fails_on_one)) as client, pytest.raises(RequestRejected) as raised:
        client.run(Chain(), word="w")

    assert raised.value.status == 400


def test_wrong_inputs_are_refused_before_anything_is_sent() -> None:
    script = Scripted(replies=echo)
    with Client(provider=script) as client:
        for wrong in ({}, {"word": "a", "wrod": "b"}, {"wrod": "b"}):
            with pytest.raises(InputError):
                client.run(ECHO, **wrong)
            with pytest.raises(InputError):
                list(client.stream(ECHO, **wrong))

    assert script.requests == []


@pytest.mark.parametrize(
    ("prompt", "configured", "asked"),
    [
        pytest.param(Parameters(), Parameters(), Parameters(), id="nobody says"),
        pytest.param(Parameters(), Parameters(seed=1), Parameters(seed=1), id="the configuration says"),
        pytest.param(Parameters(temperature=0), Parameters(temperature=1), Parameters(temperature=0), id="both do"),
        pytest.param(
            Parameters(seed=2), Parameters(max_tokens=9), Parameters(seed=2, max_tokens=9), id="each says one thing"
        ),
        pytest.param(Parameters(stop=("A",)), Parameters(stop=("B",)), Parameters(stop=("A",)), id="both say stop"),
    ],
)
def test_a_prompts_parameters_win_over_the_configured_ones(
    tmp_path: Path, prompt: Parameters, configured: Parameters, asked: Parameters
) -> None:
    parameters = "".join(
        f"{name} = {list(v) if isinstance(v, tuple) else v}\n" for name, v in configured.as_dict().items()
    )
    file = tmp_path / "promptkit.toml"
    file.write_text(
        f'model = "s"\n[models.s]\nprovider = "scripted"\nreplies = ["x"]\n[models.s.parameters]\n{parameters}'
    )
    with Client(file) as client:
        [request] = client.run(Prompt("Hi", parameters=prompt)).requests
        sent = client._exchange.provider.requests  # type: ignore[attr-defined]

    assert request.parameters == prompt
    assert [one.parameters for one in sent] == [asked]


def test_attempts_and_waits_are_the_clients() -> None:
    waits = Waits()
    script = Scripted(replies=[Fault(status=429, headers={"retry-after": "2"})], repeat=True)
    with Client(provider=script, attempts=4, sleep=waits) as client, pytest.raises(RateLimited) as raised:
        client.run(Prompt("Hi"))

    assert len(script.requests) == 4
    assert waits.seconds == [2.0, 2.0, 2.0]
    assert raised.value.retry_after == 2.0


# Which model


def test_a_client_takes_its_model_from_the_nearest_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "promptkit.toml").write_text(
        'model = "a"\n'
        '[models.a]\nprovider = "scripted"\nreplies = ["I am a"]\nrepeat = true\n'
        '[models.b]\nprovider = "scripted"\nreplies = ["I am b"]\nrepeat = true\n'
        "attempts = 7\ntimeout = { total = 9 }\n"
    )
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")

    def who(**options: Any) -> str:
        with Client(**options) as client:
            return str(client.run(Prompt("Hi")).output)

    assert who() == "I am a"
    assert who(model="b") == "I am b"
    assert who(config=tmp_path / "promptkit.toml", model="b") == "I am b"
    assert who(config=str(tmp_path / "promptkit.toml")) == "I am a"
    assert who(config=Config.load(tmp_path / "promptkit.toml"), model="b") == "I am b"
    monkeypatch.setenv("PROMPTKIT_MODEL", "b")
    assert who() == "I am b"
    assert who(model="a") == "I am a"

    with Client() as client:
        assert (client.model.name, client.model.attempts, client.model.timeout) == ("b", 7, Timeout(total=9))


def test_without_a_configuration_it_is_the_embedded_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with Client() as client:
        assert repr(client).startswith("Client(model='embedded', provider=Local(model='smollm2-135m-instruct', ")


@pytest.mark.parametrize("other", [{"model": "a"}, {"config": Config()}], ids=["and a model", "and a config"])
def test_a_provider_and_a_configured_model_exclude_each_other(other: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match="either a provider or a configured model"):
        Client(provider=Scripted(replies=[]), **other)


def test_a_model_nobody_configured_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigError, match="no model 'zzz'"):
        Client(model="zzz")


# From many places


def test_one_client_over_three_event_loops_and_in_between() -> None:
    with echoing() as client:
        outputs = []
        for number in range(3):
            outputs.append(asyncio.run(client.arun(ECHO, word=f"a{number}")).output)
            outputs.append(client.run(ECHO, word=f"s{number}").output)

    assert outputs == ["a0", "s0", "a1", "s1", "a2", "s2"]


def test_one_client_from_four_threads() -> None:
    def work(number: int) -> list[str]:
        if number % 2:
            return [asyncio.run(client.arun(ECHO, word=f"{number}-{index}")).output for index in range(20)]
        return [client.run(ECHO, word=f"{number}-{index}").output for index in range(20)]

    with echoing() as client, concurrent.futures.ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(work, range(4)))

    assert outputs == [[f"{number}-{index}" for index in range(20)] for number in range(4)]


def test_a_run_inside_a_running_loop() -> None:
    async def notebook() -> str:
        return str(client.run(ECHO, word="cell").output)

    with echoing() as client:
        assert asyncio.run(notebook()) == "cell"


def test_two_runs_at_once_do_not_wait_for_each_other() -> None:
    together = threading.Barrier(2)

    async def meet(_: float) -> None:
        await asyncio.to_thread(together.wait, 5)

    script = Scripted(replies=[Fault(status=503), Fault(status=503), "x", "x"])
    with Client(provider=script, sleep=meet) as client, concurrent.futures.ThreadPoolExecutor(2) as pool:
        outputs = list(pool.map(lambda word: client.run(ECHO, word=word).output, "ab"))

    assert outputs == ["x", "x"]


def test_cancelling_a_run_stops_it() -> None:
    stopped = threading.Event()

    async def wait(_: float) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async def go() -> None:
        async with Client(provider=Scripted(replies=[Fault(status=503)], repeat=True), sleep=wait) as client:
            task = asyncio.create_task(client.arun(Prompt("Hi")))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(go())

    assert stopped.is_set()


def test_a_failure_stops_the_others_of_its_batch() -> None:
    stopped = threading.Event()

    class Two:
        def plan(self, inputs: Any = None, /, **fields: Any) -> Plan[Sequence[str]]:
            answers = yield [Request(messages=(Message.of("user", text),)) for text in ("slow", "bad")]
            return [answer.text for answer in answers]

    async def wait(_: float) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    def reply(request: Request) -> Fault:
        return Fault(status=503 if request.messages[0].text == "slow" else 501)

    with Client(provider=Scripted(replies=reply), sleep=wait) as client:
        with pytest.raises(ServerFailed) as raised:
            client.run(Two())
        assert stopped.wait(5)

    assert raised.value.status == 501


# Closing


def test_a_closed_client_runs_nothing_more() -> None:
    script = Scripted(replies=echo)
    client = Client(provider=script)
    client.run(ECHO, word="a")
    client.close()

    async def astream() -> None:
        client.astream(ECHO, word="b")

    for run in (
        lambda: client.run(ECHO, word="b"),
        lambda: asyncio.run(client.arun(ECHO, word="b")),
        lambda: client.stream(ECHO, word="b"),
        lambda: asyncio.run(astream()),
    ):
        with pytest.raises(DefinitionError, match="the client is closed") as raised:
            run()
        assert raised.value.hint == "run inside the `with Client() as client:` block"

    assert len(script.requests) == 1


def test_closing_twice_does_nothing() -> None:
    client = echoing()
    client.close()
    client.close()
    asyncio.run(client.aclose())


def test_closing_ends_the_clients_thread() -> None:
    before = threading.active_count()

    with echoing() as client:
        client.run(ECHO, word="a")
        assert threading.active_count() == before + 1

    assert threading.active_count() == before


def test_an_async_client_needs_no_thread() -> None:
    async def go() -> int:
        async with echoing() as client:
            await client.arun(ECHO, word="a")
            return threading.active_count()

    before = threading.active_count()

    assert asyncio.run(go()) == before


def test_closing_ends_a_run_of_another_thread() -> None:
    waiting = threading.Event()

    async def wait(_: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    client = Client(provider=Scripted(replies=[Fault(status=503)], repeat=True), sleep=wait)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(client.run, Prompt("Hi"))
        assert waiting.wait(5)
        client.close()
        with pytest.raises(DefinitionError, match="closed before it ended"):
            running.result(5)
