"""A LangChain tool as the guard sees it, and one call of it.

Rules:
- the arguments are those of the model; what LangChain or the caller injects is no part of them, nor of the schema;
- the tool's own parsing judges them, LangChain's whole way, injected arguments in place;
- what that parsing gave is what runs: the snapshot is its dump, and it is not parsed a second time.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from langchain_core.tools import BaseTool, ToolException
from langchain_core.tools import Tool as SingleInputTool
from pydantic import BaseModel, ValidationError
from pydantic.v1 import BaseModel as BaseModelV1

from agentguard.errors import CallRefused, ConfigurationError, InvalidArguments, RefusalReason
from agentguard.guard.permit import Permit
from agentguard.integrations.parsing import invalid, parsed_values
from agentguard.model.calls import Parsed, ToolCall
from agentguard.model.canonical import canonical_json

SINGLE_INPUT = "__arg1"
"""The name under which models give the one argument of a tool that has no schema."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """The message of the model's that a call stands in: what its calls share, and what it says beside them."""

    id: str
    says: str


in_turn: ContextVar[Turn | None] = ContextVar("agentguard_langchain_turn", default=None)
"""The message whose call runs here, where an agent's middleware knows it."""


@dataclass(frozen=True)
class LangChainTool:
    """What the guard must know of a tool."""

    tool: BaseTool

    def __post_init__(self) -> None:
        schema = self.tool.args_schema
        if isinstance(schema, type) and issubclass(schema, BaseModelV1):
            raise ConfigurationError(
                f"tool {self.tool.name}: args_schema is a model of pydantic.v1; make it a pydantic.BaseModel"
            )

    @cached_property
    def injected(self) -> frozenset[str]:
        """The names of arguments that the model does not give."""
        schema = self.tool.args_schema
        names = set(schema.model_fields) if isinstance(schema, type) and issubclass(schema, BaseModel) else set()
        for code in (self.tool._run, self.tool._arun, _code(self.tool, "func"), _code(self.tool, "coroutine")):
            names |= set(inspect.signature(code).parameters) if code is not None else set()
        return frozenset(names) - self.tool._filter_injected_args(dict.fromkeys(names)).keys()

    @cached_property
    def schema(self) -> Mapping[str, Any]:
        """JSON Schema of the model's arguments."""
        if self._single_input:
            return {"type": "object", "properties": {SINGLE_INPUT: {"type": "string"}}, "required": [SINGLE_INPUT]}
        schema: Any = self.tool.tool_call_schema
        found: dict[str, Any] = schema if isinstance(schema, dict) else schema.model_json_schema()
        return found

    def call(self, tool_input: str | Mapping[str, Any], tool_call_id: str | None) -> Invocation:
        """One call, its arguments parted from what was injected."""
        given = {self._first: tool_input} if isinstance(tool_input, str) else dict(tool_input)
        arguments = {name: value for name, value in given.items() if name not in self.injected}
        injected = {name: value for name, value in given.items() if name in self.injected}
        if self._single_input and len(arguments) == 1:
            arguments = {SINGLE_INPUT: next(iter(arguments.values()))}
        return Invocation(seen=self, arguments=arguments, injected=injected, tool_call_id=tool_call_id)

    @cached_property
    def model(self) -> type[BaseModel] | None:
        """The model that validates the arguments, if one does."""
        schema = self.tool.args_schema
        return schema if isinstance(schema, type) and issubclass(schema, BaseModel) else None

    @property
    def _single_input(self) -> bool:
        return isinstance(self.tool, SingleInputTool) and self.tool.args_schema is None

    @cached_property
    def _first(self) -> str:
        """The argument that a bare string stands for."""
        if isinstance(self.tool.args_schema, dict):
            raise TypeError(f"tool {self.tool.name}: a string can't fill its JSON schema; give a dict")
        return SINGLE_INPUT if self._single_input else next(iter(self.tool.args), SINGLE_INPUT)


@dataclass(kw_only=True)
class Invocation:
    """One call of a tool, on its way: a `Tool` for this call alone, since its parsing takes what was injected."""

    seen: LangChainTool
    arguments: dict[str, Any]
    injected: dict[str, Any]
    tool_call_id: str | None
    _ready: tuple[tuple[Any, ...], dict[str, Any]] = field(default=((), {}))
    _snapshot: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The tool's name."""
        return self.seen.tool.name

    @property
    def description(self) -> str:
        """The tool's description."""
        return self.seen.tool.description

    @property
    def schema(self) -> Mapping[str, Any]:
        """JSON Schema of the arguments."""
        return self.seen.schema

    @property
    def call(self) -> ToolCall:
        """What the model asked for."""
        turn = in_turn.get() or Turn(id="", says="")
        return ToolCall(tool=self.name, arguments=self.arguments, id=self.tool_call_id, says=turn.says, turn=turn.id)

    def parse(self, arguments: Mapping[str, Any]) -> Parsed:
        """The arguments after LangChain's parsing, kept for the run. Raises InvalidArguments."""
        args, kwargs = self._ready = self._parsed_by_langchain({**arguments, **self.injected})
        values = {self._only(arguments): args[0]} if args else kwargs
        own = [(name, value) for name, value in values.items() if name not in self.seen.injected]
        parsed = parsed_values(self.seen.model, own, arguments, tool=self.name)
        self._snapshot = parsed.snapshot
        return parsed

    def ready(self, permit: Permit) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What to run the tool with under this permit: the parsing that it was judged by. Raises CallRefused."""
        if canonical_json(self._snapshot) != permit.snapshot.text:
            raise CallRefused(
                RefusalReason.STALE, "stale: the arguments changed. The call did not run.", tool=self.name
            )
        args, kwargs = self._ready
        return args, dict(kwargs)

    def _parsed_by_langchain(self, given: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        try:
            return self.seen.tool._to_args_and_kwargs(given, self.tool_call_id)
        except ValidationError as error:
            raise invalid(error, tool=self.name) from None
        except ToolException:
            raise InvalidArguments([("", "takes exactly one argument")], tool=self.name) from None

    def _only(self, arguments: Mapping[str, Any]) -> str:
        return next(iter(arguments), self.seen._first)


def _code(tool: BaseTool, name: str) -> Any:
    """The function or coroutine function that a tool was made of, if it was."""
    found = getattr(tool, name, None)
    return found if callable(found) else None
