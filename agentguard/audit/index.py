"""The list of writers: a process stands in it before its first record, so that a file that goes missing is missed.

It is a chain like any other, shared by all processes under a file lock. Rules:
- a list and a head that do not fit are never repaired by writing on: the journal refuses, and `verify` says why;
- what a crash leaves is: a line that the head does not count yet, or a last line that was never finished.
"""

from __future__ import annotations

import fcntl
import hmac
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from agentguard.audit.chain import HEAD_BYTES, START, Chaining, Head, Parts, link, parts, read_head
from agentguard.audit.chainfile import ChainFile, Tip
from agentguard.audit.disk import Disk
from agentguard.audit.files import INDEX, head_path, index_path
from agentguard.errors import GuardUnavailable
from agentguard.model.record import Record

KIND = "writer"
_LINE_BYTES_MAX = 1_024
_LOCK_SECONDS = 5.0


class Writer(Record):
    """A line of the list: a writing process and the key of its first segment."""

    key_id: str
    pid: int
    writer: str


def register(directory: Path, *, disk: Disk, keys: Sequence[bytes], writer: Writer, time_ms: int) -> None:
    """Put a writer on the list, on the disk. Raises GuardUnavailable or OSError."""
    with _locked(disk, head_path(directory, INDEX)) as head_fd:
        fd = disk.open_append(index_path(directory))
        try:
            tip = _tip(fd, head_fd, index_path(directory), disk, keys)
            file = ChainFile(disk=disk, key=keys[0], name=INDEX, number=1, fd=fd, head_fd=head_fd, tip=tip)
            file.append(writer.model_dump_json().encode(), kind=KIND, time_ms=time_ms)
            file.sync()
            disk.sync_directory(directory)
        finally:
            os.close(fd)


def _tip(fd: int, head_fd: int, path: Path, disk: Disk, keys: Sequence[bytes]) -> Tip:
    """Where the list ends. What a crash left unfinished is taken up, or cut off."""
    size = os.fstat(fd).st_size
    head_text = os.pread(head_fd, HEAD_BYTES + 1, 0)
    if not head_text and not size:
        return _begin(head_fd, disk, keys[0])
    head = read_head(head_text, keys, INDEX)
    if head is None:
        raise _refusal("its head was changed, or its key is not in the keyring")
    whole, last = _last_line(path, size)
    if (START if last is None else last.mac) != head.mac:
        head_text = _one_further(head, last, keys)
        disk.rewrite(head_fd, head_text)
        head = read_head(head_text, keys, INDEX) or head
    disk.cut(fd, whole)
    return Tip(head.seq, head.mac, whole, head_text)


def _one_further(head: Head, last: Parts | None, keys: Sequence[bytes]) -> bytes:
    """The head that a crash kept from being written: `last` is exactly the line that follows."""
    for key in keys if last is not None else ():
        if last is not None and hmac.compare_digest(link(key, head.mac, last.unsigned), last.mac):
            return Chaining(key, INDEX, 1).head(head.seq + 1, last.mac)
    raise _refusal("it does not end where its head says")


def _begin(head_fd: int, disk: Disk, key: bytes) -> Tip:
    """The head stands on the disk before the first line: lines without a head are never a crash."""
    text = Chaining(key, INDEX, 1).head(0, START)
    disk.rewrite(head_fd, text)
    disk.sync(head_fd)
    return Tip(0, START, 0, text)


def _last_line(path: Path, size: int) -> tuple[int, Parts | None]:
    """How long the file is up to its last newline, and the line that ends there."""
    with path.open("rb") as file:
        file.seek(max(0, size - 2 * _LINE_BYTES_MAX))
        tail = file.read(2 * _LINE_BYTES_MAX)
    whole, newline, torn = tail.rpartition(b"\n")
    return size - len(torn), parts(whole.rpartition(b"\n")[2]) if newline else None


@contextmanager
def _locked(disk: Disk, path: Path) -> Iterator[int]:
    fd = disk.open_rewrite(path)
    try:
        _lock(fd)
        try:
            yield fd
        finally:
            fcntl.flock(fd, fcntl.LOCK_UN)  # said aloud: a child forked meanwhile holds this lock as well until it ends
    finally:
        os.close(fd)


def _lock(fd: int) -> None:
    give_up = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise GuardUnavailable(
                    "journal", "another process holds the list of writers; is one of them stopped?"
                ) from None
            time.sleep(0.005)


def _refusal(what: str) -> GuardUnavailable:
    return GuardUnavailable(
        "journal",
        f"the list of writers is not as it was left: {what}. Run `agentguard audit verify`; "
        "to go on, move the journal's folder aside",
    )
