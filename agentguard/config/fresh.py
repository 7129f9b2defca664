"""What files say today: read again when one of them changed, and never used once one is broken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
_Stamp = tuple[tuple[int, ...], ...]


@dataclass(kw_only=True)
class Fresh(Generic[T]):
    """What `read` makes of the files at `paths`. Raises what `read` raises, each time until the files are right again."""

    paths: Sequence[Path]
    read: Callable[[], T]
    _known: tuple[_Stamp, T] | None = field(default=None)

    def __call__(self) -> T:
        """The value."""
        stamp, known = self._stamp(), self._known  # other threads may read too
        if known is None or known[0] != stamp:
            self._known = None
            self._known = known = (stamp, self.read())
        return known[1]

    def _stamp(self) -> _Stamp:
        """Differs whenever a file was written, replaced, or given other rights; taken before reading, so no change is missed."""
        return tuple(map(_stamp_of, self.paths))


def _stamp_of(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_mode)
