"""Sync code's door to async code: one event loop in a thread of its own.

Everything that waits is written once, as a coroutine; this runs it for callers that have no loop,
also from inside a running one (a notebook).
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from promptkit.errors import DefinitionError

__all__ = ["Portal", "outcome"]

T = TypeVar("T")


class Portal:
    """A background event loop, started when first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._closed = False

    def start(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run ``coroutine`` in the background; cancelling the future cancels it."""
        # Within the lock: what is handed to a loop that is being closed would never end.
        with self._lock:
            if self._closed:
                coroutine.close()
                raise DefinitionError("the client is closed", hint="run inside the `with Client() as client:` block")
            return asyncio.run_coroutine_threadsafe(coroutine, self._running())

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run ``coroutine`` and wait for it. Ctrl-C cancels it."""
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise DefinitionError("run was called from inside a run of the same client, and would wait for itself")
        return outcome(self.start(coroutine))

    def close(self, last: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """Cancel what still runs, run ``last``, and stop the loop."""
        with self._lock:
            self._closed = True
            if last is None and self._loop is None:
                return
            ended = asyncio.run_coroutine_threadsafe(_wind_up(last), self._running())
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        ended.result()
        assert loop is not None
        assert thread is not None
        loop.call_soon_threadsafe(loop.stop)
        thread.join()

    def _running(self) -> asyncio.AbstractEventLoop:
        # A fork copies the loop but not its thread; an exit raised in user code ends the thread.
        if self._loop is None or self._pid != os.getpid() or self._loop.is_closed():
            self._pid = os.getpid()
            self._loop = asyncio.new_event_loop()
            # A daemon, so that a client nobody closed does not keep the program alive.
            self._thread = threading.Thread(target=_serve, args=(self._loop,), name="promptkit", daemon=True)
            self._thread.start()
            weakref.finalize(self, _stop, self._loop).atexit = False
        return self._loop


def outcome(future: concurrent.futures.Future[T]) -> T:
    """Wait for a future; whoever stops waiting cancels it.

    Raises what it raises, and `DefinitionError` if it was cancelled.
    """
    try:
        return future.result()
    except concurrent.futures.CancelledError:
        raise DefinitionError("this was closed before it ended", hint="close a client or stream last") from None
    except BaseException:
        future.cancel()
        raise


def _stop(loop: asyncio.AbstractEventLoop) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(loop.stop)


async def _wind_up(last: Callable[[], Coroutine[Any, Any, None]] | None) -> None:
    # First those who use what `last` takes away: they shall end as cancelled, not with its errors.
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if last is not None:
        await last()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        while True:
            try:
                loop.run_forever()
                break
            except (SystemExit, KeyboardInterrupt):
                continue  # raised by somebody's code in a task; its future already carries it
    finally:
        loop.run_until_complete(_wind_up(None))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
