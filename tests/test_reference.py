"""The reference pages name what there is: every option, key, command and error code."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import typer.main

import promptkit.errors
from promptkit.cli.app import EXIT_CODES, app
from promptkit.config import BUILT_IN, COMMON
from promptkit.providers.local import Local
from promptkit.providers.openai import OpenAI, dialects
from promptkit.providers.scripted import Scripted
from promptkit.requests import Parameters
from promptkit.templating.shorthand import CONTAINERS, NAMES
from promptkit.templating.source import KEYS
from promptkit.transport.base import Timeout

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"


def fields(kind: type) -> list[str]:
    return [field.name for field in dataclasses.fields(kind) if field.init]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("page", "names"),
    [
        pytest.param("configuration.md", [*COMMON, *fields(Timeout)], id="keys of every model"),
        pytest.param(
            "configuration.md", [f'"{name}"' for name in (*BUILT_IN, *dialects())], id="providers and dialects"
        ),
        *[
            pytest.param("configuration.md", fields(kind), id=f"options of {kind.__name__}")
            for kind in (OpenAI, Local, Scripted)
        ],
        pytest.param("front-matter.md", [*KEYS, *fields(Parameters)], id="front-matter keys"),
    ],
)
def test_a_page_names_every_key(page: str, names: list[str]) -> None:
    text = (REFERENCE / page).read_text("utf-8")
    assert [name for name in names if f"`{name}`" not in text] == []


def test_the_python_page_names_everything_public() -> None:
    text = (REFERENCE / "python.md").read_text("utf-8")
    names = [name for name in promptkit.__all__ if name != "__version__"]
    assert [name for name in names if f"`{name}`" not in text] == []
    assert [name for name in promptkit.errors.__all__ if name not in text] == []


def test_front_matter_names_every_type() -> None:
    text = (REFERENCE / "front-matter.md").read_text("utf-8")
    assert [name for name in (*NAMES, *CONTAINERS) if name not in text] == []


def test_the_command_line_page_names_every_command_and_exit_code() -> None:
    text = (REFERENCE / "command-line.md").read_text("utf-8")
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert [name for name in commands if f"`promptkit {name}" not in text] == []
    assert [code for _, code in EXIT_CODES if f"| {code} |" not in text] == []
