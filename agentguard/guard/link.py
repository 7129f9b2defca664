"""The guard's line to Redis: opened at first need on the background loop, opened anew after a fork."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from agentguard.approval import Channel, Waiters
from agentguard.store.redis import Connection


@dataclass(frozen=True, kw_only=True, slots=True)
class Open:
    """What hangs on one connection."""

    connection: Connection
    channel: Channel
    waiters: Waiters


@dataclass(kw_only=True)
class Link:
    """Gives the open connection; every method runs on the background loop.

    `url` gives the address, and starts the embedded server where that is what is used (blocking, so it runs in a thread).
    """

    url: Callable[[], str]
    channel: Callable[[Connection], Channel]
    _open: Open | None = None
    _pid: int = 0
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def open(self) -> Open:
        """The open connection with its channel and waiters. Raises GuardUnavailable."""
        if self._open is not None and self._pid == os.getpid():
            return self._open
        if self._pid != os.getpid():
            self._forget()
        async with self._lock:
            if self._open is None:
                connection = await Connection.open(await asyncio.to_thread(self.url))
                channel = self.channel(connection)
                self._open = Open(connection=connection, channel=channel, waiters=Waiters(channel=channel))
            return self._open

    async def connection(self) -> Connection:
        """Just the connection."""
        return (await self.open()).connection

    async def close(self) -> None:
        """Close what is open; the next use opens anew."""
        if self._open is not None and self._pid == os.getpid():
            was, self._open = self._open, None
            await was.waiters.close()
            await was.connection.close()

    def _forget(self) -> None:
        """In a forked child: the parent's sockets and lock are not ours."""
        self._open = None
        self._lock = asyncio.Lock()
        self._pid = os.getpid()
