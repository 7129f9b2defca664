"""The one clock of what is built here; everything else is told the time."""

from __future__ import annotations

import time


def now_ms() -> int:
    """Milliseconds since 1970, by this machine's clock."""
    return time.time_ns() // 1_000_000
