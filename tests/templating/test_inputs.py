"""Inputs of types declared in Python: validated whatever they come as, under any of their names."""

from __future__ import annotations

import dataclasses
import decimal
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, RootModel, ValidationError, computed_field
from typing_extensions import TypedDict

from promptkit import DefinitionError, InputError, Prompt
from promptkit.templating import strict_yaml
from promptkit.templating.shorthand import REQUIRED, exact_fields, read_fields, to_model


class Aliased(BaseModel):
    user_name: str = Field(alias="userName")


class Sized(BaseModel):
    text: str

    @computed_field  # type: ignore[prop-decorator]
    @property
    def size(self) -> int:
        return len(self.text)


@dataclasses.dataclass
class Order:
    kind: ClassVar[str] = "order"
    name: str
    count: int


class Rush(Order):
    pass


class Row(TypedDict):
    name: str


@pytest.mark.parametrize(
    ("kind", "template", "inputs", "expected"),
    [
        pytest.param(Aliased, "{{ user_name }}", {"userName": "Ann"}, "Ann", id="by alias"),
        pytest.param(Aliased, "{{ user_name }}", {"user_name": "Ann"}, "Ann", id="by name though there is an alias"),
        pytest.param(Aliased, "{{ user_name }}", Aliased(userName="Ann"), "Ann", id="an instance with an alias"),
        pytest.param(Sized, "{{ text }} {{ size }}", {"text": "abc"}, "abc 3", id="a computed field is there"),
        pytest.param(Order, "{{ name }}{{ count }}", {"name": "a", "count": "2"}, "a2", id="a dataclass by keywords"),
        pytest.param(Order, "{{ name }}{{ count }}", Order("a", 2), "a2", id="a dataclass instance"),
        pytest.param(Rush, "{{ name }}{{ count }}", Rush("a", 2), "a2", id="a plain subclass of a dataclass"),
        pytest.param(Row, "{{ name }}", {"name": "a"}, "a", id="a TypedDict"),
        pytest.param(None, "{{ price * 2 }}", {"price": decimal.Decimal("1.5")}, "3.0", id="a decimal is a number"),
        pytest.param(None, "{{ 'yes' if x }}", {"x": False}, None, id="an if without else is nothing"),
    ],
)
def test_what_is_taken(kind: Any, template: str, inputs: Any, expected: str | None) -> None:
    prompt = Prompt(f"{{% user %}}>{template}{{% enduser %}}", input=kind)
    request = prompt.render(**inputs) if isinstance(inputs, dict) else prompt.render(inputs)
    assert request.messages[0].text == f">{expected or ''}"


@pytest.mark.parametrize(
    ("kind", "inputs", "message"),
    [
        pytest.param(Order, Order(5, "x"), "input 'name'", id="a dataclass instance is validated"),  # type: ignore[arg-type]
        pytest.param(Sized, {"text": "a", "size": 3}, "unknown input 'size'", id="a computed field cannot be given"),
        pytest.param(Row, Order("a", 1), "expected a Row or keywords, got Order", id="another type than a TypedDict"),
    ],
)
def test_what_is_refused(kind: Any, inputs: Any, message: str) -> None:
    prompt = Prompt("Hi", input=kind)
    with pytest.raises(InputError, match=message):
        prompt.render(**inputs) if isinstance(inputs, dict) else prompt.render(inputs)


def test_a_model_that_is_no_object_is_refused() -> None:
    with pytest.raises(DefinitionError, match="must be a pydantic model"):
        Prompt("Hi", input=RootModel[list[str]])


@pytest.mark.parametrize("expression", ["x | trim", "x | upper", "x | string", "'%s' | format(x)", "[x, 'a'] | join"])
def test_none_becomes_no_word_through_a_filter(expression: str) -> None:
    with pytest.raises(InputError, match="None"):
        Prompt(f"{{{{ {expression} }}}}").render(x=None)


SHAPES = st.recursive(
    st.sampled_from(["str", "int", "float", "bool", "None", "Any", "date", "Literal[a, b]", "Literal[1, a]"]),
    lambda inner: st.one_of(
        inner.map("list[{}]".format),
        inner.map("dict[str, {}]".format),
        st.tuples(inner, inner).map(" | ".join),
    ),
    max_leaves=5,
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-2, 2) | st.sampled_from(["a", "b", "1"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=5,
)


@given(SHAPES, VALUES)
@settings(deadline=None, max_examples=300)
def test_what_needs_no_pydantic_is_what_pydantic_gives(shape: str, value: Any) -> None:
    fields = read_fields(strict_yaml.parse(f"x: '{shape}'", file="f"))
    exact = exact_fields(fields, {"x": value})
    if exact is REQUIRED:
        return
    try:
        expected = to_model(fields, "In").model_validate({"x": value}).model_dump()
    except ValidationError as error:  # pragma: no cover - a counterexample
        raise AssertionError(f"{shape} takes {value!r} without pydantic, which refuses it") from error
    assert repr(exact) == repr(expected)
