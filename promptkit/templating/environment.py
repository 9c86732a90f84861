"""The one Jinja environment: sandboxed, strict, and reading templates from a search path."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import nodes, runtime, sandbox

from promptkit.errors import InputError, TemplateError, TemplateNotFound, nearest
from promptkit.templating import blocks, source
from promptkit.templating.attributes import allowed

__all__ = [
    "SUFFIX",
    "Environment",
    "Loader",
    "display",
    "read_text",
    "search_path",
    "shipped_templates",
    "syntax_errors",
]

SUFFIX = ".jinja"
MAX_BYTES = 1024 * 1024


class Environment(sandbox.ImmutableSandboxedEnvironment):
    """Jinja for prompts: plain data in, marked events out."""

    code_generator_class = blocks.CodeGenerator
    concat = staticmethod(blocks.concat)
    data = staticmethod(blocks.data)
    joined = staticmethod(blocks.joined)
    item = staticmethod(blocks.require_data)
    begin = blocks.Begin
    end = blocks.END
    intercepted_binops = frozenset({"%"})

    def __init__(self, loader: jinja2.BaseLoader | None = None) -> None:
        super().__init__(
            loader=loader,
            extensions=[blocks.MessageTags],
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            cache_size=-1,
            # The optimiser runs constant expressions while compiling, even in branches that never run.
            optimized=False,
        )
        # Gone: what draws random numbers, what makes HTML, and objects that print as an address in memory.
        for name in ("lipsum", "cycler", "joiner"):
            self.globals.pop(name)
        for name in ("random", "safe", "e", "escape", "forceescape", "xmlattr", "urlize", "pprint"):
            self.filters.pop(name)
        self.filters["json"] = self.filters["tojson"] = _json
        self.filters = {name: _guarded(name, function) for name, function in self.filters.items()}

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, jinja2.Undefined):
            str(obj)  # raises, and names what was missing first
        # A mapping's key wins over its methods, so `ticket.items` is the data. It is also the fast path:
        # stock Jinja tries getattr first and pays for an AttributeError at every `x.key`.
        if type(obj) is dict and attribute in obj:
            return obj[attribute]
        if attribute in allowed(type(obj)):
            return getattr(obj, attribute)
        if isinstance(obj, (jinja2.utils.Namespace, runtime.TemplateReference)) or _is_module(obj):
            return super().getattr(obj, attribute)
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        try:
            return obj[argument]
        except (TypeError, LookupError):
            return self.undefined(obj=obj, name=argument)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        # On a text, `%` formats: it would show the inside of whatever it is given.
        for value in right if type(right) is tuple else (right,):
            blocks.require_data(value)
        return super().call_binop(context, operator, left, right)

    def is_safe_callable(self, obj: Any) -> bool:
        return not isinstance(obj, type) or obj in (dict, jinja2.utils.Namespace)

    def tree(self, text: str, *, name: str, file: str) -> nodes.Template:
        """The syntax tree of a template's text (front matter included).

        Raises `TemplateError` with file and line.
        """
        with syntax_errors(file):
            return self.parse(source.body_of(text, file=file), name, file)

    def build(self, tree: nodes.Template, *, name: str, file: str) -> jinja2.Template:
        """Compile a syntax tree.

        Raises `TemplateError` with file and line.
        """
        with syntax_errors(file):
            code = self.compile(tree, name, file)
        return jinja2.Template.from_code(self, code, self.make_globals(None))


@contextmanager
def syntax_errors(file: str) -> Iterator[None]:
    """Turn what Jinja's parser and compiler raise into `TemplateError`."""
    try:
        yield
    except jinja2.TemplateSyntaxError as error:
        # Jinja's longer messages go on with advice.
        message, _, advice = str(error.message).partition(". ")
        raise TemplateError(message, file=error.filename or file, line=error.lineno, hint=advice or None) from None
    except (RecursionError, MemoryError, SyntaxError, OverflowError) as error:
        raise TemplateError(f"too deep or too large to compile ({type(error).__name__})", file=file) from None


def _is_module(obj: Any) -> bool:
    return type(obj).__name__ == "TemplateModule" and type(obj).__module__ == "jinja2.environment"


