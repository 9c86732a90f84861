"""The wheel and the sdist, built and installed: what a user gets is what was tested."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
        timeout=300,
    )
    return folder


def test_the_wheel_ships_templates_types_and_data(built: Path) -> None:
    [wheel] = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    templates = {f"promptkit/{path.relative_to(ROOT)}" for path in (ROOT / "templates").rglob("*.jinja")}
    assert templates
    assert templates <= names
    assert {"promptkit/py.typed", "promptkit/local_models.toml", "promptkit/providers/dialects.toml"} <= names
    assert not [name for name in names if name.startswith(("tests/", "docs/"))]


def test_the_sdist_holds_what_is_needed_to_build_and_test(built: Path) -> None:
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "templates/starters/classify.jinja", "tests/conftest.py"} <= names


@pytest.mark.parametrize("kind", ["*.whl", "*.tar.gz"], ids=["wheel", "sdist"])
def test_it_installs_and_renders_without_extras(built: Path, tmp_path: Path, kind: str) -> None:
    [archive] = built.glob(kind)
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(archive)], check=True, timeout=300)
    code = "from promptkit import Prompt; print(Prompt.load('classify').render(text='Hi').messages[1].text)"
    done = subprocess.run([python, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "Hi\n"
    command = subprocess.run([python, "-m", "promptkit"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert command.returncode == 3
    assert "pip install 'promptkit[cli]'" in command.stderr
