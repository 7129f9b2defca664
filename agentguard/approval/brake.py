"""Where people stop calls, and let them go on.

Rules:
- who stops or goes on is a person of approvers.yaml, with their own key or through a signer; anybody there may stop;
- whoever stopped does not go on alone: a second person lifts it;
- what runs already is not stopped, and is listed.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from agentguard.approval.channel import Channel
from agentguard.approval.deeds import Attempt, Deeds
from agentguard.approval.freezes import Freezes, Running, check_lift
from agentguard.approval.roster import Roster
from agentguard.approval.signing import check_comment, check_signature, signed
from agentguard.errors import DecisionRefused
from agentguard.model.approvals import Freeze, Lift, Scope, State
from agentguard.store.keys import SigningKey

RUNNING_MAX = 200

SEEN_WITHIN_SECONDS = 1.0
"""In which every process that can reach Redis has seen an order."""


@dataclass(frozen=True, kw_only=True)
class Brake:
    """One tenant's freezes, for people. `roster` is today's."""

    channel: Channel
    roster: Roster

    async def standing(self) -> Sequence[Freeze]:
        """What is frozen now, the oldest first. Raises GuardUnavailable."""
        found = await self._freezes.standing()
        return sorted(found.values(), key=lambda freeze: (freeze.time_ms, freeze.id))

    async def freeze(
        self, scope: Scope, name: str, *, reason: str, person: str, key: SigningKey, signer: str | None = None
    ) -> Freeze:
        """Stop calls; gives the order that stands, an earlier one of the same scope where there was one.

        Raises DecisionRefused: unknown_person, bad_comment, bad_scope, no_key, bad_signature, unknown_signer.
        """
        if (scope in (Scope.AGENT, Scope.TOOL)) is not bool(name):
            raise DecisionRefused(
                "bad_scope", "a freeze of an agent or a tool names it, and no other freeze has a name"
            )
        if not check_comment(reason).strip():
            raise DecisionRefused("bad_comment", "a freeze has a reason; people and the model read it")
        await self.channel.learn_time()
        who = self.roster.person(person)
        freeze = Freeze(
            id=secrets.token_hex(16),
            tenant="" if scope is Scope.ALL else self.channel.names.tenant,
            scope=scope,
            name=name,
            reason=reason,
            person=who,
            time_ms=self.channel.clock.now_ms(),
            signer=signer or who,
        )
        freeze = signed(freeze, key)
        check_signature(freeze, self.roster)
        return await self._freezes.freeze(freeze)

    async def lift(
        self, freeze: Freeze, *, reason: str, person: str, key: SigningKey, signer: str | None = None
    ) -> None:
        """Let calls go on. Raises DecisionRefused: unknown_person, second_person, not_frozen, bad_comment, no_key, ..."""
        await self.channel.learn_time()
        who = self.roster.person(person)
        lift = Lift(
            tenant=freeze.tenant,
            freeze=freeze.id,
            freeze_digest=freeze.digest(),
            reason=check_comment(reason),
            person=who,
            time_ms=self.channel.clock.now_ms(),
            signer=signer or who,
        )
        lift = signed(lift, key)
        check_lift(lift, freeze, self.roster)
        await self._freezes.lift(freeze, lift)

    async def running(self, freeze: Freeze) -> Sequence[Running]:
        """The calls under a freeze that began before it and run still.

        Those that policy allows unasked are said by their processes when they see the order: ask after SEEN_WITHIN_SECONDS.
        """
        stored = await self.channel.list([State.EXECUTING], at_most=RUNNING_MAX)
        found = [
            Running(
                id=one.request.id,
                attempt=Attempt(
                    tool=one.request.tool,
                    agent=one.request.principal.agent,
                    user=one.request.principal.user,
                    session=one.request.principal.session,
                    request=one.request.id,
                ),
            )
            for one in stored
        ]
        for run in await Deeds(channel=self.channel).undone(at_most=RUNNING_MAX):
            runs = not run.outcome and run.until_ms > self.channel.clock.now_ms()
            if runs and run.attempt is not None and run.attempt.request is None:
                found.append(Running(id=run.subject, attempt=run.attempt))
        found += await self._freezes.said_running(freeze)
        tenant = self.channel.names.tenant
        return [one for one in found if freeze.stops(tenant, one.attempt.agent, one.attempt.tool)]

    @property
    def _freezes(self) -> Freezes:
        return Freezes(connection=self.channel.connection, names=self.channel.names)
