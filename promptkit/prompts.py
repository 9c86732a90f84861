"""`Prompt`: a template plus types. Rendering it makes no call and always gives the same bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import jinja2
from jinja2 import meta, nodes

from promptkit.errors import InputError, PromptkitError, TemplateError, TemplateNotFound, nearest
from promptkit.requests import Completion, Parameters, Request, Schema
from promptkit.templating import blocks
from promptkit.templating import environment as env
from promptkit.templating.plain import plain
from promptkit.templating.source import Source, read

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Prompt"]

In = TypeVar("In")
Out = TypeVar("Out")


class Prompt(Generic[In, Out]):
    """A template, what goes in and what comes out. Immutable.

    Args:
        template: the template's text, with or without front matter.
        input: a pydantic model, dataclass or TypedDict; else front matter's ``input``; else every name
            the template reads is an input of any plain type.
        output: the type of the answer; else front matter's ``output``; else ``str``.
        parameters: sampling parameters, over those of the front matter.
        name: what to call it in messages.
        path: folders to find included templates in; by default `promptkit.templating.environment.search_path`.

    Raises `TemplateError` with file, line and column for anything wrong in the template, its types or
    the templates it includes.

    >>> greet = Prompt("{% user %}Greet {{ name }}.{% enduser %}")
    >>> print(greet.render(name="Ann"))
    ── user ──
    Greet Ann.
    """

    @overload
    def __init__(
        self: Prompt[Any, Any],
        template: str,
        *,
        parameters: Parameters | None = ...,
        name: str = ...,
        path: Sequence[str | Path] | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: Prompt[In, Any],
        template: str,
        *,
        input: type[In],
        parameters: Parameters | None = ...,
        name: str = ...,
        path: Sequence[str | Path] | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: Prompt[Any, Out],
        template: str,
        *,
        output: type[Out],
        parameters: Parameters | None = ...,
        name: str = ...,
        path: Sequence[str | Path] | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self,
        template: str,
        *,
        input: type[In],
        output: type[Out],
        parameters: Parameters | None = ...,
        name: str = ...,
        path: Sequence[str | Path] | None = ...,
    ) -> None: ...
    def __init__(
        self,
        template: str,
        *,
        input: Any = None,
        output: Any = None,
        parameters: Parameters | None = None,
        name: str = "<prompt>",
        path: Sequence[str | Path] | None = None,
    ) -> None:
        roots = env.search_path() if path is None else tuple(Path(root) for root in path)
        self._init(read(template, name=name, file=name), roots, input, output, parameters)

    def _init(
        self, source: Source, roots: tuple[Path, ...], input: Any, output: Any, parameters: Parameters | None
    ) -> None:
        set_ = object.__setattr__
        set_(self, "source", source)
        set_(self, "parameters", (parameters or Parameters()).over(source.parameters))
        set_(self, "_roots", roots)
        set_(self, "_given", (input, output))
        closure = _Closure(env.environment(roots), source)
        set_(self, "_closure", closure)
        set_(self, "_names", self._check_names(closure, input))
        set_(self, "_template", closure.compile())

    source: Source
    parameters: Parameters
    _roots: tuple[Path, ...]
    _given: tuple[Any, Any]
    _closure: _Closure
    _names: frozenset[str]
    _template: jinja2.Template

    @overload
    @classmethod
    def load(cls, name: str | Path, *, path: Sequence[str | Path] | None = ...) -> Prompt[Any, Any]: ...
    @overload
    @classmethod
    def load(cls, name: str | Path, *, input: type[In], path: Sequence[str | Path] | None = ...) -> Prompt[In, Any]: ...
    @overload
    @classmethod
    def load(
        cls, name: str | Path, *, output: type[Out], path: Sequence[str | Path] | None = ...
    ) -> Prompt[Any, Out]: ...
    @overload
    @classmethod
    def load(
        cls, name: str | Path, *, input: type[In], output: type[Out], path: Sequence[str | Path] | None = ...
    ) -> Prompt[In, Out]: ...
    @classmethod
    def load(
        cls, name: Any, *, input: Any = None, output: Any = None, path: Sequence[str | Path] | None = None
    ) -> Prompt[Any, Any]:
        """Load a template by name from the search path, or by file (a `Path`, or a text ending in ``.jinja``).

        Args:
            name: ``"support_reply"``, ``"mail/reply"`` or ``Path("prompts/reply.jinja")``.
            input: as for `Prompt`.
            output: as for `Prompt`.
            path: folders to search instead of ``templates/`` and the templates shipped with promptkit.

        Raises `TemplateNotFound` (naming the path and the nearest name) or `TemplateError`.

        >>> Prompt.load("support_reply").description
        'Draft a reply to a support ticket.'
        """
        roots = env.search_path() if path is None else tuple(Path(root) for root in path)
        if isinstance(name, Path) or name.endswith(env.SUFFIX):
            file = Path(name)
            if not file.is_file():
                raise TemplateNotFound(f"no such file: {file}")
            text, name = env.read_text(file), file.stem
            roots = (file.resolve().parent, *roots)
        else:
            file, text = env.Loader(roots).read(name)
        prompt = cls.__new__(cls)
        prompt._init(read(text, name=name, file=env.display(file)), roots, input, output, None)
        return prompt

    @property
    def name(self) -> str:
        """The template's name."""
        return self.source.name

    @property
    def description(self) -> str:
        """Front matter's description, or ``""``."""
        return self.source.description

    @cached_property
    def input(self) -> Any:
        """The input type; ``None`` where neither front matter nor ``input=`` declares one."""
        given = self._given[0]
        if given is not None or self.source.input is None:
            return given
        from promptkit.templating.shorthand import to_model

        return to_model(dict(self.source.input), _type_name(self.name, "Input"))

    @cached_property
    def _adapter(self) -> Any:
        from pydantic import TypeAdapter

        return TypeAdapter(self.input)

    @cached_property
    def output(self) -> Any:
        """The output type; ``str`` by default."""
        given = self._given[1]
        if given is not None or self.source.output is None:
            return str if given is None else given
        from promptkit.templating.shorthand import to_type

        return to_type(self.source.output.shape, _type_name(self.name, "Output"))

    @property
    def inputs(self) -> frozenset[str]:
        """The names of the inputs."""
        return self._names

    @cached_property
    def schema(self) -> Schema | None:
        """The JSON schema of the output; ``None`` for plain text."""
        if self._given[1] is None and self.source.output is None:
            return None
        from promptkit.outputs.schema import to_schema

        return to_schema(self.output, name=_type_name(self.name, "Output"))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over the template with all it includes, types and parameters."""
        digest = hashlib.sha256()
        types = [None if self.input is None else _json_schema(self.input), self.schema and dict(self.schema.json)]
        about = json.dumps([types, self.parameters.as_dict()], sort_keys=True)
        for text in (*self._closure.texts(), about):
            encoded = text.encode()
            digest.update(len(encoded).to_bytes(8, "big"))
            digest.update(encoded)
        return digest.hexdigest()

    @overload
    def render(self, inputs: In, /) -> Request: ...
    @overload
    def render(self, /, **fields: Any) -> Request: ...
    def render(self, inputs: Any = None, /, **fields: Any) -> Request:
        """The request that would be sent: no network, no clock, no randomness.

        Args:
            inputs: one instance of the input type, or a mapping.
            **fields: or the inputs as keywords.

        Raises `InputError` naming every input that is missing, unknown or of the wrong type, and
        `TemplateError` (with the line) for what the template cannot do with them.
        """
        values = self._bind(inputs, fields)
        template = self._template
        try:
            messages = blocks.assemble(template.root_render_func(template.new_context(values)), self.source.file)
        except Exception as error:
            raise _located(error, self.source.file) from None
        return Request(messages=messages, parameters=self.parameters, schema=self.schema)

    def plan(self, inputs: Any = None, /, **fields: Any) -> Generator[Sequence[Request], Sequence[Completion], Out]:
        """Ask once and parse the answer.

        >>> plan = Prompt("Say {{ word }}.").plan(word="hi")
        >>> [str(request) for request in next(plan)]
        ['── user ──\\nSay hi.']
        """
        from promptkit.outputs.parsing import parse

        [completion] = yield [self.render(inputs, **fields)]
        output: Out = parse(completion, self.output)
        return output

    def with_parameters(self, **parameters: Any) -> Self:
        """The same prompt with some sampling parameters changed.

        >>> Prompt("Hi", parameters=Parameters(seed=1)).with_parameters(max_tokens=8).parameters
        Parameters(max_tokens=8, seed=1)
        """
        prompt = type(self).__new__(type(self))
        object.__setattr__(prompt, "__dict__", dict(self.__dict__))
        for derived in ("fingerprint",):
            prompt.__dict__.pop(derived, None)
        object.__setattr__(prompt, "parameters", Parameters.parse(parameters).over(self.parameters))
        return prompt

    def _bind(self, inputs: Any, fields: dict[str, Any]) -> dict[str, Any]:
        if inputs is not None and fields:
            raise InputError("pass either one value or keywords, not both")
        if inputs is not None and self.input is not None and isinstance(inputs, _class_of(self.input)):
            return self._dump(inputs)
        if inputs is not None:
            if not isinstance(inputs, Mapping):
                wanted = getattr(self.input, "__name__", "a mapping")
                raise InputError(f"expected {wanted} or keywords, got {type(inputs).__name__}")
            fields = dict(inputs)
        if self._given[0] is None and self.source.input is None:
            self._refuse_unknown(fields, self._names - fields.keys())
            return {name: plain(value, name) for name, value in fields.items()}
        return self._validate(fields)

    def _validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        self._refuse_unknown(fields, frozenset())
        if self._given[0] is None and self.source.input is not None:
            from promptkit.templating.shorthand import REQUIRED, exact_fields

            exact = exact_fields(dict(self.source.input), fields)
            if exact is not REQUIRED:
                return {name: plain(value, name) for name, value in exact.items()}
        from pydantic import ValidationError

        try:
            value = self._adapter.validate_python(fields)
        except ValidationError as error:
            raise _invalid(error, self._names) from None
        return self._dump(value)

    def _dump(self, value: Any) -> dict[str, Any]:
        dumped = self._adapter.dump_python(value)
        return {name: plain(item, name) for name, item in dumped.items()}

    def _refuse_unknown(self, fields: Mapping[str, Any], missing: Iterable[str]) -> None:
        unknown = sorted(fields.keys() - self._names)
        problems = [f"unknown input {name!r}" for name in unknown] + [f"missing input {n!r}" for n in sorted(missing)]
        if problems:
            hint = nearest(unknown[0], self._names) if unknown else None
            known = f"the inputs are {', '.join(sorted(self._names))}" if self._names else "the prompt takes no inputs"
            raise InputError("; ".join(problems), field=(unknown or sorted(missing))[0], hint=hint or known)

    def _check_names(self, closure: _Closure, input: Any) -> frozenset[str]:
        used = closure.used_names()
        if input is not None:
            declared = _field_names(input)
        elif self.source.input is not None:
            declared = frozenset(self.source.input)
        else:
            return frozenset(used)
        for name, (file, line, column) in used.items():
            if name not in declared:
                hint = nearest(name, declared) or f"declared inputs: {', '.join(sorted(declared)) or 'none'}"
                raise TemplateError(
                    f"unknown name {name!r}", file=file, line=line, column=column, field=name, hint=hint
                )
        return declared

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a Prompt is immutable; cannot set {name!r}")

    def __repr__(self) -> str:
        return f"Prompt({self.name!r}, inputs=[{', '.join(sorted(self._names))}])"

    def __reduce__(self) -> Any:
        return _restore, (self.source, self._roots, *self._given, self.parameters)


def _restore(source: Source, roots: tuple[Path, ...], input: Any, output: Any, parameters: Parameters) -> Any:
    prompt: Prompt[Any, Any] = Prompt.__new__(Prompt)
    prompt._init(source, roots, input, output, parameters)
    return prompt


class _Closure:
    """A template's syntax tree and those of everything it names: includes, imports, parents."""

    def __init__(self, environment: env.Environment, source: Source) -> None:
        self.environment = environment
        self.source = source
        self.tree = environment.tree(source.text, name=source.name, file=source.file)
        self.parts: dict[str, tuple[str, str, nodes.Template]] = {}
        self._follow(self.tree, source.file)

    def _follow(self, tree: nodes.Template, file: str) -> None:
        for name in meta.find_referenced_templates(tree):
            if name is None or name in self.parts:
                continue
            try:
                path, text = self.environment.loader.read(name)  # type: ignore[union-attr]
            except TemplateNotFound as error:
                line = next((n.lineno for n in tree.find_all(_REFERENCES) if _refers(n, name)), None)
                raise TemplateError(error.message, file=file, line=line, hint=error.hint) from None
            part = env.display(path)
            self.parts[name] = (text, part, self.environment.tree(text, name=name, file=part))
            self._follow(self.parts[name][2], part)

    def compile(self) -> jinja2.Template:
        return self.environment.build(self.tree, name=self.source.name, file=self.source.file)

    def texts(self) -> list[str]:
        """Every text of the closure, the template's own first."""
        return [self.source.text, *(f"{name}\n{text}" for name, (text, _, _) in sorted(self.parts.items()))]

    def used_names(self) -> dict[str, tuple[str, int, int]]:
        """Names that must come from the inputs, each with file, line and column of its first use."""
        trees = [(self.source.text, self.source.file, self.tree), *self.parts.values()]
        # An included template sees what its includer sets, so a name set anywhere is not an input.
        assigned = {
            node.name for *_, tree in trees for node in tree.find_all(nodes.Name) if node.ctx in ("store", "param")
        }
        used: dict[str, tuple[str, int, int]] = {}
        for index, (text, file, tree) in enumerate(trees):
            with env.syntax_errors(file):
                names = meta.find_undeclared_variables(tree) - self.environment.globals.keys()
            for name in sorted(names - (assigned if index else set())):
                line = next(n.lineno for n in tree.find_all(nodes.Name) if n.name == name)
                used.setdefault(name, (file, line, _column(text, line, name)))
        return used


