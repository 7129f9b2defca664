"""What a server says by itself, handed on to the clients: that a list changed, that it wants something of the user.

Rules:
- of an event only its kind passes, and the URI of a resource to who asked for it, if nothing in it would be masked;
- a question for the user reaches the client whose call it is about, or whose call runs, if it is one alone; where that isn't certain, it is
  declined;
- the question is masked as for people, with every hidden character written out; the answer goes to the server, and no model sees it;
- a question whose choices or defaults hold personal data is declined: masked, they would be others;
- the client's model is never lent to the server (sampling), and neither are its folders (roots).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import mcp_types as types
from mcp import MCPError
from mcp.client.session import ClientRequestContext, IncomingMessage
from mcp.server.context import ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus
from mcp.shared.subscriptions import (
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    ToolsListChanged,
    event_to_notification,
)

from agentguard.masking import visible

Ask = Callable[[types.ElicitRequestFormParams], Awaitable[types.ElicitResult]]
"""Puts a question to the user of one client. Raises MCPError where that can't be done."""


class _Running(NamedTuple):
    """A call that runs: whose it is, and how its user is asked."""

    client: object
    ask: Ask


_call: ContextVar[_Running | None] = ContextVar("agentguard_mcp_call", default=None)
"""The call that this code runs for. Servers of the newer protocol ask in the middle of it, those of the older one from outside."""


class _Hearing(NamedTuple):
    """A client that hears of changes (kept, so that it stays known by its identity), and the resources that it asked for."""

    client: object
    session: ServerSession
    uris: set[str]


@dataclass(frozen=True, kw_only=True)
class Events:
    """Carries what the server says to the clients that are there. `shown` masks for people."""

    shown: Callable[[Any], Any]
    bus: InMemorySubscriptionBus = field(default_factory=InMemorySubscriptionBus)
    _running: list[_Running] = field(default_factory=list)
    _legacy: dict[int, _Hearing] = field(default_factory=dict)

    @contextmanager
    def running(self, ctx: ServerRequestContext[Any, Any], ask: Ask) -> Iterator[None]:
        """While a call of this client runs, questions of the server are for its user."""
        call = _Running(_client_of(ctx.session), ask)
        self._running.append(call)
        before = _call.set(call)
        try:
            yield
        finally:
            _call.reset(before)
            self._running.remove(call)

    @contextmanager
    def asking_nobody(self) -> Iterator[None]:
        """While something runs here that is no call of a tool, what a server asks in the middle of it is declined."""
        before = _call.set(_Running(self, _declined))
        try:
            yield
        finally:
            _call.reset(before)

    def met(self, ctx: ServerRequestContext[Any, Any]) -> None:
        """A client is there that hears of changes without asking for them, as clients of the older protocol do."""
        if ctx.session.can_send_request:
            client = _client_of(ctx.session)
            self._legacy.setdefault(id(client), _Hearing(client, ctx.session, set()))

    def asks_for(self, ctx: ServerRequestContext[Any, Any], uri: str) -> None:
        """Such a client wants to hear of a resource."""
        if (hearing := self._legacy.get(id(_client_of(ctx.session)))) is not None:
            hearing.uris.add(uri)

    def is_done_with(self, ctx: ServerRequestContext[Any, Any], uri: str) -> None:
        """Such a client wants to hear of it no more."""
        if (hearing := self._legacy.get(id(_client_of(ctx.session)))) is not None:
            hearing.uris.discard(uri)

    async def heard(self, message: IncomingMessage) -> None:
        """Hand a change on that the server tells of."""
        event = _event(message)
        if event is not None:
            await self.tell(event)

    async def tell(self, event: ServerEvent) -> None:
        """Tell every client that something changed, each in its own protocol's way."""
        if isinstance(event, ResourceUpdated) and self.shown(event.uri) != event.uri:
            return
        await self.bus.publish(event)
        for key, hearing in list(self._legacy.items()):
            if isinstance(event, ResourceUpdated) and event.uri not in hearing.uris:
                continue
            try:
                await hearing.session.send_notification(event_to_notification(event, {}))
            except Exception:  # noqa: BLE001 - that client is gone, in whatever way its transport says so
                self._legacy.pop(key, None)

    async def asked(
        self, context: ClientRequestContext, params: types.ElicitRequestParams
    ) -> types.ElicitResult | types.ErrorData:
        """What the user answers to a question of the server."""
        call = _call.get() or self._only_one()
        if call is None or not isinstance(params, types.ElicitRequestFormParams):
            return types.ElicitResult(action="decline")
        if self.shown(params.requested_schema) != params.requested_schema:
            return types.ElicitResult(action="decline")
        try:
            return await call.ask(params.model_copy(update={"message": visible(self.shown(params.message))}))
        except MCPError:
            return types.ElicitResult(action="decline")

    def _only_one(self) -> _Running | None:
        """A call of the only client that has one running; None where several have, or none."""
        clients = {id(call.client): call for call in self._running}
        return next(iter(clients.values())) if len(clients) == 1 else None


async def _declined(_: types.ElicitRequestFormParams) -> types.ElicitResult:
    return types.ElicitResult(action="decline")


def _client_of(session: ServerSession) -> object:
    """What is one and the same for all requests of a connection: a session is of one request."""
    return session.client_params or session


def _event(message: IncomingMessage) -> ServerEvent | None:
    match message:
        case types.ToolListChangedNotification():
            return ToolsListChanged()
        case types.PromptListChangedNotification():
            return PromptsListChanged()
        case types.ResourceListChangedNotification():
            return ResourcesListChanged()
        case types.ResourceUpdatedNotification():
            return ResourceUpdated(uri=str(message.params.uri))
        case _:
            return None
