"""An MCP server behind a guard: what one server offers, offered to clients with each call gated and each text masked.

Rules:
- a call takes the guard's road; so does the reading of a resource (`mcp_read_resource`) and of a prompt (`mcp_get_prompt`);
- every other text of the server is masked too, before a client gets it: listings, errors, progress, logs, completions;
- what the guard refuses is an error result that the model can read; what nobody knows of is one that says so;
- a server may ask the user for something (elicitation) but not the client's model (sampling): what it would send there is no
  call's result, and nobody judged it;
- a call that people are still asked about when the client can wait no longer is pending: it comes back, or asks `await_approval`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio.to_thread
import mcp_types as types
from mcp import Client
from mcp.shared.dispatcher import ProgressFnT
from pydantic import BaseModel

from agentguard.errors import AgentGuardError, ConfigurationError, OutcomeUnknown
from agentguard.integrations.answers import failure
from agentguard.integrations.mcp.confirming import can_ask, is_asked_anew
from agentguard.integrations.mcp.events import Events
from agentguard.integrations.mcp.exchanges import Exchange, Exchanges, is_answer
from agentguard.integrations.mcp.first_sight import FirstSight
from agentguard.integrations.mcp.gate import Context, Errand, Gate, told
from agentguard.integrations.mcp.listing import listing
from agentguard.integrations.mcp.results import with_reason
from agentguard.integrations.mcp.tool import McpTool
from agentguard.integrations.mcp.virtual import AWAIT_APPROVAL, GET_PROMPT, READ_RESOURCE, RESERVED
from agentguard.integrations.mcp.watching import Watching
from agentguard.integrations.names import recorded_name
from agentguard.integrations.refused_tool import RefusedTool, unknown
from agentguard.masking import visible
from agentguard.model.calls import Tool, ToolCall
from agentguard.policy import hidden_in

M = TypeVar("M", bound=BaseModel)
Answered = types.CallToolResult | types.InputRequiredResult

_LOG = logging.getLogger("agentguard.mcp")
_PAGES_MAX = 100
_NO_ANSWER = (
    "expired: this answers no question that waits for this call: it was answered before, or not in time, or it was another call. "
    "The call went on without it, so it may have run. Do not repeat it."
)
_MISFIT = "the result does not fit the tool's output schema once it is masked, so it is not handed out. The tool ran."


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """Answers a client's requests from one server."""

    gate: Gate
    upstream: Client
    events: Events
    watching: Watching
    first_sight: FirstSight
    exchanges: Exchanges[Answered]
    tools: dict[str, McpTool] = field(default_factory=dict)

    async def list_tools(self, ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        """One page of the server's tools."""

        async def shown() -> types.ListToolsResult:
            page = await self.upstream.session.list_tools(params=params)
            await self._keep(page.tools)
            kept = [self.tools[tool.name].shown for tool in page.tools if tool.name in self.tools]
            kept += [] if page.next_cursor else [AWAIT_APPROVAL.listed]
            return page.model_copy(update={"tools": kept})

        return await self._sent(ctx, shown, "tools")

    async def call_tool(
        self, ctx: Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult | types.InputRequiredResult:
        """One call, gated; its result, masked."""
        if params.name == AWAIT_APPROVAL.name:
            return await self._await_approval(ctx, params.arguments or {})
        if not (is_asked_anew(ctx) and can_ask(ctx)):
            return await self._called(ctx, params, None)
        call = self.gate.named(ctx, params)
        if is_answer(params):
            exchange = self.exchanges.answered(call, params)
        else:
            exchange = self.exchanges.begin(call, lambda its: self._called(ctx, params, its))
        try:
            return _error(_NO_ANSWER) if exchange is None else await exchange.next(ctx)
        except OutcomeUnknown as unknown:
            return _failed(unknown)

    async def _called(
        self, ctx: Context, params: types.CallToolRequestParams, exchange: Exchange[Answered] | None
    ) -> Answered:
        """The same. `exchange`: through which its user is asked what the server wants to know, and progress is told."""
        tool = await self._tool(params.name)
        call = ToolCall(tool=tool.name, arguments=params.arguments or {})

        given: list[types.CallToolResult] = []

        async def ask(question: types.ElicitRequestFormParams) -> types.ElicitResult:
            if exchange is not None:
                return await self.exchanges.ask(exchange, question)
            return await ctx.session.elicit_form(question.message, question.requested_schema)

        async def run(arguments: dict[str, Any]) -> types.CallToolResult:
            with self.events.running(ctx, ask):
                result = await self.upstream.call_tool(
                    params.name, arguments, progress_callback=self._progress(ctx, exchange)
                )
            if isinstance(tool, McpTool) and not result.is_error:
                tool.check_given(result.structured_content)
            given.append(with_reason(result, tool.name, arguments))
            return given[0]

        self.events.met(ctx)
        try:
            result = await self.gate.gated(ctx, params, Errand(call, tool, run))
        except Exception as error:  # noqa: BLE001 - a refusal, a fault, or the server's error, masked by settling
            return _failed(error)
        if isinstance(result, types.InputRequiredResult) or (given and result is given[0]):
            return result
        if isinstance(tool, McpTool) and not result.is_error and not tool.fits(result.structured_content):
            return _error(_MISFIT)
        return result

    async def read_resource(
        self, ctx: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult | types.InputRequiredResult:
        """The content of one resource, gated and masked."""
        call = ToolCall(tool=READ_RESOURCE.name, arguments={"uri": params.uri})

        async def read(arguments: dict[str, Any]) -> types.ReadResourceResult:
            with self.events.asking_nobody():
                return await self.upstream.read_resource(arguments["uri"], cache_mode="bypass")

        return await self.gate.gated_or_error(ctx, params, Errand(call, READ_RESOURCE, read))

    async def get_prompt(
        self, ctx: Context, params: types.GetPromptRequestParams
    ) -> types.GetPromptResult | types.InputRequiredResult:
        """One prompt, gated and masked."""
        call = ToolCall(tool=GET_PROMPT.name, arguments={"name": params.name, "arguments": params.arguments or {}})

        async def fetch(arguments: dict[str, Any]) -> types.GetPromptResult:
            with self.events.asking_nobody():
                return await self.upstream.get_prompt(arguments["name"], arguments["arguments"])

        return await self.gate.gated_or_error(ctx, params, Errand(call, GET_PROMPT, fetch))

    async def list_resources(
        self, ctx: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        """One page of the server's resources, masked."""
        return await self._sent(ctx, lambda: self.upstream.session.list_resources(params=params), "resources")

    async def list_resource_templates(
        self, ctx: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        """One page of the server's resource templates, masked."""
        return await self._sent(ctx, lambda: self.upstream.session.list_resource_templates(params=params), "resources")

    async def list_prompts(self, ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
        """One page of the server's prompts, masked."""
        return await self._sent(ctx, lambda: self.upstream.session.list_prompts(params=params), "prompts")

    async def complete(self, ctx: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        """What the server proposes for an argument, masked."""
        given = {"name": params.argument.name, "value": params.argument.value}
        known = params.context.arguments if params.context else None
        return await self._sent(
            ctx, lambda: self.upstream.session.complete(params.ref, given, context_arguments=known), "completions"
        )

    async def subscribe(self, ctx: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        """Have the server tell when a resource changes."""
        done = await self._sent(ctx, lambda: self.watching.watch(params.uri), "resources")
        self.events.asks_for(ctx, params.uri)
        return done

    async def unsubscribe(self, ctx: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        """Have the server no longer tell when a resource changes."""
        self.events.is_done_with(ctx, params.uri)
        return await self._sent(ctx, lambda: self.watching.leave(params.uri), "resources")

    async def _sent(self, ctx: Context, send: Callable[[], Awaitable[M]], origin: str) -> M:
        """What the server answers to something that is no call, masked."""
        self.events.met(ctx)
        return await self.gate.masked(ctx, send, origin)

    async def know_tools(self) -> None:
        """Read all pages of the server's tools."""
        cursor: str | None = None
        for _ in range(_PAGES_MAX):
            page = await self.upstream.session.list_tools(params=types.PaginatedRequestParams(cursor=cursor))
            await self._keep(page.tools)
            cursor = page.next_cursor
            if not cursor:
                return
        raise ConfigurationError(f"the MCP server lists tools on more than {_PAGES_MAX} pages")

    async def _await_approval(self, ctx: Context, arguments: dict[str, Any]) -> types.CallToolResult:
        """How a request of this client stands, once it is decided or the client can wait no longer."""
        try:
            AWAIT_APPROVAL.parse(arguments)
            with self.gate.session_of(ctx):
                text = await self.gate.guard.standing(arguments["id"], hold_seconds=self.gate.hold_seconds)
        except AgentGuardError as error:
            return _failed(error)
        return types.CallToolResult(content=[types.TextContent(text=text)])

    async def _tool(self, name: str) -> Tool:
        """The tool of this name; one that the server has not listed yet is looked for once more."""
        if name not in self.tools:
            await self.know_tools()
        named = recorded_name(name)
        return self.tools.get(named) or RefusedTool(name=named, refusal=unknown(named, self.tools))

    async def _keep(self, listed: list[types.Tool]) -> None:
        """Know these tools, and tell of those that are not what they were."""
        fit = [tool for tool in listed if recorded_name(tool.name) == tool.name and tool.name not in RESERVED]
        for tool in listed:
            if tool not in fit:
                _LOG.warning(
                    "a tool of the server is left out: %r is no name that models can call", self._told(tool.name)
                )
        changed = set(await anyio.to_thread.run_sync(self.first_sight.meet, [listing(tool) for tool in fit]))
        for tool in fit:
            known = self.tools.get(tool.name)
            if tool.name in changed and (known is None or known.listed != tool):
                said = self._told("\n".join(self.first_sight.diff(listing(tool))))
                _LOG.warning("%s is not what it was when it was first seen:\n%s", tool.name, said)
            reveals = self.gate.guard.reveals(tool.name)
            if known is None and (hidden := hidden_in(listing(tool))):
                _LOG.warning("%s has text that nobody sees: %s", tool.name, ", ".join(hidden))
            self.tools[tool.name] = McpTool(listed=tool, changed=tool.name in changed, reveals=reveals)
        self.gate.guard.expect(*(self.tools[tool.name] for tool in fit))

    def _told(self, text: str) -> str:
        """What a log may hold of what the server says."""
        return visible(self.events.shown(text))

    def _progress(self, ctx: Context, exchange: Exchange[Answered] | None) -> ProgressFnT:
        async def report(progress: float, total: float | None, message: str | None) -> None:
            with self.gate.session_of(ctx):
                said = None if message is None else await self.gate.guard.masked(message, origin="progress")
            waits = ctx if exchange is None else exchange.request
            if waits is not None:
                await waits.session.report_progress(progress, total, said)

        return report


def _failed(error: BaseException) -> types.CallToolResult:
    return _error(told(error) if isinstance(error, AgentGuardError) else failure(error))


def _error(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=text)], is_error=True)
