"""A prompt's inputs: their names and types, and values made ready for the template."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from promptkit.errors import DefinitionError, InputError, TemplateError, nearest
from promptkit.templating.closure import Use
from promptkit.templating.plain import plain
from promptkit.templating.source import Source

__all__ = ["Inputs"]


class Inputs:
    """What a prompt takes: a type given in Python, the fields of its front matter, or whatever names it reads.

    Raises `TemplateError` at the first use of a name that is not declared.
    """

    def __init__(self, given: Any, source: Source, used: Mapping[str, Use]) -> None:
        self._given = given
        self._source = source
        self.is_declared = given is not None or source.input is not None
        self.names = self._accepted = frozenset(used)
        if self.is_declared:
            self._accepted = _field_names(given) if given is not None else frozenset(source.input or ())
            computed = getattr(given, "model_computed_fields", ())
            self.names = self._accepted.union(computed)
            self._refuse_undeclared(used)
            self._accepted |= _aliases(given)
        if given is not None or not self._defaults_are_plain():
            self._adapter  # noqa: B018 - a type or default that does not work fails now, not at the first render

    def _defaults_are_plain(self) -> bool:
        if not self._source.input:
            return True
        from promptkit.templating.shorthand import has_plain_defaults

        return has_plain_defaults(self._source.input.values())

    @cached_property
    def type(self) -> Any:
        """The type given or built from front matter; ``None`` where nothing is declared."""
        if self._given is not None or self._source.input is None:
            return self._given
        from promptkit.templating.shorthand import to_model

        return to_model(dict(self._source.input), self._source.type_name("Input"))

    def bind(self, value: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Plain data by name, validated.

        Args:
            value: one instance of the type, or a mapping; ``None`` if there are keywords.
            fields: the keywords.

        Raises `InputError` naming every input that is missing, unknown or of the wrong type.
        """
        if value is None:
            return self._bind_fields(fields)
        if fields:
            raise InputError("pass either one value or keywords, not both")
        if isinstance(value, Mapping):
            return self._bind_fields(value)
        # A TypedDict's values are mappings, and it cannot be asked for its instances.
        if self.is_declared and not issubclass(self.type, dict) and isinstance(value, self.type):
            # A model was validated when it was made, a dataclass was not.
            return self._dump(value) if hasattr(value, "model_fields_set") else self._validate(_fields_of(value))
        wanted = f"a {self.type.__name__}" if self.is_declared else "a mapping"
        raise InputError(f"expected {wanted} or keywords, got {type(value).__name__}")

    def _bind_fields(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        self._refuse_unknown(fields)
        if not self.is_declared:
            return {name: plain(value, name) for name, value in fields.items()}
        if self._given is None and self._source.input is not None:
            from promptkit.templating.shorthand import REQUIRED, exact_fields

            exact = exact_fields(dict(self._source.input), dict(fields))
            if exact is not REQUIRED:
                return {name: plain(value, name) for name, value in exact.items()}
        return self._validate(fields)

    def _validate(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        from pydantic import ValidationError

        try:
            return self._dump(self._adapter.validate_python(dict(fields), by_alias=True, by_name=True))
        except ValidationError as error:
            raise _invalid(error, self.names) from None

    def _dump(self, value: Any) -> dict[str, Any]:
        return {name: plain(item, name) for name, item in self._adapter.dump_python(value, by_alias=False).items()}

    @cached_property
    def _adapter(self) -> Any:
        from pydantic import TypeAdapter
        from pydantic.errors import PydanticUserError

        try:
            return TypeAdapter(self.type)
        except PydanticUserError as error:
            raise DefinitionError(f"the input type {self.type!r} cannot be validated: {error.message}") from None

    def json_schema(self) -> Any:
        """The JSON schema of the type; ``None`` where nothing is declared."""
        if not self.is_declared:
            return None
        from pydantic.errors import PydanticUserError

        try:
            return self._adapter.json_schema()
        except PydanticUserError as error:
            raise DefinitionError(f"the input type {self.type!r} has no JSON schema: {error.message}") from None

    def _refuse_unknown(self, fields: Mapping[str, Any]) -> None:
        unknown = sorted(str(name) for name in fields.keys() - self._accepted)
        # Where types are declared, what is missing is for them to say: there may be a default.
        missing = [] if self.is_declared else sorted(self.names - fields.keys())
        if not unknown and not missing:
            return
        problems = [*(f"unknown input {name!r}" for name in unknown), *(f"missing input {name!r}" for name in missing)]
        hint = nearest(unknown[0], self.names) if unknown else None
        raise InputError("; ".join(problems), field=(unknown or missing)[0], hint=hint or _list(self.names))

    def _refuse_undeclared(self, used: Mapping[str, Use]) -> None:
        for name, use in used.items():
            if name not in self.names:
                hint = nearest(name, self.names) or _list(self.names)
                raise TemplateError(f"unknown name {name!r}", **use._asdict(), field=name, hint=hint)


def _list(names: Iterable[str]) -> str:
    listed = ", ".join(sorted(names))
    return f"the inputs are {listed}" if listed else "the prompt takes no inputs"


def _invalid(error: Any, names: Iterable[str]) -> InputError:
    problems, first = [], None
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        field = ".".join(str(part) for part in item["loc"])
        first = first or field
        if item["type"] == "missing":
            problems.append(f"missing input {field!r}")
        elif item["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            problems.append(f"unknown input {field!r}")
        else:
            problems.append(f"input {field!r}: {item['msg']}")
    return InputError("; ".join(problems), field=first, hint=_list(names))


def _fields_of(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}


def _aliases(kind: Any) -> frozenset[str]:
    """The other names under which a model takes its fields."""
    fields = getattr(kind, "model_fields", {}).values()
    names = (name for field in fields for name in (field.alias, field.validation_alias))
    return frozenset(name for name in names if isinstance(name, str))


def _field_names(kind: Any) -> frozenset[str]:
    # A type's own attributes tell which kind it is; none of the three has to be imported for it.
    if isinstance(kind, type) and not getattr(kind, "__pydantic_root_model__", False):
        if "__pydantic_fields__" in vars(kind):
            model: Any = kind
            return frozenset(model.model_fields)
        if dataclasses.is_dataclass(kind):
            return frozenset(field.name for field in dataclasses.fields(kind))
        if "__required_keys__" in vars(kind):
            return frozenset(kind.__annotations__)
    raise DefinitionError(
        f"input must be a pydantic model, a dataclass or a TypedDict, got {kind!r}", hint="class Note(BaseModel): ..."
    )
