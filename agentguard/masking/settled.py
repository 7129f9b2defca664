"""How far a text that goes on is settled: whatever comes, what stands before is masked as it would be in the whole text.

Rules:
- nothing is settled from where the earliest open candidate begins (see `unfinished` and `KnownValues.unfinished`);
- JSON, markup, cards and rows: when they have ended; a table: to the end of its last whole row, and its header stays with the text;
- a line that may be a header: when the line after it has ended; a line of a record: when it has ended, and is one of several;
- a value under a personal key: when it has ended; a key whose meaning the keys beside it decide: at the end of its paragraph. One that
  waits for longer than LONGEST_DOUBT is read as a person's.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from agentguard.masking.embedded import Region, is_header_line, is_record_line, may_become_header, pairs_in, regions_in
from agentguard.masking.embedded.pairs import PARAGRAPH
from agentguard.masking.fields import Fields
from agentguard.masking.keys import NO_KEY
from agentguard.masking.known import KnownValues
from agentguard.masking.unfinished import unfinished

LONGEST_DOUBT = 2_000
_LONGEST_VALUE = 280
_LONGEST_UNMARKED = 300
PERSONAL_LINE = "ssn: -\n"
"""Before a key that has been in doubt for too long: a key that only people have."""


class Settled(NamedTuple):
    """`end`: up to where a text is settled. `kept`: from where it has to be kept to read what follows.

    `doubtful`: a key that has been in doubt for too long: where its line begins, and where it ends. `table`: where the rows of an
    open table begin, and where the row begins that has not ended.
    """

    end: int
    kept: int
    doubtful: tuple[int, int] | None = None
    table: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Settling:
    """Reads the text of one stream. `reach`: how far a detector of somebody else's may look back."""

    fields: Fields
    known: KnownValues
    reach: int = 0

    def read(self, text: str, start: int, sure: int) -> Settled:
        """How far a text is settled, where all before `start` is, and no key before `sure` is in doubt."""
        end = min(unfinished(text, start), max(start, self.known.unfinished(text)))
        if self.reach:
            end = min(end, max(start, len(text) - self.reach))
        if end <= start:
            return Settled(start, start)
        line = text.rfind("\n") + 1
        kept, begins = start, _paragraph(text)
        table = None
        regions = regions_in(text, self.fields, (NO_KEY, self.fields.root))
        for region in regions:
            if region.open and not _is_over(region, text):
                kept = min(kept, region.start)
                end = min(end, region.start if region.rows is None else region.rows[1])
                table = region.rows
        if table is None:
            end = min(end, *_lines(text, line))
        end, doubtful = self._pairs(text, line, end, (begins, sure), [(one.start, one.end) for one in regions])
        return Settled(max(start, end), min(kept, begins), doubtful, table)

    def _pairs(
        self, text: str, line: int, end: int, since: tuple[int, int], taken: Sequence[tuple[int, int]]
    ) -> tuple[int, tuple[int, int] | None]:
        """Up to where the values of pairs are settled, and a key that has been in doubt for too long."""
        scope, (begins, sure) = self.fields.root, since
        for name, place in pairs_in(text[begins:]):
            at = begins + place
            if _is_within(at, taken):
                continue
            first = text.rfind("\n", 0, at) + 1
            if at >= sure and self.fields.unsettled(scope, name) is not None:
                if len(text) - at > LONGEST_DOUBT and end > at:
                    return at + 1, (first, at + 1)
                end = min(end, at + 1)
            elif self.fields.keys(scope, (name,))[0][0].entity is not None:
                if at >= line and len(text) - at < _LONGEST_VALUE:
                    end = min(end, at + 1)
                elif _waits(text, line, first):
                    end = min(end, first)
        return end, None


def _is_within(at: int, spans: Sequence[tuple[int, int]]) -> bool:
    before = bisect_right(spans, (at + 1,))
    return before > 0 and spans[before - 1][1] > at


def _waits(text: str, line: int, first: int) -> bool:
    """Whether a line of a record goes on, or is the only one so far. `line`: where the last line begins, `first`: this one."""
    if first >= line:
        return is_record_line(text[first:])
    if text.find("\n", first) + 1 != line or not is_record_line(text[first : line - 1]):
        return False
    before = max(0, first - 1)
    return not is_record_line(text[text.rfind("\n", 0, before) + 1 : before])


def _lines(text: str, line: int) -> Iterator[int]:
    """Where the last line begins, if it may become a header; and the line before it, if that may be one."""
    yield len(text)
    if may_become_header(text[line:]):
        yield line
    end = line - 1
    for _ in range(3):
        if end <= 0:
            return
        first = text.rfind("\n", 0, end) + 1
        written = text[first:end]
        if is_header_line(written):
            yield first
            return
        if not set(written) <= _RULERS:
            return
        yield first
        end = first - 1


_RULERS = frozenset(" :-|+=\r")


def _is_over(region: Region, text: str) -> bool:
    """Whether an open element is none: nothing like a tag has come for long."""
    return region.is_markup and len(text) - max(text.rfind(">"), region.start) > _LONGEST_UNMARKED


def _paragraph(text: str) -> int:
    """Where the last paragraph begins."""
    offset = max(0, len(text) - 2 * LONGEST_DOUBT)
    found = offset
    for match in PARAGRAPH.finditer(text, offset):
        found = match.end()
    return found
