"""Step 3, and the second judgement of step 6: what is known of a call, what policy says of it, and what it takes from its limits.

Rules:
- a call that policy denies anyway is charged nothing;
- the verdict of a call that would go over a limit names the limit;
- the second judgement is by the policy in force, with the facts of the request and with those of now, and the stricter counts;
- what only clauses in shadow would need, and nobody can tell, holds no call up;
- what an approved call takes is spent before it runs, all of it; over a limit that people were not told of it does not run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from agentguard.errors import GuardUnavailable
from agentguard.guard import refusals
from agentguard.guard.budgets import NO_BILL, Bill, Budgets
from agentguard.guard.case import Case
from agentguard.guard.snapshot import Snapshot
from agentguard.guard.tokens import TokenBook
from agentguard.model.calls import Principal, Tool
from agentguard.model.facts import Facts, PinState
from agentguard.model.record import Json
from agentguard.model.tokens import Known
from agentguard.model.verdicts import Effect, Verdict
from agentguard.policy import Policy
from agentguard.session import Goal

_NO_FACTS = Facts(over=())


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """A verdict, the facts that it rests on, and what the call takes from limits: nothing where it is denied."""

    verdict: Verdict
    facts: Facts
    bill: Bill = NO_BILL


@dataclass(frozen=True, kw_only=True)
class Judging:
    """Judges calls. Each coroutine raises GuardUnavailable where the session or a limit can't be read."""

    tokens: TokenBook
    budgets: Budgets

    async def facts(
        self,
        policy: Policy,
        tool: Tool,
        principal: Principal,
        entities: Mapping[str, int],
        known: Mapping[str, Known],
    ) -> Facts:
        """What is known of a call besides its arguments."""
        labels, pin = await self._labels(policy, tool.name, principal), policy.pin_state(tool)
        if labels is None and not entities and not known and pin is PinState.SAME:
            return _NO_FACTS
        return Facts(
            entities=tuple(sorted({*entities, *(entry.token.entity_type for entry in known.values())})),
            origins=tuple(sorted({origin for entry in known.values() for origin in entry.origins})),
            labels=labels,
            pin=pin,
            over=(),
        )

    async def judge(
        self,
        policy: Policy,
        tool: str,
        snapshot: Snapshot,
        arguments: Mapping[str, Json],
        principal: Principal,
        facts: Facts,
    ) -> Judgement:
        """The judgement on a call with these arguments, which are the snapshot's."""
        verdict = policy.classify(tool, arguments, principal, facts)
        if verdict.effect is Effect.DENY:
            return Judgement(verdict=verdict, facts=facts)
        charges = policy.charges(tool, arguments, principal)
        if verdict.effect is Effect.ALLOW and not charges:
            return Judgement(verdict=verdict, facts=facts)
        bill = self.budgets.bill(tool, snapshot.text, charges)
        over = await self._charge(bill, Goal.SPEND if verdict.effect is Effect.ALLOW else Goal.HOLD)
        if over != ():
            facts = facts.model_copy(update={"over": over})
            verdict = policy.classify(tool, arguments, principal, facts)
        return Judgement(verdict=verdict, facts=facts, bill=bill)

    async def edited(
        self, policy: Policy, case: Case, snapshot: Snapshot, arguments: Mapping[str, Json], facts: Facts
    ) -> Judgement:
        """The judgement on a case whose arguments people changed; what it takes is held in place of what was.

        One that would be allowed now needs all the same what the call before it needed: people are at it already.
        """
        tool, principal = case.tool.name, case.principal
        verdict = policy.classify(tool, arguments, principal, facts)
        if verdict.effect is Effect.DENY:
            return Judgement(verdict=verdict, facts=facts)
        charges = policy.charges(tool, arguments, principal)
        bill = replace(case.bill, charges=charges)
        facts = facts.model_copy(update={"over": await self._charge(bill, Goal.HOLD)})
        verdict = policy.classify(tool, arguments, principal, facts)
        shown = case.verdict if verdict.effect is Effect.ALLOW else verdict
        return Judgement(verdict=shown, facts=facts, bill=bill)

    async def again(self, policy: Policy, case: Case, stored: Facts) -> tuple[Verdict, ...]:
        """The verdicts of the policy in force: with the facts of the request, and with those of now."""
        tool, arguments = case.tool.name, case.snapshot.arguments
        labels = await self._labels(policy, tool, case.principal)
        now = case.facts.model_copy(update={"labels": labels, "pin": policy.pin_state(case.tool), "over": ()})
        if policy.classify(tool, arguments, case.principal, now).effect is not Effect.DENY:
            bill = self._bill(policy, case)
            now = now.model_copy(update={"over": await self._charge(bill, Goal.HOLD)})
        return tuple(policy.classify(tool, arguments, case.principal, facts) for facts in (stored, now))

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

    async def _labels(self, policy: Policy, tool: str, principal: Principal) -> tuple[str, ...] | None:
        """The session's labels, where a clause reads them; one in shadow holds nothing up where they can't be read."""
        if not policy.reads_session(tool):
            return None
        try:
            return await self.tokens.labels(principal)
        except GuardUnavailable:
            if policy.needs_session(tool):
                raise
            return None
