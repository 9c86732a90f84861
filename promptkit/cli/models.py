"""``promptkit models``: the local models, and fetching them."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from promptkit import local_models
from promptkit.cli.table import table

__all__ = ["app", "fetch", "models"]

app = typer.Typer(help="List and fetch local models.", invoke_without_command=True, no_args_is_help=False)


def models(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List the local models that can be named in promptkit.toml, and where their files are."""
    if context.invoked_subcommand is not None:
        return
    rows = [(model, local_models.find(model)) for model in local_models.known().values()]
    if as_json:
        listed = [
            {
                "name": model.name,
                "bytes": model.bytes,
                "context": model.context,
                "license": model.license,
                "file": file and str(file),
            }
            for model, file in rows
        ]
        print(json.dumps(listed, indent=2))
        return
    lines = [("name", "size", "context", "license", "file")]
    for model, file in rows:
        where = str(file) if file else f"not here: promptkit models fetch {model.name}"
        lines.append((model.name, f"{model.bytes / 1e6:.0f} MB", str(model.context), model.license, where))
    print(table(*lines))


def fetch(name: Annotated[str, typer.Argument(help="A model's name, as `promptkit models` lists it.")]) -> None:
    """Fetch a model now, so that the first run does not have to."""
    print(local_models.locate(name))
