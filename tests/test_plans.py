"""A plan asks; somebody else waits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from promptkit.errors import ServerFailed
from promptkit.messages import Message
from promptkit.plans import Plan, Result, drive
from promptkit.requests import Completion, Request, Usage


def ask_for(text: str) -> Request:
    return Request(messages=(Message.of("user", text),))


def done(text: str, usage: Usage | None = None) -> Completion:
    return Completion(text=text, ending="complete", usage=usage)


class Model:
    """Echoes what it is asked; raises what it is told to."""

    def __init__(self, *failures: Exception | None) -> None:
        self.batches: list[list[str]] = []
        self._failures = list(failures)

    async def ask(self, requests: Sequence[Request]) -> Sequence[Completion]:
        self.batches.append([request.messages[0].text for request in requests])
        failure = self._failures.pop(0) if self._failures else None
        if failure is not None:
            raise failure
        return [done(f"re: {request.messages[0].text}") for request in requests]


def run(plan: Plan[Any], model: Model) -> Result[Any]:
    return asyncio.run(drive(plan, model.ask))


def two_batches() -> Plan[str]:
    first = yield [ask_for("a"), ask_for("b")]
    [second] = yield [ask_for(first[1].text)]
    return second.text


def test_a_plan_is_tested_with_next_and_send() -> None:
    plan = two_batches()

    assert [request.messages[0].text for request in next(plan)] == ["a", "b"]
    assert [request.messages[0].text for request in plan.send([done("x"), done("y")])] == ["y"]
    with pytest.raises(StopIteration) as stop:
        plan.send([done("z")])
    assert stop.value.value == "z"


def test_a_plan_is_driven_to_its_end() -> None:
    model = Model()

    result = run(two_batches(), model)

    assert model.batches == [["a", "b"], ["re: b"]]
    assert result.output == "re: re: b"
    assert [request.messages[0].text for request in result.requests] == ["a", "b", "re: b"]
    assert [completion.text for completion in result.completions] == ["re: a", "re: b", "re: re: b"]
    assert result.text == "re: re: b"


def test_a_plan_may_ask_nothing() -> None:
    def knows_already() -> Plan[int]:
        yield from ()
        return 42

    model = Model()
    result = run(knows_already(), model)

    assert (result.output, result.requests, result.completions) == (42, (), ())
    assert (result.text, result.usage) == ("", None)
    assert model.batches == []


def test_a_plan_may_ask_for_nothing_in_between() -> None:
    def empty_batch() -> Plan[list[str]]:
        answers = yield []
        return [answer.text for answer in answers]

    assert run(empty_batch(), Model()).output == []


def test_plans_compose() -> None:
    def outer() -> Plan[str]:
        first = yield from two_batches()
        second = yield from two_batches()
        return f"{first} | {second}"

    result = run(outer(), Model())

    assert result.output == "re: re: b | re: re: b"
    assert len(result.requests) == len(result.completions) == 6


def test_a_plan_may_handle_a_failure() -> None:
    failure = ServerFailed("down")
    caught: list[Exception] = []

    def patient() -> Plan[str]:
        try:
            yield [ask_for("a")]
        except ServerFailed as error:
            caught.append(error)
        [answer] = yield [ask_for("b")]
        return answer.text

    result = run(patient(), Model(failure))

    assert caught == [failure]
    assert result.output == "re: b"


def test_a_plan_may_end_on_a_failure() -> None:
    def resigned() -> Plan[str]:
        try:
            yield [ask_for("a")]
        except ServerFailed:
            return "nothing"
        raise AssertionError("unreachable")

    assert run(resigned(), Model(ServerFailed("down"))).output == "nothing"


def test_a_failure_nobody_handles_comes_out() -> None:
    failure = ServerFailed("down")

    with pytest.raises(ServerFailed) as raised:
        run(two_batches(), Model(None, failure))

    assert raised.value is failure


@pytest.mark.parametrize("failure", [ServerFailed("down"), ValueError("a bug")], ids=["of the server", "of anything"])
def test_a_plan_cleans_up_after_a_failure(failure: Exception) -> None:
    cleaned: list[bool] = []

    def tidy() -> Plan[str]:
        try:
            [answer] = yield [ask_for("a")]
            return answer.text
        finally:
            cleaned.append(True)

    with pytest.raises(type(failure)):
        run(tidy(), Model(failure))

    assert cleaned == [True]


def test_cancelling_closes_the_plan() -> None:
    closed: list[bool] = []

    def waiting() -> Plan[str]:
        try:
            [answer] = yield [ask_for("a")]
            return answer.text
        finally:
            closed.append(True)

    async def never(requests: Sequence[Request]) -> Sequence[Completion]:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def cancel() -> None:
        task = asyncio.create_task(drive(waiting(), never))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())

    assert closed == [True]


def test_an_error_of_the_plan_itself_comes_out() -> None:
    def broken() -> Plan[str]:
        yield [ask_for("a")]
        raise ZeroDivisionError("in the plan")

    with pytest.raises(ZeroDivisionError, match="in the plan"):
        run(broken(), Model())


@pytest.mark.parametrize(
    ("usages", "expected"),
    [
        pytest.param([], None, id="no answers"),
        pytest.param([None, None], None, id="nobody counted"),
        pytest.param([Usage(input_tokens=3)], Usage(input_tokens=3), id="one"),
        pytest.param(
            [Usage(input_tokens=3, output_tokens=1, cached_tokens=2), None, Usage(input_tokens=4, output_tokens=5)],
            Usage(input_tokens=7, output_tokens=6, cached_tokens=2),
            id="a sum over those who counted",
        ),
    ],
)
def test_usage_of_a_result(usages: list[Usage | None], expected: Usage | None) -> None:
    result = Result(output="", requests=(), completions=tuple(done("", usage) for usage in usages))

    assert result.usage == expected
