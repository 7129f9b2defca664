"""An MCP server that says personal data wherever the protocol lets a server say something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mcp_types as types
from mcp import MCPError
from mcp.server import Server

EMAIL = "mira.jansen@mail.example"
CARD = "4111 1111 1111 1111"
PLANTED = (EMAIL, CARD, CARD.replace(" ", ""))
SAYS = f"Write to {EMAIL}, card {CARD}."
TEXT = types.TextContent(text=SAYS, meta={"said": SAYS})
OBJECT: dict[str, Any] = {"type": "object", "properties": {}, "description": SAYS}


def planted() -> Server[Any]:
    """The server; each of its handlers plants the values."""

    async def list_tools(*_: Any) -> types.ListToolsResult:
        tools = [
            types.Tool(name=name, description=SAYS, title=SAYS, input_schema=OBJECT, meta={"said": SAYS})
            for name in ("echo", "echo_error", "echo_raise", "echo_ask", "echo_log")
        ]
        structured = {"type": "object", "properties": {"said": {"type": "string", "const": SAYS}}}
        told = types.Tool(name="echo_structured", description=SAYS, input_schema=OBJECT, output_schema=structured)
        return types.ListToolsResult(tools=[*tools, told])

    async def call_tool(ctx: Any, params: Any) -> Any:
        return await _CALLS[params.name](ctx, params.input_responses)

    async def list_resources(*_: Any) -> types.ListResourcesResult:
        return types.ListResourcesResult(
            resources=[types.Resource(name=SAYS, uri=f"mail://{EMAIL}", description=SAYS, title=SAYS)]
        )

    async def list_templates(*_: Any) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(
            resource_templates=[types.ResourceTemplate(name=SAYS, uri_template=f"mail://{EMAIL}/{{x}}")]
        )

    async def read_resource(_: Any, params: Any) -> types.ReadResourceResult:
        if params.uri == "mail://none":
            raise MCPError(types.INVALID_PARAMS, f"no {SAYS}", data=SAYS)
        return types.ReadResourceResult(contents=[types.TextResourceContents(uri=f"mail://{EMAIL}", text=SAYS)])

    async def list_prompts(*_: Any) -> types.ListPromptsResult:
        argument = types.PromptArgument(name="who", description=SAYS)
        return types.ListPromptsResult(prompts=[types.Prompt(name="greet", description=SAYS, arguments=[argument])])

    async def get_prompt(*_: Any) -> types.GetPromptResult:
        return types.GetPromptResult(description=SAYS, messages=[types.PromptMessage(role="user", content=TEXT)])

    async def complete(*_: Any) -> types.CompleteResult:
        return types.CompleteResult(completion=types.Completion(values=[EMAIL, SAYS]))

    return Server(
        f"Shop of {EMAIL}",
        version=f"1 {EMAIL}",
        instructions=SAYS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_completion=complete,
    )


async def _echo(ctx: Any, _: Any) -> types.CallToolResult:
    await ctx.session.report_progress(1, 2, SAYS)
    link = types.ResourceLink(name=SAYS, uri=f"mail://{EMAIL}", description=SAYS)
    inner = types.EmbeddedResource(resource=types.TextResourceContents(uri=f"mail://{EMAIL}", text=SAYS))
    return types.CallToolResult(content=[TEXT, link, inner], meta={EMAIL: SAYS})


async def _error(*_: Any) -> types.CallToolResult:
    return types.CallToolResult(content=[TEXT], is_error=True)


async def _raise(*_: Any) -> types.CallToolResult:
    raise MCPError(types.INTERNAL_ERROR, SAYS, data={"said": SAYS})


async def _structured(*_: Any) -> types.CallToolResult:
    return types.CallToolResult(content=[TEXT], structured_content={"said": SAYS})


async def _log(ctx: Any, _: Any) -> types.CallToolResult:
    await ctx.session.send_log_message("error", SAYS)
    return types.CallToolResult(content=[TEXT])


async def _ask(_: Any, answers: Any) -> types.CallToolResult | types.InputRequiredResult:
    plain = {"type": "object", "properties": {"size": {"type": "string"}}}
    told = {"type": "object", "properties": {"to": {"type": "string", "default": EMAIL, "enum": [EMAIL]}}}
    asked = {"size": types.ElicitRequestFormParams(message=SAYS, requested_schema=plain)}
    asked["to"] = types.ElicitRequestFormParams(message="Whom?", requested_schema=told)
    if not answers:
        return types.InputRequiredResult(
            input_requests={key: types.ElicitRequest(params=params) for key, params in asked.items()}
        )
    return types.CallToolResult(
        content=[types.TextContent(text=" ".join(str(each.action) for each in answers.values()))]
    )


_CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "echo": _echo,
    "echo_error": _error,
    "echo_raise": _raise,
    "echo_structured": _structured,
    "echo_log": _log,
    "echo_ask": _ask,
}
