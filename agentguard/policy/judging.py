"""How the clauses that spoke become one verdict.

Rules:
- deny beats ask beats allow; the highest risk counts; every approval that was asked for is needed, each once;
- a tool's own `ask` stands in place of its level's approval, and can't undo a level that denies;
- a rule that raises the risk brings in what that level does and asks, on top of everything else, so a rule can only
  make a verdict stricter;
- the order of clauses makes no difference.
"""

from __future__ import annotations

from collections.abc import Iterable

from agentguard.model.verdicts import CONFIRM, Effect, Need, Risk, Step
from agentguard.policy.document import CONFIRM_SECONDS, Document, RuleEntry, ToolEntry, level_effect


def tool_effect(document: Document, entry: ToolEntry) -> tuple[Effect, str | None]:
    """What an entry of `tools` does by itself, and which approval it asks for."""
    effect, ask = level_effect(document.risk.of(entry.risk))
    if entry.deny or effect is Effect.DENY:
        return Effect.DENY, None
    return (Effect.ASK, entry.ask) if entry.ask else (effect, ask)


def rule_effect(document: Document, rule: RuleEntry, floor: Risk) -> tuple[Effect, tuple[str, ...]]:
    """What a rule does to a tool of risk `floor`, and which approvals it asks for."""
    effect, asks = Effect.ALLOW, {rule.ask} - {None}
    if rule.risk is not None and rule.risk.rank > floor.rank:
        effect, ask = level_effect(document.risk.of(rule.risk))
        asks |= {ask} - {None}
    if rule.deny or effect is Effect.DENY:
        return Effect.DENY, ()
    return (Effect.ASK if asks else effect), tuple(sorted(name for name in asks if name))


def strictest(effects: Iterable[Effect]) -> Effect:
    """Deny, else ask, else allow."""
    return max(effects, key=lambda effect: effect.rank, default=Effect.ALLOW)


def highest(risks: Iterable[Risk]) -> Risk:
    """The highest of these risks."""
    return max(risks, key=lambda risk: risk.rank)


def needs_of(document: Document, asks: Iterable[str]) -> tuple[Need, ...]:
    """The approvals of these names, each once, sorted."""
    return tuple(_need(document, name) for name in sorted(set(asks)))


def _need(document: Document, name: str) -> Need:
    if name == CONFIRM:
        return Need(name=CONFIRM, deadline_seconds=CONFIRM_SECONDS)
    approval = document.approvals[name]
    return Need(
        name=name,
        approvers=tuple(sorted(approval.approvers)),
        quorum=approval.quorum,
        reject_quorum=approval.reject_quorum,
        from_each=approval.from_each,
        edit=approval.edit,
        deadline_seconds=approval.deadline_seconds,
        remind_seconds=approval.remind_seconds,
        escalate=tuple(Step(after_seconds=step.after_seconds, to=tuple(sorted(step.to))) for step in approval.escalate),
    )
