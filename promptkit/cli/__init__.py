"""The ``promptkit`` command: thin callers of the library, one file per command.

Exit codes: 0 done; 1 a fault of promptkit itself; 2 wrong usage; 3 a template, config or installation
is wrong; 4 an input is wrong; 5 the model's server failed; 6 the model gave no usable output;
130 interrupted.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Entry point of the ``promptkit`` command."""
    try:
        _run()
    except KeyboardInterrupt:  # while still importing, or already leaving
        print("Interrupted: nothing was saved.", file=sys.stderr)
        sys.exit(130)


def _run() -> None:
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError:
        print("The promptkit command needs an extra: pip install 'promptkit[cli]'", file=sys.stderr)
        sys.exit(3)
    from promptkit.cli.app import run

    run()
