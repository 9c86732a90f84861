"""Prompts: what is checked when one is loaded, what goes in, and that rendering is pure."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, SecretStr
from typing_extensions import TypedDict

from promptkit import Completion, Parameters, Prompt
from promptkit.errors import DefinitionError, InputError, NotParsed, TemplateError, TemplateNotFound


class Ticket(BaseModel):
    subject: str
    body: str = "none"


class Note(BaseModel):
    text: str
    ticket: Ticket | None = None


@dataclasses.dataclass
class Pair:
    left: str
    right: int = 3


class Words(TypedDict):
    text: str


class Triage(BaseModel):
    queue: Literal["billing", "bug"]


TYPED = "---\ninput:\n  product: str\n  size: {type: int, default: 3}\n  ticket: {subject: str}\n---\n"
TYPED += "{{ product }} {{ size }} {{ ticket.subject }}"


def text_of(prompt: Prompt[Any, Any], *values: Any, **fields: Any) -> str:
    return prompt.render(*values, **fields).messages[0].text


@pytest.mark.parametrize(
    ("template", "place", "field", "message", "hint"),
    [
        pytest.param(
            "---\ninput: {text: str}\n---\n{{ txt }}",
            (4, 4),
            "txt",
            "unknown name 'txt'",
            "did you mean 'text'?",
            id="a misspelt name names the nearest",
        ),
        pytest.param(
            "---\ninput: {text: str}\n---\n{{ zzz }}",
            (4, 4),
            "zzz",
            "unknown name 'zzz'",
            "text",
            id="a name like no other lists the inputs",
        ),
        pytest.param(
            "---\ninput: {}\n---\n{{ text }}",
            (4, 4),
            "text",
            "unknown name 'text'",
            "no inputs",
            id="an input where there are none",
        ),
        pytest.param(
            "---\ninput: {text: str}\n---\ntopic: {{ topic }}",
            (4, 11),
            "topic",
            "unknown name 'topic'",
            None,
            id="the column is that of the name, not of the same word before it",
        ),
        pytest.param(
            "---\ninput: {xs: [str]}\n---\n{% for b in xs %}{{ b }}{% endfor %}\n\n{{ b }}",
            (6, 4),
            "b",
            "unknown name 'b'",
            None,
            id="a loop's name is unknown after the loop",
        ),
        pytest.param(
            "---\ninput: {text: str}\n---\n{% macro m(a) %}{{ a }}{% endmacro %}\n{{ a }}",
            (5, 4),
            "a",
            "unknown name 'a'",
            None,
            id="a macro's name is unknown outside",
        ),
        pytest.param(
            "---\ninput: {text: str}\n---\na\rb {{ txt }}",
            (5, 6),
            "txt",
            "unknown name 'txt'",
            None,
            id="a line that ends in CR",
        ),
        pytest.param(
            "---\ninput:\n  n: {type: int, default: many}\n---\n{{ n }}",
            (3, 6),
            "n",
            "the default of 'n' does not fit",
            None,
            id="a default that does not fit its type",
        ),
        pytest.param(
            "---\noutput:\n  n: {type: int, default: many}\n---\na",
            (3, 6),
            "n",
            "the default of 'n' does not fit",
            None,
            id="a default of the output that does not fit",
        ),
        pytest.param("a\nb \ud800", (2, None), None, "surrogate", None, id="a lone surrogate in the template"),
    ],
)
def test_what_is_found_when_a_prompt_is_loaded(
    template: str, place: tuple[int, int | None], field: str | None, message: str, hint: str | None
) -> None:
    with pytest.raises(TemplateError) as caught:
        Prompt(template, name="t.jinja")
    error = caught.value
    assert message in error.message
    assert (error.file, error.line) == ("t.jinja", place[0])
    assert place[1] is None or error.column == place[1]
    assert error.field == field
    assert hint is None or hint in (error.hint or "")


@pytest.mark.parametrize(
    ("template", "line"),
    [
        pytest.param("{{ text | uper }}", 1, id="a filter that does not exist"),
        pytest.param("a\n{{ txt }}", 2, id="a name that is not declared"),
        pytest.param("a\n{% include 'nope' %}", 2, id="an include that does not exist"),
        pytest.param("\n{% set s %}{% user %}a{% enduser %}{% endset %}", 2, id="a message where none can be"),
        pytest.param("\n{{ text", 2, id="braces that are not closed"),
    ],
)
def test_a_fault_of_an_included_template_has_that_file_and_line(template: str, line: int, tmp_path: Path) -> None:
    (tmp_path / "part.jinja").write_text(template, encoding="utf-8")
    with pytest.raises(TemplateError) as caught:
        Prompt("---\ninput: {text: str}\n---\n\n{% include 'part' %}", path=[tmp_path])
    assert (caught.value.file, caught.value.line) == (str(tmp_path / "part.jinja"), line)


@pytest.mark.parametrize(
    ("template", "names"),
    [
        pytest.param("Hi", set(), id="none"),
        pytest.param("{{ a }}{{ b.c }}{{ d[e] }}", {"a", "b", "d", "e"}, id="every name that is read"),
        pytest.param("{% set a = b %}{{ a }}", {"b"}, id="what is set is not one"),
        pytest.param(
            "{% if a %}{% set x = 1 %}{% else %}{% set x = 2 %}{% endif %}{{ x }}",
            {"a"},
            id="what both branches set is not one",
        ),
        pytest.param("{% for a in b %}{{ a }}{{ loop.index }}{% endfor %}", {"b"}, id="a loop's names are not"),
        pytest.param(
            "{% macro m(a) %}{{ a }}{{ b }}{{ varargs }}{% endmacro %}{{ m(1) }}", {"b"}, id="a macro's names are not"
        ),
        pytest.param("{{ range(3) | join }}{{ dict(a=1) | json }}", set(), id="the language's own names are not"),
        pytest.param("{% with a = b %}{{ a }}{% endwith %}", {"b"}, id="what with names is not"),
    ],
)
def test_the_names_read_are_the_inputs_where_nothing_is_declared(template: str, names: set[str]) -> None:
    assert Prompt(template).inputs == names


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        pytest.param({"product": "A", "ticket": {"subject": "s"}}, "A 3 s", id="a default fills in"),
        pytest.param({"product": "A", "size": 5, "ticket": {"subject": "s"}}, "A 5 s", id="all of them"),
        pytest.param(
            {"product": "A", "size": "5", "ticket": {"subject": "s"}}, "A 5 s", id="a text for a number is converted"
        ),
        pytest.param({"product": "A", "ticket": {"subject": ""}}, "A 3 ", id="an empty text is a text"),
    ],
)
def test_declared_inputs(fields: dict[str, Any], text: str) -> None:
    assert text_of(Prompt(TYPED), **fields) == text
    assert text_of(Prompt(TYPED), fields) == text


@pytest.mark.parametrize(
    ("fields", "field", "message", "hint"),
    [
        pytest.param(
            {},
            "product",
            "missing input 'product'; missing input 'ticket'",
            "product, size, ticket",
            id="everything that is missing is named",
        ),
        pytest.param(
            {"produkt": "A", "ticket": {"subject": "s"}},
            "produkt",
            "unknown input 'produkt'",
            "did you mean 'product'?",
            id="a misspelt name",
        ),
        pytest.param(
            {"product": "A", "ticket": {}},
            "ticket.subject",
            "missing input 'ticket.subject'",
            None,
            id="a field that is missing inside",
        ),
        pytest.param(
            {"product": "A", "ticket": {"subject": "s", "x": 1}},
            "ticket.x",
            "unknown input 'ticket.x'",
            None,
            id="a field that is unknown inside",
        ),
        pytest.param(
            {"product": 5, "ticket": {"subject": "s"}},
            "product",
            "input 'product': Input should be a valid string",
            None,
            id="a value of the wrong type",
        ),
        pytest.param(
            {"product": "A", "size": "big", "ticket": {"subject": "s"}},
            "size",
            "input 'size': ",
            None,
            id="a text that is no number",
        ),
        pytest.param(
            {"product": None, "ticket": {"subject": "s"}}, "product", "input 'product': ", None, id="None for a text"
        ),
    ],
)
def test_inputs_that_do_not_fit(fields: dict[str, Any], field: str, message: str, hint: str | None) -> None:
    with pytest.raises(InputError) as caught:
        Prompt(TYPED).render(**fields)
    error = caught.value
    assert message in error.message
    assert error.field == field
    assert hint is None or hint in (error.hint or "")


@pytest.mark.parametrize(
    ("fields", "field", "message", "hint"),
    [
        pytest.param({}, "a", "missing input 'a'; missing input 'b'", "the inputs are a, b", id="what is missing"),
        pytest.param({"a": 1, "b": 2, "c": 3}, "c", "unknown input 'c'", "the inputs are a, b", id="what is unknown"),
        pytest.param({"a": object(), "b": 2}, "a", "a is a object", "pass a text", id="what is no data"),
    ],
)
def test_undeclared_inputs_that_do_not_fit(fields: dict[str, Any], field: str, message: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        Prompt("{{ a }}{{ b }}").render(**fields)
    assert message in caught.value.message
    assert (caught.value.field, caught.value.hint) == (field, hint)


@pytest.mark.parametrize(
    ("kind", "template", "value", "text"),
    [
        pytest.param(Note, "{{ text }}{% if ticket %}{{ ticket.body }}{% endif %}", Note(text="t"), "t", id="a model"),
        pytest.param(
            Note,
            "{{ text }}{{ ticket.body }}",
            Note(text="t", ticket=Ticket(subject="s")),
            "tnone",
            id="a model in a model",
        ),
        pytest.param(Note, "{{ text }}", {"text": "t"}, "t", id="a mapping for a model"),
        pytest.param(Pair, "{{ left }}{{ right }}", Pair("l"), "l3", id="a dataclass"),
        pytest.param(
            Pair,
            "{{ left }}{{ right }}",
            {"left": "l", "right": "4"},
            "l4",
            id="a mapping for a dataclass is converted",
        ),
        pytest.param(Words, "{{ text }}", {"text": "t"}, "t", id="a TypedDict"),
    ],
)
def test_inputs_of_your_own_types(kind: Any, template: str, value: Any, text: str) -> None:
    assert text_of(Prompt(template, input=kind), value) == text


@pytest.mark.parametrize(
    ("kind", "fields", "field"),
    [
        pytest.param(Note, {"texts": "t"}, "texts", id="a model"),
        pytest.param(Pair, {"left": "l", "middle": 1}, "middle", id="a dataclass"),
        pytest.param(Words, {"text": "t", "more": 1}, "more", id="a TypedDict"),
    ],
)
def test_an_unknown_keyword_is_never_dropped(kind: Any, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError, match=f"unknown input '{field}'") as caught:
        Prompt("a", input=kind).render(**fields)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("values", "fields", "message"),
    [
        pytest.param(("text",), {}, "expected a Note or keywords, got str", id="a text for a model"),
        pytest.param((Ticket(subject="s"),), {}, "got Ticket", id="a model of another type"),
        pytest.param((Note(text="t"),), {"text": "t"}, "not both", id="a value and keywords"),
    ],
)
def test_a_value_of_another_type(values: tuple[Any, ...], fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        Prompt("{{ text }}", input=Note).render(*values, **fields)
    assert message in caught.value.message


@pytest.mark.parametrize("kind", [int, "Note", list[str], object()], ids=["a number", "a name", "a list", "an object"])
def test_a_type_that_names_no_fields_is_refused(kind: Any) -> None:
    with pytest.raises(DefinitionError, match="a pydantic model, a dataclass or a TypedDict"):
        Prompt("a", input=kind)


def test_a_type_without_a_schema_is_refused_when_the_prompt_is_loaded() -> None:
    with pytest.raises(DefinitionError, match="has no JSON schema"):
        Prompt("a", output=Callable[[], int])  # type: ignore[type-var]


def test_an_input_may_have_any_name() -> None:
    fields = {name: name for name in ("inputs", "template", "name", "environment", "context", "cls", "kwargs")}
    template = " ".join(f"{{{{ {name} }}}}" for name in fields)
    assert text_of(Prompt(template), **fields) == " ".join(fields)


def test_a_secret_can_be_passed_but_not_shown() -> None:
    class Login(BaseModel):
        user: str
        key: SecretStr

    login = Login(user="ann", key=SecretStr("s3cret"))
    assert text_of(Prompt("{{ user }}", input=Login), login) == "ann"
    with pytest.raises(InputError) as caught:
        Prompt("{{ key }}", input=Login).render(login)
    assert "s3cret" not in str(caught.value)


def test_a_value_that_does_not_fit_is_not_shown_in_the_error() -> None:
    with pytest.raises(InputError) as caught:
        Prompt(TYPED).render(product="A", size="s3cret", ticket={"subject": "s"})
    assert "s3cret" not in str(caught.value)


def test_rendering_changes_nothing_that_was_given() -> None:
    given = {"xs": [1, {"a": "b"}]}
    Prompt("{% set ys = xs + [2] %}{{ ys | json }}").render(given)
    assert given == {"xs": [1, {"a": "b"}]}


class TestPurity:
    def test_the_same_inputs_give_the_same_request(self) -> None:
        prompt = Prompt("{% for x in xs %}{{ x }}{% endfor %}{{ d | json }}")
        fields = {"xs": {"b", "a", "c"}, "d": {"z": 1, "a": datetime.date(2026, 1, 2)}}
        assert prompt.render(**fields) == Prompt(prompt.source.text).render(**fields)

    def test_another_process_gives_the_same_bytes(self) -> None:
        code = (
            "from promptkit import Prompt; p = Prompt('{{ xs | json }}');"
            "print(p.fingerprint, p.render(xs={1, '1'}).fingerprint)"
        )
        outputs = {
            subprocess.run(
                [sys.executable, "-c", code],
                capture_output=True,
                text=True,
                check=True,
                env={"PYTHONHASHSEED": str(seed)},
            ).stdout
            for seed in range(10)
        }
        assert len(outputs) == 1

    def test_a_file_that_changes_changes_no_prompt_that_is_loaded(self, tmp_path: Path) -> None:
        part = tmp_path / "part.jinja"
        part.write_text("one", encoding="utf-8")
        prompt: Prompt[Any, Any] = Prompt("{% include 'part' %}", path=[tmp_path])
        part.write_text("two", encoding="utf-8")
        fingerprint = prompt.fingerprint
        assert text_of(prompt) == "one"
        part.unlink()
        assert text_of(prompt) == "one"
        assert prompt.fingerprint == fingerprint

    def test_a_prompt_is_immutable(self) -> None:
        prompt = Prompt("a")
        with pytest.raises(AttributeError, match="immutable"):
            prompt.parameters = Parameters()
        with pytest.raises(AttributeError):
            del prompt.parameters


class TestFingerprint:
    @pytest.mark.parametrize(
        "other",
        [
            pytest.param(lambda: Prompt("{{ text }}.", input=Note), id="the template"),
            pytest.param(lambda: Prompt("{{ text }}", input=Words), id="the input type"),
            pytest.param(lambda: Prompt("{{ text }}"), id="no input type"),
            pytest.param(lambda: Prompt("{{ text }}", input=Note, output=Triage), id="the output type"),
            pytest.param(lambda: Prompt("{{ text }}", input=Note, parameters=Parameters(seed=1)), id="a parameter"),
        ],
    )
    def test_another_prompt_has_another(self, other: Callable[[], Prompt[Any, Any]]) -> None:
        assert other().fingerprint != Prompt("{{ text }}", input=Note).fingerprint

    def test_an_included_file_is_part_of_it(self, tmp_path: Path) -> None:
        seen = set()
        for text in ("one", "two"):
            (tmp_path / "part.jinja").write_text(text, encoding="utf-8")
            seen.add(Prompt("{% include 'part' %}", path=[tmp_path]).fingerprint)
        assert len(seen) == 2

    def test_the_name_and_the_place_are_not(self, tmp_path: Path) -> None:
        (tmp_path / "a.jinja").write_text("text", encoding="utf-8")
        assert Prompt.load("a", path=[tmp_path]).fingerprint == Prompt("text", name="b").fingerprint

    def test_0_is_0(self) -> None:
        one, other = (Prompt("a", parameters=Parameters(temperature=zero)) for zero in (0, 0.0))
        assert one.fingerprint == other.fingerprint


class TestLoad:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "mail").mkdir()
        (tmp_path / "mail" / "reply.jinja").write_text("---\ndescription: Reply.\n---\n{{ text }}", encoding="utf-8")
        (tmp_path / "mail" / "part.jinja").write_text("part", encoding="utf-8")
        (tmp_path / "mail" / "whole.jinja").write_text("{% include 'part' %}", encoding="utf-8")
        return tmp_path

    def test_by_name(self, folder: Path) -> None:
        prompt: Prompt[Any, Any] = Prompt.load("mail/reply", path=[folder])
        assert (prompt.name, prompt.description, prompt.inputs) == ("mail/reply", "Reply.", {"text"})

    def test_by_file(self, folder: Path) -> None:
        assert Prompt.load(folder / "mail" / "reply.jinja").name == "reply"
        assert Prompt.load(str(folder / "mail" / "reply.jinja")).name == "reply"

    def test_a_file_includes_what_lies_beside_it(self, folder: Path) -> None:
        assert text_of(Prompt.load(folder / "mail" / "whole.jinja")) == "part"

    def test_a_name_that_does_not_exist(self, folder: Path) -> None:
        with pytest.raises(TemplateNotFound) as caught:
            Prompt.load("mail/repli", path=[folder])
        assert caught.value.hint == "did you mean 'mail/reply'?"

    def test_a_file_that_does_not_exist(self, folder: Path) -> None:
        with pytest.raises(TemplateNotFound, match="no such file"):
            Prompt.load(folder / "nope.jinja")

    @pytest.mark.parametrize(
        ("name", "fields"),
        [
            ("classify", {"text": "t"}),
            ("extract", {"text": "t"}),
            ("support_reply", {"product": "p", "ticket": {"subject": "s", "body": "b"}}),
        ],
    )
    def test_every_template_that_is_shipped_renders(self, name: str, fields: dict[str, Any]) -> None:
        prompt: Prompt[Any, Any] = Prompt.load(name, path=None)
        request = prompt.render(**fields)
        assert request.messages[0].role == "system"
        assert request.messages[-1].role == "user"
        assert (request.schema is None) == (prompt.output is str)
        assert prompt.description


class TestCopies:
    PROMPTS: tuple[Prompt[Any, Any], ...] = (
        Prompt("{{ text }}", input=Note, output=Triage, parameters=Parameters(seed=1), name="mine"),
        Prompt(TYPED),
        Prompt("{{ a }}"),
    )

    @pytest.mark.parametrize("again", [lambda p: pickle.loads(pickle.dumps(p)), copy.copy, copy.deepcopy])
    @pytest.mark.parametrize("prompt", PROMPTS, ids=["of types", "of front matter", "of names"])
    def test_a_prompt_pickles_and_copies(self, prompt: Prompt[Any, Any], again: Callable[[Any], Any]) -> None:
        other = again(prompt)
        assert other.fingerprint == prompt.fingerprint
        assert (other.name, other.inputs, other.parameters) == (prompt.name, prompt.inputs, prompt.parameters)

    def test_parameters_change_in_a_copy(self) -> None:
        prompt = Prompt("---\nparameters: {seed: 1, temperature: 1}\n---\na", parameters=Parameters(temperature=0.5))
        other = prompt.with_parameters(max_tokens=8, seed="2")
        assert prompt.parameters == Parameters(seed=1, temperature=0.5)
        assert other.parameters == other.render().parameters == Parameters(seed=2, temperature=0.5, max_tokens=8)
        assert other.fingerprint != prompt.fingerprint

    def test_an_unknown_parameter_is_refused(self) -> None:
        with pytest.raises(DefinitionError) as caught:
            Prompt("a").with_parameters(temprature=1)
        assert (caught.value.field, caught.value.hint) == ("temprature", "did you mean 'temperature'?")


class TestOutput:
    @pytest.mark.parametrize(
        ("template", "output", "kind"),
        [
            pytest.param("a", None, str, id="text by default"),
            pytest.param("---\noutput: bool\n---\na", None, bool, id="front matter's"),
            pytest.param("---\noutput: bool\n---\na", int, int, id="the one given stands over front matter's"),
            pytest.param("---\noutput: Literal[a, b]\n---\na", None, Literal["a", "b"], id="a choice of words"),
        ],
    )
    def test_its_type(self, template: str, output: Any, kind: Any) -> None:
        assert Prompt(template, output=output).output == kind

    def test_text_has_no_schema(self) -> None:
        assert Prompt("a").schema is None
        assert Prompt("a", output=str).schema is None
        assert Prompt("---\noutput: str\n---\na").schema is None

    def test_a_schema_is_sent_under_the_prompt_s_name(self) -> None:
        request = Prompt("---\noutput: {queue: str}\n---\na", name="mail/sort_it").render()
        assert request.schema is not None
        assert request.schema.name == "MailSortItOutput"

    def test_the_plan_asks_once_and_parses(self) -> None:
        plan = Prompt("{{ text }}", output=Triage).plan(text="t")
        [request] = next(plan)
        assert request.messages[0].text == "t"
        with pytest.raises(StopIteration) as caught:
            plan.send([Completion(text='{"queue": "bug"}', ending="complete")])
        assert caught.value.value == Triage(queue="bug")

    def test_the_plan_fails_with_the_validator_s_words(self) -> None:
        plan = Prompt("a", output=Triage).plan()
        next(plan)
        with pytest.raises(NotParsed, match="queue: "):
            plan.send([Completion(text='{"queue": "x"}', ending="complete")])


def test_a_prompt_shows_its_name_and_inputs() -> None:
    assert repr(Prompt("{{ b }}{{ a }}", name="sort")) == "Prompt('sort', inputs=[a, b])"
