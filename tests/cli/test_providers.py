"""``promptkit providers``: what can be configured, and what is."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from promptkit.cli.app import app
from promptkit.config import BUILT_IN
from promptkit.providers.openai import dialects
from tests.cli.test_exit_codes import command, project

ENTRIES = {
    "embedded": "local",
    "fake": "scripted",
    "colour": "scripted",
    "overloaded": "scripted",
    "down": "openai",
    "unloadable": "local",
    "damaged": "local",
    "misspelt": "scriptd",
    "small": "local",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return project(tmp_path)


def providers(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["providers", *arguments], catch_exceptions=False)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


@pytest.mark.parametrize("width", ["30", "80", "250"], ids=lambda width: f"{width} columns")
def test_lists_every_provider_and_where_it_lives(folder: Path, monkeypatch: pytest.MonkeyPatch, width: str) -> None:
    monkeypatch.setenv("COLUMNS", width)
    words = providers().split()
    assert BUILT_IN.keys() <= set(words)
    assert set(BUILT_IN.values()) <= set(words)


def test_lists_every_dialect(folder: Path) -> None:
    line = next(line for line in providers().splitlines() if line.startswith("dialects of openai: "))
    assert line.partition(": ")[2].split(", ") == list(dialects())


def rows(out: str) -> dict[str, list[str]]:
    """The table of configured models: name to the rest of its row."""
    lines = out.partition("\nmodel ")[2].partition("\n\n")[0].splitlines()[1:]
    return {line.split()[0]: line.split()[1:] for line in lines}


def test_lists_every_configured_model_and_which_is_in_use(folder: Path) -> None:
    wanted = {name: [kind] for name, kind in ENTRIES.items()}
    assert rows(providers()) == {**wanted, "fake": ["scripted", "in", "use"]}


def test_promptkit_model_changes_which_is_in_use(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTKIT_MODEL", "down")
    listed = rows(providers())
    assert listed["down"] == ["openai", "in", "use"]
    assert listed["fake"] == ["scripted"]


def test_says_which_file_is_read(folder: Path) -> None:
    assert str(folder / "promptkit.toml") in providers()


def test_another_file_is_read_when_asked(folder: Path) -> None:
    (folder / "other.toml").write_text('model = "x"\n[models.x]\nprovider = "scripted"\n', "utf-8")
    out = providers("--config", "other.toml")
    assert rows(out) == {"embedded": ["local"], "x": ["scripted", "in", "use"]}
    assert "other.toml" in out


def test_without_a_file_the_embedded_model_is_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    out = providers()
    assert rows(out) == {"embedded": ["local", "in", "use"]}
    assert "no file" in out


def test_a_key_is_never_shown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "sk-from-the-environment")
    (folder / "promptkit.toml").write_text(
        'model = "a"\n[models.a]\nprovider = "openai"\nmodel = "m"\napi_key = "sk-in-the-file"\n'
        '[models.b]\nprovider = "openai"\nmodel = "m"\napi_key = "${env:A_KEY}"\n',
        "utf-8",
    )
    assert "sk-" not in providers()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("model = \n", "promptkit.toml:1", id="no TOML"),
        pytest.param('modell = "x"\n', "did you mean 'model'?", id="an unknown key"),
        pytest.param('model = "x"\n', "no model 'x'", id="a model that is not there"),
        pytest.param("[models.x]\n", "needs a provider", id="a model without a provider"),
        pytest.param("models = 1\n", "must be a table", id="models that are no table"),
    ],
)
def test_a_wrong_file_is_refused_in_words(folder: Path, text: str, said: str) -> None:
    (folder / "promptkit.toml").write_text(text, "utf-8")
    ran = command("providers", cwd=folder)
    assert (ran.code, ran.out) == (3, "")
    assert said in ran.err


def test_a_wrong_promptkit_model_leaves_no_half_a_list_on_stdout(folder: Path) -> None:
    ran = command("providers", cwd=folder, PROMPTKIT_MODEL="gone")
    assert ran.code == 3
    assert "PROMPTKIT_MODEL" in ran.err
    assert ran.out == ""
