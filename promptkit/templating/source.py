"""A template's text: its front matter, read and checked, and its body for Jinja."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from promptkit.errors import DefinitionError, TemplateError, nearest
from promptkit.requests import Parameters

if TYPE_CHECKING:
    from promptkit.templating.shorthand import Field
    from promptkit.templating.strict_yaml import Node

__all__ = ["Source", "body_of", "read"]

KEYS = ("description", "input", "output", "parameters")
FENCE = "---"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A template as written.

    Attributes:
        name: name on the search path, as ``support_reply.jinja``.
        file: where it was read, for messages.
        text: the whole text.
        description: front matter's ``description``, or ``""``.
        input: declared input fields, or ``None`` where nothing is declared.
        output: declared output type, or ``None``.
        parameters: sampling parameters.
    """

    name: str
    file: str
    text: str
    description: str = ""
    input: Mapping[str, Field] | None = None
    output: Field | None = None
    parameters: Parameters = field(default_factory=Parameters)

    def output_is_simple(self) -> bool:
        """Whether the declared output needs no further check: nothing in it has a default to convert."""
        if self.output is None:
            return True
        from promptkit.templating.shorthand import has_plain_defaults

        return has_plain_defaults([self.output])

    def type_name(self, suffix: str) -> str:
        """A name for a type made from this template: ``SupportReplyInput``."""
        # Hosts take letters, digits, _ and -, at most 64 of them.
        words = "".join(char if char.isascii() and char.isalnum() else " " for char in self.name).split()
        return "".join(word[0].upper() + word[1:] for word in words)[: 64 - len(suffix)] + suffix


def read(text: str, *, name: str, file: str) -> Source:
    """Read a template's text.

    Raises `TemplateError` with line and column for front matter that cannot be read, an unknown
    key, an unknown type or a parameter out of range.
    """
    front, _ = _split(text, file)
    if front is None:
        return Source(name=name, file=file, text=text)
    # YAML is only imported for a template that has front matter.
    from promptkit.templating import strict_yaml
    from promptkit.templating.shorthand import REQUIRED, read_field, read_fields

    meta = strict_yaml.parse(front, file=file, first_line=2)
    for key, place in meta.keys.items():
        if key not in KEYS:
            hint = nearest(key, KEYS) or f"known keys: {', '.join(KEYS)}"
            raise place.error(f"unknown front-matter key {key!r}", field=key, hint=hint)
    description = meta.items.get("description")
    if description is not None and not isinstance(description, strict_yaml.Scalar):
        raise description.place.error("a description must be a text", field="description")
    inputs, output = meta.items.get("input"), meta.items.get("output")
    if inputs is not None and not isinstance(inputs, strict_yaml.Mapping):
        raise inputs.place.error("input must name fields and their types, as 'text: str'", field="input")
    declared_output = None if output is None else read_field(output)
    if declared_output is not None and declared_output.default is not REQUIRED:
        raise declared_output.place.error("an output has no default; its fields may have one", field="output")
    return Source(
        name=name,
        file=file,
        text=text,
        description=description.text if description else "",
        input=None if inputs is None else read_fields(inputs),
        output=declared_output,
        parameters=_parameters(meta.items.get("parameters")),
    )


def _parameters(node: Node | None) -> Parameters:
    from promptkit.templating import strict_yaml

    if node is None:
        return Parameters()
    if not isinstance(node, strict_yaml.Mapping):
        raise node.place.error("parameters must be 'name: value' lines", field="parameters")
    try:
        return Parameters.parse(node.plain())
    except DefinitionError as error:
        place = node.keys.get(error.field or "", node.place)
        raise place.error(error.message, field=f"parameters.{error.field}", hint=error.hint) from None


def body_of(text: str, *, file: str) -> str:
    """The text for Jinja: front matter becomes a comment of as many lines, so line numbers stay true."""
    front, body = _split(text, file)
    if front is None:
        return body
    return "{#" + "\n" * (front.count("\n") + 1) + "#}\n" + body


def _split(text: str, file: str) -> tuple[str | None, str]:
    if text.startswith("\ufeff"):
        raise TemplateError("begins with a byte order mark", file=file, line=1, hint="save it as UTF-8 without BOM")
    if "\0" in text:
        at = text[: text.index("\0")].count("\n") + 1
        raise TemplateError("holds a NUL character", file=file, line=at)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        at = text[: error.start].count("\n") + 1
        column = error.start - text.rfind("\n", 0, error.start)
        message = "not valid Unicode: a lone surrogate"
        raise TemplateError(message, file=file, line=at, column=column) from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    if lines[0].rstrip() != FENCE:
        return None, text
    for number, line in enumerate(lines[1:], 1):
        if line.rstrip() == FENCE:
            return "\n".join([*lines[1:number], ""]), "\n".join(lines[number + 1 :])
    raise TemplateError(f"front matter is not closed: a second {FENCE!r} line is missing", file=file, line=1)
