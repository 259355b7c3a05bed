"""What a function takes and returns, read from its signature, and the way of values into JSON and back."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from types import SimpleNamespace
from typing import Any

import msgspec
from msgspec import inspect as kinds

Function = Callable[..., Any]
SCALARS = (kinds.AnyType, kinds.NoneType, kinds.BoolType, kinds.IntType, kinds.FloatType, kinds.StrType, kinds.LiteralType)
HOLDERS = (kinds.ListType, kinds.VarTupleType, kinds.TupleType, kinds.DictType, kinds.TypedDictType, kinds.UnionType)
JSON_KINDS = (*SCALARS, *HOLDERS, kinds.Metadata, kinds.Field)
QUOTES = ("Invalid enum value", "Invalid value")
"""What msgspec says with the value behind it: a payload may hold what belongs into no log."""


class Shape(msgspec.Struct, frozen=True):
    """What a function takes and returns, read once from its signature.

    `record` has a field for each parameter that a payload fills, so that one compiled conversion checks them all.
    `rich` are those whose annotation is more than JSON: a datetime, a dataclass, an Enum, a Path.
    """

    context: str | None
    names: tuple[str, ...]
    positional: tuple[str, ...]
    required: frozenset[str]
    open: bool
    record: Any
    rich: frozenset[str]
    result: Any
    result_rich: bool


def read_shape(function: Function) -> Shape:
    signature = inspect.signature(function)
    parameters = dict(signature.parameters)
    context = find_context(parameters)
    parameters.pop(context or "", None)
    rest = [name for name, parameter in parameters.items() if parameter.kind is parameter.VAR_KEYWORD]
    for name in rest:
        del parameters[name]
    types = {name: annotation_of(parameter, function) for name, parameter in parameters.items()}
    result = understood(resolve("return", signature.return_annotation, function))
    return Shape(
        context=context,
        names=tuple(parameters),
        positional=tuple(name for name, p in parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD),
        required=frozenset(name for name, p in parameters.items() if p.default is p.empty),
        open=bool(rest),
        record=msgspec.defstruct("Payload", [(name, kind, msgspec.UNSET) for name, kind in types.items()]),
        rich=frozenset(name for name, kind in types.items() if is_rich(kind)),
        result=result,
        result_rich=is_rich(result),
    )


def find_context(parameters: Mapping[str, inspect.Parameter]) -> str | None:
    """The parameter annotated JobContext, or else the one named `ctx`."""
    annotated = (name for name, parameter in parameters.items() if names_context(parameter.annotation))
    return next(annotated, "ctx" if "ctx" in parameters else None)


def names_context(annotation: Any) -> bool:
    """Told by name, because the class is often imported for type checking only."""
    if isinstance(annotation, str):
        return re.search(r"\bJobContext\b", annotation) is not None
    return getattr(annotation, "__name__", "") == "JobContext" or any(map(names_context, typing.get_args(annotation)))


def annotation_of(parameter: inspect.Parameter, function: Function) -> Any:
    kind = understood(resolve(parameter.name, parameter.annotation, function))
    return typing.Optional[kind] if parameter.default is None and kind is not Any else kind  # noqa: UP045


def resolve(name: str, annotation: Any, function: Function) -> Any:
    """The annotation as an object; Any where there is none, or where it names what only a type checker sees."""
    if annotation is inspect.Parameter.empty:
        return Any
    holder = SimpleNamespace(__annotations__={name: annotation})
    names = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        return typing.get_type_hints(holder, globalns=names, include_extras=True)[name]
    except Exception:
        return Any


def understood(annotation: Any) -> Any:
    """The annotation, or Any where its values cannot be checked: a class that knows nothing of JSON, a callable."""
    try:
        strange = any(isinstance(node, kinds.CustomType) and not is_path(node.cls) for node in nodes(annotation))
    except Exception:  # msgspec says in many ways that it does not support a type
        return Any
    return Any if strange else annotation


def is_rich(annotation: Any) -> bool:
    """Whether its values are more than JSON, and so are turned into JSON on the way in."""
    return any(not isinstance(node, JSON_KINDS) or has_odd_keys(node) for node in nodes(annotation))


def has_odd_keys(node: Any) -> bool:
    return isinstance(node, kinds.DictType) and not isinstance(node.key_type, (kinds.StrType, kinds.AnyType))


def nodes(annotation: Any) -> Iterator[Any]:
    """Every part of a type: of `list[Point | None]` the list, the union, None, Point and the fields of Point."""
    left: list[Any] = [kinds.type_info(annotation)]
    seen: set[int] = set()
    while left:
        node = left.pop()
        if id(node) in seen or not isinstance(node, (kinds.Type, kinds.Field)):
            continue
        seen.add(id(node))
        yield node
        for field in node.__struct_fields__:
            part = getattr(node, field)
            left.extend(part if isinstance(part, tuple) else (part,))


def is_path(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, PurePath)


def to_json(value: Any) -> Any:
    """The JSON form of a value that an annotation allows; left as it is where there is none, for `check_json` to name it."""
    try:
        return msgspec.to_builtins(value, str_keys=True, enc_hook=encode_path)
    except (TypeError, ValueError, RecursionError):
        return value


def encode_path(value: Any) -> str:
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"a {type(value).__name__} has no JSON form")


def decode_path(kind: Any, value: Any) -> Any:
    if isinstance(value, str):
        return kind(value)
    raise ValueError(f"Expected `str`, got `{type(value).__name__}`")


def from_json(value: Any, kind: Any, root: str) -> Any:
    """The value as the annotated type; raises ValueError where it does not fit: `payload.rows[3]: expected int, got str`."""
    try:
        return msgspec.convert(value, kind, str_keys=True, dec_hook=decode_path)
    except msgspec.ValidationError as error:
        raise ValueError(in_words(str(error), root)) from None


def in_words(said: str, root: str) -> str:
    """What msgspec says of a value (`Expected `int`, got `str` - at `$.rows[3]``), with the place in front, and without
    the value itself, which it quotes where the choice is limited."""
    problem, at, place = said.rpartition(" - at ")
    if not at or "`$" not in place:
        problem, place = said, ""
    key, _, path = place.partition("`$")
    if problem.startswith(QUOTES):
        problem = "is none of the values that it may have"
    problem = problem.replace("`null`", "`None`").replace("`", "")
    where = root + path.removesuffix("`") + (" (a key)" if key else "")
    return f"{where}: {problem[:1].lower()}{problem[1:]}"
