"""The questions that users were asked in their agent's own client, as long as they are open: in memory, and so in this process alone.

Rules:
- a question is taken once, by its id, and lapses at its time;
- how much may be asked is policy's (`asking`): so many open, so many in a minute, then a pause; a no answers the same call for a while.
"""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass, field

from agentguard.errors import AskedTooMuch
from agentguard.model.facts import Facts
from agentguard.model.verdicts import Verdict
from agentguard.policy.approvals_section import AskingSection

_MINUTE_MS = 60_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A question about the call of this digest, and by what the call was judged. `until_ms`: when it lapses."""

    id: str
    digest: str
    verdict: Verdict
    facts: Facts
    until_ms: int


@dataclass(kw_only=True)
class Questions:
    """The open questions of one agent."""

    _open: dict[str, Question] = field(default_factory=dict)
    _asked_ms: deque[int] = field(default_factory=deque)
    _paused_until_ms: int = 0
    _refused_until_ms: dict[str, int] = field(default_factory=dict)

    def ask(self, digest: str, verdict: Verdict, facts: Facts, *, now_ms: int, terms: AskingSection) -> Question:
        """Open a question. Raises AskedTooMuch."""
        self._forget(now_ms)
        if now_ms < self._paused_until_ms:
            raise AskedTooMuch("paused", "too many questions in a minute", until_ms=self._paused_until_ms)
        if len(self._open) >= terms.pending:
            raise AskedTooMuch("crowded", f"{len(self._open)} questions of this agent are open already")
        if len(self._asked_ms) >= terms.per_minute:
            self._paused_until_ms = now_ms + terms.pause_ms
            raise AskedTooMuch("paused", "too many questions in a minute", until_ms=self._paused_until_ms)
        until_ms = now_ms + 1000 * min(need.deadline_seconds for need in verdict.needs)
        asked = Question(id=secrets.token_hex(16), digest=digest, verdict=verdict, facts=facts, until_ms=until_ms)
        self._asked_ms.append(now_ms)
        self._open[asked.id] = asked
        return asked

    def take(self, question_id: str, *, now_ms: int) -> Question | None:
        """The question that somebody answered, which then is open no more; None for one that is not open."""
        asked = self._open.pop(question_id, None)
        return asked if asked is not None and now_ms < asked.until_ms else None

    def refuse(self, digest: str, *, until_ms: int) -> None:
        """The user said no to this call."""
        self._refused_until_ms[digest] = until_ms

    def is_refused(self, digest: str, *, now_ms: int) -> bool:
        """Whether the user said no to this very call not long ago."""
        return now_ms < self._refused_until_ms.get(digest, 0)

    def _forget(self, now_ms: int) -> None:
        """What lapsed."""
        while self._asked_ms and self._asked_ms[0] <= now_ms - _MINUTE_MS:
            self._asked_ms.popleft()
        for question_id in [each.id for each in self._open.values() if each.until_ms <= now_ms]:
            del self._open[question_id]
        for digest in [each for each, until_ms in self._refused_until_ms.items() if until_ms <= now_ms]:
            del self._refused_until_ms[digest]
