"""A strict subset of YAML: mappings, lists and texts, each with its place in the file.

No aliases, anchors, tags, duplicate keys or several documents; every scalar stays text until a
declared type converts it, so ``no``, ``1.20`` and ``12:30`` are what was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from promptkit.errors import TemplateError

__all__ = ["List", "Mapping", "Node", "Scalar", "parse"]

MAX_BYTES = 64 * 1024
MAX_DEPTH = 20
UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff]")


# Named tuples, not dataclasses: these modules are imported before a first render, and a named tuple
# is made in a tenth of the time.
class Place(NamedTuple):
    """Where something begins; lines and columns from 1."""

    file: str
    line: int
    column: int

    def error(self, message: str, *, field: str | None = None, hint: str | None = None) -> TemplateError:
        return TemplateError(message, file=self.file, line=self.line, column=self.column, field=field, hint=hint)


class Scalar(NamedTuple):
    """A text."""

    place: Place
    text: str
    quoted: bool

    def plain(self) -> str | None:
        """The text; ``None`` for an unquoted ``null``, ``~`` or nothing at all."""
        return None if not self.quoted and self.text in ("", "~", "null") else self.text


class List(NamedTuple):
    """A list of nodes."""

    place: Place
    items: tuple[Node, ...]

    def plain(self) -> list[Any]:
        return [item.plain() for item in self.items]


class Mapping(NamedTuple):
    """Nodes by name, and the place of each name."""

    place: Place
    items: dict[str, Node]
    keys: dict[str, Place]

    def plain(self) -> dict[str, Any]:
        return {key: value.plain() for key, value in self.items.items()}


Node = Scalar | List | Mapping


def parse(text: str, *, file: str, first_line: int = 1) -> Mapping:
    """Read ``text``, which begins at ``first_line`` of ``file``, as one mapping.

    Raises `TemplateError` with file, line and column for anything outside the subset.

    >>> parse("a: no\\nb: [1, x]", file="demo").plain()
    {'a': 'no', 'b': ['1', 'x']}
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise TemplateError(f"longer than {MAX_BYTES // 1024} KiB", file=file, line=first_line)
    reader = _Reader(file, first_line)
    reader.refuse_unprintable(text)
    # The parser in C is several times faster, but not every build of PyYAML has it.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return reader.document(yaml.parse(text, Loader=loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = reader.place(mark) if mark else Place(file, first_line, 1)
        raise place.error(f"not valid YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise TemplateError(f"not valid YAML: {error}", file=file, line=first_line) from None


class _Reader:
    def __init__(self, file: str, first_line: int) -> None:
        self.file = file
        self.first_line = first_line

    def place(self, mark: Any) -> Place:
        return Place(self.file, mark.line + self.first_line, mark.column + 1)

    def refuse_unprintable(self, text: str) -> None:
        """YAML would take some of these for line ends, and then every later line has a wrong number."""
        for number, line in enumerate(text.split("\n")):
            if found := UNPRINTABLE.search(line):
                place = Place(self.file, number + self.first_line, found.start() + 1)
                raise place.error(f"not valid YAML here: character {found.group()!a}", hint="remove it")

    def document(self, events: Iterator[Any]) -> Mapping:
        root: Node | None = None
        for event in events:
            if isinstance(event, (yaml.StreamStartEvent, yaml.StreamEndEvent, yaml.DocumentEndEvent)):
                continue
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise self.place(event.start_mark).error("a second document; only one is read")
                continue
            root = self.node(event, events, depth=0)
        if root is None or (isinstance(root, Scalar) and root.plain() is None):
            return Mapping(Place(self.file, self.first_line, 1), {}, {})
        if not isinstance(root, Mapping):
            raise root.place.error("expected 'name: value' lines")
        return root

    def node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        place = self.place(event.start_mark)
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise place.error("anchors and aliases (& and *) are not supported", hint="quote the text")
        if event.tag is not None:
            raise place.error(f"tags are not supported: {event.tag}", hint="quote the text")
        if depth > MAX_DEPTH:
            raise place.error(f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(place, event.value, bool(event.style))
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(item := next(events), yaml.SequenceEndEvent):
                items.append(self.node(item, events, depth + 1))
            return List(place, tuple(items))
        return self.mapping(place, events, depth)

    def mapping(self, place: Place, events: Iterator[Any], depth: int) -> Mapping:
        items: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self.node(event, events, depth + 1)
            if not isinstance(key, Scalar):
                raise key.place.error("a key must be a plain text", hint="quote a text that begins with { or [")
            if key.text in items:
                raise key.place.error(f"key {key.text!r} stands twice (first in line {keys[key.text].line})")
            keys[key.text] = key.place
            items[key.text] = self.node(next(events), events, depth + 1)
        return Mapping(place, items, keys)
