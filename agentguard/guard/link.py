"""The guard's line to Redis: opened at first need on the background loop, opened anew after a fork."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from agentguard.approval import Channel, Waiters
from agentguard.errors import GuardUnavailable
from agentguard.store import inherited
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

    `url` gives the address, and sees to it that an embedded server runs there (it blocks, so it runs in a thread).
    """

    url: Callable[[], str]
    channel: Callable[[Connection], Channel]
    replicas: int = 0
    _open: Open | None = None
    _suspect: bool = False
    _pid: int = 0
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def using(self) -> AsyncIterator[Open]:
        """The open connection with its channel and waiters, to use inside. Raises GuardUnavailable.

        After a failure the next use asks for the address again, which starts an embedded server that died.
        """
        try:
            yield await self._opened()
        except GuardUnavailable:
            self._suspect = True
            raise

    async def _opened(self) -> Open:
        if self._pid != inherited.pid:
            self._forget()
        if self._open is not None and not self._suspect:
            return self._open
        async with self._lock:
            if self._suspect:
                await asyncio.to_thread(self.url)
                self._suspect = False
            if self._open is None:
                connection = await Connection.open(await asyncio.to_thread(self.url), replicas=self.replicas)
                channel = self.channel(connection)
                self._open = Open(connection=connection, channel=channel, waiters=Waiters(channel=channel))
            return self._open

    async def close(self) -> None:
        """Close what is open; the next use opens anew, on whichever loop runs then."""
        self._lock = asyncio.Lock()
        if self._open is not None and self._pid == inherited.pid:
            was, self._open = self._open, None
            await was.waiters.close()
            await was.connection.close()

    def _forget(self) -> None:
        """In a forked child: the parent's sockets and lock are not ours."""
        self._open, self._suspect = None, False
        self._lock = asyncio.Lock()
        self._pid = inherited.pid
