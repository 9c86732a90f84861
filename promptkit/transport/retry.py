"""When to ask again, and how long to wait before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import tenacity

from promptkit.errors import ProviderError

__all__ = ["retrying"]

FIRST_WAIT = 0.5
LONGEST_WAIT = 20.0

Sleep = Callable[[float], Awaitable[None]]


def retrying(
    *, attempts: int, sleep: Sleep, again: Callable[[], bool], time_left: Callable[[], float] = lambda: float("inf")
) -> tenacity.AsyncRetrying:
    """Tries of one call: those whose error says so, with full jitter or the wait the server asked for.

    Args:
        attempts: most tries, the first included.
        sleep: how to wait, in seconds.
        again: whether a new try is still allowed; not once text has been delivered.
        time_left: seconds until everything has to be done.

    Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    def worth_it(error: BaseException) -> bool:
        if not isinstance(error, ProviderError) or not error.retryable or not again():
            return False
        # A longer wait than this is the caller's to decide on; the error carries it.
        return error.retry_after is None or error.retry_after <= min(LONGEST_WAIT, time_left())

    return tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception(worth_it),
        stop=tenacity.stop_after_attempt(attempts),
        wait=_wait,
        sleep=sleep,
        reraise=True,
    )


_jitter = tenacity.wait_random_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT)


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, ProviderError) and error.retry_after is not None:
        return error.retry_after
    return _jitter(state)
