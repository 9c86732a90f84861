"""What may enter a template: plain data, and nothing that lives."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import io
import pathlib
import subprocess
import sys
import types
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AnyUrl, BaseModel, SecretStr

from promptkit.errors import InputError
from promptkit.templating.blocks import concat
from promptkit.templating.plain import Hidden, plain


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Shout(str):
    """A text that prints as another."""

    __slots__ = ()

    def __str__(self) -> str:
        return "changed"


class Note(BaseModel):
    text: str
    tags: list[str] = []


@dataclasses.dataclass
class Pair:
    left: Any
    right: Any


class Point(tuple):
    __slots__ = ()


MOMENT = datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC)
UUID = uuid.UUID(int=7)


@pytest.mark.parametrize(
    ("value", "data"),
    [
        pytest.param("a", "a", id="a text"),
        pytest.param(1, 1, id="a whole number"),
        pytest.param(1.5, 1.5, id="a fraction"),
        pytest.param(True, True, id="a truth value"),
        pytest.param(None, None, id="nothing"),
        pytest.param(MOMENT, MOMENT, id="a moment"),
        pytest.param(MOMENT.date(), MOMENT.date(), id="a date"),
        pytest.param(MOMENT.time(), MOMENT.time(), id="a time"),
        pytest.param(("a", ["b"]), ["a", ["b"]], id="a tuple is a list"),
        pytest.param({"b", "a"}, ["a", "b"], id="a set is a list in a fixed order"),
        pytest.param(frozenset({3, 1, 2}), [1, 2, 3], id="a frozen set too"),
        pytest.param({"a": {"b": (1,)}}, {"a": {"b": [1]}}, id="mappings nest"),
        pytest.param(collections.OrderedDict(a=1), {"a": 1}, id="an ordered mapping"),
        pytest.param(types.MappingProxyType({"a": 1}), {"a": 1}, id="a read-only mapping"),
        pytest.param(collections.Counter("aab"), {"a": 2, "b": 1}, id="a counter"),
        pytest.param(Color.RED, "red", id="an enum is its value"),
        pytest.param(Level.HIGH, 3, id="an int enum is its number"),
        pytest.param(Point(("a",)), ["a"], id="a tuple of another class"),
        pytest.param(Shout("shout"), "shout", id="a text of another class is its characters"),
        pytest.param(
            concat([("a", "template", "t:1"), ("b", "input", "x")]), "ab", id="a captured fragment is its characters"
        ),
        pytest.param(decimal.Decimal("1.20"), decimal.Decimal("1.20"), id="a decimal stays a number"),
        pytest.param(UUID, str(UUID), id="a UUID is its text"),
        pytest.param(AnyUrl("https://example.org/a"), "https://example.org/a", id="an address is its text"),
        pytest.param(Note(text="t"), {"text": "t", "tags": []}, id="a pydantic model is a mapping"),
        pytest.param([Note(text="t")], [{"text": "t", "tags": []}], id="a list of models"),
        pytest.param(
            Pair(1, Note(text="t")), {"left": 1, "right": {"text": "t", "tags": []}}, id="a dataclass is a mapping"
        ),
    ],
)
def test_what_is_data(value: Any, data: Any) -> None:
    made = plain(value, "x")
    assert made == data
    assert type(made) is type(data)


@pytest.mark.parametrize(
    ("value", "field", "message"),
    [
        pytest.param(object(), "x", "x is a object", id="an object"),
        pytest.param(
            {"a": [object()]}, "x.a[0]", "x.a[0] is a object", id="an object deep inside is named by its path"
        ),
        pytest.param(Pair(1, object()), "x.right", "x.right is a object", id="an object in a dataclass"),
        pytest.param(len, "x", "builtin_function_or_method", id="a function"),
        pytest.param(lambda: "a", "x", "function", id="a lambda"),
        pytest.param(Note, "x", "ModelMetaclass", id="a class"),
        pytest.param(Pair, "x", "x is a type", id="a dataclass itself"),
        pytest.param(io, "x", "module", id="a module"),
        pytest.param(pathlib.Path("a"), "x", "Path", id="a path"),
        pytest.param(io.StringIO("a"), "x", "StringIO", id="a file"),
        pytest.param(iter("ab"), "x", "iterator", id="an iterator"),
        pytest.param((c for c in "ab"), "x", "generator", id="a generator"),
        pytest.param(b"ab", "x", "bytes", id="bytes"),
        pytest.param(1j, "x", "complex", id="a complex number"),
        pytest.param(ValueError("a"), "x", "ValueError", id="an exception"),
        pytest.param({1: "a"}, "x", "has the key 1", id="a key that is no text"),
        pytest.param({"a": {None: "b"}}, "x.a", "has the key None", id="a key that is None, deep inside"),
        pytest.param("a\ud800", "x", "lone surrogate at character 1", id="a lone high surrogate"),
        pytest.param("\udfff", "x", "lone surrogate at character 0", id="a lone low surrogate"),
        pytest.param("\ud83d\ude00", "x", "lone surrogate", id="a pair of surrogates is no character either"),
        pytest.param({"a": ["b", "\ud800"]}, "x.a[1]", "lone surrogate", id="a lone surrogate deep inside"),
        pytest.param({"a": {"\ud800": 1}}, "x.a", "lone surrogate", id="a lone surrogate in a key"),
        pytest.param(Note.model_construct(text="\ud800"), "x.text", "lone surrogate", id="a lone surrogate in a model"),
        pytest.param(Shout("\ud800"), "x", "lone surrogate", id="a lone surrogate in a text of another class"),
        pytest.param({"\ud800"}, "x[0]", "lone surrogate", id="a lone surrogate in a set"),
    ],
)
def test_what_is_refused(value: Any, field: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        plain(value, "x")
    assert message in caught.value.message
    assert caught.value.field == field


def test_a_list_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(InputError, match="holds itself"):
        plain(loop, "x")


def test_an_object_is_refused_also_where_little_of_pydantic_is_imported() -> None:
    code = """
import pydantic
from promptkit.errors import InputError
from promptkit.templating.plain import plain
try:
    plain(object(), "x")
except InputError as error:
    print(error.field)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("x\n", "")


def test_a_secret_is_hidden_and_says_nothing() -> None:
    hidden = plain(SecretStr("s3cret"), "key")
    assert type(hidden) is Hidden
    for show in (repr, str, format):
        with pytest.raises(InputError, match="key is a secret and is never printed"):
            show(hidden)


def test_the_message_does_not_show_the_value() -> None:
    class Account:
        def __repr__(self) -> str:
            return "s3cret"

    with pytest.raises(InputError) as caught:
        plain({"account": Account()}, "x")
    assert "s3cret" not in str(caught.value)


def test_what_is_made_shares_nothing_with_what_was_given() -> None:
    given_ = {"a": [1]}
    made = plain(given_, "x")
    given_["a"].append(2)
    assert made == {"a": [1]}


DATA = st.recursive(
    st.one_of(st.text(), st.integers(), st.booleans(), st.none(), st.dates(), st.floats(allow_nan=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)),
    max_leaves=10,
)


@given(DATA)
def test_plain_data_stays_what_it_is(value: Any) -> None:
    assert plain(value, "x") == value
