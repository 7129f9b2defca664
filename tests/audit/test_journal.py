"""What the journal promises to whoever appends: the record is there, or the call is told that it is not."""

from __future__ import annotations

import errno
import hashlib
import hmac
import json
import os
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentguard.audit import What, read, verify
from agentguard.errors import GuardUnavailable, RefusalReason
from agentguard.model.events import KINDS, Refused
from agentguard.model.record import Record
from tests.audit.journals import ANN, KEY, Clock, FailingDisk, journal, judged, note, segment, with_notes, written


class Loose(Record):
    """A record that can hold a text without a JSON form."""

    text: str


def test_who_appends_gets_the_number_of_a_record_that_is_there_and_of_no_other(tmp_path: Path) -> None:
    """One that the disk did not take whole has none."""
    # given
    disk, number = FailingDisk(), list[int]()
    writing = journal(tmp_path, disk=disk)
    writing.append("faulted", note(1), durable=False)
    # when, then
    disk.errors["rewrite"] = errno.ENOSPC
    with pytest.raises(GuardUnavailable):
        writing.append("faulted", note(2), durable=False, number=number)
    assert number == []
    disk.errors.clear()
    writing.append("faulted", note(3), durable=False, number=number)
    last = json.loads(segment(tmp_path).read_bytes().splitlines()[-1])
    assert number == [last["seq"]] == [3]


def test_a_record_is_in_the_file_when_append_returns(tmp_path: Path) -> None:
    """Not in a buffer of this process."""
    # given
    writing = journal(tmp_path)
    # when
    writing.append("judged", judged(), durable=False)
    # then
    last = json.loads(segment(tmp_path).read_bytes().splitlines()[-1])
    assert (last["kind"], last["seq"], last["time_ms"]) == ("judged", 2, 1_790_000_000_000)
    assert KINDS["judged"].model_validate_json(json.dumps(last["body"])) == judged()
    writing.close()


def test_files_and_folder_are_private(tmp_path: Path) -> None:
    """Only their owner reads them."""
    # when
    written(tmp_path / "journal", 1)
    # then
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "journal").iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE((tmp_path / "journal").stat().st_mode) == 0o700


def test_a_journal_without_a_key_is_refused(tmp_path: Path) -> None:
    """An empty list of keys chains nothing."""
    # when, then
    with pytest.raises(GuardUnavailable, match="no key"):
        journal(tmp_path, keys=[])


def test_a_durable_record_ends_its_future_after_an_fsync(tmp_path: Path) -> None:
    """The future is the promise that it is on the disk."""
    # given
    disk = FailingDisk()
    writing = journal(tmp_path, disk=disk)
    writing.append("judged", judged(), durable=True).result(timeout=20)  # type: ignore[union-attr]
    before = disk.syncs
    # when
    future = writing.append("judged", judged(), durable=True)
    # then
    assert future is not None
    assert future.result(timeout=20) is None
    assert disk.syncs > before
    writing.close()


def test_a_waiter_that_gives_up_takes_nothing_from_the_others(tmp_path: Path) -> None:
    """The future can't be cancelled under the thread that will end it."""
    # given
    writing = journal(tmp_path)
    future = writing.append("judged", judged(), durable=True)
    # when
    cancelled = future.cancel()  # type: ignore[union-attr]
    # then
    assert not cancelled
    writing.append("judged", judged(), durable=True).result(timeout=20)  # type: ignore[union-attr]
    writing.close()


def test_records_of_many_threads_share_fsyncs(tmp_path: Path) -> None:
    """Group commit: fewer fsyncs than records, and every record in the chain."""
    # given
    disk = FailingDisk()
    writing = journal(tmp_path, disk=disk)

    def append(number: int) -> None:
        writing.append("faulted", note(number), durable=True).result(timeout=10)  # type: ignore[union-attr]

    # when
    with ThreadPoolExecutor(max_workers=16) as pool:
        list(pool.map(append, range(320)))
    writing.close()
    # then
    assert disk.syncs < 2 * 320
    report = verify(tmp_path, [KEY])
    assert report.ok
    assert report.records == 322


@pytest.mark.parametrize("limits", [{"segment_bytes": 1}, {"segment_ms": 0}], ids=["by size", "by age"])
def test_a_segment_ends_and_the_next_carries_on_the_chain(tmp_path: Path, limits: dict[str, int]) -> None:
    """The first record of the next one holds the MAC of the last record."""
    # given
    written(tmp_path, 3, **limits)
    # when
    first, second = (segment(tmp_path, position).read_bytes().splitlines() for position in (0, 1))
    # then
    assert json.loads(second[0])["body"]["previous"] == json.loads(first[-1])["mac"]
    report = verify(tmp_path, [KEY])
    assert report.ok
    assert report.writers[0].segments >= 3


