"""Where Redis is for a guard, and how all that a guard holds is closed."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field

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
    _pid: int = field(default_factory=os.getpid)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self) -> str:
        """Where Redis is; the embedded server runs there when this returns. Raises GuardUnavailable or ConfigurationError."""
        if self.settings.redis_url:
            return self.settings.redis_url
        self._forget_parents()
        with self._lock:
            held = self._lease
            self._lease = lease = Embedded.acquire(self.settings.state_dir)
            if held is not None:
                held.release()
            return lease.url

    def close(self) -> None:
        """Let the embedded server go, once it no longer is being started; its last user stops it."""
        self._forget_parents()
        with self._lock:
            held, self._lease = self._lease, None
            if held is not None:
                held.release()

    def _forget_parents(self) -> None:
        """In a forked child: the parent's lease, and a lock that one of its threads may have held, are not ours."""
        if self._pid != os.getpid():
            self._lease, self._lock, self._pid = None, threading.Lock(), os.getpid()


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
