"""Tools that no server has: what it offers beside tools, as a policy judges it, and the proxy's own."""

from __future__ import annotations

import mcp_types as types

from agentguard.integrations.mcp.tool import McpTool

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

AWAIT_APPROVAL = McpTool(
    listed=types.Tool(
        name="await_approval",
        description="Wait for people to decide a call that was answered with `pending`, and hear what they said. Runs nothing by itself.",
        input_schema={
            "type": "object",
            "properties": {"id": {"type": "string", "description": "The id of the request, as the answer gave it."}},
            "required": ["id"],
            "additionalProperties": False,
        },
        annotations=types.ToolAnnotations(read_only_hint=True, open_world_hint=False),
    )
)
"""The proxy's own tool."""

RESERVED = frozenset({READ_RESOURCE.name, GET_PROMPT.name, AWAIT_APPROVAL.name})
"""Names that no tool of a server may have."""
