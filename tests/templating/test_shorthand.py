"""The type shorthand: what it means, and where it is wrong."""

from __future__ import annotations

import datetime
import pickle
from typing import Any, Literal, Union

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from promptkit.errors import TemplateError
from promptkit.templating.shorthand import REQUIRED, Field, exact, exact_fields, read_fields, to_model, to_type
from promptkit.templating.strict_yaml import Mapping, parse


def fields(text: str) -> dict[str, Field]:
    return read_fields(parse(text, file="t.jinja"))


def type_of(text: str) -> Any:
    return to_type(fields(f"x: {text}")["x"].shape, "X")


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        pytest.param("str", str, id="a text"),
        pytest.param("'str'", str, id="a quoted type is a type"),
        pytest.param("int", int, id="a whole number"),
        pytest.param("float", float, id="a number"),
        pytest.param("bool", bool, id="a truth value"),
        pytest.param("date", datetime.date, id="a date"),
        pytest.param("datetime", datetime.datetime, id="a date with a time"),
        pytest.param("time", datetime.time, id="a time"),
        pytest.param("Any", Any, id="anything"),
        pytest.param("None", type(None), id="nothing"),
        pytest.param("list[str]", list[str], id="a list"),
        pytest.param("[str]", list[str], id="a list in brackets"),
        pytest.param("[[int]]", list[list[int]], id="a list of lists"),
        pytest.param("dict[str, float]", dict[str, float], id="a mapping"),
        pytest.param("str | None", str | None, id="perhaps a text"),
        pytest.param("list[int | None] | date", list[int | None] | datetime.date, id="a choice of types"),
        pytest.param("Literal[low, high]", Literal["low", "high"], id="a choice of words"),
        pytest.param("Literal['not found', 5, True]", Literal["not found", 5, True], id="texts, numbers, truth values"),
        pytest.param("{type: int}", int, id="a described field"),
        pytest.param("[{type: int}]", list[int], id="a described field in a list"),
    ],
)
def test_what_a_type_means(text: str, type_: Any) -> None:
    assert type_of(text) == type_


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        pytest.param("x: string", (1, 4), "unknown type 'string'", None, id="a type that does not exist"),
        pytest.param("x: Str", (1, 4), "unknown type 'Str'", "did you mean 'str'?", id="the nearest type is named"),
        pytest.param("x: lst[str]", (1, 4), "unknown type 'lst'", "did you mean 'list'?", id="the nearest container"),
        pytest.param(
            "a: str\nx: datetme", (2, 4), "unknown type", "did you mean 'datetime'?", id="the line is the field's"
        ),
        pytest.param("x: [str, int]", (1, 4), "one type of its items", None, id="a list of two types"),
        pytest.param("x: []", (1, 4), "one type of its items", None, id="a list of no type"),
        pytest.param("x: [nope]", (1, 5), "unknown type 'nope'", None, id="the column is inside the list"),
        pytest.param("x: {}", (1, 4), "at least one field", "dict[str, Any]", id="an object without fields"),
        pytest.param("x:", (1, 3), "a type is missing", "str", id="no type at all"),
        pytest.param("x: list[str", (1, 4), "is not a type", "list[str] | None", id="a bracket that is not closed"),
        pytest.param("x: dict[int, str]", (1, 4), "text keys", None, id="a mapping with numbers as keys"),
        pytest.param("x: dict[str]", (1, 4), "dict takes 2 type(s), got 1", None, id="a mapping of one type"),
        pytest.param("x: list[str, int]", (1, 4), "list takes 1 type(s), got 2", None, id="a list type of two types"),
        pytest.param("x: list", (1, 4), "unknown type 'list'", None, id="a list of what"),
        pytest.param("x: Literal[1.5]", (1, 4), "words, quoted texts or whole numbers", "Literal[", id="a fraction"),
        pytest.param("x: Literal[]", (1, 4), "is not a type", None, id="a choice of nothing"),
        pytest.param("x: Literal[()]", (1, 4), "Literal", None, id="a choice of an empty tuple"),
        pytest.param("x: os.system('ls')", (1, 4), "is not a type", None, id="Python is not run"),
        pytest.param("x: __import__", (1, 4), "unknown type", None, id="a name of Python is no type"),
        pytest.param("x: str or int", (1, 4), "is not a type", None, id="the word or"),
        pytest.param(
            "1x: str", (1, 1), "cannot be a field name", "letters, digits and _", id="a name that begins with a digit"
        ),
        pytest.param("a b: str", (1, 1), "cannot be a field name", None, id="a name with a space"),
        pytest.param("_x: str", (1, 1), "cannot be a field name", None, id="a name that begins with _"),
        pytest.param("x: {y: {z-z: str}}", (1, 9), "cannot be a field name", None, id="a name deep inside"),
        pytest.param(
            "x: {type: str, description: [a]}", (1, 29), "must be a text", None, id="a description that is a list"
        ),
        pytest.param(
            "true: str", (1, 1), "cannot be a field name", None, id="a name the template language reads as a value"
        ),
        pytest.param("none: str", (1, 1), "cannot be a field name", None, id="the name none"),
        pytest.param("self: str", (1, 1), "cannot be a field name", None, id="the name self is taken"),
        pytest.param("model_config: str", (1, 1), "cannot be a field name", None, id="the name model_config is taken"),
    ],
)
def test_what_is_wrong(text: str, place: tuple[int, int], message: str, hint: str | None) -> None:
    with pytest.raises(TemplateError) as caught:
        fields(text)
    error = caught.value
    assert message in error.message
    assert (error.file, error.line, error.column) == ("t.jinja", *place)
    assert hint is None or hint in (error.hint or "")


