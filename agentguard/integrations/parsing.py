"""Arguments through a pydantic model, and the canonical dump of what came out.

The dump reads fields, not serializers, so that two different values never look alike: models and dataclasses become
dicts by field name, secrets are opened, sets are sorted, everything else is pydantic's JSON form.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from agentguard.errors import InvalidArguments
from agentguard.model.calls import Parsed
from agentguard.model.canonical import canonical_json

_PLAIN = (str, int, float, bool, type(None))


def validate(model: type[BaseModel], arguments: Mapping[str, Any], *, tool: str) -> BaseModel:
    """The model's instance. Raises InvalidArguments with paths and rules, never a value."""
    try:
        return model.model_validate(dict(arguments))
    except ValidationError as error:
        raise InvalidArguments(_problems(error), tool=tool) from None


def parsed(instance: BaseModel, *, injected: frozenset[str] = frozenset(), tool: str) -> Parsed:
    """The dump of a validated instance, and the values that a default factory made up."""
    try:
        snapshot = {name: dump(value) for name, value in _fields(instance) if name not in injected}
    except (PydanticSerializationError, TypeError, ValueError, RecursionError):
        raise InvalidArguments([("", "an argument has no JSON form")], tool=tool) from None
    filled = {
        _key(type(instance), name): snapshot[name]
        for name, field in type(instance).model_fields.items()
        if field.default_factory is not None and name not in instance.model_fields_set and name in snapshot
    }
    return Parsed(snapshot=snapshot, filled=filled)


def dump(value: Any) -> Any:
    """The JSON-ready form of one parsed value."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, SecretBytes):
        return to_jsonable_python(value.get_secret_value(), bytes_mode="base64")
    if isinstance(value, BaseModel):
        return {name: dump(inner) for name, inner in _fields(value)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: dump(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {_dict_key(key): dump(inner) for key, inner in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted((dump(inner) for inner in value), key=canonical_json)
    if isinstance(value, (list, tuple)):
        return [dump(inner) for inner in value]
    return to_jsonable_python(value, bytes_mode="base64")


def _fields(instance: BaseModel) -> list[tuple[str, Any]]:
    extra = instance.__pydantic_extra__ or {}
    return [*((name, getattr(instance, name)) for name in type(instance).model_fields), *extra.items()]


def _dict_key(key: Any) -> str:
    """Keys of another type are told apart from the text that looks like them."""
    return key if isinstance(key, str) else f"{type(key).__name__}:{to_jsonable_python(key)}"


def _key(model: type[BaseModel], name: str) -> str:
    """The name under which the field is given in arguments."""
    field = model.model_fields[name]
    alias = field.validation_alias
    return alias if isinstance(alias, str) else name


def _problems(error: ValidationError) -> list[tuple[str, str]]:
    return [
        (".".join(str(step) for step in problem["loc"]), _rule(problem["type"], problem.get("ctx")))
        for problem in error.errors(include_url=False, include_input=False)
    ]


def _rule(kind: str, context: Mapping[str, Any] | None) -> str:
    """Pydantic's name of the rule with its bounds; a validator's own message may hold the value, so it is left out."""
    bounds = {
        name: value
        for name, value in (context or {}).items()
        if name != "error" and isinstance(value, (int, float, str)) and kind not in _TALKATIVE
    }
    return kind + (f" ({', '.join(f'{name}={value}' for name, value in bounds.items())})" if bounds else "")


_TALKATIVE = frozenset(
    {"value_error", "assertion_error", "json_invalid", "union_tag_invalid", "datetime_parsing", "url_parsing"}
)
