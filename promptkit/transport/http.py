"""HTTP through httpx: one pool per event loop, no redirects, the key only where it belongs."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import httpx

from promptkit.errors import ConfigError, ConnectionFailed, ProviderError, TimedOut
from promptkit.providers.base import HttpCall
from promptkit.secrets import Secret, redact
from promptkit.transport.base import Reply, Timeout

__all__ = ["Http"]

# These write what a server sent at level DEBUG, and a server may echo a key.
LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11")


class Http:
    """Sends calls with httpx; sockets live as long as the event loop that opened them."""

    def __init__(self) -> None:
        # A pool's sockets belong to the loop that opened them: sharing one over two `asyncio.run` breaks it.
        self._pools: dict[asyncio.AbstractEventLoop, dict[bool, _Kept]] = {}
        self._redacting = _Redacting()
        for name in LOGGERS:
            logging.getLogger(name).addFilter(self._redacting)
        weakref.finalize(self, _unfilter, self._redacting)

    @asynccontextmanager
    async def open(self, call: HttpCall, timeout: Timeout) -> AsyncIterator[Reply]:
        self._redacting.secrets.update(call.secrets)
        try:
            pool = await self._pool(secure=call.url.startswith("https:"))
            response = await pool.send(_request(pool, call, timeout), stream=True)
            try:
                headers = {name.lower(): redact(value, call.secrets) for name, value in response.headers.items()}
                yield Reply(status=response.status_code, headers=headers, chunks=response.aiter_raw())
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise _translate(error, call, timeout) from None
        except (httpx.InvalidURL, ImportError, UnicodeError) as error:
            raise ConfigError(
                f"cannot send to {_address(call)}: {redact(str(error), call.secrets)}",
                hint="check base_url, and the proxy settings of the environment",
            ) from None

    async def aclose(self) -> None:
        for kept in self._pools.pop(asyncio.get_running_loop(), {}).values():
            await kept.keeper.aclose()

    async def _pool(self, *, secure: bool) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        pools = self._pools.setdefault(loop, {})
        if secure not in pools:
            # Reading the certificates takes some 20 ms of CPU, so plain http goes without.
            pool = httpx.AsyncClient(
                verify=secure,
                follow_redirects=False,
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
            )
            keeper = self._keep(loop, pool)
            await anext(keeper)
            pools[secure] = _Kept(pool, keeper)
        return pools[secure].pool

    async def _keep(self, loop: asyncio.AbstractEventLoop, pool: httpx.AsyncClient) -> AsyncGenerator[None]:
        # An event loop that ends closes the generators it has started: the one moment at which
        # somebody who never closes a client still gives its sockets back.
        try:
            yield
        finally:
            self._pools.pop(loop, None)
            await pool.aclose()


class _Kept(NamedTuple):
    """A pool, and the generator that closes it with its loop."""

    pool: httpx.AsyncClient
    keeper: AsyncGenerator[None]


class _Redacting(logging.Filter):
    """Takes the keys in use out of log records."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets: set[Secret] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        if self.secrets:
            record.msg, record.args = redact(record.getMessage(), self.secrets), ()
        return True


def _unfilter(redacting: _Redacting) -> None:
    for name in LOGGERS:
        logging.getLogger(name).removeFilter(redacting)


def _request(pool: httpx.AsyncClient, call: HttpCall, timeout: Timeout) -> httpx.Request:
    return pool.build_request(
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


def _address(call: HttpCall) -> str:
    """The call's address for people: without user, password and query."""
    try:
        url = httpx.URL(call.url).copy_with(userinfo=b"", query=None)
    except httpx.InvalidURL:
        return "base_url"
    return redact(str(url), call.secrets)


def _translate(error: httpx.HTTPError, call: HttpCall, timeout: Timeout) -> ProviderError:
    where = _address(call)
    if isinstance(error, httpx.ConnectTimeout):
        return TimedOut(f"no connection to {where} within {timeout.connect:g} s", retryable=True)
    if isinstance(error, httpx.TimeoutException):
        return TimedOut(f"nothing came from {where} for {timeout.read:g} s", retryable=True)
    if isinstance(error, (httpx.LocalProtocolError, httpx.UnsupportedProtocol)):
        # Its words quote the header it objects to, and that may be the key.
        return ConnectionFailed(f"the request to {where} cannot be sent as it is")
    reason = redact(str(error), call.secrets) or type(error).__name__
    if isinstance(error, httpx.ConnectError):
        return ConnectionFailed(
            f"cannot connect to {where}: {reason}", retryable=True, hint="is the server running, and base_url right?"
        )
    return ConnectionFailed(f"the connection to {where} broke: {reason}", retryable=True)