_REFERENCES = (nodes.Include, nodes.Extends, nodes.Import, nodes.FromImport)


def _refers(node: Any, name: str) -> bool:
    return any(const.value == name for const in [node.template] if isinstance(const, nodes.Const))


def _column(text: str, line: int, name: str) -> int:
    import re

    found = re.search(rf"\b{re.escape(name)}\b", text.split("\n")[line - 1])
    return found.start() + 1 if found else 1


def _located(error: Exception, file: str) -> PromptkitError:
    """``error``, raised while rendering, with the line of the template it was raised at."""
    line, traceback = None, error.__traceback__
    while traceback is not None:
        template = traceback.tb_frame.f_globals.get("__jinja_template__")
        if template is not None:
            file, line = template.filename or file, template.get_corresponding_lineno(traceback.tb_lineno)
        traceback = traceback.tb_next
    if isinstance(error, PromptkitError):
        if error.file is None:
            error.file, error.line = file, line
        return error
    if isinstance(error, jinja2.TemplateNotFound):
        return TemplateError(str(error.message), file=file, line=line)
    if isinstance(error, jinja2.TemplateError):
        return TemplateError(str(error.message), file=file, line=line)
    return TemplateError(f"cannot be rendered: {type(error).__name__}: {error}", file=file, line=line)


