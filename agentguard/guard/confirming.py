"""Steps 5 and 6 for a call that its user alone must confirm, where the agent's own client can ask them.

Rules:
- it is a confirmation by the user and never an approval: a call that needs anybody else, or is critical, is asked about on the channel;
- a question is about exactly one call (the digest of tool, schema, principal and effective arguments), is answered once, and lapses;
- the call is made again with the answer; it runs only if it is the very call of the question, and the policy in force and the facts of
  then and now are not stricter than what was shown; whoever never saw a question of this process confirms nothing;
- no, closed, lapsed and unknown all mean that it does not run; each answer is on record before anything happens;
- what can't be shown whole in a client's dialog is asked on the channel.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from agentguard.approval import Roster, obstacles
from agentguard.cards import question_of
from agentguard.guard import refusals
from agentguard.guard.binding import Binding
from agentguard.guard.case import Case
from agentguard.guard.cases import Cases
from agentguard.guard.freezing import Freezing
from agentguard.guard.records import Records
from agentguard.model.facts import Facts
from agentguard.model.verdicts import CONFIRM, Risk, Verdict

OPEN_MAX = 1000
"""Questions that are open at once in a process; over that the oldest lapses."""


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """That the agent's client can ask the user; and, where it did, the id of the question and what they answered."""

    question: str = ""
    is_yes: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class _Open:
    """A question that nobody answered yet: the call that it is about, and by what it was judged."""

    digest: str
    verdict: Verdict
    facts: Facts
    until_ms: int


@dataclass(frozen=True, kw_only=True)
class Confirming:
    """Asks users about their own calls. `people` gives today's roster."""

    binding: Binding
    records: Records
    cases: Cases
    freezing: Freezing
    people: Callable[[], Roster]
    now_ms: Callable[[], int]
    _open: dict[str, _Open] = field(default_factory=dict)

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

    def _asked(self, case: Case, digest: str, question: str) -> Exception:
        """Open a question."""
        until_ms = self.now_ms() + 1000 * min(need.deadline_seconds for need in case.verdict.needs)
        question_id = secrets.token_hex(16)
        self._open[question_id] = _Open(digest=digest, verdict=case.verdict, facts=case.facts, until_ms=until_ms)
        while len(self._open) > OPEN_MAX:
            self._open.pop(next(iter(self._open)), None)
        return refusals.unconfirmed(case.tool.name, question_id, until_ms, question)

    async def _answered(self, case: Case, digest: str, confirmation: Confirmation) -> None:
        """Return if this answer lets this call run. Raises CallRefused."""
        asked, name = self._open.pop(confirmation.question, None), case.tool.name
        if asked is None or self.now_ms() >= asked.until_ms:
            raise refusals.confirmed_too_late(name)
        if not hmac.compare_digest(digest, asked.digest):
            raise refusals.stale(name, confirmation.question, "the tool or the arguments changed")
        await self.records.confirmed(
            case, digest, confirmation.question, "confirmed" if confirmation.is_yes else "refused"
        )
        if not confirmation.is_yes:
            raise refusals.not_confirmed(name, confirmation.question)
        verdicts = await self.cases.judge_again(case, asked.facts)
        if not verdicts or any(each.stricter_than(asked.verdict) for each in (case.verdict, *verdicts)):
            raise refusals.stale(name, confirmation.question, "policy became stricter")
        await self.freezing.check(case.principal, name)


def _is_for_its_user_alone(verdict: Verdict) -> bool:
    return verdict.risk is not Risk.CRITICAL and {need.name for need in verdict.needs} == {CONFIRM}
