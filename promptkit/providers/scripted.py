"""Answers from a script: the fake that promptkit is tested with, for your own tests too."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from promptkit.errors import ConfigError, ProviderError
from promptkit.providers.base import Delta, HttpCall, HttpReply, ServerEvent
from promptkit.providers.openai import parse_event, parse_reply
from promptkit.requests import Completion, Request

__all__ = ["Fault", "Scripted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A failure in a script: the HTTP status the client is to see.

    Attributes:
        status: as 429 or 503.
        message: what the server says.
        headers: response headers, as ``{"retry-after": "1"}``.
    """

    status: int
    message: str = "scripted fault"
    headers: dict[str, str] = field(default_factory=dict)


Reply = str | Fault


@dataclass(slots=True, kw_only=True)
class Scripted:
    """Gives the replies of a script, in order, through the same path as a real server's.

    Attributes:
        replies: texts and `Fault` objects, or a function from a `Request` to one of them.
        repeat: begin again after the last reply, instead of failing.
        requests: every request that was asked, in order (retries included).

    >>> from promptkit import Client, Prompt
    >>> with Client(provider=Scripted(replies=["Hello Ann"])) as client:
    ...     client.run(Prompt("Greet {{ name }}"), name="Ann").output
    'Hello Ann'
    """

    replies: Sequence[Reply] | Callable[[Request], Reply]
    repeat: bool = False
    requests: list[Request] = field(default_factory=list, init=False)
    _rest: Iterator[Reply] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.replies, str):
            raise ConfigError("replies must be a list of texts, not one text", field="replies")
        replies = () if callable(self.replies) else self.replies
        self._rest = itertools.cycle(replies) if self.repeat else iter(replies)

    def build(self, request: Request, *, stream: bool) -> HttpCall:
        self.requests.append(request)
        reply = self._next(request)
        if isinstance(reply, Fault):
            error = {"error": {"message": reply.message, "code": "scripted"}}
            return HttpCall(
                url=f"loopback:{reply.status}", body=json.dumps(error).encode(), headers=dict(reply.headers)
            )
        return HttpCall(url="loopback:200", body=_events(reply, request), headers={"content-type": "text/event-stream"})

    def parse(self, reply: HttpReply) -> Completion:
        return parse_reply(reply)

    def delta(self, event: ServerEvent) -> Delta | None:
        return parse_event(event)

    def _next(self, request: Request) -> Reply:
        if callable(self.replies):
            return self.replies(request)
        try:
            return next(self._rest)
        except StopIteration:
            raise ProviderError(
                f"the script has run out after {len(self.requests) - 1} replies",
                hint="add replies, or set repeat = true",
            ) from None


def _events(text: str, request: Request) -> bytes:
    """A reply as a stream, a word an event, counting words as tokens."""
    words = text.split(" ")
    chunks = [word if index == 0 else f" {word}" for index, word in enumerate(words)]
    usage = {
        "prompt_tokens": sum(len(message.text.split()) for message in request.messages),
        "completion_tokens": len(words),
    }
    bodies: list[object] = [{"model": "scripted", "choices": [{"delta": {"content": chunk}}]} for chunk in chunks]
    bodies.append({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": usage})
    return "".join(f"data: {json.dumps(body)}\n\n" for body in [*bodies]).encode() + b"data: [DONE]\n\n"
