"""Arguments through a pydantic model, and the canonical dump of what came out.

The dump reads fields, not serializers, so that two different values never look alike: models and dataclasses become
dicts by field name, secrets are opened, sets are sorted, everything else is pydantic's JSON form.

Rules:
- each value is read once, so that what is judged and what people are shown are one reading;
- two values under one name are refused: of two, one would be judged and the other would run;
- so is what can be read only once: whoever judged it would leave nothing of it to the tool;
- so is what a type takes and shows in no field (`InitVar`, a constructor of its own that takes more): nobody would see what runs;
- bytes are the text that they are, which conditions and people read, and base64 only where they are none.
"""

from __future__ import annotations

import base64
import dataclasses
import inspect
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple

from pydantic import AliasChoices, BaseModel, Secret, SecretBytes, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticSerializationError, to_jsonable_python

from agentguard.errors import InvalidArguments
from agentguard.model.calls import Parsed
from agentguard.model.canonical import canonical_json
from agentguard.model.paths import told_path

HIDDEN = "[secret]"
"""Stands for a secret where people and records see the arguments."""

_UNSEEN = "a value that its type takes and shows in none of its fields"
_NO_FORM = "an argument has no JSON form, can be read only once, or has the name of another"

_BASE64 = "base64:"
_PLAIN = frozenset({str, int, float, bool, type(None)})


def validate(model: type[BaseModel], arguments: Mapping[str, Any], *, tool: str) -> BaseModel:
    """The model's instance. Raises InvalidArguments with paths and rules, never a value."""
    try:
        instance: BaseModel = model.__pydantic_validator__.validate_python(dict(arguments))
    except ValidationError as error:
        raise invalid(error, tool=tool) from None
    return instance


def invalid(error: ValidationError, *, tool: str) -> InvalidArguments:
    """The refusal that tells paths and rules of a validation error, and none of its values."""
    return InvalidArguments(_problems(error), tool=tool)


def parsed(instance: BaseModel, given: Mapping[str, Any], *, tool: str, ready: Any = None) -> Parsed:
    """The dump of an instance that was validated from `given`, and the values that default factories made up."""
    return parsed_values(type(instance), _fields(instance), given, tool=tool, ready=ready)


def parsed_values(
    model: type[BaseModel] | None,
    values: dict[str, Any] | list[tuple[str, Any]],
    given: Mapping[str, Any],
    *,
    tool: str,
    ready: Any = None,
) -> Parsed:
    """The dump of validated values with their names; `model` is where they come from, if from any."""
    try:
        named = values if isinstance(values, dict) else _by_name(values)
        if _are_as_given(named, given):
            return Parsed(snapshot=dict(named), ready=ready, as_given=True)
        secrets: list[_Secret] = []
        tree = {name: value if type(value) in _PLAIN else _dump(value, secrets) for name, value in named.items()}
        return Parsed(
            snapshot=_told(tree, hide=False) if secrets else tree,
            shown=_told(tree, hide=True) if secrets else None,
            filled=_filled(model, named, given) if model is not None else {},
            ready=ready,
        )
    except (PydanticSerializationError, TypeError, ValueError, RecursionError) as error:
        rule = _UNSEEN if isinstance(error, _Unseen) else _NO_FORM
        raise InvalidArguments([("", rule)], tool=tool) from None


def dump(value: Any) -> Any:
    """The JSON-ready form of a value that somebody calls with, secrets opened; what is read only once becomes a list.

    Raises ValueError, TypeError, PydanticSerializationError or RecursionError where it has none: bytes that are no text.
    """
    if type(value) in _PLAIN:
        return value
    secrets: list[_Secret] = []
    tree = _dump(list(value) if isinstance(value, Iterator) else value, secrets, bytes.decode)
    return _told(tree, hide=False) if secrets else tree


def text_of(raw: bytes) -> str:
    """Bytes as people and conditions read them: as text, or marked as base64. No two look alike."""
    with suppress(UnicodeDecodeError):
        text = raw.decode()
        if not text.startswith(_BASE64):
            return text
    return _BASE64 + base64.b64encode(raw).decode()


class _Unseen(ValueError):
    """A value would reach the tool by way of no field."""


class _Secret(NamedTuple):
    """What a secret holds, in a tree of values whose readers may not all see it."""

    held: Any


def _dump(value: Any, secrets: list[_Secret], read: Callable[[bytes], str] = text_of) -> Any:
    """The JSON-ready form of one parsed value, but for its secrets, which `secrets` gets too."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, (SecretStr, SecretBytes, Secret)):
        held: list[_Secret] = []
        secrets.append(_Secret(_told(_dump(value.get_secret_value(), held, read), hide=False)))
        return secrets[-1]
    if isinstance(value, (bytes, bytearray)):
        return read(bytes(value))
    if isinstance(value, BaseModel):
        return {name: _dump(inner, secrets, read) for name, inner in _by_name(_fields(value)).items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: _dump(inner, secrets, read) for name, inner in _by_name(_fields_of_dataclass(value)).items()}
    if isinstance(value, Mapping):
        entries = _by_name([(_dict_key(key), inner) for key, inner in value.items()])
        return {name: _dump(inner, secrets, read) for name, inner in entries.items()}
    if isinstance(value, (set, frozenset)):
        return sorted((_dump(inner, secrets, read) for inner in value), key=_order)
    if isinstance(value, (list, tuple, deque)):
        return [_dump(inner, secrets, read) for inner in value]
    if isinstance(value, Iterator):
        raise TypeError("what can be read only once can't be judged and run")
    return to_jsonable_python(value)


def _told(tree: Any, *, hide: bool) -> Any:
    """A tree of values with its secrets in it, or with what stands for them."""
    if isinstance(tree, _Secret):
        return HIDDEN if hide else tree.held
    if isinstance(tree, dict):
        return {name: _told(inner, hide=hide) for name, inner in tree.items()}
    return [_told(inner, hide=hide) for inner in tree] if isinstance(tree, list) else tree


def _order(tree: Any) -> str:
    return canonical_json(_told(tree, hide=False))


def _are_as_given(named: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Whether parsing left all values as they were: the very same texts, numbers and nothings, and none besides."""
    for name, value in named.items():
        if type(value) not in _PLAIN or given.get(name, _PLAIN) is not value:
            return False
    return len(named) == len(given)


