"""One request and its answer: tries, timeouts and the reading of the stream.

Answers are streamed on the wire even when nobody watches: a server then notices that its client has
gone, an idle server is noticed here, and a stream cut before its end can be asked for again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass

from promptkit.errors import ProviderError, ServerFailed, TimedOut
from promptkit.providers.base import Answer, Delta, HttpCall, HttpReply, Provider, ServerEvent
from promptkit.requests import Completion, Request
from promptkit.secrets import redact
from promptkit.transport.base import Reply, Timeout, Transports
from promptkit.transport.retry import Sleep, retrying
from promptkit.transport.stream import events

__all__ = ["Deliver", "Exchange"]

MAX_BODY = 32 * 1024 * 1024
LINGER = 0.05

Deliver = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """How requests are sent to one model.

    Attributes:
        provider: the codec.
        transports: what carries the bytes.
        timeout: how long to wait.
        attempts: most tries of one request.
        sleep: how to wait between them.
    """

    provider: Provider
    transports: Transports
    timeout: Timeout
    attempts: int
    sleep: Sleep

    async def complete(self, request: Request, deliver: Deliver | None = None) -> Completion:
        """The answer to ``request``; every piece of its text goes to ``deliver`` as it comes.

        A failed try is repeated only as long as nothing has been delivered.

        Raises `ProviderError`; its ``partial`` is the text that had come.
        """
        delivered = False

        def pass_on(text: str) -> None:
            nonlocal delivered
            if deliver is not None:
                delivered = True
                deliver(text)

        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.timeout.total
        retry = retrying(
            attempts=self.attempts,
            sleep=self.sleep,
            again=lambda: not delivered,
            time_left=lambda: deadline - loop.time(),
        )
        answer = Answer()

        async def attempt() -> Completion:
            nonlocal answer
            answer = Answer()
            return await self._once(request, answer, pass_on)

        try:
            async with asyncio.timeout_at(deadline):
                return await retry(attempt)
        except TimeoutError:
            raise TimedOut(
                f"no complete answer within {self.timeout.total:g} s", retryable=True, partial=answer.text
            ) from None
        except ProviderError as error:
            error.partial = error.partial or answer.text
            raise

    async def _once(self, request: Request, answer: Answer, pass_on: Deliver) -> Completion:
        call = self.provider.build(request, stream=True)
        idle = self.timeout.read
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as waiting:
                async with self.transports.carry(call).open(call, self.timeout) as reply:
                    # Only now: to open may mean to fetch and load a model. HTTP has its own limits for it.
                    waiting.reschedule(loop.time() + idle)
                    if reply.status != 200 or "event-stream" not in reply.headers.get("content-type", ""):
                        completion = self.provider.parse(await _whole(reply, call))
                        pass_on(completion.text)
                        return completion
                    async for delta in self._deltas(reply, call):
                        answer.add(delta)
                        if delta.text:
                            pass_on(delta.text)
                        # Only what the model does counts: a server that merely pings is an idle one.
                        if delta.text or delta.ending or delta.progress:
                            waiting.reschedule(loop.time() + idle)
        except TimeoutError:
            if not answer.has_ended:
                raise TimedOut(f"nothing came for {idle:g} s", retryable=True) from None
        return answer.completion()

    async def _deltas(self, reply: Reply, call: HttpCall) -> AsyncIterator[Delta]:
        async with aclosing(events(reply.chunks)) as stream:
            async for event in stream:
                delta = self.provider.delta(_redacted(event, call))
                if delta is not None:
                    yield delta
                    if delta.last:
                        break
        # A body read to its end leaves a connection that serves the next call.
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                async for _ in reply.chunks:
                    pass


async def _whole(reply: Reply, call: HttpCall) -> HttpReply:
    body = bytearray()
    async for chunk in reply.chunks:
        body += chunk
        if len(body) > MAX_BODY:
            raise ServerFailed(f"the answer is larger than {MAX_BODY // 2**20} MiB", status=reply.status)
    content = bytes(body)
    if call.secrets:
        content = redact(content.decode("utf-8", "replace"), call.secrets).encode()
    return HttpReply(status=reply.status, headers=reply.headers, body=content)


def _redacted(event: ServerEvent, call: HttpCall) -> ServerEvent:
    if not call.secrets:
        return event
    return ServerEvent(data=redact(event.data, call.secrets), event=event.event)