@pytest.mark.parametrize("text", ["list[" * 3000 + "str" + "]" * 3000, "|".join(["str"] * 5000), "-" * 9000 + "1"])
def test_no_type_is_too_long_to_be_refused(text: str) -> None:
    with pytest.raises(TemplateError, match="not a type") as caught:
        fields(f"x: {text}")
    assert caught.value.line == 1


class TestFields:
    def test_an_object_is_a_model_with_those_fields(self) -> None:
        model = to_model(fields("ticket: {subject: str, tags: [str]}"), "In")
        value = model.model_validate({"ticket": {"subject": "s", "tags": ["a"]}})
        assert value.model_dump() == {"ticket": {"subject": "s", "tags": ["a"]}}

    def test_an_unknown_field_is_refused_at_every_depth(self) -> None:
        model = to_model(fields("ticket: {subject: str}"), "In")
        with pytest.raises(ValidationError, match="extra_forbidden"):
            model.model_validate({"ticket": {"subject": "s", "body": "b"}})

    def test_a_default_is_converted_to_the_type(self) -> None:
        model = to_model(fields("n: {type: int, default: 3}\non: {type: date, default: 2026-01-02}"), "In")
        assert model.model_validate({}).model_dump() == {"n": 3, "on": datetime.date(2026, 1, 2)}

    def test_a_default_that_does_not_fit_names_its_place(self) -> None:
        with pytest.raises(TemplateError, match="the default of 'n' does not fit") as caught:
            to_model(fields("a: str\nn: {type: int, default: many}"), "In")
        assert (caught.value.line, caught.value.field) == (2, "n")

    def test_a_default_of_null_is_none(self) -> None:
        model = to_model(fields("x: {type: str | None, default: null}"), "In")
        assert model.model_validate({}).model_dump() == {"x": None}

    def test_a_description_reaches_the_schema(self) -> None:
        model = to_model(fields("x: {type: str, description: The name.}"), "In")
        assert model.model_json_schema()["properties"]["x"]["description"] == "The name."

    def test_an_object_with_a_field_called_type_is_written_with_fields(self) -> None:
        declared = fields("x: {fields: {type: str, default: int}}")
        model = to_model(declared, "In")
        assert model.model_validate({"x": {"type": "a", "default": 1}}).model_dump() == {
            "x": {"type": "a", "default": 1}
        }

    def test_type_next_to_another_name_is_an_object(self) -> None:
        model = to_model(fields("x: {type: str, size: int}"), "In")
        assert model.model_validate({"x": {"type": "a", "size": 1}}).model_dump() == {"x": {"type": "a", "size": 1}}

    @pytest.mark.parametrize("name", "json copy schema validate construct model_dump model_fields class loop".split())
    def test_an_ordinary_word_is_a_field_name(self, name: str) -> None:
        model: type[BaseModel] = to_model(fields(f"{name}: int"), "In")
        assert TypeAdapter(model).dump_python(model.model_validate({name: "3"})) == {name: 3}

    def test_required_is_one_object_also_after_a_pickle(self) -> None:
        declared = fields("x: [str]")
        assert pickle.loads(pickle.dumps(declared)) == declared
        assert pickle.loads(pickle.dumps(declared))["x"].default is REQUIRED

    def test_a_field_knows_its_place(self) -> None:
        assert fields("a: str\nb: [int]")["b"].place[1:] == (2, 4)


