"""Redis's clock, kept from its last reply on this machine's monotonic one, so that nobody's wall clock matters."""

from __future__ import annotations

import time


class RedisClock:
    """Milliseconds on Redis's clock, a reply's travel time behind at most; this machine's own until a reply was seen."""

    def __init__(self) -> None:
        self._ahead_ms: float | None = None

    def set(self, now_ms: int) -> None:
        """Redis said that it is `now_ms`."""
        self._ahead_ms = now_ms - time.monotonic() * 1000

    def now_ms(self) -> int:
        """The time."""
        if self._ahead_ms is None:
            return int(time.time() * 1000)
        return int(time.monotonic() * 1000 + self._ahead_ms)
