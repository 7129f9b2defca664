"""How what two policies say of the same tools differs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from agentguard.model.verdicts import Effect, Mode, Risk
from agentguard.policy.changes import effect_of, was
from agentguard.policy.directions import Way, of_effect, of_mode, of_risk, wider_is
from agentguard.policy.document import Document, ToolEntry
from agentguard.policy.judging import tool_effect
from agentguard.policy.patterns import is_exact, matches, sample
from agentguard.policy.planning import by_strictness
from agentguard.policy.terms import ToolTerms, terms_of

_UNLISTED = ToolEntry(risk=Risk.CRITICAL, deny=True)
"""What is said of a tool that no pattern matches."""
_COMPARED = frozenset({"risk", "ask", "deny", "labels", "params", "reveal", "title", "mode", "override"})
"""The keys that are compared by what they mean; any other one that differs is unclear."""

Side = tuple[Document, ToolEntry]
"""An entry, and the document that it stands in."""


@dataclass(frozen=True)
class Speakers:
    """Which entry speaks for which tool, of one document."""

    document: Document

    def speaking(self, name: str) -> ToolEntry:
        """The entry that speaks for a tool."""
        pattern = self._winner(name)
        return _UNLISTED if pattern is None else self.document.tools[pattern]

    def won_by(self, pattern: str) -> str | None:
        """A name that this pattern speaks for; None where others speak for all that were tried."""
        tried = [pattern] if is_exact(pattern) else [sample(pattern, filler) for filler in ("", "x", "q7", "-zz9")]
        return next((name for name in tried if name and self._winner(name) == pattern), None)

    def _winner(self, name: str) -> str | None:
        """The most specific pattern that is enforced; the most specific in shadow where none is."""
        found = [pattern for pattern in self._by_strictness if matches(pattern, name)]
        enforced = (pattern for pattern in found if self.document.tools[pattern].mode is not Mode.SHADOW)
        return next(enforced, found[0] if found else None)

    @cached_property
    def _by_strictness(self) -> tuple[str, ...]:
        return by_strictness(self.document)


def tool_changes(old: Side, new: Side) -> Iterator[tuple[Way, str]]:
    """What differs between two entries for one tool."""
    (before, then), (now, here) = old, new
    had, has = tool_effect(before, then), tool_effect(now, here)
    if had != has:
        way = Way.UNCLEAR if had[0] is has[0] else of_effect(had[0], has[0])
        yield way, f"{effect_of(*has)}, was {effect_of(*had)}"
    if then.risk is not here.risk:
        yield of_risk(then.risk, here.risk), was("risk", here.risk, then.risk)
    mode = of_mode(then.mode, here.mode)
    if mode is not None:
        yield mode, was("mode", here.mode or Mode.ENFORCE, then.mode or Mode.ENFORCE)
    if Effect.DENY not in (had[0], has[0]):  # what a call that doesn't run would bring makes no difference
        yield from _knobs(then, here)


def _knobs(then: ToolEntry, here: ToolEntry) -> Iterator[tuple[Way, str]]:
    before, now = terms_of("", then), terms_of("", here)
    sides = (
        ("labels", set(before.labels), set(now.labels), Way.STRICTER),
        ("params", _params(before), _params(now), Way.STRICTER),
        ("reveal", _reveal(before), _reveal(now), Way.LAXER),
    )
    for key, had, has, wider in sides:
        if had != has:
            yield wider_is(wider)(had, has), was(key, has, had)
    for key in sorted(ToolEntry.model_fields.keys() - _COMPARED):
        if getattr(then, key) != getattr(here, key):
            yield Way.UNCLEAR, f"{key} changed"


def _params(terms: ToolTerms) -> set[str]:
    return {f"{role}: {path}" for role, paths in terms.params.items() for path in paths}


def _reveal(terms: ToolTerms) -> set[str]:
    return {
        f"{each.parameter}: {kind}{' inside text' * each.inside_text}"
        for each in terms.reveal
        for kind in each.entity_types
    }
