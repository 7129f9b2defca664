"""Verifying a journal: whether every record is there, unchanged, in its place.

Rules:
- each writer's records are checked in order, up to the first bad one, which is named;
- the list of writers and the heads are checked too: what they count must be there;
- a head one record behind, and a last line that was never finished, are what a crash leaves; no more is excused;
- verifying a journal that is being written is fine: heads are read before and after the records.

What it can't see: all files of the folder put back to what they were at one earlier time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from agentguard.audit.chain import Head, read_head
from agentguard.audit.files import INDEX, head_path, index_path, segments, segments_of
from agentguard.audit.report import Bad, Report, What, WriterReport
from agentguard.audit.walk import Part, Walk

_LOOKS = 3
"""A line that is being written looks torn for some microseconds: look again before saying so."""


def verify(directory: Path, keys: Sequence[bytes]) -> Report:
    """Check every record under `directory`. `keys` are all keys that it was ever written with, in any order."""
    # Segments first: a writer is on the list before it has any.
    found = segments(directory).keys()
    listed: set[str] = set()
    index = _settled(partial(_index, directory, keys, listed, begun=bool(found)))
    writers = [_settled(partial(_writer, directory, keys, name)) for name in sorted(listed | found)]
    if index.ok:
        writers = [report if report.writer in listed else _unlisted(report) for report in writers]
    return Report(index=index, writers=tuple(writers))


def _writer(directory: Path, keys: Sequence[bytes], name: str) -> WriterReport:
    walk = Walk(name=name, keys=keys, head=_head(directory, keys, name))
    files = [
        Part(path=file.path, number=file.number, started_ms=file.started_ms) for file in segments_of(directory, name)
    ]
    for _ in walk.through(files):
        pass
    return _report(directory, walk, segments=len(files), file=files[-1].path.name if files else "")


def _index(directory: Path, keys: Sequence[bytes], listed: set[str], *, begun: bool) -> WriterReport:
    path = index_path(directory)
    walk = Walk(name=INDEX, keys=keys, head=_head(directory, keys, INDEX))
    exists = path.exists()
    if not exists and not begun and not head_path(directory, INDEX).exists():
        return WriterReport(writer=INDEX, records=0, segments=0, closed=False, bad=None)
    for said in walk.through([Part(path=path)] if exists else []):
        listed.add(str(said["body"]["writer"]))
    return _report(directory, walk, segments=int(exists), file=path.name)


def _report(directory: Path, walk: Walk, *, segments: int, file: str) -> WriterReport:
    bad = walk.bad
    if bad is None or bad.what is What.TORN:
        bad = _beside_head(walk, _head(directory, walk.keys, walk.name), head_path(directory, walk.name), file) or bad
    return WriterReport(
        writer=walk.name, records=walk.seq, segments=segments, closed=walk.kind == "closed" and bad is None, bad=bad
    )


def _beside_head(walk: Walk, after: Head | None, path: Path, file: str) -> Bad | None:
    """Whether the chain ends where its head, read before and after the walk, says."""
    before = walk.head

    def bad(what: What, where: str, detail: str) -> Bad:
        return Bad(file=where, line=0, seq=walk.seq + 1, what=what, detail=detail)

    if before is None or after is None:
        gone = not path.exists()
        return bad(
            What.REMOVED if gone else What.CHANGED, path.name, "the head is gone" if gone else "the head was changed"
        )
    if walk.seq < before.seq and before.segment > max(walk.number, 1 if file else 0):
        return bad(What.REMOVED, file or path.name, f"segment {before.segment}, up to record {before.seq}, is gone")
    if walk.seq < before.seq:
        return bad(What.CUT, file, f"the records end here; the head counts {before.seq}")
    if walk.at_head != before.mac or walk.seq > after.seq + 1:
        return bad(What.CHANGED, path.name, f"the head is not the one that was written: it says {after.seq}")
    return None


def _unlisted(report: WriterReport) -> WriterReport:
    missing = Bad(
        file=f"{INDEX}.jsonl", line=0, seq=0, what=What.REMOVED, detail="the writer is not on the list of writers"
    )
    return report if report.bad is not None else report.model_copy(update={"bad": missing})


def _head(directory: Path, keys: Sequence[bytes], name: str) -> Head | None:
    """The head, or None where it is gone or not the one that was written."""
    for _ in range(_LOOKS):
        try:
            head = read_head(head_path(directory, name).read_bytes(), keys, name)
        except FileNotFoundError:
            return None
        if head is not None:
            return head
    return None


def _settled(look: Callable[[], WriterReport]) -> WriterReport:
    """What a look finds, when it finds the same again."""
    report = look()
    for _ in range(_LOOKS):
        if report.bad is None or report.bad.what is not What.TORN:
            break
        time.sleep(0.01)
        report = look()
    return report
