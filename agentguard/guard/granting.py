"""Steps 5 and 6 without asking: a call that people granted along with an earlier approval.

Rules:
- looked for only where policy offers grants for the tool and the call would be asked about: never over a deny, never for a critical call;
- the votes that carry a grant must verify today and meet all that this call needs; the policy may not be stricter than what was shown then;
- a call that was asked about or ran under a grant before gets no permit by one: what became of it is its answer;
- a use is counted in one move right before the permit, and is on record; where anything is in doubt, people are asked.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from agentguard.approval import Granted, Grants, Roster, Stored, granted_by, holds
from agentguard.errors import DecisionRefused, GuardUnavailable
from agentguard.guard import refusals
from agentguard.guard.binding import Binding
from agentguard.guard.case import Case
from agentguard.guard.in_force import Now
from agentguard.guard.link import Link
from agentguard.guard.offers import Offers
from agentguard.guard.records import Records
from agentguard.model.calls import Principal, ToolCall
from agentguard.model.canonical import canonical_json
from agentguard.model.verdicts import Risk
from agentguard.store.background import Background

_log = logging.getLogger("agentguard.guard")


@dataclass(frozen=True, kw_only=True)
class Granting:
    """Finds and uses grants. `people` gives today's roster."""

    background: Background
    link: Link
    in_force: Now
    offers: Offers
    binding: Binding
    people: Callable[[], Roster]
    records: Records

    async def use(self, case: Case) -> Granted | None:
        """The grant that gives this call its permit, used once more; None where people must be asked. Raises GuardUnavailable."""
        if self.in_force().policy.terms(case.tool.name).grants is None or case.verdict.risk is Risk.CRITICAL:
            return None
        for granted in await self.background.hop(lambda: self._of(case)):
            if self._covers(granted, case) and (number := await self._use(case, granted)):
                await self.records.granted(case.principal, case.call, case.snapshot, granted, number)
                return granted
        return None

    async def remember(self, stored: Stored) -> None:
        """Note the grant that the votes on a redeemed request carry, if they do."""
        if any(vote.grant is not None for vote in stored.votes):
            with suppress(GuardUnavailable):
                await self.background.hop(lambda: self._remember(stored.request.id))

    def _covers(self, granted: Granted, case: Case) -> bool:
        shown = granted.stored.request.verdict
        return (
            not case.verdict.stricter_than(shown)
            and self.offers.covers(granted.offer, self.in_force().policy, case.tool, case.snapshot.arguments)
            and holds(granted, case.verdict.needs, self.people(), case.principal)
        )

    async def _use(self, case: Case, granted: Granted) -> int:
        """Which use it is; 0 where it gives none. Raises CallRefused for a call that it let run before."""
        name = self._name(case.principal, case.call)
        try:
            return await self.background.hop(lambda: self._used(granted, name))
        except DecisionRefused as refused:
            if refused.code == "again":
                raise refusals.twin(case.tool.name, granted.id) from None
            _log.info("grant %s: %s", granted.id, refused.code)
            return 0

    async def _of(self, case: Case) -> Sequence[Granted]:
        call_id = self.binding.call_id(case.call.id)
        async with self.link.using() as there:
            return await Grants(channel=there.channel).of(case.principal, case.tool.name, call_id)

    async def _used(self, granted: Granted, name: str) -> int:
        async with self.link.using() as there:
            return await Grants(channel=there.channel).use(granted, name)

    def _name(self, principal: Principal, call: ToolCall) -> str:
        """What tells a call from others: its id in the session and run, where it has one."""
        if call.id is None:
            return secrets.token_hex(16)
        return self.binding.value("use\n" + canonical_json([principal.canonical(), call.id]))

    async def _remember(self, request_id: str) -> None:
        async with self.link.using() as there:
            granted = granted_by(await there.channel.read(request_id))
            if granted is not None:
                await Grants(channel=there.channel).remember(granted)
