"""Where a model must be let write a token: where the tool gets the value, and its schema takes nothing that stands for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from agentguard.masking import TOKEN_PATTERN, Wanted, takes_placeholder
from agentguard.policy import Reveal


def let_tokens_in(schema: dict[str, Any], reveals: Iterable[Reveal]) -> None:
    """Let the model write a token where the tool gets a value for it, if it could write nothing else that stands for one."""
    for reveal in reveals:
        _let_in(schema, reveal)


def _let_in(schema: dict[str, Any], reveal: Reveal) -> None:
    path = reveal.parameter.split(".")
    place = Wanted.of(schema).at(path)
    if all(takes_placeholder(place.takes, entity_type) for entity_type in reveal.entity_types):
        return
    for holder in _holders(schema, path[:-1]):
        inner = holder["properties"].get(path[-1])
        while isinstance(inner, dict) and isinstance(inner.get("items"), dict):
            inner = inner["items"]
        if isinstance(inner, dict):
            plain = dict(inner)
            inner.clear()
            inner["anyOf"] = [plain, {"type": "string", "pattern": TOKEN_PATTERN}]


def _holders(schema: dict[str, Any], path: list[str]) -> list[dict[str, Any]]:
    """The parts of a schema that stand at a path of keys: objects, looked for through references, alternatives and lists."""
    found = _objects(schema, schema)
    for name in path:
        found = [
            inner
            for each in found
            if name in each.get("properties", {})
            for inner in _objects(each["properties"][name], schema)
        ]
    return found


def _objects(part: dict[str, Any], root: dict[str, Any]) -> list[dict[str, Any]]:
    pending, found = [part], list[dict[str, Any]]()
    for _ in range(_MOST_PARTS):
        if not pending:
            break
        each = pending.pop()
        if "$ref" in each:
            pending.append(root.get("$defs", {}).get(each["$ref"].rpartition("/")[2], {}))
        elif "properties" in each:
            found.append(each)
        else:
            pending += [inner for word in ("anyOf", "allOf") for inner in each.get(word, [])]
            pending += [each["items"]] if isinstance(each.get("items"), dict) else []
    return found


_MOST_PARTS = 64