def _by_name(values: dict[str, Any] | list[tuple[str, Any]]) -> dict[str, Any]:
    """Values by their names. Raises ValueError where two have one name."""
    if isinstance(values, dict):
        return values
    named = dict(values)
    if len(named) != len(values):
        raise ValueError("two values have one name")
    return named


def _fields(instance: BaseModel) -> dict[str, Any] | list[tuple[str, Any]]:
    known = {name: getattr(instance, name) for name in type(instance).__pydantic_fields__}
    extra = instance.__pydantic_extra__
    return [*known.items(), *extra.items()] if extra else known


def _fields_of_dataclass(value: Any) -> list[tuple[str, Any]]:
    """Its fields, and what pydantic lets it hold besides. Raises _Unseen where its constructor takes what becomes no field."""
    kind: type = type(value)
    if _takes_unseen(kind):
        raise _Unseen
    known = [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
    if getattr(type(value), "__pydantic_config__", {}).get("extra") != "allow":
        return known
    names = {name for name, _ in known}
    return known + [(name, inner) for name, inner in vars(value).items() if name not in names]


@lru_cache(maxsize=1024)
def _takes_unseen(kind: type) -> bool:
    """Whether the constructor of a dataclass takes an `InitVar`."""
    named = {field.name for field in dataclasses.fields(kind)}
    besides = [name for name in getattr(kind, "__dataclass_fields__") if name not in named]  # noqa: B009 - it has no type
    return bool(besides) and not inspect.signature(kind).parameters.keys().isdisjoint(besides)


def _dict_key(key: Any) -> str:
    """Keys of another type are told apart from the text that looks like them."""
    return str.__str__(key) if isinstance(key, str) else f"{type(key).__name__}:{to_jsonable_python(key)}"


def _filled(model: type[BaseModel], values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that change when what default factories made up is written in, at every depth."""
    if getattr(model, "__pydantic_custom_init__", False) and not given.keys() <= _known(model, values):
        raise _Unseen
    filled: dict[str, Any] = {}
    for name, field in model.__pydantic_fields__.items():
        if name not in values:
            continue
        is_plain = field.validation_alias is None and name in given
        if is_plain and type(given[name]) in _PLAIN:
            continue
        key = name if is_plain else next((key for key in _keys(name, field) if key in given), None)
        if key is not None:
            written = _written_in(given[key], values[name])
            if written is not given[key]:
                filled[key] = written
        elif field.default_factory is not None:
            filled[_keys(name, field)[0]] = dump(values[name])
    return filled


def _known(model: type[BaseModel], values: Mapping[str, Any]) -> set[str]:
    """The names under which a model's values may be given."""
    return {*values, *(key for name, field in model.__pydantic_fields__.items() for key in _keys(name, field))}


def _written_in(given: Any, value: Any) -> Any:
    """`given` itself where nothing was made up inside it."""
    if type(given) in _PLAIN:
        return given
    if isinstance(value, BaseModel) and isinstance(given, Mapping):
        filled = _filled(type(value), dict(_fields(value)), given)
        return {**given, **filled} if filled else given
    if isinstance(value, (list, tuple)) and isinstance(given, list) and len(value) == len(given):
        items = [_written_in(*pair) for pair in zip(given, value, strict=True)]
        return items if any(new is not old for new, old in zip(items, given, strict=True)) else given
    if isinstance(value, Mapping) and isinstance(given, Mapping):
        entries = {key: _written_in(old, value[key]) for key, old in given.items() if key in value}
        return {**given, **entries} if any(new is not given[key] for key, new in entries.items()) else given
    return given


def _keys(name: str, field: FieldInfo) -> list[str]:
    """The names under which a field may be given, the first of which always works."""
    match field.validation_alias:
        case str(alias):
            return [alias, name]
        case AliasChoices(choices=choices):
            return [*(choice for choice in choices if isinstance(choice, str)), name]
        case _:
            return [name]


def _problems(error: ValidationError) -> list[tuple[str, str]]:
    return [
        (told_path(problem["loc"]), _rule(problem["type"], problem.get("ctx")))
        for problem in error.errors(include_url=False, include_input=False)
    ]


def _rule(kind: str, context: Mapping[str, Any] | None) -> str:
    """Pydantic's name of the rule with its bounds; a validator's own message may hold the value, so it is left out."""
    bounds = {name: value for name, value in (context or {}).items() if name in _BOUNDS}
    return kind + (f" ({', '.join(f'{name}={value}' for name, value in bounds.items())})" if bounds else "")


_BOUNDS = frozenset(
    {
        "class", "decimal_places", "expected", "expected_schemes", "expected_tags", "ge", "gt", "le", "lt", "max_digits",
        "max_length", "min_length", "multiple_of", "pattern", "whole_digits",
    }
)  # fmt: skip
"""What a rule's context may tell. The rest (error, tag, actual_length, ...) is, or tells of, the value."""
