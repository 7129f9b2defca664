"""Redis's clock, made to jump: the real scripts with one line changed, which adds to Redis's time what a key of the tenant says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from agentguard.approval import moves
from agentguard.store.names import Names
from agentguard.store.redis import Connection, Script

_TIME = "return tonumber(time[1]) * 1000"
_OFF = "local OFF_MS = tonumber(redis.call('GET', 'off:' .. KEYS[1]) or '0')\n"


def jumping(script: Script) -> Script:
    """The script, by a clock that is as far off as the tenant's key says."""
    assert script.source.count(_TIME) == 1
    head, line, body = script.source.partition("\n")
    rest = (line + body).replace(_TIME, _TIME.replace("tonumber", "OFF_MS + tonumber", 1))
    source = f"{head}\n{_OFF}{rest}" if head.startswith("#!") else f"{_OFF}{head}{rest}"
    return Script(script.name, source, script.writes)


@contextmanager
def jumping_moves() -> Iterator[None]:
    """Every move of this process goes by such a clock."""
    before = {name: each for name, each in vars(moves).items() if isinstance(each, Script)}
    try:
        for name, script in before.items():
            setattr(moves, name, jumping(script))
        yield
    finally:
        for name, script in before.items():
            setattr(moves, name, script)


async def jump(connection: Connection, names: Names, off_ms: int) -> None:
    """From now on the clock is so far off."""
    await connection.execute("SET", f"off:{names.events}", off_ms)


@dataclass(frozen=True, kw_only=True)
class Jump:
    """A clock that jumps once in a schedule."""

    url: str
    tenant: str
    after_seconds: float
    by_ms: int

    async def live(self) -> None:
        """Wait, and jump."""
        await asyncio.sleep(self.after_seconds)
        connection = await Connection.open(self.url)
        await jump(connection, Names(self.tenant), self.by_ms)
        await connection.close()
