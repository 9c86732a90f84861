"""Messages: what a model is shown, and where every character of it came from.

A `Message` has a role and parts; a `Text` part is a tuple of `Piece`, each a run of characters
of one origin. Nothing is ever parsed back out of the joined text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from promptkit.errors import DefinitionError

__all__ = ["ROLES", "Kind", "Message", "Piece", "Role", "Span", "Text"]

Role = Literal["system", "developer", "user", "assistant"]
"""Who speaks. A closed list: no value can name another."""

ROLES: tuple[Role, ...] = ("system", "developer", "user", "assistant")

Kind = Literal["template", "input"]
"""What wrote a piece: the template's own literal text, or an input value."""


Piece = tuple[str, Kind, str]
"""A run of characters of one origin: its text, its kind, and where it came from.

Where: ``file:line`` of a literal; the expression of an input, as ``ticket.body``. A plain tuple,
because a render makes one for every value; `Text.spans` gives the same with names.
"""


class Span(NamedTuple):
    """A run of characters of one origin.

    Attributes:
        start: index of its first character.
        end: index after its last.
        text: the characters.
        kind: ``"template"`` (literal text) or ``"input"`` (everything else).
        where: ``file:line`` of a literal; the expression of an input, as ``ticket.body``.
    """

    start: int
    end: int
    text: str
    kind: Kind
    where: str


@dataclass(frozen=True, slots=True)
class Text:
    """A text part of a message.

    >>> part = Text((("Hi ", "template", "a.jinja:1"), ("Ann", "input", "name")))
    >>> part.text, list(part.spans())[1]
    ('Hi Ann', Span(start=3, end=6, text='Ann', kind='input', where='name'))
    """

    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        return "".join([piece[0] for piece in self.pieces])

    def spans(self) -> Iterator[Span]:
        """The origin of every character, in order, without gaps."""
        start = 0
        for text, kind, where in self.pieces:
            yield Span(start, start + len(text), text, kind, where)
            start += len(text)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation. Raises `DefinitionError` for any other role than those of `ROLES`.

    >>> Message.of("user", "Hello").text
    'Hello'
    """

    role: Role
    parts: tuple[Text, ...]

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise DefinitionError(f"{self.role!r} is no role", field="role", hint=f"roles: {', '.join(ROLES)}")

    @classmethod
    def of(cls, role: Role, text: str, *, where: str = "<message>") -> Message:
        """A message of one literal text."""
        return cls(role, (Text(((text, "template", where),)),))

    @property
    def text(self) -> str:
        """All text of the message, joined."""
        return "".join([part.text for part in self.parts])
