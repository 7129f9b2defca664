"""Step 3, and the second judgement of step 6: what is known of a call, what policy says of it, and what it takes from its limits.

Rules:
- a call that policy denies anyway is charged nothing;
- the verdict of a call that would go over a limit names the limit;
- the second judgement is by the policy in force, with the facts of the request and with those of now, and the stricter counts;
- what only clauses in shadow would need, and nobody can tell, holds no call up;
- what an approved call takes is spent before it runs, all of it; over a limit that people were not told of it does not run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from agentguard.errors import GuardUnavailable
from agentguard.guard import refusals
from agentguard.guard.budgets import NO_BILL, Bill, Budgets
from agentguard.guard.case import Case
from agentguard.guard.snapshot import Snapshot
from agentguard.guard.tokens import TokenBook
from agentguard.guard.words import CallWords, WordBook
from agentguard.model.calls import Principal, Tool
from agentguard.model.facts import Facts, PinState
from agentguard.model.record import Json
from agentguard.model.tokens import Known, Token
from agentguard.model.verdicts import Effect, Verdict
from agentguard.policy import Policy, SessionPart
from agentguard.session import Goal, SeenWords

# Python 3.11 looks a member of an Enum up in Python each time that it is named.
_ALLOW, _DENY, _SAME, _COUNTS = Effect.ALLOW, Effect.DENY, PinState.SAME, SessionPart.COUNTS


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What is known of a call besides its arguments: facts, and where its values stood, where a clause asks for that."""

    facts: Facts
    words: CallWords | None = None


class Judgement(NamedTuple):
    """A verdict, the evidence that it rests on, and what the call takes from limits: nothing where it is denied."""

    verdict: Verdict
    facts: Facts
    bill: Bill = NO_BILL
    words: CallWords | None = None


