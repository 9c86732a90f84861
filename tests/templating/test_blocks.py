"""Message tags: the messages a template makes, their text, and where each character came from."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptkit import Message, Prompt, Request
from promptkit.errors import InputError, PromptkitError, TemplateError

FILES = {
    "part": "part of {{ x }}",
    "turns": "{% user %}{{ x }}{% enduser %}{% assistant %}ok{% endassistant %}",
    "words": "words in no message",
    "macros": "{% macro greet(who) %}Hello {{ who }}{% endmacro %}",
    "base": "{% system %}{% block rules %}Base rules.{% endblock %}{% endsystem %}"
    "{% block turns %}{% user %}{{ x }}{% enduser %}{% endblock %}",
    "misplaced": "{% macro m() %}{% user %}a{% enduser %}{% endmacro %}{{ m() }}",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("templates")
    for name, text in FILES.items():
        (path / f"{name}.jinja").write_text(text, encoding="utf-8")
    return path


def texts(request: Request) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in request.messages]


def pieces(message: Message) -> list[tuple[str, str, str]]:
    return [piece for part in message.parts for piece in part.pieces]


def assert_spans_tile(request: Request) -> None:
    for message in request.messages:
        for part in message.parts:
            end = 0
            for span in part.spans():
                assert span.start == end
                end = span.end
                assert part.text[span.start : span.end] == span.text
            assert end == len(part.text)


@pytest.mark.parametrize(
    ("template", "messages"),
    [
        pytest.param("Hi {{ x }}", [("user", "Hi X")], id="no tag at all is one user message"),
        pytest.param("{% system %}S{% endsystem %}", [("system", "S")], id="one tag, one message"),
        pytest.param(
            "{% system %}a{% endsystem %}{% developer %}b{% enddeveloper %}{% user %}c{% enduser %}"
            "{% assistant %}d{% endassistant %}",
            [("system", "a"), ("developer", "b"), ("user", "c"), ("assistant", "d")],
            id="every role, in order",
        ),
        pytest.param("\n\n{% user %}\n  a\n{% enduser %}\n\n", [("user", "a")], id="white space outside is nothing"),
        pytest.param("{# note #}{% user %}a{% enduser %}{# end #}", [("user", "a")], id="a comment is nothing"),
        pytest.param("{%- user -%}  a  {%- enduser -%}", [("user", "a")], id="tags may trim"),
        pytest.param("{% user %}\na\n\n  b\n{% enduser %}", [("user", "a\n\n  b")], id="text inside keeps its lines"),
        pytest.param(
            "{% for t in xs %}{% user %}{{ t }}{% enduser %}{% assistant %}ok{% endassistant %}{% endfor %}",
            [("user", "a"), ("assistant", "ok"), ("user", "b"), ("assistant", "ok")],
            id="a loop around messages",
        ),
        pytest.param(
            "{% user %}{% for t in xs %}{{ t }};{% endfor %}{% enduser %}", [("user", "a;b;")], id="a loop inside"
        ),
        pytest.param(
            "{% if x %}{% system %}yes{% endsystem %}{% else %}{% user %}no{% enduser %}{% endif %}",
            [("system", "yes")],
            id="a branch chooses a message",
        ),
        pytest.param(
            "{% set s = 'v' %}{% with t = 'w' %}{% user %}{{ s }}{{ t }}{% enduser %}{% endwith %}",
            [("user", "vw")],
            id="set and with around messages",
        ),
        pytest.param(
            "{% user %}{% raw %}{{ x }}{% endraw %}{% enduser %}", [("user", "{{ x }}")], id="raw text is text"
        ),
        pytest.param("{% include 'turns' %}", [("user", "X"), ("assistant", "ok")], id="messages come from an include"),
        pytest.param(
            "{% user %}a {% include 'part' %}{% enduser %}", [("user", "a part of X")], id="text comes from an include"
        ),
        pytest.param(
            "{% extends 'base' %}", [("system", "Base rules."), ("user", "X")], id="messages come from a parent"
        ),
        pytest.param(
            "{% extends 'base' %}{% block rules %}{{ super() }} And {{ x }}.{% endblock %}",
            [("system", "Base rules. And X."), ("user", "X")],
            id="a block inside a message adds to the parent's",
        ),
        pytest.param(
            "{% extends 'base' %}{% block turns %}{{ super() }}{% assistant %}ok{% endassistant %}{% endblock %}",
            [("system", "Base rules."), ("user", "X"), ("assistant", "ok")],
            id="a block between messages adds to the parent's messages",
        ),
        pytest.param(
            "{% extends 'base' %}{% block rules %}Mine.{% endblock %}"
            "{% block turns %}{% user %}Q {{ x }}{% enduser %}{% endblock %}",
            [("system", "Mine."), ("user", "Q X")],
            id="a child fills a block inside a message and one between messages",
        ),
        pytest.param("{% from 'macros' import greet %}{{ greet(x) }}", [("user", "Hello X")], id="a macro from a file"),
    ],
)
def test_messages(template: str, messages: list[tuple[str, str]], folder: Path) -> None:
    prompt = Prompt(template, path=[folder])
    given_ = {"x": "X", "xs": ["a", "b"]}
    request = prompt.render(**{name: given_[name] for name in prompt.inputs})
    assert texts(request) == messages
    assert_spans_tile(request)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        pytest.param("{% user %}\n    a\n    b\n{% enduser %}", "a\nb", id="common indentation goes"),
        pytest.param("{% user %}\n    a\n      b\n{% enduser %}", "a\n  b", id="deeper indentation stays"),
        pytest.param(
            "{% user %}\n      a\n    b\n{% enduser %}", "a\nb", id="white space at the beginning goes in any case"
        ),
        pytest.param("{% user %}\n\ta\n\tb\n{% enduser %}", "a\nb", id="tabs are indentation"),
        pytest.param("{% user %}\n    a\n\n    b\n{% enduser %}", "a\n\nb", id="an empty line does not count"),
        pytest.param("  {% user %}\n    a\n  {% enduser %}", "a", id="an indented tag"),
        pytest.param(
            "{% user %}\n    {{ x }}\n    b\n{% enduser %}", " v\n  w \nb", id="a value keeps its white space"
        ),
        pytest.param("{% user %}{{ x }}{% enduser %}", " v\n  w ", id="a value at both edges keeps its white space"),
        pytest.param(
            "{% user %}\n\n{{ x }}\n\n{% enduser %}", " v\n  w ", id="literal white space around a value goes"
        ),
        pytest.param("{{ x }}", " v\n  w ", id="a value alone is kept to the byte"),
        pytest.param(
            "{% user %}\n    {% if x %}\n    a\n    {% endif %}\n    b\n{% enduser %}",
            "a\nb",
            id="tags leave no lines behind",
        ),
        pytest.param(
            "{% user %}\n    - {{ x }}\n    {% for i in [1, 2] %}\n    - {{ i }}\n    {% endfor %}\n{% enduser %}",
            "-  v\n  w \n- 1\n- 2",
            id="a loop's lines are dedented",
        ),
    ],
)
def test_white_space(template: str, text: str) -> None:
    prompt = Prompt(template)
    assert prompt.render(**dict.fromkeys(prompt.inputs, " v\n  w ")).messages[0].text == text


@pytest.mark.parametrize(
    ("template", "line", "message"),
    [
        pytest.param("Hi\n{% user %}a{% enduser %}", 1, "would be lost: 'Hi'", id="text before the messages"),
        pytest.param(
            "{% user %}a{% enduser %}\n\nBye", 3, "would be lost: 'Bye'", id="text after the messages names its line"
        ),
        pytest.param(
            "Hello. World\n{% user %}a{% enduser %}",
            1,
            "would be lost: 'Hello. World'",
            id="lost text with a full stop is shown whole",
        ),
        pytest.param("{% user %}a{% enduser %}\n{{ x.y | trim }}", 2, "'{{ x.y }}'", id="a value outside the messages"),
        pytest.param(
            "{% if x %}\nHi{% endif %}{% user %}a{% enduser %}", 2, "'Hi'", id="text in a branch outside the messages"
        ),
        pytest.param(
            "{% user %}\n{% system %}a{% endsystem %}{% enduser %}",
            2,
            "'system' message cannot stand inside the 'user' message",
            id="a message in a message",
        ),
        pytest.param(
            "{% user %}{% if x %}\n{% user %}a{% enduser %}{% endif %}{% enduser %}",
            2,
            "inside the 'user' message",
            id="a message in a branch of a message",
        ),
        pytest.param(
            "{% macro m() %}\n{% user %}a{% enduser %}{% endmacro %}{{ m() }}",
            2,
            "inside a macro",
            id="a message in a macro",
        ),
        pytest.param(
            "{% set s %}\n{% user %}a{% enduser %}{% endset %}", 2, "inside a set block", id="a message in a set block"
        ),
        pytest.param(
            "{% filter upper %}\n{% user %}a{% enduser %}{% endfilter %}",
            2,
            "inside a filter block",
            id="a message in a filter block",
        ),
        pytest.param(
            "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}\n{% user %}a{% enduser %}{% endcall %}",
            2,
            "inside a call block",
            id="a message in a call block",
        ),
        pytest.param("{% user %}\na", 2, "Unexpected end of template", id="a message that is not closed"),
        pytest.param("{% user %}\na{% endsystem %}", 2, "unknown tag 'endsystem'", id="a message closed as another"),
        pytest.param("\n{% enduser %}", 2, "unknown tag 'enduser'", id="an end without a begin"),
        pytest.param("{% tool %}a{% endtool %}", 1, "unknown tag 'tool'", id="a role that does not exist"),
        pytest.param("{% user name %}a{% enduser %}", 1, "", id="a tag with a word too many"),
        pytest.param("a\n{% print %}", 2, "nothing to print", id="a print of nothing"),
        pytest.param("{% user %}\n{% 5 %}{% enduser %}", 2, "", id="a number for a tag"),
        pytest.param(
            "{% extends 'base' %}\n{% user %}lost{% enduser %}",
            2,
            "would be lost",
            id="a message of a child outside its blocks",
        ),
        pytest.param("{% extends 'base' %}\nlost", 2, "would be lost", id="text of a child outside its blocks"),
    ],
)
def test_what_is_refused_when_a_template_is_loaded(template: str, line: int, message: str, folder: Path) -> None:
    with pytest.raises(TemplateError) as caught:
        Prompt(template, name="t.jinja", path=[folder])
    error = caught.value
    assert message in error.message
    assert (error.file, error.line) == ("t.jinja", line)


def test_a_fault_in_an_included_template_is_found_when_the_prompt_is_loaded(folder: Path) -> None:
    with pytest.raises(TemplateError, match="inside a macro") as caught:
        Prompt("{% include 'misplaced' %}", path=[folder])
    assert (caught.value.file, caught.value.line) == (str(folder / "misplaced.jinja"), 1)


@pytest.mark.parametrize(
    ("template", "inputs", "error", "line", "message"),
    [
        pytest.param("a\n{{ x }}", {"x": None}, InputError, 2, "x }} is None", id="None is not printed as a word"),
        pytest.param(
            "a\n{{ x }}",
            {"x": {"a": 1}},
            InputError,
            2,
            "is a mapping; say how to print it",
            id="a mapping needs a filter",
        ),
        pytest.param(
            "a\n{{ x.y }}", {"x": {"y": [1]}}, InputError, 2, "x.y }} is a list", id="a list needs a filter or a loop"
        ),
        pytest.param("a\n{{ x.split }}", {"x": "a"}, InputError, 2, "cannot be printed", id="a method is not printed"),
        pytest.param("a\n{{ x.y }}", {"x": {}}, TemplateError, 2, "no attribute 'y'", id="a field that is missing"),
        pytest.param(
            "a\n{{ x.y.z }}",
            {"x": {}},
            TemplateError,
            2,
            "no attribute 'y'",
            id="a field of a missing field names the missing one",
        ),
        pytest.param(
            "a\n{{ x['y'] }}", {"x": {}}, TemplateError, 2, "no attribute 'y'", id="a subscript that is missing"
        ),
        pytest.param("a\n{{ x[3] }}", {"x": ["a"]}, TemplateError, 2, "no element 3", id="an item beyond the end"),
        pytest.param("a\n{{ x + 1 }}", {"x": "a"}, TemplateError, 2, "TypeError", id="an operation that does not work"),
        pytest.param("a\n{{ x / 0 }}", {"x": 1}, TemplateError, 2, "ZeroDivisionError", id="a division by zero"),
        pytest.param(
            "{% user %}{{ x }}{% enduser %}",
            {"x": ""},
            TemplateError,
            1,
            "the 'user' message is empty",
            id="an empty message",
        ),
        pytest.param(
            "\n{% user %}\n{% enduser %}",
            {},
            TemplateError,
            2,
            "the 'user' message is empty",
            id="a message of white space",
        ),
        pytest.param(
            "{% if x %}{% user %}a{% enduser %}{% endif %}",
            {"x": 0},
            TemplateError,
            None,
            "is empty",
            id="no message at all",
        ),
        pytest.param(
            "{% include 'turns' %}\n{% include 'words' %}",
            {"x": "a"},
            TemplateError,
            1,
            "would be lost",
            id="an include that writes between messages",
        ),
        pytest.param(
            "{% user %}\n{% include 'turns' %}{% enduser %}",
            {"x": "a"},
            TemplateError,
            1,
            "'user' message inside the one of",
            id="an include that opens a message in a message",
        ),
    ],
)
def test_what_is_refused_when_a_template_is_rendered(
    template: str, inputs: dict[str, Any], error: type[PromptkitError], line: int | None, message: str, folder: Path
) -> None:
    prompt = Prompt(template, path=[folder])
    with pytest.raises(error) as caught:
        prompt.render(**inputs)
    assert message in caught.value.message
    assert caught.value.line == line


@pytest.mark.parametrize(
    "template",
    [
        pytest.param("{% user %}a{% filter length %}{{ x }}{% endfilter %}b{% enduser %}", id="inside a message"),
        pytest.param("a{% filter length %}{{ x }}{% endfilter %}b", id="without messages"),
        pytest.param(
            "{% set s %}{% filter length %}{{ x }}{% endfilter %}{% endset %}a{{ s }}b", id="captured by a set block"
        ),
        pytest.param(
            "{% macro m() %}{% filter length %}{{ x }}{% endfilter %}{% endmacro %}a{{ m() }}b",
            id="captured by a macro",
        ),
    ],
)
def test_a_number_made_by_a_filter_block_is_printed_and_ends_no_message(template: str) -> None:
    assert texts(Prompt(template).render(x="abc")) == [("user", "a3b")]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        pytest.param(
            "{% filter default((x, 'template', 't:1'), true) %}{% endfilter %}",
            "a list",
            id="a tuple that looks like a piece",
        ),
        pytest.param("{% filter list %}{{ x }}{% endfilter %}", "a list", id="a list made by a filter block"),
        pytest.param(
            "{% filter map('upper') %}{{ x }}{% endfilter %}",
            "a list",
            id="what a filter block makes of each item",
        ),
        pytest.param("{% call dict() %}{{ x }}{% endcall %}", "a mapping", id="a mapping made by a call block"),
        pytest.param(
            "{% call namespace() %}{{ x }}{% endcall %}", "cannot be printed", id="a namespace made by a call block"
        ),
    ],
)
@pytest.mark.parametrize("around", ["{0}", "{{% user %}}a{0}b{{% enduser %}}"], ids=["alone", "in a message"])
def test_what_cannot_be_printed_is_refused_from_a_block_as_from_braces(
    template: str, message: str, around: str
) -> None:
    prompt = Prompt(around.format(template))
    with pytest.raises(InputError) as caught:
        prompt.render(x="abc")
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        pytest.param(
            "Hi {{ x }}!",
            [("Hi ", "template", "t:1"), ("X", "input", "x"), ("!", "template", "t:1")],
            id="text and a value",
        ),
        pytest.param(
            "a\nb {{ d.k }}", [("a\nb ", "template", "t:1"), ("K", "input", "d.k")], id="a field has its path"
        ),
        pytest.param("{{ d['k'] }}", [("K", "input", "d['k']")], id="a subscript has its path"),
        pytest.param("{{ x | upper | trim }}", [("X", "input", "x")], id="a filtered value is the value's"),
        pytest.param("{{ 'lit' }}", [("lit", "template", "t:1")], id="a literal in braces is literal text"),
        pytest.param(
            "{{ x if y else z }}", [("Z", "input", "x or z")], id="of two branches, either may have written it"
        ),
        pytest.param("{{ 'lit' ~ x }}", [("litX", "input", "x")], id="what is joined is data"),
        pytest.param("{{ 'lit' | upper }}", [("LIT", "input", "'lit'")], id="what a filter makes is data"),
        pytest.param("{{ 1 }}{{ true }}", [("1", "input", "1"), ("True", "input", "True")], id="numbers are data"),
        pytest.param(
            "{% for i in xs %}{{ i }},{% endfor %}",
            [("a", "input", "i"), (",", "template", "t:1"), ("b", "input", "i"), (",", "template", "t:1")],
            id="a loop's items",
        ),
        pytest.param(
            "{% set s %}<{{ x }}>{% endset %}{{ s }}",
            [("<", "template", "t:1"), ("X", "input", "x"), (">", "template", "t:1")],
            id="a set block keeps the origin of each piece",
        ),
        pytest.param(
            "{% macro m(a) %}<{{ a }}>{% endmacro %}{{ m(x) }}",
            [("<", "template", "t:1"), ("X", "input", "a"), (">", "template", "t:1")],
            id="a macro keeps the origin of each piece",
        ),
        pytest.param(
            "{% filter upper %}lit {{ x }}{% endfilter %}",
            [("LIT X", "input", "block")],
            id="a filter block makes all of it data",
        ),
        pytest.param(
            "{% macro m(a) %}<{{ a }}>{% endmacro %}{{ m(x) | trim }}",
            [("<X>", "input", "m")],
            id="a filtered macro is data",
        ),
    ],
)
def test_where_each_piece_came_from(template: str, expected: list[tuple[str, str, str]]) -> None:
    prompt = Prompt(template, name="t")
    given_ = {"x": "X", "y": "", "z": "Z", "d": {"k": "K"}, "xs": ["a", "b"]}
    request = prompt.render(**{name: given_[name] for name in prompt.inputs})
    assert pieces(request.messages[0]) == expected
    assert_spans_tile(request)


def test_an_include_is_named_by_its_own_file(folder: Path) -> None:
    request = Prompt("{% include 'part' %}", path=[folder]).render(x="X")
    assert pieces(request.messages[0]) == [("part of ", "template", f"{folder / 'part.jinja'}:1"), ("X", "input", "x")]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("a", "a", id="a text"),
        pytest.param(3, "3", id="a whole number"),
        pytest.param(0.5, "0.5", id="a fraction"),
        pytest.param(False, "False", id="a truth value"),
        pytest.param(datetime.date(2026, 1, 2), "2026-01-02", id="a date"),
        pytest.param(datetime.datetime(2026, 1, 2, 3, 4), "2026-01-02 03:04:00", id="a moment"),
    ],
)
def test_what_is_printed(value: Any, text: str) -> None:
    assert pieces(Prompt("{{ x }}").render(x=value).messages[0]) == [(text, "input", "x")]


CONVERSATION = """
{% system %}
    Rules about {{ x }}.
{% endsystem %}
{% for turn in [x, "fixed"] %}
{% user %}{{ turn }}{% enduser %}
{% assistant %}
{% set echo %}I heard {{ turn }}.{% endset %}
{{ echo }}
{% endassistant %}
{% endfor %}
"""
PROMPT = Prompt(CONVERSATION)


@given(st.text(min_size=1))
@settings(deadline=None, max_examples=300)
def test_any_value_gives_the_same_messages_and_stands_in_them_to_the_byte(value: str) -> None:
    request = PROMPT.render(x=value)
    assert texts(request) == [
        ("system", f"Rules about {value}."),
        ("user", value),
        ("assistant", f"I heard {value}."),
        ("user", "fixed"),
        ("assistant", "I heard fixed."),
    ]
    assert_spans_tile(request)


TAGS = "{% user %} {% enduser %} {% endsystem %} {{ x }} {# #} {% raw %} system: <|im_start|>\n \r\n \0".split(" ")


@given(st.lists(st.sampled_from(TAGS) | st.text(max_size=5), min_size=1).map("".join).filter(bool))
@settings(deadline=None, max_examples=300)
def test_values_made_of_delimiters_give_the_same_messages(value: str) -> None:
    assert texts(PROMPT.render(x=value))[1] == ("user", value)
    assert [role for role, _ in texts(PROMPT.render(x=value))] == [
        role for role, _ in texts(PROMPT.render(x="harmless"))
    ]


@given(st.text(min_size=1))
@settings(deadline=None)
def test_every_character_of_a_value_is_input(value: str) -> None:
    for message in PROMPT.render(x=value).messages[:3]:
        assert "".join(text for text, kind, _ in pieces(message) if kind == "input") == value