FAILURES = {
    "disk full": ({"write": errno.ENOSPC}, None),
    "disk broken": ({"write": errno.EIO}, None),
    "written in part": ({}, 40),
    "written, head not": ({"rewrite": errno.EIO}, None),
}


@pytest.mark.parametrize(("errors", "taken"), FAILURES.values(), ids=FAILURES.keys())
@pytest.mark.parametrize("durable", [False, True], ids=["allowed", "durable"])
def test_t33_a_record_that_does_not_fit_is_not_there_and_the_call_is_told(
    tmp_path: Path, errors: dict[str, int], taken: int | None, durable: bool
) -> None:
    """Rolled back to the last good record; the next one goes on as soon as the disk does."""
    # given
    disk = FailingDisk()
    writing = journal(tmp_path, disk=disk)
    writing.append("faulted", note(1), durable=False)
    good = segment(tmp_path).read_bytes()
    # when
    disk.errors, disk.taken = errors, taken
    with pytest.raises(GuardUnavailable, match="journal: can't be written"):
        writing.append("faulted", note(2), durable=durable)
    after = segment(tmp_path).read_bytes()
    disk.errors, disk.taken = {}, None
    writing.append("faulted", note(3), durable=False)
    writing.close()
    # then
    assert after == good
    report = verify(tmp_path, [KEY])
    assert report.ok
    assert [entry.body.get("code") for entry in read(tmp_path) if entry.kind == "faulted"] == ["code-1", "code-3"]


def test_t33_a_journal_that_can_not_be_rolled_back_stays_closed_until_it_can(tmp_path: Path) -> None:
    """Half a record on a broken disk: every later append refuses, then repairs, then goes on."""
    # given
    disk = FailingDisk(errors={}, taken=None)
    writing = journal(tmp_path, disk=disk)
    writing.append("faulted", note(1), durable=False)
    disk.errors, disk.taken = {"cut": errno.EIO}, 40
    with pytest.raises(GuardUnavailable):
        writing.append("faulted", note(2), durable=False)
    torn = verify(tmp_path, [KEY]).writers[0].bad
    # when
    disk.taken = None
    with pytest.raises(GuardUnavailable):
        writing.append("faulted", note(3), durable=False)
    disk.errors = {}
    writing.append("faulted", note(4), durable=False)
    writing.close()
    # then
    assert torn is not None
    assert torn.what is What.TORN
    assert verify(tmp_path, [KEY]).ok
    assert [entry.body.get("code") for entry in read(tmp_path) if entry.kind == "faulted"] == ["code-1", "code-4"]


def test_t33_a_failed_fsync_ends_the_segment(tmp_path: Path) -> None:
    """Whoever waited is told; nothing more goes to that segment, and appends refuse until a new one is on the disk."""
    # given
    disk = FailingDisk()
    writing = journal(tmp_path, disk=disk)
    writing.append("faulted", note(1), durable=True).result(timeout=20)  # type: ignore[union-attr]
    disk.errors = {"sync": errno.EIO}
    # when
    future = writing.append("faulted", note(2), durable=True)
    with pytest.raises(GuardUnavailable):
        future.result(timeout=20)  # type: ignore[union-attr]
    with pytest.raises(GuardUnavailable):
        writing.append("faulted", note(3), durable=False)
    disk.errors = {}
    writing.append("faulted", note(4), durable=True).result(timeout=20)  # type: ignore[union-attr]
    writing.close()
    # then
    assert verify(tmp_path, [KEY]).ok
    opened = [entry.body["cause"] for entry in read(tmp_path) if entry.kind == "opened"]
    assert opened[0] == "start"
    assert set(opened[1:]) == {"fsync failed"}
    codes = [entry.body["code"] for entry in read(tmp_path) if entry.kind == "faulted"]
    assert codes == ["code-1", "code-2", "code-4"]


def test_t33_a_failed_fsync_of_allowed_calls_stops_the_next_call(tmp_path: Path) -> None:
    """Nobody waited for it, so whoever comes next is told."""
    # given
    disk = FailingDisk()
    writing = journal(tmp_path, disk=disk, group_seconds=0.0)
    writing.append("faulted", note(1), durable=True).result(timeout=20)  # type: ignore[union-attr]
    disk.errors = {"sync": errno.EIO}
    writing.append("faulted", note(2), durable=False)
    # when
    with pytest.raises(GuardUnavailable):
        writing.append("faulted", note(3), durable=True).result(timeout=20)  # type: ignore[union-attr]
    # then
    with pytest.raises(GuardUnavailable):
        writing.append("faulted", note(4), durable=False)
    disk.errors = {}
    writing.close()
    assert verify(tmp_path, [KEY]).ok


