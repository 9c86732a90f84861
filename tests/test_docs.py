"""Every fence of README.md and docs is executed, in order, page by page, in an empty folder.

``python`` runs (``raises=Name``: must raise that error); ``jinja`` must load as a prompt and, with
``file=``, is written there; ``toml`` must be a valid configuration, with ``file=`` likewise; ``sh`` runs
(``fails=N``: with that exit code), but for installing, which .ci/run does; ``text`` after one of
them is what it must have printed.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import promptkit.errors
from promptkit import Config, Prompt

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(?P<language>\w+)(?P<options>[^\n]*)\n(?P<code>.*?)^```$", re.M | re.S)


class Fence(NamedTuple):
    page: Path
    line: int
    language: str
    options: dict[str, str]
    code: str


def fences(page: Path) -> list[Fence]:
    text = page.read_text("utf-8")
    found = []
    for match in FENCE.finditer(text):
        options = dict(option.partition("=")[::2] for option in match["options"].split())
        line = text.count("\n", 0, match.start("code")) + 1
        found.append(Fence(page, line, match["language"], options, match["code"]))
    return found


class Runner:
    """Runs the fences of one page; what one of them defines or writes, the next ones find."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "docs"}
        for name in promptkit.errors.__all__:
            self.names[name] = getattr(promptkit.errors, name)
        self.printed = ""

    def run(self, fence: Fence) -> None:
        if target := fence.options.get("file"):
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            Path(target).write_text(fence.code, "utf-8")
        getattr(self, fence.language)(fence)

    def python(self, fence: Fence) -> None:
        code = compile("\n" * (fence.line - 1) + fence.code, str(fence.page), "exec", dont_inherit=True)
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            if expected := fence.options.get("raises"):
                with pytest.raises(self.names[expected]):
                    exec(code, self.names)
            else:
                exec(code, self.names)
        self.printed = out.getvalue()

    def jinja(self, fence: Fence) -> None:
        Prompt(fence.code)

    def toml(self, fence: Fence) -> None:
        if "pyproject" in fence.options:
            tomllib.loads(fence.code)
        else:
            Path("checked.toml").write_text(fence.code, "utf-8")
            Config.load("checked.toml")

    def sh(self, fence: Fence) -> None:
        # The command of this environment, wherever it is; installing is the work of .ci/run.
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        for command in fence.code.strip().splitlines():
            if command.startswith("pip install"):
                continue
            done = subprocess.run(
                ["bash", "-c", command], capture_output=True, text=True, env=environment, check=False, timeout=300
            )
            assert done.returncode == int(fence.options.get("fails", 0)), f"{command}\n{done.stderr}"
            self.printed = done.stdout + done.stderr

    def text(self, fence: Fence) -> None:
        if self.printed:
            assert self.printed.strip() == fence.code.strip()

    def layers(self, fence: Fence) -> None:
        """Read by test_layers.py."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_fence_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "docs" / "examples", tmp_path / "docs" / "examples")
    monkeypatch.chdir(tmp_path)
    runner = Runner()
    for fence in fences(page):
        try:
            runner.run(fence)
        except Exception as error:
            error.add_note(f"in the {fence.language} fence at {fence.page}:{fence.line}")
            raise


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8"))
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert missing == []


def test_readme_begins_with_its_two_commands() -> None:
    commands = [fence.code.strip() for fence in fences(ROOT / "README.md") if fence.language == "sh"]
    assert commands[0].startswith("pip install -e '.[cli,local]' && promptkit run support_reply")
    assert commands[1] == "pip install -e '.[dev]' && pytest"
