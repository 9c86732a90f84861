"""``promptkit run``: render a prompt, ask the configured model, show the answer as it comes."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import Annotated, Any

import typer

from promptkit.cli.variables import VAR, VAR_FILE, read_variables
from promptkit.client import Client
from promptkit.errors import OutputError, ProviderError
from promptkit.prompts import Prompt
from promptkit.requests import Usage

__all__ = ["run"]


def run(
    prompt: Annotated[str, typer.Argument(help="A template's name, or the path of a .jinja file.")],
    var: Annotated[list[str] | None, typer.Option(help=VAR)] = None,
    var_file: Annotated[list[str] | None, typer.Option(help=VAR_FILE)] = None,
    model: Annotated[str | None, typer.Option(help="An entry of promptkit.toml, instead of its `model`.")] = None,
    config: Annotated[str | None, typer.Option(help="A configuration file, instead of the nearest one.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Most tokens of the answer.")] = None,
    temperature: Annotated[float | None, typer.Option(help="0 is greedy.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the sampling.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole result as one line of JSON.")] = False,
) -> None:
    """Ask the configured model, and show the answer as it comes."""
    chosen = {"max_tokens": max_tokens, "temperature": temperature, "seed": seed}
    parameters = {name: value for name, value in chosen.items() if value is not None}
    loaded = Prompt.load(prompt).with_parameters(**parameters)
    inputs = read_variables(var or [], var_file or [])
    loaded.render(inputs)  # A wrong input is refused before a model is loaded.
    with Client(config, model=model) as client:
        if as_json:
            _print_json(client, loaded, inputs)
        elif loaded.output is str:
            _print_stream(client, loaded, inputs)
        else:
            print(_dump(loaded.output, client.run(loaded, inputs).output, indent=2))


def _print_stream(client: Client, prompt: Prompt[Any, Any], inputs: Any) -> None:
    begun = False
    stream = client.stream(prompt, inputs)
    try:
        for text in stream:
            begun = True
            print(text, end="", flush=True)
    finally:
        stream.close()
        if begun:
            print(flush=True)


def _print_json(client: Client, prompt: Prompt[Any, Any], inputs: Any) -> None:
    try:
        result = client.run(prompt, inputs)
    except (OutputError, ProviderError) as error:
        text = error.text if isinstance(error, OutputError) else error.partial
        usage = error.usage if isinstance(error, OutputError) else None
        failure = {"error": type(error).__name__, "message": error.message, "text": text, "usage": _usage(usage)}
        print(json.dumps(failure, ensure_ascii=False))
        raise
    completion = result.completions[-1]
    document = {
        "output": json.loads(_dump(prompt.output, result.output)),
        "text": result.text,
        "ending": completion.ending,
        "model": completion.model,
        "usage": _usage(result.usage),
        "prompt": prompt.fingerprint,
    }
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")


def _usage(usage: Usage | None) -> dict[str, int] | None:
    return None if usage is None else dataclasses.asdict(usage)


def _dump(output: Any, value: Any, indent: int | None = None) -> str:
    from pydantic import TypeAdapter

    return TypeAdapter(output).dump_json(value, indent=indent).decode()
