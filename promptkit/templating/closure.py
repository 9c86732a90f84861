"""A template with everything it names - includes, imports, parents - read once, checked and compiled.

What is read when a prompt is loaded is what it renders for as long as it lives: a file that changes
later changes no prompt that is already loaded.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import jinja2
from jinja2 import nodes

from promptkit.errors import TemplateError, TemplateNotFound
from promptkit.requests import Parameters
from promptkit.templating import source
from promptkit.templating.environment import Environment, Loader, display, syntax_errors
from promptkit.templating.names import assigned_names, free_names
from promptkit.templating.source import Source

__all__ = ["Closure", "Use"]

REFERENCES = (nodes.Include, nodes.Extends, nodes.Import, nodes.FromImport)


class Part(NamedTuple):
    """One template of a closure."""

    text: str
    name: str
    file: str
    tree: nodes.Template


class Use(NamedTuple):
    """Where a name is used first."""

    file: str
    line: int
    column: int


class Closure:
    """A template and all it names.

    Attributes:
        template: the compiled template.

    Raises `TemplateError` with the line for a template that cannot be compiled, or one it names that
    cannot be found.
    """

    def __init__(self, root: Source, loader: Loader) -> None:
        self._loader = loader
        self._environment = Environment(jinja2.FunctionLoader(self._load))
        self._parts: dict[str, Part] = {}
        self._root = self._part(root.text, root.name, root.file)
        self._follow(self._root)
        self.template = self._environment.build(self._root.tree, name=root.name, file=root.file)

    def texts(self) -> list[str]:
        """Every text, the template's own first, the others by name."""
        return [self._root.text, *(f"{name}\n{part.text}" for name, part in sorted(self._parts.items()))]

    def used_names(self) -> dict[str, Use]:
        """Names that have to come from the inputs."""
        parts = [self._root, *self._parts.values()]
        # An included template sees what its includer sets, so a name set anywhere is not an input.
        assigned = set().union(*(assigned_names(part.tree) for part in parts))
        # A block of a child sees what its parents set.
        extends = self._root.tree.find(nodes.Extends) is not None
        used: dict[str, Use] = {}
        for part in parts:
            for name, node in sorted(free_names(part.tree).items()):
                is_outside = (part is self._root and not extends) or name not in assigned
                if is_outside and name not in self._environment.globals:
                    used.setdefault(name, _use(part, node))
        return used

    def _part(self, text: str, name: str, file: str) -> Part:
        return Part(text, name, file, self._environment.tree(text, name=name, file=file))

    def _load(self, name: str) -> tuple[str, str | None, None] | None:
        part = self._parts.get(name)
        return part and (source.body_of(part.text, file=part.file), part.file, None)

    def _follow(self, part: Part) -> None:
        for reference in part.tree.find_all(REFERENCES):
            names = _names(reference, part.file)
            found = [name for name in names if self._add(name)]
            if not found and not getattr(reference, "ignore_missing", False):
                self._not_found(names[0], part.file, reference.lineno)

    def _add(self, name: str) -> bool:
        if name in self._parts:
            return True
        try:
            path, text = self._loader.read(name)
        except TemplateNotFound:
            return False
        file = display(path)
        about = source.read(text, name=name, file=file)
        if about.input is not None or about.output is not None or about.parameters != Parameters():
            raise TemplateError(
                "input, output and parameters of a template that is included or extended would be ignored",
                file=file,
                line=1,
                hint="move them to the template that is loaded",
            )
        self._parts[name] = self._part(text, name, file)
        self._follow(self._parts[name])
        # Compiled now and kept by the environment, so that its faults show when the prompt is loaded.
        with syntax_errors(file):
            self._environment.get_template(name)
        return True

    def _not_found(self, name: str, file: str, line: int) -> None:
        try:
            self._loader.find(name)
        except TemplateNotFound as error:
            raise TemplateError(error.message, file=file, line=line, hint=error.hint) from None


def _names(reference: Any, file: str) -> list[str]:
    """The names a tag may mean; they have to be written out, so that no input can choose a template."""
    expression = reference.template
    if isinstance(expression, nodes.Const) and isinstance(expression.value, str):
        return [expression.value]
    if isinstance(expression, (nodes.List, nodes.Tuple)) and expression.items:
        names = [item.value for item in expression.items if isinstance(item, nodes.Const)]
        if len(names) == len(expression.items) and all(isinstance(name, str) for name in names):
            return names
    tag = type(reference).__name__.lower()
    raise TemplateError(
        f"{tag} takes the name of a template, written out",
        file=file,
        line=reference.lineno,
        hint=f"{{% {tag} 'name' %}}",
    )


def _use(part: Part, node: nodes.Name) -> Use:
    lines = part.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    text, word = lines[node.lineno - 1], rf"(?<![\w.]){re.escape(node.name)}\b"
    # Inside a tag, if one begins on this line; the same word may stand in the text before it.
    found = re.search(rf"\{{[{{%](?:(?![}}%]\}}).)*?{word}", text) or re.search(word, text)
    return Use(part.file, node.lineno, found.end() - len(node.name) + 1 if found else 1)
