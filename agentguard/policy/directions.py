"""Whether one value of a clause's key is laxer or stricter than another.

Rules:
- what lets more run, asks fewer people, counts less, masks less or reveals more is laxer;
- what can't be told by looking at the two values (another condition, another approval) is unclear, and so is a key that has no row here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from agentguard.model.verdicts import Effect, Mode, Risk
from agentguard.policy.approvals_section import ApprovalEntry, AskingSection
from agentguard.policy.document import LimitEntry, RuleEntry

_ACTIONS = ("allow", "mask", "token", "hmac", "redact", "drop")
"""What becomes of an entity, the one that shows most first."""


class Way(StrEnum):
    """How something changed."""

    LAXER = "laxer"
    STRICTER = "stricter"
    UNCLEAR = "unclear"


Judge = Callable[[Any, Any], Way | None]
"""The way from an old value to a new one that differs; None where it makes no difference to any call."""

Sure = Callable[[Any, Any], Way]
"""The same, where it always makes one."""


def more_is(way: Way) -> Sure:
    """Judges numbers: a larger one is this, a smaller one the other; one that is not there is unclear."""

    def judge(old: Any, new: Any) -> Way:
        if old is None or new is None:
            return Way.UNCLEAR
        return way if new > old else opposite(way)

    return judge


def wider_is(way: Way) -> Sure:
    """Judges sets: one that holds the other is this."""

    def judge(old: Any, new: Any) -> Way:
        before, now = set(old or ()), set(new or ())
        if before == now:
            return Way.UNCLEAR
        return way if before <= now else opposite(way) if now <= before else Way.UNCLEAR

    return judge


def there_is(way: Way) -> Sure:
    """Judges what is there or not: that it came is this, that it went the other; another one is unclear."""

    def judge(old: Any, new: Any) -> Way:
        if old and new:
            return Way.UNCLEAR
        return way if new else opposite(way)

    return judge


def opposite(way: Way) -> Way:
    """The other way."""
    return {Way.LAXER: Way.STRICTER, Way.STRICTER: Way.LAXER}.get(way, Way.UNCLEAR)


def of_action(old: object, new: object) -> Way:
    """The way from one masking action to another; one that nobody here knows is unclear."""
    before, now = (_ACTIONS.index(str(each)) if str(each) in _ACTIONS else None for each in (old, new))
    return more_is(Way.STRICTER)(before, now)


def together(ways: Collection[Way]) -> Way:
    """What several changes of one thing come to."""
    return next(iter(ways)) if len(set(ways)) == 1 else Way.UNCLEAR


def of_effect(old: Effect, new: Effect) -> Way:
    """The way from one effect to another."""
    return Way.STRICTER if new.rank > old.rank else Way.LAXER


def of_risk(old: Risk | None, new: Risk | None) -> Way:
    """The way from one risk to another; no risk is the lowest."""
    before, now = (-1 if each is None else each.rank for each in (old, new))
    return Way.STRICTER if now > before else Way.LAXER


def of_mode(old: Mode | None, new: Mode | None) -> Way | None:
    """The way from one mode to another; none is enforced."""
    if (old is Mode.SHADOW) is (new is Mode.SHADOW):
        return None
    return Way.LAXER if new is Mode.SHADOW else Way.STRICTER


def nothing(old: object, new: object) -> None:
    """Judges what no verdict hangs on."""


_RULE: dict[str, Judge] = {
    "id": nothing,
    "reason": nothing,
    "tools": wider_is(Way.STRICTER),
    "when": there_is(Way.LAXER),
    "ask": there_is(Way.STRICTER),
    "deny": there_is(Way.STRICTER),
    "risk": of_risk,
    "once": there_is(Way.STRICTER),
    "wait": nothing,
    "notify": nothing,
    "mode": of_mode,
}
_LIMIT: dict[str, Judge] = {
    "reason": nothing,
    "tools": wider_is(Way.STRICTER),
    "max": more_is(Way.LAXER),
    "window_ms": more_is(Way.STRICTER),
    "dimensions": wider_is(Way.LAXER),
    "deny": there_is(Way.STRICTER),
    "mode": of_mode,
}
_APPROVAL: dict[str, Judge] = {
    "approvers": wider_is(Way.LAXER),
    "quorum": more_is(Way.STRICTER),
    "reject_quorum": more_is(Way.LAXER),
    "from_each": there_is(Way.STRICTER),
    "edit": there_is(Way.LAXER),
    "notify": nothing,
    "deadline_seconds": more_is(Way.LAXER),
    "remind_seconds": nothing,
    "escalate": wider_is(Way.LAXER),
}
_ASKING: dict[str, Judge] = {
    "pending": more_is(Way.LAXER),
    "per_minute": more_is(Way.LAXER),
    "pause_ms": more_is(Way.STRICTER),
    "after_rejection_ms": more_is(Way.STRICTER),
}
JUDGES: Mapping[type[BaseModel], Mapping[str, Judge]] = {
    RuleEntry: _RULE,
    LimitEntry: _LIMIT,
    ApprovalEntry: _APPROVAL,
    AskingSection: _ASKING,
}
"""How each key of an entry is judged; a key that is not here is unclear."""

INSTEAD = {
    "over": "window_ms",
    "per": "dimensions",
    "deadline": "deadline_seconds",
    "remind": "remind_seconds",
    "pause": "pause_ms",
    "after_rejection": "after_rejection_ms",
}
"""The keys that are compared by what they mean and not by how they are written."""
