"""``promptkit run``: render a prompt, ask the configured model, show the answer as it comes."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.status import Status

from promptkit.cli.variables import VAR, VAR_FILE, read_variables
from promptkit.client import Client
from promptkit.errors import DefinitionError, OutputError, PromptkitError, ProviderError
from promptkit.plans import Result
from promptkit.prompts import Prompt

__all__ = ["Interrupted", "run"]


class Interrupted(Exception):
    """Ctrl-C, with what was kept. No KeyboardInterrupt, because typer would swallow it."""


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
    show = _show_json if as_json else _show
    try:
        loaded = _with_parameters(Prompt.load(prompt), parameters)
        inputs = read_variables(var or [], var_file or [])
        loaded.render(inputs)  # A wrong input is refused before a model is loaded.
        with Client(config, model=model) as client:
            show(client, loaded, inputs)
    except PromptkitError as error:
        if as_json:
            print(json.dumps(_failure(error), ensure_ascii=False))
        raise


def _with_parameters(prompt: Prompt[Any, Any], parameters: dict[str, Any]) -> Prompt[Any, Any]:
    try:
        return prompt.with_parameters(**parameters)
    except DefinitionError as error:
        raise typer.BadParameter(error.message) from None


def _show(client: Client, prompt: Prompt[Any, Any], inputs: Any) -> None:
    if prompt.output is str:
        _show_stream(client, prompt, inputs)
        return
    with _waiting():
        result = client.run(prompt, inputs)
    print(_dump(prompt.output, result.output, indent=2))


def _show_stream(client: Client, prompt: Prompt[Any, Any], inputs: Any) -> None:
    shown = 0
    waiting = _waiting()
    waiting.start()
    try:
        with client.stream(prompt, inputs) as stream:
            for text in stream:
                waiting.stop()
                shown += len(text)
                print(text, end="", flush=True)
    except KeyboardInterrupt:
        kept = f"the {shown} characters shown are all there is" if shown else "no text had come"
        raise Interrupted(f"Interrupted: {kept}; nothing was saved.") from None
    finally:
        waiting.stop()
        if shown:
            print(flush=True)


def _show_json(client: Client, prompt: Prompt[Any, Any], inputs: Any) -> None:
    with _waiting():
        result = client.run(prompt, inputs)
    print(json.dumps(_success(prompt, result), ensure_ascii=False))


def _waiting() -> Status:
    """A sign of life on a terminal, from the start until the first text; nothing where nobody watches."""
    return Console(stderr=True).status("waiting for the model")


def _success(prompt: Prompt[Any, Any], result: Result[Any]) -> dict[str, Any]:
    completion = result.completions[-1]
    return {
        "output": json.loads(_dump(prompt.output, result.output)),
        "text": result.text,
        "ending": completion.ending,
        "model": completion.model,
        "usage": result.usage and dataclasses.asdict(result.usage),
        "prompt": prompt.fingerprint,
    }


def _failure(error: PromptkitError) -> dict[str, Any]:
    document: dict[str, Any] = {
        "error": type(error).__name__,
        "message": error.message,
        "hint": error.hint,
        "field": error.field,
        "text": "",
        "usage": None,
    }
    if isinstance(error, OutputError):
        document |= {"text": error.text, "usage": error.usage and dataclasses.asdict(error.usage)}
    if isinstance(error, ProviderError):
        document |= {"text": error.partial, "status": error.status, "retryable": error.retryable}
    return document


def _dump(output: Any, value: Any, indent: int | None = None) -> str:
    from pydantic import TypeAdapter

    return TypeAdapter(output).dump_json(value, indent=indent).decode()