def _json(value: Any, indent: int | None = None) -> str:
    """``value`` as JSON text, unescaped: a prompt is not HTML."""
    import json

    return json.dumps(value, ensure_ascii=False, indent=indent, default=_json_value)


def _json_value(value: Any) -> str:
    if isinstance(value, blocks.PRINTABLE):
        return value.isoformat() if hasattr(value, "isoformat") else str(value)
    raise InputError(f"a {type(value).__name__} cannot be written as JSON")


# Filters that take their subject as text: what could not be printed would enter as a word, as "None".
TEXT_FILTERS = frozenset(
    "capitalize center indent lower replace string striptags title trim truncate upper wordcount wordwrap".split()
)


def _guarded(name: str, function: Any) -> Any:
    """A filter that takes data only, and gives lists instead of iterators, whose text would be an address."""
    position = 1 if hasattr(function, "jinja_pass_arg") else 0

    @functools.wraps(function)
    def guarded(*args: Any, **options: Any) -> Any:
        subject, *others = args[position:]
        for value in (subject, *others, *options.values()):
            blocks.require_data(value)
        if name in TEXT_FILTERS:
            blocks.data(subject, f"the value of | {name}")
        elif name == "format":
            blocks.joined((*others, *options.values()))
        elif name == "join" and not others[1:] and "attribute" not in options:
            args = (*args[:position], [blocks.joined((item,)) for item in subject], *others)
        result = function(*args, **options)
        return list(result) if isinstance(result, Iterator) else result

    return guarded


class Loader:
    """Reads templates from folders, in order, and never from outside them."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self.roots = tuple(Path(root).resolve() for root in roots)

    def find(self, name: str) -> Path:
        """The file of template ``name`` (with or without suffix).

        Raises `TemplateNotFound`, naming the search path and the nearest name.
        """
        parts = name.split("/")
        odd = "\\" in name or ":" in name or any(part in ("", ".", "..") or len(part) > 200 for part in parts)
        if odd or not name.isprintable() or len(parts) > 20:
            raise TemplateNotFound(
                f"{name[:80]!r} is not a template name", hint="use names like 'support_reply' or 'partials/tone'"
            )
        for root in self.roots:
            for wanted in (name + SUFFIX, name) if Path(name).suffix else (name + SUFFIX,):
                path = root / wanted
                # A link may point anywhere; only what resolves to inside the folder is of the folder.
                if path.is_file() and path.resolve().is_relative_to(root):
                    return path
        searched = ", ".join(str(root) for root in self.roots) or "no folder"
        names = self.names()
        hint = nearest(name, names) or (f"templates: {', '.join(names)}" if names else None)
        raise TemplateNotFound(f"no template {name!r} in {searched}", hint=hint)

    def names(self) -> list[str]:
        """Every template on the path, without suffix, sorted."""
        found = {
            path.relative_to(root).with_suffix("").as_posix()
            for root in self.roots
            if root.is_dir()
            for path in root.rglob(f"*{SUFFIX}")
        }
        return sorted(found)

    def read(self, name: str) -> tuple[Path, str]:
        path = self.find(name)
        return path, read_text(path)


def read_text(path: Path) -> str:
    """A template file's text.

    Raises `TemplateError` for a file that is too large or not UTF-8.
    """
    raw = path.read_bytes()
    if len(raw) > MAX_BYTES:
        raise TemplateError(f"larger than {MAX_BYTES // 1024} KiB", file=display(path))
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise TemplateError("not UTF-8", file=display(path), line=line, hint="save it as UTF-8") from None


def display(path: Path) -> str:
    """``path`` as a person would write it: relative where it lies below the working folder."""
    try:
        return path.relative_to(Path.cwd()).as_posix()
    except ValueError:
        return str(path)


def search_path() -> tuple[Path, ...]:
    """Where templates are looked for: ``templates/`` of the working folder, then those shipped here."""
    shipped = shipped_templates()
    return (Path.cwd() / "templates", shipped / "starters", shipped)


def shipped_templates() -> Path:
    """The folder of the templates that come with promptkit."""
    package = Path(__file__).resolve().parent.parent
    # In a wheel they lie inside the package; in a checkout (also an editable install) beside it.
    inside = package / "templates"
    return inside if inside.is_dir() else package.parent / "templates"
