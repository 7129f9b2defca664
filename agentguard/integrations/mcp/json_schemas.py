"""JSON Schemas that somebody else wrote, as checks that end.

Rules:
- patterns run in RE2, in time linear in the text; one that RE2 doesn't have can't be checked;
- a schema names no other document: nothing is fetched for a `$ref`;
- a schema inside is of the root's dialect, whatever its own `$schema` says;
- a check takes so much of its thread's time at most, however a schema refers to itself;
- what can't be checked is an error, also where `not` or `anyOf` stands around it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, partial
from itertools import count, islice
from typing import Any

import attrs
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend, validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from agentguard.integrations.mcp.linear_patterns import NotLinear, linear_pattern
from agentguard.masking import visible

SECONDS_MAX = 2.0
"""What one check may take of the processor; fifty thousand fields, each with a pattern, take about half of it."""

_STEPS_PER_LOOK = 128
_SHOWN = 80
_spent: ContextVar[Callable[[], None]] = ContextVar("agentguard_schema_steps")


class Uncheckable(ValueError):
    """Whether a value fits can't be told; the text says why, and holds nothing of the value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JsonSchema:
    """What checks values against one schema."""

    root: Any

    def problems(self, value: Any, limit: int) -> list[ValidationError]:
        """Where a value does not fit, so many places at most. Raises Uncheckable."""
        token = _spent.set(_allowance())
        try:
            return list(islice(self.root.iter_errors(value), limit))
        except Uncheckable:
            raise
        except Unresolvable:
            raise Uncheckable("it refers to a schema that is not in it") from None
        except RecursionError:
            raise Uncheckable("it is too deep, or refers to itself without end") from None
        except Exception as error:  # noqa: BLE001 - what no dialect describes makes the library raise anything
            raise Uncheckable(f"it has a form that no schema has ({type(error).__name__})") from None
        finally:
            _spent.reset(token)

    def is_valid(self, value: Any) -> bool:
        """Whether a value fits. Raises Uncheckable."""
        return not self.problems(value, 1)


def json_schema(schema: Mapping[str, Any]) -> JsonSchema:
    """What checks values against a schema, in the dialect that it names. Raises Uncheckable."""
    try:
        kind: Any = validator_for(schema, default=Draft202012Validator)
        kind.check_schema(schema, format_checker=None)
        root = _bounded(kind)(schema, registry=Registry())
    except (SchemaError, RecursionError, TypeError, ValueError):
        raise Uncheckable("it is none") from None
    if {"patternProperties", "unevaluatedProperties"} <= _words(schema):
        raise Uncheckable("it has both patternProperties and unevaluatedProperties")
    return JsonSchema(root=root)


@cache
def _bounded(kind: Any) -> Any:
    """A dialect whose checks end."""
    own = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": partial(_additional_properties, kind.VALIDATORS["additionalProperties"]),
    }
    bounded: Any = extend(kind, own)  # type: ignore[no-untyped-call]
    fields = [(field.alias, field.name) for field in attrs.fields(bounded) if field.init]

    def evolve(validator: Any, **changes: Any) -> Any:
        """The same check for another schema, and never of a class that an inner `$schema` names."""
        _spent.get()()
        return bounded(**{alias: getattr(validator, name) for alias, name in fields if alias not in changes}, **changes)

    bounded.evolve = evolve
    return bounded


def _allowance() -> Callable[[], None]:
    """What a check calls at each step; raises Uncheckable once its time is up."""
    until, steps = time.thread_time() + SECONDS_MAX, count(1)

    def spend() -> None:
        if next(steps) % _STEPS_PER_LOOK == 0 and time.thread_time() > until:
            raise Uncheckable(f"checking this value takes more than {SECONDS_MAX:.0f} s")

    return spend


def _pattern(validator: Any, pattern: str, instance: Any, _: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and not _is_in(pattern, instance):
        yield ValidationError("has not the form")


def _pattern_properties(validator: Any, schemas: Mapping[str, Any], instance: Any, _: Any) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    for pattern, schema in schemas.items():
        for key, value in instance.items():
            if _is_in(pattern, key):
                yield from validator.descend(value, schema, path=key, schema_path=pattern)


def _additional_properties(
    further: Any, validator: Any, wanted: Any, instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """The library's own keyword, without the fields that a pattern took."""
    patterns = schema.get("patternProperties")
    if patterns and validator.is_type(instance, "object"):
        instance = {k: v for k, v in instance.items() if not any(_is_in(pattern, k) for pattern in patterns)}
        schema = {name: value for name, value in schema.items() if name != "patternProperties"}
    yield from further(validator, wanted, instance, schema)


def _is_in(pattern: str, text: str) -> bool:
    try:
        return linear_pattern(pattern).is_in(text)
    except NotLinear:
        shown = visible(pattern if len(pattern) <= _SHOWN else f"{pattern[:_SHOWN]}...")
        raise Uncheckable(
            f"its pattern {shown} has what takes more than linear time, or is none (RE2 syntax)"
        ) from None


def _words(schema: Any) -> set[str]:
    """Each key that stands in a schema, however deep."""
    words, left = set[str](), [schema]
    while left:
        match left.pop():
            case dict(fields):
                words |= fields.keys()
                left += fields.values()
            case list(items):
                left += items
    return words
