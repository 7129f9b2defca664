"""The plan of a tool: which entry of `tools` speaks for it, and which rules, limits and pins concern it.

Rules:
- a tool that no pattern matches is denied by a clause that says so;
- what is in shadow never loosens: beside an enforced entry that matches, a shadow one only tells what it would have said, and the
  enforced entry's knobs are the tool's;
- a tool that only entries in shadow speak for is let pass where the root is in shadow, and is unlisted where it isn't.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from jinja2 import Template

from agentguard.model.facts import PinState
from agentguard.model.problems import Place
from agentguard.model.verdicts import Clause, Effect, Mode, Risk
from agentguard.policy.conditions import Condition
from agentguard.policy.document import Document, RuleEntry
from agentguard.policy.judging import rule_effect, tool_effect
from agentguard.policy.layout import Layout
from agentguard.policy.limits import Limit, paths_of
from agentguard.policy.patterns import is_exact, literals, matches
from agentguard.policy.pins import Pins, pin_reason
from agentguard.policy.plans import LimitSpeaker, Plan, Speaker
from agentguard.policy.terms import ToolTerms, terms_of

UNLISTED = "(unlisted)"
ONLY_SHADOW = "(only in shadow)"
_NOT_LISTED = 'no pattern of tools matches this tool; "*" would be the rest'
_NOT_HELD_UP = "the policy is in shadow mode: no enforced entry speaks for this tool"


@dataclass(frozen=True, kw_only=True)
class Planner:
    """Makes the plans of one policy."""

    layout: Layout
    conditions: Mapping[str, Condition]
    titles: Mapping[str, Template]
    pins: Pins | None
    version: str

    @property
    def document(self) -> Document:
        """The whole policy."""
        return self.layout.document

    def plan(self, tool: str, pin: PinState) -> Plan:
        """What there is to say about a tool."""
        spoken = [pattern for pattern in self._by_strictness if matches(pattern, tool)]
        enforced = next((each for each in spoken if self.document.tools[each].mode is not Mode.SHADOW), None)
        own = self._own(enforced, spoken)
        ahead = spoken[0] if spoken and spoken[0] != enforced else None
        shadow = self._entry_speaker(ahead) if ahead else self._unlisted() if not spoken and self._in_shadow else None
        knobs, is_judged = enforced or ahead, bool(spoken) or self._in_shadow
        return Plan(
            tool=tool,
            terms=terms_of(knobs, self.document.tools[knobs]) if knobs else ToolTerms(pattern=""),
            own=own,
            shadow_own=shadow,
            rules=(*self._rules(tool, own, shadow), *self._pin(tool, pin)) if is_judged else (),
            limits=tuple(self._limits(tool, self.document.tools[knobs].params if knobs else {})) if is_judged else (),
            title=self.titles.get(knobs or ""),
            document=self.document,
            version=self.version,
        )

    def deny(self, tool: str, clause_id: str, reason: str) -> Plan:
        """A plan that denies, for what is no tool of the policy."""
        return Plan(
            tool=tool,
            terms=ToolTerms(pattern=""),
            own=self._stranger(clause_id, reason, Mode.ENFORCE),
            rules=(),
            title=None,
            document=self.document,
            version=self.version,
        )

    @cached_property
    def _by_strictness(self) -> tuple[str, ...]:
        return by_strictness(self.document)

    @property
    def _in_shadow(self) -> bool:
        return self.document.mode is Mode.SHADOW

    def _own(self, enforced: str | None, spoken: list[str]) -> Speaker:
        """What is enforced of `tools`."""
        if enforced is not None:
            return self._entry_speaker(enforced)
        if not self._in_shadow:
            return self._stranger(UNLISTED, _NOT_LISTED, Mode.ENFORCE)
        place = self.layout.place(("tools", spoken[0]) if spoken else ("tools",))
        clause = Clause(kind="tool", id=ONLY_SHADOW, effect=Effect.ALLOW, reason=_NOT_HELD_UP, place=place)
        return Speaker(clause=clause, risk=Risk.LOW)

    def _entry_speaker(self, pattern: str) -> Speaker:
        entry = self.document.tools[pattern]
        effect, ask = tool_effect(self.document, entry)
        clause = Clause(
            kind="tool",
            id=pattern,
            effect=effect,
            risk=entry.risk,
            ask=ask,
            place=self.layout.place(("tools", pattern)),
            mode=entry.mode or Mode.ENFORCE,
        )
        return Speaker(clause=clause, risk=entry.risk, asks=(ask,) if ask else ())

    def _unlisted(self) -> Speaker:
        return self._stranger(UNLISTED, _NOT_LISTED, Mode.SHADOW)

    def _stranger(self, clause_id: str, reason: str, mode: Mode) -> Speaker:
        place = self.layout.place(("tools",))
        clause = Clause(
            kind="tool", id=clause_id, effect=Effect.DENY, risk=Risk.CRITICAL, reason=reason, place=place, mode=mode
        )
        return Speaker(clause=clause, risk=Risk.CRITICAL)

    def _rules(self, tool: str, own: Speaker, shadow: Speaker | None) -> Iterator[Speaker]:
        """The rules that match a tool, in the order of their ids."""
        for index, rule in enumerate(self.document.rules):
            if any(matches(pattern, tool) for pattern in rule.tools):
                beside = shadow if rule.mode is Mode.SHADOW and shadow else own
                place = self.layout.place(("rules", index))
                yield self._rule(rule, beside.risk, place, self.conditions.get(rule.id))

    def _rule(self, rule: RuleEntry, floor: Risk, place: Place, condition: Condition | None = None) -> Speaker:
        effect, asks = rule_effect(self.document, rule, floor)
        clause = Clause(
            kind="rule",
            id=rule.id,
            effect=effect,
            risk=rule.risk,
            ask=" and ".join(asks) or None,
            reason=rule.reason or "",
            place=place,
            mode=rule.mode or Mode.ENFORCE,
        )
        return Speaker(clause=clause, risk=rule.risk or Risk.LOW, asks=asks, condition=condition)

    def _pin(self, tool: str, pin: PinState) -> Iterator[Speaker]:
        """What is said of a tool that is not what was pinned: critical, and no call for one that may pass itself off as another."""
        if pin is PinState.SAME:
            return
        other = self.pins.alike(tool) if self.pins else None
        deny = True if pin is PinState.ALIKE else None
        rule = RuleEntry.model_construct(
            id=f"(pin: {pin})",
            tools=(tool,),
            risk=Risk.CRITICAL,
            deny=deny,
            reason=pin_reason(pin, other),
            mode=self.document.mode,
        )
        place = self.pins.place(other or tool) if self.pins else self.layout.place(("version",))
        yield self._rule(rule, Risk.LOW, place)

    def _limits(self, tool: str, params: Mapping[str, Sequence[str]]) -> Iterator[LimitSpeaker]:
        """The limits that match a tool, in the order of their names."""
        for name, limit in self.document.limits.items():
            if not any(matches(pattern, tool) for pattern in limit.tools):
                continue
            clause = Clause(
                kind="limit",
                id=name,
                effect=Effect.ASK if limit.ask else Effect.DENY,
                ask=limit.ask,
                reason=limit.reason or "",
                place=self.layout.place(("limits", name)),
                mode=limit.mode or Mode.ENFORCE,
            )
            counted = Limit(id=name, entry=limit, tool=tool, paths=paths_of(limit.sum, params))
            asks = (limit.ask,) if limit.ask else ()
            yield LimitSpeaker(clause=clause, risk=Risk.LOW, asks=asks, limit=counted)


def by_strictness(document: Document) -> tuple[str, ...]:
    """The patterns of `tools`, the one that wins first."""
    tools = document.tools

    def strength(pattern: str) -> tuple[int, int, bool, str]:
        return literals(pattern), tools[pattern].risk.rank, is_exact(pattern), pattern

    return tuple(sorted(tools, key=strength, reverse=True))
