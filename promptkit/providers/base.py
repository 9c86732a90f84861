"""What a provider is: three pure methods from a request to bytes and back. It does no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from promptkit.errors import (
    AuthenticationFailed,
    ProviderError,
    RateLimited,
    RequestRejected,
    ServerFailed,
    StreamTruncated,
)
from promptkit.requests import Completion, Ending, Request, Usage
from promptkit.secrets import Secret

__all__ = ["NEVER_RETRY", "Answer", "Delta", "HttpCall", "HttpReply", "Provider", "ServerEvent", "error_for_status"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCall:
    """One call, ready to send.

    Attributes:
        url: where to; its scheme chooses the transport (``http``, ``https``, ``llama``, ``loopback``).
        body: the request body.
        headers: headers without secrets.
        secret_headers: headers whose values are never shown, as ``{"authorization": Secret("Bearer ...")}``.
        secrets: the keys themselves, taken out of anything the server says.
    """

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    secret_headers: Mapping[str, Secret] = field(default_factory=dict)
    secrets: tuple[Secret, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """A whole answer; header names are in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent:
    """One server-sent event.

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
    """

    data: str
    event: str = "message"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """What one event adds to an answer; everything is optional.

    Attributes:
        text: more of the answer.
        ending: how the answer ended.
        usage: tokens.
        model: the model's name as the provider reports it.
        id: the provider's id of the answer.
        progress: the model is at work, though this event brings no text of the answer.
        last: nothing follows; the server may keep the connection open all the same.
    """

    text: str = ""
    ending: Ending | None = None
    usage: Usage | None = None
    model: str = ""
    id: str = ""
    progress: bool = False
    last: bool = False


@runtime_checkable
class Provider(Protocol):
    """A codec for one kind of API. Its fields are its options in ``promptkit.toml``.

    Write one as a frozen dataclass; `promptkit.providers.openai.OpenAI` is the model to follow.
    """

    def build(self, request: Request, *, stream: bool) -> HttpCall:
        """The call that asks for ``request``."""
        ...

    def parse(self, reply: HttpReply) -> Completion:
        """The answer in a whole reply; raises `ProviderError` for anything that is none."""
        ...

    def delta(self, event: ServerEvent) -> Delta | None:
        """What a streamed event adds; ``None`` for one that adds nothing. Raises `ProviderError`."""
        ...


class Answer:
    """Gathers deltas into a `Completion`.

    >>> answer = Answer()
    >>> answer.add(Delta(text="Hi")); answer.add(Delta(ending="complete"))
    >>> answer.completion().text
    'Hi'
    """

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._ending: Ending | None = None
        self._usage: Usage | None = None
        self._model = ""
        self._id = ""

    def add(self, delta: Delta) -> None:
        if delta.text:
            self._texts.append(delta.text)
        # A refusal stays one, though the stream then ends with an ordinary "stop".
        if self._ending != "refused":
            self._ending = delta.ending or self._ending
        self._usage = delta.usage or self._usage
        self._model = delta.model or self._model
        self._id = delta.id or self._id

    @property
    def text(self) -> str:
        return "".join(self._texts)

    @property
    def has_ended(self) -> bool:
        return self._ending is not None

    def completion(self) -> Completion:
        """The whole answer. Raises `StreamTruncated` if nothing said that it ended."""
        if self._ending is None:
            raise StreamTruncated("the stream stopped before the answer ended", retryable=True, partial=self.text)
        return Completion(text=self.text, ending=self._ending, usage=self._usage, model=self._model, id=self._id)


# Used-up money and a too long prompt do not mend themselves.
NEVER_RETRY = frozenset({"insufficient_quota", "billing_hard_limit_reached", "exceed_context_size_error"})


def error_for_status(
    status: int, message: str, *, code: str | None = None, retry_after: float | None = None
) -> ProviderError:
    """The error of an HTTP status, with whether to try again.

    >>> error_for_status(429, "slow down", retry_after=2.0).retryable
    True
    >>> error_for_status(429, "no money", code="insufficient_quota").retryable
    False
    """
    kind: type[ProviderError]
    hint = None
    if status in (401, 403):
        kind, hint = AuthenticationFailed, "check the api_key of this model in promptkit.toml"
    elif status == 429:
        kind = RateLimited
    elif status >= 500:
        kind = ServerFailed
    else:
        kind = RequestRejected
    retryable = (status in (408, 409, 425, 429) or (status >= 500 and status != 501)) and code not in NEVER_RETRY
    text = f"{message} (HTTP {status})"
    return kind(text, status=status, code=code, retryable=retryable, retry_after=retry_after, hint=hint)
