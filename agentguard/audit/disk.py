"""The few moves that a journal makes on a file, so that a test can make each of them fail."""

from __future__ import annotations

import os
from pathlib import Path

_APPEND = os.O_CREAT | os.O_WRONLY | os.O_APPEND
_REWRITE = os.O_CREAT | os.O_RDWR
_PRIVATE = 0o600
_sync = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


class Disk:
    """A real disk. Every method raises OSError."""

    def open_new(self, path: Path) -> int:
        """A new file to append to."""
        return os.open(path, _APPEND | os.O_EXCL, _PRIVATE)

    def open_append(self, path: Path) -> int:
        """A file to append to, made where it is not there."""
        return os.open(path, _APPEND, _PRIVATE)

    def open_rewrite(self, path: Path) -> int:
        """A file to read and to rewrite in place, made where it is not there."""
        return os.open(path, _REWRITE, _PRIVATE)

    def write(self, fd: int, data: bytes) -> int:
        """Append; gives how many bytes were taken."""
        return os.write(fd, data)

    def rewrite(self, fd: int, data: bytes) -> int:
        """Write from the start of the file; gives how many bytes were taken."""
        return os.pwrite(fd, data, 0)

    def cut(self, fd: int, size: int) -> None:
        """Make the file this long."""
        os.ftruncate(fd, size)

    def sync(self, fd: int) -> None:
        """Return when what was written is on the disk."""
        _sync(fd)

    def sync_directory(self, directory: Path) -> None:
        """Return when the names in a directory are on the disk."""
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
