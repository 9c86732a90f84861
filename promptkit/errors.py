"""Every error promptkit raises, grouped by who must act.

::

    PromptkitError
    ├── DefinitionError          you: a template, a config, an installation
    │   ├── TemplateError          a template or its front matter is wrong
    │   ├── TemplateNotFound       no template of that name on the search path
    │   ├── ConfigError            promptkit.toml is wrong or asks for what is not there
    │   ├── ModelNotFound          a local model is unknown, missing, damaged or cannot be fetched
    │   └── MissingExtra           an optional dependency is not installed
    ├── InputError               the caller: a value does not fit the prompt's input
    ├── ProviderError            the other side: the model's server (``retryable`` or not)
    │   ├── ConnectionFailed       no connection, or it broke
    │   ├── TimedOut               connect, idle or total time ran out
    │   ├── StreamTruncated        the answer stopped before its ending
    │   ├── AuthenticationFailed   the key was refused (401, 403)
    │   ├── RateLimited            too many requests, or the quota is used up (429)
    │   ├── RequestRejected        the server refused the request (other 4xx)
    │   └── ServerFailed           the server failed (5xx), or answered what nobody can read
    └── OutputError              the model: it answered, but not with a usable output
        ├── Truncated              cut off at the token limit
        ├── Filtered               withheld by a content filter
        ├── Refused                the model declined
        └── NotParsed              the text is not a value of the output type

An error takes its message first and every fact as a keyword, so all of them pickle and copy.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypedDict, Unpack

    from promptkit.requests import Usage

    class Place(TypedDict, total=False):
        """The facts every error may have; see `PromptkitError`."""

        file: str | None
        line: int | None
        column: int | None
        field: str | None
        hint: str | None


__all__ = [
    "AuthenticationFailed",
    "ConfigError",
    "ConnectionFailed",
    "DefinitionError",
    "Filtered",
    "InputError",
    "MissingExtra",
    "ModelNotFound",
    "NotParsed",
    "OutputError",
    "PromptkitError",
    "ProviderError",
    "RateLimited",
    "Refused",
    "RequestRejected",
    "ServerFailed",
    "StreamTruncated",
    "TemplateError",
    "TemplateNotFound",
    "TimedOut",
    "Truncated",
]


class PromptkitError(Exception):
    """Base of every error of this library.

    Attributes:
        message: what is wrong, one or two sentences.
        file: the file it is wrong in, or ``None``.
        line: line in that file, from 1, or ``None``.
        column: column in that line, from 1, or ``None``.
        field: dotted path of the field, as ``ticket.body``, or ``None``.
        hint: what to do about it, or ``None``.

    >>> print(PromptkitError("no such key", file="promptkit.toml", line=3, hint="remove it"))
    promptkit.toml:3: no such key
      hint: remove it
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
        field: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.line = line
        self.column = column
        self.field = field
        self.hint = hint

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        text = f"{place}: {self.message}" if place else self.message
        return f"{text}\n  hint: {self.hint}" if self.hint else text


class DefinitionError(PromptkitError):
    """Something you wrote or installed is wrong; no input and no retry will mend it."""


class TemplateError(DefinitionError):
    """A template, its front matter or its types are wrong."""


class TemplateNotFound(DefinitionError):
    """No template of that name on the search path; the message names the path and the nearest name."""


class ConfigError(DefinitionError):
    """The configuration is wrong, or asks for something that is not there."""


class ModelNotFound(DefinitionError):
    """A local model is unknown, missing, damaged, or could not be fetched."""


class MissingExtra(DefinitionError):
    """An optional dependency is not installed; the hint is the command that installs it."""


class InputError(PromptkitError):
    """An input is missing, unknown, of the wrong type, or cannot be sent. Nothing was sent."""


class ProviderError(PromptkitError):
    """The model's server, or the way to it, failed.

    Attributes (besides those of `PromptkitError`):
        status: HTTP status, or ``None`` when there was no response.
        code: the server's own error code, or ``None``.
        retryable: whether the same request may succeed later.
        retry_after: seconds the server asked to wait, or ``None``.
        partial: text received before the failure (empty if none).
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
        partial: str = "",
        **place: Unpack[Place],
    ) -> None:
        super().__init__(message, **place)
        self.status = status
        self.code = code
        self.retryable = retryable
        self.retry_after = retry_after
        self.partial = partial


class ConnectionFailed(ProviderError):
    """No connection could be made, or it broke."""


class TimedOut(ProviderError):
    """The connect, idle or total time ran out."""


class StreamTruncated(ProviderError):
    """The answer stopped before the sign that ends it; ``partial`` holds what came."""


class AuthenticationFailed(ProviderError):
    """The key was refused (401, 403)."""


class RateLimited(ProviderError):
    """Too many requests, or the quota is used up (429). ``retryable`` tells which."""


class RequestRejected(ProviderError):
    """The server refused the request as it stands (other 4xx)."""


class ServerFailed(ProviderError):
    """The server failed (5xx), or answered something that is no answer."""


class OutputError(PromptkitError):
    """The model answered, but not with a usable output.

    Attributes (besides those of `PromptkitError`):
        text: the model's raw text.
        usage: the tokens the answer cost, or ``None`` if unknown.
    """

    def __init__(
        self,
        message: str,
        *,
        text: str = "",
        usage: Usage | None = None,
        **place: Unpack[Place],
    ) -> None:
        super().__init__(message, **place)
        self.text = text
        self.usage = usage


class Truncated(OutputError):
    """The answer was cut off at the token limit."""


class Filtered(OutputError):
    """The answer was withheld by a content filter."""


class Refused(OutputError):
    """The model declined to answer."""


class NotParsed(OutputError):
    """The text is not a value of the prompt's output type."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """A hint that names the known name closest to ``name``, or ``None``.

    >>> nearest("tickt", ["ticket", "product"])
    "did you mean 'ticket'?"
    """
    from difflib import get_close_matches

    matches = get_close_matches(name, list(known), n=1)
    return f"did you mean {matches[0]!r}?" if matches else None
