"""An output type as the JSON schema a provider is given."""

from __future__ import annotations

from typing import Any

from promptkit.errors import DefinitionError
from promptkit.requests import Schema

__all__ = ["WRAPPED", "is_wrapped", "to_schema"]

WRAPPED = "value"
"""The one field of the object that carries an output which is not itself an object."""


def to_schema(output: Any, *, name: str) -> Schema | None:
    """The schema of ``output``; ``None`` for plain text.

    Providers want an object at the root, so a list or a ``Literal`` is wrapped in one.

    Raises `DefinitionError` for a type that has no JSON schema.

    >>> to_schema(bool, name="spam").json["properties"]
    {'value': {'type': 'boolean'}}
    """
    if output is str:
        return None
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    try:
        json = TypeAdapter(output).json_schema()
    except PydanticUserError as error:
        raise DefinitionError(f"the output type {output!r} has no JSON schema: {error.message}") from None
    if is_wrapped(json):
        definitions = {"$defs": json.pop("$defs")} if "$defs" in json else {}
        json = {
            "type": "object",
            "properties": {WRAPPED: json},
            "required": [WRAPPED],
            "additionalProperties": False,
            **definitions,
        }
    return Schema(name, json)


def is_wrapped(schema: dict[str, Any]) -> bool:
    """Whether a type's own schema is not an object's."""
    reference = schema.get("$ref", "")
    target = schema.get("$defs", {}).get(reference.removeprefix("#/$defs/"), schema)
    return bool(target.get("type") != "object")
