"""Steps 5 and 6: ask people about one call, wait, and redeem their answer once.

Rules:
- a request is bound to the call's digest; the same call again finds it, in whatever state it is;
- what people see is masked and computed here; what they signed is verified here, with today's roster;
- the policy in force judges again before the permit, with the facts of the request and with those of now: stricter means stale;
- the stored input is parsed again and must give the same snapshot;
- a permit is redeemed once, before the tool runs; whoever comes second is told so, and one that Redis gives twice is forged;
- a call that is cancelled takes its request back, and a permit that it may have got, whenever it is cancelled.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import assert_never

from agentguard.approval import Opened, Roster, Stored, check_vote, obstacles, tally
from agentguard.errors import AgentGuardError, DecisionRefused, GuardUnavailable, InvalidArguments, OutcomeUnknown
from agentguard.guard import refusals
from agentguard.guard.binding import Binding
from agentguard.guard.link import Link
from agentguard.guard.permit import Claim, Spent
from agentguard.guard.records import Records
from agentguard.guard.snapshot import Snapshot, read_again
from agentguard.model.approvals import Assurance, Card, Request, State
from agentguard.model.calls import Principal, Tool, ToolCall
from agentguard.model.facts import Facts
from agentguard.model.tokens import Token
from agentguard.model.verdicts import Clause, Verdict
from agentguard.store.background import Background
from agentguard.store.seal import SealBroken, Sealer

RENEW_SECONDS = 10.0
"""How often a running call says that it still runs; its lease is three times that."""

TAKE_BACK_AFTER_SECONDS = (0.0, 0.2, 2.0)
"""When a cancelled call tries to take back what it asked for, each after the one before."""


_CANCELLED = "the waiting call was cancelled"

_WHO_CHANGED = frozenset({"no_key", "unknown_signer"})
"""Why a vote no longer verifies although nobody forged it: its person or server left approvers.yaml."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A call that policy wants to ask about, with all that was found out about it.

    `tokens` are those left in the arguments, resolved; `title` and `shown` (JSON text of the arguments) are masked for people.
    """

    call: ToolCall
    tool: Tool
    principal: Principal
    snapshot: Snapshot
    tokens: Mapping[str, Token]
    facts: Facts
    verdict: Verdict
    title: str
    shown: str


Rejudge = Callable[[Case, Facts], Awaitable[tuple[Verdict, ...]]]
"""Judges a case by the policy in force: with these stored facts, and with the facts of now."""


@dataclass(frozen=True, kw_only=True)
class Asking:
    """Opens, awaits and redeems requests.

    `roster` gives today's people; `masked_words` is what the model may read of what a person wrote.
    """

    background: Background
    link: Link
    binding: Binding
    sealer: Sealer
    roster: Callable[[], Roster]
    records: Records
    masked_words: Callable[[Principal, str], str]
    assurance: Assurance
    deployment: str
    spent: Spent = field(default_factory=Spent)

    async def ask(self, case: Case, rejudge: Rejudge) -> tuple[Case, Claim]:
        """The case as approved (its snapshot may be an earlier one of the same call) and the claim to run it.

        Raises CallRefused, OutcomeUnknown or GuardUnavailable.
        """
        try:
            return await self._ask(case, rejudge)
        except DecisionRefused as refused:
            raise self._broken(case, refused) from None

    async def finish(self, claim: Claim, state: State) -> None:
        """Say how the run ended: done, failed or unknown. It is said even where the caller is cancelled meanwhile."""
        claim.renewing.cancel()
        saying = self.background.start(lambda: self._finish(claim, state))
        await self.background.hop(lambda: _end_of(saying))

    async def _ask(self, case: Case, rejudge: Rejudge) -> tuple[Case, Claim]:
        self._must_be_possible(case)
        request = self._request(case)
        try:
            opened = await self._open(case, request)
            await self.records.asked(opened.stored.request, opened.how.value)
            return await self._permit(case, await self._decided(opened.stored), rejudge)
        except (asyncio.CancelledError, KeyboardInterrupt):
            self.background.start(lambda: self._insist(lambda: self._withdraw(request.id, _CANCELLED)))
            raise

    async def _permit(self, case: Case, stored: Stored, rejudge: Rejudge) -> tuple[Case, Claim]:
        """Step 6: what people said is verified and judged against today, then redeemed."""
        self._must_be_approved(case, stored)
        case = self._adopt(case, stored)
        await self._check_votes(case, stored)
        await self._check_still_fits(case, stored, await rejudge(case, stored.request.facts))
        return case, await self._redeem(case, stored)

    def _must_be_possible(self, case: Case) -> None:
        """Nobody is asked, and nobody waits, for what nobody here could approve."""
        missing = list(obstacles(case.verdict.needs, self.roster(), case.principal))
        if missing:
            raise refusals.impossible(case.verdict, missing)

    def _broken(self, case: Case, refused: DecisionRefused) -> AgentGuardError:
        """What the caller gets where the channel says no for a reason that no step above expects."""
        if refused.code == "forged":
            self.records.forged(case.principal, case.call, "", refused.code)
            return refusals.forged(case.tool.name, "")
        return GuardUnavailable("redis", f"the approval channel refused a move ({refused.code})")

    async def _open(self, case: Case, request: Request) -> Opened:
        sealed = self.sealer.seal(case.snapshot.input_text.encode(), self._context(request.id))
        try:
            opened = await self.background.hop(lambda: self._open_there(request, sealed))
        except DecisionRefused as refused:
            if refused.code == "call_id_reused":
                raise refusals.reused(case.tool.name) from None
            raise
        if not _is_same_call(request, opened.stored.request):
            raise refusals.reused(case.tool.name)
        return opened

    def _request(self, case: Case) -> Request:
        return Request(
            id=secrets.token_hex(16),
            principal=case.principal,
            call_id=self.binding.call_id(case.call.id),
            tool=case.tool.name,
            digest=self.binding.digest(case.tool, case.principal, case.snapshot.text, case.tokens),
            model_digest=self.binding.model_digest(case.call),
            card=self._card(case),
            verdict=case.verdict,
            facts=case.facts,
            opened_ms=0,
            deadline_ms=0,
            redeem_by_ms=0,
            assurance=self.assurance,
        )

    async def _decided(self, stored: Stored) -> Stored:
        if stored.state is not State.PENDING:
            return stored
        return await self.background.hop(lambda: self._wait(stored.request))

    def _must_be_approved(self, case: Case, stored: Stored) -> None:
        match stored.state:
            case State.APPROVED:
                return
            case State.EXECUTING | State.UNKNOWN:
                raise OutcomeUnknown(
                    f"{case.tool.name}: this very call was permitted before and may have run; a person must find out",
                    request_id=stored.request.id,
                )
            case State.PENDING:
                raise GuardUnavailable(
                    "redis", "the request is still pending and its deadline is not known to have passed"
                )
            case State.REJECTED | State.EXPIRED | State.WITHDRAWN | State.DONE | State.FAILED:
                comment = self.masked_words(case.principal, stored.resolution.comment)
                raise refusals.ended(case.tool.name, stored.resolution.model_copy(update={"comment": comment}))
            case _:
                assert_never(stored.state)

    def _adopt(self, case: Case, stored: Stored) -> Case:
        """The case with the input that people saw: a restart takes the stored one, defaults and all."""
        try:
            text = self.sealer.open(stored.sealed_input, self._context(stored.request.id)).decode()
            snapshot = read_again(case.tool, text)
        except (SealBroken, InvalidArguments):
            raise refusals.stale(case.tool.name, stored.request.id, "what the tool accepts changed") from None
        digest = self.binding.digest(case.tool, case.principal, snapshot.text, case.tokens)
        if not hmac.compare_digest(digest, stored.request.digest):
            raise refusals.stale(case.tool.name, stored.request.id, "the tool or the arguments changed")
        return replace(case, snapshot=snapshot)

    async def _check_votes(self, case: Case, stored: Stored) -> None:
        roster = self.roster()
        for vote in stored.votes:
            try:
                check_vote(vote, stored.request, roster)
            except DecisionRefused as refused:
                if refused.code in _WHO_CHANGED:
                    raise refusals.stale(case.tool.name, stored.request.id, "who may approve changed") from None
                self.records.forged(case.principal, case.call, stored.request.id, refused.code)
                await self.background.hop(lambda: self._withdraw(stored.request.id, "forged"))
                raise refusals.forged(case.tool.name, stored.request.id) from None
        if tally(stored.request.needs, stored.votes, roster, case.principal).state is not State.APPROVED:
            raise refusals.stale(case.tool.name, stored.request.id, "who may approve changed")

    async def _check_still_fits(self, case: Case, stored: Stored, verdicts: Sequence[Verdict]) -> None:
        if any(verdict.stricter_than(stored.request.verdict) for verdict in verdicts):
            await self.background.hop(lambda: self._withdraw(stored.request.id, "policy became stricter"))
            raise refusals.stale(case.tool.name, stored.request.id, "policy became stricter")

    async def _redeem(self, case: Case, stored: Stored) -> Claim:
        fence = secrets.token_hex(16)
        try:
            await self.background.hop(lambda: self._redeem_there(stored, fence))
        except DecisionRefused:
            self._must_be_approved(case, await self.background.hop(lambda: self._read(stored.request.id)))
            raise refusals.stale(case.tool.name, stored.request.id, "the votes changed") from None
        except (asyncio.CancelledError, KeyboardInterrupt):  # the permit may be ours by now, and nobody will use it
            self.background.start(lambda: self._insist(lambda: self._give_back(stored.request.id, fence)))
            raise
        if self.spent.holds(stored.request):
            raise DecisionRefused("forged", "its permit was given here before, and Redis gave it again")
        self.spent.add(stored.request, stored.now_ms)
        renewing = self.background.start(lambda: self._renew(stored.request.id, fence))
        claim = Claim(request_id=stored.request.id, fence=fence, renewing=renewing)
        try:
            await self.records.permitted(case.principal, case.call, case.snapshot, stored)
        except BaseException:
            await self.finish(claim, State.FAILED)
            raise
        return claim

    def _card(self, case: Case) -> Card:
        return Card(
            title=case.title,
            tool=case.tool.name,
            agent=case.principal.agent,
            user=case.principal.user,
            session=case.principal.session,
            risk=case.verdict.risk.value,
            reasons=tuple(_sentence(clause) for clause in case.verdict.clauses),
            arguments=case.shown,
            deployment=self.deployment,
        )

    @staticmethod
    def _context(request_id: str) -> str:
        return f"input of request {request_id}"

    # On the background loop.

    async def _open_there(self, request: Request, sealed: bytes) -> Opened:
        async with self.link.using() as there:
            return await there.channel.open(request, sealed)

    async def _wait(self, request: Request) -> Stored:
        async with self.link.using() as there:
            return await there.waiters.wait(request.id, request.deadline_ms)

    async def _read(self, request_id: str) -> Stored:
        async with self.link.using() as there:
            return await there.channel.read(request_id)

    async def _withdraw(self, request_id: str, reason: str) -> None:
        async with self.link.using() as there:
            await there.channel.withdraw(request_id, reason)

    async def _insist(self, move: Callable[[], Awaitable[None]]) -> None:
        """Make a move for a call that was cancelled; what the move needs may still be on its way to Redis."""
        for seconds in TAKE_BACK_AFTER_SECONDS:
            await asyncio.sleep(seconds)
            with suppress(DecisionRefused, GuardUnavailable):
                await move()
                return

    async def _redeem_there(self, stored: Stored, fence: str) -> None:
        async with self.link.using() as there:
            await there.channel.redeem(stored.request.id, stored.version, fence)

    async def _finish(self, claim: Claim, state: State) -> None:
        async with self.link.using() as there:
            await there.channel.finish(claim.request_id, claim.fence, state)

    async def _give_back(self, request_id: str, fence: str) -> None:
        async with self.link.using() as there:
            await there.channel.finish(request_id, fence, State.FAILED)

    async def _renew(self, request_id: str, fence: str) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            with suppress(GuardUnavailable):
                async with self.link.using() as there:
                    await there.channel.renew(request_id, fence)


async def _end_of(saying: Future[None]) -> None:
    """Wait for something on the background loop; who is cancelled here leaves it running."""
    await asyncio.shield(asyncio.wrap_future(saying))


def _is_same_call(mine: Request, found: Request) -> bool:
    """Whether a request that Redis named is of this very call and caller; what named it carries no MAC of its own."""
    same = mine.digest == found.digest or mine.model_digest == found.model_digest
    return same and (mine.principal, mine.tool) == (found.principal, found.tool)


def _sentence(clause: Clause) -> str:
    """Why, in the policy's own words where it has some, and where it says so."""
    risk = f" says {clause.risk.value}" if clause.risk is not None else ""
    return f"{clause.reason or f'{clause.kind} {clause.id}{risk}'} ({clause.place})"
