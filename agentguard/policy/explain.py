"""A verdict in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from agentguard.model.approvals import BESIDE
from agentguard.model.facts import Facts
from agentguard.model.verdicts import CONFIRM, Clause, Effect, Mode, Need, Verdict
from agentguard.policy.deeds import Once

_WORDS = {Effect.ALLOW: "is allowed", Effect.ASK: "must be asked about", Effect.DENY: "is denied"}


def explain(
    verdict: Verdict,
    once: Iterable[Once] = (),
    *,
    is_deferred: bool = False,
    notified: Sequence[str] = (),
    read: Mapping[str, str] | None = None,
    parts: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """What was decided, which clauses said so and where they stand, what happens once, and who would have to approve.

    `read`: of each rule that spoke, by id, the facts that its condition read; `parts`: how the parts of its condition came out.
    """
    lines = [f"{verdict.tool} {_WORDS[verdict.effect]}; risk {verdict.risk}"]
    for clause in verdict.clauses:
        lines.append(f"  {_clause(clause)}")
        if read and clause.kind == "rule" and clause.id in read:
            lines.append(f"    it read {read[clause.id]}")
        if parts and clause.kind == "rule":
            lines += [f"    {part}" for part in parts.get(clause.id, ())]
    if verdict.effect is not Effect.DENY:
        lines += [f"  {each.clause.kind} {each.deed_of} happens once by {each.written}" for each in once]
    lines += [f"  needs {_need(need)}" for need in verdict.needs]
    if is_deferred and verdict.effect is Effect.ASK:
        lines.append("  the agent does not wait: it is told to come back")
    if notified:
        lines.append(
            f"  told of it: {', '.join(notified)}{' (*: every place without a name)' if BESIDE in notified else ''}"
        )
    if verdict.shadow is not None:
        shadowed = [clause for clause in verdict.shadow.clauses if clause.mode is Mode.SHADOW]
        lines.append(f"  with what is in shadow it {_WORDS[verdict.shadow.effect]}; risk {verdict.shadow.risk}")
        lines += [f"    {_clause(clause)}" for clause in shadowed]
        lines += [f"    needs {_need(need)}" for need in verdict.shadow.needs]
    if verdict.effect is not Effect.DENY:
        lines.append(f"  results carry: {', '.join(verdict.labels) or 'no labels'}")
    lines.append(f"  policy {verdict.policy_version}")
    return "\n".join(lines)


def _clause(clause: Clause) -> str:
    kind = "tools" if clause.kind == "tool" else clause.kind
    said = [str(clause.effect)]
    if clause.ask:
        said.append(f"for {clause.ask}")
    if clause.risk is not None:
        said.append(f"at risk {clause.risk}")
    why = f": {clause.reason}" if clause.reason else ""
    return f"{clause.place}: {kind} {clause.id} says {' '.join(said)}{why}{_met(clause)}"


def _met(clause: Clause) -> str:
    if clause.kind == "limit":
        return " (the call would go over it)" if clause.met == "true" else f" (nothing to count: {clause.error})"
    match clause.met:
        case "always":
            return ""
        case "true":
            return " (its condition is met)"
        case "error":
            return f" (its condition failed with {clause.error}, which counts as met)"


def _need(need: Need) -> str:
    minutes = f"within {need.deadline_seconds} s"
    if need.name == CONFIRM:
        return f"the user's own confirmation {minutes}"
    each = " in each of" if need.from_each else " of"
    rejecting = f", {need.reject_quorum} rejections end it" if need.reject_quorum > 1 else ""
    later = "".join(f", after {step.after_seconds} s also {', '.join(step.to)}" for step in need.escalate)
    return f"{need.name}: {need.quorum}{each} {', '.join(need.approvers)}{later}, {minutes}{rejecting}"


def facts_read(condition: str, facts: Facts) -> str:
    """The facts that a condition read, with what they were; never an argument."""
    known = {
        "session.labels": facts.labels,
        "session.counts": None
        if facts.counts is None
        else [f"{tool} {times}" for tool, times in sorted(facts.counts.items())],
        "data.entities": facts.entities,
        "data.origins": facts.origins,
        "data.labels": facts.origin_labels,
        "time": None if facts.time_ms is None else [datetime.fromtimestamp(facts.time_ms / 1000, tz=UTC).isoformat()],
        "deployment": [facts.deployment] if facts.deployment else [],
    }
    return "; ".join(
        f"{name}: {'not known' if value is None else ', '.join(value) or 'none'}"
        for name, value in known.items()
        if re.search(rf"(?<![\w.\"']){re.escape(name)}\b", condition)
    )
