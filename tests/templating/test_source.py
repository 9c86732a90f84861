"""A template's text: front matter and body, and where each is wrong."""

from __future__ import annotations

import pytest

from promptkit.errors import TemplateError
from promptkit.requests import Parameters
from promptkit.templating.source import body_of, read


def front(lines: str) -> str:
    return f"---\n{lines}\n---\nbody\n"


@pytest.mark.parametrize(
    ("text", "body"),
    [
        pytest.param("Hi {{ x }}", "Hi {{ x }}", id="no front matter"),
        pytest.param("", "", id="an empty template"),
        pytest.param(
            "---\ndescription: d\n---\nHi", "{#\n\n#}\nHi", id="front matter becomes as many lines of comment"
        ),
        pytest.param("---\n---\nHi", "{#\n#}\nHi", id="empty front matter"),
        pytest.param("---\ndescription: 'a #} b'\n---\nHi", "{#\n\n#}\nHi", id="front matter cannot close the comment"),
        pytest.param("---  \ninput: {}\n---\t\nHi", "{#\n\n#}\nHi", id="a fence may end in white space"),
        pytest.param("---\r\ninput: {}\r\n---\r\nHi\r\n", "{#\n\n#}\nHi\n", id="lines may end in CRLF"),
        pytest.param("Hi\n---\nthere\n---\n", "Hi\n---\nthere\n---\n", id="a rule in the body is text"),
        pytest.param("---\ninput: {}\n---\nHi\n---\n", "{#\n\n#}\nHi\n---\n", id="a rule after front matter is text"),
        pytest.param(" ---\nHi", " ---\nHi", id="an indented rule is text"),
        pytest.param("----\nHi", "----\nHi", id="a longer rule is text"),
    ],
)
def test_body(text: str, body: str) -> None:
    assert body_of(text, file="t.jinja") == body


@pytest.mark.parametrize(
    ("text", "line", "column", "message", "hint"),
    [
        pytest.param("\ufeffHi", 1, None, "byte order mark", "UTF-8 without BOM", id="a byte order mark"),
        pytest.param("Hi\n\nx\0y", 3, None, "NUL", None, id="a NUL character names its line"),
        pytest.param("---\ninput: {}\n", 1, None, "not closed", None, id="front matter that is not closed"),
        pytest.param("---", 1, None, "not closed", None, id="a fence and nothing else"),
        pytest.param(
            front("inputs: {}"), 2, 1, "unknown front-matter key 'inputs'", "did you mean 'input'?", id="a misspelt key"
        ),
        pytest.param(
            front("input: {}\nmodel: x"),
            3,
            1,
            "unknown front-matter key 'model'",
            "known keys: description",
            id="a key that does not exist",
        ),
        pytest.param(
            front("input: {}\ninput: {}"), 3, 1, "stands twice (first in line 2)", None, id="a key that stands twice"
        ),
        pytest.param(front("input: str"), 2, 8, "input must name fields", None, id="an input that is one type"),
        pytest.param(front("input: [str]"), 2, 8, "input must name fields", None, id="an input that is a list"),
        pytest.param(
            front("input:\n  a: str\n  b: strr"),
            4,
            6,
            "unknown type 'strr'",
            "did you mean 'str'?",
            id="a misspelt type",
        ),
        pytest.param(front("output: strr"), 2, 9, "unknown type 'strr'", None, id="a misspelt output type"),
        pytest.param(
            front("description: [a]"), 2, 14, "a description must be a text", None, id="a description that is a list"
        ),
        pytest.param(
            front("parameters: 5"), 2, 13, "must be 'name: value' lines", None, id="parameters that are a number"
        ),
        pytest.param(
            front("parameters:\n  temprature: 0"),
            3,
            3,
            "unknown parameter 'temprature'",
            "did you mean 'temperature'?",
            id="a misspelt parameter",
        ),
        pytest.param(
            front("parameters:\n  top_p: 1\n  temperature: hot"),
            4,
            3,
            "must be a number",
            None,
            id="a parameter that is no number",
        ),
        pytest.param(front("parameters: {temperature: -1}"), 2, 14, "at least 0", None, id="a parameter out of range"),
        pytest.param(
            front("parameters: {max_tokens: 1.5}"),
            2,
            14,
            "must be a whole number",
            None,
            id="a fraction for a whole number",
        ),
        pytest.param(
            front("parameters: {stop: {a: b}}"),
            2,
            14,
            "'stop' must be a list",
            None,
            id="stop texts given as a mapping",
        ),
        pytest.param(
            front("parameters: {stop: [a, [b]]}"), 2, 14, "'stop' must be a list", None, id="stop texts that nest"
        ),
        pytest.param(
            front("description: a\ninput:\n  a: \x07"),
            4,
            6,
            "not valid YAML",
            None,
            id="a control character in front matter",
        ),
        pytest.param(front("description: \ud800"), 2, 14, "not valid", None, id="a lone surrogate in front matter"),
    ],
)
def test_what_is_wrong(text: str, line: int, column: int | None, message: str, hint: str | None) -> None:
    with pytest.raises(TemplateError) as caught:
        read(text, name="t", file="t.jinja")
    error = caught.value
    assert message in error.message
    assert (error.file, error.line, error.column) == ("t.jinja", line, column)
    assert hint is None or hint in (error.hint or "")


def test_everything_front_matter_says() -> None:
    source = read(
        front(
            "description: Sort mail.\ninput: {text: str, tone: {type: str, default: kind}}\n"
            "output: bool\nparameters: {temperature: 0.2, max_tokens: 5, stop: [END, '###']}"
        ),
        name="sort",
        file="sort.jinja",
    )
    assert source.description == "Sort mail."
    assert source.input is not None
    assert list(source.input) == ["text", "tone"]
    assert source.input["tone"].default == "kind"
    assert source.output is not None
    assert source.output.shape.name == "bool"
    assert source.parameters == Parameters(temperature=0.2, max_tokens=5, stop=("END", "###"))


def test_nothing_said_is_nothing_declared() -> None:
    source = read("body", name="t", file="t.jinja")
    assert (source.description, source.input, source.output, source.parameters) == ("", None, None, Parameters())


def test_an_empty_input_is_declared_and_empty() -> None:
    assert read(front("input: {}"), name="t", file="t.jinja").input == {}


def test_one_stop_text_needs_no_list() -> None:
    assert read(front("parameters: {stop: END}"), name="t", file="t.jinja").parameters.stop == ("END",)


def test_the_fault_of_a_parameter_names_its_path() -> None:
    with pytest.raises(TemplateError) as caught:
        read(front("parameters: {top_p: 2}"), name="t", file="t.jinja")
    assert caught.value.field == "parameters.top_p"
