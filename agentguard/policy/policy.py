"""What a loaded policy says of a call. Pure: the same call and facts always give the same verdict.

Rules:
- a tool that no pattern matches, and a name that no tool may have, are denied by a clause that says so;
- what depends on the tool alone is worked out once, and kept for the last names only: names are the model's to choose;
- conditions are evaluated over one activation, built at the first of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import lru_cache

from jinja2 import Template

from agentguard.model.calls import Principal, Tool
from agentguard.model.facts import Facts, PinState
from agentguard.model.limits import Charge
from agentguard.model.record import Json
from agentguard.model.verdicts import Clause, Effect, Risk, Verdict
from agentguard.policy.conditions import Condition, Language, Reading
from agentguard.policy.document import Document, MaskingSection, RuleEntry, ToolEntry
from agentguard.policy.explain import explain
from agentguard.policy.judging import rule_effect, tool_effect
from agentguard.policy.layout import Layout
from agentguard.policy.limits import Limit, paths_of
from agentguard.policy.patterns import is_exact, is_tool_name, literals, matches
from agentguard.policy.pins import Pins, pin_reason
from agentguard.policy.plans import ALWAYS, LimitSpeaker, Plan, Speaker
from agentguard.policy.terms import ToolTerms, terms_of
from agentguard.policy.titles import render_title

UNLISTED = "(unlisted)"
NOT_A_NAME = "(not a tool name)"
NAMES_KEPT = 1024


class Policy:
    """Risk, effect and obligations of every call. Built by `load`."""

    def __init__(
        self,
        *,
        layout: Layout,
        language: Language,
        conditions: Mapping[str, Condition],
        titles: Mapping[str, Template],
        pins: Pins | None = None,
    ) -> None:
        self._layout = layout
        self._language = language
        self._conditions = conditions
        self._titles = titles
        self._pins = pins
        self._by_strictness = _sorted_patterns(layout.document)
        self._plan = lru_cache(maxsize=NAMES_KEPT)(self._make_plan)
        self.version = _version(layout.document, pins)

    @property
    def document(self) -> Document:
        """The whole policy as it was written."""
        return self._layout.document

    @property
    def masking(self) -> MaskingSection:
        """What to mask, and how."""
        return self.document.masking

    @property
    def names_kept(self) -> int:
        """For how many tool names the policy's part is held in memory now."""
        return self._plan.cache_info().currsize

    def classify(self, tool: str, arguments: Mapping[str, Json], principal: Principal, facts: Facts) -> Verdict:
        """The verdict on a call. `arguments` are the snapshot's, as the tool would get them."""
        if not is_tool_name(tool):
            return self._refuse_name(tool)
        plan = self._plan(tool, facts.pin)
        limits = tuple(each.limit.met(arguments, facts) for each in plan.limits)
        if not plan.rules:
            return plan.verdict(limits)
        reading = Reading(
            self._language,
            reads=plan.reads,
            params=plan.terms.params,
            tool=tool,
            arguments=arguments,
            principal=principal,
            facts=facts,
        )
        rules = tuple(ALWAYS if rule.condition is None else reading.met(rule.condition) for rule in plan.rules)
        return plan.verdict(rules + limits)

    def charges(self, tool: str, arguments: Mapping[str, Json], principal: Principal) -> tuple[Charge, ...]:
        """What a call takes from each limit; nothing where no limit concerns its tool. Raises BadAmount, for a call that is denied."""
        if not is_tool_name(tool):
            return ()
        return tuple(each.limit.charge(arguments, principal) for each in self._plan(tool, PinState.SAME).limits)

    def terms(self, tool: str) -> ToolTerms:
        """The knobs of a tool."""
        return self._plan(tool, PinState.SAME).terms if is_tool_name(tool) else ToolTerms(pattern="")

    def pin_state(self, tool: Tool) -> PinState:
        """How a tool compares with what was pinned of it; the same where nothing is pinned."""
        return PinState.SAME if self._pins is None else self._pins.state(tool)

    def reads_session(self, tool: str) -> bool:
        """Whether a clause that can match this tool reads the session's labels."""
        return is_tool_name(tool) and self._plan(tool, PinState.SAME).reads_session

    def title(self, tool: str, masked_arguments: Mapping[str, Json]) -> str:
        """One line for people that says what the call does. Never raises: the tool's name where a template fails."""
        if not is_tool_name(tool):
            return _shown(tool)
        return render_title(self._plan(tool, PinState.SAME).title, tool, masked_arguments)

    def explain(self, verdict: Verdict) -> str:
        """A verdict in plain words, with file:line of each clause."""
        return explain(verdict)

    def _make_plan(self, tool: str, pin: PinState) -> Plan:
        pattern = next((each for each in self._by_strictness if matches(each, tool)), None)
        if pattern is None:
            return self._deny_plan(tool, UNLISTED, 'no pattern of tools matches this tool; "*" would be the rest')
        entry = self.document.tools[pattern]
        effect, ask = tool_effect(self.document, entry)
        own = Clause(
            kind="tool",
            id=pattern,
            effect=effect,
            risk=entry.risk,
            ask=ask,
            place=self._layout.place(("tools", pattern)),
        )
        return Plan(
            tool=tool,
            terms=terms_of(pattern, entry),
            own=Speaker(clause=own, risk=entry.risk, asks=(ask,) if ask else ()),
            rules=(*self._speakers(tool, entry), *self._pin_speakers(tool, pin)),
            limits=tuple(self._limits(tool, entry)),
            title=self._titles.get(pattern),
            document=self.document,
            version=self.version,
        )

    def _speakers(self, tool: str, entry: ToolEntry) -> tuple[Speaker, ...]:
        """The rules that match a tool, in the order of their ids."""
        found = []
        for index, rule in enumerate(self.document.rules):
            if not any(matches(pattern, tool) for pattern in rule.tools):
                continue
            effect, asks = rule_effect(self.document, rule, entry.risk)
            clause = Clause(
                kind="rule",
                id=rule.id,
                effect=effect,
                risk=rule.risk,
                ask=" and ".join(asks) or None,
                reason=rule.reason or "",
                place=self._layout.place(("rules", index)),
            )
            risk = rule.risk or Risk.LOW
            found.append(Speaker(clause=clause, risk=risk, asks=asks, condition=self._conditions.get(rule.id)))
        return tuple(found)

    def _pin_speakers(self, tool: str, pin: PinState) -> tuple[Speaker, ...]:
        """What is said of a tool that is not what was pinned: critical, and no call for one that may pass itself off as another."""
        if pin is PinState.SAME or self._pins is None:
            return ()
        other = self._pins.alike(tool)
        told = pin_reason(pin, other)
        rule = RuleEntry(id="pin", tools=(tool,), risk=Risk.CRITICAL, deny=True if pin is PinState.ALIKE else None)
        effect, asks = rule_effect(self.document, rule, Risk.LOW)
        clause = Clause(
            kind="rule",
            id=f"(pin: {pin})",
            effect=effect,
            risk=Risk.CRITICAL,
            ask=" and ".join(asks) or None,
            reason=told,
            place=self._pins.place(other or tool),
        )
        return (Speaker(clause=clause, risk=Risk.CRITICAL, asks=asks),)

    def _limits(self, tool: str, entry: ToolEntry) -> Iterator[LimitSpeaker]:
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
                place=self._layout.place(("limits", name)),
            )
            counted = Limit(id=name, entry=limit, tool=tool, paths=paths_of(limit.sum, entry.params))
            asks = (limit.ask,) if limit.ask else ()
            yield LimitSpeaker(clause=clause, risk=Risk.LOW, asks=asks, limit=counted)

    def _deny_plan(self, tool: str, clause_id: str, reason: str) -> Plan:
        """A plan that denies, for a tool that the policy does not know."""
        place = self._layout.place(("tools",))
        own = Clause(kind="tool", id=clause_id, effect=Effect.DENY, risk=Risk.CRITICAL, reason=reason, place=place)
        return Plan(
            tool=tool,
            terms=ToolTerms(pattern=""),
            own=Speaker(clause=own, risk=Risk.CRITICAL),
            rules=(),
            title=None,
            document=self.document,
            version=self.version,
        )

    def _refuse_name(self, tool: str) -> Verdict:
        reason = "a tool's name is 1 to 64 of letters, digits, '_' and '-'"
        return self._deny_plan(_shown(tool), NOT_A_NAME, reason).verdict(())


def _sorted_patterns(document: Document) -> tuple[str, ...]:
    """The patterns of `tools`, the one that wins first."""

    def strength(pattern: str) -> tuple[int, int, bool, str]:
        return literals(pattern), document.tools[pattern].risk.rank, is_exact(pattern), pattern

    return tuple(sorted(document.tools, key=strength, reverse=True))


def _version(document: Document, pins: Pins | None) -> str:
    pinned = pins.digest() if pins is not None else ""
    return "sha256:" + hashlib.sha256((document.canonical() + pinned).encode()).hexdigest()[:16]


def _shown(tool: str) -> str:
    """A name that no tool may have, safe to write anywhere."""
    return ascii(tool[:64])[1:-1]
