"""``promptkit providers``: what can be configured, and what is."""

from __future__ import annotations

from typing import Annotated

import typer

from promptkit.cli.table import table
from promptkit.config import Config, provider_names
from promptkit.providers.openai import dialects

__all__ = ["providers"]


def providers(
    config: Annotated[str | None, typer.Option(help="A configuration file, instead of the nearest one.")] = None,
) -> None:
    """List the providers, the dialects of OpenAI-compatible hosts, and the configured models."""
    loaded = Config.load(config) if config else Config.find()
    chosen = loaded.entry().name
    print(table(("provider", "from"), *sorted(provider_names().items())))
    print(f"\ndialects of openai: {', '.join(dialects())}\n")
    entries = [(name, entry.kind, "in use" if name == chosen else "") for name, entry in loaded.models.items()]
    print(table(("model", "provider", ""), *entries))
    print(f"\nconfigured in {loaded.file or 'no file: the embedded model is used'}")
