"""Inputs from the command line."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from promptkit.cli.variables import read_variables
from promptkit.errors import InputError
from tests.cli.test_exit_codes import command, environment, project


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("variables", "inputs"),
    [
        pytest.param([], {}, id="none"),
        pytest.param(["name=Ann"], {"name": "Ann"}, id="a name and a value"),
        pytest.param(["name="], {"name": ""}, id="an empty value"),
        pytest.param(["sum=a=b"], {"sum": "a=b"}, id="the first equals sign parts them"),
        pytest.param(["name= Ann "], {"name": " Ann "}, id="blanks are kept"),
        pytest.param(["name=--"], {"name": "--"}, id="two dashes are a text"),
        pytest.param(["n=3", "b=true"], {"n": "3", "b": "true"}, id="values stay texts"),
        pytest.param(["t.a=1", "t.b=2"], {"t": {"a": "1", "b": "2"}}, id="dotted names nest"),
        pytest.param(["t.a.b.c=1"], {"t": {"a": {"b": {"c": "1"}}}}, id="deeply"),
        pytest.param(["name=Zoë 🐈"], {"name": "Zoë 🐈"}, id="any letters"),
    ],
)
def test_var_gives(variables: list[str], inputs: dict[str, Any]) -> None:
    assert read_variables(variables, []) == inputs


@pytest.mark.parametrize(
    ("file", "content", "value"),
    [
        pytest.param("a.txt", b"one\ntwo\n", "one\ntwo\n", id="a text as it is"),
        pytest.param("a.txt", b'{"a": 1}', '{"a": 1}', id="a text that looks like JSON"),
        pytest.param("a", b"", "", id="an empty file"),
        pytest.param("a.md", "Zoë".encode(), "Zoë", id="UTF-8"),
        pytest.param("a.json", b'{"a": [1, null, true]}', {"a": [1, None, True]}, id="JSON"),
        pytest.param("a.JSON", b"[1]", [1], id="JSON whatever the case of its suffix"),
        pytest.param("a.json", b'"- a text"', "- a text", id="a JSON text"),
        pytest.param("b=c.txt", b"x", "x", id="a file name with an equals sign"),
    ],
)
def test_var_file_gives(folder: Path, file: str, content: bytes, value: Any) -> None:
    (folder / file).write_bytes(content)
    assert read_variables([], [f"it={file}"]) == {"it": value}


def test_a_dotted_name_takes_a_file_beside_a_value(folder: Path) -> None:
    (folder / "body.txt").write_text("Where is it?", "utf-8")
    inputs = read_variables(["ticket.subject=Parcel"], ["ticket.body=body.txt"])
    assert inputs == {"ticket": {"subject": "Parcel", "body": "Where is it?"}}


@pytest.mark.parametrize("option", [0, 1], ids=["--var name=-", "--var-file name=-"])
def test_a_dash_reads_standard_input_whole(monkeypatch: pytest.MonkeyPatch, option: int) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("two\nlines\n"))
    assert read_variables(*([["name=-"], []] if option == 0 else [[], ["name=-"]])) == {"name": "two\nlines\n"}


@pytest.mark.parametrize(
    ("variables", "files", "said"),
    [
        pytest.param(["name"], [], "--var takes name=value", id="no equals sign"),
        pytest.param(["=Ann"], [], "--var takes name=value", id="no name"),
        pytest.param([""], [], "--var takes name=value", id="nothing"),
        pytest.param([".a=1"], [], "name", id="a name that begins with a dot"),
        pytest.param(["a.=1"], [], "name", id="a name that ends with a dot"),
        pytest.param(["a..b=1"], [], "name", id="a name with two dots in a row"),
        pytest.param(["a=1", "a=2"], [], "'a' is given twice", id="a name twice"),
        pytest.param(["a=1", "a=1"], [], "'a' is given twice", id="a name twice with the same value"),
        pytest.param(["a=1", "a.b=2"], [], "'a' already has a value", id="a field of a text"),
        pytest.param(["a.b=2", "a=1"], [], "'a' is given twice", id="a text in the place of fields"),
        pytest.param(["a.b=1", "a.b.c=2"], [], "'b' already has a value", id="a field of a field that is a text"),
        pytest.param(["a=1"], ["a=a.txt"], "'a' is given twice", id="a name by both options"),
        pytest.param(["a=-", "b=-"], [], "standard input", id="standard input twice"),
        pytest.param(["a=-"], ["b=-"], "standard input", id="standard input by both options"),
        pytest.param([], ["a"], "--var-file takes name=", id="a file without a name"),
        pytest.param([], ["a=gone.txt"], "gone.txt", id="a file that is not there"),
        pytest.param([], ["a=."], "Is a directory", id="a folder"),
        pytest.param([], ["a="], "--var-file", id="an empty file name"),
        pytest.param([], ["a=latin.txt"], "not UTF-8", id="a text that is not UTF-8"),
        pytest.param([], ["a=latin.json"], "not UTF-8", id="JSON that is not UTF-8"),
        pytest.param([], ["a=bad.json"], "bad.json:2:8: not valid JSON", id="bad JSON, with its place"),
        pytest.param([], ["a=empty.json"], "not valid JSON", id="empty JSON"),
        pytest.param([], ["a=nan.json"], "not valid JSON", id="NaN, which is no JSON"),
        pytest.param([], ["a=deep.json"], "deep.json", id="JSON nested without end"),
        pytest.param([], ["a=digits.json"], "digits.json", id="JSON with a number of 5000 digits"),
        pytest.param([], ["a=double.json"], "double.json", id="JSON with a key twice, of which one would be lost"),
    ],
)
def test_refused(folder: Path, variables: list[str], files: list[str], said: str) -> None:
    contents = {
        "a.txt": b"x",
        "latin.txt": b"Zo\xeb",
        "latin.json": b'"Zo\xeb"',
        "bad.json": b'{\n  "a": oops\n}',
        "empty.json": b"",
        "nan.json": b"NaN",
        "deep.json": b"[" * 200_000 + b"]" * 200_000,
        "digits.json": b"9" * 5000,
        "double.json": b'{"a": 1, "a": 2}',
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_variables(variables, files)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        pytest.param("bom.txt", b"\xef\xbb\xbfAnn", id="a text"),
        pytest.param("bom.json", b'\xef\xbb\xbf"Ann"', id="JSON"),
    ],
)
def test_the_mark_some_editors_put_before_utf_8_is_no_part_of_the_value(
    folder: Path, file: str, content: bytes
) -> None:
    (folder / file).write_bytes(content)
    assert read_variables([], [f"name={file}"]) == {"name": "Ann"}


WRONG_INPUTS = [
    pytest.param(["--var", "nam=Ann"], "did you mean 'name'?", id="unknown"),
    pytest.param([], "missing input 'name'", id="missing"),
    pytest.param(["--var", "name=Ann", "--var", "name=Bob"], "given twice", id="given twice"),
    pytest.param(["--var", "name"], "name=value", id="no value"),
    pytest.param(["--var", "name.first=Ann"], "'name'", id="a field of what is a text"),
    pytest.param(["--var-file", "name=gone.txt"], "gone.txt", id="a file that is not there"),
    pytest.param(["--var-file", "name=latin.txt"], "not UTF-8", id="a file that is not UTF-8"),
    pytest.param(["--var-file", "name=bad.json"], "not valid JSON", id="bad JSON"),
    pytest.param(["--var-file", "name=list.json"], "'name'", id="JSON of another type"),
    pytest.param(["--var-file", "name=surrogate.json"], "name", id="JSON with half a character"),
    pytest.param(["--var", "name=-", "--var-file", "x=-"], "standard input", id="standard input twice"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG_INPUTS)
def test_a_wrong_input_is_refused_before_a_model_is_looked_at(tmp_path: Path, arguments: list[str], said: str) -> None:
    folder = project(tmp_path)
    (folder / "latin.txt").write_bytes(b"Zo\xeb")
    (folder / "bad.json").write_text("{", "utf-8")
    (folder / "list.json").write_text("[1]", "utf-8")
    (folder / "surrogate.json").write_text('"\\ud800"', "utf-8")
    ran = command("run", "greet", "--model", "unloadable", *arguments, cwd=folder)
    assert ran.code == 4
    assert ran.err.startswith("InputError")
    assert said in ran.err
    assert ran.out == ""


def test_standard_input_reaches_the_prompt(tmp_path: Path) -> None:
    ran = command("render", "greet", "--var", "name=-", cwd=project(tmp_path), stdin="Zoë")
    assert (ran.code, ran.out) == (0, "── user ──\nGreet Zoë.\n")


@pytest.mark.parametrize("encoding", ["utf-8:strict", "utf-8:surrogateescape"])
def test_standard_input_that_is_not_utf_8_is_refused(tmp_path: Path, encoding: str) -> None:
    arguments = ["render", "greet", "--var", "name=-"]
    ran = command(*arguments, cwd=project(tmp_path), stdin=b"Zo\xeb", PYTHONIOENCODING=encoding)
    assert ran.code == 4
    assert "name" in ran.err
    assert ran.out == ""


@pytest.mark.skipif(os.name != "posix", reason="closes a file descriptor as a shell does")
def test_a_closed_standard_input_is_refused(tmp_path: Path) -> None:
    line = f'"{sys.executable}" -m promptkit render greet --var name=- <&-'
    done = subprocess.run(
        ["sh", "-c", line],
        cwd=project(tmp_path),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 4
    assert "standard input" in done.stderr
    assert "Traceback" not in done.stderr
