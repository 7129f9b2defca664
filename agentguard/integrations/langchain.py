"""LangChain tools behind a guard.

`guard_tools(guard, tools)` gives a copy of each tool that is still an instance of its class, with the same name, description,
schema, injected arguments, artifact, `return_direct`, tags, metadata and callbacks, sync and async. `guarded(guard, tools)` gives
`create_agent` its `tools=`, and a middleware where a condition asks what the user wrote. The gate stands in the tool itself: no
middleware, executor or direct call gets around it, and none can change the arguments after they were approved.

A refused call is an error result that the model reads; `agentguard.integrations.answers` says what is raised instead. Called without an
id of the call, as `tool.invoke({"x": 1})`, a tool gives the text of that result.

LangGraph strips injected arguments that a model forges. Who calls a tool without it, `tool.invoke(message.tool_calls[0])`, fills injected
arguments himself, as without a guard, and must drop what the model put there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Any, NotRequired, TypedDict

from langchain_core.tools import BaseTool, StructuredTool
from langchain_core.tools import Tool as SingleInputTool
from langchain_core.tools import tool as tool_of

from agentguard.errors import ConfigurationError
from agentguard.guard.pipeline import Guard
from agentguard.integrations.langchain_gate import Gate, Gated, async_code, sync_code
from agentguard.integrations.langchain_tools import LangChainTool
from agentguard.integrations.names import check_names
from agentguard.policy import Need

__all__ = ["AgentKeywords", "guard_tools", "guarded"]


class AgentKeywords(TypedDict):
    """What `create_agent` is given."""

    tools: list[BaseTool]
    middleware: NotRequired[list[Any]]


def guarded(
    guard: Guard, tools: Iterable[BaseTool | Callable[..., Any]], *, middleware: Sequence[Any] = ()
) -> AgentKeywords:
    """Keyword arguments for `create_agent(model, **guarded(guard, tools))`. Raises ConfigurationError.

    Where a condition asks what the user wrote, there is a middleware among them that tells the guard; give your own as `middleware`.
    """
    given: AgentKeywords = {"tools": guard_tools(guard, tools)}
    if Need.SAID in guard.policy.kept:
        listening: Any = import_module(
            "agentguard.integrations.langchain_listening"
        )  # needs langchain, the rest only its core
        given["middleware"] = [listening.Listening(guard), *middleware]
    elif middleware:
        given["middleware"] = list(middleware)
    return given


def guard_tools(guard: Guard, tools: Iterable[BaseTool | Callable[..., Any]]) -> list[BaseTool]:
    """A guarded copy of each tool; functions become tools as LangChain's `@tool` makes them.

    Raises ConfigurationError for a tool that is guarded already, runs at the provider (a dict), has no name that models can call or the
    name of another, or whose class replaces the methods that the gate stands in.
    """
    bare = [as_tool(given) for given in tools]
    check_names(tool.name for tool in bare)
    made = [_guarded(guard, tool) for tool in bare]
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


def _guarded(guard: Guard, tool: BaseTool) -> BaseTool:
    kind = type(tool)
    if issubclass(kind, Gated):
        raise ConfigurationError(f"tool {tool.name} is guarded already; give guard_tools the bare tool")
    for method in ("invoke", "ainvoke", "run", "arun"):
        if not getattr(kind, method).__module__.startswith("langchain_core."):
            raise ConfigurationError(
                f"tool {tool.name}: {kind.__name__} replaces {method}(), where the gate must stand; implement _run or _arun"
            )
    gate = Gate(guard=guard, seen=LangChainTool(tool))
    copy = tool.model_copy(update=_gated_code(gate, tool))
    object.__setattr__(copy, "__class__", _gated_kind(gate, kind))  # the fields are those of the class it had
    return copy


def _gated_code(gate: Gate, tool: BaseTool) -> dict[str, Any]:
    """The functions that the tool was made of, so that nobody runs them past the gate."""
    if not isinstance(tool, (StructuredTool, SingleInputTool)):
        return {}
    functions = {"func": tool.func, "coroutine": tool.coroutine}
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
