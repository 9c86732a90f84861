"""Requests and completions: what may be asked, and when two requests are the same."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptkit.errors import DefinitionError
from promptkit.messages import Message
from promptkit.requests import Completion, Parameters, Request, Schema, Usage, total

HI = Message.of("user", "Hi")


@pytest.mark.parametrize(
    ("values", "parameters"),
    [
        pytest.param({}, Parameters(), id="nothing leaves every choice to the provider"),
        pytest.param({"temperature": "0.2"}, Parameters(temperature=0.2), id="a text is a number"),
        pytest.param({"temperature": 0}, Parameters(temperature=0), id="greedy"),
        pytest.param({"top_p": 1}, Parameters(top_p=1), id="the upper end is in range"),
        pytest.param({"max_tokens": "5", "seed": "0"}, Parameters(max_tokens=5, seed=0), id="whole numbers"),
        pytest.param({"stop": "END"}, Parameters(stop=("END",)), id="one stop text"),
        pytest.param({"stop": ["END", "\n"]}, Parameters(stop=("END", "\n")), id="several stop texts"),
        pytest.param({"seed": None}, Parameters(), id="None is not set"),
    ],
)
def test_what_is_parsed(values: dict[str, Any], parameters: Parameters) -> None:
    assert Parameters.parse(values) == parameters


@pytest.mark.parametrize(
    ("values", "field", "message", "hint"),
    [
        pytest.param(
            {"temprature": 1}, "temprature", "unknown parameter", "did you mean 'temperature'?", id="a misspelt name"
        ),
        pytest.param({"zzz": 1}, "zzz", "unknown parameter 'zzz'", None, id="a name like no other"),
        pytest.param({"temperature": -0.1}, "temperature", "at least 0", None, id="a temperature below 0"),
        pytest.param({"temperature": "nan"}, "temperature", "at least 0", None, id="a temperature that is no number"),
        pytest.param({"temperature": "inf"}, "temperature", "at least 0", None, id="a temperature without end"),
        pytest.param(
            {"temperature": "hot"}, "temperature", "must be a number, got 'hot'", None, id="a temperature in words"
        ),
        pytest.param({"temperature": True}, "temperature", "a number", None, id="a truth value is no number"),
        pytest.param({"temperature": [1]}, "temperature", "a number", None, id="a list is no number"),
        pytest.param({"top_p": 0}, "top_p", "above 0 and at most 1", None, id="the lower end is out of range"),
        pytest.param({"top_p": 1.1}, "top_p", "above 0 and at most 1", None, id="above the upper end"),
        pytest.param({"max_tokens": 0}, "max_tokens", "at least 1", None, id="no tokens at all"),
        pytest.param({"max_tokens": 1.0}, "max_tokens", "a whole number", None, id="a fraction for a whole number"),
        pytest.param({"max_tokens": "1.5"}, "max_tokens", "a whole number", None, id="a fraction in a text"),
        pytest.param({"seed": -1}, "seed", "at least 0", None, id="a seed below 0"),
        pytest.param({"seed": True}, "seed", "a whole number", None, id="a truth value is no seed"),
        pytest.param({"stop": ""}, "stop", "non-empty texts", None, id="an empty stop text"),
        pytest.param({"stop": ["a", ""]}, "stop", "non-empty texts", None, id="an empty stop text among others"),
        pytest.param({"stop": ["a", 1]}, "stop", "non-empty texts", None, id="a stop that is no text"),
        pytest.param({"stop": 5}, "stop", "non-empty texts", None, id="a number for the stop texts"),
        pytest.param({"stop": {"a": "b"}}, "stop", "non-empty texts", None, id="a mapping for the stop texts"),
    ],
)
def test_what_is_refused(values: dict[str, Any], field: str, message: str, hint: str | None) -> None:
    with pytest.raises(DefinitionError) as caught:
        Parameters.parse(values)
    error = caught.value
    assert message in error.message
    assert (error.field, error.hint) == (field, hint)


def test_a_text_is_not_taken_for_a_list_of_stop_texts() -> None:
    with pytest.raises(DefinitionError, match="list of non-empty texts"):
        Parameters(stop="END")  # type: ignore[arg-type]


def test_parameters_stand_over_their_defaults() -> None:
    assert Parameters(temperature=0, stop=("a",)).over(Parameters(temperature=1, seed=3, stop=("b",))) == Parameters(
        temperature=0, seed=3, stop=("a",)
    )


def test_a_repr_shows_only_what_is_set() -> None:
    assert repr(Parameters(seed=0)) == "Parameters(seed=0)"
    assert repr(Parameters()) == "Parameters()"


BASE: dict[str, Any] = {"messages": (HI,), "parameters": Parameters(seed=1), "schema": Schema("A", {"type": "object"})}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"messages": (Message.of("user", "Ho"),)}, id="a text"),
        pytest.param({"messages": (Message.of("system", "Hi"),)}, id="a role"),
        pytest.param({"messages": (HI, HI)}, id="a message more"),
        pytest.param({"messages": (Message.of("user", "H"), Message.of("user", "i"))}, id="a message cut in two"),
        pytest.param({"messages": ()}, id="no message"),
        pytest.param({"parameters": Parameters(seed=2)}, id="a parameter"),
        pytest.param({"parameters": Parameters(seed=1, stop=("a",))}, id="a stop text"),
        pytest.param({"schema": Schema("A", {"type": "array"})}, id="a schema"),
        pytest.param({"schema": Schema("B", {"type": "object"})}, id="the name a schema is sent under"),
        pytest.param({"schema": None}, id="no schema"),
    ],
)
def test_another_request_has_another_fingerprint(change: dict[str, Any]) -> None:
    assert Request(**{**BASE, **change}).fingerprint != Request(**BASE).fingerprint


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({"a": 1, "b": 2}, {"b": 2, "a": 1}, id="the fields of a schema"),
    ],
)
def test_the_order_a_model_writes_in_is_part_of_the_request(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = (Request(messages=(HI,), schema=Schema("A", {"properties": fields})) for fields in (one, other))
    assert first.fingerprint != second.fingerprint


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(Parameters(temperature=0), Parameters(temperature=0.0), id="0 and 0.0"),
        pytest.param(Parameters(top_p=1), Parameters(top_p=1.0), id="1 and 1.0"),
        pytest.param(Parameters(stop=("a",)), Parameters(stop=["a"]), id="a tuple and a list"),  # type: ignore[arg-type]
    ],
)
def test_equal_requests_have_equal_fingerprints(one: Parameters, other: Parameters) -> None:
    first, second = Request(messages=(HI,), parameters=one), Request(messages=(HI,), parameters=other)
    assert first == second
    assert first.fingerprint == second.fingerprint


def test_a_fingerprint_is_the_same_on_every_machine() -> None:
    assert Request(messages=(HI,)).fingerprint == ("93efe9545d09f871f681355573dbd349b8dd37258710ac716b3709f3f0ffaa8f")


@given(st.lists(st.tuples(st.sampled_from(["user", "system"]), st.text()), max_size=3, unique=True))
@settings(deadline=None)
def test_texts_do_not_run_into_each_other(turns: list[tuple[Any, str]]) -> None:
    joined = Message.of("user", "".join(role + text for role, text in turns))
    request = Request(messages=tuple(Message.of(role, text) for role, text in turns))
    assert request.fingerprint != Request(messages=(joined,)).fingerprint


def test_a_request_prints_what_is_sent() -> None:
    assert str(Request(messages=(Message.of("system", "a\nb"), HI))) == "── system ──\na\nb\n\n── user ──\nHi"


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(Request(**BASE), id="a request"),
        pytest.param(Parameters(temperature=0.5, stop=("a",)), id="parameters"),
        pytest.param(Completion(text="a", ending="complete", usage=Usage(input_tokens=1)), id="a completion"),
        pytest.param(Usage(input_tokens=1), id="usage"),
    ],
)
def test_values_pickle_copy_and_cannot_be_changed(value: Any) -> None:
    assert pickle.loads(pickle.dumps(value)) == value
    assert copy.deepcopy(value) == value
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, dataclasses.fields(value)[0].name, None)


def test_usage_adds_up() -> None:
    one = Usage(input_tokens=1, output_tokens=2, cached_tokens=3)
    assert one + one == Usage(input_tokens=2, output_tokens=4, cached_tokens=6)


@pytest.mark.parametrize(
    ("usages", "sum_"),
    [
        pytest.param([], None, id="of nothing nothing is known"),
        pytest.param([None], None, id="of an unknown one neither"),
        pytest.param(
            [Usage(input_tokens=1), None, Usage(input_tokens=2)], Usage(input_tokens=3), id="what is known is added"
        ),
        pytest.param([Usage()], Usage(), id="zero is known"),
    ],
)
def test_total(usages: list[Usage | None], sum_: Usage | None) -> None:
    assert total(usages) == sum_
