"""Arguments through a pydantic model, and the canonical dump of what came out.

The dump reads fields, not serializers, so that two different values never look alike: models and dataclasses become
dicts by field name, secrets are opened, sets are sorted, everything else is pydantic's JSON form.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from pydantic import AliasChoices, BaseModel, Secret, SecretBytes, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticSerializationError, to_jsonable_python

from agentguard.errors import InvalidArguments
from agentguard.model.calls import Parsed
from agentguard.model.canonical import canonical_json
from agentguard.model.paths import told_path

HIDDEN = "[secret]"
"""Stands for a secret where people and records see the arguments."""

_PLAIN = (str, int, float, bool, type(None))


def validate(model: type[BaseModel], arguments: Mapping[str, Any], *, tool: str) -> BaseModel:
    """The model's instance. Raises InvalidArguments with paths and rules, never a value."""
    try:
        return model.model_validate(dict(arguments))
    except ValidationError as error:
        raise invalid(error, tool=tool) from None


def invalid(error: ValidationError, *, tool: str) -> InvalidArguments:
    """The refusal that tells paths and rules of a validation error, and none of its values."""
    return InvalidArguments(_problems(error), tool=tool)


def parsed(instance: BaseModel, given: Mapping[str, Any], *, tool: str, ready: Any = None) -> Parsed:
    """The dump of an instance that was validated from `given`, and the values that default factories made up."""
    return parsed_values(type(instance), dict(_fields(instance)), given, tool=tool, ready=ready)


def parsed_values(
    model: type[BaseModel] | None, values: Mapping[str, Any], given: Mapping[str, Any], *, tool: str, ready: Any = None
) -> Parsed:
    """The dump of validated values by name; `model` is where they come from, if from any."""
    try:
        opened: list[bool] = []
        snapshot = {name: dump(value, opened) for name, value in values.items()}
        return Parsed(
            snapshot=snapshot,
            shown={name: dump(value, hide=True) for name, value in values.items()} if opened else None,
            filled=_filled(model, values, given) if model is not None else {},
            ready=ready,
        )
    except (PydanticSerializationError, TypeError, ValueError, RecursionError):
        raise InvalidArguments([("", "an argument has no JSON form")], tool=tool) from None


def dump(value: Any, opened: list[bool] | None = None, *, hide: bool = False) -> Any:
    """The JSON-ready form of one parsed value. Secrets are opened, and `opened` grows, or hidden."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, (SecretStr, SecretBytes, Secret)):
        if hide:
            return HIDDEN
        if opened is not None:
            opened.append(True)
        return dump(value.get_secret_value())
    if isinstance(value, BaseModel):
        return {name: dump(inner, opened, hide=hide) for name, inner in _fields(value)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: dump(getattr(value, field.name), opened, hide=hide) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {_dict_key(key): dump(inner, opened, hide=hide) for key, inner in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted((dump(inner, opened, hide=hide) for inner in value), key=canonical_json)
    if isinstance(value, (list, tuple)):
        return [dump(inner, opened, hide=hide) for inner in value]
    return to_jsonable_python(value, bytes_mode="base64")


def _fields(instance: BaseModel) -> list[tuple[str, Any]]:
    extra = instance.__pydantic_extra__ or {}
    return [*((name, getattr(instance, name)) for name in type(instance).__pydantic_fields__), *extra.items()]


def _dict_key(key: Any) -> str:
    """Keys of another type are told apart from the text that looks like them."""
    return key if isinstance(key, str) else f"{type(key).__name__}:{to_jsonable_python(key)}"


def _filled(model: type[BaseModel], values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that change when what default factories made up is written in, at every depth."""
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
