"""``promptkit providers``: what can be configured, and what is."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from promptkit.config import Config, provider_names
from promptkit.providers.openai import dialects

__all__ = ["providers"]


def providers(
    config: Annotated[str | None, typer.Option(help="A configuration file, instead of the nearest one.")] = None,
) -> None:
    """List the providers, the dialects of OpenAI-compatible hosts, and the configured models."""
    loaded = Config.load(config) if config else Config.find()
    console = Console(soft_wrap=True)
    table = Table("provider", "from", box=None, pad_edge=False)
    for name, home in sorted(provider_names().items()):
        table.add_row(name, home)
    console.print(table)
    console.print(f"\ndialects of openai: {', '.join(dialects())}\n")
    entries = Table("model", "provider", "", box=None, pad_edge=False)
    chosen = loaded.entry().name
    for name, entry in loaded.models.items():
        entries.add_row(name, entry.kind, "in use" if name == chosen else "")
    console.print(entries)
    console.print(f"\nconfigured in {loaded.file or 'no file: the embedded model is used'}")
