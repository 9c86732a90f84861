"""llama.cpp for real: in this process, and over HTTP."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest

from promptkit import Client, Prompt
from promptkit.errors import (
    AuthenticationFailed,
    ModelNotFound,
    PromptkitError,
    RequestRejected,
    TimedOut,
    Truncated,
)
from promptkit.providers.local import Local
from promptkit.providers.openai import OpenAI
from promptkit.secrets import Secret
from promptkit.transport.base import Timeout
from tests.conftest import LlamaServer

CONTEXT = 2048
QUESTION = "What is the capital of France? Answer in one word."
ASK = Prompt("{% user %}{{ question }}{% enduser %}").with_parameters(temperature=0, max_tokens=24)
YES_OR_NO = Prompt(
    '{% user %}{{ question }} Answer as {"value": "yes"} or {"value": "no"}.{% enduser %}',
    output=Literal["yes", "no"],
).with_parameters(temperature=0, max_tokens=24)
LONG = "word " * 3000


async def no_sleep(_: float) -> None:
    raise AssertionError("nothing here is to be tried again")


def local(model_file: Path) -> Local:
    # One thread: threads of llama.cpp that wait for one another crawl where somebody else is at work too.
    return Local(model=str(model_file), context=CONTEXT, threads=1, prompt_cache=False)


def over_http(server: LlamaServer, key: str | None = None) -> OpenAI:
    return OpenAI(model="any", dialect="llamacpp", base_url=server.url, api_key=Secret(key or server.key))


@pytest.fixture(scope="module")
def in_process(model_file: Path) -> Iterator[Client]:
    with Client(provider=local(model_file), sleep=no_sleep) as client:
        yield client


@pytest.fixture(scope="module")
def remote(llama_server: LlamaServer) -> Iterator[Client]:
    with Client(provider=over_http(llama_server), sleep=no_sleep) as client:
        yield client


@pytest.fixture(params=["in process", "over HTTP"])
def client(request: pytest.FixtureRequest, in_process: Client, remote: Client) -> Client:
    return in_process if request.param == "in process" else remote


def busy_slots(server: LlamaServer) -> int:
    root = server.url.removesuffix("/v1")
    slots: list[dict[str, Any]] = httpx.get(
        f"{root}/slots", headers={"authorization": f"Bearer {server.key}"}, timeout=5
    ).json()
    return sum(slot["is_processing"] for slot in slots)


def wait_until_free(server: LlamaServer, limit: float) -> bool:
    deadline = time.monotonic() + limit
    while busy_slots(server):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def answer_of(client: Client, question: str) -> str:
    try:
        return client.run(ASK, question=question).text
    except Truncated as error:
        return error.text


# Answers


@pytest.mark.parametrize("question", [QUESTION, "Name three colours.", "Schreibe „Grüße“ und ein Herz ❤."])
def test_the_same_text_in_process_and_over_http(in_process: Client, remote: Client, question: str) -> None:
    text = answer_of(in_process, question)

    assert text.strip()
    assert text == answer_of(remote, question) == answer_of(in_process, question)


def test_an_answer_has_its_facts(client: Client) -> None:
    with pytest.raises(Truncated) as raised:
        client.run(ASK.with_parameters(max_tokens=4), question="Tell me a long story.")

    usage = raised.value.usage
    assert usage is not None
    assert usage.output_tokens == 4
    assert usage.input_tokens > 5
    assert usage.cached_tokens == 0


def test_a_structured_answer_is_valid(client: Client) -> None:
    assert client.run(YES_OR_NO, question="Is fire hot?").output in ("yes", "no")


def test_text_comes_piece_by_piece(client: Client) -> None:
    stream = client.stream(ASK, question="Name three colours.")
    pieces: list[str] = []
    with pytest.raises(Truncated) as raised:
        pieces.extend(stream)

    assert len(pieces) > 10
    assert "".join(pieces) == raised.value.text


def test_a_stop_text_ends_the_answer(client: Client) -> None:
    prompt = Prompt("{% user %}Count: one, two, three, four, five.{% enduser %}", parameters=ASK.parameters)
    full = client.run(prompt.with_parameters(stop=[" "]))

    assert full.completions[0].ending == "complete"
    assert " " not in full.text


# Failures


def test_a_prompt_longer_than_the_context_is_rejected_at_once(client: Client) -> None:
    with pytest.raises(RequestRejected) as raised:
        client.run(ASK, question=LONG)

    error = raised.value
    assert "context size" in error.message
    assert (error.status, error.code, error.retryable) == (400, "exceed_context_size_error", False)


def test_a_bad_key_is_refused(llama_server: LlamaServer) -> None:
    with (
        Client(provider=over_http(llama_server, key="sk-wrong-7Qz4"), sleep=no_sleep) as client,
        pytest.raises(AuthenticationFailed) as raised,
    ):
        client.run(ASK, question=QUESTION)

    assert (raised.value.status, raised.value.retryable) == (401, False)
    assert raised.value.hint == "check the api_key of this model in promptkit.toml"
    assert "sk-wrong-7Qz4" not in str(raised.value)


def test_a_schema_llama_cpp_cannot_follow_is_rejected(client: Client) -> None:
    from promptkit import Message, Request
    from promptkit.plans import Plan
    from promptkit.requests import Parameters, Schema

    class Asks:
        def plan(self, inputs: Any = None, /, **fields: Any) -> Plan[str]:
            schema = Schema("Broken", {"$ref": "#/$defs/Nowhere"})
            messages = (Message.of("user", "Hi"),)
            [answer] = yield [Request(messages=messages, schema=schema, parameters=Parameters(max_tokens=4))]
            return answer.text

    with pytest.raises(RequestRejected) as raised:
        client.run(Asks())

    assert (raised.value.status, raised.value.retryable) == (400, False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"not a model at all", "is not a GGUF model", id="another kind of file"),
        pytest.param(b"", "is not a GGUF model", id="an empty file"),
        pytest.param(b"GGUF" + b"\x00" * 64, "llama.cpp cannot load", id="a head without a body"),
    ],
)
def test_a_file_that_is_no_model(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "damaged.gguf"
    file.write_bytes(content)

    with Client(provider=Local(model=str(file)), sleep=no_sleep) as client, pytest.raises(ModelNotFound) as raised:
        client.run(ASK, question=QUESTION)

    assert message in raised.value.message
    assert str(file) in raised.value.message


def test_a_model_cut_off_in_the_middle_says_why(tmp_path: Path, model_file: Path) -> None:
    file = tmp_path / "half.gguf"
    with model_file.open("rb") as source:
        file.write_bytes(source.read(8 * 2**20))

    with Client(provider=Local(model=str(file)), sleep=no_sleep) as client, pytest.raises(ModelNotFound) as raised:
        client.run(ASK, question=QUESTION)

    assert raised.value.message.startswith(f"llama.cpp cannot load {file}: ")
    assert "not within the file bounds" in raised.value.message
    assert raised.value.hint == "if the file is damaged, delete it and run again"


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        pytest.param("smollm2-135m-instrct", "no local model", "did you mean 'smollm2-135m-instruct'?", id="misspelt"),
        pytest.param("zzz", "no local model 'zzz'", "known models: ", id="unknown"),
        pytest.param("/nowhere/m.gguf", "no model file at /nowhere/m.gguf", "", id="not there"),
    ],
)
def test_a_model_that_is_not_there(name: str, message: str, hint: str) -> None:
    with Client(provider=Local(model=name), sleep=no_sleep) as client, pytest.raises(ModelNotFound) as raised:
        client.run(ASK, question=QUESTION)

    assert message in raised.value.message
    assert hint in (raised.value.hint or "")


# Stopping


def test_leaving_a_stream_frees_the_server(remote: Client, llama_server: LlamaServer) -> None:
    long = ASK.with_parameters(max_tokens=1500)
    for _ in remote.stream(long, question="Tell me a very long story about a ship."):
        assert busy_slots(llama_server) == 1
        break

    assert wait_until_free(llama_server, 2)


def test_cancelling_a_run_frees_the_server(llama_server: LlamaServer) -> None:
    async def go() -> None:
        async with Client(provider=over_http(llama_server)) as client:
            long = ASK.with_parameters(max_tokens=1500)
            task = asyncio.create_task(client.arun(long, question="Tell me a very long story about a tree."))
            while not await asyncio.to_thread(busy_slots, llama_server):
                await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(asyncio.wait_for(go(), 10))

    assert wait_until_free(llama_server, 2)


def test_leaving_a_stream_in_process_stops_the_model(in_process: Client) -> None:
    long = ASK.with_parameters(max_tokens=1500)
    for _ in in_process.stream(long, question="Tell me a very long story about a ship."):
        break
    began = time.monotonic()
    with pytest.raises(Truncated):
        in_process.run(ASK.with_parameters(max_tokens=1), question="Tell me a story.")

    # There is one slot: the next answer would have to wait for 1500 tokens, half a minute.
    assert time.monotonic() - began < 5


def test_the_total_time_ends_an_answer_in_process(model_file: Path) -> None:
    with Client(provider=local(model_file), timeout=Timeout(total=2), attempts=1) as client:
        answer_of(client, QUESTION)  # loads the model
        began = time.monotonic()
        with pytest.raises(TimedOut, match="no complete answer within 2 s") as raised:
            client.run(ASK.with_parameters(max_tokens=1500), question="Tell me a very long story.")
        took = time.monotonic() - began

    assert 1.9 <= took < 3.5
    assert raised.value.partial


def test_closing_ends_an_answer_in_the_loop_of_another_thread(model_file: Path) -> None:
    client = Client(provider=local(model_file), timeout=Timeout(read=4), attempts=1)
    began = threading.Event()

    async def read() -> None:
        async for _ in client.astream(ASK.with_parameters(max_tokens=1500), question="Tell me a very long story."):
            began.set()

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(asyncio.run, read())
        assert began.wait(20)
        client.close()
        closed = time.monotonic()
        with pytest.raises((PromptkitError, asyncio.CancelledError)):
            reading.result(20)

    assert time.monotonic() - closed < 2


# From many places


def test_one_client_over_three_event_loops(client: Client) -> None:
    texts = {asyncio.run(client.arun(YES_OR_NO, question="Is ice hot?")).text for _ in range(3)}

    assert len(texts) == 1


def test_one_client_from_four_threads(client: Client) -> None:
    with ThreadPoolExecutor(4) as pool:
        texts = set(pool.map(lambda _: client.run(YES_OR_NO, question="Is ice hot?").text, range(4)))

    assert len(texts) == 1


def test_one_model_is_loaded_once(model_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def several() -> list[str]:
        async with Client(provider=local(model_file)) as client:
            runs = [client.arun(YES_OR_NO, question="Is ice hot?") for _ in range(3)]
            return [result.text for result in await asyncio.gather(*runs)]

    with caplog.at_level(logging.DEBUG, "promptkit.llama"):
        assert len(set(asyncio.run(several()))) == 1

    assert [record.getMessage() for record in caplog.records].count(f"loaded {model_file}") == 1


def test_a_closed_client_can_be_followed_by_another(model_file: Path) -> None:
    texts = []
    for _ in range(2):
        with Client(provider=local(model_file)) as client:
            texts.append(answer_of(client, QUESTION))

    assert texts[0] == texts[1]


# The end of the program

UNCLOSED = """
import sys
from promptkit import Client, Prompt
from promptkit.providers.local import Local

