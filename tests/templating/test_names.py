"""Which names a template needs from outside: no false alarm on a template that Jinja renders."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptkit import Prompt
from promptkit.errors import TemplateError

PARENT = "{% set tone = 'calm' %}{% macro bold(t) %}*{{ t }}*{% endmacro %}{% user %}{% block body %}{% enduser %}"


@pytest.mark.parametrize(
    ("template", "names"),
    [
        pytest.param(
            "{% macro tree(n) %}{{ n.name }}{% for c in n.kids %}{{ tree(c) }}{% endfor %}{% endmacro %}{{ tree(a) }}",
            {"a"},
            id="a macro may call itself",
        ),
        pytest.param(
            "{% macro a(x) %}{{ b(x) }}{% endmacro %}{% macro b(x) %}{{ x }}{% endmacro %}{{ a(y) }}",
            {"y"},
            id="a macro may call a later one",
        ),
        pytest.param(
            "{% macro a() %}{{ tone }}{% endmacro %}{% set tone = 'calm' %}{{ a() }}",
            set(),
            id="a macro may read what is set later",
        ),
        pytest.param(
            "{% macro a(x, y=x) %}{{ y }}{% endmacro %}{{ a(z) }}", {"z"}, id="a default may read an argument"
        ),
        pytest.param(
            "{% set tone = tone | upper %}{{ tone }}", {"tone"}, id="a name set from itself comes from outside"
        ),
        pytest.param("{% for x in xs %}{{ loop.index }}{{ x }}{% endfor %}", {"xs"}, id="a loop brings its own names"),
        pytest.param("{% for x in xs %}{{ x }}{% endfor %}{{ x }}", {"xs", "x"}, id="which end with it"),
        pytest.param("{% with a = b %}{{ a }}{% endwith %}{{ a }}", {"a", "b"}, id="so do those of with"),
        pytest.param("{% set ns = namespace(n=0) %}{% set ns.n = k %}{{ ns.n }}", {"k"}, id="a namespace is set"),
        pytest.param("{% call m(x) %}{{ y }}{% endcall %}", {"m", "x", "y"}, id="a call block reads what it names"),
    ],
)
def test_the_inputs_are_the_names_read_from_outside(template: str, names: set[str]) -> None:
    assert Prompt(template).inputs == names


@pytest.mark.parametrize(
    ("child", "expected"),
    [
        pytest.param("{% block body %}{{ tone }}{% endblock %}", "calm", id="a set"),
        pytest.param("{% block body %}{{ bold('b') }}{% endblock %}", "*b*", id="a macro"),
    ],
)
def test_a_block_of_a_child_reads_what_its_parent_sets(child: str, expected: str, tmp_path: Path) -> None:
    parent = PARENT.replace("{% block body %}", "{% block body %}{% endblock %}")
    (tmp_path / "parent.jinja").write_text(parent, encoding="utf-8")
    (tmp_path / "child.jinja").write_text("{% extends 'parent' %}" + child, encoding="utf-8")
    prompt = Prompt.load("child", path=[tmp_path])
    assert prompt.inputs == set()
    assert prompt.render().messages[0].text == expected


def test_an_included_template_reads_the_loop_around_it(tmp_path: Path) -> None:
    (tmp_path / "row.jinja").write_text("{{ loop.index }}:{{ x }} ", encoding="utf-8")
    prompt = Prompt("{% for x in xs %}{{ loop.index0 }}>{% include 'row' %}{% endfor %}", path=[tmp_path])
    assert prompt.render(xs=["a", "b"]).messages[0].text == "0>1:a 1>2:b"


def test_types_of_an_included_template_are_refused_not_ignored(tmp_path: Path) -> None:
    (tmp_path / "part.jinja").write_text("---\nparameters: {temperature: 0}\n---\nHi", encoding="utf-8")
    with pytest.raises(TemplateError, match="would be ignored") as caught:
        Prompt("{% include 'part' %}", path=[tmp_path])
    assert caught.value.file == str(tmp_path / "part.jinja")
