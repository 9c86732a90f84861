"""``promptkit render``: exactly the messages that would be sent, without a network."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from promptkit.cli.variables import VAR, VAR_FILE, read_variables
from promptkit.prompts import Prompt

__all__ = ["render"]


def render(
    prompt: Annotated[str, typer.Argument(help="A template's name, or the path of a .jinja file.")],
    var: Annotated[list[str] | None, typer.Option(help=VAR)] = None,
    var_file: Annotated[list[str] | None, typer.Option(help=VAR_FILE)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Messages, parameters and schema as JSON.")] = False,
) -> None:
    """Show exactly the messages that would be sent; nothing is sent."""
    request = Prompt.load(prompt).render(read_variables(var or [], var_file or []))
    if not as_json:
        print(request)
        return
    document = {
        "messages": [{"role": message.role, "content": message.text} for message in request.messages],
        "parameters": request.parameters.as_dict(),
        "schema": request.schema and request.schema.json,
        "fingerprint": request.fingerprint,
    }
    print(json.dumps(document, ensure_ascii=False, indent=2))
