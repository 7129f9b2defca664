"""What differs between two policies, or between two verdicts on one call, in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from agentguard.model.problems import Place
from agentguard.model.record import Record
from agentguard.model.verdicts import Effect, Risk, Verdict
from agentguard.policy.directions import Way, of_effect, of_risk, together, wider_is


class Change(Record):
    """One thing that differs: which way, what it is, how it differs, and where it stands (in the old policy, if it is gone)."""

    way: Way
    what: str
    how: str
    place: Place


class Answer(NamedTuple):
    """What of a verdict is compared; no labels where nobody knows them any more."""

    effect: Effect
    risk: Risk
    needs: tuple[str, ...]
    labels: tuple[str, ...] | None = None

    @classmethod
    def of(cls, verdict: Verdict) -> Answer:
        """The answer that a verdict gives."""
        return cls(verdict.effect, verdict.risk, tuple(need.name for need in verdict.needs), verdict.labels)


def between(old: Answer, new: Answer) -> tuple[Way, str] | None:
    """How the answer to a call changed, and in which words; None where it is the same."""
    ways: set[Way] = set()
    told: list[str] = []
    if old.effect is not new.effect:
        ways.add(of_effect(old.effect, new.effect))
        told.append(f"{new.effect}, was {old.effect}")
    if old.risk is not new.risk:
        ways.add(of_risk(old.risk, new.risk))
        told.append(f"risk {new.risk}, was {old.risk}")
    if old.effect is new.effect is Effect.ASK and set(old.needs) != set(new.needs):
        ways.add(wider_is(Way.STRICTER)(old.needs, new.needs))
        told.append(was("needs", new.needs, old.needs))
    known = old.labels is not None and new.labels is not None
    if known and Effect.DENY not in (old.effect, new.effect) and old.labels != new.labels:
        ways.add(wider_is(Way.STRICTER)(old.labels, new.labels))
        told.append(was("labels", new.labels, old.labels))
    return (together(ways), "; ".join(told)) if told else None


def effect_of(effect: Effect, ask: str | None) -> str:
    """An effect, and whom it asks."""
    return f"{effect} for {ask}" if ask else str(effect)


def was(key: str, now: object, before: object) -> str:
    """A key with its value now and before."""
    return f"{key} {_shown(now)}, was {_shown(before)}"


def _shown(value: object) -> str:
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ", ".join(sorted(map(str, value))) or "none"
    return "none" if value is None else str(value)
