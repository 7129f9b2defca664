"""What a loaded policy says of a call. Pure: the same call and facts always give the same verdict.

Rules:
- a name that no tool may have is denied by a clause that says so;
- what depends on the tool alone is worked out once, and kept for the last names only: names are the model's to choose;
- conditions are evaluated over one activation, built at the first of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache

from jinja2 import Template

from agentguard.model.calls import Principal, Tool
from agentguard.model.facts import Facts, PinState
from agentguard.model.limits import Charge
from agentguard.model.problems import Place
from agentguard.model.record import Json
from agentguard.model.verdicts import Verdict
from agentguard.policy.conditions import Condition, Language, Reading
from agentguard.policy.deeds import deeds_of, once_of
from agentguard.policy.document import Document
from agentguard.policy.explain import explain
from agentguard.policy.highlights import read_arguments
from agentguard.policy.layout import Layout
from agentguard.policy.masking_section import MaskingSection
from agentguard.policy.patterns import is_tool_name
from agentguard.policy.pins import Pins
from agentguard.policy.planning import Planner
from agentguard.policy.plans import ALWAYS
from agentguard.policy.terms import ToolTerms
from agentguard.policy.titles import render_title
from agentguard.policy.waits import defers

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
        self.document = layout.document
        self.version = _version(layout.document, pins)
        self._language = language
        self.pins = pins
        self._layout = layout
        self._planner = Planner(layout=layout, conditions=conditions, titles=titles, pins=pins, version=self.version)
        self._plan = lru_cache(maxsize=NAMES_KEPT)(self._planner.plan)

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
        """What a call takes from each limit; nothing where no limit concerns its tool.

        Raises BadAmount, for a call that is denied; a limit in shadow that has nothing to count is left out.
        """
        if not is_tool_name(tool):
            return ()
        found = (each.limit.charge(arguments, principal) for each in self._plan(tool, PinState.SAME).limits)
        return tuple(charge for charge in found if charge is not None)

    def deeds(self, arguments: Mapping[str, Json], verdict: Verdict) -> tuple[str, ...]:
        """The text that names each thing which a call with this verdict may do once. Raises NoDeed."""
        return deeds_of(self.document, self.terms(verdict.tool), verdict, arguments)

    def terms(self, tool: str) -> ToolTerms:
        """The knobs of a tool."""
        return self._plan(tool, PinState.SAME).terms if is_tool_name(tool) else ToolTerms(pattern="")

    def defers(self, verdict: Verdict) -> bool:
        """Whether the call is told to come back while people are asked."""
        return defers(self.document, verdict)

    def pin_state(self, tool: Tool) -> PinState:
        """How a tool compares with what was pinned of it; where nothing is pinned, with what an integration first saw of it."""
        if self.pins is not None:
            return self.pins.state(tool)
        return PinState.CHANGED if getattr(tool, "changed", False) else PinState.SAME

    def reads_session(self, tool: str) -> bool:
        """Whether a clause that can match this tool reads the session's labels."""
        return is_tool_name(tool) and self._plan(tool, PinState.SAME).reads_session

    def needs_session(self, tool: str) -> bool:
        """Whether one that is enforced does: its verdict can't be had without the labels."""
        return is_tool_name(tool) and self._plan(tool, PinState.SAME).needs_session

    def title(self, tool: str, masked_arguments: Mapping[str, Json]) -> str:
        """One line for people that says what the call does. Never raises: the tool's name where a template fails."""
        if not is_tool_name(tool):
            return _shown(tool)
        return render_title(self._plan(tool, PinState.SAME).title, tool, masked_arguments)

    def read_arguments(self, verdict: Verdict) -> tuple[str, ...]:
        """The arguments that the clauses of a verdict read, for people to look at first."""
        return read_arguments(verdict.clauses, self.document, self.terms(verdict.tool).params)

    def place(self, path: Sequence[str | int]) -> Place:
        """Where something in the document stands."""
        return self._layout.place(path)

    def explain(self, verdict: Verdict) -> str:
        """A verdict in plain words, with file:line of each clause."""
        return explain(verdict, once_of(self.document, verdict), is_deferred=self.defers(verdict))

    def _refuse_name(self, tool: str) -> Verdict:
        reason = "a tool's name is 1 to 64 of letters, digits, '_' and '-'"
        return self._planner.deny(_shown(tool), NOT_A_NAME, reason).verdict(())


def _version(document: Document, pins: Pins | None) -> str:
    pinned = pins.digest() if pins is not None else ""
    return "sha256:" + hashlib.sha256((document.canonical() + pinned).encode()).hexdigest()[:16]


def _shown(tool: str) -> str:
    """A name that no tool may have, safe to write anywhere."""
    return ascii(tool[:64])[1:-1]
