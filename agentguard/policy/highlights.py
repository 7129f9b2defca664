"""Which arguments the clauses that spoke had read: what a person should look at first.

It is found in the text of conditions and is for people alone; no decision rests on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from agentguard.model.verdicts import Clause
from agentguard.policy.document import Document
from agentguard.policy.limits import paths_of
from agentguard.policy.pinned import reads
from agentguard.policy.roles import roles_in


def read_arguments(
    clauses: Iterable[Clause], document: Document, params: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """The names of arguments that these clauses read, each once, in the order of the clauses."""
    conditions = {rule.id: rule.when or "" for rule in document.rules}
    found: dict[str, None] = {}
    for clause in clauses:
        if clause.kind == "rule":
            found |= dict.fromkeys(_read(conditions.get(clause.id, ""), params))
        elif clause.kind == "limit" and clause.id in document.limits:
            found |= dict.fromkeys(map(_first, paths_of(document.limits[clause.id].sum, params)))
    return tuple(found)


def _read(condition: str, params: Mapping[str, Sequence[str]]) -> Iterator[str]:
    read, asked = reads(condition)
    yield from sorted(read | asked)
    for role in roles_in(condition):
        yield from map(_first, params.get(role, ()))


def _first(path: str) -> str:
    return path.partition(".")[0]
