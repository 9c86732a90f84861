"""A model's text, read as a value of the output type."""

from __future__ import annotations

import json
from typing import Any

from promptkit import strict_json
from promptkit.errors import Filtered, NotParsed, OutputError, Refused, Truncated
from promptkit.outputs.schema import WRAPPED, is_wrapped
from promptkit.requests import Completion, Ending

__all__ = ["Reader", "require_complete"]

ENDINGS: dict[Ending, tuple[type[OutputError], str, str | None]] = {
    "truncated": (Truncated, "the answer was cut off at the token limit", "raise max_tokens"),
    "filtered": (Filtered, "the answer was withheld by the provider's content filter", None),
    "refused": (Refused, "the model declined to answer", None),
    "tool_calls": (OutputError, "the model asked for a tool instead of answering", None),
}


def require_complete(completion: Completion) -> None:
    """Raise the `OutputError` of an answer that did not end as it should; its text is in the error."""
    if completion.ending == "complete":
        return
    error, message, hint = ENDINGS[completion.ending]
    raise error(message, text=completion.text, usage=completion.usage, hint=hint)


class Reader:
    """Reads answers as values of one output type.

    >>> Reader(bool).read(Completion(text='{"value": true}', ending="complete"))
    True
    """

    def __init__(self, output: Any) -> None:
        self._adapter: Any = None
        self._wrapped = False
        if output is not str:
            from pydantic import TypeAdapter

            self._adapter = TypeAdapter(output)
            self._wrapped = is_wrapped(self._adapter.json_schema())

    def read(self, completion: Completion) -> Any:
        """The value of a complete answer.

        Raises `NotParsed` with the validator's words, or the error of the answer's ending.
        """
        require_complete(completion)
        if self._adapter is None:
            return completion.text
        from pydantic import ValidationError

        def failed(message: str, field: str | None = None) -> NotParsed:
            return NotParsed(message, field=field, text=completion.text, usage=completion.usage)

        try:
            value = strict_json.loads(completion.text)
        except strict_json.NotJson as error:
            raise failed(f"the answer is not JSON: {error}") from None
        if self._wrapped:
            if not isinstance(value, dict) or set(value) != {WRAPPED}:
                raise failed(f"expected an object with the one field {WRAPPED!r}")
            value = value[WRAPPED]
        try:
            # From JSON text, so that dates and the like are read as JSON writes them.
            return self._adapter.validate_json(json.dumps(value))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"]) or None
            message = f"the answer does not fit the output type: {field or 'value'}: {first['msg']}"
            raise failed(message, field) from None
