"""What was found in a text, and which findings stay where several overlap."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import NamedTuple, Protocol, TypeVar

ALL = "*"
"""Every entity type of which nothing else is said."""

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


class _Spanned(Protocol):
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def score(self) -> float: ...


S = TypeVar("S", bound=_Spanned)
_place = attrgetter("start", "end")


def one_per_place(findings: Sequence[S]) -> list[S]:
    """The findings that stay, in order of place. Where some overlap: the certain, then the longer, then the likelier."""
    if len(findings) < 2:
        return list(findings)
    ordered = sorted(findings, key=_place)
    reach = -1
    for finding in ordered:
        if finding.start < reach:
            return _clustered(ordered)
        reach = finding.end
    return ordered


def is_trimmed(text: str, findings: Iterable[Finding]) -> bool:
    """Whether all the findings stand in a text, and none of them begins or ends with a space."""
    for start, end, _, _, _ in findings:
        value = text[start:end]
        if end > len(text) or value != value.strip():
            return False
    return True


def _clustered(ordered: Sequence[S]) -> list[S]:
    kept: list[S] = []
    cluster = [ordered[0]]
    reach = ordered[0].end
    for finding in ordered[1:]:
        if finding.start >= reach:
            kept += cluster if len(cluster) == 1 else _settled(cluster)
            cluster = [finding]
            reach = finding.end
        else:
            cluster.append(finding)
            if finding.end > reach:
                reach = finding.end
    return kept + _settled(cluster)


def _settled(cluster: list[S]) -> list[S]:
    if len(cluster) < 3:
        return cluster if len(cluster) < 2 else [min(cluster, key=_rank)]
    kept: list[S] = []
    for finding in sorted(cluster, key=_rank):
        at = bisect_left(kept, finding.start, key=_start)
        before = at and kept[at - 1].end > finding.start
        after = at < len(kept) and kept[at].start < finding.end
        if not before and not after:
            insort(kept, finding, key=_start)
    return kept


def _start(finding: _Spanned) -> int:
    return finding.start


def _rank(finding: _Spanned) -> tuple[bool, int, float]:
    return (finding.score < CERTAIN, finding.start - finding.end, -finding.score)
