"""Plans: what to ask, written without waiting.

A plan is a generator that yields batches of requests and receives their completions; what it returns
is the output. `drive` runs one; a test runs one with ``next`` and ``send``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from promptkit.requests import Completion, Request, Usage, total

__all__ = ["Plan", "Result", "Runnable", "drive"]

Out = TypeVar("Out")
Out_co = TypeVar("Out_co", covariant=True)

Plan = Generator[Sequence[Request], Sequence[Completion], Out]


class Runnable(Protocol[Out_co]):
    """What a client can run: a `Prompt`, or anything else with a plan."""

    def plan(self, inputs: Any = None, /, **fields: Any) -> Plan[Out_co]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Result(Generic[Out]):
    """What a run gives.

    Attributes:
        output: the value, of the prompt's output type.
        requests: every request that was asked.
        completions: the answer to each.
    """

    output: Out
    requests: tuple[Request, ...]
    completions: tuple[Completion, ...]

    @property
    def text(self) -> str:
        """The raw text of the last answer."""
        return self.completions[-1].text if self.completions else ""

    @property
    def usage(self) -> Usage | None:
        """Tokens of all answers together; ``None`` if no provider counted."""
        return total([completion.usage for completion in self.completions])


async def drive(plan: Plan[Out], ask: Callable[[Sequence[Request]], Awaitable[Sequence[Completion]]]) -> Result[Out]:
    """Run a plan to its end; an error of ``ask`` is raised inside the plan, which may handle it."""
    requests: list[Request] = []
    completions: list[Completion] = []
    try:
        batch = next(plan)
        while True:
            requests += batch
            try:
                answers = await ask(batch)
            except Exception as error:
                batch = plan.throw(error)
            else:
                completions += answers
                batch = plan.send(answers)
    except StopIteration as stop:
        return Result(output=stop.value, requests=tuple(requests), completions=tuple(completions))
    finally:
        plan.close()
