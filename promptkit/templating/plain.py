"""Values for a template: plain data only, so that nothing alive can be reached from inside one."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import sys
from collections.abc import Mapping
from typing import Any

from promptkit.errors import InputError

__all__ = ["Hidden", "plain"]

AS_IS = (int, float, bool, type(None), decimal.Decimal, datetime.date, datetime.datetime, datetime.time)
MAX_DEPTH = 100


class Hidden:
    """Stands for a secret: it can be passed, but neither printed nor read."""

    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        self._path = path

    def __repr__(self) -> str:
        raise InputError(f"{self._path} is a secret and is never printed", field=self._path)

    __str__ = __repr__

    def __format__(self, _: str) -> str:
        return repr(self)


def plain(value: Any, path: str, depth: int = 0) -> Any:
    """``value`` as dict, list, str, number, bool, None or date.

    Raises `InputError` with the field's path for a text that is no valid Unicode, a mapping whose keys
    are not texts, or an object that is not data.

    >>> plain({"tags": ("a", "b")}, "ticket")
    {'tags': ['a', 'b']}
    """
    kind = type(value)
    if kind is str:
        return value if value.isascii() else _text(value, path)
    if kind in AS_IS:
        return value
    if depth > MAX_DEPTH:
        raise InputError(f"{path} is nested deeper than {MAX_DEPTH} levels, or holds itself", field=path)
    if isinstance(value, Mapping):
        return _mapping(value, path, depth)
    if isinstance(value, (list, tuple)):
        return [plain(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
    if isinstance(value, (set, frozenset)):
        # Sets have no order of their own, and the same inputs must give the same bytes.
        return plain(sorted(value, key=lambda item: (str(item), type(item).__name__)), path, depth + 1)
    return _from_object(value, path, depth)


def _mapping(value: Mapping[Any, Any], path: str, depth: int) -> dict[str, Any]:
    result = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise InputError(f"{path} has the key {key!r}; keys must be texts", field=path)
        # Most values are short texts; they need neither a call nor a path.
        is_simple = type(item) is str and item.isascii()
        result[_text(str.__str__(key), path)] = item if is_simple else plain(item, f"{path}.{key}", depth + 1)
    return result


def _from_object(value: Any, path: str, depth: int) -> Any:
    if isinstance(value, enum.Enum):
        return plain(value.value, path, depth + 1)
    if isinstance(value, str):
        return _text(str.__str__(value), path)
    # By name, so that its module need not be imported for data that has none.
    if f"{type(value).__module__}.{type(value).__qualname__}" == "uuid.UUID":
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
        return plain(fields, path, depth + 1)
    # No pydantic object can exist before pydantic is imported, so asking for it costs nothing.
    if pydantic := sys.modules.get("pydantic"):
        if isinstance(value, pydantic.BaseModel):
            return plain(value.model_dump(by_alias=False), path, depth + 1)
        if isinstance(value, (pydantic.SecretStr, pydantic.SecretBytes)):
            return Hidden(path)
    networks = sys.modules.get("pydantic.networks")
    if networks and isinstance(value, (networks.AnyUrl, networks._BaseMultiHostUrl)):
        return str(value)
    raise InputError(
        f"{path} is a {type(value).__name__}; a template takes plain data only", field=path, hint="pass a text"
    )


def _text(value: str, path: str) -> str:
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(
                f"{path} holds a lone surrogate at character {error.start}; it is no valid Unicode and cannot be sent",
                field=path,
                hint="read the text with the right encoding, or with errors='replace'",
            ) from None
    return value
