"""The guard's way to the approval channel: each move from whichever door, run on the background loop.

Rules:
- a move that must not be lost is made even where its caller is cancelled meanwhile;
- what a cancelled call had asked for is taken back, however far it got; so is a permit of which nobody knows whether it was given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from agentguard.approval import Deeds, Opened, Restraint, Roster, Stored, Tell, Waiter
from agentguard.errors import DecisionRefused, GuardUnavailable
from agentguard.guard.link import Link
from agentguard.model.approvals import Request, Settlement, State
from agentguard.model.calls import Principal
from agentguard.store.background import Background
from agentguard.store.doors import hear

RENEW_SECONDS = 10.0
"""How often a running call says that it still runs; its lease is three times that."""

TAKE_BACK_AFTER_SECONDS = (0.0, 0.2, 2.0)
"""When a call that will not run tries to take back what it asked for, each after the one before."""

_CANCELLED = "the waiting call was cancelled"


@dataclass(frozen=True, kw_only=True)
class Requests:
    """Opens, awaits, withdraws, redeems and finishes. Each raises DecisionRefused or GuardUnavailable."""

    background: Background
    link: Link

    async def open(self, request: Request, sealed_input: bytes, restraint: Restraint) -> Opened:
        """Open a request, or find the one that the call has."""
        return await self.background.hop(lambda: self._open(request, sealed_input, restraint))

    def decided(
        self, request_id: str, deadline_ms: int, hold_seconds: float | None = None
    ) -> Coroutine[Any, Any, Stored]:
        """A pending request once it no longer is, or somebody edited it; or, after so long, as it is then left to wait on its own."""
        if hold_seconds is None:
            return hear(partial(self._begin, request_id, deadline_ms))
        return self.background.hop(lambda: self._wait(request_id, deadline_ms, hold_seconds))

    async def read(self, request_id: str) -> Stored:
        """One request as it stands."""
        return await self.background.hop(lambda: self._read(request_id))

    async def of_call(self, caller: Principal, call_id: str) -> Stored | None:
        """The request that a call has, if people were asked about it."""
        return await self.background.hop(lambda: self._of_call(caller, call_id))

    async def revise(self, before: Stored, revised: Request, sealed_input: bytes, sealed_changes: bytes) -> None:
        """Answer an edit with the next revision."""
        await self.background.hop(lambda: self._revise(before, revised, sealed_input, sealed_changes))

    async def refuse_edit(self, before: Stored, why: str) -> None:
        """Answer an edit with a no."""
        await self.background.hop(lambda: self._refuse_edit(before, why))

    async def withdraw(self, request_id: str, reason: str) -> None:
        """End a request that must not run any more."""
        await self.background.hop(lambda: self._withdraw(request_id, reason))

    def take_back(self, request_id: str) -> None:
        """Withdraw, soon, the request of a call that was cancelled."""
        self.background.start(lambda: insist(lambda: self._withdraw(request_id, _CANCELLED)))

    async def redeem(self, stored: Stored, fence: str) -> None:
        """Take the permit of an approved request; one that was cut short, or whose reply was lost, is given back: nobody will use it."""
        try:
            await self.background.hop(lambda: self._redeem(stored, fence))
        except (asyncio.CancelledError, KeyboardInterrupt, GuardUnavailable):
            self.background.start(lambda: insist(lambda: self._finish(stored.request.id, fence, State.FAILED)))
            raise

    async def finish(self, request_id: str, fence: str, state: State) -> None:
        """Say how the run ended; it is said even where the caller is cancelled meanwhile."""
        saying = self.background.start(lambda: self._finish(request_id, fence, state))
        await self.background.hop(lambda: _end_of(saying))

    def renewing(self, request_id: str, fence: str) -> Future[None]:
        """Renew the permit until this future is cancelled."""
        return self.background.start(lambda: self._renew(request_id, fence))

    async def word_on(self, request_id: str, roster: Roster) -> Settlement | None:
        """What a person verifiably said of the run of a request that may have run."""
        return await self.background.hop(lambda: self._word_on(request_id, roster))

    async def _open(self, request: Request, sealed_input: bytes, restraint: Restraint) -> Opened:
        async with self.link.using() as there:
            return await there.channel.open(request, sealed_input, restraint)

    async def _wait(self, request_id: str, deadline_ms: int, hold_seconds: float | None) -> Stored:
        async with self.link.using() as there:
            with suppress(TimeoutError):
                async with asyncio.timeout(hold_seconds):
                    return await there.waiters.wait(request_id, deadline_ms)
            await there.channel.defer(request_id)
            return await there.channel.read(request_id)

    def _begin(self, request_id: str, deadline_ms: int, tell: Tell) -> Callable[[], None]:
        """Wait without a task of its own. Gives what ends that."""
        waiter = Waiter(request_id, deadline_ms, tell)
        self.background.start(lambda: self._hold(waiter)).add_done_callback(partial(_began, waiter))
        return partial(self._let_go, waiter)

    def _let_go(self, waiter: Waiter) -> None:
        waiter.tell = None
        self.background.tidy(lambda: self._forget(waiter))

    async def _hold(self, waiter: Waiter) -> None:
        async with self.link.using() as there:
            there.waiters.begin(waiter)

    async def _forget(self, waiter: Waiter) -> None:
        async with self.link.using() as there:
            there.waiters.forget(waiter)

    async def _read(self, request_id: str) -> Stored:
        async with self.link.using() as there:
            return await there.channel.read(request_id)

    async def _of_call(self, caller: Principal, call_id: str) -> Stored | None:
        async with self.link.using() as there:
            return await there.channel.of_call(caller, call_id)

    async def _revise(self, before: Stored, revised: Request, sealed_input: bytes, sealed_changes: bytes) -> None:
        async with self.link.using() as there:
            await there.channel.revise(before, revised, sealed_input, sealed_changes)

    async def _refuse_edit(self, before: Stored, why: str) -> None:
        async with self.link.using() as there:
            await there.channel.refuse_edit(before, why)

    async def _withdraw(self, request_id: str, reason: str) -> None:
        async with self.link.using() as there:
            await there.channel.withdraw(request_id, reason)

    async def _redeem(self, stored: Stored, fence: str) -> None:
        async with self.link.using() as there:
            await there.channel.redeem(stored, fence)

    async def _word_on(self, request_id: str, roster: Roster) -> Settlement | None:
        async with self.link.using() as there:
            deeds = Deeds(channel=there.channel)
            return await deeds.word_on(await deeds.run_of(request_id), roster)

    async def _finish(self, request_id: str, fence: str, state: State) -> None:
        async with self.link.using() as there:
            await there.channel.finish(request_id, fence, state)

    async def _renew(self, request_id: str, fence: str) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            with suppress(GuardUnavailable):
                async with self.link.using() as there:
                    await there.channel.renew(request_id, fence)


def _began(waiter: Waiter, beginning: Future[None]) -> None:
    """Tell a call whose waiting could not begin."""
    if beginning.cancelled():
        waiter.answer(GuardUnavailable("redis", "the guard was closed while a call was waiting"))
    elif isinstance(error := beginning.exception(), Exception):
        waiter.answer(error)


async def insist(move: Callable[[], Awaitable[None]]) -> None:
    """Make a move for a call that will not run; what the move needs may still be on its way to Redis."""
    for seconds in TAKE_BACK_AFTER_SECONDS:
        await asyncio.sleep(seconds)
        with suppress(DecisionRefused, GuardUnavailable):
            await move()
            return


async def _end_of(saying: Future[None]) -> None:
    """Wait for something on the background loop; who is cancelled here leaves it running."""
    await asyncio.shield(asyncio.wrap_future(saying))