@dataclass(frozen=True, kw_only=True)
class Judging:
    """Judges calls. Each coroutine raises GuardUnavailable where the session or a limit can't be read."""

    tokens: TokenBook
    words: WordBook
    budgets: Budgets
    deployment: str
    now_ms: Callable[[], int]

    @cached_property
    def _nothing(self) -> Evidence:
        return Evidence(facts=Facts(deployment=self.deployment, over=()))

    async def evidence(
        self,
        policy: Policy,
        tool: Tool,
        principal: Principal,
        entities: Mapping[str, int],
        known: Mapping[str, Known],
        *,
        is_new: bool = True,
    ) -> Evidence:
        """What is known of a call besides its arguments. The session is read in one round trip, and only where a clause reads it.

        `is_new`: the call is counted.
        """
        if not (entities or known) and policy.goes_by_arguments(tool.name) and policy.pin_state(tool) is _SAME:
            return self._nothing
        count = tool.name if is_new else ""
        seen, pin = await self._seen(policy, tool.name, principal, count=count), policy.pin_state(tool)
        is_timed = policy.reads(tool.name, "time")
        facts = Facts(
            entities=tuple(sorted({*entities, *(entry.token.entity_type for entry in known.values())})),
            origins=tuple(sorted({origin for entry in known.values() for origin in entry.origins})),
            origin_labels=tuple(sorted({label for entry in known.values() for label in entry.labels})),
            labels=seen.labels,
            counts=seen.counts,
            time_ms=self.now_ms() if is_timed else None,
            deployment=self.deployment,
            pin=pin,
            over=(),
        )
        return Evidence(
            facts=facts, words=self._words(principal, seen, {text: each.token for text, each in known.items()})
        )

    async def judge(
        self,
        policy: Policy,
        tool: str,
        snapshot: Snapshot,
        arguments: Mapping[str, Json],
        principal: Principal,
        evidence: Evidence,
    ) -> Judgement:
        """The judgement on a call with these arguments, which are the snapshot's."""
        facts, words = evidence.facts, evidence.words
        verdict = policy.classify(tool, arguments, principal, facts, words)
        if verdict.effect is _DENY:
            return Judgement(verdict=verdict, facts=facts, words=words)
        charges = policy.charges(tool, arguments, principal) if policy.has_limits else ()
        if verdict.effect is _ALLOW and not charges:
            return Judgement(verdict, facts, NO_BILL, words)
        bill = self.budgets.bill(tool, snapshot.text, charges)
        over = await self._charge(bill, Goal.SPEND if verdict.effect is Effect.ALLOW else Goal.HOLD)
        if over != ():
            facts = facts.model_copy(update={"over": over})
            verdict = policy.classify(tool, arguments, principal, facts, words)
        return Judgement(verdict=verdict, facts=facts, bill=bill, words=words)

    async def edited(
        self, policy: Policy, case: Case, snapshot: Snapshot, arguments: Mapping[str, Json], evidence: Evidence
    ) -> Judgement:
        """The judgement on a case whose arguments people changed; what it takes is held in place of what was.

        One that would be allowed now needs all the same what the call before it needed: people are at it already.
        """
        tool, principal = case.tool.name, case.principal
        facts, words = evidence.facts, evidence.words
        verdict = policy.classify(tool, arguments, principal, facts, words)
        if verdict.effect is Effect.DENY:
            return Judgement(verdict=verdict, facts=facts, words=words)
        charges = policy.charges(tool, arguments, principal)
        bill = replace(case.bill, charges=charges)
        facts = facts.model_copy(update={"over": await self._charge(bill, Goal.HOLD)})
        verdict = policy.classify(tool, arguments, principal, facts, words)
        shown = case.verdict if verdict.effect is Effect.ALLOW else verdict
        return Judgement(verdict=shown, facts=facts, bill=bill, words=words)

    async def again(self, policy: Policy, case: Case, stored: Facts) -> tuple[Verdict, ...]:
        """The verdicts of the policy in force: with the facts of the request, and with those of now."""
        tool, arguments = case.tool.name, case.snapshot.arguments
        seen = await self._seen(policy, tool, case.principal)
        words = self._words(case.principal, seen, case.tokens)
        now = case.facts.model_copy(
            update={
                "labels": seen.labels,
                "counts": seen.counts,
                "time_ms": self.now_ms() if policy.reads(tool, "time") else None,
                "pin": policy.pin_state(case.tool),
                "over": (),
            }
        )
        if policy.classify(tool, arguments, case.principal, now, words).effect is not Effect.DENY:
            bill = self._bill(policy, case)
            now = now.model_copy(update={"over": await self._charge(bill, Goal.HOLD)})
        return tuple(policy.classify(tool, arguments, case.principal, facts, words) for facts in (stored, now))

    async def spend(self, policy: Policy, case: Case) -> Bill:
        """Spend what an approved call takes: its bill from now on. Raises CallRefused over a limit that people did not agree on."""
        bill = self._bill(policy, case).agreed({clause.id for clause in case.verdict.clauses if clause.kind == "limit"})
        if await self.budgets.spend(bill):
            raise refusals.stale(case.tool.name, None, "a limit was used up")
        return bill

    def _bill(self, policy: Policy, case: Case) -> Bill:
        """What the call takes by this policy, under the name that its hold has."""
        charges = policy.charges(case.tool.name, case.snapshot.arguments, case.principal)
        return Bill(hold=case.bill.hold, call=case.bill.call, charges=charges)

    async def _charge(self, bill: Bill, goal: Goal) -> tuple[str, ...] | None:
        """The limits that the call would go over; None where only limits in shadow were to be counted, and nobody could."""
        try:
            return await self.budgets.charge(bill, goal)
        except GuardUnavailable:
            if not bill.in_shadow:
                raise
            return None

    async def _seen(self, policy: Policy, tool: str, principal: Principal, *, count: str = "") -> _Seen:
        """What clauses read of the session; those in shadow hold nothing up where it can't be read."""
        needs, counted = policy.needs(tool), count if _COUNTS in policy.kept else ""
        if not needs and not counted:
            return _UNREAD
        try:
            if needs == {SessionPart.LABELS} and not counted:
                return _Seen(labels=await self.tokens.labels(principal))
            seen = await self.words.read(principal, count=counted)
        except GuardUnavailable:
            if counted or policy.enforced_needs(tool):
                raise
            return _UNREAD
        labels = self.tokens.sessions.with_own(principal, seen.labels)
        return _Seen(labels=labels, counts=dict(seen.counts), words=seen.words) if needs else _UNREAD

    def _words(self, principal: Principal, seen: _Seen, tokens: Mapping[str, Token]) -> CallWords | None:
        return None if seen.words is None else CallWords(seen=seen.words, ids=self.tokens.ids(principal), tokens=tokens)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Seen:
    """What was read of a session for one call; None where no clause that can match the tool reads it."""

    labels: tuple[str, ...] | None = None
    counts: dict[str, int] | None = None
    words: SeenWords | None = None


_UNREAD = _Seen()
