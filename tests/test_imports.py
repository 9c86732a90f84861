"""What an import costs: nothing happens until a name is used, and then only what it needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import promptkit

THIRD_PARTY = ["jinja2", "pydantic", "pydantic_core", "httpx", "tenacity", "yaml", "typer", "rich", "xllamacpp"]


def loaded_after(code: str) -> set[str]:
    """The third-party modules in `sys.modules` after running ``code`` in a fresh interpreter."""
    report = f"{code}\nimport sys; print(*[m for m in {THIRD_PARTY!r} + ['asyncio', 'typing'] if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


TYPED = "Prompt.load('support_reply').render(product='Acme', ticket={'subject': 's', 'body': 'b'})"


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        pytest.param("import promptkit", set(), id="the package alone loads nothing"),
        pytest.param("from promptkit import Prompt", {"jinja2", "typing"}, id="Prompt needs Jinja"),
        pytest.param(
            "from promptkit import Prompt; Prompt('Hi {{ x }}').render(x='a')",
            {"jinja2", "typing"},
            id="so does a render",
        ),
        pytest.param(
            f"from promptkit import Prompt; {TYPED}", {"jinja2", "typing", "yaml"}, id="front matter needs YAML only"
        ),
        pytest.param("from promptkit import Request, Parameters, InputError", {"typing"}, id="the data needs nothing"),
    ],
)
def test_an_import_loads_only_what_it_needs(code: str, allowed: set[str]) -> None:
    assert loaded_after(code) <= allowed


@pytest.mark.parametrize("name", promptkit.__all__)
def test_every_public_name_resolves_and_is_documented(name: str) -> None:
    value = getattr(promptkit, name)
    assert name == "__version__" or value.__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Promt'"):
        promptkit.Promt  # noqa: B018
