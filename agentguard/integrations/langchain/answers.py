"""What the model is told of a call of a LangChain tool that did not run, in the form that LangChain gives errors of tools."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool
from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from agentguard.errors import InvalidArguments
from agentguard.integrations.answers import Unrun, answer


def refused(tool: BaseTool, refusal: Unrun, tool_call_id: str | None) -> Any:
    """The error result for the model: a message where LangChain knows the call's id, else its text."""
    content = _validation_answer(tool, refusal) if isinstance(refusal, InvalidArguments) else answer(refusal)
    if tool_call_id is None:
        return content
    return ToolMessage(content, name=tool.name, tool_call_id=tool_call_id, status="error")


def _validation_answer(tool: BaseTool, refusal: InvalidArguments) -> str:
    """The tool's own words where it has some; its handler gets paths and rules, and no value."""
    handler = tool.handle_validation_error
    if isinstance(handler, str):
        return handler
    if not callable(handler):
        return answer(refusal)
    lines = [
        InitErrorDetails(type=PydanticCustomError("agentguard", "{rule}", {"rule": rule}), loc=(path,), input=None)
        for path, rule in refusal.problems
    ]
    return handler(ValidationError.from_exception_data(tool.name, lines, hide_input=True))
