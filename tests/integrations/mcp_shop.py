"""A made-up shop as an MCP server: run as a script it speaks stdio, or HTTP at the port that it is given."""

from __future__ import annotations

import base64
import sys
from typing import Any

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp_types import (
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    ImageContent,
    InputRequiredResult,
    TextContent,
    ToolAnnotations,
)
from pydantic import BaseModel

EMAIL = "mira.jansen@mail.example"
NAME = "Mira Jansen"
PICTURE = base64.b64encode(b"\x89PNG\xff\xfe").decode()


class Customer(BaseModel):
    """What the shop knows of somebody."""

    full_name: str
    email: str
    account_number: int
    order_id: int


QUESTION = ElicitRequest(
    params=ElicitRequestFormParams(
        message="Which size?\u202e", requested_schema={"type": "object", "properties": {"size": {"type": "string"}}}
    )
)


def shop(refund_says: str = "Refund an order.") -> tuple[MCPServer[Any], list[tuple[str, Any]]]:  # noqa: C901 - a list of small tools
    """A server, and a note of what ran there."""
    server: MCPServer[Any] = MCPServer("shop", instructions="Ask for orders.\u202e")
    ran: list[tuple[str, Any]] = []

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def find_customer(order_id: int) -> Customer:
        """Look up a customer."""
        ran.append(("find_customer", order_id))
        return Customer(full_name=NAME, email=EMAIL, account_number=45804275, order_id=order_id)

    @server.tool()
    def send_email(to: str, body: str) -> str:
        """Send an e-mail."""
        ran.append(("send_email", (to, body)))
        return f"sent to {to}"

    @server.tool()
    def echo_account(account: int) -> int:
        """Say a number again."""
        ran.append(("echo_account", account))
        return account

    @server.tool(description=refund_says)
    def refund(order_id: int) -> str:
        ran.append(("refund", order_id))
        return "refunded"

    @server.tool()
    def forbidden_thing() -> str:
        """Never."""
        ran.append(("forbidden_thing", None))
        return "done"

    @server.tool()
    async def echo(ctx: Context[Any], value: Any = None, wait: float = 0.0) -> Any:
        """Give back what came in, and tell of it meanwhile."""
        ran.append(("echo", value))
        await ctx.report_progress(1, 2, f"asking {EMAIL}")
        await anyio.sleep(wait)
        return value

    @server.tool(name="echo_fail")
    def fail() -> str:
        """Fail."""
        ran.append(("echo_fail", None))
        return CallToolResult(content=[TextContent(text=f"no {EMAIL} here")], is_error=True)  # type: ignore[return-value]

    @server.tool(name="echo_picture")
    def picture() -> CallToolResult:
        """A picture, and text that only looks like one."""
        ran.append(("echo_picture", None))
        return CallToolResult(
            content=[
                ImageContent(data=PICTURE, mime_type="image/png"),
                ImageContent(data=base64.b64encode(EMAIL.encode()).decode(), mime_type="image/png"),
                TextContent(text=f"of {EMAIL}"),
            ]
        )

    @server.tool(name="echo_ask")
    async def ask(ctx: Context[Any]) -> str | InputRequiredResult:
        """Ask the user something."""
        answer = (ctx.input_responses or {}).get("size")
        if not isinstance(answer, ElicitResult):
            return InputRequiredResult(input_requests={"size": QUESTION})
        ran.append(("echo_ask", answer.action))
        return str(answer.content["size"]) if answer.content else answer.action

    @server.resource("customers://all")
    def customers() -> str:
        """All customers."""
        ran.append(("customers", None))
        return f"full_name: {NAME}\nemail: {EMAIL}"

    @server.prompt()
    def greet(name: str) -> str:
        """Greet somebody."""
        return f"Write to {name} at {EMAIL}"

    return server, ran


if __name__ == "__main__":
    running, _ = shop()
    if len(sys.argv) > 1:
        running.run("streamable-http", port=int(sys.argv[1]))
    else:
        running.run()
