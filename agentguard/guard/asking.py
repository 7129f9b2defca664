"""Steps 5 and 6: ask people about one call, wait, and redeem their answer once.

Rules:
- a request is bound to the call's digest; the same call again finds it, in whatever state it is, and a person's no for a while;
- where the agent has asked too much already, nobody is asked, and the call does not run;
- what people see is masked and computed here; what they signed is verified here, with today's roster;
- the policy in force judges again before the permit, with the facts of the request and with those of now: stricter means stale;
- the stored input is parsed again and must give the same snapshot;
- while it waits, people may change its arguments: that is another call, asked about anew (see `editing`);
- while calls like it are frozen it gets none, and its request stays as it is;
- a permit is redeemed once, before the tool runs; whoever comes second is told so, and one that Redis gives twice is forged;
- a call that is cancelled takes its request back, and a permit that it may have got, whenever it is cancelled.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, assert_never

from agentguard.approval import Opened, Restraint, Roster, Stored, Tally, check_vote, obstacles, tally
from agentguard.errors import (
    AgentGuardError,
    AskedTooMuch,
    CallPending,
    CallRefused,
    ConfigurationError,
    DecisionRefused,
    GuardUnavailable,
    OutcomeUnknown,
    RequestNotFound,
)
from agentguard.guard import refusals
from agentguard.guard.binding import Binding
from agentguard.guard.case import Case
from agentguard.guard.cases import Cases
from agentguard.guard.editing import Editing, input_context
from agentguard.guard.freezing import Freezing
from agentguard.guard.granting import Granting
from agentguard.guard.permit import Claim
from agentguard.guard.records import Records
from agentguard.guard.requests import Requests
from agentguard.guard.snapshot import read_again
from agentguard.guard.spent import Spent
from agentguard.model.approvals import Assurance, Decision, Request, State
from agentguard.model.calls import Principal
from agentguard.model.verdicts import Verdict
from agentguard.store.seal import SealBroken, Sealer

_log = logging.getLogger("agentguard.guard")
_WHO_CHANGED = frozenset({"no_key", "unknown_signer"})
"""Why a vote no longer verifies although nobody forged it: its person or server left approvers.yaml."""


@dataclass(frozen=True, slots=True)
class Waits:
    """What there is to know of a request while it waits; all else is read again then, so thousands of waiting calls hold no more."""

    request_id: str
    deadline_ms: int


@dataclass(frozen=True, kw_only=True)
class Asking:
    """Asks and redeems. `people` gives today's roster; `masked_words` is what the model may read of what a person wrote."""

    requests: Requests
    binding: Binding
    sealer: Sealer
    people: Callable[[], Roster]
    records: Records
    spent: Spent
    freezing: Freezing
    editing: Editing
    cases: Cases
    granting: Granting
    masked_words: Callable[[Principal, str], str]
    assurance: Assurance

    async def ask(self, case: Case, hold_seconds: float | None = None) -> tuple[Case, Claim]:
        """The case as approved (its snapshot may be an earlier one of the same call) and the claim to run it.

        `hold_seconds`: how long the caller waits; then it is told to come back (CallPending). None: until the deadline.

        Raises CallRefused, OutcomeUnknown or GuardUnavailable.
        """
        self._must_be_possible(case)
        request_id = secrets.token_hex(16)
        try:
            asked = await self._answered(case, await self._asked(case, request_id, may_defer=hold_seconds is not None))
            while isinstance(asked, Waits):  # in this very frame, since every waiting call holds all that it is in
                asked = await self._answered(case, await self._end_of(asked, hold_seconds))
            if asked.state is State.PENDING and hold_seconds is not None:
                raise self._pending(asked)
            return await self._permit(case, asked)
        except DecisionRefused as refused:
            raise self._broken(case, refused) from None
        except (asyncio.CancelledError, KeyboardInterrupt):
            self.requests.take_back(request_id)
            raise

    async def standing(self, principal: Principal, request_id: str, hold_seconds: float) -> str:
        """How a request of this principal stands, in words for the model. Raises RequestNotFound, GuardUnavailable."""
        stored = await self.requests.read(request_id)
        if stored.request.principal != principal:
            raise RequestNotFound(request_id)
        asked = _to_wait_for(stored)
        stored = asked if isinstance(asked, Stored) else await self._end_of(asked, hold_seconds)
        match stored.state:
            case State.PENDING:
                return str(self._pending(stored))
            case State.APPROVED:
                return refusals.come_back(stored.request)
            case State.EXECUTING | State.UNKNOWN:
                return f"may have run: the call of request {request_id[:8]} was permitted. Do not repeat it; tell the user."
            case _:
                return str(self._ended(principal, stored))

    async def waits(self, principal: Principal, call_id: str) -> bool | None:
        """Whether people have yet to decide on the call with this id; None where nobody was asked. Raises GuardUnavailable."""
        try:
            stored = await self.requests.of_call(principal, str(self.binding.call_id(call_id)))
        except RequestNotFound:
            return None
        except DecisionRefused as refused:
            raise GuardUnavailable("redis", f"the approval channel refused a move ({refused.code})") from None
        return None if stored is None else stored.state is State.PENDING and not stored.edit_waits

    async def finish(self, claim: Claim, state: State) -> None:
        """Say how the run ended: done, failed or unknown. Where Redis knows of no such run (any more), the journal still does."""
        claim.renewing.cancel()
        try:
            await self.requests.finish(claim.request_id, claim.fence, state)
        except DecisionRefused as refused:
            _log.error("request %s ended as %s, and Redis does not take it: %s", claim.request_id, state, refused)

    async def _asked(self, case: Case, request_id: str, *, may_defer: bool) -> Stored | Waits:
        """The request that the call has now, on record."""
        opened = await self._open(case, self._request(case, request_id, may_defer=may_defer))
        await self.records.asked(opened.stored.request, opened.how.value)
        return _to_wait_for(opened.stored)

    async def _permit(self, case: Case, stored: Stored) -> tuple[Case, Claim]:
        """Step 6: what people said is verified and judged against today, then redeemed."""
        await self._must_not_be_settled(case, stored)
        self._must_be_approved(case, stored)
        case = await self._adopt(case, stored)
        await self._check_votes(case, stored)
        await self._check_still_fits(case, stored, await self.cases.judge_again(case, stored.request.facts))
        await self.freezing.check(case.principal, case.tool.name)
        return case, await self._redeem(case, stored)

    async def _answered(self, case: Case, asked: Stored | Waits) -> Stored | Waits:
        """The same, once an edit that waits is answered, which makes a new revision to decide."""
        while isinstance(asked, Stored) and asked.state is State.PENDING and asked.edit_waits:
            asked = _to_wait_for(await self._edited(case, asked))
        return asked

    def _end_of(self, asked: Waits, hold_seconds: float | None) -> Coroutine[Any, Any, Stored]:
        return self.requests.decided(asked.request_id, asked.deadline_ms, hold_seconds)

    async def _edited(self, case: Case, stored: Stored) -> Stored:
        try:
            return await self.editing.answer(case, stored)
        except DecisionRefused as refused:
            raise await self._forged(case, stored, refused.code) from None

    def _must_be_possible(self, case: Case) -> None:
        """Nobody is asked, and nobody waits, for what nobody here could approve."""
        missing = list(obstacles(case.verdict.needs, self._roster(), case.principal))
        if missing:
            raise refusals.impossible(case.verdict, missing)

    async def _open(self, case: Case, request: Request) -> Opened:
        sealed = self.sealer.seal(case.snapshot.input_text.encode(), input_context(request.id))
        try:
            opened = await self.requests.open(request, sealed, self._restraint())
        except AskedTooMuch as refused:
            raise refusals.asked_too_much(case.tool.name, refused) from None
        except DecisionRefused as refused:
            if refused.code == "call_id_reused":
                raise refusals.reused(case.tool.name) from None
            raise
        if not _is_same_call(request, opened.stored.request):
            raise refusals.reused(case.tool.name)
        return opened

    def _restraint(self) -> Restraint:
        terms = self.cases.in_force().policy.asking
        return Restraint(
            pending=terms.pending,
            per_minute=terms.per_minute,
            pause_ms=terms.pause_ms,
            after_rejection_ms=terms.after_rejection_ms,
        )

    def _pending(self, stored: Stored) -> CallPending:
        """Tell who is still asked, and to come back."""
        return refusals.pending(stored, self._tally(stored, self._roster()).missing)

    def _request(self, case: Case, request_id: str, *, may_defer: bool) -> Request:
        return Request(
            id=request_id,
            principal=case.principal,
            call_id=self.binding.call_id(case.call.id),
            tool=case.tool.name,
            digest=self.binding.digest(case.tool, case.principal, case.snapshot.text, case.tokens),
            model_digest=self.binding.model_digest(case.call),
            card=case.card,
            verdict=case.verdict,
            facts=case.facts,
            opened_ms=0,
            deadline_ms=0,
            redeem_by_ms=0,
            may_defer=may_defer,
            assurance=self.assurance,
            notify=case.notify,
            box=self.editing.box.public if all(need.edit for need in case.verdict.needs) else "",
            turn=self.binding.turn(case.call, case.principal),
        )

    async def _must_not_be_settled(self, case: Case, stored: Stored) -> None:
        """A run that may have happened, of which a person found out: the answer is theirs."""
        if stored.state is State.UNKNOWN:
            word = await self.requests.word_on(stored.request.id, self._roster())
            if word is not None:
                raise refusals.settled(case.tool.name, stored.request.id, word.found)

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
                raise self._ended(case.principal, stored)
            case _:
                assert_never(stored.state)

    def _ended(self, principal: Principal, stored: Stored) -> CallRefused:
        """What the model is told of a request that got no permit; of people only those of the roster are named."""
        known, said = self._roster().people, stored.resolution
        comment, by = self.masked_words(principal, said.comment), tuple(name for name in said.by if name in known)
        said = said.model_copy(update={"comment": comment, "by": by})
        times = [vote.time_ms for vote in stored.votes if vote.decision is Decision.REJECT]
        until = max(times, default=0) + self.cases.in_force().policy.asking.after_rejection_ms
        return refusals.ended(stored.request.tool, said, until_ms=until if until > stored.now_ms else 0)

    async def _adopt(self, case: Case, stored: Stored) -> Case:
        """The case with the input that people saw: a restart takes the stored one, defaults and all."""
        try:
            case = await self.editing.as_edited(case, stored)
            text = self.sealer.open(stored.sealed_input, input_context(stored.request.id)).decode()
            snapshot = read_again(case.tool, text)
        except (SealBroken, CallRefused):
            raise refusals.stale(case.tool.name, stored.request.id, "what the tool accepts changed") from None
        digest = self.binding.digest(case.tool, case.principal, snapshot.text, case.tokens)
        if not hmac.compare_digest(digest, stored.request.digest):
            raise refusals.stale(case.tool.name, stored.request.id, "the tool or the arguments changed")
        return replace(case, snapshot=snapshot, verdict=stored.request.verdict)

    async def _check_votes(self, case: Case, stored: Stored) -> None:
        roster = self._roster()
        for vote in stored.votes:
            try:
                check_vote(vote, stored.request, roster)
            except DecisionRefused as refused:
                if refused.code in _WHO_CHANGED:
                    raise refusals.stale(case.tool.name, stored.request.id, "who may approve changed") from None
                raise await self._forged(case, stored, refused.code) from None
        if not stored.votes:
            raise await self._forged(case, stored, "no votes")
        if self._tally(stored, roster).state is not State.APPROVED:
            raise refusals.stale(case.tool.name, stored.request.id, "who may approve changed")

    async def _check_still_fits(self, case: Case, stored: Stored, verdicts: Sequence[Verdict]) -> None:
        if not verdicts or any(verdict.stricter_than(stored.request.verdict) for verdict in verdicts):
            await self.requests.withdraw(stored.request.id, "policy became stricter")
            raise refusals.stale(case.tool.name, stored.request.id, "policy became stricter")

    async def _redeem(self, case: Case, stored: Stored) -> Claim:
        request, fence = stored.request, secrets.token_hex(16)
        try:
            await self.requests.redeem(stored, fence)
        except DecisionRefused as refused:
            if refused.code == "frozen":
                await self.freezing.know(case.principal, case.tool.name)
            raise self._overtaken(case, await self.requests.read(request.id)) from None
        claim = Claim(request_id=request.id, fence=fence, renewing=self.requests.renewing(request.id, fence))
        try:
            self.spent.take(request, stored.now_ms)
            await self.records.permitted(case.principal, case.call, case.snapshot, stored)
            await self.granting.remember(stored)
        except BaseException:
            await self.finish(claim, State.FAILED)
            raise
        return claim

    def _overtaken(self, case: Case, stored: Stored) -> AgentGuardError:
        """What whoever comes second to a permit is told: usually the same call, made twice in one turn."""
        if stored.state in (State.EXECUTING, State.DONE, State.FAILED):
            return refusals.twin(case.tool.name, stored.request.id)
        self._must_be_approved(case, stored)
        return refusals.stale(case.tool.name, stored.request.id, "the votes changed")

    async def _forged(self, case: Case, stored: Stored, code: str) -> AgentGuardError:
        """End a request whose approval nobody gave, loudly."""
        self.records.forged(case.principal, case.call, stored.request.id, code)
        await self.requests.withdraw(stored.request.id, "forged")
        return refusals.forged(case.tool.name, stored.request.id)

    def _broken(self, case: Case, refused: DecisionRefused) -> AgentGuardError:
        """What the caller gets where the channel says no for a reason that no step above expects."""
        if refused.code == "forged":
            self.records.forged(case.principal, case.call, "", refused.code)
            return refusals.forged(case.tool.name, "")
        return GuardUnavailable("redis", f"the approval channel refused a move ({refused.code})")

    def _tally(self, stored: Stored, roster: Roster) -> Tally:
        """How the votes stand now, on Redis's clock."""
        request = stored.request
        return tally(
            request.needs,
            stored.votes,
            roster,
            request.principal,
            opened_ms=request.opened_ms,
            now_ms=stored.now_ms,
        )

    def _roster(self) -> Roster:
        try:
            return self.people()
        except ConfigurationError:
            told = "approvers.yaml no longer loads (`agentguard policy lint` says why), so nobody's vote counts"
            raise GuardUnavailable("approvers", told) from None


def _to_wait_for(stored: Stored) -> Stored | Waits:
    """A request as it was read, where there is nothing to wait for."""
    waits = stored.state is State.PENDING and not stored.edit_waits
    return Waits(stored.request.id, stored.request.deadline_ms) if waits else stored


def _is_same_call(mine: Request, found: Request) -> bool:
    """Whether a request that Redis named is of this very call and caller; what named it carries no MAC of its own."""
    same = mine.digest == found.digest or mine.model_digest == found.model_digest
    return same and (mine.principal, mine.tool) == (found.principal, found.tool)
