"""What a page says of persons under its fields is learned, and known values are found in the rest of it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter

from agentguard.masking.anchors import Anchor
from agentguard.masking.finding import CERTAIN, THRESHOLD, Finding
from agentguard.masking.known import KnownValues
from agentguard.masking.known_rows import Value
from agentguard.masking.left_alone import Kept, left_alone
from agentguard.masking.page import without
from agentguard.masking.sheet import Sheet
from agentguard.masking.tokens import canonical_value

KNOWN = "known"
_SCORE = 0.85  # short of certain: a whole address of e-mail stands before the name in it
_TOKENS = frozenset({Anchor.TOKEN, Anchor.REDACTED})


Span = tuple[int, int]


Recalled = tuple[list[Finding], dict[Span, str]]
"""Findings of known values, and for each of their spans the value as it was seen first."""


def recalled(sheet: Sheet, found: Sequence[Finding], known: KnownValues | None, kept: Kept) -> Recalled:
    """Learn what stands under the fields of a sheet, and find what is known where nothing certain was found.

    `known`: None where nothing was seen before and nobody asks for it later.
    """
    text = sheet.page.text
    alone = left_alone(text, kept) if kept.everywhere or not _TOKENS.isdisjoint(sheet.page.anchors) else ()
    named = list(sheet.settled.values())
    for its in sheet.found:
        if not _touches(its, alone):
            named.append((its.entity_type, text[its.start : its.end].strip()))
    named.sort(key=_type_of)  # whichever road a value took, one that stands under two types is of the same one
    halves = sheet.halves()
    if halves:
        named += _whole_names(halves)
    certain = list(alone)
    for finding in found:
        if finding[3] >= CERTAIN:
            certain.append(finding[:2])
    certain.sort()
    if known is None:
        sightings = KnownValues.again(named, without(text, certain)) if named else []
    else:
        known.learn(named)
        sightings = known.find(text, certain)
    if not sightings:
        return _NOTHING
    return (
        [Finding(seen.start, seen.end, seen.entity_type, _SCORE, KNOWN) for seen in sightings],
        {(seen.start, seen.end): seen.value for seen in sightings},
    )


def seen_elsewhere(
    text: str, found: Iterable[Finding], settled: Iterable[Value], doubtful: Sequence[Finding]
) -> list[Finding]:
    """The doubtful findings whose value is certain at another place of the same value."""
    types = {finding.entity_type for finding in doubtful}
    certain = {_meaning(text, finding) for finding in found if finding.entity_type in types}
    certain |= {(entity_type, canonical_value(entity_type, value)) for entity_type, value in settled}
    if not certain:
        return []
    return [finding._replace(score=THRESHOLD) for finding in doubtful if _meaning(text, finding) in certain]


def _meaning(text: str, finding: Finding) -> tuple[str, str]:
    return finding.entity_type, canonical_value(finding.entity_type, text[finding.start : finding.end])


def _whole_names(halves: Sequence[tuple[int, str, str]]) -> Iterator[tuple[str, str]]:
    """The names whose halves stand beside each other."""
    before: tuple[int, str, str] | None = None
    for one in halves:
        if before is None or before[1] == one[1] or one[0] - before[0] > _BESIDE:
            before = one
            continue
        given, family = (before, one) if one[1] == "family" else (one, before)
        yield "PERSON", f"{given[2]} {family[2]}"
        before = None


_BESIDE = 200
_NOTHING: Recalled = ([], {})
_type_of = itemgetter(0)


def _touches(finding: Finding, spans: Sequence[tuple[int, int]]) -> bool:
    """Whether one of these spans, in order and apart, stands in the finding."""
    at = bisect_left(spans, (finding.end,))
    return at > 0 and spans[at - 1][1] > finding.start
