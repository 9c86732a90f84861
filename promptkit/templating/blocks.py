"""Message tags: ``{% system %} {% developer %} {% user %} {% assistant %}``.

A template compiles to a stream of events, not to text: literal text as ``(text, "template", where)``
constants, values as such tuples made by `data`, and role marks, which are objects of classes that no
data can hold. No text can equal a mark, so no value can open, close or change a message.
`assemble` turns the stream into messages.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Iterable
from typing import Any

import jinja2
from jinja2 import compiler, ext, filters, lexer, nodes

from promptkit.errors import InputError, TemplateError
from promptkit.messages import ROLES, Message, Piece, Role, Text
from promptkit.templating import structure
from promptkit.templating.plain import Hidden
from promptkit.templating.structure import END_NAME

__all__ = ["CodeGenerator", "Fragment", "MessageTags", "assemble", "concat", "data"]

PRINTABLE = (str, int, float, bool, decimal.Decimal, datetime.date, datetime.datetime, datetime.time)


class Begin:
    """The begin of a message, with the place of its tag. Data cannot hold one."""

    __slots__ = ("role", "where")

    def __init__(self, role: Role, where: str) -> None:
        self.role = role
        self.where = where


class End:
    """The end of a message."""


END = End()


class Fragment(str):
    """Text captured by a macro, a set block or ``super()``, with its events kept."""

    __slots__ = ("_events",)
    _events: tuple[Any, ...]


TEXTS = frozenset({str, Fragment})
VIEWS: tuple[type, ...] = (type({}.items()), type({}.keys()), type({}.values()))
DATA = frozenset(
    {*PRINTABLE, *TEXTS, *VIEWS, datetime.timedelta, type(None), dict, list, tuple, range, filters._GroupTuple}
)


def concat(events: Iterable[Any]) -> Fragment:
    """Jinja's ``concat``: joins what was captured, keeping every event's origin."""
    kept: list[Any] = []
    for event in events:
        kept.extend(event._events if type(event) is Fragment else [event])
    fragment = Fragment("".join([event[0] for event in kept if type(event) is tuple]))
    fragment._events = tuple(kept)
    return fragment


def data(value: Any, where: str) -> Any:
    """One printed value as an event. Anything but text, a number, a truth value or a date is refused."""
    kind = type(value)
    if kind is str:
        return (value, "input", where)
    if kind is Fragment:
        return value
    # A name that is not there raises; only `{{ x if y }}` without an else is nothing on purpose.
    if kind in PRINTABLE or isinstance(value, jinja2.Undefined):
        return (str(value), "input", where)
    raise InputError(_unprintable(value, where), field=where)


def joined(values: Iterable[Any]) -> str:
    """The operator ``~``: joins what could be printed."""
    return "".join([str(value) if type(value) in TEXTS else data(value, "a part of ~")[0] for value in values])


def require_data(value: Any) -> Any:
    """``value``, unless it is something inside Jinja or a secret, which no filter and no list may take."""
    if type(value) in DATA or isinstance(value, jinja2.Undefined):
        return value
    if isinstance(value, Hidden):
        repr(value)  # raises, with the secret's name
    raise InputError(f"a {type(value).__name__} is no data", hint="call it, or take one of its values")


def _unprintable(value: Any, where: str) -> str:
    if value is None:
        return f"{{{{ {where} }}}} is None and would print as the word 'None'; put it in `{{% if {where} %}}`"
    if isinstance(value, Hidden):
        return f"{{{{ {where} }}}} is a secret and is never printed"
    if isinstance(value, (dict, list, tuple)):
        kind = "a mapping" if isinstance(value, dict) else "a list"
        return f"{{{{ {where} }}}} is {kind}; say how to print it, as `{{{{ {where} | json }}}}`, or loop over it"
    return f"{{{{ {where} }}}} is a {type(value).__name__} and cannot be printed"


class MessageTags(ext.Extension):
    """Parses the message tags, and dedents what stands inside them."""

    tags = set(ROLES)  # noqa: RUF012 - Jinja declares it an instance's

    def parse(self, parser: Any) -> list[nodes.Node]:
        token = next(parser.stream)
        body = parser.parse_statements((f"name:end{token.value}",), drop_needle=True)
        begin = nodes.Output([self.attr(token.value, token.lineno)], lineno=token.lineno)
        end = nodes.Output([self.attr(END_NAME, token.lineno)], lineno=token.lineno)
        return [begin, *body, end]

    def filter_stream(self, stream: lexer.TokenStream) -> Iterable[lexer.Token]:
        tokens = list(stream)
        begin: int | None = None
        blocks: list[int] = []
        for index, token in enumerate(tokens[:-1]):
            if token.type != lexer.TOKEN_BLOCK_BEGIN:
                continue
            tag = tokens[index + 1].value
            if tag == "block" and begin is None:
                blocks.append(index)
            elif tag == "endblock" and begin is None and blocks:
                # The text of a block may be meant for a message that its parent opens.
                _dedent(tokens, blocks.pop(), index)
            elif tag in self.tags:
                begin = index
            elif begin is not None and str(tag).startswith("end") and tag[3:] in self.tags:
                _dedent(tokens, begin, index)
                begin = None
        return tokens


def _dedent(tokens: list[lexer.Token], begin: int, end: int) -> None:
    """Take the common indentation off the literal lines between two tokens, in place."""
    starts: list[tuple[int, int]] = []  # (token, offset in its value) of every literal line
    for index in range(begin + 1, end):
        token, before = tokens[index], tokens[index - 1]
        if token.type != lexer.TOKEN_DATA:
            continue
        eaten = before.type == lexer.TOKEN_BLOCK_END and before.value.endswith("\n")
        commented = before.type != lexer.TOKEN_DATA and token.lineno > before.lineno + before.value.count("\n")
        if eaten or commented:
            starts.append((index, 0))  # a tag or a comment took the newline before it
        offset = token.value.find("\n")
        while offset >= 0:
            starts.append((index, offset + 1))
            offset = token.value.find("\n", offset + 1)
    indents = []
    for index, offset in starts:
        line = tokens[index].value[offset:].split("\n", 1)[0]
        text = line.lstrip(" \t")
        # White space alone counts only where a value follows it on the same line.
        value_follows = (
            offset + len(line) == len(tokens[index].value) and tokens[index + 1].type == lexer.TOKEN_VARIABLE_BEGIN
        )
        if text or value_follows:
            indents.append(len(line) - len(text))
    width = min(indents, default=0)
    for index, offset in reversed(starts if width else []):
        token = tokens[index]
        line = token.value[offset:].split("\n", 1)[0]
        cut = min(width, len(line) - len(line.lstrip(" \t")))
        value = token.value[:offset] + token.value[offset + cut :]
        tokens[index] = lexer.Token(token.lineno, token.type, value)


class CodeGenerator(compiler.CodeGenerator):
    """Compiles outputs to events instead of text."""

    def visit_Template(self, node: nodes.Template, frame: compiler.Frame | None = None) -> None:  # noqa: N802
        structure.check(node, self.environment, self.filename or self.name or "")
        super().visit_Template(node, frame)

    def visit_Output(self, node: nodes.Output, frame: compiler.Frame) -> None:  # noqa: N802
        if frame.require_output_check:
            if self.has_known_extends:
                return
            self.writeline("if parent_template is None:")
            self.indent()
        for child in node.nodes:
            self._event(child, frame)
        if frame.require_output_check:
            self.outdent()

    # A call block and a filter block write one value, and it is a value like any other; what
    # `simple_write` writes are the events of another template.
    def start_write(self, frame: compiler.Frame, node: nodes.Node | None = None) -> None:
        super().start_write(frame, node)
        self.write("environment.data(")

    def end_write(self, frame: compiler.Frame) -> None:
        self.write(", 'block')")
        super().end_write(frame)

    def simple_write(self, s: str, frame: compiler.Frame, node: nodes.Node | None = None) -> None:
        super().start_write(frame, node)
        self.write(s)
        super().end_write(frame)

    def visit_Assign(self, node: nodes.Assign, frame: compiler.Frame) -> None:  # noqa: N802
        self.newline(node)  # an error in it is then one of this line
        super().visit_Assign(node, frame)

    def visit_Concat(self, node: nodes.Concat, frame: compiler.Frame) -> None:  # noqa: N802
        self.write("environment.joined((")
        for child in node.nodes:
            self.visit(child, frame)
            self.write(", ")
        self.write("))")

    def visit_List(self, node: nodes.List, frame: compiler.Frame) -> None:  # noqa: N802
        self.write("[")
        for child in node.items:
            self._item(child, frame)
        self.write("]")

    def visit_Dict(self, node: nodes.Dict, frame: compiler.Frame) -> None:  # noqa: N802
        self.write("{")
        for pair in node.items:
            self.visit(pair.key, frame)
            self.write(": ")
            self._item(pair.value, frame)
        self.write("}")

    def _item(self, child: nodes.Expr, frame: compiler.Frame) -> None:
        self.write("environment.item(")
        self.visit(child, frame)
        self.write("), ")

    def _event(self, child: nodes.Expr, frame: compiler.Frame) -> None:
        begin, end = ("yield ", "") if frame.buffer is None else (f"{frame.buffer}.append(", ")")
        where = f"{self.filename or self.name}:{child.lineno}"
        self.writeline(begin, child)
        if isinstance(child, nodes.TemplateData):
            self.write(repr((child.data, "template", where)))
        elif isinstance(child, nodes.Const) and isinstance(child.value, str) and is_unicode(child.value):
            self.write(repr((child.value, "template", where)))
        elif isinstance(child, nodes.ExtensionAttribute):
            self.write("environment.end" if child.name == END_NAME else f"environment.begin({child.name!r}, {where!r})")
        else:
            self.write("environment.data(")
            self.visit(child, frame)
            self.write(f", {structure.expression(child)!r})")
        self.write(end)


def is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)


def assemble(events: Iterable[Any], file: str) -> tuple[Message, ...]:
    """Messages from a template's events.

    A template without any message tag is one user message. Literal white space at the edges of a
    message is dropped; values are kept to the byte.

    Raises `TemplateError` for text outside the messages, a message inside another, an empty message
    or none at all.
    """
    assembly = _Assembly()
    assembly.feed(events)
    return assembly.finish(file)


class _Assembly:
    """Messages in the making."""

    __slots__ = ("begin", "messages", "outside", "pieces")

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.outside: list[Piece] = []
        self.pieces: list[Piece] = []
        self.begin: Begin | None = None

    def feed(self, events: Iterable[Any]) -> None:
        pieces = self.pieces
        for event in events:
            kind = type(event)
            if kind is tuple:
                pieces.append(event)
            elif kind is Fragment:
                self.feed(event._events)
                pieces = self.pieces
            else:
                if kind is Begin:
                    self._open(event)
                else:
                    self._close()
                pieces = self.pieces

    def finish(self, file: str) -> tuple[Message, ...]:
        if not self.messages:
            return (_message("user", self.pieces, file),)
        for text, _, where in self.outside + self.pieces:
            if text.strip():
                raise _misplaced(f"text outside the messages would be lost: {text.strip()[:40]!r}", where)
        return tuple(self.messages)

    def _open(self, begin: Begin) -> None:
        if self.begin is not None:
            raise _misplaced(f"a {begin.role!r} message inside the one of {self.begin.where}", begin.where)
        self.outside += self.pieces
        self.pieces, self.begin = [], begin

    def _close(self) -> None:
        assert self.begin is not None, "the parser pairs every begin with its end"
        self.messages.append(_message(self.begin.role, self.pieces, self.begin.where))
        self.pieces, self.begin = [], None


def _message(role: Role, pieces: list[Piece], where: str) -> Message:
    trimmed = _trim(pieces)
    if not any(piece[0] for piece in trimmed):
        raise _misplaced(f"the {role!r} message is empty for these inputs", where)
    return Message(role, (Text(tuple(trimmed)),))


def _trim(pieces: list[Piece]) -> list[Piece]:
    """Drop literal white space at both edges, up to the first value."""
    begin, end = 0, len(pieces)
    while begin < end and pieces[begin][1] == "template":
        text, kind, where = pieces[begin]
        if stripped := text.lstrip():
            pieces[begin] = (stripped, kind, where)
            break
        begin += 1
    while begin < end and pieces[end - 1][1] == "template":
        text, kind, where = pieces[end - 1]
        if stripped := text.rstrip():
            pieces[end - 1] = (stripped, kind, where)
            break
        end -= 1
    return pieces[begin:end]


def _misplaced(message: str, where: str) -> TemplateError:
    file, _, line = where.rpartition(":")
    return TemplateError(message, file=file, line=int(line)) if line.isdigit() else TemplateError(message, file=where)
