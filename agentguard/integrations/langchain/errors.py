"""Errors of LangChain tools: which pass untouched, and the form in which the others are raised."""

from __future__ import annotations

from langchain_core.tools import ToolException

from agentguard.errors import AgentGuardError, Fault


def is_signal(error: BaseException) -> bool:
    """Whether LangGraph raised this to stop or leave a graph (`interrupt()`, a parent's Command); it is no failure of the tool."""
    return any(
        kind.__name__ == "GraphBubbleUp" and kind.__module__ == "langgraph.errors" for kind in type(error).__mro__
    )


def raisable(error: Exception, masked: BaseException) -> BaseException:
    """What to raise for a tool's `error`, given its masked form, so that the tool's own error handling still knows it.

    An error of a guarded tool inside this tool passes as it is: it holds no value.
    """
    if isinstance(masked, Fault):
        return masked
    if isinstance(error, AgentGuardError):
        return error
    if isinstance(error, ToolException) and not isinstance(masked, ToolException):
        return ToolException(str(masked))
    return masked
