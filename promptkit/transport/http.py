"""HTTP through httpx: one pool per event loop, no redirects, the key only where it belongs."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from promptkit.errors import ConfigError, ConnectionFailed, ProviderError, TimedOut
from promptkit.providers.base import HttpCall
from promptkit.secrets import redact
from promptkit.transport.base import Reply, Timeout

__all__ = ["Http"]


class Http:
    """Sends calls with httpx; sockets live as long as the event loop that opened them."""

    def __init__(self) -> None:
        # A pool's sockets belong to the loop that opened them: sharing one over two `asyncio.run` breaks it.
        self._pools: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[bool, httpx.AsyncClient]] = (
            weakref.WeakKeyDictionary()
        )

    def _pool(self, *, secure: bool) -> httpx.AsyncClient:
        pools = self._pools.setdefault(asyncio.get_running_loop(), {})
        if secure not in pools:
            # Reading the certificates takes some 20 ms of CPU, so plain http goes without.
            pools[secure] = httpx.AsyncClient(
                verify=secure,
                follow_redirects=False,
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
            )
        return pools[secure]

    @asynccontextmanager
    async def open(self, call: HttpCall, timeout: Timeout) -> AsyncIterator[Reply]:
        pool = self._pool(secure=call.url.startswith("https:"))
        request = pool.build_request(
            "POST",
            call.url,
            content=call.body,
            # No compression: a small body could then unfold into a very large one.
            headers={
                "accept-encoding": "identity",
                **call.headers,
                **{name: secret.reveal() for name, secret in call.secret_headers.items()},
            },
            timeout=httpx.Timeout(timeout.read, connect=timeout.connect, pool=timeout.total),
        )
        try:
            response = await pool.send(request, stream=True)
            try:
                headers = {name.lower(): redact(value, call.secrets) for name, value in response.headers.items()}
                yield Reply(status=response.status_code, headers=headers, chunks=response.aiter_raw())
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise _translate(error, call, timeout) from None
        except (httpx.InvalidURL, UnicodeError) as error:
            raise ConfigError(f"cannot send to {redact(call.url, call.secrets)}: {error}") from None

    async def aclose(self) -> None:
        loop = asyncio.get_running_loop()
        for pool in self._pools.pop(loop, {}).values():
            await pool.aclose()


def _translate(error: httpx.HTTPError, call: HttpCall, timeout: Timeout) -> ProviderError:
    where = redact(str(httpx.URL(call.url).copy_with(userinfo=b"", query=None)), call.secrets)
    reason = redact(str(error), call.secrets) or type(error).__name__
    if isinstance(error, httpx.ConnectTimeout):
        return TimedOut(f"no connection to {where} within {timeout.connect:g} s", retryable=True)
    if isinstance(error, httpx.TimeoutException):
        return TimedOut(f"nothing came from {where} for {timeout.read:g} s", retryable=True)
    if isinstance(error, httpx.ConnectError):
        return ConnectionFailed(
            f"cannot connect to {where}: {reason}", retryable=True, hint="is the server running, and base_url right?"
        )
    if isinstance(error, httpx.UnsupportedProtocol):
        return ConnectionFailed(f"cannot connect to {where}: {reason}")
    return ConnectionFailed(f"the connection to {where} broke: {reason}", retryable=True)
