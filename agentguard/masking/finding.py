"""What was found in a text, and which findings stay where several overlap."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import NamedTuple

THRESHOLD = 0.5
"""Below this score nothing is reported."""

CERTAIN = 0.9
"""From here on a finding rests on more than its form: a checksum, a fixed prefix, the name of its field."""


class Finding(NamedTuple):
    """A span of personal or secret data: character offsets, Presidio's name of the type, 0..1, and who found it."""

    start: int
    end: int
    entity_type: str
    score: float
    detector: str


def one_per_place(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that stay, in order of place. Where some overlap: the certain, then the longer, then the likelier."""
    ordered = sorted(findings)
    kept: list[Finding] = []
    cluster: list[Finding] = []
    reach = -1
    for finding in ordered:
        if finding.start >= reach:
            kept += _settled(cluster)
            cluster = []
        cluster.append(finding)
        reach = max(reach, finding.end)
    return kept + _settled(cluster)


def _settled(cluster: list[Finding]) -> list[Finding]:
    if len(cluster) < 2:
        return cluster
    kept: list[Finding] = []
    for finding in sorted(cluster, key=_rank):
        at = bisect_left(kept, finding)
        before = at and kept[at - 1].end > finding.start
        after = at < len(kept) and kept[at].start < finding.end
        if not before and not after:
            insort(kept, finding)
    return kept


def _rank(finding: Finding) -> tuple[bool, int, float]:
    return (finding.score < CERTAIN, finding.start - finding.end, -finding.score)
