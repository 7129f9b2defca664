"""The tools that calls are admitted for: what the guard needs of one that it runs itself, and which names it takes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import Any, Protocol

from agentguard.errors import ConfigurationError
from agentguard.model.calls import Tool, ToolCall
from agentguard.policy.patterns import is_tool_name


class RunnableTool(Tool, Protocol):
    """A tool that the guard can run itself."""

    def __call__(self, arguments: Any, /) -> Awaitable[Any]:
        """Run with what its parsing kept (`Parsed.ready`), or with a dict to parse; injected arguments are the tool's own business."""
        ...


class StreamingTool(Tool, Protocol):
    """A tool that gives its result in pieces of text."""

    def stream(self, arguments: Any, /) -> AsyncIterator[str]:
        """Run with what its parsing kept, or with a dict to parse."""
        ...


def check_names(call: ToolCall, tool: Tool) -> None:
    """Raise where the call is for another tool than the one that would run, or the name is none that a model can write."""
    if not hasattr(tool, "parse"):
        raise ConfigurationError(
            "a bare function is no tool; wrap it: agentguard.integrations.functions.FunctionTool.of(function)"
        )
    if call.tool != tool.name:
        raise ConfigurationError(
            "the call names another tool than the one that would run; look the tool up by the call's name"
        )
    if not is_tool_name(tool.name):
        raise ConfigurationError("a tool's name is 1 to 64 of a-z A-Z 0-9 _ -; rename the tool")
