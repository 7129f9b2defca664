"""What policy says of a call."""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property
from typing import Literal

from agentguard.model.problems import Place
from agentguard.model.record import Record


class Risk(StrEnum):
    """How bad a wrong call would be."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for low to 3 for critical."""
        return _RISKS.index(self)


class Effect(StrEnum):
    """What happens to a call; deny beats ask beats allow."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"

    @property
    def rank(self) -> int:
        """0 for allow to 2 for deny."""
        return _EFFECTS.index(self)


class Mode(StrEnum):
    """Whether a clause decides, or only tells what it would have decided."""

    ENFORCE = "enforce"
    SHADOW = "shadow"


_RISKS = tuple(Risk)
_EFFECTS = tuple(Effect)

CONFIRM = "confirm"
"""The reserved approval name: the user on whose behalf the agent acts confirms the call."""


class Step(Record):
    """A step of an escalation ladder: so long after the request opened, these may decide too."""

    after_seconds: int
    to: tuple[str, ...]


class Need(Record):
    """One approval that a request must get.

    `approvers` are `group:NAME` or `person:NAME`; empty only for the need named CONFIRM. `quorum` counts distinct people, and so does
    `reject_quorum`, which ends the request; `edit`: whether who decides may change the arguments first; with
    `from_each` it counts in each of the groups, and nobody stands for two of them. `remind_seconds`: how often people are
    reminded, 0 for never; `escalate`: who may decide too, and from when on.
    """

    name: str
    approvers: tuple[str, ...] = ()
    quorum: int = 1
    reject_quorum: int = 1
    from_each: bool = False
    deadline_seconds: int
    edit: bool = True
    remind_seconds: int = 0
    escalate: tuple[Step, ...] = ()

    def approvers_at(self, elapsed_ms: int) -> tuple[str, ...]:
        """Who may decide so long after the request opened."""
        reached = (step.to for step in self.escalate if step.after_seconds * 1000 <= elapsed_ms)
        return tuple(dict.fromkeys((*self.approvers, *(approver for to in reached for approver in to))))


class Clause(Record):
    """A clause of the policy that spoke about a call.

    `met` says why its condition counted: "always" (no condition), "true", or "error" (it failed, which counts as met;
    `error` is then a code, never a value).
    """

    kind: Literal["tool", "rule", "limit"]
    id: str
    effect: Effect
    risk: Risk | None = None
    ask: str | None = None
    reason: str = ""
    met: Literal["always", "true", "error"] = "always"
    error: str = ""
    place: Place
    mode: Mode = Mode.ENFORCE


class Spoke(Record):
    """A clause that spoke, and where it stands (`file:line:column`)."""

    kind: Literal["tool", "rule", "limit"]
    id: str
    effect: Effect
    met: Literal["always", "true", "error"]
    error: str = ""
    place: str
    mode: Mode = Mode.ENFORCE

    @classmethod
    def of(cls, clause: Clause) -> Spoke:
        """What the journal keeps of a clause."""
        return cls(
            kind=clause.kind,
            id=clause.id,
            effect=clause.effect,
            met=clause.met,
            error=clause.error,
            place=str(clause.place),
            mode=clause.mode,
        )


class Said(Record):
    """What clauses come to together."""

    risk: Risk
    effect: Effect
    clauses: tuple[Clause, ...]
    needs: tuple[Need, ...] = ()

    @cached_property
    def spoke(self) -> tuple[Spoke, ...]:
        """What the journal keeps of the clauses. Verdicts are shared, so this is worked out once for many calls."""
        return tuple(Spoke.of(clause) for clause in self.clauses)


class Verdict(Said):
    """The risk and effect of one call, the clauses that said so, and what must be done if it runs.

    `shadow`: what it would be if the clauses in shadow counted too, where any of them spoke. Nothing follows from it.
    """

    tool: str
    labels: tuple[str, ...] = ()
    policy_version: str
    shadow: Said | None = None

    def stricter_than(self, shown: Verdict) -> bool:
        """Whether running under this verdict would need more than `shown` told a person.

        A deny, a higher risk, a clause or an approval that `shown` does not name.
        """
        return (
            self.effect is Effect.DENY
            or self.risk.rank > shown.risk.rank
            or not {(c.kind, c.id) for c in self.clauses} <= {(c.kind, c.id) for c in shown.clauses}
            or not set(self.needs) <= set(shown.needs)
        )
