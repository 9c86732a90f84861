"""Sync code's door to async code."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading

import pytest

from promptkit.transport.portal import Portal


async def thread_of() -> int:
    return threading.get_ident()


def test_a_coroutine_runs_in_one_thread_of_its_own() -> None:
    portal = Portal()
    try:
        threads = {portal.run(thread_of()) for _ in range(3)}
    finally:
        portal.close()

    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_it_runs_from_inside_a_running_loop() -> None:
    portal = Portal()

    async def notebook() -> int:
        return portal.run(thread_of())

    try:
        assert asyncio.run(notebook()) != threading.get_ident()
    finally:
        portal.close()


def test_it_runs_for_several_threads_at_once() -> None:
    portal = Portal()
    together = asyncio.Barrier(4)

    async def meet(number: int) -> int:
        async with asyncio.timeout(5):
            await together.wait()
        return number

    try:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(lambda number: portal.run(meet(number)), range(4))) == [0, 1, 2, 3]
    finally:
        portal.close()


def test_an_error_comes_out_as_it_is() -> None:
    portal = Portal()
    error = ValueError("inside")

    async def fail() -> None:
        raise error

    try:
        with pytest.raises(ValueError, match="inside") as raised:
            portal.run(fail())
    finally:
        portal.close()

    assert raised.value is error


def test_cancelling_the_future_cancels_the_coroutine() -> None:
    portal = Portal()
    started, cancelled = threading.Event(), threading.Event()

    async def wait() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    try:
        future = portal.start(wait())
        assert started.wait(5)
        future.cancel()
        assert cancelled.wait(5)
    finally:
        portal.close()


def test_closing_cancels_what_still_runs_and_ends_the_thread() -> None:
    portal = Portal()
    before = threading.active_count()
    started, cancelled = threading.Event(), threading.Event()

    async def wait() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    future = portal.start(wait())
    assert started.wait(5)
    portal.close()

    assert cancelled.is_set()
    assert threading.active_count() == before
    with pytest.raises(concurrent.futures.CancelledError):
        future.result(5)


def test_closing_twice_or_unused_does_nothing() -> None:
    portal = Portal()
    before = threading.active_count()

    portal.close()
    portal.close()

    assert threading.active_count() == before
