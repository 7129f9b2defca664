"""What is allowed in a policy and surely not meant. Warnings only; what must not stand is an error of `load`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from agentguard.model.problems import Problem
from agentguard.model.verdicts import Effect
from agentguard.policy.document import AskFor, Document, RuleEntry, ToolEntry
from agentguard.policy.judging import rule_effect, tool_effect
from agentguard.policy.loading import Source, load, read_layout
from agentguard.policy.patterns import overlap
from agentguard.policy.pins import Pins
from agentguard.policy.roles import KNOWN_ROLES
from agentguard.policy.soundness import Check, Found


def lint(sources: Sequence[Source], *, checks: Sequence[Check] = (), pins: Pins | None = None) -> tuple[Problem, ...]:
    """Warnings about a policy that loads. Raises PolicyError for one that doesn't."""
    load(sources, checks=checks, pins=pins)
    layout = read_layout(sources)
    found = [*_unused_approvals(layout.document), *_idle_rules(layout.document), *_strange_roles(layout.document)]
    warnings = [Problem(place=layout.place(path), what=what, instead=instead) for path, what, instead in found]
    return tuple(sorted(warnings, key=lambda each: (each.place.file, each.place.line, each.place.column)))


def _unused_approvals(document: Document) -> Iterator[Found]:
    levels = (document.risk.low, document.risk.medium, document.risk.high, document.risk.critical)
    used = {level.ask for level in levels if isinstance(level, AskFor)}
    used |= {entry.ask for entry in document.tools.values() if entry.ask}
    used |= {rule.ask for rule in document.rules if rule.ask}
    used |= {limit.ask for limit in document.limits.values() if limit.ask}
    for name in document.approvals.keys() - used:
        yield ("approvals", name), f"nothing asks for the approval {name!r}", "remove it, or ask for it"


def _idle_rules(document: Document) -> Iterator[Found]:
    for index, rule in enumerate(document.rules):
        matched = [
            entry for pattern, entry in document.tools.items() if any(overlap(pattern, each) for each in rule.tools)
        ]
        if not matched:
            yield (
                ("rules", index),
                f"the rule {rule.id!r} matches no tool of the policy",
                "correct its patterns, or remove it",
            )
        elif all(_adds_nothing(document, rule, entry) for entry in matched):
            what = f"the rule {rule.id!r} can't make any verdict stricter"
            yield ("rules", index), what, "remove it, or make it ask for more"


def _adds_nothing(document: Document, rule: RuleEntry, entry: ToolEntry) -> bool:
    """Whether an entry already does, at its risk or above, all that a rule could add."""
    effect, ask = tool_effect(document, entry)
    if rule.once is not None:
        return effect is Effect.DENY
    if effect is Effect.DENY:
        return rule.risk is None or rule.risk.rank <= entry.risk.rank
    if rule.risk is not None and rule.risk.rank > entry.risk.rank:
        return False
    added, asks = rule_effect(document, rule, entry.risk)
    return added is not Effect.DENY and set(asks) <= {ask}


def _strange_roles(document: Document) -> Iterator[Found]:
    for pattern, entry in document.tools.items():
        for role in entry.params.keys() - set(KNOWN_ROLES):
            near = get_close_matches(role, KNOWN_ROLES, n=1, cutoff=0.75)
            if near:
                what = f"{role!r} is not a role that policies know, and {near[0]!r} is"
                yield ("tools", pattern, "params", role), what, f"write {near[0]} if that was meant"
