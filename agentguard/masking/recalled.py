"""What a page says of persons under its fields is learned, and known values are found in the rest of it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

from agentguard.masking.anchors import Anchor
from agentguard.masking.finding import CERTAIN, Finding
from agentguard.masking.known import KnownValues
from agentguard.masking.page import SEPARATOR
from agentguard.masking.sheet import Sheet

KNOWN = "known"
_SCORE = 0.85  # short of certain: a whole address of e-mail stands before the name in it
_TOKENS = frozenset({Anchor.TOKEN, Anchor.REDACTED})


LeftAlone = Callable[[str], Sequence[tuple[int, int]]]
"""Where tokens and redactions stand in a text, in order: what is known is not looked for in them."""


class Recalled(NamedTuple):
    """Findings of known values, and for each of their spans the value as it was seen first."""

    findings: list[Finding]
    values: dict[tuple[int, int], str]


def recalled(
    sheet: Sheet, found: Sequence[Finding], known: KnownValues, left_alone: LeftAlone, *, everywhere: bool = False
) -> Recalled:
    """Learn what stands under the fields of a sheet, and find what is known where nothing certain was found.

    `everywhere`: what is left alone may stand where no anchor tells of it.
    """
    if not (sheet.settled or sheet.found or len(known)):
        return _NOTHING
    text = sheet.page.text
    kept = left_alone(text) if everywhere or not _TOKENS.isdisjoint(sheet.page.anchors) else ()
    named = [(its.entity_type, its.value) for its in sheet.settled.values()]
    named += [(its.entity_type, text[its.start : its.end].strip()) for its in sheet.found if not _touches(its, kept)]
    known.learn(
        sorted(named, key=_type_of)
    )  # whichever road a value took, one that stands under two types is of the same one
    known.learn(_whole_names(sheet.halves()))
    if not len(known):
        return _NOTHING
    certain = sorted([*kept, *(finding[:2] for finding in found if finding.score >= CERTAIN)])
    sightings = known.find(_without(text, certain))
    return Recalled(
        [Finding(seen.start, seen.end, seen.entity_type, _SCORE, KNOWN) for seen in sightings],
        {(seen.start, seen.end): seen.value for seen in sightings},
    )


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
_NOTHING = Recalled([], {})
_type_of = itemgetter(0)


def _touches(finding: Finding, spans: Sequence[tuple[int, int]]) -> bool:
    """Whether one of these spans, in order and apart, stands in the finding."""
    at = bisect_left(spans, (finding.end,))
    return at > 0 and spans[at - 1][1] > finding.start


def _without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """The text with these spans left empty; lengths stay."""
    pieces: list[str] = []
    done = 0
    for start, end in spans:
        if end > done:
            first = max(start, done)
            pieces += (text[done:first], SEPARATOR * (end - first))
            done = end
    return "".join([*pieces, text[done:]]) if pieces else text
