"""What OpenAI's models are told of a tool."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from openai import pydantic_function_tool
from openai.types.shared_params import FunctionDefinition

from agentguard.integrations.functions import FunctionTool
from agentguard.integrations.token_places import let_tokens_in
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
