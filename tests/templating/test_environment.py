"""The environment: what a template may use, and which files it may read."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from promptkit import Prompt
from promptkit.errors import PromptkitError, TemplateError, TemplateNotFound
from promptkit.templating import environment as env


def render(template: str, **inputs: Any) -> str:
    return Prompt(template).render(**inputs).messages[0].text


WHEN = datetime.datetime(2026, 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("template", "inputs", "text"),
    [
        pytest.param("{{ d.items }}", {"d": {"items": "mine"}}, "mine", id="a key wins over a method"),
        pytest.param("{{ d['items'] }}", {"d": {"items": "mine"}}, "mine", id="a subscript reads the key"),
        pytest.param(
            "{% for k, v in d.items() %}{{ k }}{{ v }}{% endfor %}",
            {"d": {"a": 1}},
            "a1",
            id="items is there without such a key",
        ),
        pytest.param("{{ d.keys() | join }}{{ d.values() | join }}", {"d": {"a": 1}}, "a1", id="keys and values"),
        pytest.param("{{ d.get('b', 'none') }}", {"d": {}}, "none", id="get with a default"),
        pytest.param(
            "{{ d.__class__ }}", {"d": {"__class__": "mine"}}, "mine", id="a key named as an attribute is the data"
        ),
        pytest.param(
            "{{ t.upper() }} {{ t.split('-')[0] }} {{ t.startswith('a') }}",
            {"t": "a-b"},
            "A-B a True",
            id="methods of a text",
        ),
        pytest.param("{{ t[0] }}{{ t[-1] }}{{ t[:2] }}", {"t": "abc"}, "acab", id="parts of a text"),
        pytest.param("{{ xs[0] }}{{ xs[-1] }}{{ xs | length }}", {"xs": ["a", "b"]}, "ab2", id="parts of a list"),
        pytest.param(
            "{{ w.year }}-{{ w.strftime('%m') }} {{ w.date() }}",
            {"w": WHEN},
            "2026-01 2026-01-02",
            id="parts of a date",
        ),
        pytest.param(
            "{% for x in xs %}{{ loop.index }}{{ loop.last }}{{ loop.cycle('p', 'q') }}{% endfor %}",
            {"xs": "ab"},
            "1Falsep2Trueq",
            id="the loop",
        ),
        pytest.param(
            "{% set n = namespace(i=0) %}{% for x in xs %}{% set n.i = n.i + x %}{% endfor %}{{ n.i }}",
            {"xs": [1, 2]},
            "3",
            id="a namespace",
        ),
        pytest.param("{% for i in range(3) %}{{ i }}{% endfor %}", {}, "012", id="a range"),
        pytest.param("{{ dict(a=x).a }}", {"x": "v"}, "v", id="a mapping made in the template"),
        pytest.param(
            "{% for c, g in xs | groupby('c') %}{{ c }}{{ g | length }}{% endfor %}",
            {"xs": [{"c": "p"}, {"c": "q"}, {"c": "p"}]},
            "p2q1",
            id="groups, unpacked",
        ),
        pytest.param(
            "{% for g in xs | groupby('c') %}{{ g.grouper }}{{ g.list | length }}{% endfor %}",
            {"xs": [{"c": "p"}]},
            "p1",
            id="groups, by name",
        ),
        pytest.param(
            "{{ xs | map(attribute='c') | join(',') }}",
            {"xs": [{"c": "p"}, {"c": "q"}]},
            "p,q",
            id="a field of each item",
        ),
        pytest.param(
            "{{ d | json }}",
            {"d": {"ü": ["<&>'", None, True, 1.5]}},
            '{"ü": ["<&>\'", null, true, 1.5]}',
            id="JSON is not escaped",
        ),
        pytest.param(
            "{{ d | json(indent=1) }}", {"d": {"b": 1, "a": 2}}, '{\n "b": 1,\n "a": 2\n}', id="JSON keeps the order"
        ),
        pytest.param("{{ d | json }}", {"d": {"when": WHEN}}, '{"when": "2026-01-02T03:04:00"}', id="a date in JSON"),
        pytest.param("{{ d | tojson }}", {"d": {"a": "b"}}, '{"a": "b"}', id="Jinja's own name for JSON"),
        pytest.param("{{ x }}", {"x": "<b>&'\""}, "<b>&'\"", id="nothing is escaped for HTML"),
        pytest.param("{{ x | default('none') }}", {"x": "a"}, "a", id="default leaves what is there"),
        pytest.param("{{ d.y | default('none') }}", {"d": {}}, "none", id="default fills a missing field"),
        pytest.param("{% if d.y is defined %}a{% else %}b{% endif %}", {"d": {}}, "b", id="a test for a missing field"),
        pytest.param("a\r\nb\rc {{ x }}", {"x": "v"}, "a\nb\nc v", id="line ends of the template are newlines"),
    ],
)
def test_what_a_template_may_use(template: str, inputs: dict[str, Any], text: str) -> None:
    assert render(template, **inputs) == text


@pytest.mark.parametrize(
    ("template", "line", "message"),
    [
        pytest.param("a\n{{ x", 2, "unexpected end of template", id="braces that are not closed"),
        pytest.param("a\n{% if x %}", 2, "Unexpected end of template", id="a tag that is not closed"),
        pytest.param("a\n\n{{ x | uper }}", 3, "unknown filter 'uper'", id="a filter that does not exist"),
        pytest.param(
            "a\n{% if x %}{{ x | uper }}{% endif %}",
            2,
            "unknown filter 'uper'",
            id="a filter that does not exist, in a branch",
        ),
        pytest.param("a\n{% if x is txt %}{% endif %}", 2, "unknown test 'txt'", id="a test that does not exist"),
        pytest.param("a\n{% include 'nope' %}", 2, "no template 'nope'", id="an include that does not exist"),
        pytest.param("a\n{% include ['nope'] %}", 2, "no template 'nope'", id="a list of includes that do not exist"),
        pytest.param(
            "---\ndescription: d\n---\na\n{{ x", 5, "unexpected end of template", id="lines count with front matter"
        ),
        pytest.param("a\rb\r{{ x", 3, "unexpected end of template", id="lines may end in CR"),
        pytest.param(
            "{{ " + "(" * 2000 + "x" + ")" * 2000 + " }}", None, "too deep or too large", id="brackets nested too deep"
        ),
        pytest.param(
            "{% if x %}" * 300 + "{% endif %}" * 300, None, "too deep or too large", id="tags nested too deep"
        ),
    ],
)
def test_a_template_that_is_wrong_names_its_file_and_line(
    template: str, line: int | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(TemplateError) as caught:
        Prompt(template, name="t.jinja", path=[tmp_path])
    error = caught.value
    assert message in error.message
    assert (error.file, error.line) == ("t.jinja", line)


def test_constants_are_not_computed_when_a_template_is_loaded() -> None:
    huge = "7 ** (7 ** (7 ** 7))"
    template = f"{{% if x %}}{{{{ {huge} }}}}{{% set y = {huge} %}}{{% if {huge} %}}a{{% endif %}}{{% endif %}}"
    # In a process of its own: computing this constant would take longer than anybody waits.
    code = f"from promptkit import Prompt; Prompt({template!r}); print('loaded')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=5)
    assert done.stdout == "loaded\n"


@pytest.mark.parametrize("template", ["{{ xs | random }}", "{{ xs | shuffle }}", "{{ now() }}", "{{ lipsum() }}"])
def test_nothing_random_is_at_hand(template: str) -> None:
    with pytest.raises(PromptkitError):
        render(template, xs=["a", "b", "c"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "mail").mkdir(parents=True)
    (root / "reply.jinja").write_text("reply", encoding="utf-8")
    (root / "v1.2.jinja").write_text("dotted", encoding="utf-8")
    (root / "mail" / "reply.jinja").write_text("mail reply", encoding="utf-8")
    (root / "notes.txt").write_text("notes", encoding="utf-8")
    (tmp_path / "secret.jinja").write_text("secret", encoding="utf-8")
    (tmp_path / "rooted").mkdir()
    (tmp_path / "rooted" / "secret.jinja").write_text("secret", encoding="utf-8")
    os.symlink(tmp_path / "secret.jinja", root / "link.jinja")
    os.symlink(tmp_path / "rooted", root / "linked")
    os.symlink(root / "reply.jinja", root / "alias.jinja")
    return root


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("reply", "reply", id="a name"),
        pytest.param("reply.jinja", "reply", id="a name with its suffix"),
        pytest.param("mail/reply", "mail reply", id="a name in a folder"),
        pytest.param("v1.2", "dotted", id="a name with a dot"),
        pytest.param("notes.txt", "notes", id="a file of another kind"),
        pytest.param("alias", "reply", id="a link to a file of the folder"),
    ],
)
def test_a_name_is_found(name: str, text: str, folder: Path) -> None:
    assert env.Loader([folder]).read(name)[1] == text


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("../secret", id="above the folder"),
        pytest.param("mail/../../secret", id="above it by way of a folder"),
        pytest.param("mail/../reply", id="dots, even if they end inside"),
        pytest.param("./reply", id="a dot"),
        pytest.param("..", id="two dots"),
        pytest.param("/etc/passwd", id="an absolute path"),
        pytest.param("//etc/passwd", id="an absolute path with two slashes"),
        pytest.param("mail//reply", id="an empty part"),
        pytest.param("mail/", id="a folder"),
        pytest.param("", id="nothing"),
        pytest.param("mail\\reply", id="a backslash"),
        pytest.param("..\\secret", id="backslashes above the folder"),
        pytest.param("C:/secret", id="a drive"),
        pytest.param("file:///etc/passwd", id="a file address"),
        pytest.param("https://example.org/reply", id="an address"),
        pytest.param("reply\0", id="a NUL character"),
        pytest.param("reply\n", id="a newline"),
        pytest.param("\u202ereply", id="a character that cannot be seen"),
        pytest.param("~/secret", id="a home folder"),
        pytest.param("%2e%2e/secret", id="dots in another coding"),
        pytest.param("$HOME/secret", id="a variable of the environment"),
        pytest.param("link", id="a link to a file outside"),
        pytest.param("linked/secret", id="a link to a folder outside"),
        pytest.param("a" * 5000, id="a name that is too long for any file"),
    ],
)
def test_a_name_is_not_a_way_out(name: str, folder: Path) -> None:
    with pytest.raises(TemplateNotFound):
        env.Loader([folder]).read(name)


def test_a_name_that_is_not_found_names_the_path_and_the_nearest(folder: Path) -> None:
    with pytest.raises(TemplateNotFound) as caught:
        env.Loader([folder]).read("mail/repl")
    assert str(folder) in caught.value.message
    assert caught.value.hint == "did you mean 'mail/reply'?"


def test_the_first_folder_wins(folder: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.mkdir()
    (first / "reply.jinja").write_text("first", encoding="utf-8")
    loader = env.Loader([first, tmp_path / "does not exist", folder])
    assert loader.read("reply")[1] == "first"
    assert loader.read("mail/reply")[1] == "mail reply"


@pytest.mark.parametrize(
    ("raw", "line", "message", "hint"),
    [
        pytest.param(b"a\nb \xff", 2, "not UTF-8", "save it as UTF-8", id="bytes that are no UTF-8"),
        pytest.param("ä".encode("utf-16"), 1, "not UTF-8", None, id="UTF-16"),
        pytest.param(b"\xed\xa0\x80", 1, "not UTF-8", None, id="a surrogate in UTF-8"),
        pytest.param(b"\xef\xbb\xbfa", 1, "byte order mark", None, id="a byte order mark"),
        pytest.param(b"a\n\0", 2, "NUL", None, id="a NUL character"),
        pytest.param(b"a" * (env.MAX_BYTES + 1), None, "larger than 1024 KiB", None, id="a file that is too large"),
    ],
)
def test_a_file_that_cannot_be_read(
    raw: bytes, line: int | None, message: str, hint: str | None, tmp_path: Path
) -> None:
    (tmp_path / "t.jinja").write_bytes(raw)
    with pytest.raises(TemplateError) as caught:
        Prompt.load("t", path=[tmp_path])
    error = caught.value
    assert message in error.message
    assert (error.file, error.line) == (str(tmp_path / "t.jinja"), line)
    assert hint is None or hint in (error.hint or "")


def test_a_template_shows_its_place_below_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert env.display(tmp_path / "templates" / "a.jinja") == "templates/a.jinja"
    assert env.display(tmp_path.parent / "a.jinja") == str(tmp_path.parent / "a.jinja")


def test_the_working_folder_is_searched_before_what_is_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Prompt.load("support_reply").description == "Draft a reply to a support ticket."
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "support_reply.jinja").write_text("mine", encoding="utf-8")
    assert str(Prompt.load("support_reply").render()) == "── user ──\nmine"


@pytest.mark.parametrize("template", ["{% include 'loop' %}", "{% extends 'loop' %}"], ids=["include", "extends"])
def test_a_template_that_names_itself_is_an_error(template: str, tmp_path: Path) -> None:
    (tmp_path / "loop.jinja").write_text(template, encoding="utf-8")
    with pytest.raises(TemplateError):
        Prompt.load("loop", path=[tmp_path]).render()
