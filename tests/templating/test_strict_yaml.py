"""Front matter's YAML: a small subset, every scalar a text, every fault with its line and column."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptkit.errors import TemplateError
from promptkit.templating.strict_yaml import MAX_BYTES, MAX_DEPTH, List, Mapping, Scalar, parse

PRINTABLE = st.text(st.one_of(st.characters(exclude_categories=["C", "Z"]), st.just(" ")))
LOOKS_TYPED = st.one_of(
    st.integers().map(str),
    st.floats().map(repr),
    st.dates().map(str),
    st.times().map(str),
    st.datetimes().map(str),
    st.sampled_from("yes no on Off y N true False NULL Null 0o17 0x1F 1_000 1e3 .inf .NaN = << 190:20:30".split()),
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("", {}, id="nothing is an empty mapping"),
        pytest.param("# only a comment\n", {}, id="a comment alone is an empty mapping"),
        pytest.param("a: 1", {"a": "1"}, id="a number stays a text"),
        pytest.param("a: 1.20", {"a": "1.20"}, id="a trailing zero is kept"),
        pytest.param("a: 0123", {"a": "0123"}, id="a leading zero is kept"),
        pytest.param("a: no\nb: on", {"a": "no", "b": "on"}, id="no and on are words"),
        pytest.param("on: 1", {"on": "1"}, id="on is a word as a key too"),
        pytest.param("a: 12:30:45", {"a": "12:30:45"}, id="a time is no number to the base of 60"),
        pytest.param("a: 2026-01-02", {"a": "2026-01-02"}, id="a date stays a text"),
        pytest.param("a:\nb: ~\nc: null", {"a": None, "b": None, "c": None}, id="nothing, ~ and null are None"),
        pytest.param("a: ''\nb: '~'\nc: \"null\"", {"a": "", "b": "~", "c": "null"}, id="quoted, they are texts"),
        pytest.param("a: [1, x, [y]]", {"a": ["1", "x", ["y"]]}, id="lists nest"),
        pytest.param("a:\n  - b: 1\n    c: 2", {"a": [{"b": "1", "c": "2"}]}, id="mappings stand in lists"),
        pytest.param("a: {b: {c: d}}", {"a": {"b": {"c": "d"}}}, id="flow mappings nest"),
        pytest.param("a: |\n  x\n   y\n", {"a": "x\n y\n"}, id="a literal block keeps its lines"),
        pytest.param("a: >\n  x\n  y\n", {"a": "x y\n"}, id="a folded block joins its lines"),
        pytest.param("a: str | None", {"a": "str | None"}, id="a bar inside a text is a bar"),
        pytest.param("<<: {a: b}", {"<<": {"a": "b"}}, id="a merge key merges nothing"),
        pytest.param("a: x\r\nb: y\r\n", {"a": "x", "b": "y"}, id="lines may end in CRLF"),
        pytest.param("a: Größe 💡", {"a": "Größe 💡"}, id="text beyond ASCII"),
    ],
)
def test_what_is_read(text: str, value: dict[str, Any]) -> None:
    assert parse(text, file="t.jinja").plain() == value


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        pytest.param(
            "a: 1\nb: 2\na: 3", 3, 1, "stands twice (first in line 1)", id="a duplicate key names its first line"
        ),
        pytest.param("a: {b: 1, b: 2}", 1, 11, "'b' stands twice", id="a duplicate key in a flow mapping"),
        pytest.param("a: 1\n'a': 2", 2, 1, "stands twice", id="quoting does not make another key"),
        pytest.param("a: &x 1", 1, 4, "anchors and aliases", id="an anchor"),
        pytest.param("a: 1\nb: *x", 2, 4, "anchors and aliases", id="an alias"),
        pytest.param("a: &x [1]\nb: [*x, *x]", 1, 4, "anchors and aliases", id="the first of an alias bomb"),
        pytest.param("a: !!int 3", 1, 4, "tags are not supported", id="a tag of YAML's own"),
        pytest.param("a: !!python/object/apply:os.system [ls]", 1, 4, "tags are not supported", id="a tag of Python"),
        pytest.param("a:\n  - !x y", 2, 5, "tags are not supported", id="a tag in a list"),
        pytest.param("{a: b}: c", 1, 1, "a key must be a plain text", id="a mapping as a key"),
        pytest.param("[a]: c", 1, 1, "a key must be a plain text", id="a list as a key"),
        pytest.param("a: 1\n---\nb: 2", 2, 1, "a second document", id="a second document"),
        pytest.param("a: 1\n...\nb: 2", 3, 1, "not valid YAML", id="a document after an end mark"),
        pytest.param("- a\n- b", 1, 1, "expected 'name: value' lines", id="a list at the root"),
        pytest.param("just words", 1, 1, "expected 'name: value' lines", id="a text at the root"),
        pytest.param("a: [1}", 1, 6, "not valid YAML", id="a list closed as a mapping"),
        pytest.param("a: 'x", 1, 6, "not valid YAML", id="a quote that is not closed"),
        pytest.param("a: b: c", 1, 5, "not valid YAML", id="two colons in a line"),
        pytest.param("a:\n\tb: 1", 2, 1, "not valid YAML", id="a tab as indentation"),
        pytest.param("a: @x", 1, 4, "not valid YAML", id="a reserved character"),
        pytest.param("a: 1\nb: 2\nc: \x07", 3, 4, "not valid YAML", id="a control character has its line"),
        pytest.param("a: \ud800", 1, 4, "not valid", id="a lone surrogate"),
        pytest.param(f"a: {'[' * 40}{']' * 40}", 1, 4 + MAX_DEPTH, "nested deeper than 20", id="lists nested too deep"),
        pytest.param(
            f"a: {'[' * 20_000}", 1, 4 + MAX_DEPTH, "nested deeper than 20", id="no depth overflows the stack"
        ),
    ],
)
def test_what_is_refused(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse(text, file="t.jinja")
    error = caught.value
    assert message in error.message
    assert (error.file, error.line, error.column) == ("t.jinja", line, column)


def test_a_text_that_is_too_long_is_not_parsed_at_all() -> None:
    with pytest.raises(TemplateError, match="longer than 64 KiB") as caught:
        parse("[" * (MAX_BYTES + 1), file="t.jinja", first_line=2)
    assert (caught.value.file, caught.value.line) == ("t.jinja", 2)


def test_lines_count_from_where_the_text_begins_in_its_file() -> None:
    with pytest.raises(TemplateError) as caught:
        parse("a: 1\na: 2", file="t.jinja", first_line=2)
    assert caught.value.line == 3
    assert "first in line 2" in caught.value.message


def test_every_node_knows_its_place() -> None:
    root = parse("a: x\nb:\n  - y\n  - {c: 'z'}", file="f")
    assert root.keys["b"][1:] == (2, 1)
    items = root.items["b"]
    assert isinstance(items, List)
    assert items.place[1:] == (3, 3)
    assert isinstance(items.items[0], Scalar)
    assert items.items[0].place[1:] == (3, 5)
    inner = items.items[1]
    assert isinstance(inner, Mapping)
    assert inner.items["c"].place[1:] == (4, 9)


@pytest.mark.parametrize("space", ["\u2028", "\u2029", "\x85"], ids=["U+2028", "U+2029", "NEL"])
def test_what_yaml_would_take_for_a_line_end_is_refused_at_its_place(space: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse(f"a: 1\nb: 'x{space}y'", file="f")
    assert (caught.value.line, caught.value.column) == (2, 6)


@given(PRINTABLE)
@settings(deadline=None)
def test_any_printable_text_comes_back_from_single_quotes(text: str) -> None:
    quoted = "'" + text.replace("'", "''") + "'"
    assert parse(f"a: {quoted}\nb: end", file="f").plain() == {"a": text, "b": "end"}


@given(PRINTABLE)
@settings(deadline=None)
def test_any_printable_text_comes_back_from_double_quotes(text: str) -> None:
    assert parse(f"a: {json.dumps(text, ensure_ascii=False)}", file="f").plain() == {"a": text}


@given(PRINTABLE)
@settings(deadline=None)
def test_any_printable_text_can_be_a_key(text: str) -> None:
    quoted = "'" + text.replace("'", "''") + "'"
    # A key on one line has at most 1024 characters; that limit is YAML's own.
    assert parse(f"? {quoted}\n: x", file="f").plain() == {text: "x"}


@given(LOOKS_TYPED)
@settings(deadline=None)
def test_what_is_written_plain_stays_the_text_it_is(text: str) -> None:
    assert parse(f"a: {text}\nb: [x]", file="f").plain()["a"] == text


@given(st.text(max_size=60))
@settings(deadline=None, max_examples=300)
def test_whatever_is_written_is_read_or_refused_with_its_line(text: str) -> None:
    fault: TemplateError | None = None
    try:
        parse(text, file="f")
    except TemplateError as error:
        fault = error
    assert fault is None or (fault.file == "f" and fault.line is not None)
