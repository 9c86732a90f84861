"""Messages: their text, and the origin of every character of it."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptkit.errors import PromptkitError
from promptkit.messages import ROLES, Kind, Message, Piece, Role, Text

PIECES = st.lists(st.tuples(st.text(), st.sampled_from(get_args(Kind)), st.text(max_size=5))).map(tuple)


def test_the_roles_are_those_of_the_type() -> None:
    assert get_args(Role) == ROLES


@pytest.mark.parametrize("role", ROLES)
def test_a_message_of_one_text(role: Role) -> None:
    message = Message.of(role, "Hello", where="a.jinja:1")
    assert (message.role, message.text) == (role, "Hello")
    assert message.parts == (Text((("Hello", "template", "a.jinja:1"),)),)


@pytest.mark.parametrize("role", ["tool", "System", "user ", "", "assistant\n", None, 1])
def test_no_value_names_another_role(role: Any) -> None:
    with pytest.raises(PromptkitError):
        Message.of(role, "Hello")


def test_the_text_of_a_message_is_that_of_its_parts() -> None:
    parts = (Text((("a", "template", "t:1"), ("b", "input", "x"))), Text((("c", "input", "y"),)))
    assert Message("user", parts).text == "abc"


def test_a_text_of_no_pieces_is_empty() -> None:
    assert (Text(()).text, list(Text(()).spans())) == ("", [])


@given(PIECES)
def test_spans_tile_the_text_without_gaps(pieces: tuple[Piece, ...]) -> None:
    part = Text(pieces)
    end = 0
    for span, piece in zip(part.spans(), pieces, strict=True):
        assert span.start == end
        assert (span.text, span.kind, span.where) == piece
        assert part.text[span.start : span.end] == span.text
        end = span.end
    assert end == len(part.text)


MESSAGE = Message("user", (Text((("Hi ", "template", "t:1"), ("Ann", "input", "name"))),))


def test_a_message_pickles_and_copies() -> None:
    assert pickle.loads(pickle.dumps(MESSAGE)) == MESSAGE
    assert copy.deepcopy(MESSAGE) == MESSAGE
    assert hash(copy.copy(MESSAGE)) == hash(MESSAGE)


@pytest.mark.parametrize("value", [MESSAGE, MESSAGE.parts[0]], ids=["a message", "a text"])
def test_nothing_of_a_message_can_be_changed(value: Any) -> None:
    name = dataclasses.fields(value)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, "assistant")
