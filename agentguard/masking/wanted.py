"""What a tool's JSON Schema takes at one place, as far as it says: enough to tell whether a token could stand there.

Rules:
- references are followed, `anyOf`, `oneOf` and the types of a list of types are alternatives, `allOf` is all of its parts together;
- what the schema does not say is taken; a format that is not known here says nothing;
- patterns are RE2's, so a schema from elsewhere can't hang the process; a pattern that RE2 does not know takes no token.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import re2

from agentguard.model.record import Json

_STEPS = 256
"""So many compositions are opened at one place; a schema that has more of them is taken to say nothing."""

LONGEST_TOKEN = 37
"""Characters: a word of 24, ten more, and what stands around them."""

_COMPOSED = frozenset({"$ref", "allOf", "anyOf", "oneOf"})
_OF_PARTS = ("properties", "additionalProperties", "items", "prefixItems")

Schema = Mapping[str, Any]


class Wanted(NamedTuple):
    """One place in the arguments: the alternatives that its schema gives, references followed. None at all: anything goes."""

    root: Schema
    alternatives: tuple[Schema, ...] = ()

    @classmethod
    def of(cls, schema: Schema) -> Wanted:
        """The arguments as a whole."""
        return cls(schema, _alternatives(schema, schema))

    def key(self, name: str) -> Wanted:
        """What stands under a key; lists on the way are looked through."""
        found: list[Schema] = []
        for each in self._items().alternatives:
            named = each.get("properties")
            inner = (
                named.get(name) if isinstance(named, Mapping) and name in named else each.get("additionalProperties")
            )
            if isinstance(inner, Mapping):
                found += _alternatives(inner, self.root)
        return Wanted(self.root, tuple(found))

    def item(self, index: int) -> Wanted:
        """What stands in a list."""
        found: list[Schema] = []
        for each in self.alternatives:
            first = _parts(each, "prefixItems") if "prefixItems" in each else []
            inner = first[index] if index < len(first) else each.get("items")
            if isinstance(inner, Mapping):
                found += _alternatives(inner, self.root)
        return Wanted(self.root, tuple(found))

    def at(self, path: Sequence[str]) -> Wanted:
        """What stands at a path of keys, the values in a list where it ends in one."""
        place = self
        for name in path:
            place = place.key(name)
        return place._items()

    @property
    def tells_of_parts(self) -> bool:
        """Whether anything is said of what stands inside."""
        return any(not isinstance(each.get(word, True), bool) for each in self.alternatives for word in _OF_PARTS)

    @property
    def takes_any_text(self) -> bool:
        """Whether free text may stand here, a token of any length among it."""
        return not self.alternatives or any(map(_takes_any_text, self.alternatives))

    def takes(self, value: Json) -> bool:
        """Whether the schema says nothing against a plain value here. What is no JSON Schema says nothing."""
        try:
            return not self.alternatives or any(_takes(each, value) for each in self.alternatives)
        except (TypeError, ValueError):
            return True

    def _items(self) -> Wanted:
        """With each list replaced by what stands in it."""
        if not any("items" in each or "prefixItems" in each for each in self.alternatives):
            return self
        plain = [each for each in self.alternatives if each.get("type") != "array"]
        inner = [schema for number in range(4) for schema in self.item(number).alternatives]
        return Wanted(self.root, (*plain, *inner))


def _alternatives(schema: Schema, root: Schema) -> tuple[Schema, ...]:
    """The alternatives of a schema. A schema that goes in circles, or on and on, is left unread: it says nothing."""
    pending, found = [schema], list[Schema]()
    for _ in range(_STEPS):
        if not pending:
            return tuple(found)
        opened = _opened(pending.pop(0), root)
        if len(opened) == 1 and _is_plain(opened[0]):
            found += opened
        else:
            pending += opened
    return ()


def _is_plain(schema: Schema) -> bool:
    return _COMPOSED.isdisjoint(schema) and not isinstance(schema.get("type"), list)


def _opened(schema: Schema, root: Schema) -> list[Schema]:
    """The schema without its outermost composition: what it refers to, its alternatives, or all of its parts together."""
    if "$ref" in schema:
        meant = _referred(schema["$ref"], root)
        return [] if meant is None else [{**meant, **_without(schema, "$ref")}]
    if "allOf" in schema:
        merged: dict[str, Any] = {}
        for part in _parts(schema, "allOf"):
            meant = _referred(part["$ref"], root) if "$ref" in part else part
            merged |= meant or {}
        return [{**merged, **_without(schema, "allOf")}]
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return [{**_without(schema, word), **part} for part in _parts(schema, word)]
    kinds = schema.get("type")
    return [{**schema, "type": kind} for kind in kinds] if isinstance(kinds, list) else [schema]


def _parts(schema: Schema, word: str) -> list[Schema]:
    parts = schema[word]
    return [part for part in parts if isinstance(part, Mapping)] if isinstance(parts, list) else []


def _without(schema: Schema, word: str) -> Schema:
    return {key: value for key, value in schema.items() if key != word}


def _referred(reference: object, root: Schema) -> Schema | None:
    if reference == "#":
        return root
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    found: Any = root
    for step in reference[2:].split("/"):
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else None


def _takes(schema: Schema, value: Json) -> bool:
    kind = schema.get("type")
    if kind is not None and not _is_a(kind, value):
        return False
    if "const" in schema and schema["const"] != value:
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if isinstance(value, str):
        return _takes_text(schema, value)
    return isinstance(value, bool) or not isinstance(value, (int, float)) or _takes_number(schema, value)


def _is_a(kind: str, value: Json) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
        case "object":
            return isinstance(value, Mapping)
        case _:
            return isinstance(value, list)


def _takes_text(schema: Schema, text: str) -> bool:
    if not schema.get("minLength", 0) <= len(text) <= schema.get("maxLength", math.inf):
        return False
    form = _FORMATS.get(str(schema.get("format")))
    if form is not None and form.fullmatch(text) is None:
        return False
    if "pattern" not in schema:
        return True
    pattern = _pattern(str(schema["pattern"]))
    return pattern is not None and pattern.search(text) is not None


def _takes_any_text(schema: Schema) -> bool:
    longest = schema.get("maxLength", LONGEST_TOKEN)
    return (
        schema.get("type", "string") == "string"
        and {"enum", "const", "pattern"}.isdisjoint(schema)
        and str(schema.get("format")) not in _FORMATS
        and (not isinstance(longest, int) or longest >= LONGEST_TOKEN)
    )


def _takes_number(schema: Schema, number: int | float) -> bool:
    return (
        schema.get("minimum", -math.inf) <= number <= schema.get("maximum", math.inf)
        and schema.get("exclusiveMinimum", -math.inf) < number < schema.get("exclusiveMaximum", math.inf)
        and ("multipleOf" not in schema or number % schema["multipleOf"] == 0)
    )


@lru_cache(maxsize=256)
def _pattern(text: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        return re2.compile(text, options)
    except re2.error:
        return None


_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DAY, _CLOCK = r"\d{4}-\d\d-\d\d", r"\d\d:\d\d(?::\d\d(?:\.\d+)?)?"
_ZONE = r"(?:[Zz]|[+-]\d\d:?\d\d)?"
_EMAIL, _URI = r"[^\s@\[\]<>]+@[^\s@\[\]<>]+", r"[A-Za-z][A-Za-z0-9+.-]*:[^\s\[\]<>]+"
_UUID = r"(?:[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}|[0-9A-Fa-f]{32})"
_FORMATS = {
    name: re.compile(form)
    for names, form in {
        "email idn-email name-email": _EMAIL,
        "uri url iri uri-reference multi-host-uri": _URI,
        "hostname idn-hostname": _HOST,
        "date": _DAY,
        "date-time": rf"{_DAY}[T ]{_CLOCK}{_ZONE}",
        "time": rf"{_CLOCK}{_ZONE}",
        "duration": r"-?P[0-9DTHMSWY.]+",
        "uuid uuid8": _UUID,
        "phone": r"\+?[0-9 ().\-/]{5,25}",
        "ipv4": r"\d{1,3}(?:\.\d{1,3}){3}",
        "ipv6 ipvanyaddress ipvanynetwork ipvanyinterface ipv4network ipv6network": r"[0-9A-Fa-f:./]+",
        **{
            f"uuid{version}": rf"[0-9A-Fa-f]{{8}}-[0-9A-Fa-f]{{4}}-{version}[0-9A-Fa-f]{{3}}-[0-9A-Fa-f-]{{17}}"
            for version in (1, 3, 4, 5, 6, 7)
        },
    }.items()
    for name in names.split()
}
"""What the formats let pass, roughly: the tool's own validation is the judge."""
