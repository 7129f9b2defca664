"""The resources whose changes a server tells of because a client asked: in the older protocol by a request, in the newer one by listening.

Rules:
- a resource is watched once, however many clients ask, as long as one does;
- where the server would not tell of it, the client is not told otherwise.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import mcp_types as types
from anyio import TASK_STATUS_IGNORED, CancelScope
from anyio.abc import TaskGroup, TaskStatus
from mcp import Client, MCPError
from mcp.client.subscriptions import SubscriptionLost
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import ListenHandler
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from agentguard.integrations.mcp.events import Events


@dataclass(frozen=True, kw_only=True)
class Watching:
    """Has one server tell of its resources; `tasks` run as long as it is connected."""

    upstream: Client
    events: Events
    tasks: TaskGroup
    _asked: Counter[str] = field(default_factory=Counter)
    _listening: dict[str, CancelScope] = field(default_factory=dict)

    async def watch(self, uri: str) -> types.EmptyResult:
        """Have the server tell when a resource changes. Raises MCPError."""
        self._asked[uri] += 1
        try:
            if self._asked[uri] == 1:
                await self._begin(uri)
        except BaseException:
            self._asked[uri] -= 1
            raise
        return types.EmptyResult()

    async def leave(self, uri: str) -> types.EmptyResult:
        """One client asks for it no more. Raises MCPError."""
        self._asked[uri] -= self._asked[uri] > 0
        if self._asked[uri] == 0:
            del self._asked[uri]
            await self._end(uri)
        return types.EmptyResult()

    async def listen(
        self, ctx: ServerRequestContext[Any, Any], params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        """Serve a client of the newer protocol that listens for changes, of those resources that the server tells of."""
        watched = []
        try:
            for uri in params.notifications.resource_subscriptions or ():
                try:
                    await self.watch(uri)
                except MCPError:
                    continue
                watched.append(uri)
            wanted = params.notifications.model_copy(update={"resource_subscriptions": watched or None})
            return await ListenHandler(self.events.bus)(ctx, params.model_copy(update={"notifications": wanted}))
        finally:
            with CancelScope(shield=True):
                for uri in watched:
                    await self.leave(uri)

    async def _begin(self, uri: str) -> None:
        if self.upstream.protocol_version in MODERN_PROTOCOL_VERSIONS:
            await self.tasks.start(self._listen, uri)
        else:
            asked = types.SubscribeRequest(params=types.SubscribeRequestParams(uri=uri))
            await self.upstream.session.send_request(asked, types.EmptyResult)

    async def _end(self, uri: str) -> None:
        if self.upstream.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            asked = types.UnsubscribeRequest(params=types.UnsubscribeRequestParams(uri=uri))
            await self.upstream.session.send_request(asked, types.EmptyResult)
        elif uri in self._listening:
            self._listening.pop(uri).cancel()

    async def _listen(self, uri: str, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        """Tell of one resource until nobody asks for it, or the server goes."""
        with CancelScope() as scope:
            async with self.upstream.listen(resource_subscriptions=[uri]) as changes:
                if uri not in (changes.honored.resource_subscriptions or ()):
                    raise MCPError(types.INVALID_PARAMS, "the server does not tell of this resource")
                self._listening[uri] = scope
                task_status.started()
                try:
                    async for event in changes:
                        await self.events.tell(event)
                except SubscriptionLost:
                    return
