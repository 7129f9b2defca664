"""What a loaded policy says of a call. Pure: the same call and facts always give the same verdict.

Rules:
- a name that no tool may have is denied by a clause that says so;
- what depends on the tool alone is worked out once, and kept for the last names only: names are the model's to choose;
- conditions are evaluated over one activation, built at the first of them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from jinja2 import Template

from agentguard.model.calls import Principal, Tool
from agentguard.model.facts import Facts, PinState
from agentguard.model.limits import Charge
from agentguard.model.listings import Hints
from agentguard.model.problems import Place
from agentguard.model.provenance import Provenance
from agentguard.model.record import Json
from agentguard.model.verdicts import Effect, Verdict
from agentguard.policy.approvals_section import AskingSection
from agentguard.policy.condition_parts import parts_of
from agentguard.policy.conditions import BadCondition, Condition, Language, Met, SessionPart
from agentguard.policy.deeds import deeds_of, once_of
from agentguard.policy.document import Document
from agentguard.policy.explain import explain, facts_read
from agentguard.policy.highlights import read_arguments
from agentguard.policy.layout import Layout
from agentguard.policy.masking_section import MaskingSection
from agentguard.policy.notifying import notified
from agentguard.policy.patterns import NAME_LENGTH_MAX, is_tool_name
from agentguard.policy.pins import Pins
from agentguard.policy.planning import Planner
from agentguard.policy.plans import ALWAYS, Plan
from agentguard.policy.reading import Reading
from agentguard.policy.terms import ToolTerms
from agentguard.policy.titles import render_title
from agentguard.policy.waits import defers

NOT_A_NAME = "(not a tool name)"
NAMES_KEPT = 1024
NO_HINTS = Hints()
# Python 3.11 looks a member of an Enum up in Python each time that it is named.
_SAME, _COUNTS = PinState.SAME, SessionPart.COUNTS
_FOUND = re.compile(r"\bfound:([A-Z][A-Z0-9_]*)?")
"""Labels that conditions ask for: an entity type, or none where they only look at how labels begin."""


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
        self.document = layout.document
        self.version = _version(layout.document, pins)
        self._language = language
        self.pins = pins
        self._layout = layout
        self._planner = Planner(layout=layout, conditions=conditions, titles=titles, pins=pins, version=self.version)
        self.kept = frozenset[SessionPart]().union(*(condition.needs for condition in conditions.values()))
        """What any condition needs of sessions, and must be kept for it."""
        self.has_limits = bool(self.document.limits)
        tools, rules = self.document.tools.values(), self.document.rules
        self.has_deeds = any(each.once for each in tools) or any(each.once for each in rules)
        self._texts = {id: condition.text for id, condition in conditions.items()}
        self._found = frozenset(name for each in conditions.values() for name in _FOUND.findall(each.text))
        self._plan = lru_cache(maxsize=NAMES_KEPT)(self._planner.plan)
        self._same = lru_cache(maxsize=NAMES_KEPT)(self._plan_of_same)

    @property
    def masking(self) -> MaskingSection:
        """What to mask, and how."""
        return self.document.masking

    @property
    def asking(self) -> AskingSection:
        """How much one agent may ask of people."""
        return self.document.asking

    @property
    def names_kept(self) -> int:
        """For how many tool names the policy's part is held in memory now."""
        return self._plan.cache_info().currsize

    def classify(
        self,
        tool: str,
        arguments: Mapping[str, Json],
        principal: Principal,
        facts: Facts,
        provenance: Provenance | None = None,
    ) -> Verdict:
        """The verdict on a call. `arguments` are the snapshot's, as the tool would get them.

        `provenance`: what is known of the session's words; without it conditions that ask for them fail, and count as met.
        """
        plan = self._plan_of(tool)
        if plan is None:
            return self._refuse_name(tool)
        if facts.pin is not _SAME:
            plan = self._plan(tool, facts.pin)
        if plan.only is not None:
            return plan.only
        limits = tuple(each.limit.met(arguments, facts) for each in plan.limits)
        if not plan.rules:
            return plan.verdict(limits)
        reading = self._reading(tool, arguments, principal, facts, provenance, plan.reads)
        rules = tuple(ALWAYS if rule.condition is None else reading.met(rule.condition) for rule in plan.rules)
        return plan.verdict(rules + limits)

    def charges(self, tool: str, arguments: Mapping[str, Json], principal: Principal) -> tuple[Charge, ...]:
        """What a call takes from each limit; nothing where no limit concerns its tool.

        Raises BadAmount, for a call that is denied; a limit in shadow that has nothing to count is left out.
        """
        plan = self._plan_of(tool)
        if plan is None or not plan.limits:
            return ()
        found = (each.limit.charge(arguments, principal) for each in plan.limits)
        return tuple(charge for charge in found if charge is not None)

    def deeds(self, arguments: Mapping[str, Json], verdict: Verdict) -> tuple[str, ...]:
        """The text that names each thing which a call with this verdict may do once. Raises NoDeed."""
        return deeds_of(self.document, self.terms(verdict.tool), verdict, arguments) if self.has_deeds else ()

    def terms(self, tool: str) -> ToolTerms:
        """The knobs of a tool."""
        plan = self._plan_of(tool)
        return ToolTerms(pattern="") if plan is None else plan.terms

    def allows_unasked(self, tool: str) -> bool:
        """Whether every call of a tool is allowed, whatever it holds: no clause that could speak would ask or deny."""
        plan = self._plan_of(tool)
        return (
            plan is not None and plan.verdict((ALWAYS,) * (len(plan.rules) + len(plan.limits))).effect is Effect.ALLOW
        )

    def defers(self, verdict: Verdict) -> bool:
        """Whether the call is told to come back while people are asked."""
        return defers(self.document, verdict)

    def notified(self, verdict: Verdict) -> tuple[str, ...]:
        """The places that are told of a request with this verdict; empty for those that are told of everything."""
        return notified(self.document, verdict)

    def pin_state(self, tool: Tool) -> PinState:
        """How a tool compares with what was pinned of it; where nothing is pinned, with what an integration first saw of it."""
        if self.pins is not None:
            return self.pins.state(tool)
        return PinState.CHANGED if getattr(tool, "changed", False) else _SAME

    def needs(self, tool: str) -> frozenset[SessionPart]:
        """What clauses that can match this tool need of the session."""
        plan = self._plan_of(tool)
        return frozenset() if plan is None else plan.needs

    def enforced_needs(self, tool: str) -> frozenset[SessionPart]:
        """What those that are enforced need: the tool's verdict can't be had without."""
        plan = self._plan_of(tool)
        return frozenset() if plan is None else plan.enforced_needs

    def reads(self, tool: str, name: str) -> bool:
        """Whether a clause that can match this tool may read a name."""
        plan = self._plan_of(tool)
        return plan is not None and name in plan.reads

    def goes_by_arguments(self, tool: str) -> bool:
        """Whether no clause that can match this tool asks for anything else: not the session, nor the time, nor a count of calls."""
        plan = self._plan_of(tool)
        return _COUNTS not in self.kept and (plan is None or not (plan.needs or "time" in plan.reads))

    def found_labels(self, entities: Iterable[str]) -> tuple[str, ...]:
        """`found:TYPE` for each of these entity types that a condition could ask for."""
        if not self._found:
            return ()
        return tuple(f"found:{name}" for name in entities if name in self._found or "" in self._found)

    def title(self, tool: str, masked_arguments: Mapping[str, Json]) -> str:
        """One line for people that says what the call does. Never raises: the tool's name where a template fails."""
        plan = self._plan_of(tool)
        return _shown(tool) if plan is None else render_title(plan.title, tool, masked_arguments)

    def read_arguments(self, verdict: Verdict) -> tuple[str, ...]:
        """The arguments that the clauses of a verdict read, for people to look at first."""
        return read_arguments(verdict.clauses, self.document, self.terms(verdict.tool).params)

    def condition_reads(self, rule: str) -> frozenset[str]:
        """The names that the condition of a rule may read; none without a condition."""
        condition = self._planner.conditions.get(rule)
        return frozenset() if condition is None else condition.reads

    def place(self, path: Sequence[str | int]) -> Place:
        """Where something in the document stands."""
        return self._layout.place(path)

    def parts(
        self,
        tool: str,
        arguments: Mapping[str, Json],
        principal: Principal,
        facts: Facts,
        provenance: Provenance | None = None,
    ) -> dict[str, tuple[str, ...]]:
        """Of each rule whose condition has several parts: those that are true of a call, or failed, and so count as met."""
        found: dict[str, tuple[str, ...]] = {}
        for rule, text in self._texts.items() if is_tool_name(tool) else ():
            texts = parts_of(text)
            if len(texts) > 1:
                try:
                    conditions = [self._language.compile(each) for each in texts]
                except BadCondition:
                    continue  # a part that says nothing by itself
                reads = frozenset[str]().union(*(each.reads for each in conditions))
                reading = self._reading(tool, arguments, principal, facts, provenance, reads)
                found[rule] = tuple(_part(each.text, met) for each in conditions if (met := reading.met(each)))
        return found

    def explain(
        self, verdict: Verdict, facts: Facts | None = None, parts: Mapping[str, Sequence[str]] | None = None
    ) -> str:
        """A verdict in plain words, with file:line of each clause, the facts that its condition read, and how its `parts` came out."""
        read = (
            {} if facts is None else {id: told for id, text in self._texts.items() if (told := facts_read(text, facts))}
        )
        return explain(
            verdict,
            once_of(self.document, verdict),
            is_deferred=self.defers(verdict),
            notified=self.notified(verdict),
            read=read,
            parts=parts,
        )

    def _plan_of(self, tool: str) -> Plan | None:
        """What there is to say about a tool that is as it was pinned; None for a name that no tool may have."""
        return self._same(tool) if len(tool) <= NAME_LENGTH_MAX else None

    def _plan_of_same(self, tool: str) -> Plan | None:
        return self._plan(tool, _SAME) if is_tool_name(tool) else None

    def _reading(
        self,
        tool: str,
        arguments: Mapping[str, Json],
        principal: Principal,
        facts: Facts,
        provenance: Provenance | None,
        reads: frozenset[str],
    ) -> Reading:
        """What conditions that may read these names read of one call."""
        return Reading(
            self._language,
            reads=reads,
            params=self.terms(tool).params,
            tool=tool,
            arguments=arguments,
            principal=principal,
            facts=facts,
            hints=self._hints(tool),
            provenance=provenance,
        )

    def _hints(self, tool: str) -> Hints:
        """What a tool claimed of itself when it was pinned."""
        pin = None if self.pins is None else self.pins.tools.get(tool)
        return NO_HINTS if pin is None else pin.hints

    def _refuse_name(self, tool: str) -> Verdict:
        reason = "a tool's name is 1 to 64 of letters, digits, '_' and '-'"
        return self._planner.deny(_shown(tool), NOT_A_NAME, reason).verdict(())


def _part(text: str, met: Met) -> str:
    return f"true: {text}" if met.how == "true" else f"failed with {met.code}: {text}"


def _version(document: Document, pins: Pins | None) -> str:
    pinned = pins.digest() if pins is not None else ""
    return "sha256:" + hashlib.sha256((document.canonical() + pinned).encode()).hexdigest()[:16]


def _shown(tool: str) -> str:
    """A name that no tool may have, safe to write anywhere."""
    return ascii(tool[:64])[1:-1]
