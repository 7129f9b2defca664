"""Whether the agent waits for people, or is told to come back. Pure."""

from __future__ import annotations

from agentguard.model.verdicts import Verdict
from agentguard.policy.document import Document


def defers(document: Document, verdict: Verdict) -> bool:
    """Whether a clause that spoke says `wait: defer`; one is enough."""
    rules = {rule.id: rule for rule in document.rules}
    for clause in verdict.clauses:
        entry = document.tools.get(clause.id) if clause.kind == "tool" else None
        rule = rules.get(clause.id) if clause.kind == "rule" else None
        if (entry is not None and entry.wait == "defer") or (rule is not None and rule.wait == "defer"):
            return True
    return False
