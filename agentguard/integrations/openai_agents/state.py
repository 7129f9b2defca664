"""State of the OpenAI Agents SDK, sealed with the guard's own keys where it is stored: runs that sleep, and sessions.

Both hold what the user wrote as it was written. Sealed (AES-256-GCM), none of it can be read or changed where it lies.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from agents import Agent, RunState, ToolApprovalItem
from agents.items import TResponseInputItem
from agents.memory import Session

from agentguard.errors import GuardUnavailable
from agentguard.guard.pipeline import Guard
from agentguard.integrations.json_arguments import UnreadableArguments, read_arguments

_SEALED = "agentguard_sealed"


def sealed_state(guard: Guard, state: RunState[Any, Any], **options: Any) -> bytes:
    """A run that sleeps, as it may be stored. `options`: those of `RunState.to_json`."""
    return guard.seal(json.dumps(state.to_json(**options)).encode())


async def opened_state(guard: Guard, agent: Agent[Any], sealed: bytes, **options: Any) -> RunState[Any, Any]:
    """The run, to go on with: `Runner.run(agent, state)`. `options`: those of `RunState.from_json`.

    Calls that people decided meanwhile reach their gates, which run or refuse them; the others sleep on. Raises GuardUnavailable where
    it was changed, or is of other keys.
    """
    state: RunState[Any, Any] = await RunState.from_json(agent, json.loads(guard.unseal(sealed)), **options)
    for item in state.get_interruptions():
        if await _may_reach_its_gate(guard, item):
            state.approve(item)
    return state


async def _may_reach_its_gate(guard: Guard, item: ToolApprovalItem) -> bool:
    """Whether people decided on this call, or there is nothing to decide: its arguments are none, and its gate says so.

    A call that nobody was asked about waits for the SDK's own approval, which is the application's to give.
    """
    if item.call_id is None:
        return False
    waits = await guard.waits(item.call_id)
    if waits is not None:
        return not waits
    try:
        read_arguments(item.arguments)
    except UnreadableArguments:
        return True
    return False


@dataclass(kw_only=True)
class SealedSession(Session):
    """A session whose items are stored sealed, in whatever session `inner` is. What is not sealed in it is not read."""

    guard: Guard
    inner: Session

    def __post_init__(self) -> None:
        self.session_id = self.inner.session_id
        self.session_settings = self.inner.session_settings

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """See Session.get_items. Raises GuardUnavailable."""
        return [self._opened(item) for item in await self.inner.get_items(limit)]

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """See Session.add_items."""
        await self.inner.add_items([self._sealed(item) for item in items])

    async def pop_item(self) -> TResponseInputItem | None:
        """See Session.pop_item. Raises GuardUnavailable."""
        item = await self.inner.pop_item()
        return None if item is None else self._opened(item)

    async def clear_session(self) -> None:
        """See Session.clear_session."""
        await self.inner.clear_session()

    def _sealed(self, item: Any) -> Any:
        sealed = self.guard.seal(json.dumps([self.session_id, item]).encode())
        return {_SEALED: base64.b64encode(sealed).decode()}

    def _opened(self, item: Any) -> Any:
        try:
            text = self.guard.unseal(base64.b64decode(item[_SEALED], validate=True))
        except (KeyError, TypeError, binascii.Error):
            raise GuardUnavailable("keys", "an item of the session is not sealed; start a new session") from None
        session_id, opened = json.loads(text)
        if session_id != self.session_id:
            raise GuardUnavailable("keys", "an item of the session is another session's; start a new session")
        return opened


def sealed_session(guard: Guard, session: Session) -> SealedSession:
    """What `Runner.run` takes as `session`: the same one, with nothing readable in it."""
    return SealedSession(guard=guard, inner=session)