@pytest.mark.parametrize("move", ["write", "rewrite", "sync"])
def test_t33_a_segment_that_can_not_begin_refuses_and_begins_later(tmp_path: Path, move: str) -> None:
    """A disk that fills up just when a segment ends."""
    # given
    disk = FailingDisk()
    writing = journal(tmp_path, disk=disk, segment_bytes=1)
    writing.append("faulted", note(1), durable=True).result(timeout=20)  # type: ignore[union-attr]
    disk.errors = {move: errno.ENOSPC}
    with pytest.raises(GuardUnavailable):
        writing.append("faulted", note(2), durable=False)
    # when
    disk.errors = {}
    writing.append("faulted", note(3), durable=False)
    writing.close()
    # then
    report = verify(tmp_path, [KEY])
    assert report.ok
    assert [writer.bad for writer in report.writers] == [None]
    assert [entry.body.get("code") for entry in read(tmp_path) if entry.kind == "faulted"] == ["code-1", "code-3"]


@pytest.mark.parametrize("move", ["write", "rewrite", "sync"])
def test_t33_a_journal_that_can_not_begin_refuses_and_begins_later(tmp_path: Path, move: str) -> None:
    """A full disk at the first record: refused; with room again: one good writer."""
    # given
    disk = FailingDisk(errors={move: errno.ENOSPC})
    writing = journal(tmp_path, disk=disk)
    with pytest.raises(GuardUnavailable):
        writing.append("faulted", note(1), durable=False)
    # when
    disk.errors = {}
    writing.append("faulted", note(2), durable=False)
    writing.close()
    # then
    report = verify(tmp_path, [KEY])
    assert report.ok
    assert len(report.writers) == 1


def test_a_folder_that_is_no_folder_refuses(tmp_path: Path) -> None:
    """The journal's place is taken by a file."""
    # given
    (tmp_path / "journal").write_text("")
    # when, then
    with pytest.raises(GuardUnavailable, match="journal"):
        journal(tmp_path / "journal").append("faulted", note(1), durable=False)


def test_a_record_without_a_json_form_is_refused(tmp_path: Path) -> None:
    """A lone surrogate can't be written, and the error does not show it."""
    # given
    writing = journal(tmp_path)
    # when, then
    with pytest.raises(GuardUnavailable, match="no JSON form"):
        writing.append("faulted", Loose.model_construct(text="\ud800"), durable=False)
    writing.close()


def test_a_closed_journal_takes_no_record(tmp_path: Path) -> None:
    """Closing twice is fine, writing after is not."""
    # given
    writing = journal(tmp_path)
    writing.append("faulted", note(1), durable=False)
    # when
    writing.close()
    writing.close()
    # then
    with pytest.raises(GuardUnavailable, match="closed"):
        writing.append("faulted", note(2), durable=False)
    assert verify(tmp_path, [KEY]).writers[0].closed


def test_a_journal_that_was_never_used_leaves_nothing(tmp_path: Path) -> None:
    """Building a guard writes no file."""
    # when
    journal(tmp_path / "journal").close()
    # then
    assert not (tmp_path / "journal").exists()


CHANGED_LISTS = {
    "last line gone": ("writers.jsonl", lambda data: b"".join(data.splitlines(keepends=True)[:-1])),
    "empty": ("writers.jsonl", lambda data: b""),
    "head gone": ("writers.head", lambda data: b""),
    "head changed": ("writers.head", lambda data: data.replace(b"2", b"1")),
}


@pytest.mark.parametrize(("name", "change"), CHANGED_LISTS.values(), ids=CHANGED_LISTS.keys())
def test_t33_a_changed_list_of_writers_is_not_written_over(tmp_path: Path, name: str, change) -> None:  # type: ignore[no-untyped-def]
    """Going on would repair the chain and hide what was removed."""
    # given
    with_notes(tmp_path, range(1))
    with_notes(tmp_path, range(1))
    path = tmp_path / name
    path.write_bytes(change(path.read_bytes()))
    before = path.read_bytes()
    # when
    with pytest.raises(GuardUnavailable, match="audit verify"):
        journal(tmp_path).append("faulted", note(1), durable=False)
    # then
    assert path.read_bytes() == before
    assert not verify(tmp_path, [KEY]).ok


def test_a_crash_in_the_list_of_writers_is_taken_up(tmp_path: Path) -> None:
    """A line that its head does not count yet stays; a line that was never finished goes."""
    # given
    with_notes(tmp_path, range(1))
    head = (tmp_path / "writers.head").read_bytes()
    with_notes(tmp_path, range(1))
    (tmp_path / "writers.head").write_bytes(head)
    with (tmp_path / "writers.jsonl").open("ab") as file:
        file.write(b'{"body":{"key')
    # when
    with_notes(tmp_path, range(1))
    # then
    report = verify(tmp_path, [KEY])
    assert report.ok
    assert report.index.records == 3