client = Client(provider=Local(model=sys.argv[1], context=512, threads=1))
prompt = Prompt("{% user %}Tell me a very long story.{% enduser %}").with_parameters(max_tokens=400)
stream = client.stream(prompt)
print(next(iter(stream)), flush=True)
"""

WAITING = UNCLOSED + "stream.result()\n"

LOOPED = """
import asyncio, sys
from promptkit import Client, Prompt
from promptkit.providers.local import Local

async def main():
    client = Client(provider=Local(model=sys.argv[1], context=512, threads=1))
    prompt = Prompt("{% user %}Tell me a very long story.{% enduser %}").with_parameters(max_tokens=400)
    async for piece in client.astream(prompt):
        print(piece, flush=True)
        return

asyncio.run(main())
"""

THREADED = """
import sys, threading
from promptkit import Client, Prompt
from promptkit.providers.local import Local

client = Client(provider=Local(model=sys.argv[1], context=512, threads=1))
prompt = Prompt("{% user %}Tell me a very long story.{% enduser %}").with_parameters(max_tokens=400)
first = threading.Event()

def work():
    for piece in client.stream(prompt):
        first.set()

threading.Thread(target=work, daemon=True).start()
first.wait()
"""


def start(script: str, model_file: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script, str(model_file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    "script", [UNCLOSED, LOOPED, THREADED], ids=["a held stream", "an event loop", "a thread at work"]
)
def test_a_script_that_closes_nothing_ends_well_while_the_model_talks(script: str, model_file: Path) -> None:
    with start(script, model_file) as process:
        _, errors = process.communicate(timeout=20)

    assert (process.returncode, errors) == (0, "")


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT")
def test_control_c_ends_a_script_while_the_model_talks(model_file: Path) -> None:
    with start(WAITING, model_file) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, errors = process.communicate(timeout=20)

    assert time.monotonic() - began < 5
    assert process.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in errors
