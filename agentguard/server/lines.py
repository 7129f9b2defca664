"""One caller's connection, and what the log says of it.

Rules:
- it brings a whole head of a request soon, or it is closed: whoever reaches the port could else hold as many connections as the process
  may have, for nothing, and keep people out;
- what stands behind the `?` of an address is not logged: what people search for, and what a login provider sends along.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

HEAD_SECONDS = 10.0
_ARGUMENTS = 5


class WithoutQuery(logging.Filter):
    """Cuts addresses in uvicorn's log of requests, whose arguments are caller, method, address, version and status."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change a record; all of them are logged."""
        if isinstance(record.args, tuple) and len(record.args) == _ARGUMENTS:
            caller, method, address, *rest = record.args
            record.args = (caller, method, str(address).partition("?")[0], *rest)
        return True


_WITHOUT_QUERY = WithoutQuery()


class Line(H11Protocol):
    """Uvicorn's, with a limit for what comes before a request, between two of them, and after the answer to one that is not whole."""

    head_seconds: ClassVar[float] = HEAD_SECONDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.access_logger.addFilter(_WITHOUT_QUERY)
        self._closing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A caller is there."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """A caller says something."""
        before: RequestResponseCycle | None = self.cycle
        super().data_received(data)
        now: RequestResponseCycle | None = self.cycle
        if now is not before:
            self._stop_waiting()
        if now is None or now.response_complete:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """A caller is gone."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        """Wait from now on; who waits already waits no longer for it."""
        if self._closing is None:
            self._closing = self.loop.call_later(self.head_seconds, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
