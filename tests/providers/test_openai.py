"""The Chat Completions codec: what is sent, and every shape hosts are known to answer in."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import respx
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from promptkit import Client, Prompt
from promptkit.errors import (
    AuthenticationFailed,
    ConfigError,
    Filtered,
    ProviderError,
    RateLimited,
    Refused,
    RequestRejected,
    ServerFailed,
    StreamTruncated,
    Truncated,
)
from promptkit.messages import Message
from promptkit.providers.base import Answer, Delta, HttpReply, Provider, ServerEvent
from promptkit.providers.openai import OpenAI, dialects, retry_after
from promptkit.requests import Completion, Parameters, Request, Schema, Usage
from promptkit.secrets import Secret

PROVIDER = OpenAI(model="m", api_key=Secret("sk-1"))
USAGE = {
    "prompt_tokens": 19,
    "completion_tokens": 10,
    "total_tokens": 29,
    "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0},
}


async def no_sleep(_: float) -> None:
    return None


def request(*texts: str, schema: Schema | None = None, **parameters: Any) -> Request:
    roles = ("system", "user", "assistant")
    messages = tuple(Message.of(roles[min(index, 2)], text) for index, text in enumerate(texts))
    return Request(messages=messages, parameters=Parameters(**parameters), schema=schema)


def whole(message: object, reason: object = "stop", **more: object) -> dict[str, object]:
    """A chat completion as the API reference shows it."""
    return {
        "id": "chatcmpl-B9MBs8",
        "object": "chat.completion",
        "created": 1741569952,
        "model": "gpt-5-mini-2025-08-07",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
        "usage": USAGE,
        "service_tier": "default",
        **more,
    }


def chunk(delta: object, reason: object = None, **more: object) -> dict[str, object]:
    """A streamed chunk as the API reference shows it."""
    return {
        "id": "chatcmpl-123",
        "object": "chat.completion.chunk",
        "created": 1694268190,
        "model": "gpt-4o-mini",
        "system_fingerprint": "fp_44709d6fcb",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}],
        **more,
    }


def sse(*bodies: object, done: bool = True) -> str:
    texts = [body if isinstance(body, str) else f"data: {json.dumps(body)}\n\n" for body in bodies]
    return "".join(texts) + ("data: [DONE]\n\n" if done else "")


def reply(body: object, status: int = 200, **headers: str) -> HttpReply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpReply(status=status, body=content, headers={name.replace("_", "-"): v for name, v in headers.items()})


def parse_stream(*bodies: object) -> Completion:
    answer = Answer()
    for body in bodies:
        data = body if isinstance(body, str) else json.dumps(body)
        if delta := PROVIDER.delta(ServerEvent(data=data)):
            answer.add(delta)
    return answer.completion()


# What is sent


def test_it_is_a_provider() -> None:
    assert isinstance(PROVIDER, Provider)


def test_a_call() -> None:
    call = PROVIDER.build(request("Be brief.", "Hi"), stream=False)

    assert call.url == "https://api.openai.com/v1/chat/completions"
    assert call.headers == {"content-type": "application/json"}
    assert call.secret_headers == {"authorization": Secret("Bearer sk-1")}
    assert call.secrets == (Secret("sk-1"),)
    assert json.loads(call.body) == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
    }


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        pytest.param(request("s", temperature=0), {"temperature": 0}, id="a temperature of 0 is sent"),
        pytest.param(request("s", top_p=0.5), {"top_p": 0.5}, id="top_p"),
        pytest.param(request("s", max_tokens=7), {"max_completion_tokens": 7}, id="the output limit"),
        pytest.param(request("s", seed=0), {"seed": 0}, id="a seed of 0 is sent"),
        pytest.param(request("s", stop=("END", "\n")), {"stop": ["END", "\n"]}, id="stop texts"),
        pytest.param(request("s"), {}, id="nothing that is not set"),
        pytest.param(
            request("s", schema=Schema("Answer", {"type": "object"})),
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "Answer", "schema": {"type": "object"}},
                }
            },
            id="the output schema",
        ),
    ],
)
def test_what_goes_into_the_body(asked: Request, sent: dict[str, object]) -> None:
    body = json.loads(PROVIDER.build(asked, stream=False).body)

    assert body == {"model": "m", "messages": [{"role": "system", "content": "s"}], **sent}


def test_a_stream_is_asked_for_with_its_usage() -> None:
    body = json.loads(PROVIDER.build(request("s"), stream=True).body)

    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}


def test_text_is_sent_as_utf8() -> None:
    assert "ж 🎉 \u2028".encode() in PROVIDER.build(request("ж 🎉 \u2028"), stream=False).body


def test_without_a_key_none_is_sent() -> None:
    call = OpenAI(model="m", dialect="vllm").build(request("s"), stream=False)

    assert call.secret_headers == {}
    assert call.secrets == ()


@pytest.mark.parametrize("name", sorted(dialects()))
def test_every_dialect_has_an_address_and_limits_the_output(name: str) -> None:
    dialect = dialects()[name]
    provider = OpenAI(model="m", dialect=name, base_url="" if dialect.base_url else "http://host/v1")
    call = provider.build(request("s", max_tokens=5), stream=False)

    assert call.url.endswith("/chat/completions")
    assert json.loads(call.body)[dialect.output_limit] == 5
    assert {"max_tokens", "max_completion_tokens"} & json.loads(call.body).keys() == {dialect.output_limit}


@pytest.mark.parametrize(
    ("options", "url"),
    [
        pytest.param({"base_url": "http://h:1/v1"}, "http://h:1/v1/chat/completions", id="an address of one's own"),
        pytest.param({"base_url": "http://h:1/v1//"}, "http://h:1/v1/chat/completions", id="with a slash at the end"),
        pytest.param({"dialect": "ollama"}, "http://127.0.0.1:11434/v1/chat/completions", id="the dialect's"),
        pytest.param({"dialect": "ollama", "base_url": "https://h"}, "https://h/chat/completions", id="one's own wins"),
    ],
)
def test_where_a_call_goes(options: dict[str, str], url: str) -> None:
    assert OpenAI(model="m", **options).build(request("s"), stream=True).url == url


@pytest.mark.parametrize(
    ("options", "message", "field", "hint"),
    [
        pytest.param({"dialect": "opnai"}, "unknown dialect 'opnai'", "dialect", "did you mean 'openai'?", id="a typo"),
        pytest.param(
            {"dialect": "xyz"}, "unknown dialect 'xyz'", "dialect", "known dialects: compatible", id="unknown"
        ),
        pytest.param({"dialect": "compatible"}, "base_url must begin with", "base_url", "for example", id="no address"),
        pytest.param({"base_url": "host/v1"}, "base_url must begin with", "base_url", "for example", id="no scheme"),
        pytest.param({"base_url": "file:///etc"}, "base_url must begin with", "base_url", "for example", id="a file"),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, str], message: str, field: str, hint: str) -> None:
    with pytest.raises(ConfigError) as raised:
        OpenAI(model="m", **options)

    assert message in raised.value.message
    assert raised.value.field == field
    assert hint in (raised.value.hint or "")


@pytest.mark.parametrize(
    "key",
    ["sk-7Qz4vN8w\n", "sk-7Qz4vN8w\r\nx-injected: 1", "ключ-7Qz4vN8w"],
    ids=["a line end", "a second header", "another script"],
)
def test_a_key_that_cannot_be_a_header_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigError) as raised:
        OpenAI(model="m", api_key=Secret(key))

    assert raised.value.field == "api_key"
    assert "7Qz4vN8w" not in str(raised.value)


# Whole answers


@pytest.mark.parametrize(
    ("body", "text", "ending"),
    [
        pytest.param(whole({"role": "assistant", "content": "Hi!", "refusal": None}), "Hi!", "complete", id="plain"),
        pytest.param(whole({"content": ""}), "", "complete", id="an empty answer"),
        pytest.param(whole({"content": None}), "", "complete", id="no content"),
        pytest.param(whole({"content": "Hi", "refusal": ""}), "Hi", "complete", id="an empty refusal is none"),
        pytest.param(whole({"content": None, "refusal": "I can't."}), "I can't.", "refused", id="a refusal"),
        pytest.param(whole({"content": "Onc"}, "length"), "Onc", "truncated", id="cut off at the limit"),
        pytest.param(whole({"content": None}, "content_filter"), "", "filtered", id="withheld by a filter"),
        pytest.param(
            whole({"content": None, "tool_calls": [{"id": "call_1", "type": "function"}]}, "tool_calls"),
            "",
            "tool_calls",
            id="a tool call",
        ),
        pytest.param(whole({"content": None}, "function_call"), "", "tool_calls", id="a tool call of old"),
        pytest.param(
            whole({"content": [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Hi"}]}),
            "Hi",
            "complete",
            id="content in parts",
        ),
        pytest.param(whole({"content": "Hi"}, error=None), "Hi", "complete", id="an error of null is none"),
        pytest.param(whole({"content": "Hi"}, usage=None), "Hi", "complete", id="no usage"),
    ],
)
def test_a_whole_answer(body: dict[str, object], text: str, ending: str) -> None:
    completion = PROVIDER.parse(reply(body))

    assert (completion.text, completion.ending) == (text, ending)


def test_a_whole_answer_has_its_facts() -> None:
    completion = PROVIDER.parse(reply(whole({"content": "Hi"})))

    assert completion.usage == Usage(input_tokens=19, output_tokens=10, cached_tokens=4)
    assert completion.model == "gpt-5-mini-2025-08-07"
    assert completion.id == "chatcmpl-B9MBs8"


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        pytest.param(None, None, id="none"),
        pytest.param({"prompt_tokens": 3, "completion_tokens": 2}, Usage(input_tokens=3, output_tokens=2), id="plain"),
        pytest.param({"prompt_tokens": None}, Usage(), id="null"),
        pytest.param({"prompt_tokens": 3, "prompt_tokens_details": None}, Usage(input_tokens=3), id="no details"),
        pytest.param(
            {"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": None}},
            Usage(input_tokens=3),
            id="null cached",
        ),
    ],
)
def test_usage(usage: object, expected: Usage | None) -> None:
    assert PROVIDER.parse(reply(whole({"content": ""}, usage=usage))).usage == expected


@pytest.mark.parametrize(
    ("body", "message", "retryable"),
    [
        pytest.param(whole({}, choices=[]), "without any choice", True, id="no choice"),
        pytest.param(whole({}, choices=None), "without any choice", True, id="choices of null"),
        pytest.param({}, "without any choice", True, id="an empty object"),
        pytest.param([], "no JSON", True, id="an empty list"),
        pytest.param(b"null", "no JSON", True, id="null"),
        pytest.param(b"", "answered nothing", True, id="nothing"),
        pytest.param(b"<html><title>Sign in</title></html>", "no JSON: '<html><title>Sign in", True, id="a page"),
        pytest.param(b"\xff\xfe\x00", "no JSON", True, id="bytes"),
        pytest.param(b"[" * 100_000, "no JSON", True, id="JSON too deep to read"),
        pytest.param(whole({"content": ""}, "moon"), "unknown reason: 'moon'", False, id="an unknown ending"),
        pytest.param(whole({"content": ""}, "error"), "reported an error", True, id="the ending says error"),
    ],
)
def test_an_answer_that_is_none(body: object, message: str, retryable: bool) -> None:
    with pytest.raises(ServerFailed) as raised:
        PROVIDER.parse(reply(body))

    assert message in raised.value.message
    assert raised.value.retryable is retryable


def test_an_answer_that_does_not_say_how_it_ended_is_not_complete() -> None:
    with pytest.raises(StreamTruncated) as raised:
        PROVIDER.parse(reply(whole({"content": "Onc"}, None)))

    assert raised.value.partial == "Onc"


# Errors

OPENAI_KEY = {
    "error": {
        "message": "Incorrect API key provided: sk-1.",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_api_key",
    }
}
OPENAI_QUOTA = {
    "error": {
        "message": "You exceeded your current quota, please check your plan and billing details.",
        "type": "insufficient_quota",
        "param": None,
        "code": "insufficient_quota",
    }
}
OPENAI_RATE = {
    "error": {
        "message": "Rate limit reached for gpt-5-mini in organization org-x on requests per min (RPM)",
        "type": "requests",
        "param": None,
        "code": "rate_limit_exceeded",
    }
}
OPENAI_LONG = {
    "error": {
        "message": "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000.",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "context_length_exceeded",
    }
}
VLLM_LONG = {
    "object": "error",
    "message": "This model's maximum context length is 512 tokens.",
    "type": "BadRequestError",
    "param": None,
    "code": 400,
}
LLAMA_LONG = {
    "error": {
        "code": 400,
        "message": "the request exceeds the available context size, try increasing it",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 5031,
        "n_ctx": 2048,
    }
}
LLAMA_LOADING = {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}
LLAMA_KEY = {"error": {"code": 401, "message": "Invalid API Key", "type": "authentication_error"}}
GEMINI_RATE = [{"error": {"code": 429, "message": "Resource has been exhausted", "status": "RESOURCE_EXHAUSTED"}}]
GEMINI_BAD = [{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}}]
AZURE_FILTER = {
    "error": {
        "message": "The response was filtered",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {"code": "ResponsibleAIPolicyViolation"},
    }
}
OLLAMA_MODEL = {"error": {"message": "model 'x' not found", "type": "api_error", "param": None, "code": None}}
MISTRAL_422 = {"detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required"}]}
DEEPSEEK_402 = {"error": {"message": "Insufficient Balance", "type": "unknown_error", "code": "invalid_request_error"}}


@pytest.mark.parametrize(
    ("status", "body", "kind", "code", "retryable", "message"),
    [
        pytest.param(401, OPENAI_KEY, AuthenticationFailed, "invalid_api_key", False, "Incorrect", id="OpenAI: key"),
        pytest.param(429, OPENAI_QUOTA, RateLimited, "insufficient_quota", False, "exceeded your", id="OpenAI: quota"),
        pytest.param(429, OPENAI_RATE, RateLimited, "rate_limit_exceeded", True, "Rate limit", id="OpenAI: rate"),
        pytest.param(400, OPENAI_LONG, RequestRejected, "context_length_exceeded", False, "maximum", id="OpenAI: long"),
        pytest.param(
            400, VLLM_LONG, RequestRejected, "BadRequestError", False, "512 tokens", id="vLLM: long, no envelope"
        ),
        pytest.param(
            400,
            {"error": VLLM_LONG},
            RequestRejected,
            "BadRequestError",
            False,
            "512 tokens",
            id="vLLM: long, enveloped",
        ),
        pytest.param(401, {"error": "Unauthorized"}, AuthenticationFailed, None, False, "Unauthorized", id="vLLM: key"),
        pytest.param(404, {"detail": "Not Found"}, RequestRejected, None, False, "Not Found", id="vLLM: no such route"),
        pytest.param(
            400, LLAMA_LONG, RequestRejected, "exceed_context_size_error", False, "context size", id="llama.cpp: long"
        ),
        pytest.param(503, LLAMA_LOADING, ServerFailed, "unavailable_error", True, "Loading", id="llama.cpp: loading"),
        pytest.param(
            401, LLAMA_KEY, AuthenticationFailed, "authentication_error", False, "Invalid", id="llama.cpp: key"
        ),
        pytest.param(429, GEMINI_RATE, RateLimited, None, True, "Resource has been", id="Gemini: rate, in a list"),
        pytest.param(400, GEMINI_BAD, RequestRejected, None, False, "API key not valid", id="Gemini: key, in a list"),
        pytest.param(400, AZURE_FILTER, RequestRejected, "content_filter", False, "filtered", id="Azure: filter"),
        pytest.param(404, OLLAMA_MODEL, RequestRejected, "api_error", False, "'x' not found", id="Ollama: no model"),
        pytest.param(422, MISTRAL_422, RequestRejected, None, False, "Field required", id="Mistral: list of details"),
        pytest.param(
            402, DEEPSEEK_402, RequestRejected, "invalid_request_error", False, "Balance", id="DeepSeek: no money"
        ),
        pytest.param(502, b"<html>Bad Gateway</html>", ServerFailed, None, True, "Bad Gateway", id="a proxy's page"),
        pytest.param(500, b"", ServerFailed, None, True, "answered nothing", id="an empty body"),
        pytest.param(500, b"[" * 100_000, ServerFailed, None, True, "HTTP 500", id="JSON too deep to read"),
        pytest.param(501, {"error": "no"}, ServerFailed, None, False, "no (HTTP 501)", id="501 is for good"),
        pytest.param(408, {"error": "slow"}, RequestRejected, None, True, "slow", id="408 may pass"),
        pytest.param(409, {"error": "busy"}, RequestRejected, None, True, "busy", id="409 may pass"),
        pytest.param(425, {"error": "early"}, RequestRejected, None, True, "early", id="425 may pass"),
        pytest.param(529, {"error": "over"}, ServerFailed, None, True, "over", id="529 may pass"),
        pytest.param(403, {"error": "no"}, AuthenticationFailed, None, False, "no", id="403 is the key's"),
        pytest.param(204, b"", RequestRejected, None, False, "HTTP 204", id="no content is no answer"),
        pytest.param(302, b"", RequestRejected, None, False, "redirects", id="a redirect"),
        pytest.param(308, {"error": "moved"}, RequestRejected, None, False, "redirects", id="a redirect with a body"),
    ],
)
def test_an_error_by_status(
    status: int, body: object, kind: type[ProviderError], code: str | None, retryable: bool, message: str
) -> None:
    with pytest.raises(ProviderError) as raised:
        PROVIDER.parse(reply(body, status))

    error = raised.value
    assert type(error) is kind
    assert message in error.message
    assert (error.status, error.code, error.retryable) == (status, code, retryable)


@pytest.mark.parametrize(
    ("error", "kind", "status", "retryable"),
    [
        pytest.param({"code": 502, "message": "no"}, ServerFailed, 502, True, id="OpenRouter: provider down"),
        pytest.param({"code": 429, "message": "no"}, RateLimited, 429, True, id="OpenRouter: rate"),
        pytest.param({"code": 402, "message": "no"}, RequestRejected, 402, False, id="OpenRouter: no money"),
        pytest.param({"code": 401, "message": "no"}, AuthenticationFailed, 401, False, id="OpenRouter: key"),
        pytest.param({"code": "insufficient_quota", "message": "no"}, ServerFailed, 200, False, id="quota by name"),
        pytest.param({"message": "no"}, ServerFailed, 200, True, id="a message only"),
        pytest.param("no", ServerFailed, 200, True, id="a text"),
    ],
)
def test_an_error_inside_a_200(error: object, kind: type[ProviderError], status: int, retryable: bool) -> None:
    with pytest.raises(ProviderError) as raised:
        PROVIDER.parse(reply({"error": error}))

    assert type(raised.value) is kind
    assert "no" in raised.value.message
    assert raised.value.status == status
    assert raised.value.retryable is retryable


def test_the_hint_of_a_refused_key_says_where_it_is_set() -> None:
    with pytest.raises(AuthenticationFailed) as raised:
        PROVIDER.parse(reply(OPENAI_KEY, 401))

    assert raised.value.hint == "check the api_key of this model in promptkit.toml"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({}, None, id="none"),
        pytest.param({"retry-after": "3"}, 3.0, id="seconds"),
        pytest.param({"retry-after": "0"}, 0.0, id="at once"),
        pytest.param({"retry-after": "1.5"}, 1.5, id="parts of a second"),
        pytest.param({"retry-after": "7200"}, 7200.0, id="very long"),
        pytest.param({"retry-after-ms": "250"}, 0.25, id="milliseconds"),
        pytest.param({"retry-after-ms": "250", "retry-after": "9"}, 0.25, id="milliseconds are more exact"),
        pytest.param(
            {"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"},
            30.0,
            id="a date, by the server's own clock",
        ),
        pytest.param(
            {"retry-after": "Wed, 21 Oct 2026 07:27:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"},
            0.0,
            id="a date that has passed",
        ),
        pytest.param({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, None, id="a date long ago"),
        pytest.param({"retry-after": "soon"}, None, id="words"),
        pytest.param({"retry-after": ""}, None, id="empty"),
        pytest.param({"retry-after": "nan"}, None, id="not a number"),
        pytest.param({"retry-after": "inf"}, None, id="for ever"),
        pytest.param({"retry-after": "1e999"}, None, id="too large a number"),
        pytest.param({"retry-after": "-5"}, None, id="less than nothing"),
        pytest.param({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "today"}, None, id="a date of no clock"),
    ],
)
def test_how_long_the_server_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_an_error_carries_the_wait() -> None:
    with pytest.raises(RateLimited) as raised:
        PROVIDER.parse(reply(OPENAI_RATE, 429, retry_after="7"))

    assert raised.value.retry_after == 7.0


# Streams


@pytest.mark.parametrize(
    ("bodies", "text", "ending"),
    [
        pytest.param(
            [
                chunk({"role": "assistant", "content": "", "refusal": None}),
                chunk({"content": "Hel"}),
                chunk({"content": "lo"}),
                chunk({}, "stop"),
                {"id": "chatcmpl-123", "choices": [], "usage": USAGE},
                "[DONE]",
            ],
            "Hello",
            "complete",
            id="as documented",
        ),
        pytest.param([chunk({"content": "Onc"}), chunk({}, "length")], "Onc", "truncated", id="cut off at the limit"),
        pytest.param(
            [chunk({"content": "A"}), chunk({}, "content_filter")], "A", "filtered", id="withheld by a filter"
        ),
        pytest.param(
            [
                chunk({"role": "assistant", "content": None, "refusal": ""}),
                chunk({"refusal": "I'm sorry, "}),
                chunk({"refusal": "I can't."}),
                chunk({}, "stop"),
                "[DONE]",
            ],
            "I'm sorry, I can't.",
            "refused",
            id="a refusal, though it ends with stop",
        ),
        pytest.param([chunk({"tool_calls": []}), chunk({}, "tool_calls")], "", "tool_calls", id="a tool call"),
        pytest.param(
            [chunk(None), chunk({"content": "A"}), chunk(None, "stop")], "A", "complete", id="a delta of null"
        ),
        pytest.param(
            [chunk({"content": None}), chunk({"content": "A"}, "stop")], "A", "complete", id="content of null"
        ),
        pytest.param(
            [{"choices": [], "prompt_filter_results": []}, chunk({"content": "A"}, "stop")],
            "A",
            "complete",
            id="Azure's first chunk without a choice",
        ),
        pytest.param(
            [
                chunk({"content": [{"type": "thinking", "thinking": []}]}),
                chunk({"content": [{"type": "text", "text": "A"}]}, "stop"),
            ],
            "A",
            "complete",
            id="Mistral's parts",
        ),
        pytest.param([chunk({"content": "A"}, "stop", error=None)], "A", "complete", id="an error of null is none"),
        pytest.param(
            [chunk({"reasoning_content": "hm"}), chunk({"content": "A"}, "stop")], "A", "complete", id="thoughts"
        ),
    ],
)
def test_a_streamed_answer(bodies: list[object], text: str, ending: str) -> None:
    completion = parse_stream(*bodies)

    assert (completion.text, completion.ending) == (text, ending)


def test_a_streamed_answer_has_its_facts() -> None:
    completion = parse_stream(chunk({"content": "A"}, "stop"), {"choices": [], "usage": USAGE}, "[DONE]")

    assert completion.usage == Usage(input_tokens=19, output_tokens=10, cached_tokens=4)
    assert (completion.model, completion.id) == ("gpt-4o-mini", "chatcmpl-123")


def test_done_is_the_last_event() -> None:
    assert PROVIDER.delta(ServerEvent(data="[DONE]")) == Delta(last=True)
    assert PROVIDER.delta(ServerEvent(data=" [DONE] ")) == Delta(last=True)


@pytest.mark.parametrize(
    "bodies", [[], ["[DONE]"], [{"choices": []}, "[DONE]"]], ids=["nothing", "marker", "no choice"]
)
def test_a_stream_that_says_nothing_of_its_ending_is_not_complete(bodies: list[object]) -> None:
    with pytest.raises(StreamTruncated) as raised:
        parse_stream(chunk({"content": "Onc"}), *bodies)

    assert raised.value.partial == "Onc"
    assert raised.value.retryable


@pytest.mark.parametrize(
    ("event", "kind", "status", "code", "retryable", "message"),
    [
        pytest.param(
            ServerEvent(data='{"error": {"code": 429, "message": "slow down"}}'),
            RateLimited,
            429,
            None,
            True,
            "slow down",
            id="OpenRouter: rate",
        ),
        pytest.param(
            ServerEvent(data='{"error": {"code": 400, "message": "too long", "type": "BadRequestError"}}'),
            RequestRejected,
            400,
            "BadRequestError",
            False,
            "too long",
            id="vLLM: too long",
        ),
        pytest.param(
            ServerEvent(data='{"error": {"code": "server_error", "message": "gone"}, "choices": []}'),
            ServerFailed,
            None,
            "server_error",
            True,
            "gone",
            id="a code in words",
        ),
        pytest.param(
            ServerEvent(data='{"error": {"code": "insufficient_quota", "message": "no money"}}'),
            ServerFailed,
            None,
            "insufficient_quota",
            False,
            "no money",
            id="the quota is used up",
        ),
        pytest.param(ServerEvent(data='{"error": "gone"}'), ServerFailed, None, None, True, "gone", id="a text"),
        pytest.param(
            ServerEvent(data='{"message": "gone"}', event="error"), ServerFailed, None, None, True, "gone", id="by name"
        ),
        pytest.param(
            ServerEvent(data='[{"error": {"code": 503, "message": "busy"}}]'),
            ServerFailed,
            503,
            None,
            True,
            "busy",
            id="Gemini: in a list",
        ),
        pytest.param(
            ServerEvent(data=json.dumps(chunk({"content": ""}, "error"))),
            ServerFailed,
            None,
            None,
            True,
            "reported an error",
            id="the ending says error",
        ),
        pytest.param(
            ServerEvent(data=json.dumps(chunk({}, "moon"))),
            ServerFailed,
            None,
            None,
            False,
            "unknown reason: 'moon'",
            id="an unknown ending",
        ),
        pytest.param(
            ServerEvent(data='{"choices": [{"del'), ServerFailed, None, None, True, "not JSON", id="torn JSON"
        ),
        pytest.param(ServerEvent(data="[" * 100_000), ServerFailed, None, None, True, "not JSON", id="too deep"),
        pytest.param(ServerEvent(data="17"), ServerFailed, None, None, True, "error in the stream", id="a number"),
    ],
)
def test_an_error_in_the_stream(
    event: ServerEvent, kind: type[ProviderError], status: int | None, code: str | None, retryable: bool, message: str
) -> None:
    with pytest.raises(ProviderError) as raised:
        PROVIDER.delta(event)

    error = raised.value
    assert type(error) is kind
    assert message in error.message
    assert (error.status, error.code, error.retryable) == (status, code, retryable)


# A busy machine is slow; that says nothing about the code.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 600) | st.just(1.5) | st.sampled_from(["", "stop", "text", "error"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from("type text content refusal message code cached_tokens prompt_tokens".split()),
            inner,
            max_size=2,
        )
    ),
    max_leaves=4,
)
CHOICE = st.fixed_dictionaries({}, optional={"delta": JSON, "message": JSON, "finish_reason": JSON})
BODY = st.fixed_dictionaries(
    {"choices": st.lists(CHOICE, min_size=1, max_size=2) | JSON}, optional={"usage": JSON, "error": JSON, "id": JSON}
)


@unhurried
@given(BODY | JSON, st.sampled_from([200, 400, 429, 500]))
@example({"choices": [{"message": "text"}]}, 200)
@example({"choices": [{"message": {"refusal": {}}, "finish_reason": {"type": "stop"}}]}, 200)
@example({"choices": [{"message": {"refusal": ["text"]}}]}, 200)
@example({"choices": [{"message": {"content": [{"type": "text", "text": None}]}}]}, 200)
def test_whatever_json_a_server_answers_is_an_answer_or_its_error(body: object, status: int) -> None:
    try:
        completion = PROVIDER.parse(reply(body, status))
    except ProviderError:
        return
    assert isinstance(completion.text, str)
    assert status == 200


@unhurried
@given(st.lists(BODY | JSON, min_size=1, max_size=3))
@example([{"choices": [{"delta": "text"}]}])
@example([{"choices": [{"delta": {}, "finish_reason": ["stop"]}]}])
@example([{"choices": [{"delta": {"refusal": ["text"]}}]}])
@example([{"choices": [{"delta": {"content": [{"type": "text", "text": 1}]}, "finish_reason": "stop"}]}])
def test_whatever_json_a_server_streams_is_an_answer_or_its_error(bodies: list[object]) -> None:
    try:
        completion = parse_stream(*bodies)
    except ProviderError:
        return
    assert isinstance(completion.text, str)


# Through a client

URL = "https://api.openai.com/v1/chat/completions"
SSE = {"content-type": "text/event-stream; charset=utf-8"}


@pytest.fixture
def client() -> Any:
    with Client(provider=PROVIDER, sleep=no_sleep) as client:
        yield client


def test_a_run_is_streamed_on_the_wire(client: Client, respx_mock: respx.MockRouter) -> None:
    body = sse(chunk({"content": "Hel"}), chunk({"content": "lo"}), chunk({}, "stop"), {"choices": [], "usage": USAGE})
    route = respx_mock.post(URL).respond(200, headers=SSE, content=body)

    result = client.run(Prompt("Hi"))

    assert result.output == "Hello"
    assert result.usage == Usage(input_tokens=19, output_tokens=10, cached_tokens=4)
    sent = route.calls.last.request
    assert json.loads(sent.content)["stream"] is True
    assert sent.headers["authorization"] == "Bearer sk-1"
    assert sent.headers["accept-encoding"] == "identity"


def test_a_whole_answer_to_a_request_for_a_stream_is_taken(client: Client, respx_mock: respx.MockRouter) -> None:
    respx_mock.post(URL).respond(200, json=whole({"content": "Hello"}))

    assert client.run(Prompt("Hi")).output == "Hello"
    assert list(client.stream(Prompt("Hi"))) == ["Hello"]


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        pytest.param({"json": whole({"content": "Onc"}, "length")}, Truncated, "Onc", id="cut off"),
        pytest.param({"json": whole({"content": None}, "content_filter")}, Filtered, "", id="filtered"),
        pytest.param({"json": whole({"content": None, "refusal": "No."})}, Refused, "No.", id="refused"),
        pytest.param(
            {"headers": SSE, "content": sse(chunk({"content": "Onc"}), chunk({}, "length"))},
            Truncated,
            "Onc",
            id="cut off, streamed",
        ),
        pytest.param(
            {"headers": SSE, "content": sse(chunk({"content": "A"}), chunk({}, "content_filter"))},
            Filtered,
            "A",
            id="filtered, streamed",
        ),
        pytest.param(
            {"headers": SSE, "content": sse(chunk({"refusal": "No."}), chunk({}, "stop"))},
            Refused,
            "No.",
            id="refused, streamed",
        ),
    ],
)
def test_an_answer_without_an_output_is_never_asked_for_again(
    client: Client, respx_mock: respx.MockRouter, answer: dict[str, Any], kind: type[Exception], text: str
) -> None:
    route = respx_mock.post(URL).respond(200, **answer)

    with pytest.raises(kind) as raised:
        client.run(Prompt("Hi"))

    assert getattr(raised.value, "text", None) == text
    assert route.call_count == 1


@pytest.mark.parametrize(
    ("answer", "kind", "requests"),
    [
        pytest.param({"status_code": 429, "json": OPENAI_QUOTA}, RateLimited, 1, id="the quota is used up"),
        pytest.param(
            {"status_code": 429, "json": OPENAI_QUOTA, "headers": {"retry-after": "1"}},
            RateLimited,
            1,
            id="quota, with a wait",
        ),
        pytest.param({"status_code": 429, "json": OPENAI_RATE}, RateLimited, 3, id="too fast"),
        pytest.param(
            {"status_code": 429, "json": OPENAI_RATE, "headers": {"retry-after": "0"}},
            RateLimited,
            3,
            id="a short wait",
        ),
        pytest.param(
            {"status_code": 429, "json": OPENAI_RATE, "headers": {"retry-after": "600"}},
            RateLimited,
            1,
            id="a long wait",
        ),
        pytest.param({"status_code": 500, "json": {"error": "down"}}, ServerFailed, 3, id="down"),
        pytest.param({"status_code": 503, "json": LLAMA_LOADING}, ServerFailed, 3, id="loading"),
        pytest.param({"status_code": 501, "json": {"error": "no"}}, ServerFailed, 1, id="not implemented"),
        pytest.param({"status_code": 400, "json": OPENAI_LONG}, RequestRejected, 1, id="too long"),
        pytest.param({"status_code": 401, "json": OPENAI_KEY}, AuthenticationFailed, 1, id="a bad key"),
        pytest.param({"status_code": 200, "html": "<html>Sign in</html>"}, ServerFailed, 3, id="a page"),
        pytest.param(
            {"status_code": 200, "json": {"error": {"code": 402, "message": "no"}}}, RequestRejected, 1, id="402 in 200"
        ),
        pytest.param({"status_code": 200, "json": whole({}, choices=[])}, ServerFailed, 3, id="no choice"),
        pytest.param({"status_code": 200, "headers": SSE, "content": ""}, StreamTruncated, 3, id="an empty stream"),
        pytest.param(
            {
                "status_code": 200,
                "headers": SSE,
                "content": sse({"error": {"code": "insufficient_quota", "message": "no"}}),
            },
            ProviderError,
            1,
            id="the quota, in the stream",
        ),
        pytest.param(
            {"status_code": 302, "headers": {"location": "https://elsewhere.test/"}},
            RequestRejected,
            1,
            id="a redirect",
        ),
    ],
)
def test_how_often_a_failure_is_tried(
    client: Client, respx_mock: respx.MockRouter, answer: dict[str, Any], kind: type[ProviderError], requests: int
) -> None:
    route = respx_mock.post(URL).respond(**answer)

    with pytest.raises(kind) as raised:
        client.run(Prompt("Hi"))

    assert route.call_count == requests
    assert isinstance(raised.value, ProviderError)
    assert raised.value.retryable is (requests > 1 or raised.value.retry_after == 600)


@pytest.mark.respx(assert_all_called=False)
def test_a_key_is_not_sent_where_a_redirect_points(client: Client, respx_mock: respx.MockRouter) -> None:
    respx_mock.post(URL).respond(307, headers={"location": "https://elsewhere.test/v1/chat/completions"})
    elsewhere = respx_mock.route(host="elsewhere.test").respond(200, json=whole({"content": "got it"}))

    with pytest.raises(RequestRejected, match="a key is never sent on to another address") as raised:
        client.run(Prompt("Hi"))

    assert raised.value.status == 307
    assert not elsewhere.called


def test_a_stream_cut_before_its_end_is_asked_again(client: Client, respx_mock: respx.MockRouter) -> None:
    cut = httpx.Response(200, headers=SSE, content=sse(chunk({"content": "Hel"}), done=False))
    good = httpx.Response(200, headers=SSE, content=sse(chunk({"content": "Hello"}), chunk({}, "stop")))
    route = respx_mock.post(URL).mock(side_effect=[cut, good])

    assert client.run(Prompt("Hi")).output == "Hello"
    assert route.call_count == 2


def test_pieces_come_as_they_are_streamed(client: Client, respx_mock: respx.MockRouter) -> None:
    body = sse(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        chunk({}, "stop"),
    )
    respx_mock.post(URL).respond(200, headers=SSE, content=body)

    assert list(client.stream(Prompt("Hi"))) == ["Hel", "lo"]
