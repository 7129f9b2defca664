"""The journal as the server can see it: where it lies on this machine, its newest records and whether anybody changed them.

Rules:
- read only, and of this server's tenant alone, with what is of no tenant's calls; all of it is verified, whosever it is;
- where there is no journal here, or no key of it, that is what is told: nothing is made;
- verifying reads all of it, in a thread, and at most once in a while whoever asks.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, cast

from fastapi import Depends, Request

from agentguard.audit import read, verify
from agentguard.audit.reading import Entry
from agentguard.cards import Line
from agentguard.errors import ConfigurationError
from agentguard.model.calls import Principal
from agentguard.model.record import Record
from agentguard.server.earlier import Earlier, earlier_calls

VERIFIED_SECONDS = 10.0
_TOLD = ("effect", "risk", "reason", "outcome", "request", "component", "code", "cause", "arguments")


class Told(Record):
    """One record of the journal in a line."""

    time_ms: int
    kind: Line
    tool: Line
    told: Line


class Looked(Record):
    """What was seen of the journal. `found`: each first bad record; `verdict` says it all in a sentence."""

    entries: tuple[Told, ...] = ()
    found: tuple[Line, ...] = ()
    verdict: Line
    is_good: bool


@dataclass(frozen=True, kw_only=True)
class Records:
    """The journal in a folder, as one tenant's people see it. `keys` gives those that it is chained with; None where they are elsewhere."""

    directory: Path
    tenant: str
    keys: Callable[[], tuple[bytes, ...] | None]
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _last: list[tuple[float, Looked]] = field(default_factory=list)

    async def look(self, at_most: int) -> Looked:
        """The newest records, verified."""
        async with self._lock:
            if not self._last or time.monotonic() - self._last[0][0] > VERIFIED_SECONDS:
                self._last[:] = [(time.monotonic(), await asyncio.to_thread(self._look, at_most))]
            return self._last[0][1]

    async def earlier(self, principal: Principal, before_ms: int) -> Earlier:
        """What a session did before."""
        return await asyncio.to_thread(earlier_calls, self.directory, principal, before_ms)

    def _look(self, at_most: int) -> Looked:
        if not self.directory.is_dir():
            told = "No journal on this machine. It lies on the agent's side: agentguard audit verify reads it there"
            return Looked(verdict=told, is_good=True)
        own = (entry for entry in read(self.directory) if _is_for(entry, self.tenant))
        entries = tuple(map(_told, deque(own, maxlen=at_most)))[::-1]
        try:
            keys = self.keys()
        except ConfigurationError:
            keys = None
        if keys is None:
            return Looked(entries=entries, verdict="Not verified: its key is not on this machine", is_good=False)
        report = verify(self.directory, keys)
        bad = tuple(str(one.bad) for one in (report.index, *report.writers) if one.bad is not None)
        good = f"Verified: {report.records:,} records of {len(report.writers)} writers, all in place"
        verdict = good if report.ok else "Not intact: somebody changed the journal"
        return Looked(entries=entries, found=bad, verdict=verdict, is_good=report.ok)


def the_records(request: Request) -> Records:
    """The server's view of the journal."""
    return cast("Records", request.app.state.records)


TheRecords = Annotated[Records, Depends(the_records)]


def _is_for(entry: Entry, tenant: str) -> bool:
    """Whether a tenant's people may see a record: it is of that tenant, or says nothing of any."""
    principal = entry.body.get("principal")
    if principal is not None:
        return isinstance(principal, dict) and bool(principal.get("tenant") == tenant)
    return bool(entry.body.get("tenant", tenant) == tenant)


def _told(entry: Entry) -> Told:
    said = [f"{name} {entry.body[name]}" for name in _TOLD if entry.body.get(name)]
    return Told(
        time_ms=entry.time_ms, kind=entry.kind, tool=str(entry.body.get("tool", "")), told=" · ".join(said)[:2000]
    )
