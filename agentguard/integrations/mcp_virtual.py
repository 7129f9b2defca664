"""What a server offers beside tools, as the tools that a policy judges: reading a resource, fetching a prompt."""

from __future__ import annotations

import mcp_types as types

from agentguard.integrations.mcp_tool import McpTool

READ_RESOURCE = McpTool(
    listed=types.Tool(
        name="mcp_read_resource",
        description="Read one of the server's resources.",
        input_schema={
            "type": "object",
            "properties": {"uri": {"type": "string"}},
            "required": ["uri"],
            "additionalProperties": False,
        },
    )
)
"""`resources/read`."""

GET_PROMPT = McpTool(
    listed=types.Tool(
        name="mcp_get_prompt",
        description="Fetch one of the server's prompts, filled in.",
        input_schema={
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "arguments": {"type": "object", "additionalProperties": {"type": "string"}},
            },
            "required": ["name", "arguments"],
            "additionalProperties": False,
        },
    )
)
"""`prompts/get`."""

RESERVED = frozenset({READ_RESOURCE.name, GET_PROMPT.name})
"""Names that no tool of a server may have."""
