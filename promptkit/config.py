"""Configuration: which models there are, and how to reach them.

Read from ``promptkit.toml``, or ``[tool.promptkit]`` of ``pyproject.toml``, in the working folder or
the nearest one above it. Without either there is one model, ``embedded``, which runs in this process.
"""

from __future__ import annotations

import dataclasses
import os
import re
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from promptkit.errors import ConfigError, DefinitionError, nearest
from promptkit.providers.base import Provider
from promptkit.requests import Parameters
from promptkit.secrets import Secret
from promptkit.transport.base import Timeout

__all__ = ["Config", "ModelConfig", "provider_names"]

FILE = "promptkit.toml"
MODEL = "PROMPTKIT_MODEL"
ENTRY_POINTS = "promptkit.providers"
BUILT_IN = {
    "local": "promptkit.providers.local:Local",
    "openai": "promptkit.providers.openai:OpenAI",
    "scripted": "promptkit.providers.scripted:Scripted",
}
# Generous times: a slow machine is no fault of the model's, and nobody is charged for waiting.
EMBEDDED = {"provider": "local", "model": "smollm2-135m-instruct", "timeout": {"read": 120, "total": 600}}
COMMON = ("provider", "parameters", "timeout", "attempts")
ENV = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Origin:
    """Where a table was read, so that an error can name the line."""

    file: str = ""
    text: str = ""
    prefix: tuple[str, ...] = ()

    def error(self, message: str, path: tuple[str, ...], *, hint: str | None = None) -> ConfigError:
        line, column = _place(self.text, (*self.prefix, *path))
        return ConfigError(
            message, file=self.file or None, line=line, column=column, field=".".join(path) or None, hint=hint
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """One entry of ``[models]``.

    Attributes:
        name: the entry's name.
        kind: name of the provider, as ``"openai"``.
        options: the provider's own options, as written.
        parameters: sampling parameters where a prompt sets none.
        timeout: how long to wait.
        attempts: most tries of one request, at least 1.
    """

    name: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    parameters: Parameters = field(default_factory=Parameters)
    timeout: Timeout = field(default_factory=Timeout)
    attempts: int = 3
    _origin: _Origin = field(default_factory=_Origin, repr=False, compare=False)

    def __reduce__(self) -> Any:
        raise TypeError("a configuration may hold keys and cannot be pickled; load it again")

    def provider(self) -> Provider:
        """Make the provider; only now are environment variables read.

        Raises `ConfigError` with file and line for an unknown provider or option, a value of the wrong
        type, or a missing environment variable.
        """
        where = ("models", self.name)
        make = _load_provider(self.kind, self._origin, (*where, "provider"))
        hints = typing.get_type_hints(make)
        known = [item.name for item in dataclasses.fields(make) if item.init]
        values = {}
        for name, value in self.options.items():
            if name not in known:
                hint = nearest(name, [*known, *COMMON]) or f"options of {self.kind}: {', '.join(known)}"
                raise self._origin.error(f"unknown key {name!r} for provider {self.kind!r}", (*where, name), hint=hint)
            values[name] = _value(hints[name], name, value, self._origin, (*where, name))
        required = [item.name for item in dataclasses.fields(make) if item.init and _is_required(item)]
        if missing := [name for name in required if name not in values]:
            raise self._origin.error(f"model {self.name!r} needs {missing[0]!r}", where)
        try:
            made: Provider = make(**values)
        except ConfigError as error:
            raise self._origin.error(error.message, (*where, error.field or ""), hint=error.hint) from None
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All models, and which of them is used.

    Attributes:
        model: name of the entry to use.
        models: every entry by name; ``embedded`` is always there.
        file: where it was read, or ``""``.
    """

    model: str = "embedded"
    models: Mapping[str, ModelConfig] = field(default_factory=dict)
    file: str = ""

    @classmethod
    def find(cls, folder: Path | None = None) -> Config:
        """The configuration of a folder, or of the nearest one above it that has any; else the default.

        Raises `ConfigError` with file and line.
        """
        start = (folder or Path.cwd()).resolve()
        for place in (start, *start.parents):
            if (place / FILE).is_file():
                return cls.load(place / FILE)
            project = place / "pyproject.toml"
            # Other tools have their tables there too, so only one that speaks of promptkit is this one's.
            if project.is_file() and "promptkit" in _parse(project)[1].get("tool", ()):
                return cls.load(project)
        return cls.read({}, _Origin())

    @classmethod
    def load(cls, file: str | Path) -> Config:
        """The configuration in a file. Raises `ConfigError` with file and line."""
        path = Path(file)
        text, table = _parse(path)
        prefix: tuple[str, ...] = ()
        if path.name == "pyproject.toml":
            prefix = ("tool", "promptkit")
            tool = table.get("tool", {})
            table = tool.get("promptkit", {}) if isinstance(tool, dict) else tool
        origin = _Origin(file=str(path), text=text, prefix=prefix)
        return cls.read(_mapping(table, origin, ()), origin)

    @classmethod
    def read(cls, table: Mapping[str, Any], origin: _Origin) -> Config:
        for key in table:
            if key not in ("model", "models"):
                raise origin.error(f"unknown key {key!r}", (key,), hint=nearest(key, ["model", "models"]))
        # Not shown: [model.cloud] for [models.cloud] makes it a table, with a key in it.
        if not isinstance(table.get("model", ""), str):
            raise origin.error("model must be the name of an entry, as a text", ("model",), hint="[models.NAME]")
        models = _mapping(table.get("models", {}), origin, ("models",))
        entries = {
            name: _entry(name, _mapping(entry, origin, ("models", name)), origin)
            for name, entry in {"embedded": EMBEDDED, **models}.items()
        }
        model = table.get("model", "embedded")
        if model not in entries:
            hint = nearest(model, entries) or f"models: {', '.join(entries)}"
            raise origin.error(f"no model {model!r}", ("model",), hint=hint)
        return cls(model=model, models=entries, file=origin.file)

    def entry(self, name: str | None = None) -> ModelConfig:
        """The entry of a name; by default of ``PROMPTKIT_MODEL``, else of ``model``.

        Raises `ConfigError` for an unknown name.
        """
        from_environment = os.environ.get(MODEL) if name is None else None
        chosen = name if name is not None else from_environment or self.model
        if chosen in self.models:
            return self.models[chosen]
        hint = nearest(chosen, self.models) or f"models: {', '.join(self.models)}"
        if from_environment:
            raise ConfigError(f"{MODEL} names no model: {chosen!r}", hint=hint)
        raise ConfigError(f"no model {chosen!r}", file=self.file or None, hint=hint)


def provider_names() -> dict[str, str]:
    """Every provider's name and where it lives, built in or of an installed package; none is imported."""
    from importlib.metadata import entry_points

    return {**{point.name: point.value for point in entry_points(group=ENTRY_POINTS)}, **BUILT_IN}


def _parse(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text("utf-8")
        return text, tomllib.loads(text)
    except FileNotFoundError:
        raise ConfigError(f"no such file: {path}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError("not UTF-8", file=str(path), line=line) from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(path)) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        place = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        at_end = text.count("\n") + 1, len(text) - text.rfind("\n")
        line, column = map(int, place.groups()) if place else at_end
        message = str(error).partition(" (at ")[0]
        raise ConfigError(f"not valid TOML: {message}", file=str(path), line=line, column=column) from None


def _entry(name: str, table: Mapping[str, Any], origin: _Origin) -> ModelConfig:
    where = ("models", name)
    kind = table.get("provider")
    if not isinstance(kind, str):
        raise origin.error(f"model {name!r} needs a provider", where, hint='for example provider = "openai"')
    attempts = table.get("attempts", 3)
    if type(attempts) is not int or attempts < 1:
        raise origin.error("attempts must be a whole number of at least 1", (*where, "attempts"))
    try:
        parameters = Parameters.parse(_mapping(table.get("parameters", {}), origin, (*where, "parameters")))
    except DefinitionError as error:
        raise origin.error(error.message, (*where, "parameters", error.field or ""), hint=error.hint) from None
    return ModelConfig(
        name=name,
        kind=kind,
        options={key: value for key, value in table.items() if key not in COMMON},
        parameters=parameters,
        timeout=_timeout(table.get("timeout", {}), origin, (*where, "timeout")),
        attempts=attempts,
        _origin=origin,
    )


def _timeout(value: Any, origin: _Origin, where: tuple[str, ...]) -> Timeout:
    table = _mapping(value, origin, where)
    known = [item.name for item in dataclasses.fields(Timeout)]
    for name, seconds in table.items():
        if name not in known:
            raise origin.error(f"unknown timeout {name!r}", (*where, name), hint=nearest(name, known))
        if type(seconds) not in (int, float):
            raise origin.error(f"timeout {name!r} must be a number of seconds", (*where, name))
    try:
        return Timeout(**table)
    except ConfigError as error:
        raise origin.error(error.message, (*where, error.field or "")) from None


def _mapping(value: Any, origin: _Origin, where: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise origin.error(f"{'.'.join(where) or 'tool.promptkit'} must be a table", where)
    return value


def _load_provider(kind: str, origin: _Origin, where: tuple[str, ...]) -> Any:
    from importlib import import_module

    home = BUILT_IN.get(kind) or provider_names().get(kind)
    if home is None:
        names = provider_names()
        hint = nearest(kind, names) or f"providers: {', '.join(sorted(names))}"
        raise origin.error(f"unknown provider {kind!r}", where, hint=hint)
    module, _, name = home.partition(":")
    try:
        make = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise origin.error(f"provider {kind!r} cannot be imported from {home}: {error}", where) from None
    if not dataclasses.is_dataclass(make):
        raise origin.error(f"provider {kind!r} ({home}) is not a dataclass", where)
    return make


def _is_required(item: dataclasses.Field[Any]) -> bool:
    return item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING


def _value(type_: Any, name: str, value: Any, origin: _Origin, where: tuple[str, ...]) -> Any:
    """An option's value as the provider's field wants it."""
    secret = type_ is Secret or Secret in typing.get_args(type_)
    if isinstance(value, str) and "${" in value:
        value = _from_environment(name, value, secret or name == "base_url", origin, where)
    if secret:
        if not isinstance(value, str) or not value.isascii() or not value.isprintable() or not value:
            raise origin.error(f"{name} must be a printable text", where)
        return Secret(value)
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(type_).validate_python(value, strict=not isinstance(value, (list, dict)))
    except ValidationError as error:
        # Without the input: whatever is in this file may be a key in the wrong place.
        reason = error.errors(include_input=False, include_url=False, include_context=False)[0]["msg"]
        raise origin.error(f"{name}: {reason}", where) from None


def _from_environment(name: str, value: str, allowed: bool, origin: _Origin, where: tuple[str, ...]) -> str:
    found = ENV.fullmatch(value)
    if not allowed or not found:
        raise origin.error(
            f"{name}: environment variables stand only for a whole key or base_url",
            where,
            hint='as in api_key = "${env:NAME}"',
        )
    variable = found.group(1)
    if not os.environ.get(variable):
        raise origin.error(f"environment variable {variable} is not set", where, hint=f"export {variable}=...")
    return os.environ[variable]


HEADER = re.compile(r"\s*\[\[?\s*([^\]]+?)\s*\]")
KEY = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")


def _place(text: str, path: tuple[str, ...]) -> tuple[int | None, int | None]:
    """Line and column of a key; of the table around it where the key itself is not to be found.

    ``tomllib`` gives values without places, so the few shapes that a key takes are looked for here.
    """
    path = tuple(part for part in path if part)
    table: tuple[str, ...] = ()
    best: tuple[int, int, int] | None = None
    for number, line in enumerate(text.split("\n"), 1):
        if header := HEADER.match(line):
            table = _parts(header.group(1))
            found, column, rest = table, header.start(1) + 1, ""
        elif key := KEY.match(line):
            found, column, rest = table + _parts(key.group(1)), key.start(1) + 1, line[key.end() :]
        else:
            continue
        depth = min(len(found), len(path))
        if path[:depth] != found[:depth]:
            continue
        # What is left of the path stands in an inline table on this line.
        for part in path[depth:]:
            inline = re.search(rf"""(?<![\w-])["']?{re.escape(part)}["']?\s*=""", rest)
            if inline is None:
                break
            column = len(line) - len(rest) + inline.start() + 1
            rest, depth = rest[inline.end() :], depth + 1
        if best is None or depth > best[0]:
            best = (depth, number, column)
    return (best[1], best[2]) if best else (None, None)


def _parts(dotted: str) -> tuple[str, ...]:
    """The parts of a dotted key, where a quoted part may itself hold dots."""
    found = re.findall(r"""\s*(?:"([^"]*)"|'([^']*)'|([^.\s"']+))\s*(?:\.|$)""", dotted)
    return tuple("".join(part) for part in found)
