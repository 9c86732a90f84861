"""What a transport is, and which one carries a call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from promptkit.errors import ConfigError
from promptkit.providers.base import HttpCall

__all__ = ["Reply", "Timeout", "Transport", "Transports"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeout:
    """How long to wait, in seconds. There is always an end: nothing may wait for ever.

    Attributes:
        connect: for a connection.
        read: for the next piece of an answer; for the first too, so it has to cover a queue.
        total: for everything together, retries included.
    """

    connect: float = 5.0
    read: float = 60.0
    total: float = 120.0

    def __post_init__(self) -> None:
        for name in ("connect", "read", "total"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise ConfigError(f"timeout {name!r} must be a number of seconds above 0, got {value!r}", field=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A response whose body is still coming."""

    status: int
    chunks: AsyncIterator[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)


class Transport(Protocol):
    """Carries bytes. Runs inside an event loop; raises only errors of `promptkit.errors`."""

    def open(self, call: HttpCall, timeout: Timeout) -> AbstractAsyncContextManager[Reply]:
        """Send ``call``; leaving the context ends it, whether or not the body was read."""
        ...

    async def aclose(self) -> None:
        """Give back what is held."""
        ...


class Transports:
    """One transport per scheme, made when first needed."""

    def __init__(self) -> None:
        self._made: dict[Callable[[], Transport], Transport] = {}

    def carry(self, call: HttpCall) -> Transport:
        """The transport for a call. Raises `ConfigError` for an unknown scheme."""
        scheme = call.url.partition(":")[0]
        if scheme not in SCHEMES:
            raise ConfigError(f"no transport for {scheme}: addresses", hint=f"known: {', '.join(SCHEMES)}")
        make = SCHEMES[scheme]
        if make not in self._made:
            self._made[make] = make()
        return self._made[make]

    async def aclose(self) -> None:
        while self._made:
            _, transport = self._made.popitem()
            await transport.aclose()


def _http() -> Transport:
    from promptkit.transport.http import Http

    return Http()


def _llama() -> Transport:
    from promptkit.transport.llama import Llama

    return Llama()


def _loopback() -> Transport:
    from promptkit.transport.loopback import Loopback

    return Loopback()


SCHEMES: dict[str, Callable[[], Transport]] = {
    "http": _http,
    "https": _http,
    "llama": _llama,
    "loopback": _loopback,
}
