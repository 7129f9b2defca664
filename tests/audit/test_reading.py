"""Reading: every entry, in order of time, whoever wrote it."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentguard.audit import UNREADABLE, read, verify
from tests.audit.journals import KEY, Clock, edit, journal, note, written


def _two_writers(directory: Path) -> None:
    """Two writers whose notes 0..5 take turns, a second apart."""
    clock = Clock(0)
    writers = [journal(directory, now_ms=clock, segment_bytes=600), journal(directory, now_ms=clock, segment_bytes=600)]
    for number in range(6):
        clock.ms = number * 1_000
        writers[number % 2].append("faulted", note(number), durable=False)
    writers[0].close()
    writers[1].close()


def _codes(directory: Path, since_ms: int | None = None) -> list[str]:
    return [entry.body["code"] for entry in read(directory, since_ms) if entry.kind == "faulted"]


def test_entries_come_in_order_of_time_across_writers(tmp_path: Path) -> None:
    """Merged, each writer's own order kept."""
    # given
    _two_writers(tmp_path)
    # when, then
    assert _codes(tmp_path) == [f"code-{number}" for number in range(6)]


@pytest.mark.parametrize(("since_ms", "first"), [(0, 0), (2_000, 2), (2_001, 3), (5_000, 5), (5_001, 6)], ids=str)
def test_since_leaves_out_what_was_before(tmp_path: Path, since_ms: int, first: int) -> None:
    """And nothing else, though whole segments are skipped."""
    # given
    _two_writers(tmp_path)
    # when, then
    assert _codes(tmp_path, since_ms) == [f"code-{number}" for number in range(first, 6)]


def test_a_clock_that_goes_back_keeps_a_writers_order(tmp_path: Path) -> None:
    """Order of one writer is the order of its records."""
    # given
    clock = Clock(5_000)
    writing = journal(tmp_path, now_ms=clock)
    writing.append("faulted", note(0), durable=False)
    clock.ms = 1_000
    writing.append("faulted", note(1), durable=False)
    writing.close()
    # when, then
    assert _codes(tmp_path) == ["code-0", "code-1"]


MAC = b',"mac":"' + b"0" * 64 + b'"}\n'
BROKEN = {
    "garbage": b"garbage\n",
    "lone surrogate": b'{"body":{},"kind":"\\ud800","seq":1,"time_ms":1,"writer":"w"' + MAC,
    "too deep": b'{"body":' + b"[" * 100_000 + b'"' + MAC,
    "other members": b'{"body":{}' + MAC,
    "number as text": b'{"body":{},"kind":"k","seq":"1","time_ms":1,"writer":"w"' + MAC,
}


@pytest.mark.parametrize("line", BROKEN.values(), ids=BROKEN.keys())
def test_an_unreadable_line_is_shown_as_such(tmp_path: Path, line: bytes) -> None:
    """Not left out, and the rest is still read."""
    # given
    path = written(tmp_path, 3)
    edit(path, lambda lines: [*lines[:2], line, *lines[3:]])
    # when
    kinds = [(entry.kind, entry.line) for entry in read(tmp_path)]
    # then
    assert not verify(tmp_path, [KEY]).ok
    assert kinds == [("opened", 1), ("faulted", 2), (UNREADABLE, 3), ("faulted", 4), ("closed", 5)]


def test_a_folder_that_is_not_there_has_no_entries(tmp_path: Path) -> None:
    """Nothing was written yet."""
    # when, then
    assert list(read(tmp_path / "journal")) == []
