"""Steps 5 and 6 for a call that its user alone must confirm, where the agent's own client can ask them.

Rules:
- it is a confirmation by the user and never an approval: a call that needs anybody else, or is critical, is asked about on the channel;
- a question is about exactly one call (the digest of tool, schema, principal and effective arguments), is answered once, and lapses;
- the call is made again with the answer; it runs only if it is the very call of the question, and the policy in force and the facts of
  then and now are not stricter than what was shown; whoever never saw a question of this process confirms nothing;
- no, closed, lapsed and unknown all mean that it does not run; each answer is on record before anything happens;
- what policy lets an agent ask (`asking`) bounds this too, and a no is the answer to the same call for a while;
- what can't be shown whole in a client's dialog is asked on the channel.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from agentguard.approval import Roster, obstacles
from agentguard.cards import question_of
from agentguard.errors import AskedTooMuch, CallRefused
from agentguard.guard import refusals
from agentguard.guard.binding import Binding
from agentguard.guard.case import Case
from agentguard.guard.cases import Cases
from agentguard.guard.freezing import Freezing
from agentguard.guard.questions import Questions
from agentguard.guard.records import Records
from agentguard.model.verdicts import CONFIRM, Risk, Verdict


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """That the agent's client can ask the user; and, where it did, the id of the question and what they answered."""

    question: str = ""
    is_yes: bool = False


@dataclass(frozen=True, kw_only=True)
class Confirming:
    """Asks users about their own calls. `people` gives today's roster."""

    binding: Binding
    records: Records
    cases: Cases
    freezing: Freezing
    people: Callable[[], Roster]
    now_ms: Callable[[], int]
    questions: Questions = field(default_factory=Questions)

    async def confirmed(self, case: Case, confirmation: Confirmation | None) -> bool:
        """Whether the user confirmed this call; False where it is not for the client to ask.

        Raises CallUnconfirmed for a question that the client must ask, CallRefused, GuardUnavailable.
        """
        question = question_of(case.card)
        if confirmation is None or question is None or not _is_for_its_user_alone(case.verdict):
            return False
        missing = list(obstacles(case.verdict.needs, self.people(), case.principal))
        if missing:
            raise refusals.impossible(case.verdict, missing)
        digest = self.binding.digest(case.tool, case.principal, case.snapshot.text, case.tokens)
        if not confirmation.question:
            raise self._asked(case, digest, question)
        await self._answered(case, digest, confirmation)
        return True

    def _asked(self, case: Case, digest: str, question: str) -> CallRefused:
        """Open a question, unless the user was asked this, or too much, not long ago."""
        name, now_ms, terms = case.tool.name, self.now_ms(), self.cases.in_force().policy.asking
        if self.questions.is_refused(digest, now_ms=now_ms):
            return refusals.not_confirmed(name, None)
        try:
            asked = self.questions.ask(digest, case.verdict, case.facts, now_ms=now_ms, terms=terms)
        except AskedTooMuch as refused:
            return refusals.asked_too_much(name, refused)
        return refusals.unconfirmed(name, asked.id, asked.until_ms, question)

    async def _answered(self, case: Case, digest: str, confirmation: Confirmation) -> None:
        """Return if this answer lets this call run. Raises CallRefused."""
        asked, name = self.questions.take(confirmation.question, now_ms=self.now_ms()), case.tool.name
        if asked is None:
            raise refusals.confirmed_too_late(name)
        if not hmac.compare_digest(digest, asked.digest):
            raise refusals.stale(name, asked.id, "the tool or the arguments changed")
        await self.records.confirmed(case, digest, asked.id, "confirmed" if confirmation.is_yes else "refused")
        if not confirmation.is_yes:
            after_ms = self.cases.in_force().policy.asking.after_rejection_ms
            self.questions.refuse(digest, until_ms=self.now_ms() + after_ms)
            raise refusals.not_confirmed(name, asked.id)
        verdicts = await self.cases.judge_again(case, asked.facts)
        if not verdicts or any(each.stricter_than(asked.verdict) for each in (case.verdict, *verdicts)):
            raise refusals.stale(name, asked.id, "policy became stricter")
        await self.freezing.check(case.principal, name)


def _is_for_its_user_alone(verdict: Verdict) -> bool:
    return verdict.risk is not Risk.CRITICAL and {need.name for need in verdict.needs} == {CONFIRM}
