"""How often one caller may call: a bucket of tokens for each, filled as time goes by.

Rules:
- who is authenticated is counted by person, whatever address they come from; who is not, by address, and only where they fail:
  nobody's failures keep anybody else out;
- buckets are this process's own, and bounded in number: the caller seen longest ago is forgotten.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

CALLERS_KEPT = 10_000


class TooMany(Exception):
    """The caller must wait `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many requests; try again in {seconds} s")
        self.seconds = seconds


@dataclass(kw_only=True)
class Pace:
    """`burst` calls at once, and `per_minute` in the long run."""

    per_minute: float
    burst: int
    clock: Callable[[], float] = time.monotonic
    _buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, caller: str) -> None:
        """Count one call. Raises TooMany."""
        now = self.clock()
        left, since = self._buckets.pop(caller, (float(self.burst), now))
        left = min(float(self.burst), left + (now - since) * self.per_minute / 60)
        allowed = left >= 1
        self._buckets[caller] = (left - 1 if allowed else left, now)
        while len(self._buckets) > CALLERS_KEPT:
            self._buckets.popitem(last=False)
        if not allowed:
            raise TooMany(max(1, round((1 - left) * 60 / self.per_minute)))


@dataclass(frozen=True, kw_only=True)
class Paces:
    """The paces of one server."""

    reading: Pace = field(default_factory=lambda: Pace(per_minute=1200, burst=300))
    deciding: Pace = field(default_factory=lambda: Pace(per_minute=60, burst=60))
    failing: Pace = field(default_factory=lambda: Pace(per_minute=30, burst=60))
