"""`Prompt`: a template plus types. Rendering it makes no call and always gives the same bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import jinja2

from promptkit.errors import PromptkitError, TemplateError, TemplateNotFound
from promptkit.requests import Completion, Parameters, Request, Schema
from promptkit.templating import blocks
from promptkit.templating import environment as env
from promptkit.templating.closure import Closure
from promptkit.templating.inputs import Inputs
from promptkit.templating.source import Source, read

if TYPE_CHECKING:
    from typing import Self

    from promptkit.outputs.parsing import Reader

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
    @overload
    def __init__(
        self: Prompt[Any, Any],
        template: str,
        *,
        input: Any = ...,
        output: Any,
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
        closure = Closure(source, env.Loader(roots))
        set_(self, "_closure", closure)
        set_(self, "_inputs", Inputs(input, source, closure.used_names()))
        if output is not None or not source.output_is_simple():
            self.schema  # noqa: B018 - a type that does not work fails now, not at the first run

    source: Source
    parameters: Parameters
    _roots: tuple[Path, ...]
    _given: tuple[Any, Any]
    _closure: Closure
    _inputs: Inputs

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
    @overload
    @classmethod
    def load(
        cls, name: str | Path, *, input: Any = ..., output: Any, path: Sequence[str | Path] | None = ...
    ) -> Prompt[Any, Any]: ...
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

    @property
    def input(self) -> Any:
        """The input type; ``None`` where neither front matter nor ``input=`` declares one."""
        return self._inputs.type

    @cached_property
    def output(self) -> Any:
        """The output type; ``str`` by default."""
        given = self._given[1]
        if given is not None or self.source.output is None:
            return str if given is None else given
        from promptkit.templating.shorthand import to_type

        return to_type(self.source.output.shape, self.source.type_name("Output"))

    @property
    def inputs(self) -> frozenset[str]:
        """The names of the inputs."""
        return self._inputs.names

    @cached_property
    def schema(self) -> Schema | None:
        """The JSON schema of the output; ``None`` for plain text."""
        if self._given[1] is None and self.source.output is None:
            return None
        from promptkit.outputs.schema import to_schema

        return to_schema(self.output, name=self.source.type_name("Output"))

    @cached_property
    def _reader(self) -> Reader:
        from promptkit.outputs.parsing import Reader

        return Reader(self.output)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over the template with all it includes, types and parameters."""
        digest = hashlib.sha256()
        types = [self._inputs.json_schema(), self.schema and dict(self.schema.json)]
        about = json.dumps([types, self.parameters.as_dict()])
        for text in (*self._closure.texts(), about):
            encoded = text.encode()
            digest.update(len(encoded).to_bytes(8, "big"))
            digest.update(encoded)
        return digest.hexdigest()

    @overload
    def render(self, inputs: In | Mapping[str, Any], /) -> Request: ...
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
        values = self._inputs.bind(inputs, fields)
        template = self._closure.template
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
        [completion] = yield [self.render(inputs, **fields)]
        output: Out = self._reader.read(completion)
        return output

    def with_parameters(self, **parameters: Any) -> Self:
        """The same prompt with some sampling parameters changed.

        >>> Prompt("Hi", parameters=Parameters(seed=1)).with_parameters(max_tokens=8).parameters
        Parameters(max_tokens=8, seed=1)
        """
        prompt = type(self).__new__(type(self))
        object.__setattr__(prompt, "__dict__", dict(self.__dict__))
        prompt.__dict__.pop("fingerprint", None)  # it covers the parameters
        object.__setattr__(prompt, "parameters", Parameters.parse(parameters).over(self.parameters))
        return prompt

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a Prompt is immutable; cannot set {name!r}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Prompt is immutable; cannot delete {name!r}")

    def __repr__(self) -> str:
        return f"Prompt({self.name!r}, inputs=[{', '.join(sorted(self.inputs))}])"

    def __reduce__(self) -> Any:
        return _restore, (self.source, self._roots, *self._given, self.parameters)


def _restore(source: Source, roots: tuple[Path, ...], input: Any, output: Any, parameters: Parameters) -> Any:
    prompt: Prompt[Any, Any] = Prompt.__new__(Prompt)
    prompt._init(source, roots, input, output, parameters)
    return prompt


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
    if isinstance(error, jinja2.TemplateError):
        return TemplateError(str(error.message), file=file, line=line)
    return TemplateError(f"cannot be rendered: {type(error).__name__}: {error}", file=file, line=line)
