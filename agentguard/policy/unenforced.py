"""Clauses of the policy language that this version does not enforce.

A declared control that nothing reads is worse than none, so each of them is a load error that names the clause and
its place.
When a clause gets its enforcer, its line goes from here into `document`.
"""

from __future__ import annotations

from collections.abc import Iterator

from agentguard.model.marked import Path
from agentguard.model.record import Json

_ANY = "*"

CLAUSES: tuple[tuple[str, ...], ...] = (
    ("notify",),
    ("notifiers",),
    ("deployment",),
    ("risk", _ANY, "notify"),
    ("risk", _ANY, "wait"),
    ("tools", _ANY, "notify"),
    ("rules", _ANY, "override"),
    ("rules", _ANY, "labels"),
    ("approvals", _ANY, "reminders"),
    ("approvals", _ANY, "escalation"),
    ("approvals", _ANY, "wait"),
    ("approvals", _ANY, "defer"),
)
"""Where each clause stands; `*` is any tool pattern, rule, level or approval."""


def unenforced(value: Json) -> Iterator[tuple[Path, str]]:
    """The path and the name of each clause in a document that nothing would enforce."""
    for clause in CLAUSES:
        yield from ((path, ".".join(clause)) for path in _found(value, clause, ()))


def without(value: Json, paths: set[Path], at: Path = ()) -> Json:
    """A copy of a document without what stands at these paths."""
    if isinstance(value, dict):
        return {key: without(inner, paths, (*at, key)) for key, inner in value.items() if (*at, key) not in paths}
    if isinstance(value, list):
        return [without(inner, paths, (*at, index)) for index, inner in enumerate(value)]
    return value


def _found(value: Json, clause: tuple[str, ...], at: Path) -> Iterator[Path]:
    if not clause:
        yield at
    elif isinstance(value, dict):
        for key in value if clause[0] == _ANY else [clause[0]] if clause[0] in value else []:
            yield from _found(value[key], clause[1:], (*at, key))
    elif isinstance(value, list) and clause[0] == _ANY:
        for index, inner in enumerate(value):
            yield from _found(inner, clause[1:], (*at, index))
