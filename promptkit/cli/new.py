"""``promptkit new``: begin a prompt from a starter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from promptkit.errors import DefinitionError
from promptkit.prompts import Prompt
from promptkit.templating.environment import SUFFIX, Loader, shipped_templates
from promptkit.templating.shorthand import REQUIRED, Field

__all__ = ["new"]


def new(
    name: Annotated[str, typer.Argument(help="The new prompt's name, as refund_reply or mail/refund.")],
    starter: Annotated[str, typer.Option(help="What to begin from: support_reply, classify or extract.")] = "classify",
    folder: Annotated[str, typer.Option(help="The folder of templates.")] = "templates",
) -> None:
    """Write templates/NAME.jinja from a starter; an existing file is left alone."""
    _, text = Loader([shipped_templates() / "starters"]).read(starter)
    parts = name.removesuffix(SUFFIX).split("/")
    if not all(part.replace("-", "_").isidentifier() for part in parts):
        raise DefinitionError(f"{name!r} is not a template name", hint="use names like refund_reply or mail/refund")
    path = Path(folder, *parts).with_suffix(SUFFIX)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise DefinitionError(f"{path} exists already", hint="choose another name") from None
    except OSError as error:
        raise DefinitionError(f"cannot write {path}: {error.strerror}") from None
    inputs = " ".join(f"--var {name}=..." for name in _required(Prompt.load(path).source.input or {}))
    print(f"Wrote {path}. Try: promptkit render {path} {inputs}")


def _required(fields: Mapping[str, Field], prefix: str = "") -> Iterator[str]:
    """The names that have to be given, dotted where they are nested."""
    for name, field in fields.items():
        if field.shape.name == "object":
            yield from _required(dict(field.shape.fields), f"{prefix}{name}.")
        elif field.default is REQUIRED:
            yield prefix + name
