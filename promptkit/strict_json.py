"""JSON without its traps: no duplicate keys, no NaN or infinity, and one kind of error."""

from __future__ import annotations

import json
from typing import Any, NoReturn

__all__ = ["NotJson", "loads"]


class NotJson(ValueError):
    """Why a text is no JSON that can be trusted, with line and column where the parser gives them."""

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


def loads(text: str) -> Any:
    """The value of a JSON text.

    Raises `NotJson`, also for what Python's own parser lets through.

    >>> loads('{"a": [1, 2]}')
    {'a': [1, 2]}
    """
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)
    except json.JSONDecodeError as error:
        raise NotJson(error.msg, error.lineno, error.colno) from None
    except NotJson:
        raise
    except RecursionError:
        raise NotJson("nested too deep") from None
    except ValueError as error:
        raise NotJson(str(error)) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise NotJson(f"key {twice!r} stands twice in one object")
    return result


def _constant(name: str) -> NoReturn:
    raise NotJson(f"{name} is no JSON number")


def _float(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise NotJson(f"the number {digits[:20]} is too large")
    return value
