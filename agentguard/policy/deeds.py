"""What a call does that may happen once: named by the `once` clauses that spoke, and the values that they read. Pure.

Rules:
- an entry of `tools` names the deeds of each tool of its own; a rule names one for all its tools;
- a value is the text of it, in NFC, so that 1042 and "1042" are one order; a list is its members, in any order;
- a call without such a value names no deed, and so does not run.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from agentguard.model.canonical import canonical_json
from agentguard.model.record import Json
from agentguard.model.verdicts import Clause, Verdict
from agentguard.policy.document import Document
from agentguard.policy.limits import paths_of
from agentguard.policy.roles import role_values
from agentguard.policy.terms import ToolTerms


class NoDeed(Exception):
    """A `once` clause spoke, and the call has no value that it could read."""

    def __init__(self, clause: Clause, written: str) -> None:
        super().__init__(clause.id)
        self.clause = clause
        self.written = written


class Once(NamedTuple):
    """A clause that lets something happen once, and where it finds what."""

    clause: Clause
    written: str
    deed_of: str


def deeds_of(document: Document, terms: ToolTerms, verdict: Verdict, arguments: Mapping[str, Json]) -> tuple[str, ...]:
    """The text that names each deed of a call with this verdict. Raises NoDeed."""
    found = []
    for once in once_of(document, verdict):
        values = role_values(arguments, paths_of(once.written, terms.params))
        texts = sorted({unicodedata.normalize("NFC", value).strip() for value in values} - {""})
        if not texts:
            raise NoDeed(once.clause, once.written)
        found.append(canonical_json([once.clause.kind, once.deed_of, once.written, texts]))
    return tuple(found)


def once_of(document: Document, verdict: Verdict) -> Iterator[Once]:
    """The clauses of a verdict that let something happen once."""
    spoke = {clause.id for clause in verdict.clauses if clause.kind == "rule"}
    rules = {rule.id: rule for rule in document.rules if rule.id in spoke} if spoke else {}
    for clause in verdict.clauses:
        if clause.kind == "tool" and (entry := document.tools.get(clause.id)) is not None and entry.once:
            yield Once(clause, entry.once, verdict.tool)
        elif clause.kind == "rule" and (rule := rules.get(clause.id)) is not None and rule.once:
            yield Once(clause, rule.once, rule.id)
