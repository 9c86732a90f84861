"""Inputs from the command line: ``--var name=value``, ``--var-file name=file``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from promptkit import strict_json
from promptkit.errors import InputError

__all__ = ["VAR", "VAR_FILE", "read_variables"]

VAR = "An input, as name=value; a dotted name sets a nested field; the value - is read from standard input."
VAR_FILE = "An input from a file, as name=file: JSON for .json, else text; the file - is standard input."


def read_variables(variables: Sequence[str], files: Sequence[str]) -> dict[str, Any]:
    """The inputs of both options, nested where names are dotted.

    Raises `InputError` for what is not ``name=value``, a name given twice, a file that is missing or
    cannot be read, or standard input asked for twice.

    >>> read_variables(["ticket.subject=Hi", "product=Acme"], [])
    {'ticket': {'subject': 'Hi'}, 'product': 'Acme'}
    """
    inputs: dict[str, Any] = {}
    pairs = [(*_split(item, "--var"), False) for item in variables]
    pairs += [(*_split(item, "--var-file"), True) for item in files]
    if sum(value == "-" for _, value, _ in pairs) > 1:
        raise InputError("standard input can be read for one input only")
    for name, value, is_file in pairs:
        if value == "-":
            _set(inputs, name, _standard_input(name))
        else:
            _set(inputs, name, _read(name, value) if is_file else value)
    return inputs


def _split(item: str, option: str) -> tuple[str, str]:
    name, equals, value = item.partition("=")
    if not equals or not all(name.split(".")):
        raise InputError(f"{option} takes name=value, got {item!r}")
    if option == "--var-file" and not value:
        raise InputError(f"{option} takes name=file, got {item!r}", field=name)
    return name, value


def _set(inputs: dict[str, Any], name: str, value: Any) -> None:
    *parents, last = name.split(".")
    for parent in parents:
        inputs = inputs.setdefault(parent, {})
        if not isinstance(inputs, dict):
            raise InputError(f"input {name!r}: {parent!r} already has a value", field=name)
    if last in inputs:
        raise InputError(f"input {name!r} is given twice", field=name)
    inputs[last] = value


def _standard_input(name: str) -> str:
    if sys.stdin is None or sys.stdin.closed:
        raise InputError(f"there is no standard input to read {name!r} from", field=name)
    # Bytes where there are any: the text layer would decode with whatever the terminal is set to.
    buffer = getattr(sys.stdin, "buffer", None)
    return sys.stdin.read() if buffer is None else _text(buffer.read(), "standard input", name)


def _read(name: str, file: str) -> Any:
    path = Path(file)
    try:
        raw = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"cannot read {file} for input {name!r}: {reason}", field=name) from None
    text = _text(raw, file, name)
    if path.suffix.lower() != ".json":
        return text
    try:
        return strict_json.loads(text)
    except strict_json.NotJson as error:
        raise InputError(
            f"not valid JSON: {error}", file=file, line=error.line, column=error.column, field=name
        ) from None


def _text(raw: bytes, file: str, name: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise InputError(f"input {name!r} is not UTF-8", file=file, line=line, field=name) from None
