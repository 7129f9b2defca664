"""Guarded copies of LangChain tools, and what `create_agent` takes of a guard."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, TypedDict

from langchain_core.tools import BaseTool, StructuredTool
from langchain_core.tools import Tool as SingleInputTool
from langchain_core.tools import tool as tool_of

from agentguard.errors import CallPending, ConfigurationError
from agentguard.guard.pipeline import Guard
from agentguard.integrations.extras import needed_from
from agentguard.integrations.functions import must_have_no_gate
from agentguard.integrations.langchain.gate import Gate, Gated, async_code, sync_code
from agentguard.integrations.langchain.tool import LangChainTool
from agentguard.integrations.names import check_names


class AgentKeywords(TypedDict):
    """What `create_agent` is given."""

    tools: list[BaseTool]
    middleware: list[Any]


def guarded(
    guard: Guard,
    tools: Iterable[BaseTool | Callable[..., Any]],
    *,
    middleware: Iterable[Any] = (),
    hold_seconds: float | None = None,
    interrupts: bool = False,
) -> AgentKeywords:
    """Keyword arguments for `create_agent(model, **guarded(guard, tools))`: guarded tools, and what masks around the model.

    `middleware`: your own, in its order; the guard hears the user's words before it, and masks after it. `hold_seconds`,
    `interrupts`: see `guard_tools`. Raises ConfigurationError, and ModuleNotFoundError without the extra `langchain`.
    """
    with needed_from("langchain"):  # tools alone need only its core
        around: Any = import_module("agentguard.integrations.langchain.middleware")
        listening: Any = import_module("agentguard.integrations.langchain.listening")
    made = guard_tools(guard, tools, hold_seconds=hold_seconds, interrupts=interrupts)
    return {"tools": made, "middleware": [listening.Listening(guard), *middleware, around.AgentGuardMiddleware(guard)]}


def guard_tools(
    guard: Guard,
    tools: Iterable[BaseTool | Callable[..., Any]],
    *,
    hold_seconds: float | None = None,
    interrupts: bool = False,
) -> list[BaseTool]:
    """A guarded copy of each tool; functions become tools as LangChain's `@tool` makes them.

    `hold_seconds`: how long a call waits for people before the model is told that it is pending; left out: until the deadline.
    `interrupts`: in place of that answer the run of LangGraph is interrupted, sleeps in its checkpoint, and goes on with the decision once
    it is resumed (`Command(resume=True)`), however often; a call then waits for nobody, unless `hold_seconds` says so.

    Raises ConfigurationError for a tool that is guarded already, runs at the provider (a dict), has no name that models can call or the
    name of another, or whose class replaces the methods that the gate stands in.
    """
    bare = [as_tool(given) for given in tools]
    check_names(tool.name for tool in bare)
    hold = 0.0 if interrupts and hold_seconds is None else hold_seconds
    gates = [
        Gate(guard=guard, seen=LangChainTool(tool), hold_seconds=hold, pause=interrupt if interrupts else None)
        for tool in bare
    ]
    made = [_guarded(gate, tool) for gate, tool in zip(gates, bare, strict=True)]
    guard.expect(*(LangChainTool(tool).call({}, None) for tool in bare))
    return made


def as_tool(given: Any) -> BaseTool:
    """A tool of LangChain's, made of a function where one is given. Raises ConfigurationError."""
    if isinstance(given, BaseTool):
        return given
    if isinstance(given, dict):
        raise ConfigurationError(
            "a tool given as a dict runs at the model's provider, where no guard can stand; leave it out"
        )
    if callable(given) and not isinstance(given, type):
        made: BaseTool = tool_of(given)
        return made
    raise ConfigurationError(f"a {type(given).__name__} is no tool; give a BaseTool or a function")


def interrupt(pending: CallPending) -> None:
    """Interrupt the run of LangGraph that this call is part of; in a run that was resumed, return."""
    from langgraph.types import interrupt as interrupted  # noqa: PLC0415 - only runs of LangGraph can be interrupted

    interrupted(
        {"pending": pending.request_id, "tool": pending.tool, "until_ms": pending.until_ms, "told": str(pending)}
    )


def _guarded(gate: Gate, tool: BaseTool) -> BaseTool:
    kind = type(tool)
    if issubclass(kind, Gated):
        raise ConfigurationError(f"tool {tool.name} is guarded already; give guard_tools the bare tool")
    for method in ("invoke", "ainvoke", "run", "arun"):
        if not getattr(kind, method).__module__.startswith("langchain_core."):
            raise ConfigurationError(
                f"tool {tool.name}: {kind.__name__} replaces {method}(), where the gate must stand; implement _run or _arun"
            )
    copy = tool.model_copy(update=_gated_code(gate, tool))
    object.__setattr__(copy, "__class__", _gated_kind(gate, kind))  # the fields are those of the class it had
    return copy


def _gated_code(gate: Gate, tool: BaseTool) -> dict[str, Any]:
    """The functions that the tool was made of, so that nobody runs them past the gate."""
    if not isinstance(tool, (StructuredTool, SingleInputTool)):
        return {}
    functions = {"func": tool.func, "coroutine": tool.coroutine}
    for function in functions.values():
        must_have_no_gate(function)
    return {name: gate.code(function) for name, function in functions.items() if function is not None}


def _gated_kind(gate: Gate, kind: type[BaseTool]) -> type[BaseTool]:
    """A subclass of the tool's class, by the same name, for this one tool."""
    members = {
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__doc__": kind.__doc__,
        "_run": sync_code(kind._run),
        "_arun": async_code(kind._run, kind._arun),
    }
    metaclass: Any = type(kind)
    made: type[BaseTool] = metaclass(kind.__name__, (Gated, kind), members)
    made.gate_ = gate  # type: ignore[attr-defined]
    return made
