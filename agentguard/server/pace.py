"""How often one caller may call: a bucket for each, filled as time goes by, in Redis, so that all servers of a tenant count together.

Rules:
- who is authenticated is counted by person, whatever address they come from; who is not, by address, and only where they fail:
  nobody's failures keep anybody else out;
- the time is Redis's; a bucket that is full again is gone, so there are no more of them than callers of the last minutes;
- what can't be counted is not let through: GuardUnavailable.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from agentguard.store.names import Names
from agentguard.store.redis import Connection
from agentguard.store.scripts import script_of

Kind = Literal["reading", "deciding", "failing"]

_PACE = script_of("agentguard.server", "pace")


class TooMany(Exception):
    """The caller must wait `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many requests; try again in {seconds} s")
        self.seconds = seconds


@dataclass(frozen=True, kw_only=True)
class Pace:
    """`burst` calls at once, and `per_minute` in the long run."""

    per_minute: int
    burst: int


@dataclass(frozen=True, kw_only=True)
class Paces:
    """What callers may."""

    reading: Pace = Pace(per_minute=1200, burst=300)
    deciding: Pace = Pace(per_minute=60, burst=60)
    failing: Pace = Pace(per_minute=30, burst=60)


@dataclass(frozen=True, kw_only=True)
class Pacing:
    """Counts the callers of one tenant."""

    connection: Connection
    names: Names
    paces: Paces = field(default_factory=Paces)

    async def take(self, kind: Kind, caller: str) -> None:
        """Count one call. Raises TooMany, GuardUnavailable."""
        pace: Pace = getattr(self.paces, kind)
        each = f"{60_000 / pace.per_minute:.6f}"
        wait_ms = await self.connection.run(_PACE, [self.names.pace(kind, caller)], [each, pace.burst])
        if wait_ms:
            raise TooMany(math.ceil(wait_ms / 1000))
