"""What happens to requests, on every open screen as it happens: one reader of the event stream, and as many listeners as there are.

Rules:
- an event is a hint: the record is read when it comes, and a screen that connects reads everything anew;
- what is told is made once for all listeners, so it holds nothing that depends on who looks;
- a listener that is too slow, and everybody after a break of the line, is told to read anew; nobody is waited for;
- a listener is let go when the server stops.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from agentguard.errors import GuardUnavailable
from agentguard.store.names import Names
from agentguard.store.redis import Connection

BLOCK_MS = 2_000
HEARTBEAT_SECONDS = 15.0
WAITING_MAX = 100
"""Messages that a listener may be behind."""

AT_ONCE_MAX = 50
"""More requests than that at once are not told one by one."""

ANEW = "event: anew\ndata: {}\n\n"
_HEARTBEAT = ": still here\n\n"
_log = logging.getLogger("agentguard.server")

Told = Callable[[str], Awaitable[str | None]]
"""What is told of one request; None: nothing."""


@dataclass(kw_only=True)
class Live:
    """One process's listeners. `connection` is this reader's own, because reading blocks it."""

    connection: Connection
    names: Names
    told: Told
    _listeners: dict[asyncio.Queue[str | None], str] = field(default_factory=dict)
    _last: str | None = None
    _is_over: bool = False

    @property
    def listeners(self) -> int:
        """How many screens are open."""
        return len(self._listeners)

    def listeners_of(self, person: str) -> int:
        """How many of them are this person's."""
        return sum(each == person for each in self._listeners.values())

    async def tell(self) -> None:
        """One round: read what happened, and tell it."""
        try:
            if self._last is None:
                self._last = await self.connection.newest(self.names.events)
                self._send(ANEW)
            events = await self.connection.read_stream(self.names.events, self._last, BLOCK_MS)
            if events:
                self._last = events[-1][0]
                await self._tell({event.get("request", b"").decode(errors="replace"): None for _, event in events})
        except GuardUnavailable:
            self._last = None
            raise

    async def messages(self, person: str) -> AsyncIterator[str]:
        """What one listener of this person's is sent, until it goes or the server stops."""
        with self._listening(person) as queue:
            yield ANEW
            while not self._is_over:
                try:
                    async with asyncio.timeout(HEARTBEAT_SECONDS):
                        message = await queue.get()
                except TimeoutError:
                    message = _HEARTBEAT
                if message is None:
                    return
                yield message

    def stop(self) -> None:
        """Let every listener go."""
        self._is_over = True
        self._send(None)

    async def _tell(self, requests: dict[str, None]) -> None:
        if not self._listeners:
            return
        if len(requests) > AT_ONCE_MAX:
            self._send(ANEW)
            return
        for request in requests:
            message = await self.told(request)
            if message is not None:
                self._send(f"event: request\ndata: {message}\n\n")

    def _send(self, message: str | None) -> None:
        for queue in self._listeners:
            if queue.full():
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(ANEW)
            queue.put_nowait(message)

    @contextmanager
    def _listening(self, person: str) -> Iterator[asyncio.Queue[str | None]]:
        queue: asyncio.Queue[str | None] = asyncio.Queue(WAITING_MAX)
        self._listeners[queue] = person
        try:
            yield queue
        finally:
            del self._listeners[queue]
