"""One request and its answer: tries, timeouts and the reading of the stream.

Answers are streamed on the wire even when nobody watches: a server then notices that its client has
gone, an idle server is noticed here, and a stream cut before its end can be asked for again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass

from promptkit.errors import ProviderError, ServerFailed, TimedOut
from promptkit.providers.base import Answer, HttpCall, HttpReply, Provider, ServerEvent
from promptkit.requests import Completion, Request
from promptkit.secrets import redact
from promptkit.transport.base import Reply, Timeout, Transports
from promptkit.transport.retry import Sleep, retrying
from promptkit.transport.stream import events

__all__ = ["Deliver", "Exchange"]

MAX_BODY = 32 * 1024 * 1024

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

        retry = retrying(attempts=self.attempts, sleep=self.sleep, again=lambda: not delivered)
        answer = Answer()

        async def attempt() -> Completion:
            nonlocal answer
            answer = Answer()
            return await self._once(request, answer, pass_on)

        try:
            async with asyncio.timeout(self.timeout.total):
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
            async with asyncio.timeout(idle) as waiting:
                async with self.transports.carry(call).open(call, self.timeout) as reply:
                    if reply.status != 200 or "event-stream" not in reply.headers.get("content-type", ""):
                        completion = self.provider.parse(await _whole(reply, call))
                        pass_on(completion.text)
                        return completion
                    async with aclosing(events(reply.chunks)) as stream:
                        async for event in stream:
                            delta = self.provider.delta(_redacted(event, call))
                            if delta is None:
                                continue
                            answer.add(delta)
                            if delta.text:
                                pass_on(delta.text)
                            if delta.last:
                                break
                            # Only content counts: a server that merely pings is an idle one.
                            waiting.reschedule(loop.time() + idle)
            return answer.completion()
        except TimeoutError:
            raise TimedOut(f"nothing came for {idle:g} s", retryable=True) from None


async def _whole(reply: Reply, call: HttpCall) -> HttpReply:
    body = bytearray()
    async for chunk in reply.chunks:
        body += chunk
        if len(body) > MAX_BODY:
            raise ServerFailed(f"the answer is larger than {MAX_BODY // 2**20} MiB", status=reply.status)
    content = bytes(body)
    if call.secrets and reply.status != 200:
        content = redact(content.decode("utf-8", "replace"), call.secrets).encode()
    return HttpReply(status=reply.status, headers=reply.headers, body=content)


def _redacted(event: ServerEvent, call: HttpCall) -> ServerEvent:
    if not call.secrets:
        return event
    return ServerEvent(data=redact(event.data, call.secrets), event=event.event)
