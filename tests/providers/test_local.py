"""The local codec: the same JSON, addressed to llama.cpp in this process."""

from __future__ import annotations

import json

import pytest

from promptkit.errors import ConfigError, RequestRejected
from promptkit.messages import Message
from promptkit.providers.base import HttpReply, Provider, ServerEvent
from promptkit.providers.local import Local
from promptkit.requests import Parameters, Request, Schema

HI = Request(messages=(Message.of("user", "Hi"),), parameters=Parameters(max_tokens=5, seed=0))


def test_it_is_a_provider() -> None:
    assert isinstance(Local(model="m"), Provider)


@pytest.mark.parametrize(
    ("provider", "url"),
    [
        pytest.param(Local(model="m"), "llama:m?context=0&threads=0", id="a name"),
        pytest.param(Local(model="m", context=512, threads=2), "llama:m?context=512&threads=2", id="with its options"),
        pytest.param(
            Local(model="/a b/ü?x#y%.gguf"), "llama:/a%20b/%C3%BC%3Fx%23y%25.gguf?context=0&threads=0", id="a path"
        ),
    ],
)
def test_the_address_says_which_model(provider: Local, url: str) -> None:
    assert provider.build(HI, stream=True).url == url


def test_prompt_cache_is_no_other_model() -> None:
    assert (
        Local(model="m", prompt_cache=False).build(HI, stream=True).url
        == Local(model="m", prompt_cache=True).build(HI, stream=True).url
    )


@pytest.mark.parametrize("cache", [True, False])
def test_a_call(cache: bool) -> None:
    call = Local(model="m", prompt_cache=cache).build(HI, stream=True)

    assert json.loads(call.body) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 5,
        "seed": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
        "cache_prompt": cache,
        "return_progress": True,
    }
    assert call.secrets == ()
    assert call.secret_headers == {}


def test_the_output_schema_is_sent() -> None:
    schema = Schema("Answer", {"type": "object"})
    body = json.loads(Local(model="m").build(Request(messages=(), schema=schema), stream=True).body)

    assert body["response_format"]["json_schema"] == {"name": "Answer", "schema": {"type": "object"}}


@pytest.mark.parametrize("field", ["context", "threads"])
def test_less_than_nothing_is_refused(field: str) -> None:
    with pytest.raises(ConfigError, match=f"{field} must be 0 or more, got -1") as raised:
        Local(model="m", **{field: -1})  # type: ignore[arg-type]

    assert raised.value.field == field


def test_a_sign_of_life_adds_no_text() -> None:
    progress = {"choices": [{"delta": {"role": "assistant", "content": None}}], "prompt_progress": {"total": 9}}
    delta = Local(model="m").delta(ServerEvent(data=json.dumps(progress)))

    assert delta is not None
    assert (delta.text, delta.ending, delta.last) == ("", None, False)


def test_an_error_is_read_as_a_servers() -> None:
    body = {"error": {"code": 400, "message": "too long", "type": "exceed_context_size_error"}}

    with pytest.raises(RequestRejected, match="too long") as raised:
        Local(model="m").parse(HttpReply(status=400, body=json.dumps(body).encode()))

    assert (raised.value.code, raised.value.retryable) == ("exceed_context_size_error", False)
