"""What is allowed in a policy and surely not meant. Warnings only; what must not stand is an error of `load`.

Rules:
- a clause that can make no difference to any call is told: an approval that nothing asks for, a rule that matches nothing, adds nothing or
  can't be met, a pattern that no pinned tool has;
- so is a condition over what is never there: a role that none of its tools has, a label that no tool brings;
- what depends on people or masking is told by checks that are passed in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from functools import partial

from agentguard.model.calls import Principal
from agentguard.model.facts import Facts
from agentguard.model.problems import Problem
from agentguard.model.verdicts import Effect
from agentguard.policy.document import AskFor, Document, RuleEntry, ToolEntry
from agentguard.policy.judging import rule_effect, tool_effect
from agentguard.policy.patterns import Overlapping, matches, sample
from agentguard.policy.pinned import without_texts
from agentguard.policy.pins import Pins
from agentguard.policy.policy import Policy
from agentguard.policy.roles import KNOWN_ROLES, roles_in
from agentguard.policy.soundness import Check, Found
from agentguard.policy.terms import UNTRUSTED

HINTS_MAX = 50
"""For how many patterns that no pinned tool has a name is looked for that was meant: each takes a look at every tool."""
_LABEL = re.compile(r"""(['"])([a-z][a-z0-9-]*)\1\s+in\s+session\.labels\b""")


def lint(policy: Policy, *, warn: Sequence[Check] = ()) -> tuple[Problem, ...]:
    """Warnings about a policy; `warn` are checks of others."""
    pins = policy.pins
    own: list[Check] = [
        _unused_approvals,
        _idle_rules,
        _strange_roles,
        partial(_constant_conditions, policy),
    ]
    if pins is not None and pins.tools:
        own.append(partial(_unpinned, pins))
    found = [finding for each in (*own, *warn) for finding in each(policy.document)]
    warnings = [Problem(place=policy.place(path), what=what, instead=instead) for path, what, instead in found]
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
    """Rules that match nothing or add nothing, and conditions over what is never there."""
    index = Overlapping(document.tools)
    brought = {label for entry in document.tools.values() for label in (entry.labels or ())} | {UNTRUSTED}
    for number, rule in enumerate(document.rules):
        matched = [document.tools[each] for each in sorted({each for one in rule.tools for each in index.of(one)})]
        if not matched:
            what = f"the rule {rule.id!r} matches no tool of the policy"
            yield ("rules", number), what, "correct its patterns, or remove it"
        elif all(_adds_nothing(document, rule, entry) for entry in matched):
            what = f"the rule {rule.id!r} can't make any verdict stricter"
            yield ("rules", number), what, "remove it, or make it ask for more"
        elif "*" not in rule.tools:  # a rule about every tool is about those to come, too
            yield from ((("rules", number, "when"), *told) for told in _never_there(rule.when or "", matched, brought))


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


def _never_there(condition: str, matched: Sequence[ToolEntry], brought: set[str]) -> Iterator[tuple[str, str]]:
    for role in sorted(set(roles_in(without_texts(condition)))):
        if not any(role in entry.params for entry in matched):
            what = f"no tool that this rule is about has a parameter of role {role}, so params.{role} is always empty"
            yield what, f"say which it is under tools: params: {{{role}: [...]}}"
    for label in sorted({label for _, label in _LABEL.findall(condition)} - brought):
        yield f"no tool brings the label {label!r}", f"there are: {', '.join(sorted(brought))}"


def _strange_roles(document: Document) -> Iterator[Found]:
    for pattern, entry in document.tools.items():
        for role in entry.params.keys() - set(KNOWN_ROLES):
            near = get_close_matches(role, KNOWN_ROLES, n=1, cutoff=0.75)
            if near:
                what = f"{role!r} is not a role that policies know, and {near[0]!r} is"
                yield ("tools", pattern, "params", role), what, f"write {near[0]} if that was meant"


def _constant_conditions(policy: Policy, document: Document) -> Iterator[Found]:
    """Conditions that read nothing, and so are met always or never."""
    principal, facts = Principal(tenant="t", agent="a", user="u", session="s"), Facts(labels=(), over=())
    for number, rule in enumerate(document.rules):
        name = None if rule.when is None or policy.condition_reads(rule.id) else _judged_name(policy, rule)
        if name is None:
            continue
        verdict = policy.classify(name, {}, principal, facts)
        said = (*verdict.clauses, *(verdict.shadow.clauses if verdict.shadow else ()))
        always = any((clause.kind, clause.id) == ("rule", rule.id) for clause in said)
        what = f"this condition reads nothing, so it is {'always' if always else 'never'} met"
        yield ("rules", number, "when"), what, "leave it out" if always else "remove the rule, or correct it"


def _judged_name(policy: Policy, rule: RuleEntry) -> str | None:
    """A tool that a rule is about and that the policy lists."""
    names = (sample(pattern, "x") for pattern in (*rule.tools, *policy.document.tools))
    judged = (name for name in names if name and policy.terms(name).pattern)
    return next((name for name in judged if any(matches(pattern, name) for pattern in rule.tools)), None)


def _unpinned(pins: Pins, document: Document) -> Iterator[Found]:
    """Patterns that no pinned tool has."""
    where: list[tuple[tuple[str | int, ...], str]] = [(("tools", pattern), pattern) for pattern in document.tools]
    where += [
        (("rules", n, "tools", i), each) for n, rule in enumerate(document.rules) for i, each in enumerate(rule.tools)
    ]
    where += [
        (("limits", name, "tools", i), each)
        for name, limit in document.limits.items()
        for i, each in enumerate(limit.tools)
    ]
    index, hints = Overlapping(pins.tools), 0
    for path, pattern in where:
        if not _is_pinned(pattern, pins, index):
            near = get_close_matches(pattern, pins.tools, n=1, cutoff=0.75) if hints < HINTS_MAX else []
            hints += 1
            instead = f"did you mean {near[0]}? " if near else ""
            yield path, f"no pinned tool matches {pattern!r}", f"{instead}correct it, remove it, or pin the tool"


def _is_pinned(pattern: str, pins: Pins, index: Overlapping) -> bool:
    return pattern in pins.tools or bool(index.of(pattern))
