"""A file's value as it is today: read again when the file changed, and never used once the file is broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
_Stamp = tuple[int, ...]


@dataclass(kw_only=True)
class Fresh(Generic[T]):
    """What `read` makes of the file at `path`. Raises what `read` raises, each time until the file is right again."""

    path: Path
    read: Callable[[], T]
    _known: tuple[_Stamp, T] | None = field(default=None)

    def __call__(self) -> T:
        """The value."""
        stamp = self._stamp()
        if self._known is None or self._known[0] != stamp:
            self._known = None
            self._known = (stamp, self.read())
        return self._known[1]

    def _stamp(self) -> _Stamp:
        """Differs whenever the file was written, replaced, or given other rights; taken before reading, so no change is missed."""
        try:
            found = self.path.stat()
        except OSError:
            return ()
        return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_mode)
