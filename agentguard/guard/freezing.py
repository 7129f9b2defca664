"""What is frozen, as this process knows it: looked at before every permit, and never older than a second.

Rules:
- a call goes by what was read from Redis less than FRESH_SECONDS ago; what is older is read again first, and where that fails the
  call does not run: a guard that can't know of a freeze behaves as if there were one;
- while calls are made or run, one small read a few times a second keeps it fresh, beside the road; nothing is read while none is;
- whoever sees a new freeze says which of its calls run already, as soon as Redis takes that; what was asked about or runs once is
  there anyway;
- whoever saw a freeze goes on only with a second person's lift that verifies, and once it is on record: one that is just gone from
  Redis still stands.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Set
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field

from agentguard.approval import Freezes, Roster
from agentguard.errors import GuardUnavailable
from agentguard.guard import refusals
from agentguard.guard.link import Link
from agentguard.guard.permit import Permit
from agentguard.guard.records import Records
from agentguard.guard.under_way import UnderWay
from agentguard.model.approvals import Freeze
from agentguard.model.calls import Principal
from agentguard.store import inherited
from agentguard.store.background import Background
from agentguard.store.names import Names

FRESH_SECONDS = 0.8
"""How old what is known may be when a permit is given."""

READ_EVERY_SECONDS = 0.3
IDLE_SECONDS = 3.0
"""After so long without a call nothing is read any more."""

_log = logging.getLogger("agentguard.guard")


@dataclass(kw_only=True)
class Freezing:
    """One guard's knowledge of freezes. `masked_words` is what the model may read of what a person wrote."""

    background: Background
    link: Link
    names: Names
    records: Records
    people: Callable[[], Roster]
    masked_words: Callable[[Principal, str], str]
    under_way: UnderWay = field(default_factory=UnderWay)
    _known: Mapping[str, Freeze] = field(default_factory=dict)
    _said: Set[str] = frozenset()
    _read_at: float = float("-inf")
    _asked_at: float = float("-inf")
    _reading: Future[None] | None = None
    _is_kept_fresh: bool = False
    _pid: int = 0

    async def check(self, principal: Principal, tool: str) -> None:
        """Return if nothing stops this call now. Raises CallRefused (frozen), or GuardUnavailable where nobody knows."""
        if not self._is_fresh():
            if time.monotonic() - self._read_at > FRESH_SECONDS:
                await self.background.hop(self._read)
            if not self._is_kept_fresh:
                self._reading, self._is_kept_fresh = self.background.start(self._keep_fresh), True
        for freeze in self._known.values():
            if freeze.stops(principal.tenant, principal.agent, tool):
                raise refusals.frozen(tool, freeze, self.masked_words(principal, freeze.reason))

    async def begin(self, permit: Permit) -> None:
        """The same for a call that Redis would know nothing of; noted before that, so that whoever sees a freeze meanwhile lists it."""
        self.under_way.began(permit)
        if self._is_fresh() and not self._known:
            return
        try:
            await self.check(permit.principal, permit.call.tool)
        except BaseException:
            self.under_way.refused(permit)
            raise

    async def know(self, principal: Principal, tool: str) -> None:
        """The same, whatever was known before: Redis said that something stops this call."""
        self._read_at = float("-inf")
        await self.check(principal, tool)

    def close(self) -> None:
        """Read no more."""
        if self._reading is not None and self._pid == inherited.pid:
            self._reading.cancel()

    def _is_fresh(self) -> bool:
        """Whether what is known is new enough for a call that is made now, and kept so."""
        if self._pid != inherited.pid:
            self._forget()
        self._asked_at = now = time.monotonic()
        return self._is_kept_fresh and now - self._read_at <= FRESH_SECONDS

    async def _keep_fresh(self) -> None:
        try:
            while self.under_way or time.monotonic() - self._asked_at < IDLE_SECONDS:
                await asyncio.sleep(READ_EVERY_SECONDS)
                with suppress(GuardUnavailable):
                    await self._read()
        finally:
            self._is_kept_fresh = False

    async def _read(self) -> None:
        began = time.monotonic()
        async with self.link.using() as there:
            freezes = Freezes(connection=there.connection, names=self.names)
            standing = await freezes.standing()
            gone = [freeze for freeze in self._known.values() if freeze.id not in standing]
            lifted = await freezes.lifted(gone, self.people()) if gone else frozenset[str]()
            before = self._known  # as it is now: another reading may have seen a freeze meanwhile
            kept = {freeze.id: freeze for freeze in before.values() if freeze.id not in lifted}
            for freeze in before.values():
                if freeze.id not in kept:  # on record before any call goes on
                    _log.warning("lifted: %s", freeze)
                    self.records.freeze_seen(freeze, "lifted")
            self._known = {**kept, **standing}
            self._read_at = max(began, self._read_at)
            for freeze in standing.values():
                if freeze.id not in before:
                    _log.warning("frozen: %s", freeze)
                    self.records.freeze_seen(freeze, "stands")
            for freeze in standing.values():
                if freeze.id not in self._said:  # said once no call begins under it any more
                    await freezes.say_running(freeze, self.under_way.under(freeze))
                    self._said = {freeze.id, *(self._said & standing.keys())}

    def _forget(self) -> None:
        """In a forked child: what reads for the parent does not read here. What is frozen stays so."""
        self._reading, self._is_kept_fresh = None, False
        self._read_at, self._pid = float("-inf"), inherited.pid
