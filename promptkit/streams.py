"""Answers as they come: iterate over the text, then take the result."""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Generic, TypeVar

from promptkit.errors import DefinitionError
from promptkit.plans import Result
from promptkit.transport.exchange import Deliver
from promptkit.transport.portal import outcome

__all__ = ["AsyncStream", "Stream"]

Out = TypeVar("Out")


class Stream(Generic[Out]):
    """Pieces of text in the order they come. Use it with ``with``, or close it: leaving early then stops the model.

    >>> from promptkit import Client, Prompt, Scripted
    >>> with Client(provider=Scripted(replies=["one two"])) as client:
    ...     stream = client.stream(Prompt("Count."))
    ...     list(stream), stream.result().output
    (['one', ' two'], 'one two')
    """

    def __init__(self, start: Callable[[Deliver], concurrent.futures.Future[Result[Out]]]) -> None:
        self._pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._future = start(self._pieces.put)
        # Not a bound method of this stream: a stream nobody holds any more has to end.
        pieces = self._pieces
        self._future.add_done_callback(lambda _: pieces.put(None))

    def __iter__(self) -> Iterator[str]:
        while (piece := self._pieces.get()) is not None:
            yield piece
        self._pieces.put(None)
        outcome(self._future)

    def result(self) -> Result[Out]:
        """Wait for the end, and return the result. Raises what `Client.run` raises."""
        return outcome(self._future)

    def close(self) -> None:
        """Stop, wherever the answer is."""
        self._future.cancel()

    def __enter__(self) -> Stream[Out]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_future"):
            self.close()


class AsyncStream(Generic[Out]):
    """`Stream` for ``async for``."""

    def __init__(self, start: Callable[[Deliver], Coroutine[Any, Any, Result[Out]]]) -> None:
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        self._pieces = pieces
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(start(pieces.put_nowait))
        self._task.add_done_callback(lambda _: pieces.put_nowait(None))

    async def __aiter__(self) -> AsyncIterator[str]:
        while (piece := await self._pieces.get()) is not None:
            yield piece
        self._pieces.put_nowait(None)
        await self.result()

    async def result(self) -> Result[Out]:
        """Wait for the end, and return the result. Raises what `Client.arun` raises."""
        await asyncio.wait([self._task])
        if self._task.cancelled():
            raise DefinitionError("this was closed before it ended", hint="close a client or stream last")
        return self._task.result()

    async def aclose(self) -> None:
        """Stop, wherever the answer is, and wait until it has stopped."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def __aenter__(self) -> AsyncStream[Out]:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if hasattr(self, "_task") and not self._task.done() and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._task.cancel)
