"""Where Redis is for a guard, and how all that a guard holds is closed."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass

from agentguard.audit import Journal
from agentguard.config.settings import Settings
from agentguard.guard.freezing import Freezing
from agentguard.guard.link import Link
from agentguard.store.background import Background
from agentguard.store.embedded import Embedded, Lease


@dataclass(kw_only=True)
class Server:
    """The address of Redis; the embedded server is started when it is first asked for, and again in a forked child."""

    settings: Settings
    _lease: Lease | None = None
    _pid: int = 0

    def url(self) -> str:
        """Where Redis is; the embedded server runs there when this returns. Raises GuardUnavailable or ConfigurationError."""
        if self.settings.redis_url:
            return self.settings.redis_url
        held = self._lease if self._pid == os.getpid() else None
        self._lease, self._pid = Embedded.acquire(self.settings.state_dir), os.getpid()
        if held is not None:
            held.release()
        return self._lease.url

    def close(self) -> None:
        """Let the embedded server go; its last user stops it."""
        if self._lease is not None and self._pid == os.getpid():
            self._lease.release()
        self._lease = None


@dataclass(frozen=True, kw_only=True)
class Closer:
    """Closes what a guard holds, in the order in which each needs the next."""

    freezing: Freezing
    background: Background
    link: Link
    journal: Journal
    server: Server

    def close(self) -> None:
        """Close journal, line, loop and embedded server, whatever fails on the way. Redis may be gone by now."""
        with ExitStack() as stack:
            stack.callback(self.server.close)
            stack.callback(self.background.close, self.link.close)
            stack.callback(self.journal.close)
            stack.callback(self.freezing.close)