def _invalid(error: Any, names: frozenset[str]) -> InputError:
    problems, first = [], None
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        field = ".".join(str(part) for part in item["loc"])
        first = first or field
        kind = item["type"]
        if kind == "missing":
            problems.append(f"missing input {field!r}")
        elif kind == "extra_forbidden":
            problems.append(f"unknown input {field!r}")
        else:
            problems.append(f"input {field!r}: {item['msg']}")
    return InputError("; ".join(problems), field=first, hint=f"the inputs are {', '.join(sorted(names))}")


def _field_names(type_: Any) -> frozenset[str]:
    if hasattr(type_, "model_fields"):
        return frozenset(type_.model_fields) | frozenset(type_.model_computed_fields)
    if hasattr(type_, "__dataclass_fields__"):
        return frozenset(type_.__dataclass_fields__)
    if isinstance(type_, type) and issubclass(type_, dict) and hasattr(type_, "__required_keys__"):
        return frozenset(type_.__annotations__)
    raise TemplateError(
        f"input must be a pydantic model, a dataclass or a TypedDict, got {type_!r}", hint="class Note(BaseModel): ..."
    )


def _class_of(type_: Any) -> type:
    # A TypedDict is no class to ask isinstance of; its values come as mappings and are validated.
    return type(None) if issubclass(type_, dict) else type_


def _json_schema(type_: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(type_).json_schema()


def _type_name(name: str, suffix: str) -> str:
    words = "".join(char if char.isalnum() else " " for char in name).split()
    return "".join(word.capitalize() for word in words) + suffix
