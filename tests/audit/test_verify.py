"""Whoever changes, removes, moves or adds a record is found out, and the first bad record is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from agentguard.audit import What, verify
from agentguard.audit.chain import key_id
from tests.audit.journals import KEY, OTHER_KEY, Clock, edit, journal, note, segment, with_notes, written

Lines = list[bytes]


def _flipped_and_found(path: Path, directory: Path) -> list[int]:
    """The positions at which a flipped bit of a file goes unnoticed."""
    whole = path.read_bytes()
    missed = []
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        if verify(directory, [KEY]).ok:
            missed.append(position)
    path.write_bytes(whole)
    return missed


def test_a_journal_as_it_was_written_is_ok(tmp_path: Path) -> None:
    """Every record counts, with the opening and the closing one."""
    # given
    written(tmp_path, 5)
    # when
    report = verify(tmp_path, [KEY])
    # then
    assert report.ok
    assert [(one.records, one.segments, one.closed, one.bad) for one in report.writers] == [(7, 1, True, None)]
    assert report.index.records == 1


def test_an_empty_folder_is_ok(tmp_path: Path) -> None:
    """Nothing was written, nothing is missing."""
    # when
    report = verify(tmp_path, [KEY])
    # then
    assert report.ok
    assert report.records == 0


@pytest.mark.parametrize("pattern", ["[0-9]*-*.jsonl", "[0-9a-f]*[0-9a-f].head", "writers.jsonl", "writers.head"])
def test_t33_every_flipped_byte_is_found(tmp_path: Path, pattern: str) -> None:
    """One bit of any byte of any file of the journal."""
    # given
    written(tmp_path, 3)
    (path,) = [path for path in tmp_path.glob(pattern) if not pattern.startswith("[") or "writers" not in path.name]
    # when
    missed = _flipped_and_found(path, tmp_path)
    # then
    assert missed == []
    assert verify(tmp_path, [KEY]).ok


CHANGES: dict[str, tuple[Callable[[Lines], Lines], What, int, int]] = {
    # change of the lines 1..7 (opened, five notes, closed); what is found, at which line, for which record
    "content": (lambda lines: [*lines[:3], lines[3].replace(b"code-2", b"code-9"), *lines[4:]], What.CHANGED, 4, 4),
    "not json": (lambda lines: [*lines[:3], b"{}\n", *lines[4:]], What.CHANGED, 4, 4),
    "blank line": (lambda lines: [*lines[:3], b"\n", *lines[3:]], What.CHANGED, 4, 4),
    "first removed": (lambda lines: lines[1:], What.REMOVED, 1, 1),
    "middle removed": (lambda lines: lines[:3] + lines[4:], What.REMOVED, 4, 4),
    "two removed": (lambda lines: lines[:3] + lines[5:], What.REMOVED, 4, 4),
    "swapped": (lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], What.REORDERED, 3, 3),
    "duplicated": (lambda lines: [*lines[:4], lines[3], *lines[4:]], What.REORDERED, 5, 5),
    "last duplicated": (lambda lines: [*lines, lines[-1]], What.REORDERED, 8, 8),
    "moved to the end": (lambda lines: [*lines[:2], *lines[3:], lines[2]], What.REORDERED, 3, 3),
    "last one cut": (lambda lines: lines[:-1], What.CUT, 0, 7),
    "last two cut": (lambda lines: lines[:-2], What.CUT, 0, 6),
    "all but one cut": (lambda lines: lines[:1], What.CUT, 0, 2),
    "all cut": (lambda lines: [], What.CUT, 0, 1),
    "cut inside the last": (lambda lines: [*lines[:-1], lines[-1][:-9]], What.CUT, 7, 7),
    "last newline cut": (lambda lines: [*lines[:-1], lines[-1][:-1]], What.CUT, 7, 7),
    "cut inside an earlier": (lambda lines: [*lines[:-2], lines[-2][:-9]], What.CUT, 6, 6),
    "cut hidden by garbage": (lambda lines: [*lines[:-1], b'{"body":'], What.CUT, 7, 7),
}


@pytest.mark.parametrize(("change", "what", "line", "seq"), CHANGES.values(), ids=CHANGES.keys())
def test_t33_the_first_bad_record_is_named(
    tmp_path: Path, change: Callable[[Lines], Lines], what: What, line: int, seq: int
) -> None:
    """File, line, number of the record that should be there, and what happened to it."""
    # given
    path = written(tmp_path, 5)
    # when
    edit(path, change)
    # then
    report = verify(tmp_path, [KEY])
    bad = report.writers[0].bad
    assert not report.ok
    assert bad is not None
    assert (bad.what, bad.file, bad.line, bad.seq) == (what, path.name, line, seq)


@pytest.mark.parametrize("position", [0, 1, 2], ids=["first", "middle", "last"])
def test_t33_a_removed_segment_is_found(tmp_path: Path, position: int) -> None:
    """Wherever it stood among its writer's segments."""
    # given
    written(tmp_path, 3, segment_bytes=1)
    # when
    segment(tmp_path, position).unlink()
    # then
    report = verify(tmp_path, [KEY])
    assert not report.ok
    assert report.writers[0].bad is not None
    assert report.writers[0].bad.what is What.REMOVED


