"""The error tree: as drawn, and every error pickles, copies and keeps its facts."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest

from promptkit import errors
from promptkit.errors import OutputError, PromptkitError, ProviderError, nearest
from promptkit.requests import Usage

CLASSES = [getattr(errors, name) for name in errors.__all__]
PLACE = {"file": "t.jinja", "line": 3, "column": 5, "field": "ticket.body", "hint": "remove it"}
PROVIDER = {"status": 429, "code": "slow_down", "retryable": True, "retry_after": 1.5, "partial": "Hel"}
OUTPUT = {"text": "{", "usage": Usage(output_tokens=1)}


def facts_of(kind: type[PromptkitError]) -> dict[str, Any]:
    if issubclass(kind, ProviderError):
        return PLACE | PROVIDER
    return PLACE | OUTPUT if issubclass(kind, OutputError) else PLACE


def drawn() -> dict[str, tuple[str, str]]:
    """The tree of the module's docstring: class to (parent, description)."""
    tree: dict[str, tuple[str, str]] = {}
    parents: list[str] = []
    for indent, name, about in re.findall(r"^ {4}([│├└─ ]*)([A-Z]\w+) *(.*)$", errors.__doc__ or "", re.M):
        depth = len(indent.replace("├── ", "    ").replace("└── ", "    ").replace("│", " ")) // 2
        depth = {0: 0, 2: 1, 4: 2}[depth]
        parents[depth:] = [name]
        tree[name] = (parents[depth - 1] if depth else "Exception", about)
    return tree


def test_the_tree_drawn_is_the_tree_of_classes() -> None:
    assert {name: parent for name, (parent, _) in drawn().items()} == {
        kind.__name__: kind.__bases__[0].__name__ for kind in CLASSES
    }


def test_every_class_is_drawn_listed_and_described() -> None:
    defined = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert defined == set(errors.__all__) == set(drawn())
    assert errors.__all__ == sorted(errors.__all__)
    assert all(kind.__doc__ and len(kind.__bases__) == 1 for kind in CLASSES)
    assert all(about for name, (_, about) in drawn().items() if name != "PromptkitError")


@pytest.mark.parametrize(
    "again",
    [
        pytest.param(lambda error: pickle.loads(pickle.dumps(error)), id="pickled"),
        pytest.param(lambda error: pickle.loads(pickle.dumps(error, protocol=0)), id="pickled in the oldest protocol"),
        pytest.param(copy.copy, id="copied"),
        pytest.param(copy.deepcopy, id="copied deeply"),
    ],
)
@pytest.mark.parametrize("kind", CLASSES, ids=errors.__all__)
def test_an_error_keeps_its_facts(
    kind: type[PromptkitError], again: Callable[[PromptkitError], PromptkitError]
) -> None:
    facts = facts_of(kind)
    error = again(kind("no such key", **facts))
    assert type(error) is kind
    assert {name: getattr(error, name) for name in facts} == facts
    assert error.message == "no such key"
    assert str(error) == "t.jinja:3:5: no such key\n  hint: remove it"


@pytest.mark.parametrize("kind", CLASSES, ids=errors.__all__)
def test_an_error_needs_no_more_than_a_message(kind: type[PromptkitError]) -> None:
    error = kind("no such key")
    assert str(error) == "no such key"
    assert {name: getattr(error, name) for name in PLACE} == dict.fromkeys(PLACE)


@pytest.mark.parametrize("kind", CLASSES, ids=errors.__all__)
def test_facts_are_keywords(kind: type[PromptkitError]) -> None:
    with pytest.raises(TypeError):
        kind("no such key", "t.jinja")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        kind("no such key", colour="red")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        pytest.param({}, "m", id="a message alone"),
        pytest.param({"file": "f"}, "f: m", id="a file"),
        pytest.param({"file": "f", "line": 1}, "f:1: m", id="a file and a line"),
        pytest.param({"file": "f", "line": 1, "column": 2}, "f:1:2: m", id="a file, a line and a column"),
        pytest.param({"field": "a.b"}, "m", id="a field is the message's to name"),
        pytest.param({"hint": "h"}, "m\n  hint: h", id="a hint stands below"),
    ],
)
def test_how_an_error_prints(facts: dict[str, Any], text: str) -> None:
    assert str(PromptkitError("m", **facts)) == text


def test_what_a_provider_error_says_by_default() -> None:
    error = ProviderError("m")
    assert (error.status, error.code, error.retryable, error.retry_after, error.partial) == (
        None,
        None,
        False,
        None,
        "",
    )


def test_what_an_output_error_says_by_default() -> None:
    assert (OutputError("m").text, OutputError("m").usage) == ("", None)


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        pytest.param("tickt", ["ticket", "product"], "did you mean 'ticket'?", id="one letter off"),
        pytest.param("Ticket", ["ticket"], "did you mean 'ticket'?", id="another case"),
        pytest.param("zzz", ["ticket"], None, id="like none of them"),
        pytest.param("ticket", [], None, id="nothing is known"),
    ],
)
def test_nearest(name: str, known: list[str], hint: str | None) -> None:
    assert nearest(name, known) == hint
