"""One tool of an MCP server, as the guard and the client see it.

Rules:
- arguments are held against the schema that the server listed; a refusal names the path and the keyword, never the value;
- so is what the server gives, against its output schema; what can't be checked is refused;
- a description or schema with characters that nobody sees is listed with them written out;
- the schema that a client gets lets a token stand where the tool gets the value for it, if nothing else could stand there;
- a masked value keeps the type and the format that the output schema wants; only where nothing of ours can (a choice of words, a pattern of
  its own), the schema that a client gets lets text stand too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import mcp_types as types
from jsonschema.exceptions import ValidationError

from agentguard.errors import InvalidArguments
from agentguard.integrations.mcp.json_schemas import JsonSchema, Uncheckable, json_schema
from agentguard.integrations.token_places import let_tokens_in
from agentguard.masking import keeps_form, visible
from agentguard.model.calls import Parsed, Returns
from agentguard.model.paths import told_path, told_step
from agentguard.model.record import Json
from agentguard.policy import Reveal

_PROBLEMS_MAX = 5
_NARROWING = frozenset(
    {"const", "enum", "format", "pattern", "minLength", "maxLength", "minimum", "maximum", "multipleOf"}
)
_NUMBERS = frozenset({"integer", "number"})


@dataclass(frozen=True, kw_only=True)
class McpTool:
    """A tool as the server listed it. `changed`: it says something else than when it was first seen. `reveals`: where it gets values."""

    listed: types.Tool
    changed: bool = False
    reveals: tuple[Reveal, ...] = ()

    @property
    def name(self) -> str:
        """What the model calls it by."""
        return self.listed.name

    @property
    def description(self) -> str:
        """What the server says of it."""
        return self.listed.description or ""

    @property
    def schema(self) -> Mapping[str, Any]:
        """The JSON Schema of its arguments, as the server listed it."""
        return self.listed.input_schema

    @cached_property
    def besides(self) -> Mapping[str, Any]:
        """What else a client is shown of it: titles, and the schema of its results."""
        return besides(self.listed)

    def parse(self, arguments: Mapping[str, Any]) -> Parsed:
        """The arguments, held against the schema. Raises InvalidArguments."""
        given = dict(arguments)
        try:
            problems = [_problem(error) for error in self._wanted.problems(given, _PROBLEMS_MAX)]
        except Uncheckable as why:
            raise InvalidArguments(
                [("", f"can't be held against the schema that the server lists: {why}")], tool=self.name
            ) from None
        if problems:
            raise InvalidArguments(problems, tool=self.name)
        return Parsed(snapshot=given, as_given=True)

    def check_given(self, structured: Any) -> None:
        """Hold what the server gave against the output schema that it listed. Raises ValueError."""
        try:
            fits = self._promised is None or self._promised.is_valid(structured)
        except Uncheckable as why:
            raise ValueError(f"the result can't be held against the tool's output schema: {why}") from None
        if not fits:
            raise ValueError("the result does not fit the tool's output schema")

    def fits(self, structured: Any) -> bool:
        """Whether a masked result is one that a client accepts."""
        try:
            return self._accepted is None or self._accepted.is_valid(structured)
        except Uncheckable:
            return False

    @property
    def returns(self) -> Returns | None:
        """What its results are: the schema speaks of what is structured in them."""
        return None if self.listed.output_schema is None else Returns(self.listed.output_schema, "structuredContent")

    @cached_property
    def output_schema(self) -> dict[str, Any] | None:
        """The schema of results as a client gets it."""
        return None if self.listed.output_schema is None else with_text(_visible(self.listed.output_schema))

    @cached_property
    def shown(self) -> types.Tool:
        """The tool as a client gets it."""
        plain = self.listed.model_dump(by_alias=True, mode="json", exclude_none=True, exclude={"output_schema"})
        shown = types.Tool.model_validate(_visible(plain))
        let_tokens_in(shown.input_schema, self.reveals)
        return shown.model_copy(update={"output_schema": self.output_schema})

    @cached_property
    def _wanted(self) -> JsonSchema:
        return json_schema(self.schema)

    @cached_property
    def _accepted(self) -> JsonSchema | None:
        return None if self.output_schema is None else json_schema(self.output_schema)

    @cached_property
    def _promised(self) -> JsonSchema | None:
        return None if self.listed.output_schema is None else json_schema(self.listed.output_schema)


def besides(tool: types.Tool) -> dict[str, Json]:
    """What else a client is shown of a tool, which may reach a model too."""
    annotated = tool.annotations.title if tool.annotations else None
    shown = {"title": tool.title, "annotated title": annotated, "output schema": tool.output_schema}
    return {name: said for name, said in shown.items() if said is not None}


def with_text(schema: Any) -> Any:
    """The same JSON Schema, with text allowed wherever what is masked would not fit."""
    if isinstance(schema, list):
        return [with_text(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {
        key: _each(value, key) if key in _CHILDREN else with_text(value) if key in _SCHEMAS else value
        for key, value in schema.items()
    }
    return {"anyOf": [inner, {"type": "string"}]} if _is_narrow(inner) else inner


def _each(value: Any, key: str) -> Any:
    return {name: with_text(each) for name, each in value.items()} if isinstance(value, dict) else with_text(value)


_CHILDREN = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_SCHEMAS = frozenset({"items", "prefixItems", "additionalProperties", "anyOf", "oneOf", "allOf", "contains"})


def _is_narrow(schema: Mapping[str, Any]) -> bool:
    """Whether a masked value may not fit: a number or text of a form that no stand-in has."""
    kinds = schema.get("type")
    named = {kinds} if isinstance(kinds, str) else set(kinds or ())
    if "object" in named or "array" in named:
        return False
    return (bool(named & _NUMBERS) or not _NARROWING.isdisjoint(schema)) and not keeps_form(schema)


def _problem(error: ValidationError) -> tuple[str, str]:
    """Where, and which keyword of the schema: never the message, which holds the value."""
    path = told_path(error.absolute_path)
    wanted: Any = error.validator_value
    match error.validator:
        case "required":
            given: Any = error.instance
            missing = [told_step(name) for name in wanted if name not in given]
            return path, f"{', '.join(missing)} is missing"
        case "additionalProperties":
            return path, "an argument that the tool doesn't have"
        case "type":
            return path, f"is no {wanted}"
        case keyword:
            return path, f"does not fit the schema's {keyword}"


def _visible(value: Any) -> Any:
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, list):
        return [_visible(each) for each in value]
    if isinstance(value, dict):
        return {visible(key): _visible(each) for key, each in value.items()}
    return value
