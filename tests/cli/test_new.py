"""``promptkit new``: begin a prompt from a starter."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from promptkit import DefinitionError, Prompt
from promptkit.cli.app import app
from promptkit.errors import TemplateNotFound
from promptkit.templating.environment import shipped_templates
from tests.cli.test_exit_codes import command

INPUTS: dict[str, dict[str, Any]] = {
    "classify": {"text": "I was charged twice."},
    "extract": {"text": "Ann, ann@example.org"},
    "support_reply": {"product": "Acme", "ticket": {"subject": "Late", "body": "Where is it?"}},
}
STARTERS = sorted(path.stem for path in (shipped_templates() / "starters").glob("*.jinja"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    inside = tmp_path / "work"
    inside.mkdir()
    monkeypatch.chdir(inside)
    return inside


def new(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["new", *arguments])


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("starter", STARTERS)
def test_a_starter_becomes_a_prompt_that_loads_and_renders(folder: Path, starter: str) -> None:
    result = new("mine", "--starter", starter)
    assert result.exit_code == 0
    assert "templates/mine.jinja" in result.stdout
    inputs = INPUTS[starter]
    mine, original = Prompt.load("mine"), Prompt.load(starter)
    assert str(mine.render(inputs)) == str(original.render(inputs))
    assert mine.parameters == original.parameters
    assert files(folder) == {"templates/mine.jinja"}


def test_help_names_every_starter() -> None:
    out = " ".join(new("--help").stdout.replace("│", " ").split())
    assert [name for name in STARTERS if name not in out] == []


def test_the_default_starter_is_classify() -> None:
    new("mine")
    assert Prompt.load("mine").description == Prompt.load("classify").description


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        pytest.param(["reply"], "templates/reply.jinja", id="a name"),
        pytest.param(["reply.jinja"], "templates/reply.jinja", id="a name with the suffix"),
        pytest.param(["mail/refund"], "templates/mail/refund.jinja", id="a name in a folder"),
        pytest.param(["mail/very/deep"], "templates/mail/very/deep.jinja", id="a name in folders"),
        pytest.param(["refund-reply"], "templates/refund-reply.jinja", id="a name with a dash"),
        pytest.param(["reply", "--folder", "prompts"], "prompts/reply.jinja", id="another folder"),
        pytest.param(["reply", "--folder", "."], "reply.jinja", id="this folder"),
    ],
)
def test_writes(folder: Path, arguments: list[str], file: str) -> None:
    result = new(*arguments)
    assert result.exit_code == 0
    assert file in result.stdout
    assert files(folder) == {file}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("../out", id="a folder above"),
        pytest.param("mail/../../out", id="a folder above in the middle"),
        pytest.param("/tmp/out", id="an absolute path"),
        pytest.param("~/out", id="a home folder"),
        pytest.param("..\\out", id="a folder above on Windows"),
        pytest.param("C:\\out", id="a drive"),
        pytest.param("C:out", id="a drive without a folder"),
        pytest.param("", id="nothing"),
        pytest.param(".", id="a dot"),
        pytest.param("..", id="two dots"),
        pytest.param(".jinja", id="only the suffix"),
        pytest.param(".hidden", id="a hidden file"),
        pytest.param("mail/", id="only a folder"),
        pytest.param("mail//reply", id="an empty part"),
        pytest.param("two words", id="a blank"),
        pytest.param("line\nbreak", id="a line break"),
        pytest.param("nul\0", id="a NUL character"),
    ],
)
def test_a_bad_name_is_refused_and_nothing_is_written(folder: Path, name: str) -> None:
    result = new("--", name)
    assert isinstance(result.exception, DefinitionError)
    assert repr(name) in str(result.exception)
    assert list(folder.parent.rglob("*")) == [folder]


def test_an_existing_prompt_is_left_alone(folder: Path) -> None:
    path = folder / "templates" / "mine.jinja"
    path.parent.mkdir()
    path.write_text("Mine.", "utf-8")
    result = new("mine")
    assert isinstance(result.exception, DefinitionError)
    assert "templates/mine.jinja exists already" in str(result.exception)
    assert path.read_text("utf-8") == "Mine."


@pytest.mark.parametrize(
    ("starter", "said"),
    [
        pytest.param("clasify", "'classify'", id="names the nearest"),
        pytest.param("zzz", "support_reply", id="names those there are where none is near"),
        pytest.param("../partials/tone", "not a template name", id="looks nowhere else"),
    ],
)
def test_an_unknown_starter_is_refused(folder: Path, starter: str, said: str) -> None:
    result = new("mine", "--starter", starter)
    assert isinstance(result.exception, TemplateNotFound)
    assert said in str(result.exception)
    assert files(folder) == set()


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["mine", "--folder", "occupied"], id="a file in the place of the folder"),
        pytest.param(["occupied/mine", "--folder", "."], id="a file in the place of a folder below"),
        pytest.param(["x" * 300], id="a name too long for the disk"),
    ],
)
def test_what_the_disk_refuses_is_told_in_words(folder: Path, arguments: list[str]) -> None:
    (folder / "occupied").write_text("", "utf-8")
    ran = command("new", *arguments, cwd=folder)
    assert ran.code == 3
    assert ran.err.startswith("DefinitionError")
    assert ran.out == ""


@pytest.mark.parametrize("more", [[], ["--folder", "prompts"]], ids=["in templates", "in another folder"])
def test_the_command_it_says_to_try_works_and_shows_what_to_give_it(folder: Path, more: list[str]) -> None:
    told = new("mine", "--starter", "support_reply", *more).stdout
    tried = shlex.split(told.partition("Try: promptkit ")[2])
    ran = command(*tried, cwd=folder)
    assert ran.code == 0
    assert "product" in told + ran.out
