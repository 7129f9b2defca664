"""The guard's road for what a client asks of a server: a call and what is judged like one, and what is only masked.

Rules:
- a call is admitted, run and settled in the guard's session of its client;
- one that its user alone must confirm is put to them by the client, where it can;
- a server that ends in the middle of a call leaves it unknown, and gets no further ones;
- what is no call is masked, errors too.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import uuid4

import mcp_types as types
from mcp import MCPError
from mcp.server.context import ServerRequestContext
from pydantic import BaseModel

from agentguard.errors import AgentGuardError, CallRefused, CallUnconfirmed, GuardUnavailable, OutcomeUnknown
from agentguard.guard.confirming import Confirmation
from agentguard.guard.pipeline import Guard
from agentguard.integrations.answers import answer, failure
from agentguard.integrations.mcp.confirming import ask, confirmation_of, input_required, is_asked_anew
from agentguard.integrations.mcp.results import Taken, take_apart, with_word
from agentguard.model.calls import Principal, Tool, ToolCall

M = TypeVar("M", bound=BaseModel)
Context = ServerRequestContext[Any, Any]

_ENDED_MEANWHILE = "the server ended while the call ran, so it may have run. Do not repeat it."


class _EndedMeanwhile(BaseException):
    """The server ended in the middle of a call: no error of the tool's, since nobody knows what it did."""


class Errand(NamedTuple, Generic[M]):
    """What a client asks of the server: the call, the tool that it is judged as, and what has the server do it."""

    call: ToolCall
    tool: Tool
    run: Callable[[dict[str, Any]], Awaitable[M]]


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One session of the guard for each client connection, on behalf of the user that the operator named. `ended`: the server has."""

    guard: Guard
    user: str | None
    autonomous: bool = False
    session: str | None = None
    hold_seconds: float = 45.0
    ended: Event = field(default_factory=Event)
    _own: str = field(default_factory=lambda: f"mcp-{uuid4().hex}")

    async def gated(
        self, ctx: Context, params: types.InputResponseRequestParams, errand: Errand[M]
    ) -> M | types.InputRequiredResult:
        """What a call gave, masked; or what its user must confirm first. Raises AgentGuardError, or the server's error, masked."""
        if self.ended.is_set():
            raise GuardUnavailable("MCP server", "it has ended")
        try:
            return await self._run(ctx, errand, confirmation_of(ctx, params))
        except CallUnconfirmed as unconfirmed:
            if is_asked_anew(ctx):
                return input_required(unconfirmed)
            said = await ask(ctx, unconfirmed, hold_seconds=self.hold_seconds)
        return await self._run(ctx, errand, said)

    async def _run(self, ctx: Context, errand: Errand[M], confirmation: Confirmation | None) -> M:
        """Admit, run, settle."""
        taken: list[Taken[M]] = []
        with self.session_of(ctx):
            permit = await self.guard.admit(
                errand.call, errand.tool, hold_seconds=self.hold_seconds, confirmation=confirmation
            )
            try:
                async with self.guard.settling(permit) as outcome:
                    answered = await self._answered(errand.run(permit.arguments))
                    taken.append(take_apart(answered))
                    outcome.result = taken[0].plain
            except _EndedMeanwhile:
                raise OutcomeUnknown(_ENDED_MEANWHILE, request_id="") from None
            settled = outcome.settled
            return with_word(taken[0].put_back(settled.value), settled.word)

    async def _answered(self, answer: Awaitable[M]) -> M:
        """What a server answered. Where it ended instead, nobody knows what it did; and from then on it is not asked."""
        try:
            return await answer
        except MCPError as error:
            if error.error.code != types.CONNECTION_CLOSED:
                raise
        self.ended.set()
        raise _EndedMeanwhile

    async def gated_or_error(
        self, ctx: Context, params: types.InputResponseRequestParams, errand: Errand[M]
    ) -> M | types.InputRequiredResult:
        """The same for what has no error result of its own: a refusal is an error of the protocol."""
        try:
            return await self.gated(ctx, params, errand)
        except AgentGuardError as error:
            raise MCPError(types.INVALID_REQUEST, told(error)) from None
        except Exception as error:  # noqa: BLE001 - masked by settling
            raise MCPError(types.INTERNAL_ERROR, failure(error)) from None

    async def masked(self, ctx: Context, send: Callable[[], Awaitable[M]], origin: str) -> M:
        """What the server answers to something that is no call, masked."""
        with self.session_of(ctx):
            try:
                taken = take_apart(await send())
                return taken.put_back(await self.guard.masked(taken.plain, origin=origin))
            except MCPError as error:
                masked = await self.guard.masked(error.error.message, origin=origin)
                raised = MCPError(error.error.code, masked)
            except GuardUnavailable as error:
                raised = MCPError(types.INTERNAL_ERROR, answer(error))
        raise raised

    def named(self, ctx: Context, params: types.CallToolRequestParams) -> str:
        """Which call this is: of what session, of what tool, with what arguments."""
        with self.session_of(ctx) as principal:
            return json.dumps([principal.scope, params.name, params.arguments or {}], sort_keys=True)

    def session_of(self, ctx: Context) -> AbstractContextManager[Principal]:
        """The guard's session of this client."""
        headers = getattr(ctx.request, "headers", {})
        named = self.session or headers.get("mcp-session-id") or self._own
        return self.guard.session(user=self.user, id=named, autonomous=self.autonomous)


def told(error: AgentGuardError) -> str:
    """What a model reads of a call that was not answered."""
    return answer(error) if isinstance(error, (CallRefused, GuardUnavailable)) else f"{error} Tell the user."
