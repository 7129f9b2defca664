"""How much of which entity type went through the guard, told from the journal: counts, no values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from agentguard.audit.reading import Entry
from agentguard.model.record import Record

_DIRECTIONS = {"judged": "arguments", "settled": "results"}
"""A record's kind to the direction of the findings that it counts."""


class FindingCounts(Record):
    """Findings by entity type, in calls' arguments and in what tools gave; and by tool, both together."""

    calls: int
    arguments: dict[str, int]
    results: dict[str, int]
    tools: dict[str, dict[str, int]]


def finding_counts(entries: Iterable[Entry]) -> FindingCounts:
    """The counts over these entries of the journal."""
    counted: dict[str, Counter[str]] = {direction: Counter() for direction in _DIRECTIONS.values()}
    tools: dict[str, Counter[str]] = {}
    calls = 0
    for entry in entries:
        direction = _DIRECTIONS.get(entry.kind)
        if direction is None:
            continue
        calls += direction == "arguments"
        entities = entry.body.get("entities") or {}
        counted[direction].update(entities)
        if entities:
            tools.setdefault(str(entry.body["tool"]), Counter()).update(entities)
    return FindingCounts(
        calls=calls,
        arguments=dict(sorted(counted["arguments"].items())),
        results=dict(sorted(counted["results"].items())),
        tools={tool: dict(sorted(found.items())) for tool, found in sorted(tools.items())},
    )
