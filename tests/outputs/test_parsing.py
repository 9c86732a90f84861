"""A model's text read as a value, and every way in which it is none."""

from __future__ import annotations

import datetime
import json
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from promptkit.errors import Filtered, NotParsed, OutputError, Refused, Truncated
from promptkit.outputs.parsing import Reader, require_complete
from promptkit.requests import Completion, Ending, Usage


class Triage(BaseModel):
    queue: Literal["billing", "bug"]
    urgent: bool = False


class Tree(BaseModel):
    name: str
    children: list[Tree] = []


def complete(text: str) -> Completion:
    return Completion(text=text, ending="complete", usage=Usage(output_tokens=3))


@pytest.mark.parametrize(
    ("text", "output", "value"),
    [
        pytest.param(" as it is\n", str, " as it is\n", id="plain text is kept to the byte"),
        pytest.param("", str, "", id="an empty text is a text"),
        pytest.param('{"value": 1}', str, '{"value": 1}', id="JSON is a text too"),
        pytest.param('{"queue": "bug"}', Triage, Triage(queue="bug"), id="a model, with its defaults"),
        pytest.param(
            ' {"queue": "bug", "urgent": true}\n',
            Triage,
            Triage(queue="bug", urgent=True),
            id="white space around JSON",
        ),
        pytest.param('{"value": true}', bool, True, id="a wrapped truth value"),
        pytest.param('{"value": null}', int | None, None, id="a wrapped null"),
        pytest.param('{"value": "b"}', Literal["a", "b"], "b", id="a wrapped word"),
        pytest.param('{"value": ["a"]}', list[str], ["a"], id="a wrapped list"),
        pytest.param(
            '{"value": [{"queue": "bug"}]}', list[Triage], [Triage(queue="bug")], id="a wrapped list of models"
        ),
        pytest.param('{"a": 1}', dict[str, int], {"a": 1}, id="a mapping"),
        pytest.param('{"value": 1}', dict[str, int], {"value": 1}, id="a mapping with a key called value"),
        pytest.param(
            '{"value": "2026-01-02"}', datetime.date, datetime.date(2026, 1, 2), id="a date as JSON writes it"
        ),
        pytest.param(
            '{"name": "a", "children": [{"name": "b"}]}',
            Tree,
            Tree(name="a", children=[Tree(name="b")]),
            id="a model that holds itself",
        ),
        pytest.param('{"value": "Größe \\ud83d\\ude00"}', str | None, "Größe 😀", id="text beyond ASCII"),
    ],
)
def test_what_is_read(text: str, output: Any, value: Any) -> None:
    assert Reader(output).read(complete(text)) == value


@pytest.mark.parametrize(
    ("text", "output", "field", "message"),
    [
        pytest.param("", Triage, None, "the answer is not JSON", id="nothing"),
        pytest.param("bug", Triage, None, "the answer is not JSON", id="words"),
        pytest.param('{"queue": "bug"', Triage, None, "the answer is not JSON", id="JSON that is cut off"),
        pytest.param(
            '{"queue": "bug"} and more', Triage, None, "the answer is not JSON", id="JSON with words after it"
        ),
        pytest.param("{'queue': 'bug'}", Triage, None, "the answer is not JSON", id="single quotes"),
        pytest.param(
            '{"queue": "mail"}',
            Triage,
            "queue",
            "queue: Input should be 'billing' or 'bug'",
            id="a word that is none of the choices",
        ),
        pytest.param("{}", Triage, "queue", "queue: Field required", id="a missing field"),
        pytest.param(
            '{"queue": "bug", "urgent": "maybe"}', Triage, "urgent", "urgent: ", id="a field of the wrong type"
        ),
        pytest.param('[{"queue": "bug"}]', Triage, None, "does not fit", id="a list for an object"),
        pytest.param(
            '{"name": "a", "children": [{"name": "b"}, {}]}',
            Tree,
            "children.1.name",
            "Field required",
            id="a fault deep inside has its path",
        ),
        pytest.param("true", bool, None, "one field 'value'", id="a value that is not wrapped"),
        pytest.param(
            '{"value": true, "why": "x"}', bool, None, "one field 'value'", id="a wrapped value that is not alone"
        ),
        pytest.param('{"Value": true}', bool, None, "one field 'value'", id="a wrapped value under another name"),
        pytest.param('{"value": "x"}', int, None, "value: ", id="a wrapped value of the wrong type"),
        pytest.param('{"value": ["a", 1]}', list[str], "1", "1: ", id="an item of the wrong type"),
        pytest.param('{"value": NaN}', float, None, "not JSON", id="NaN is not JSON"),
        pytest.param('{"value": -Infinity}', float, None, "not JSON", id="infinity is not JSON"),
        pytest.param('{"value": 1e999}', float, None, "", id="a number beyond every float"),
        pytest.param('{"value": 1, "value": 2}', int, None, "", id="a key that stands twice"),
        pytest.param('{"value": "\\ud800"}', str | None, None, "", id="a lone surrogate"),
        pytest.param('{"value": ' + "1" * 5000 + "}", int, None, "not JSON", id="a number of 5000 digits"),
        pytest.param('{"value": ' + "[" * 300 + "]" * 300 + "}", Any, None, "", id="lists nested 300 deep"),
        pytest.param('{"value": ' + "[" * 100_000 + "]" * 100_000 + "}", Any, None, "", id="lists nested 100000 deep"),
    ],
)
def test_what_is_not_a_value(text: str, output: Any, field: str | None, message: str) -> None:
    with pytest.raises(NotParsed) as caught:
        Reader(output).read(complete(text))
    error = caught.value
    assert message in error.message
    assert (error.field, error.text, error.usage) == (field, text, Usage(output_tokens=3))


@pytest.mark.parametrize(
    ("ending", "error", "hint"),
    [
        pytest.param("truncated", Truncated, "raise max_tokens", id="cut off"),
        pytest.param("filtered", Filtered, None, id="withheld"),
        pytest.param("refused", Refused, None, id="declined"),
        pytest.param("tool_calls", OutputError, None, id="a tool was asked for"),
    ],
)
@pytest.mark.parametrize("output", [str, Triage], ids=["text", "a model"])
def test_only_a_complete_answer_has_an_output(
    ending: Ending, error: type[OutputError], hint: str | None, output: Any
) -> None:
    completion = Completion(text='{"queue": "bug"}', ending=ending, usage=Usage(output_tokens=1))
    with pytest.raises(OutputError) as caught:
        Reader(output).read(completion)
    assert type(caught.value) is error
    assert (caught.value.text, caught.value.usage, caught.value.hint) == (completion.text, completion.usage, hint)


def test_a_complete_answer_is_let_through() -> None:
    require_complete(complete("x"))


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
@settings(deadline=None)
def test_any_text_in_json_is_read_as_it_was_written(text: str) -> None:
    assert Reader(str | None).read(complete(json.dumps({"value": text}))) == text


@given(st.text(alphabet='{}[]":,0123456789.eE+-truefalsn \\u', max_size=30))
@settings(deadline=None, max_examples=200)
def test_whatever_a_model_says_is_a_value_or_not_parsed(text: str) -> None:
    try:
        value = Reader(Triage).read(complete(text))
    except NotParsed as error:
        value = error
    assert isinstance(value, Triage) or value.text == text
