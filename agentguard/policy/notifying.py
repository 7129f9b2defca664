"""Which places are told of a request. Pure."""

from __future__ import annotations

from agentguard.model.approvals import BESIDE
from agentguard.model.verdicts import CONFIRM, Verdict
from agentguard.policy.document import Document


def notified(document: Document, verdict: Verdict) -> tuple[str, ...]:
    """The names that the verdict's approvals and rules say, sorted; empty where none says any, and all unnamed places are told.

    An approval without `notify` goes to those; the user's own confirmation goes where the approvals beside it go.
    """
    approvals = [document.approvals[need.name] for need in verdict.needs if need.name != CONFIRM]
    spoke = {clause.id for clause in verdict.clauses if clause.kind == "rule"}
    added = {name for rule in document.rules if rule.id in spoke for name in rule.notify or ()}
    names = added.union(*(approval.notify or (BESIDE,) for approval in approvals)) if approvals else {*added, BESIDE}
    return () if names == {BESIDE} else tuple(sorted(names))
