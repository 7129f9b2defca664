"""Reading a journal in order of time, without keys: what `audit tail` and `audit export` show.

Reading checks nothing; `verify` does. A line that is not one is given as such, never left out.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from pydantic import ValidationError

from agentguard.audit.chain import fields, parts
from agentguard.audit.files import SegmentFile, segments
from agentguard.model.record import Json, Record

UNREADABLE = "unreadable"
"""The kind of an entry whose line is not a journal line; its time is that of the line before."""


class Entry(Record):
    """A record and where it stands; `body` holds the fields of the record of this `kind` (see `model.events`)."""

    time_ms: int
    writer: str
    seq: int
    kind: str
    body: dict[str, Json]
    file: str
    line: int


def read(directory: Path, since_ms: int | None = None, *, holding: bytes = b"") -> Iterator[Entry]:
    """The entries of all writers, merged in order of time, from `since_ms` on. Lazy: a journal may be large.

    `holding`: only lines with these bytes in them, which is quick to tell.
    """
    writers = [_entries(files, since_ms or 0, holding) for files in segments(directory).values()]
    for _, entry in heapq.merge(*writers, key=lambda timed: timed[0]):
        if since_ms is None or entry.time_ms >= since_ms:
            yield entry


def _entries(files: Sequence[SegmentFile], since_ms: int, holding: bytes) -> Iterator[tuple[int, Entry]]:
    """One writer's entries in their own order, each with a time that never goes back, whatever the clock did."""
    latest = 0
    for file in _from(files, since_ms):
        for entry in _lines(file, latest, holding):
            latest = max(latest, entry.time_ms)
            yield latest, entry


def _from(files: Sequence[SegmentFile], since_ms: int) -> list[SegmentFile]:
    """Without the segments that ended before `since_ms`."""
    over = {before.path for before, after in pairwise(files) if after.started_ms < since_ms}
    return [file for file in files if file.path not in over]


def _lines(file: SegmentFile, latest: int, holding: bytes) -> Iterator[Entry]:
    with file.path.open("rb") as lines:
        for number, raw in enumerate(lines, start=1):
            if holding not in raw:
                continue
            entry = _entry(raw, file, number, latest)
            latest = entry.time_ms
            yield entry


def _entry(raw: bytes, file: SegmentFile, number: int, latest: int) -> Entry:
    taken = parts(raw.removesuffix(b"\n"))
    said = fields(taken.unsigned) if taken is not None else None
    try:
        return Entry(**(said or {}), file=file.path.name, line=number)
    except ValidationError:
        return Entry(
            time_ms=latest, writer=file.writer, seq=0, kind=UNREADABLE, body={}, file=file.path.name, line=number
        )