BASE = {"str": str, "int": int, "float": float, "bool": bool, "None": type(None), "date": datetime.date}
WORDS = st.lists(st.sampled_from(["low", "high", "x1", "größe"]), min_size=1, max_size=3, unique=True)


def _combined(inner: st.SearchStrategy[tuple[str, Any]]) -> st.SearchStrategy[tuple[str, Any]]:
    return st.one_of(
        inner.map(lambda a: (f"list[{a[0]}]", list[a[1]])),
        inner.map(lambda a: (f"dict[str, {a[0]}]", dict[str, a[1]])),
        st.tuples(inner, inner).map(lambda p: (f"{p[0][0]} | {p[1][0]}", Union[p[0][1], p[1][1]])),  # noqa: UP007
    )


TYPES: st.SearchStrategy[tuple[str, Any]] = st.recursive(
    st.one_of(
        st.sampled_from(sorted(BASE.items())),
        WORDS.map(lambda words: (f"Literal[{', '.join(words)}]", Literal[tuple(words)])),
    ),
    _combined,
    max_leaves=4,
)


@given(TYPES)
@settings(deadline=None)
def test_the_shorthand_means_what_python_means(pair: tuple[str, Any]) -> None:
    text, type_ = pair
    assert type_of(text) == type_


@given(TYPES, st.data())
@settings(deadline=None, max_examples=150)
def test_a_value_taken_as_it_is_is_the_value_pydantic_gives(pair: tuple[str, Any], data: st.DataObject) -> None:
    text, type_ = pair
    value = data.draw(st.from_type(type_))
    taken = exact(fields(f"x: {text}")["x"].shape, value)
    if taken is not REQUIRED:
        # repr, so that True is not 1 and NaN is NaN.
        assert repr(taken) == repr(TypeAdapter(type_).validate_python(value))


@pytest.mark.parametrize(
    ("text", "values", "taken"),
    [
        pytest.param("x: str", {"x": "a"}, {"x": "a"}, id="a text is taken as it is"),
        pytest.param("x: int", {"x": "3"}, REQUIRED, id="a text for a number is left to pydantic"),
        pytest.param("x: int", {"x": True}, REQUIRED, id="a truth value is no whole number"),
        pytest.param("x: float", {"x": 1}, REQUIRED, id="a whole number for a fraction is left to pydantic"),
        pytest.param("x: str", {}, REQUIRED, id="a missing field"),
        pytest.param("x: str", {"x": "a", "y": "b"}, REQUIRED, id="an unknown field"),
        pytest.param("x: {type: str, default: d}", {}, {"x": "d"}, id="a default fills in"),
        pytest.param("x: {type: int, default: 3}", {}, REQUIRED, id="a default that needs conversion"),
        pytest.param("x: Literal[a, 1]", {"x": True}, REQUIRED, id="True is not the literal 1"),
        pytest.param("x: {y: {type: str, default: d}}", {"x": {}}, {"x": {"y": "d"}}, id="a default deep inside"),
        pytest.param("x: [str]", {"x": ("a",)}, REQUIRED, id="a tuple is left to pydantic"),
        pytest.param("x: 'dict[str, int]'", {"x": {1: 2}}, REQUIRED, id="a key that is no text"),
    ],
)
def test_what_needs_no_pydantic(text: str, values: dict[str, Any], taken: Any) -> None:
    assert exact_fields(fields(text), values) == taken


def test_reading_does_not_change_the_tree() -> None:
    root = parse("x: {type: str}", file="f")
    assert isinstance(root, Mapping)
    read_fields(root)
    assert root.plain() == {"x": {"type": "str"}}