def test_two_writers_at_once_make_two_files(tmp_path: Path) -> None:
    """One list, two chains."""
    # given
    one, two = journal(tmp_path), journal(tmp_path)
    # when
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(lambda writing: writing.append("faulted", note(1), durable=True).result(timeout=20), (one, two)))
    one.close()
    two.close()
    # then
    report = verify(tmp_path, [KEY])
    assert report.ok
    assert [writer.records for writer in report.writers] == [3, 3]


def test_a_forked_child_writes_a_journal_of_its_own(tmp_path: Path) -> None:
    """Never to its parent's file, even when the parent's journal is open and busy."""
    # given
    writing = journal(tmp_path)
    writing.append("faulted", note(1), durable=True).result(timeout=20)  # type: ignore[union-attr]
    # when
    child = os.fork()
    if child == 0:
        status = 1
        try:
            writing.append("faulted", note(2), durable=True).result(timeout=20)  # type: ignore[union-attr]
            writing.close()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    writing.append("faulted", note(3), durable=False)
    writing.close()
    # then
    assert status == 0
    report = verify(tmp_path, [KEY])
    assert report.ok
    assert sorted(writer.records for writer in report.writers) == [3, 4]


LIMITED = """
import resource, sys
from pathlib import Path
from agentguard.errors import GuardUnavailable
from tests.audit.journals import journal, note
writing = journal(Path(sys.argv[1]))
writing.append("faulted", note(0), durable=True).result()
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
refused = written = 0
for number in range(100):
    try:
        writing.append("faulted", note(number), durable=False)
        written += 1
    except GuardUnavailable:
        refused += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
writing.append("faulted", note(100), durable=False)
writing.close()
print(written, refused)
"""


def _python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=root, capture_output=True, text=True, timeout=30, check=False
    )


def test_t33_a_real_file_that_can_not_grow_refuses_calls_and_stays_whole(tmp_path: Path) -> None:
    """The kernel takes part of a line (a size limit stands for a full disk): the part is taken back."""
    # when
    ran = _python(LIMITED, str(tmp_path))
    # then
    assert ran.returncode == 0, ran.stderr
    written_count, refused_count = map(int, ran.stdout.split())
    assert written_count > 0
    assert refused_count > 0
    report = verify(tmp_path, [KEY])
    assert report.ok
    assert report.records == written_count + 4


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.audit.journals import journal, note
writing = journal(Path(sys.argv[1]))
for number in range(50):
    writing.append("faulted", note(number), durable=False)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_records_survive_a_killed_process(tmp_path: Path) -> None:
    """Killed without a warning right after the last append: every record is there."""
    # when
    ran = _python(KILLED, str(tmp_path))
    # then
    assert ran.returncode == -signal.SIGKILL
    report = verify(tmp_path, [KEY])
    assert report.ok
    assert report.records == 51
    assert not report.writers[0].closed


def test_t34_a_dictionary_of_all_numbers_finds_no_digest(tmp_path: Path) -> None:
    """Digests on record are keyed: hashing every candidate finds the value of none of them."""
    # given
    ssn = "219-09-9999"
    digest = hmac.digest(KEY, ssn.encode(), "sha256").hex()
    writing = journal(tmp_path)
    writing.append("judged", judged(snapshot_digest=digest), durable=False)
    writing.close()
    text = segment(tmp_path).read_text()
    # when
    candidates = [f"219-{group:02d}-{serial:04d}" for group in range(100) for serial in (0, 1, 9998, 9999)]
    hashes = [
        function(form.encode()).hexdigest()
        for form in [*candidates, *(candidate.replace("-", "") for candidate in candidates)]
        for function in (hashlib.sha256, hashlib.sha1, hashlib.md5, hashlib.blake2b)
    ]
    # then
    assert digest in text
    assert ssn not in text
    assert [found for found in hashes if found in text or found[:16] in text] == []


def test_a_refusal_reads_back_as_it_was_written(tmp_path: Path) -> None:
    """Enums and all."""
    # given
    refused = Refused(
        principal=ANN, policy_version="sha256:0", call_id=None, tool="refund", reason=RefusalReason.DENIED
    )
    writing = journal(tmp_path, now_ms=Clock(7))
    # when
    writing.append("refused", refused, durable=False)
    writing.close()
    # then
    (entry,) = [entry for entry in read(tmp_path) if entry.kind == "refused"]
    assert KINDS["refused"].model_validate_json(json.dumps(entry.body)) == refused
