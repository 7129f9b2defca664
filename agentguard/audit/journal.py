"""The journal that one process writes.

Rules:
- a line is in the file when `append` returns, so it survives the process; a durable one is on disk when its future ends;
- a line that can't be written whole is not there at all, and the caller is told;
- after a failed fsync nothing more is written to that segment: the next line begins a new one;
- a segment ends by size or by age, and the next one carries on its chain;
- a forked child writes a journal of its own.
"""

from __future__ import annotations

import os
import secrets
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Lock
from typing import Literal

from agentguard.audit import index
from agentguard.audit.chain import START, Chaining, key_id
from agentguard.audit.chainfile import ChainFile, Tip, unwritable
from agentguard.audit.disk import Disk
from agentguard.audit.files import head_path, segment_path
from agentguard.audit.stencil import json_of
from agentguard.audit.syncing import Syncing
from agentguard.errors import GuardUnavailable
from agentguard.model.events import Closed, Opened
from agentguard.model.record import Record

SEGMENT_BYTES = 64 * 1024 * 1024
SEGMENT_MS = 24 * 60 * 60 * 1000
GROUP_SECONDS = 0.05

Cause = Literal["start", "size", "age", "fsync failed"]


class Journal:
    """Appends records to this process's own files under `directory`, made at the first record. Thread-safe.

    `keys` are 32 bytes each, newest first; `now_ms` is the clock. `policy_version` is the policy in force, for whoever writes.
    """

    def __init__(
        self,
        directory: Path,
        *,
        keys: Sequence[bytes],
        policy_version: str,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        disk: Disk | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        segment_ms: int = SEGMENT_MS,
        group_seconds: float = GROUP_SECONDS,
    ) -> None:
        if not keys:
            raise GuardUnavailable("journal", "there is no key to chain its records with")
        self._directory = directory
        self._keys = tuple(keys)
        self.policy_version = policy_version
        self._now_ms = now_ms
        self._disk = disk or Disk()
        self._segment_bytes = segment_bytes
        self._segment_ms = segment_ms
        self._group_seconds = group_seconds
        self._closed = False
        self._begin_anew()
        _after_fork(self)

    def append(
        self, kind: str, body: Record | bytes, *, durable: bool, number: list[int] | None = None
    ) -> Future[None] | None:
        """Write one record, given as such or as its JSON; it survives this process when this returns.

        With `durable`, the future ends when the record is on the disk. Both raise GuardUnavailable("journal", ...).
        `number` gets the record's number once it is written, whatever keeps this from returning.
        """
        text = body if isinstance(body, bytes) else json_of(body)
        with self._lock:
            now_ms = self._now_ms()
            file = self._ready(now_ms)
            file.append(text, kind=kind, time_ms=now_ms, number=number)
            if durable:
                return self._syncing.at_once(file)
            self._syncing.soon(file)
            return None

    def close(self) -> None:
        """Write the closing record and put all on the disk. Closed even if this raises GuardUnavailable."""
        with self._lock:
            if self._closed:
                return
            try:
                if self._file is not None:
                    self._end(self._now_ms())
            finally:
                self._closed = True
                self._syncing.stop()
                self._let_go()

    def _begin_anew(self) -> None:
        """A writer with no file yet: at first, and in a forked child."""
        self._lock = Lock()
        self._syncing = Syncing(self._group_seconds)
        self._writer = secrets.token_hex(8)
        self._file: ChainFile | None = None
        self._head_fd: int | None = None
        self._listed = False
        self._started_ms = 0

    def _ready(self, now_ms: int) -> ChainFile:
        """The file to write to now. Raises GuardUnavailable."""
        if self._closed:
            raise GuardUnavailable("journal", "it is closed")
        file = self._file
        is_young = now_ms - self._started_ms < self._segment_ms
        if file is not None and is_young and file.size < self._segment_bytes and not file.lost:
            return file
        try:
            return self._start(now_ms) if file is None else self._next(file, self._ended_by(file), now_ms)
        except OSError as error:
            raise unwritable(error) from None

    def _ended_by(self, file: ChainFile) -> Cause:
        """Why no line goes to this file any more."""
        if file.lost:
            return "fsync failed"
        return "size" if file.size >= self._segment_bytes else "age"

    def _start(self, now_ms: int) -> ChainFile:
        """Begin this writer's chain. Each step that succeeded is not done again by the next try."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        key_name = key_id(self._keys[0])
        head = Chaining(self._keys[0], self._writer, 1).head(0, START)
        if self._head_fd is None:
            self._head_fd = self._disk.open_rewrite(head_path(self._directory, self._writer))
        if not self._listed:
            self._disk.rewrite(self._head_fd, head)
            self._disk.sync(self._head_fd)
            writer = index.Writer(key_id=key_name, pid=os.getpid(), writer=self._writer)
            index.register(self._directory, disk=self._disk, keys=self._keys, writer=writer, time_ms=now_ms)
            self._listed = True
        return self._begin(Tip(0, START, 0, head), self._head_fd, number=1, cause="start", now_ms=now_ms)

    def _next(self, file: ChainFile, cause: Cause, now_ms: int) -> ChainFile:
        """Carry the chain on in a new segment."""
        if cause != "fsync failed":
            file.sync()
        tip = file.tip._replace(size=0)
        try:
            return self._begin(tip, file.head_fd, number=file.number + 1, cause=cause, now_ms=now_ms)
        finally:
            if self._file is not file:
                file.close()

    def _begin(self, tip: Tip, head_fd: int, *, number: int, cause: Cause, now_ms: int) -> ChainFile:
        key = self._keys[0]
        path = segment_path(self._directory, started_ms=now_ms, writer=self._writer, number=number)
        fd = self._disk.open_new(path)
        file = ChainFile(disk=self._disk, key=key, name=self._writer, number=number, fd=fd, head_fd=head_fd, tip=tip)
        opened = Opened(
            cause=cause,
            key_id=key_id(key),
            pid=os.getpid(),
            policy_version=self.policy_version,
            previous=tip.mac.hex() if tip.seq else "",
            segment=number,
        )
        try:
            file.append(json_of(opened), kind="opened", time_ms=now_ms)
        except BaseException:
            file.close()
            path.unlink()
            raise
        self._file, self._started_ms = file, now_ms
        file.sync()
        self._disk.sync_directory(self._directory)
        return file

    def _end(self, now_ms: int) -> None:
        file = self._ready(now_ms)
        file.append(
            json_of(Closed(policy_version=self.policy_version, records=file.tip.seq + 1)), kind="closed", time_ms=now_ms
        )
        try:
            file.sync()
        except OSError as error:
            raise unwritable(error) from None

    def _let_go(self) -> None:
        if self._file is not None:
            self._file.close()
        if self._head_fd is not None:
            os.close(self._head_fd)
        self._file, self._head_fd = None, None

    def _forked(self) -> None:
        """In the child: drop the parent's files and locks, whatever state they were in."""
        for fd in (self._file.fd if self._file is not None else None, self._head_fd):
            if fd is not None:
                os.close(fd)
        self._begin_anew()


def _after_fork(journal: Journal) -> None:
    known = weakref.ref(journal)

    def drop() -> None:
        if (alive := known()) is not None:
            alive._forked()

    os.register_at_fork(after_in_child=drop)
