"""The names a template needs from outside: those it reads without having set them.

A name set in one branch counts as set after it; whether it is on every way there is for the type check to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from jinja2 import nodes

__all__ = ["assigned_names", "free_names"]

ALWAYS_THERE = frozenset({"self", "super"})


def free_names(tree: nodes.Template) -> dict[str, nodes.Name]:
    """Every name read from outside, with the node that reads it first."""
    walk = _Walk()
    walk.all(tree.body, set(ALWAYS_THERE))
    while walk.later:
        walk.later.pop(0)()
    return walk.free


def assigned_names(tree: nodes.Template) -> set[str]:
    """Every name that is set anywhere, also as an argument or by an import."""
    names = {node.name for node in tree.find_all(nodes.Name) if node.ctx in ("store", "param")}
    names |= {node.name for node in tree.find_all(nodes.Macro)}
    names |= {node.target for node in tree.find_all(nodes.Import)}
    names |= {"loop"} if tree.find(nodes.For) else set()
    return names.union(*(_imported(node) for node in tree.find_all(nodes.FromImport)))


def _imported(node: nodes.FromImport) -> set[str]:
    return {name if isinstance(name, str) else name[1] for name in node.names}


def _targets(target: nodes.Node) -> set[str]:
    found = {target.name} if isinstance(target, nodes.Name) else set()
    return found | {node.name for node in target.find_all(nodes.Name) if node.ctx in ("store", "param")}


class _Walk:
    """Visits nodes in the order they run; a scope is the set of names bound in it."""

    def __init__(self) -> None:
        self.free: dict[str, nodes.Name] = {}
        # Bodies that run when they are called: by then all of the scope around them is set.
        self.later: list[Callable[[], None]] = []

    def all(self, children: Iterable[nodes.Node], scope: set[str]) -> None:
        for child in children:
            self.visit(child, scope)

    def visit(self, node: nodes.Node, scope: set[str]) -> None:
        special = getattr(self, f"_{type(node).__name__.lower()}", None)
        if special is not None:
            special(node, scope)
        else:
            self.all(node.iter_child_nodes(), scope)

    def _name(self, node: nodes.Name, scope: set[str]) -> None:
        if node.ctx == "load" and node.name not in scope:
            self.free.setdefault(node.name, node)

    def _assign(self, node: nodes.Assign, scope: set[str]) -> None:
        self.visit(node.node, scope)
        self.visit(node.target, scope)
        scope |= _targets(node.target)

    def _assignblock(self, node: nodes.AssignBlock, scope: set[str]) -> None:
        if node.filter is not None:
            self.visit(node.filter, scope)
        self.all(node.body, set(scope))
        scope |= _targets(node.target)

    def _for(self, node: nodes.For, scope: set[str]) -> None:
        self.visit(node.iter, scope)
        inner = scope | _targets(node.target) | {"loop"}
        if node.test is not None:
            self.visit(node.test, inner)
        self.all(node.body, inner)
        self.all(node.else_, set(scope))

    def _with(self, node: nodes.With, scope: set[str]) -> None:
        self.all(node.values, scope)
        self.all(node.body, scope.union(*map(_targets, node.targets)))

    def _macro(self, node: nodes.Macro, scope: set[str]) -> None:
        scope.add(node.name)
        self.later.append(lambda: self._arguments(node, scope))

    def _callblock(self, node: nodes.CallBlock, scope: set[str]) -> None:
        self.visit(node.call, scope)
        self._arguments(node, scope)

    def _arguments(self, node: nodes.Macro | nodes.CallBlock, scope: set[str]) -> None:
        inner = scope | {argument.name for argument in node.args} | {"caller", "varargs", "kwargs"}
        self.all(node.defaults, inner)
        self.all(node.body, inner)

    def _import(self, node: nodes.Import, scope: set[str]) -> None:
        self.visit(node.template, scope)
        scope.add(node.target)

    def _fromimport(self, node: nodes.FromImport, scope: set[str]) -> None:
        self.visit(node.template, scope)
        scope |= _imported(node)

    def _block(self, node: nodes.Block, scope: set[str]) -> None:
        self.later.append(lambda: self.all(node.body, set(scope)))

    def _scope(self, node: nodes.Scope, scope: set[str]) -> None:
        self.all(node.body, set(scope))

    def _filterblock(self, node: nodes.FilterBlock, scope: set[str]) -> None:
        self.visit(node.filter, scope)
        self.all(node.body, set(scope))
