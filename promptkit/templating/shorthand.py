"""The type shorthand of front matter: ``str``, ``list[int]``, ``Literal[low, high]``, ``date | None``.

A mapping is an object with those fields; ``[T]`` is a list of ``T``; ``{type, default, description}``
describes one field in full (an object that itself has a field called ``type`` is written
``{fields: {...}}``). Read in two steps: the syntax when a template is loaded (`Field`), the
pydantic type when it is first needed, because importing pydantic costs more than a render.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any, NamedTuple

from promptkit.errors import nearest
from promptkit.templating.strict_yaml import List, Mapping, Node, Place, Scalar

__all__ = [
    "REQUIRED",
    "Field",
    "Shape",
    "exact",
    "exact_fields",
    "has_plain_defaults",
    "read_field",
    "read_fields",
    "to_model",
    "to_type",
]

NAMES = ("str", "int", "float", "bool", "date", "datetime", "time", "Any", "None")
CONTAINERS = ("list", "dict", "Literal")
# In a template these are not looked up among the inputs; `model_config` is pydantic's.
RESERVED = frozenset("true false none True False None self super caller varargs kwargs model_config".split())
SIMPLE: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool, "None": type(None)}


class _Required:
    """No default: the input has to be given."""

    def __reduce__(self) -> str:
        return "REQUIRED"


REQUIRED: Any = _Required()


class Shape(NamedTuple):
    """A type, read but not yet built.

    Attributes:
        name: one of `NAMES`, or ``list``, ``dict``, ``union``, ``literal``, ``object``.
        args: the types inside, for ``list``, ``dict`` and ``union``.
        values: the texts of a ``literal``.
        fields: the fields of an ``object``.
    """

    name: str
    args: tuple[Shape, ...] = ()
    values: tuple[Any, ...] = ()
    fields: tuple[tuple[str, Field], ...] = ()


class Field(NamedTuple):
    """One declared field: its type, default (or `REQUIRED`) and description."""

    shape: Shape
    place: Place
    default: Any = REQUIRED
    description: str | None = None


def read_fields(node: Mapping) -> dict[str, Field]:
    """The fields of a mapping of names to shorthand.

    Raises `TemplateError` at the place of the fault.
    """
    fields = {}
    for name, value in node.items.items():
        if name in RESERVED:
            raise node.keys[name].error(
                f"{name!r} cannot be a field name: it has a meaning of its own", hint="choose another name"
            )
        if not name.isidentifier() or name.startswith("_"):
            raise node.keys[name].error(
                f"{name!r} cannot be a field name", hint="use letters, digits and _, beginning with a letter"
            )
        fields[name] = read_field(value)
    return fields


def read_field(node: Node) -> Field:
    """One field: a shorthand, or ``{type, default, description}``."""
    if not isinstance(node, Mapping) or not _describes_field(node):
        return Field(_shape(node), node.place)
    described = node.items.get("type") or node.items["fields"]
    default, description = node.items.get("default"), node.items.get("description")
    if description is not None and not isinstance(description, Scalar):
        raise description.place.error("a description must be a text")
    return Field(
        _shape(described, is_object="fields" in node.items),
        node.place,
        REQUIRED if default is None else default.plain(),
        description.text if description else None,
    )


def _describes_field(node: Mapping) -> bool:
    names = set(node.items)
    return bool(names) and (
        (names <= {"type", "default", "description"} and "type" in names)
        or (names <= {"fields", "default", "description"} and isinstance(node.items.get("fields"), Mapping))
    )


def _shape(node: Node, *, is_object: bool = False) -> Shape:
    if isinstance(node, Mapping):
        if not node.items:
            raise node.place.error("an object needs at least one field", hint="dict[str, Any] allows any")
        if not is_object and _describes_field(node):
            return _shape(node.items.get("type") or node.items["fields"], is_object="fields" in node.items)
        return Shape("object", fields=tuple(read_fields(node).items()))
    if isinstance(node, List):
        if len(node.items) != 1:
            raise node.place.error("a list type names the one type of its items, as [str]")
        return Shape("list", (_shape(node.items[0]),))
    if node.plain() is None and not node.text:
        raise node.place.error("a type is missing", hint="for example str")
    try:
        return _read_expression(ast.parse(node.text.strip(), mode="eval").body, node)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise node.place.error(f"{node.text[:80]!r} is not a type", hint="for example: list[str] | None") from None


def _read_expression(tree: ast.expr, node: Scalar) -> Shape:
    if isinstance(tree, ast.Constant) and tree.value is None:
        return Shape("None")
    if isinstance(tree, ast.Name):
        if tree.id in NAMES:
            return Shape(tree.id)
        hint = nearest(tree.id, [*NAMES, *CONTAINERS]) or f"known types: {', '.join([*NAMES, *CONTAINERS])}"
        raise node.place.error(f"unknown type {tree.id!r}", hint=hint)
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.BitOr):
        return Shape("union", (_read_expression(tree.left, node), _read_expression(tree.right, node)))
    if isinstance(tree, ast.Subscript) and isinstance(tree.value, ast.Name):
        args = tree.slice.elts if isinstance(tree.slice, ast.Tuple) else [tree.slice]
        return _read_container(tree.value.id, args, node)
    raise node.place.error(f"{node.text!r} is not a type", hint="for example: list[str] | None")


def _read_container(name: str, args: list[ast.expr], node: Scalar) -> Shape:
    if name == "Literal":
        if not args:
            raise node.place.error("Literal needs at least one value")
        return Shape("literal", values=tuple(_literal(arg, node) for arg in args))
    if name == "list" and len(args) == 1:
        return Shape("list", (_read_expression(args[0], node),))
    if name == "dict" and len(args) == 2:
        key, value = (_read_expression(arg, node) for arg in args)
        if key.name != "str":
            raise node.place.error("a dict has text keys: dict[str, ...]")
        return Shape("dict", (value,))
    if name in ("list", "dict"):
        raise node.place.error(f"{name} takes {1 if name == 'list' else 2} type(s), got {len(args)}")
    raise node.place.error(f"unknown type {name!r}", hint=nearest(name, [*NAMES, *CONTAINERS]))


def _literal(tree: ast.expr, node: Scalar) -> Any:
    if isinstance(tree, ast.Name):
        return tree.id
    if isinstance(tree, ast.Constant) and isinstance(tree.value, (str, int, bool)):
        return tree.value
    raise node.place.error("Literal takes words, quoted texts or whole numbers", hint='Literal["not found", ok]')


def has_plain_defaults(fields: Iterable[Field]) -> bool:
    """Whether every default, at any depth, already is of its declared type."""
    return all(
        (item.default is REQUIRED or exact(item.shape, item.default) is not REQUIRED) and _plain_within(item.shape)
        for item in fields
    )


def _plain_within(shape: Shape) -> bool:
    return has_plain_defaults(field for _, field in shape.fields) and all(_plain_within(arg) for arg in shape.args)


def exact(shape: Shape, value: Any) -> Any:
    """``value`` with defaults filled in, if it already is of the types declared; else `REQUIRED`.

    Plain data of the exact types needs no conversion, and therefore no pydantic. Whatever is not so
    plain (a text for a number, a date, a fault) is left to pydantic, which gives the same values.
    """
    name = shape.name
    if name in SIMPLE:
        return value if type(value) is SIMPLE[name] else REQUIRED
    if name == "literal":
        return value if any(value == item and type(value) is type(item) for item in shape.values) else REQUIRED
    if name == "union":
        if any(_holds_numbers(arg) for arg in shape.args):
            return REQUIRED  # 1, 1.0 and True are equal; which of them is meant is pydantic's to say
        return next((v for v in (exact(arg, value) for arg in shape.args) if v is not REQUIRED), REQUIRED)
    if name == "list" and type(value) is list:
        items = [exact(shape.args[0], item) for item in value]
        return REQUIRED if REQUIRED in items else items
    if name == "dict" and type(value) is dict:
        entries = {key: exact(shape.args[0], item) if type(key) is str else REQUIRED for key, item in value.items()}
        return REQUIRED if REQUIRED in entries.values() else entries
    if name == "object" and type(value) is dict:
        return exact_fields(dict(shape.fields), value)
    return REQUIRED


def _holds_numbers(shape: Shape) -> bool:
    """Whether a literal in the shape has a value that is no text."""
    inside = (*shape.args, *(field.shape for _, field in shape.fields))
    return any(type(value) is not str for value in shape.values) or any(map(_holds_numbers, inside))


def exact_fields(fields: dict[str, Field], values: dict[str, Any]) -> Any:
    """`exact` for the fields of an object."""
    if not values.keys() <= fields.keys():
        return REQUIRED
    filled = {key: exact(item.shape, values.get(key, item.default)) for key, item in fields.items()}
    return REQUIRED if REQUIRED in filled.values() else filled


def to_type(shape: Shape, name: str) -> Any:
    """The Python type of a shape; objects become pydantic models called after ``name``."""
    import datetime
    from typing import Literal, Union

    if shape.name in SIMPLE or shape.name == "Any":
        return SIMPLE.get(shape.name, Any)
    if shape.name in ("date", "datetime", "time"):
        return getattr(datetime, shape.name)
    if shape.name == "literal":
        return Literal[shape.values]
    if shape.name == "object":
        return to_model(dict(shape.fields), name)
    inner = tuple(to_type(arg, name) for arg in shape.args)
    if shape.name == "union":
        return Union[inner]  # noqa: UP007 - built from values, not written out
    return list[inner[0]] if shape.name == "list" else dict[str, inner[0]]  # type: ignore[valid-type]


def to_model(fields: dict[str, Field], name: str) -> Any:
    """A pydantic model that refuses unknown fields.

    Raises `TemplateError` at the place of a default that does not fit its type.
    """
    import warnings

    from pydantic import ConfigDict, TypeAdapter, ValidationError, create_model
    from pydantic import Field as PydanticField

    declared: dict[str, Any] = {}
    for key, item in fields.items():
        annotation = to_type(item.shape, f"{name}_{key}")
        default = ...
        if item.default is not REQUIRED:
            try:
                default = TypeAdapter(annotation).validate_python(item.default)
            except ValidationError as error:
                reason = error.errors(include_url=False)[0]["msg"]
                raise item.place.error(f"the default of {key!r} does not fit: {reason}", field=key) from None
        declared[key] = (annotation, PydanticField(default, description=item.description))
    config = ConfigDict(extra="forbid", protected_namespaces=())
    with warnings.catch_warnings():
        # `copy` or `json` are ordinary words for a field; that they shadow a method harms nobody here.
        warnings.filterwarnings("ignore", message="Field name .* shadows an attribute")
        return create_model(name, __config__=config, **declared)
