"""What the policy has to say about one tool, worked out once: its terms, its clause, and the rules that can speak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from jinja2 import Template

from agentguard.model.verdicts import Clause, Effect, Mode, Risk, Said, Verdict
from agentguard.policy.conditions import Condition, Met, SessionPart
from agentguard.policy.document import Document
from agentguard.policy.judging import highest, needs_of, strictest
from agentguard.policy.limits import Limit
from agentguard.policy.terms import ToolTerms

ALWAYS = Met("always")
_VERDICTS_MAX = 16


@dataclass(frozen=True, kw_only=True)
class Speaker:
    """A clause that can speak about the tool, what it asks for, and when it speaks; no condition: always."""

    clause: Clause
    risk: Risk
    asks: tuple[str, ...] = ()
    condition: Condition | None = None

    @property
    def in_shadow(self) -> bool:
        """Whether it only tells what it would have said."""
        return self.clause.mode is Mode.SHADOW


@dataclass(frozen=True, kw_only=True)
class LimitSpeaker(Speaker):
    """A limit that concerns the tool, and what it asks for or denies where it speaks."""

    limit: Limit


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One tool's part of the policy. Verdicts are shared: one for each set of clauses that spoke.

    `shadow_own`: what an entry of `tools` in shadow would say in place of `own`.
    """

    tool: str
    terms: ToolTerms
    own: Speaker
    shadow_own: Speaker | None = None
    rules: tuple[Speaker, ...]
    limits: tuple[LimitSpeaker, ...] = ()
    title: Template | None
    document: Document
    version: str
    _verdicts: dict[tuple[Met | None, ...], Verdict] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def reads(self) -> frozenset[str]:
        """The names that conditions of the rules may read."""
        return frozenset[str]().union(*(condition.reads for condition in self._conditions))

    @cached_property
    def needs(self) -> frozenset[SessionPart]:
        """What conditions of the rules need of the session."""
        return frozenset[SessionPart]().union(*(condition.needs for condition in self._conditions))

    @cached_property
    def enforced_needs(self) -> frozenset[SessionPart]:
        """What those of enforced rules need."""
        enforced = [rule.condition for rule in self.rules if rule.condition is not None and not rule.in_shadow]
        return frozenset[SessionPart]().union(*(condition.needs for condition in enforced))

    @cached_property
    def only(self) -> Verdict | None:
        """The verdict on every call, where neither a rule nor a limit concerns the tool."""
        return None if self.rules or self.limits else self.verdict(())

    def verdict(self, met: tuple[Met | None, ...]) -> Verdict:
        """The verdict when each rule, then each limit, counted as `met`, in their order; None for one that did not speak."""
        verdict = self._verdicts.get(met)
        if verdict is None:
            verdict = self._judge(met)
            if len(self._verdicts) < _VERDICTS_MAX:
                self._verdicts[met] = verdict
        return verdict

    @property
    def _conditions(self) -> tuple[Condition, ...]:
        return tuple(rule.condition for rule in self.rules if rule.condition is not None)

    def _judge(self, met: Sequence[Met | None]) -> Verdict:
        spoke = [(each, how) for each, how in zip((*self.rules, *self.limits), met, strict=True) if how is not None]
        said = self._said([(self.own, ALWAYS), *((each, how) for each, how in spoke if not each.in_shadow)])
        shadow = None
        if self.shadow_own is not None or any(each.in_shadow for each, _ in spoke):
            shadow = self._said([(self.shadow_own or self.own, ALWAYS), *spoke])
        return Verdict(
            tool=self.tool,
            risk=said.risk,
            effect=said.effect,
            clauses=said.clauses,
            needs=said.needs,
            labels=self.terms.labels,
            policy_version=self.version,
            shadow=shadow,
        )

    def _said(self, spoke: Sequence[tuple[Speaker, Met]]) -> Said:
        """What these clauses come to together."""
        clauses = tuple(_heard(speaker.clause, how) for speaker, how in spoke)
        effect = strictest(clause.effect for clause in clauses)
        asks = [name for speaker, _ in spoke for name in speaker.asks]
        return Said(
            risk=highest(speaker.risk for speaker, _ in spoke),
            effect=effect,
            clauses=clauses,
            needs=needs_of(self.document, asks) if effect is Effect.ASK else (),
        )


def _heard(clause: Clause, how: Met) -> Clause:
    """A clause as it spoke. A limit that can't be counted denies, whatever it would ask for."""
    if how is ALWAYS:
        return clause
    effect, ask = (Effect.DENY, None) if clause.kind == "limit" and how.how == "error" else (clause.effect, clause.ask)
    return clause.model_copy(update={"met": how.how, "error": how.code, "effect": effect, "ask": ask})
