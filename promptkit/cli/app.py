"""The command's parts put together, and errors turned into exit codes."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from promptkit import __version__
from promptkit.cli import models, new, providers, render
from promptkit.cli import run as run_command
from promptkit.errors import DefinitionError, InputError, OutputError, PromptkitError, ProviderError

__all__ = ["app", "exit_code", "run"]

app = typer.Typer(
    name="promptkit",
    help="Typed prompts from Jinja templates, sent to any model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("render")(render.render)
app.command("run")(run_command.run)
app.command("new")(new.new)
app.command("providers")(providers.providers)
app.add_typer(models.app, name="models")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"promptkit {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    """Typed prompts from Jinja templates, sent to any model."""


EXIT_CODES: tuple[tuple[type[PromptkitError], int], ...] = (
    (DefinitionError, 3),
    (InputError, 4),
    (ProviderError, 5),
    (OutputError, 6),
)


def exit_code(error: PromptkitError) -> int:
    """The exit code of an error; see `promptkit.cli`."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)


def run() -> None:
    """Run the command line, and exit."""
    console = Console(stderr=True, highlight=False)
    try:
        app(standalone_mode=True)
    except PromptkitError as error:
        # Not as markup: a message may hold square brackets.
        console.print(f"{type(error).__name__}: {error}", style="red", markup=False, soft_wrap=True)
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        console.print("Interrupted. What was printed so far is all there is; nothing was saved.")
        sys.exit(130)
    except BrokenPipeError:
        # The reader has gone (`| head`); Python would complain once more when it flushes at the end.
        sys.stdout = None
        sys.exit(0)