@pytest.mark.parametrize("doomed", ["{writer}.head", "*{writer}*"], ids=["its head", "all its files"])
def test_t33_a_removed_writer_is_found(tmp_path: Path, doomed: str) -> None:
    """The list of writers, or the missing head, gives it away."""
    # given
    written(tmp_path, 2)
    with_notes(tmp_path, range(2), now_ms=Clock(1_790_000_000_001))
    writer = segment(tmp_path).name.split("-")[1]
    # when
    for path in tmp_path.glob(doomed.format(writer=writer)):
        path.unlink()
    # then
    report = verify(tmp_path, [KEY])
    bad = {one.writer: one.bad for one in report.writers}
    assert not report.ok
    assert bad.pop(writer).what is What.REMOVED  # type: ignore[union-attr]
    assert list(bad.values()) == [None]


@pytest.mark.parametrize("names", [["writers.jsonl"], ["writers.head"], ["writers.jsonl", "writers.head"]], ids=str)
def test_t33_a_removed_list_of_writers_is_found(tmp_path: Path, names: list[str]) -> None:
    """The list, its head, or both."""
    # given
    written(tmp_path, 2)
    # when
    for name in names:
        (tmp_path / name).unlink()
    # then
    assert not verify(tmp_path, [KEY]).ok


def test_t33_a_writer_cut_from_the_list_is_found(tmp_path: Path) -> None:
    """Even when nobody looks for the files of that writer."""
    # given
    written(tmp_path, 1)
    with_notes(tmp_path, range(1))
    # when
    edit(tmp_path / "writers.jsonl", lambda lines: lines[:-1])
    # then
    report = verify(tmp_path, [KEY])
    assert report.index.bad is not None
    assert report.index.bad.what is What.CUT


def test_t33_a_record_of_another_writer_is_found(tmp_path: Path) -> None:
    """A good line is good only in its own place."""
    # given
    written(tmp_path, 3)
    with_notes(tmp_path, range(3), now_ms=Clock(1_790_000_000_001))
    theirs = segment(tmp_path, 0).read_bytes().splitlines(keepends=True)
    # when
    edit(segment(tmp_path, 1), lambda lines: [*lines[:2], theirs[2], *lines[3:]])
    # then
    bad = [one.bad for one in verify(tmp_path, [KEY]).writers if one.bad is not None]
    assert [(one.what, one.line) for one in bad] == [(What.CHANGED, 3)]


def test_t33_a_whole_segment_of_another_name_is_found(tmp_path: Path) -> None:
    """A copied, renamed or re-dated file is not the one that was written."""
    # given
    path = written(tmp_path, 3)
    # when
    shutil.move(path, path.with_name("1780000000000" + path.name[13:]))
    # then
    assert not verify(tmp_path, [KEY]).ok


def test_t33_two_segments_joined_in_one_file_are_found(tmp_path: Path) -> None:
    """The chain holds, the files are not those that were written."""
    # given
    written(tmp_path, 2, segment_bytes=1)
    # when
    first, second = segment(tmp_path, 0), segment(tmp_path, 1)
    first.write_bytes(first.read_bytes() + second.read_bytes())
    second.write_bytes(b"")
    # then
    assert not verify(tmp_path, [KEY]).ok


def test_t33_an_old_head_beside_newer_records_is_found(tmp_path: Path) -> None:
    """Somebody put it back, perhaps to cut the rest later."""
    # given
    writing = journal(tmp_path)
    writing.append("faulted", note(0), durable=False)
    (head,) = [path for path in tmp_path.glob("*.head") if path.name != "writers.head"]
    old = head.read_bytes()
    writing.append("faulted", note(1), durable=False)
    writing.append("faulted", note(2), durable=False)
    writing.close()
    # when
    head.write_bytes(old)
    # then
    bad = verify(tmp_path, [KEY]).writers[0].bad
    assert bad is not None
    assert (bad.what, bad.file) == (What.CHANGED, head.name)


