"""A file that carries a chain, and the head beside it, kept in step.

Rules:
- a line is written with one write, then the head is rewritten in place; only then does the chain count it;
- whatever stops that half-way is rolled back at once, or before the next line: the file ends where the chain ends;
- after a failed fsync the file is lost for writing: what the page cache says of it is not trusted again.
"""

from __future__ import annotations

import errno
import os
from threading import Lock
from typing import NamedTuple, NoReturn

from agentguard.audit.chain import Chaining
from agentguard.audit.disk import Disk
from agentguard.errors import GuardUnavailable


class Tip(NamedTuple):
    """Where the chain ends, in its file and in its head."""

    seq: int
    mac: bytes
    size: int
    head: bytes


class ChainFile:
    """One open file of the chain `name`. One thread may append while another syncs."""

    def __init__(self, *, disk: Disk, key: bytes, name: str, number: int, fd: int, head_fd: int, tip: Tip) -> None:
        self.number = number
        self._tip: tuple[int, bytes, int, bytes] = tip  # a plain tuple: it is made for every line
        self.lost = False
        self.fd = fd
        self._disk = disk
        self._chaining = Chaining(key, name, number)
        self.head_fd = head_fd
        self._torn = False
        self._closed = False
        self._syncing = Lock()

    @property
    def tip(self) -> Tip:
        """Where the chain ends."""
        return Tip(*self._tip)

    @property
    def size(self) -> int:
        """How long the file is."""
        return self._tip[2]

    def append(self, body: bytes, *, kind: str, time_ms: int, number: list[int] | None = None) -> None:
        """Add one line. Raises GuardUnavailable, and then the line is not there.

        `number` gets the line's number, in one step with the line: no interrupt comes between.
        """
        if self._torn:
            self._roll_back()
        try:
            before, mac_before, size, _ = self._tip
            seq = before + 1
            text, mac = self._chaining.line(body, kind=kind, seq=seq, time_ms=time_ms, before=mac_before)
            head = self._chaining.head(seq, mac)
            if self._disk.write(self.fd, text) != len(text) or self._disk.rewrite(self.head_fd, head) != len(head):
                _no_room()
            # One assignment, last: an interrupt before it is rolled back, one after it finds nothing to roll back.
            self._tip = (seq, mac, size + len(text), head)
            if number is not None:
                number.append(seq)
        except OSError as error:
            self._roll_back()
            raise unwritable(error) from None
        except BaseException:
            self._roll_back()
            raise

    def sync(self) -> None:
        """Return when all lines written so far are on the disk. Raises OSError."""
        with self._syncing:
            if self.lost:
                raise OSError(errno.EIO, "an earlier fsync failed")
            if not self._closed:
                self._sync()

    def close(self) -> None:
        """Let the file go; the head stays open."""
        with self._syncing:
            if not self._closed:
                self._closed = True
                os.close(self.fd)

    def _roll_back(self) -> None:
        self._torn = True
        try:
            tip = self.tip
            self._disk.cut(self.fd, tip.size)
            if self._disk.rewrite(self.head_fd, tip.head) != len(tip.head):
                _no_room()
        except OSError as error:
            raise unwritable(error) from None
        self._torn = False

    def _sync(self) -> None:
        try:
            self._disk.sync(self.fd)
            self._disk.sync(self.head_fd)
        except OSError:
            self.lost = True
            raise


def unwritable(error: OSError) -> GuardUnavailable:
    """The fault for a disk that does not take a line."""
    return GuardUnavailable("journal", f"can't be written ({error.strerror or 'unknown error'})")


def _no_room() -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
