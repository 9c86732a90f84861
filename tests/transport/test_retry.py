"""When to ask again, and how long to wait before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from promptkit.errors import (
    ConfigError,
    ConnectionFailed,
    InputError,
    NotParsed,
    ProviderError,
    RateLimited,
    RequestRejected,
    ServerFailed,
    TimedOut,
)
from promptkit.transport.retry import FIRST_WAIT, LONGEST_WAIT, retrying

BUSY = ServerFailed("busy", retryable=True)


def always() -> bool:
    return True


class Tries:
    """Fails as it is told to, then succeeds; counts tries and waits."""

    def __init__(self, *failures: BaseException) -> None:
        self.failures = list(failures)
        self.count = 0
        self.waits: list[float] = []

    async def __call__(self) -> str:
        self.count += 1
        if self.failures:
            raise self.failures.pop(0)
        return "done"

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    def run(self, attempts: int = 3, again: Callable[[], bool] = always) -> str:
        async def go() -> str:
            return await retrying(attempts=attempts, sleep=self.sleep, again=again)(self)

        return asyncio.run(go())


def limited(seconds: float) -> RateLimited:
    return RateLimited("slow down", retryable=True, retry_after=seconds)


def test_a_success_is_not_repeated() -> None:
    tries = Tries()

    assert tries.run() == "done"
    assert (tries.count, tries.waits) == (1, [])


@pytest.mark.parametrize(
    ("failure", "count"),
    [
        pytest.param(BUSY, 3, id="a failure that may pass is"),
        pytest.param(ConnectionFailed("reset", retryable=True), 3, id="so is a broken connection"),
        pytest.param(TimedOut("slow", retryable=True), 3, id="so is silence"),
        pytest.param(ServerFailed("no", retryable=False), 1, id="one that will not pass is not"),
        pytest.param(RequestRejected("bad"), 1, id="a rejected request is not"),
        pytest.param(limited(LONGEST_WAIT), 3, id="a wait as long as the limit is"),
        pytest.param(limited(LONGEST_WAIT + 0.1), 1, id="a longer wait is the caller's to decide on"),
        pytest.param(ConfigError("wrong"), 1, id="an error of the definition is not"),
        pytest.param(InputError("wrong"), 1, id="an error of the input is not"),
        pytest.param(NotParsed("wrong"), 1, id="an error of the model is not"),
        pytest.param(ZeroDivisionError("a bug"), 1, id="a bug is not"),
        pytest.param(asyncio.CancelledError(), 1, id="a cancellation is not"),
    ],
)
def test_what_is_tried_again(failure: BaseException, count: int) -> None:
    tries = Tries(*[failure] * 10)

    with pytest.raises(type(failure)) as raised:
        tries.run()

    assert raised.value is failure
    assert tries.count == count
    assert len(tries.waits) == count - 1


@pytest.mark.parametrize(("attempts", "count"), [(1, 1), (2, 2), (5, 5)])
def test_the_number_of_tries_includes_the_first(attempts: int, count: int) -> None:
    tries = Tries(*[BUSY] * 10)

    with pytest.raises(ServerFailed):
        tries.run(attempts)

    assert tries.count == count


def test_a_later_try_may_succeed() -> None:
    tries = Tries(BUSY, ConnectionFailed("reset", retryable=True))

    assert tries.run() == "done"
    assert tries.count == 3


def test_the_last_failure_comes_out() -> None:
    last = TimedOut("slow", retryable=True)

    with pytest.raises(TimedOut) as raised:
        Tries(BUSY, BUSY, last).run()

    assert raised.value is last


def test_no_try_follows_once_it_is_forbidden() -> None:
    tries = Tries(BUSY, BUSY)

    with pytest.raises(ServerFailed):
        tries.run(again=lambda: tries.count < 2)

    assert tries.count == 2


@pytest.mark.parametrize("seconds", [0.0, 0.25, 7.0])
def test_the_wait_the_server_asked_for_is_kept(seconds: float) -> None:
    tries = Tries(limited(seconds))
    tries.run()

    assert tries.waits == [seconds]


def test_waits_are_spread_and_grow_up_to_a_limit() -> None:
    rounds: list[list[float]] = []
    for _ in range(60):
        tries = Tries(*[BUSY] * 9)
        tries.run(attempts=10)
        rounds.append(tries.waits)

    for number in range(9):
        waits = [waited[number] for waited in rounds]
        bound = min(FIRST_WAIT * 2**number, LONGEST_WAIT)
        assert all(0 <= wait <= bound for wait in waits)
        # Full jitter: from nothing to the bound. The chance that 60 of them miss a half is 2 in 10^18.
        assert min(waits) < bound / 2 < max(waits)


def test_two_calls_do_not_share_their_tries() -> None:
    first, second = Tries(BUSY, BUSY), Tries(BUSY, BUSY)

    async def both() -> list[str]:
        calls = [retrying(attempts=3, sleep=tries.sleep, again=always)(tries) for tries in (first, second)]
        return list(await asyncio.gather(*calls))

    assert asyncio.run(both()) == ["done", "done"]
    assert (first.count, second.count) == (3, 3)


def test_an_error_with_its_wait_is_the_servers() -> None:
    with pytest.raises(ProviderError) as raised:
        Tries(limited(3600.0)).run()

    assert raised.value.retry_after == 3600.0
