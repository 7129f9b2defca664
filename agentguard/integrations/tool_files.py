"""Tools in a JSON file: a list as it is given to a model of OpenAI (either API) or Anthropic, or as an MCP server lists them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agentguard.errors import ConfigurationError
from agentguard.model.listings import Hints, Listing

_SCHEMAS = ("parameters", "input_schema", "inputSchema")


def listed(file: Path) -> list[Listing]:
    """Every tool in a file: a JSON list, or an object with one under `tools`. Raises ConfigurationError."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{file}: no JSON that can be read ({type(error).__name__})") from None
    tools = found.get("tools") if isinstance(found, dict) else found
    if not isinstance(tools, list):
        raise ConfigurationError(f'{file}: write a list of tools, or {{"tools": [...]}}')
    return [_listing(file, index, tool) for index, tool in enumerate(tools)]


def _listing(file: Path, index: int, tool: Any) -> Listing:
    inner = tool.get("function", tool) if isinstance(tool, dict) else None
    if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
        raise ConfigurationError(f"{file}: the tool at index {index} has no name; only functions can be pinned")
    schema: Any = next((inner[key] for key in _SCHEMAS if inner.get(key) is not None), {})
    description = inner.get("description") or ""
    if not isinstance(schema, dict) or not isinstance(description, str):
        raise ConfigurationError(f"{file}: the tool at index {index} has a schema or a description of another form")
    hints = Hints.of(inner.get("annotations"))
    return Listing(name=inner["name"], description=description, input_schema=schema, hints=hints)
