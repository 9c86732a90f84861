"""Keys: held so that they cannot be shown by accident, and taken out of whatever a server echoes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

__all__ = ["REDACTED", "Secret", "redact"]

REDACTED = "[redacted]"


class Secret:
    """A text that neither prints nor pickles; ``reveal()`` is the one way to it.

    >>> Secret("sk-123"), f"{Secret('sk-123')}"
    (Secret('[redacted]'), '[redacted]')
    """

    __slots__ = ("_forms", "_value")

    def __init__(self, value: str) -> None:
        self._value = value
        self._forms: tuple[str, ...] | None = None

    def reveal(self) -> str:
        return self._value

    def forms(self) -> tuple[str, ...]:
        """How whoever echoes it may write it; worked out once, because every event of a stream is looked at."""
        if self._forms is None:
            self._forms = _forms(self._value)
        return self._forms

    def __str__(self) -> str:
        return REDACTED

    def __repr__(self) -> str:
        return f"Secret({REDACTED!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> Any:
        raise TypeError("a Secret cannot be pickled; read it again from the environment")


def redact(text: str, secrets: Iterable[Secret]) -> str:
    """``text`` without the secrets, plain, in JSON, URL-quoted or in base64.

    >>> redact("bad key sk-123", [Secret("sk-123")])
    'bad key [redacted]'
    """
    # The longest first: a key may be the beginning of another.
    for form in sorted((form for secret in secrets for form in secret.forms()), key=len, reverse=True):
        if form in text:
            text = text.replace(form, REDACTED)
    return text


def _forms(value: str) -> tuple[str, ...]:
    if not value:
        return ()
    escaped = json.dumps(value, ensure_ascii=False)[1:-1]
    in_ascii = json.dumps(value)[1:-1]
    encoded = base64.b64encode(value.encode()).decode().rstrip("=")
    codes = "".join(f"\\u{ord(char):04x}" for char in value)
    in_json = [escaped, in_ascii, escaped.replace("/", "\\/"), in_ascii.replace("/", "\\/")]
    return tuple({value, *in_json, quote(value, safe=""), encoded, codes})
