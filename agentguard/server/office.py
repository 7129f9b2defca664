"""What the server decides with: its line to Redis, today's people, and its own signing key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Request

from agentguard.approval import Brake, Channel, Desk, Grants, Listed, Pages, Roster
from agentguard.errors import DecisionRefused
from agentguard.model.approvals import Decision, Found, Freeze, Grant, Resolution, Scope, Settlement, Vote
from agentguard.model.record import Json
from agentguard.model.verdicts import Risk
from agentguard.server.identity import Identity
from agentguard.server.metrics import Metrics
from agentguard.server.outbox import Outbox
from agentguard.server.pace import Pacing
from agentguard.server.repeats import Repeats
from agentguard.server.settings import STEP_UP_SECONDS
from agentguard.server.unmasking import Unmasking
from agentguard.store.keys import SigningKey

EDIT_SECONDS = 3.0
"""How long a page waits for the agent to answer an edit; later the page tells by itself."""


FREEZABLE = (Scope.AGENT, Scope.TOOL, Scope.TENANT)
"""What can be frozen here; everything of all tenants is for who runs the server: `agentguard freeze --all`."""


@dataclass(frozen=True, kw_only=True)
class Office:
    """Open while the server runs. `signer` is the server's name under `signers:`, `key` its private key."""

    channel: Channel
    roster: Callable[[], Roster]
    signer: str
    key: SigningKey
    now_ms: Callable[[], int]
    pacing: Pacing
    step_up_seconds: int = STEP_UP_SECONDS
    metrics: Metrics = field(default_factory=Metrics)
    unmasking: Unmasking | None = None
    at_work: list[asyncio.Task[None]] = field(default_factory=list)

    def desk(self) -> Desk:
        """The desk with today's people. Raises ConfigurationError."""
        return Desk(channel=self.channel, roster=self.roster())

    @property
    def pages(self) -> Pages:
        """The requests page by page."""
        return Pages(channel=self.channel)

    @property
    def outbox(self) -> Outbox:
        """What is still to be told to others, and what could not be."""
        return Outbox(connection=self.channel.connection, names=self.channel.names)

    @property
    def repeats(self) -> Repeats:
        """What was answered to calls that may come again."""
        return Repeats(connection=self.channel.connection, names=self.channel.names)

    async def decide(
        self,
        request_id: str,
        identity: Identity,
        decision: Decision,
        *,
        card_digest: str,
        comment: str,
        grant: Grant | None = None,
    ) -> Resolution:
        """Put one person's decision, signed by this server. Raises DecisionRefused, GuardUnavailable, TooMany."""
        async with self._deciding(identity, decision, [request_id]):
            return await self.desk().decide(
                request_id,
                person=identity.person,
                key=self.key,
                signer=self.signer,
                decision=decision,
                card_digest=card_digest,
                comment=comment,
                within=identity.groups,
                grant=grant,
            )

    async def cast(self, vote: Vote, identity: Identity) -> Resolution:
        """Put a vote that its person signed elsewhere. Raises DecisionRefused, GuardUnavailable, TooMany."""
        async with self._deciding(identity, vote.decision, [vote.request]):
            if vote.person != identity.person:
                raise DecisionRefused("other_person", "the vote is not that of the person whose key signed the message")
            return await self.desk().cast(vote)

    async def decide_together(
        self, cards: Mapping[str, str], identity: Identity, decision: Decision, *, comment: str
    ) -> Sequence[Resolution]:
        """Put one person's decision on several calls of one turn, on all or on none. `cards`: what was shown, by request.

        Raises DecisionRefused, GuardUnavailable, TooMany.
        """
        async with self._deciding(identity, decision, cards):
            return await self.desk().decide_together(
                cards,
                person=identity.person,
                key=self.key,
                signer=self.signer,
                decision=decision,
                comment=comment,
                within=identity.groups,
            )

    @asynccontextmanager
    async def _deciding(
        self, identity: Identity, decision: Decision, request_ids: Collection[str]
    ) -> AsyncIterator[None]:
        """Check that this person may decide now, and count what comes of it. Raises DecisionRefused, TooMany."""
        if identity.may_decide:
            await self.pacing.take("deciding", identity.person)
        outcome = "failed"
        try:
            self._check_scope(identity)
            if decision is Decision.APPROVE and not self.is_fresh(identity):
                for request_id in request_ids:
                    await self._check_harmless(request_id)
            yield
            outcome = "taken"
        except DecisionRefused as refused:
            outcome = refused.code
            raise
        finally:
            self.metrics.count("agentguard_decisions_total", decision=decision.value, outcome=outcome)

    def _check_scope(self, identity: Identity) -> None:
        """Return if they may do more than read. It comes before counting, so that who may not uses up nothing. Raises DecisionRefused."""
        if not identity.may_decide:
            told = "this token may only read; `agentguard token create NAME` makes one that decides"
            raise DecisionRefused("scope", told)

    async def edit(
        self, request_id: str, identity: Identity, changes: Mapping[str, Json], *, card_digest: str, comment: str
    ) -> None:
        """Put one person's change of arguments, and wait a little for the agent's answer. Raises TooMany, and DecisionRefused.

        Among its codes: edit_refused, and edit_waits where the agent has not answered yet; the request tells of both.
        """
        self._check_scope(identity)
        await self.pacing.take("deciding", identity.person)
        desk = self.desk()
        desk.may_decide(await self.channel.read(request_id), identity.person, identity.groups)
        edit = await desk.edit(
            request_id,
            changes,
            person=identity.person,
            key=self.key,
            signer=self.signer,
            card_digest=card_digest,
            comment=comment,
        )
        await desk.answered(edit, seconds=EDIT_SECONDS)

    async def settle(self, request_id: str, identity: Identity, found: Found, *, comment: str) -> Settlement:
        """Put one person's word on a run that may have happened. Raises DecisionRefused, TooMany."""
        self._check_scope(identity)
        await self.pacing.take("deciding", identity.person)
        return await self.desk().settle(
            request_id, found, person=identity.person, key=self.key, signer=self.signer, comment=comment
        )

    def may_unmask(self, identity: Identity) -> bool:
        """Whether this person may look at real values. Raises ConfigurationError."""
        return self.unmasking is not None and self.unmasking.may(identity, self.roster())

    async def unmask(self, request_id: str, identity: Identity, argument: str) -> Json:
        """The real value of an argument, once it is on record who looks. Raises DecisionRefused, GuardUnavailable, TooMany."""
        await self.pacing.take("deciding", identity.person)
        if self.unmasking is None or not self.may_unmask(identity):
            raise DecisionRefused("not_entitled", f"{identity.person} may not look at real values")
        if not self.is_fresh(identity):
            raise DecisionRefused("step_up", "log in again, then look at it")
        return await self.unmasking.look(await self.channel.read(request_id), argument, identity)

    def brake(self) -> Brake:
        """The brake with today's people. Raises ConfigurationError."""
        return Brake(channel=self.channel, roster=self.roster())

    async def freeze(self, identity: Identity, scope: Scope, name: str, *, reason: str) -> Freeze:
        """Stop calls in one person's name. Raises DecisionRefused, TooMany."""
        self._check_scope(identity)
        await self.pacing.take("deciding", identity.person)
        if scope not in FREEZABLE:
            raise DecisionRefused("bad_scope", "an agent, a tool or the whole tenant can be frozen here")
        return await self.brake().freeze(
            scope, name, reason=reason, person=identity.person, key=self.key, signer=self.signer
        )

    async def lift(self, identity: Identity, freeze_id: str, *, reason: str) -> None:
        """Let calls go on in a second person's name. Raises DecisionRefused, TooMany."""
        self._check_scope(identity)
        await self.pacing.take("deciding", identity.person)
        brake = self.brake()
        standing = {freeze.id: freeze for freeze in await brake.standing()}
        if freeze_id not in standing:
            raise DecisionRefused("not_frozen", "that is not frozen any more; look again")
        await brake.lift(standing[freeze_id], reason=reason, person=identity.person, key=self.key, signer=self.signer)

    async def granted(self) -> Sequence[Listed]:
        """What people granted and is not over. Raises GuardUnavailable."""
        return await Grants(channel=self.channel).list()

    async def revoke(self, identity: Identity, grant_id: str, *, reason: str) -> None:
        """End a grant in one person's name. Raises RequestNotFound, DecisionRefused, TooMany."""
        self._check_scope(identity)
        await self.pacing.take("deciding", identity.person)
        await Grants(channel=self.channel).revoke(
            grant_id, self.roster(), person=identity.person, key=self.key, signer=self.signer, reason=reason
        )

    def is_fresh(self, identity: Identity) -> bool:
        """Whether this person proved who they are just now. A token is its own proof, each time."""
        return self.now_ms() - identity.authenticated_ms <= self.step_up_seconds * 1000

    async def _check_harmless(self, request_id: str) -> None:
        stored = await self.channel.read(request_id)
        if stored.request.verdict.risk is Risk.CRITICAL:
            raise DecisionRefused("step_up", "this is critical: log in again, then approve it")

    async def ready(self) -> bool:
        """Whether Redis answers and everything that runs beside the API still does. Raises GuardUnavailable."""
        await self.channel.connection.execute("PING")
        return not any(task.done() for task in self.at_work)


def the_office(request: Request) -> Office:
    """The server's office."""
    return cast("Office", request.app.state.office)


TheOffice = Annotated[Office, Depends(the_office)]
