"""What clauses in shadow would have done, told from the journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from agentguard.audit.reading import Entry
from agentguard.model.events import Judged, Settled
from agentguard.model.record import Record
from agentguard.model.verdicts import Effect, Mode

DAY_MS = 24 * 3600 * 1000
_LEAST_MS = 3600 * 1000
"""A shorter time on record is taken as an hour, so that a day's share of it says something."""


class ShadowClause(Record):
    """A clause in shadow as it stood: in how many calls it asked, denied or allowed, and how many results it would have kept back."""

    kind: str
    id: str
    place: str
    asked: int = 0
    denied: int = 0
    allowed: int = 0
    results: int = 0


class ShadowReport(Record):
    """What would have been, over the time on record.

    `questions`: calls that people were asked about. `more_questions`: those that they would have been asked about and weren't, and
    `needs` for which approvals. `denials`: calls that would have been denied and weren't. `results`: those that would have been kept back.
    """

    since_ms: int
    until_ms: int
    calls: int
    questions: int
    more_questions: int
    more_questions_a_day: float
    needs: dict[str, int]
    denials: int
    results: int
    clauses: tuple[ShadowClause, ...]


def shadow_report(entries: Iterable[Entry], since_ms: int, until_ms: int) -> ShadowReport:
    """The report over these entries, oldest first."""
    counts: Counter[str] = Counter()
    needs: Counter[str] = Counter()
    clauses: dict[tuple[str, str], ShadowClause] = {}
    first_ms = until_ms
    for entry in entries:
        first_ms = min(first_ms, entry.time_ms)
        if entry.kind == "judged":
            _count_call(Judged.model_validate(entry.body, strict=False), counts, needs, clauses)
        elif entry.kind == "settled":
            _count_result(Settled.model_validate(entry.body, strict=False), counts, clauses)
    begun_ms = max(since_ms, min(first_ms, until_ms - _LEAST_MS))
    return ShadowReport(
        since_ms=begun_ms,
        until_ms=until_ms,
        calls=counts["calls"],
        questions=counts["questions"],
        more_questions=counts["more"],
        more_questions_a_day=round(counts["more"] * DAY_MS / max(until_ms - begun_ms, 1), 1),
        needs=dict(sorted(needs.items())),
        denials=counts["denials"],
        results=counts["results"],
        clauses=tuple(sorted(clauses.values(), key=lambda each: (each.kind, each.id))),
    )


def _count_call(
    judged: Judged, counts: Counter[str], needs: Counter[str], clauses: dict[tuple[str, str], ShadowClause]
) -> None:
    counts["calls"] += 1
    counts["questions"] += judged.effect is Effect.ASK
    said = judged.shadow
    if said is None:
        return
    if said.effect is Effect.ASK and judged.effect is Effect.ALLOW:
        counts["more"] += 1
        needs.update(said.needs)
    counts["denials"] += said.effect is Effect.DENY and judged.effect is not Effect.DENY
    for clause in said.clauses:
        if clause.mode is Mode.SHADOW:
            was = clauses.get((clause.kind, clause.id)) or ShadowClause(kind=clause.kind, id=clause.id, place="")
            word = _WORDS[clause.effect]
            update = {"place": clause.place, word: getattr(was, word) + 1}
            clauses[clause.kind, clause.id] = was.model_copy(update=update)


def _count_result(settled: Settled, counts: Counter[str], clauses: dict[tuple[str, str], ShadowClause]) -> None:
    counts["results"] += bool(settled.over_in_shadow)
    for limit in settled.over_in_shadow:
        was = clauses.get(("limit", limit)) or ShadowClause(kind="limit", id=limit, place="")
        clauses["limit", limit] = was.model_copy(update={"results": was.results + 1})


_WORDS = {Effect.ALLOW: "allowed", Effect.ASK: "asked", Effect.DENY: "denied"}
