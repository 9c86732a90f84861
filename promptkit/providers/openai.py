"""OpenAI Chat Completions, and every host that speaks it.

Source: https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Any

from promptkit.errors import ConfigError, ProviderError, ServerFailed, nearest
from promptkit.providers.base import (
    NEVER_RETRY,
    Answer,
    Delta,
    HttpCall,
    HttpReply,
    ServerEvent,
    error_for_status,
)
from promptkit.requests import Completion, Ending, Request, Usage
from promptkit.secrets import Secret

__all__ = ["Dialect", "OpenAI", "dialects"]

ENDINGS: dict[str, Ending] = {
    "stop": "complete",
    "length": "truncated",
    "content_filter": "filtered",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one host differs; see ``dialects.toml``."""

    base_url: str
    output_limit: str


@lru_cache(maxsize=1)
def dialects() -> dict[str, Dialect]:
    """All known dialects by name."""
    text = files("promptkit.providers").joinpath("dialects.toml").read_text("utf-8")
    return {name: Dialect(**values) for name, values in tomllib.loads(text).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAI:
    """Chat Completions over HTTP.

    Attributes:
        model: the model's name at the host.
        dialect: which host, as ``"openai"``, ``"vllm"``, ``"groq"``; ``"compatible"`` for any other.
        base_url: where the host answers, up to ``/v1``; by default the dialect's own.
        api_key: the key, sent as a bearer token.

    Raises `ConfigError` for an unknown dialect or a missing address.

    >>> OpenAI(model="m", dialect="vllm").base_url
    'http://127.0.0.1:8000/v1'
    """

    model: str
    dialect: str = "openai"
    base_url: str = ""
    api_key: Secret | None = None
    _dialect: Dialect = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = dialects()
        if self.dialect not in known:
            hint = nearest(self.dialect, known) or f"known dialects: {', '.join(known)}"
            raise ConfigError(f"unknown dialect {self.dialect!r}", field="dialect", hint=hint)
        object.__setattr__(self, "_dialect", known[self.dialect])
        base_url = (self.base_url or self._dialect.base_url).rstrip("/")
        if not base_url.startswith(("http://", "https://")):
            raise ConfigError(
                "base_url must begin with http:// or https://",  # without it: it may be a key in the wrong place
                field="base_url",
                hint='for example base_url = "http://127.0.0.1:8080/v1"',
            )
        if "@" in base_url.partition("//")[2].partition("/")[0]:
            raise ConfigError("base_url must not hold a user or password", field="base_url", hint="use api_key")
        object.__setattr__(self, "base_url", base_url)
        key = self.api_key.reveal() if self.api_key else "none"
        if not (key and key.isascii() and key.isprintable()):
            raise ConfigError("api_key must be printable ASCII", field="api_key", hint="is there a line end in it?")

    def build(self, request: Request, *, stream: bool) -> HttpCall:
        key = self.api_key
        return HttpCall(
            url=f"{self.base_url}/chat/completions",
            body=encode(chat_body(request, self.model, self._dialect.output_limit, stream=stream)),
            headers={"content-type": "application/json"},
            secret_headers={"authorization": Secret(f"Bearer {key.reveal()}")} if key else {},
            secrets=(key,) if key else (),
        )

    def parse(self, reply: HttpReply) -> Completion:
        return parse_reply(reply)

    def delta(self, event: ServerEvent) -> Delta | None:
        return parse_event(event)


def chat_body(request: Request, model: str, output_limit: str, *, stream: bool) -> dict[str, Any]:
    """The JSON body of a chat completion."""
    messages = [{"role": message.role, "content": message.text} for message in request.messages]
    body: dict[str, Any] = {"model": model, "messages": messages}
    parameters = request.parameters
    for name, value in (
        ("temperature", parameters.temperature),
        ("top_p", parameters.top_p),
        (output_limit, parameters.max_tokens),
        ("seed", parameters.seed),
        ("stop", list(parameters.stop) or None),
    ):
        if value is not None:
            body[name] = value
    if request.schema is not None:
        schema = {"name": request.schema.name, "schema": request.schema.json}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return body


def encode(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def parse_reply(reply: HttpReply) -> Completion:
    """The answer in a whole reply."""
    body = _json(reply.body)
    if reply.status != 200 or not isinstance(body, dict) or body.get("error") is not None:
        raise _error(reply, body)
    answer = Answer()
    for choice in _choices(body):
        answer.add(_delta(choice.get("message"), choice, body))
    if answer.text == "" and not _choices(body):
        raise ServerFailed("the server answered without any choice", status=reply.status, retryable=True)
    return answer.completion()


def parse_event(event: ServerEvent) -> Delta | None:
    """What one event of a stream adds."""
    if event.data.strip() == "[DONE]":
        return Delta(last=True)
    body = _json(event.data)
    if body is None:
        raise ServerFailed(f"an event of the stream is not JSON: {event.data[:80]!r}", retryable=True)
    if not isinstance(body, dict) or body.get("error") is not None or event.event == "error":
        raise _stream_error(body)
    choices = _choices(body)
    if not choices:
        return Delta(usage=_usage(body.get("usage")), model=_name(body, "model"), id=_name(body, "id"))
    return _delta(choices[0].get("delta"), choices[0], body)


def _json(text: str | bytes) -> Any:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return body[0] if isinstance(body, list) and body else body  # Gemini wraps its errors in a list.


def _choices(body: dict[str, Any]) -> list[dict[str, Any]]:
    choices = body.get("choices")
    return [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []


# What shows that a model is at work before any text of its answer: thinking, tools, llama.cpp's reading of a prompt.
AT_WORK = ("reasoning", "reasoning_content", "tool_calls")


def _delta(message: Any, choice: dict[str, Any], body: dict[str, Any]) -> Delta:
    message = message if isinstance(message, dict) else {}
    reason = choice.get("finish_reason")
    ending = ENDINGS.get(reason) if isinstance(reason, str) else None
    if reason == "error":
        raise ServerFailed("the server reported an error in the middle of the answer", retryable=True)
    if reason is not None and ending is None:
        raise ServerFailed(f"the server ended the answer for an unknown reason: {reason!r}")
    refusal = _text(message.get("refusal"))
    return Delta(
        text=refusal or _text(message.get("content")),
        ending="refused" if refusal else ending,
        usage=_usage(body.get("usage")),
        model=_name(body, "model"),
        id=_name(body, "id"),
        progress="prompt_progress" in body or any(message.get(key) for key in AT_WORK),
    )


def _text(content: Any) -> str:
    if isinstance(content, list):  # Mistral sends parts; only its text parts are the answer.
        texts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
        return "".join(text for text in texts if isinstance(text, str))
    return content if isinstance(content, str) else ""


def _name(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) else ""


def _usage(usage: Any) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    return Usage(
        input_tokens=usage.get("prompt_tokens") or 0,
        output_tokens=usage.get("completion_tokens") or 0,
        cached_tokens=cached or 0,
    )


def _error(reply: HttpReply, body: Any) -> ProviderError:
    message, code = _explain(body)
    if not message:
        text = reply.body[:200].decode("utf-8", "replace").strip()
        message = f"the server answered what is no JSON: {text!r}" if text else "the server answered nothing"
    if 300 <= reply.status < 400:
        return error_for_status(reply.status, "the server redirects; a key is never sent on to another address")
    if reply.status == 200:
        return _error_within(body, message, code, status=200)
    error = error_for_status(reply.status, message, code=code, retry_after=retry_after(reply.headers))
    if reply.headers.get("x-should-retry") == "false":
        error.retryable = False
    return error


def _stream_error(body: Any) -> ProviderError:
    message, code = _explain(body)
    return _error_within(body, message or "the server reported an error in the stream", code)


def _error_within(body: Any, message: str, code: str | None, *, status: int | None = None) -> ProviderError:
    """An error inside an answer that began well (HTTP 200); its number is then in the body, if anywhere."""
    error = body.get("error") if isinstance(body, dict) else None
    number = error.get("code") if isinstance(error, dict) else None
    if isinstance(number, int) and 400 <= number < 600:
        return error_for_status(number, message, code=code)
    return ServerFailed(message, status=status, code=code, retryable=code not in NEVER_RETRY)


def _explain(body: Any) -> tuple[str, str | None]:
    """The message and code of an error body, in all the shapes hosts use."""
    if not isinstance(body, dict):
        return "", None
    error = body.get("error", body)
    if isinstance(error, str):
        return error, None
    if not isinstance(error, dict):
        return "", None
    message = error.get("message") or error.get("detail") or ""
    code = error.get("code") if isinstance(error.get("code"), str) else error.get("type")
    return str(message), code if isinstance(code, str) else None


def retry_after(headers: Any) -> float | None:
    """Seconds to wait, as the server asks; ``None`` for none or nonsense.

    Sources: RFC 9110 section 10.2.3 (seconds or a date); Azure's ``retry-after-ms``.
    """
    import email.utils
    import math
    import time

    text, scale = headers.get("retry-after-ms"), 1000.0
    if text is None:
        text, scale = headers.get("retry-after"), 1.0
    if text is None:
        return None
    try:
        seconds = float(text) / scale
    except ValueError:
        try:
            # Against the server's own clock, where it says what that is.
            now = email.utils.parsedate_to_datetime(headers["date"]).timestamp() if "date" in headers else time.time()
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - now
            seconds = max(seconds, 0.0) if seconds > -86400 else math.nan  # a date long ago is nonsense
        except ValueError:
            return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
