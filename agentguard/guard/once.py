"""What a call may do once: begun right before it runs, and known afterwards to whoever would do it again.

Rules:
- a call with a deed does not run where another attempt at that deed stands, unless that one did not run, or a person signed that it
  did not happen;
- nobody is asked about what may not happen again anyway;
- a deed begins once its call may run, before the tool does: a crash leaves one that may have happened, never one that nobody knows of;
- what did not run after all leaves no trace; what failed may have happened.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from agentguard.approval import Attempt, Deeds, InTheWay, Roster, Run
from agentguard.errors import GuardUnavailable
from agentguard.guard import refusals
from agentguard.guard.binding import Binding
from agentguard.guard.link import Link
from agentguard.guard.records import Records
from agentguard.guard.requests import RENEW_SECONDS, insist
from agentguard.guard.undertaking import NOTHING, Undertaking
from agentguard.model.approvals import Found, Settlement, State
from agentguard.model.calls import Principal, ToolCall
from agentguard.model.record import Json
from agentguard.model.verdicts import Verdict
from agentguard.policy import NoDeed, Policy
from agentguard.store.background import Background

_ID_LENGTH = 32


@dataclass(frozen=True, kw_only=True)
class Once:
    """Begins and ends deeds, from either door. `people` gives today's roster."""

    background: Background
    link: Link
    binding: Binding
    records: Records
    people: Callable[[], Roster]

    def named(self, policy: Policy, arguments: dict[str, Json], verdict: Verdict) -> tuple[str, ...]:
        """The ids of the deeds of a call. Raises CallRefused where a clause has nothing to name one by."""
        try:
            texts = policy.deeds(arguments, verdict)
        except NoDeed as missing:
            raise refusals.no_deed(verdict.tool, missing) from None
        return tuple([self.binding.value(f"deed\n{text}")[:_ID_LENGTH] for text in texts]) if texts else ()

    async def must_be_free(self, principal: Principal, call: ToolCall, deeds: Sequence[str]) -> None:
        """Raise CallRefused where another attempt stands in the way."""
        if deeds:
            await self._cleared(principal, call, deeds, lambda gone: self._peek(deeds, gone))

    async def begin(
        self, principal: Principal, call: ToolCall, deeds: Sequence[str], *, fence: str = "", request: str | None = None
    ) -> Undertaking:
        """Begin them all, or none: then raises CallRefused. `fence`: that of the claim, where people were asked."""
        if not deeds:
            return NOTHING
        fence = fence or secrets.token_hex(16)
        attempt = Attempt(
            tool=call.tool, agent=principal.agent, user=principal.user, session=principal.session, request=request
        )
        try:
            await self._cleared(principal, call, deeds, lambda gone: self._begin(deeds, fence, attempt, gone))
        except (asyncio.CancelledError, KeyboardInterrupt, GuardUnavailable):
            self._undo(deeds, fence)
            raise
        renewing = self.background.start(lambda: self._renew(deeds, fence, attempt))
        return Undertaking(deeds=tuple(deeds), fence=fence, renewing=renewing)

    async def end(self, undertaking: Undertaking, outcome: State | None) -> None:
        """Say how it ended (None: it did not run); where Redis is away it may have happened, and the journal knows better."""
        if undertaking.deeds:
            undertaking.stop()
            with suppress(GuardUnavailable):
                await self.background.hop(lambda: self._end(undertaking.deeds, undertaking.fence, outcome))

    def _undo(self, deeds: Sequence[str], fence: str) -> None:
        self.background.start(lambda: insist(lambda: self._end(deeds, fence, None)))

    async def _cleared(
        self,
        principal: Principal,
        call: ToolCall,
        deeds: Sequence[str],
        move: Callable[[list[Run]], Awaitable[InTheWay | None]],
    ) -> None:
        """Make a move until nothing stands in its way but runs of which a person said that they did not happen."""
        gone: list[Run] = []
        while (found := await self.background.hop(lambda: self._look(move, gone))) is not None:
            run, word = found
            if word is None or word.found is not Found.DID_NOT or run in gone:
                is_known = run.outcome == "done" or (word is not None and word.found is Found.HAPPENED)
                raise refusals.done_before(call.tool, run, is_known)
            await self.records.cleared(principal, call, run.subject, word)
            gone.append(run)

    async def _look(
        self, move: Callable[[list[Run]], Awaitable[InTheWay | None]], gone: list[Run]
    ) -> tuple[Run, Settlement | None] | None:
        """What stands in the way of a move, and a person's word on it."""
        blocked = await move(gone)
        if blocked is None:
            return None
        async with self.link.using() as there:
            word = await Deeds(channel=there.channel).word_on(blocked.run, self.people())
        return blocked.run, word

    async def _peek(self, deeds: Sequence[str], gone: Sequence[Run]) -> InTheWay | None:
        async with self.link.using() as there:
            return await Deeds(channel=there.channel).in_the_way(deeds, gone=gone)

    async def _begin(
        self, deeds: Sequence[str], fence: str, attempt: Attempt, gone: Sequence[Run] = ()
    ) -> InTheWay | None:
        async with self.link.using() as there:
            return await Deeds(channel=there.channel).begin(deeds, fence, attempt, gone=gone)

    async def _end(self, deeds: Sequence[str], fence: str, outcome: State | None) -> None:
        async with self.link.using() as there:
            await Deeds(channel=there.channel).end(deeds, fence, outcome)

    async def _renew(self, deeds: Sequence[str], fence: str, attempt: Attempt) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            with suppress(GuardUnavailable):
                await self._begin(deeds, fence, attempt)
