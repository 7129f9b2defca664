"""The tools of a list in Python, as the guard sees them: `module:name` of a list, or of a function that gives one.

LangChain's tools, functions (which become such) and function tools of the OpenAI Agents SDK.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

from langchain_core.tools import BaseTool

from agentguard.errors import ConfigurationError
from agentguard.integrations.langchain.guarding import as_tool
from agentguard.integrations.langchain.tool import LangChainTool
from agentguard.model.listings import Hints, Listing


def listed(name: str) -> list[Listing]:
    """Every tool of the list at `module:name`. Raises ConfigurationError."""
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise ConfigurationError(f"--tools: {name!r} is no module:name; write such as shop.tools:TOOLS")
    try:
        found = getattr(import_module(module), attribute)
    except ImportError as error:
        raise ConfigurationError(f"--tools: {module!r} can't be imported ({error})") from None
    except AttributeError:
        raise ConfigurationError(f"--tools: {module!r} has no {attribute!r}") from None
    given = found() if callable(found) and not isinstance(found, BaseTool) else found
    tools: list[Any] = list(given) if isinstance(given, Iterable) and not isinstance(given, BaseTool) else [given]
    return [_agents_listing(tool) if hasattr(tool, "params_json_schema") else _listing(as_tool(tool)) for tool in tools]


def _listing(tool: BaseTool) -> Listing:
    return Listing(
        name=tool.name,
        description=tool.description,
        input_schema=dict(LangChainTool(tool).schema),
        hints=Hints.of(tool.metadata),
    )


def _agents_listing(tool: Any) -> Listing:
    """A FunctionTool of the Agents SDK, told by what it has: nobody else needs that SDK."""
    claims = tool.mcp_annotations
    return Listing(
        name=tool.name,
        description=tool.description,
        input_schema=tool.params_json_schema,
        hints=Hints.of(None if claims is None else claims.model_dump(by_alias=True)),
    )
