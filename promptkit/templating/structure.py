"""What is wrong with a template's structure, found in its syntax tree before it is compiled.

Message tags stand only where they stay structure; nothing is written where it would be lost; every
filter and test exists.
"""

from __future__ import annotations

from typing import Any

import jinja2
from jinja2 import nodes

from promptkit.errors import TemplateError, nearest

__all__ = ["END_NAME", "check", "expression", "is_mark"]

END_NAME = "end"

CAPTURES: dict[type[nodes.Node], str] = {
    nodes.Macro: "a macro",
    nodes.CallBlock: "a call block",
    nodes.FilterBlock: "a filter block",
    nodes.AssignBlock: "a set block",
}


def check(tree: nodes.Template, environment: jinja2.Environment, file: str) -> None:
    """Raises `TemplateError` with the line of the first fault."""
    _check_known(tree, nodes.Filter, environment.filters, "filter", file)
    _check_known(tree, nodes.Test, environment.tests, "test", file)
    outputs = list(tree.find_all(nodes.Output))
    for output in outputs:
        if not output.nodes:
            raise TemplateError("nothing to print", file=file, line=output.lineno)
    # A template that extends another speaks through its blocks only.
    extends = any(isinstance(node, nodes.Extends) for node in tree.body)
    has_messages = any(is_mark(output) for output in outputs)
    _Walk(file, refuses_text=has_messages or extends, extends=extends).walk(tree, None, None)


def _check_known(tree: nodes.Template, kind: Any, known: Any, what: str, file: str) -> None:
    for node in tree.find_all(kind):
        if node.name not in known:
            raise TemplateError(
                f"unknown {what} {node.name!r}", file=file, line=node.lineno, hint=nearest(node.name, known)
            )


def is_mark(node: nodes.Node) -> bool:
    """Whether a node is the begin or end of a message."""
    return isinstance(node, nodes.Output) and isinstance(node.nodes[0], nodes.ExtensionAttribute)


class _Walk:
    """Follows the messages through a tree, in the order they are written."""

    def __init__(self, file: str, *, refuses_text: bool, extends: bool) -> None:
        self.file = file
        self.refuses_text = refuses_text
        self.extends = extends

    def walk(self, node: nodes.Node, message: str | None, place: str | None) -> None:
        """``message``: the role we are inside of; ``place``: what captures text around us, in words."""
        place = CAPTURES.get(type(node), place)
        if self.extends and isinstance(node, nodes.Block):
            place = place or "block"  # where it is put, only its parent knows
        for child in node.iter_child_nodes():
            if not isinstance(child, nodes.Output):
                self.walk(child, message, place)
            elif is_mark(child):
                message = self._mark(child, message, place)
            elif self.refuses_text and message is None and place is None:
                self._refuse_text(child)

    def _mark(self, output: nodes.Output, message: str | None, place: str | None) -> str | None:
        mark: Any = output.nodes[0]
        if mark.name == END_NAME:
            return None
        if self.extends and message is None and place is None:
            raise self._error("a message outside the blocks would be lost, because this template extends another", mark)
        if message or place not in (None, "block"):
            around = f"the {message!r} message" if message else place
            raise self._error(f"a {mark.name!r} message cannot stand inside {around}", mark)
        return str(mark.name)

    def _refuse_text(self, output: nodes.Output) -> None:
        for child in output.nodes:
            text = child.data.strip() if isinstance(child, nodes.TemplateData) else f"{{{{ {expression(child)} }}}}"
            # What a parent's block brings may well be messages; what it is shows when it is rendered.
            is_super = isinstance(child, nodes.Call) and expression(child) == "super" and not self.extends
            if not text or is_super:
                continue
            outside = "the blocks of a template that extends another" if self.extends else "the messages"
            raise self._error(f"text outside {outside} would be lost: {text[:40]!r}", child)

    def _error(self, message: str, node: nodes.Node) -> TemplateError:
        line = node.lineno
        if isinstance(node, nodes.TemplateData):  # its text may begin some lines below its first blank
            line += node.data[: len(node.data) - len(node.data.lstrip())].count("\n")
        return TemplateError(message, file=self.file, line=line)


def expression(node: nodes.Node) -> str:
    """A printed expression as its author would name it: ``ticket.body`` for ``{{ ticket.body | trim }}``."""
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        return f"{expression(node.node)}.{node.attr}"
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        return f"{expression(node.node)}[{node.arg.value!r}]"
    if isinstance(node, nodes.Const):
        return repr(node.value)
    if isinstance(node, nodes.CondExpr):
        return " or ".join(expression(side) for side in (node.expr1, node.expr2) if side is not None)
    children = list(node.iter_child_nodes())
    named = [child for child in children if not isinstance(child, nodes.Const)]
    return expression((named or children)[0]) if children else "expression"
