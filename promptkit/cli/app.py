"""The command's parts put together, and errors turned into exit codes."""

from __future__ import annotations

import functools
import io
import sys
from collections.abc import Callable
from typing import ParamSpec

import typer
from rich.console import Console

from promptkit import __version__
from promptkit.cli import models, new, providers, render
from promptkit.cli import run as run_command
from promptkit.cli.run import Interrupted
from promptkit.errors import DefinitionError, InputError, OutputError, PromptkitError, ProviderError

__all__ = ["app", "exit_code", "run"]

P = ParamSpec("P")

app = typer.Typer(
    name="promptkit",
    help="Typed prompts from Jinja templates, sent to any model.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """A command whose Ctrl-C says what is left, and whose output has arrived when it is done."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **options: P.kwargs) -> None:
        try:
            command(*args, **options)
            sys.stdout.flush()
        except KeyboardInterrupt:
            raise Interrupted("Interrupted: nothing was saved.") from None
        except OSError as error:
            # Inside, and as another error: typer would make an exit code of its own of it.
            raise Unwritable(error) from None

    return wrapped


class Unwritable(Exception):
    """Standard output takes no more: its reader has gone, or a disk is full."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror or str(error))
        self.reader_has_gone = isinstance(error, BrokenPipeError)


app.command("render")(guarded(render.render))
app.command("run")(guarded(run_command.run))
app.command("new")(guarded(new.new))
app.command("providers")(guarded(providers.providers))
models.app.callback()(guarded(models.models))
models.app.command("fetch")(guarded(models.fetch))
app.add_typer(models.app, name="models")


def _version(wanted: bool) -> None:
    if wanted:
        guarded(print)(f"promptkit {__version__}")
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
    # A character the terminal lacks is shown by its number; better than an error in the middle of an answer.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    console = Console(stderr=True, highlight=False)
    try:
        app(standalone_mode=True)
    except PromptkitError as error:
        # Not as markup: a message may hold square brackets.
        console.print(f"{type(error).__name__}: {error}", style="red", markup=False, soft_wrap=True)
        sys.exit(exit_code(error))
    except Interrupted as interrupt:
        console.print(str(interrupt))
        sys.exit(130)
    except Unwritable as error:
        # Python would try once more to write what is left, and complain.
        sys.stdout = None
        if error.reader_has_gone:
            sys.exit(0)
        console.print(f"cannot write the output: {error}", style="red", markup=False)
        sys.exit(1)
