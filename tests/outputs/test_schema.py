"""The JSON schema an output type is sent as."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from promptkit.errors import DefinitionError
from promptkit.outputs.schema import is_wrapped, to_schema


class Triage(BaseModel):
    queue: Literal["billing", "bug"]
    urgent: bool = False


class Tree(BaseModel):
    name: str
    children: list[Tree] = Field(default_factory=list)


@dataclasses.dataclass
class Pair:
    left: int


class Note(TypedDict):
    text: str


class Opaque:
    pass


def test_plain_text_has_no_schema() -> None:
    assert to_schema(str, name="Answer") is None


@pytest.mark.parametrize(
    ("output", "properties"),
    [
        pytest.param(Triage, {"queue", "urgent"}, id="a model is its own object"),
        pytest.param(Pair, {"left"}, id="a dataclass too"),
        pytest.param(Note, {"text"}, id="a TypedDict too"),
        pytest.param(bool, {"value"}, id="a truth value is wrapped"),
        pytest.param(int | None, {"value"}, id="a choice is wrapped"),
        pytest.param(str | None, {"value"}, id="a text that may be missing is wrapped"),
        pytest.param(Literal["a", "b"], {"value"}, id="a choice of words is wrapped"),
        pytest.param(list[str], {"value"}, id="a list is wrapped"),
        pytest.param(list[Triage], {"value"}, id="a list of models is wrapped"),
        pytest.param(Triage | Pair, {"value"}, id="a choice of models is wrapped"),
        pytest.param(Any, {"value"}, id="anything is wrapped"),
    ],
)
def test_the_root_is_an_object(output: Any, properties: set[str]) -> None:
    schema = to_schema(output, name="Answer")
    assert schema is not None
    assert schema.name == "Answer"
    assert schema.json["type"] == "object"
    assert schema.json["properties"].keys() == properties


def test_a_wrapped_value_is_required_and_alone() -> None:
    schema = to_schema(list[Triage], name="Answer")
    assert schema is not None
    assert schema.json["required"] == ["value"]
    assert schema.json["additionalProperties"] is False


def test_definitions_stay_where_references_find_them() -> None:
    schema = to_schema(list[Triage], name="Answer")
    assert schema is not None
    assert schema.json["properties"]["value"]["items"] == {"$ref": "#/$defs/Triage"}
    assert schema.json["$defs"].keys() == {"Triage"}
    assert "$defs" not in schema.json["properties"]["value"]


def test_a_model_that_holds_itself_is_not_wrapped() -> None:
    schema = to_schema(Tree, name="Tree")
    assert schema is not None
    assert schema.json["$ref"] == "#/$defs/Tree"
    assert schema.json["$defs"]["Tree"]["type"] == "object"
    assert not is_wrapped(dict(schema.json))


def test_a_mapping_of_any_names_is_an_object() -> None:
    schema = to_schema(dict[str, int], name="Counts")
    assert schema is not None
    assert schema.json == {"type": "object", "additionalProperties": {"type": "integer"}}


@pytest.mark.parametrize(
    "output",
    [
        pytest.param(Opaque, id="a class pydantic does not know"),
        pytest.param(list[Opaque], id="a list of them"),
        pytest.param(Callable[[], int], id="a function"),
        pytest.param(list["Missing"], id="a name that does not exist"),  # noqa: F821
        pytest.param(5, id="a value"),
    ],
)
def test_a_type_without_a_schema_is_refused(output: Any) -> None:
    with pytest.raises(DefinitionError, match="has no JSON schema"):
        to_schema(output, name="Answer")