def test_a_head_one_record_behind_is_what_a_crash_leaves(tmp_path: Path) -> None:
    """The line was written, the process died before the head was: no alarm."""
    # given
    writing = journal(tmp_path)
    writing.append("faulted", note(0), durable=False)
    (head,) = [path for path in tmp_path.glob("*.head") if path.name != "writers.head"]
    old = head.read_bytes()
    writing.append("faulted", note(1), durable=True).result()  # type: ignore[union-attr]
    # when
    head.write_bytes(old)
    # then
    report = verify(tmp_path, [KEY])
    assert report.ok
    assert report.records == 3
    writing.close()


def test_a_last_line_that_was_never_finished_is_torn_and_no_alarm(tmp_path: Path) -> None:
    """The head counts every record before it, so nothing is hidden."""
    # given
    path = written(tmp_path, 2)
    # when
    with path.open("ab") as file:
        file.write(b'{"body":{"compo')
    # then
    report = verify(tmp_path, [KEY])
    bad = report.writers[0].bad
    assert report.ok
    assert bad is not None
    assert (bad.what, bad.line, bad.seq) == (What.TORN, 5, 5)


def test_t33_a_torn_line_hides_no_cut(tmp_path: Path) -> None:
    """Cut the last record and tear the one before: still a cut."""
    # given
    path = written(tmp_path, 3)
    # when
    edit(path, lambda lines: [*lines[:-2], lines[-2][:20]])
    # then
    report = verify(tmp_path, [KEY])
    assert not report.ok
    assert report.writers[0].bad is not None
    assert report.writers[0].bad.what is What.CUT


def test_an_unknown_key_is_told_apart(tmp_path: Path) -> None:
    """A journal under a key that is not in the keyring can't be checked, and is not called good."""
    # given
    written(tmp_path, 2)
    # when
    report = verify(tmp_path, [OTHER_KEY])
    # then
    bad = report.writers[0].bad
    assert not report.ok
    assert bad is not None
    assert (bad.what, bad.line) == (What.UNKNOWN_KEY, 1)


def test_t33_a_chain_made_with_another_key_is_found(tmp_path: Path) -> None:
    """Naming our key is not having it."""
    # given
    path = written(tmp_path, 2, keys=[OTHER_KEY])
    names = [path, tmp_path / "writers.jsonl", *tmp_path.glob("*.head")]
    # when
    for name in names:
        name.write_bytes(name.read_bytes().replace(key_id(OTHER_KEY).encode(), key_id(KEY).encode()))
    # then
    report = verify(tmp_path, [KEY])
    assert not report.ok
    assert report.records == 0


def test_a_rotated_key_verifies_with_both(tmp_path: Path) -> None:
    """The newest key writes, the older ones still verify what they wrote; the list of writers goes on across them."""
    # given
    with_notes(tmp_path, range(2), keys=[OTHER_KEY])
    with_notes(tmp_path, range(2), keys=[KEY, OTHER_KEY])
    # when
    report = verify(tmp_path, [KEY, OTHER_KEY])
    # then
    assert report.ok
    assert report.records == 8


def test_a_journal_that_is_being_written_verifies(tmp_path: Path) -> None:
    """Open writers are no alarm; they are just not closed."""
    # given
    writing = journal(tmp_path)
    writing.append("faulted", note(0), durable=False)
    # when
    report = verify(tmp_path, [KEY])
    # then
    assert report.ok
    assert not report.writers[0].closed
    writing.close()


def test_t33_a_key_name_that_is_no_key_name_is_found(tmp_path: Path) -> None:
    """Whatever text stands there."""
    # given
    path = written(tmp_path, 1)
    # when
    path.write_bytes(path.read_bytes().replace(key_id(KEY).encode(), "schlüssel".encode()))
    # then
    bad = verify(tmp_path, [KEY]).writers[0].bad
    assert bad is not None
    assert bad.what is What.UNKNOWN_KEY


def test_a_journal_verifies_at_any_moment_of_its_writing(tmp_path: Path) -> None:
    """Verifying looks while another thread appends: never an alarm."""
    # given
    writing = journal(tmp_path, segment_bytes=20_000)
    writing.append("faulted", note(0), durable=False)
    busy = Thread(target=lambda: [writing.append("faulted", note(number), durable=False) for number in range(1_500)])
    busy.start()
    # when
    reports = [verify(tmp_path, [KEY]) for _ in range(15)]
    busy.join()
    writing.close()
    # then
    assert [report for report in reports if not report.ok or report.writers[0].bad] == []
    assert verify(tmp_path, [KEY]).records == 1_502 + verify(tmp_path, [KEY]).writers[0].segments
