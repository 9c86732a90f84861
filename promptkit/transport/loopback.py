"""Gives a call's own body back as the answer; what scripted providers answer through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from promptkit.providers.base import HttpCall
from promptkit.transport.base import Reply, Timeout

__all__ = ["Loopback"]


class Loopback:
    """The address ``loopback:STATUS`` answers with that status and the call's headers and body."""

    @asynccontextmanager
    async def open(self, call: HttpCall, timeout: Timeout) -> AsyncIterator[Reply]:
        async def chunks() -> AsyncIterator[bytes]:
            yield call.body

        yield Reply(
            status=int(call.url.partition(":")[2]),
            headers={name.lower(): value for name, value in call.headers.items()},
            chunks=chunks(),
        )

    async def aclose(self) -> None:
        return None
