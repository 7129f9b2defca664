"""Locks between processes: flock on a file.

Rules:
- `release` is for the process that took the lock: it unlocks, so no copy of the descriptor that a child got keeps the lock;
- `hand_over` only closes: who was given a copy on purpose keeps the lock until it ends, however it ends;
- exec closes the descriptors, and a forked child closes its copies without unlocking: it holds none of its parent's locks.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

POLL_SECONDS = 0.005


class FileLock:
    """One open lock file. Raises OSError where it can't be opened or locked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        _open.add(self)

    def __enter__(self) -> FileLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @property
    def descriptor(self) -> int:
        """For a child process that is to share the lock."""
        if self._fd is None:
            raise ValueError("the lock file is closed")
        return self._fd

    @property
    def closed(self) -> bool:
        """Whether it was released or handed over, or this is a forked child."""
        return self._fd is None

    @property
    def in_place(self) -> bool:
        """Whether it still is what others find at its path: a lock on a file that was removed keeps nobody out."""
        try:
            return os.path.samestat(os.fstat(self.descriptor), self._path.stat())
        except FileNotFoundError:
            return False

    def share(self) -> None:
        """Hold it together with others. Only where nobody can hold it alone."""
        fcntl.flock(self.descriptor, fcntl.LOCK_SH)

    def take_now(self) -> bool:
        """Hold it alone, if nobody holds it; whether that is so."""
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def take(self, within_seconds: float) -> bool:
        """Hold it alone, waiting that long; whether that came about."""
        until = time.monotonic() + within_seconds
        while not self.take_now():
            if time.monotonic() > until:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def release(self) -> None:
        """Unlock and close."""
        if self._fd is not None:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
        self.hand_over()

    def hand_over(self) -> None:
        """Close without unlocking."""
        fd, self._fd = self._fd, None
        _open.discard(self)
        if fd is not None:
            os.close(fd)


_open: set[FileLock] = set()


def _close_copies() -> None:
    for lock in list(_open):
        lock.hand_over()


os.register_at_fork(after_in_child=_close_copies)
