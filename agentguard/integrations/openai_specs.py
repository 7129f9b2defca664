"""What OpenAI's models are told of a tool."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from openai import pydantic_function_tool
from openai.types.shared_params import FunctionDefinition

from agentguard.integrations.functions import FunctionTool
from agentguard.masking import TOKEN_PATTERN, Wanted, takes_placeholder
from agentguard.policy import Reveal


def function_definition(tool: FunctionTool, *, reveals: Iterable[Reveal] = ()) -> FunctionDefinition:
    """The function with a strict schema: the API holds the model to it, and every parameter is given.

    `reveals`: where the tool gets values in place of tokens. Where such a parameter takes neither a token nor a stand-in (one of a few
    words, a pattern of its own), the schema lets the model write a token.
    Where strictness can't be had (a dict with any keys, a parameter of any type), the plain schema, with `strict` off.
    """
    strict: dict[str, Any] = copy.deepcopy(dict(pydantic_function_tool(tool.model)["function"]["parameters"]))
    let_tokens_in(strict, reveals)
    closed = all(_is_closed(part) for part in _subschemas(strict))
    return {
        "name": tool.name,
        "description": tool.description,
        "parameters": _without_defaults(strict) if closed else dict(tool.schema),
        "strict": closed,
    }


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


def _subschemas(schema: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The schema and all schemas in it. Its size is that of a function's signature."""
    pending: list[Any] = [schema]
    while pending:
        part = pending.pop()
        if not isinstance(part, dict):
            continue
        yield part
        for name in ("properties", "$defs"):
            pending += part.get(name, {}).values()
        for name in ("anyOf", "allOf", "oneOf", "prefixItems"):
            pending += part.get(name, [])
        pending += [part.get("items")]


def _is_closed(schema: Mapping[str, Any]) -> bool:
    """Whether the API takes this part as strict: a known type, and no keys but those that are named."""
    known = any(name in schema for name in ("type", "anyOf", "allOf", "$ref", "enum", "const"))
    open_object = schema.get("type") == "object" and schema.get("additionalProperties") is not False
    open_array = schema.get("type") == "array" and not schema.get("items")
    return known and not (open_object or open_array or "oneOf" in schema or "prefixItems" in schema)


def _without_defaults(schema: dict[str, Any]) -> dict[str, Any]:
    """A strict schema has no defaults; they are told in words, so that the model knows what is usual."""
    for part in _subschemas(schema):
        if "default" in part:
            usual = f"Usually {part.pop('default')!r}."
            part["description"] = f"{part['description']} {usual}" if part.get("description") else usual
    return schema
