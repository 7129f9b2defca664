"""A tool of the OpenAI Agents SDK as the guard sees it.

The SDK runs a tool with the model's own JSON text, and each tool reads that by itself. So the guard reads it by the same signature to judge
it, and gives the tool the text of what was judged, to read again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from agents import FunctionTool
from agents.function_schema import function_schema
from pydantic import BaseModel

from agentguard.integrations.functions import must_have_no_gate
from agentguard.integrations.parsing import parsed, validate
from agentguard.model.calls import Parsed


@dataclass(frozen=True)
class AgentsTool:
    """What the guard must know of a tool."""

    tool: FunctionTool

    def __post_init__(self) -> None:
        must_have_no_gate(getattr(self.tool, "__wrapped__", None))

    @property
    def name(self) -> str:
        """The tool's name."""
        return self.tool.name

    @property
    def description(self) -> str:
        """The tool's description."""
        return self.tool.description

    @property
    def schema(self) -> Mapping[str, Any]:
        """JSON Schema of the arguments."""
        return self.tool.params_json_schema

    @cached_property
    def model(self) -> type[BaseModel] | None:
        """What validates the arguments, where the tool is a function; any other tool (MCP, an agent, one made by hand) does so unseen."""
        try:
            function: Any = self.tool.__wrapped__
        except AttributeError:
            return None
        return function_schema(function, use_docstring_info=False, strict_json_schema=False).params_pydantic_model

    def parse(self, arguments: Mapping[str, Any]) -> Parsed:
        """The arguments as the function reads them; as they are, where that can't be known. Raises InvalidArguments."""
        if self.model is None:
            return Parsed(snapshot=dict(arguments), as_given=True)
        return parsed(validate(self.model, arguments, tool=self.name), arguments, tool=self.name)
