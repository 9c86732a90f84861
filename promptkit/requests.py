"""Requests and completions: what is asked of a model, and what came back, whatever the provider."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from promptkit.errors import DefinitionError, nearest
from promptkit.messages import Message

__all__ = ["Completion", "Ending", "Parameters", "Request", "Schema", "Usage"]

Ending = Literal["complete", "truncated", "filtered", "refused", "tool_calls"]
"""How an answer ended; only a complete one has an output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Sampling parameters; ``None`` leaves the choice to the provider.

    Attributes:
        temperature: randomness, at least 0; 0 is greedy.
        top_p: nucleus sampling, above 0 and at most 1.
        max_tokens: most tokens of an answer, at least 1.
        seed: seed of the sampling, where the provider has one.
        stop: texts that end the answer.

    Raises `DefinitionError` on a value outside its range.

    >>> Parameters(temperature=0.2).over(Parameters(temperature=1.0, seed=7))
    Parameters(temperature=0.2, seed=7)
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        def check(name: str, wanted: str, is_right: Callable[[Any], bool]) -> None:
            value = getattr(self, name)
            if value is not None and not is_right(value):
                raise DefinitionError(f"parameter {name!r} must be {wanted}, got {value!r}", field=name)

        check("temperature", "a number of at least 0", lambda v: _is_number(v) and 0 <= v < float("inf"))
        check("top_p", "a number above 0 and at most 1", lambda v: _is_number(v) and 0 < v <= 1)
        check("max_tokens", "a whole number of at least 1", lambda v: _is_whole(v) and v >= 1)
        check("seed", "a whole number of at least 0", lambda v: _is_whole(v) and v >= 0)
        is_list = isinstance(self.stop, (list, tuple))
        if not is_list or not all(isinstance(text, str) and text for text in self.stop):
            raise DefinitionError(
                f"parameter 'stop' must be a list of non-empty texts, got {self.stop!r}", field="stop"
            )
        object.__setattr__(self, "stop", tuple(self.stop))
        # 0 and 0.0 are the same temperature, so they shall have the same fingerprint.
        for name in ("temperature", "top_p"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else float(value))

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Parameters:
        """Parameters from texts or numbers, as in front matter and config.

        Raises `DefinitionError` (with ``field`` set) on an unknown name or a value of the wrong type.

        >>> Parameters.parse({"temperature": "0.2", "stop": ["END"]})
        Parameters(temperature=0.2, stop=('END',))
        """
        known: dict[str, type] = {"temperature": float, "top_p": float, "max_tokens": int, "seed": int}
        parsed: dict[str, Any] = {}
        for name, value in values.items():
            if name == "stop":
                parsed[name] = (value,) if isinstance(value, str) else value
            elif name not in known:
                raise DefinitionError(f"unknown parameter {name!r}", field=name, hint=nearest(name, [*known, "stop"]))
            elif isinstance(value, str):
                try:
                    parsed[name] = known[name](value)
                except ValueError:
                    kind = "whole number" if known[name] is int else "number"
                    raise DefinitionError(f"parameter {name!r} must be a {kind}, got {value!r}", field=name) from None
            else:
                parsed[name] = value
        return cls(**parsed)

    def over(self, defaults: Parameters) -> Parameters:
        """These parameters, with ``defaults`` where nothing is set."""
        return Parameters(**{**defaults.as_dict(), **self.as_dict()})

    def as_dict(self) -> dict[str, Any]:
        """Only what is set."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in values.items() if value is not None and value != ()}

    def __repr__(self) -> str:
        return f"Parameters({', '.join(f'{name}={value!r}' for name, value in self.as_dict().items())})"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class Schema:
    """A JSON schema the answer must follow, and the name it is sent under."""

    name: str
    json: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Everything a provider needs to ask a model once.

    Printing a request shows exactly the messages that are sent.

    >>> print(Request(messages=(Message.of("user", "Hi"),)))
    ── user ──
    Hi
    """

    messages: tuple[Message, ...]
    parameters: Parameters = field(default_factory=Parameters)
    schema: Schema | None = None

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the content: equal requests, equal fingerprints, on any machine."""
        digest = hashlib.sha256()
        # The order of a schema's fields is the order a model writes them in.
        schema = json.dumps([self.schema.name, self.schema.json]) if self.schema else ""
        parameters = json.dumps(self.parameters.as_dict(), sort_keys=True)
        texts = [part for message in self.messages for part in (message.role, message.text)]
        for text in (*texts, parameters, schema):
            encoded = text.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(8, "big"))
            digest.update(encoded)
        return digest.hexdigest()

    def __str__(self) -> str:
        return "\n\n".join(f"── {message.role} ──\n{message.text}" for message in self.messages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens an answer cost, as the provider counted them.

    Attributes:
        input_tokens: tokens of the prompt.
        output_tokens: tokens of the answer.
        cached_tokens: of the prompt's tokens, those read from the provider's cache.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A model's answer to one `Request`.

    Attributes:
        text: the answer.
        ending: how it ended; see `Ending`.
        usage: tokens, or ``None`` where the provider did not say.
        model: the model's name as the provider reports it.
        id: the provider's id of the answer, or ``""``.
    """

    text: str
    ending: Ending
    usage: Usage | None = None
    model: str = ""
    id: str = ""


def total(usages: Sequence[Usage | None]) -> Usage | None:
    """The sum of all known usages; ``None`` if none is known."""
    known = [usage for usage in usages if usage is not None]
    return sum(known, Usage()) if known else None
