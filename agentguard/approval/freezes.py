"""Freezes: orders that nothing runs, in Redis, signed by a person and lifted by a second one.

Rules:
- an order that can't be read stops everything: broken means no;
- an order counts whoever signed it, for it only stops calls; a lift counts only if it verifies, is on that very order, and is
  another person's than the one who gave it;
- whoever saw an order goes on only with such a lift: an order that is just gone from Redis still stands.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pydantic import ValidationError

from agentguard.approval import moves
from agentguard.approval.channel import RETENTION_MS
from agentguard.approval.deeds import Attempt
from agentguard.approval.roster import Roster
from agentguard.approval.signing import check_signature
from agentguard.errors import DecisionRefused
from agentguard.model.approvals import Freeze, Lift, Scope
from agentguard.model.record import Record
from agentguard.store.names import EVERYBODY, Names
from agentguard.store.redis import Connection, Part

SAID_MAX = 1000
"""Of one process's running calls so many are said."""

UNREADABLE = Freeze(
    id="unreadable",
    scope=Scope.ALL,
    reason="an order to stop can't be read",
    tenant="",
    person="",
    time_ms=0,
    signer="",
)
"""What stands for an order that is none: it stops everything until it is gone."""


class Running(Record):
    """A call that runs now: its request's, deed's or own id, and whose call of which tool it is."""

    id: str
    attempt: Attempt


@dataclass(frozen=True, kw_only=True)
class Freezes:
    """The freezes of one tenant and those of everybody. Each coroutine raises GuardUnavailable."""

    connection: Connection
    names: Names

    async def standing(self) -> Mapping[str, Freeze]:
        """The orders that stand in Redis now, by their id."""
        ours, all_ = await self.connection.pipeline(
            [("HVALS", self.names.freezes), ("HVALS", Names(EVERYBODY).freezes)]
        )
        found = [_read(text, self.names.tenant) for text in ours] + [_read(text, "") for text in all_]
        return {freeze.id: freeze for freeze in found}

    async def freeze(self, freeze: Freeze) -> Freeze:
        """Put an order. Gives the one that stands: an earlier one of the same scope stays."""
        keys = [self._of(freeze).freezes]
        _, _, standing = await moves.make(
            self.connection, self._of(freeze), moves.FREEZE, keys, [_field(freeze), freeze.canonical()]
        )
        return _read(standing, freeze.tenant)

    async def lift(self, freeze: Freeze, lift: Lift) -> None:
        """End an order. Raises DecisionRefused ("not_frozen") where it does not stand any more."""
        names = self._of(freeze)
        keys = [names.freezes, names.lift(freeze.id)]
        args: list[Part] = [_field(freeze), freeze.canonical(), lift.canonical(), RETENTION_MS]
        word, _ = await moves.make(self.connection, names, moves.LIFT, keys, args)
        if word != b"lifted":
            raise DecisionRefused("not_frozen", f"{freeze} is not frozen by this order any more; look again")

    async def lifted(self, freezes: Iterable[Freeze], roster: Roster) -> frozenset[str]:
        """The ids of those orders that a second person verifiably ended."""
        ended = set()
        for freeze in freezes:
            written = await self.connection.execute("GET", self._of(freeze).lift(freeze.id))
            if freeze.id == UNREADABLE.id or (written is not None and _ends(written, freeze, roster)):
                ended.add(freeze.id)
        return frozenset(ended)

    async def say_running(self, freeze: Freeze, calls: Sequence[Running]) -> None:
        """Say which calls of this process ran already when the order reached it."""
        if not calls:
            return
        fields: list[Part] = [part for one in calls[:SAID_MAX] for part in (one.id, one.canonical())]
        key = self.names.running(freeze.id)
        await self.connection.pipeline([("HSET", key, *fields), ("PEXPIRE", key, RETENTION_MS)])

    async def said_running(self, freeze: Freeze) -> Sequence[Running]:
        """What processes said so far; what can't be read is left out, for it only informs."""
        found = []
        for text in await self.connection.execute("HVALS", self.names.running(freeze.id)):
            with suppress(ValidationError):
                found.append(Running.read(text))
        return found

    def _of(self, freeze: Freeze) -> Names:
        return Names(EVERYBODY) if freeze.scope is Scope.ALL else self.names


def check_lift(lift: Lift, freeze: Freeze, roster: Roster) -> None:
    """Return if `lift` ends `freeze`. Raises DecisionRefused."""
    if not hmac.compare_digest(lift.freeze_digest.encode(), freeze.digest().encode()) or lift.tenant != freeze.tenant:
        raise DecisionRefused("other_freeze", "the lift is on another freeze than the one that stands")
    if lift.person == freeze.person:
        raise DecisionRefused("second_person", f"{lift.person} froze {freeze}, so somebody else must lift it")
    check_signature(lift, roster)


def _ends(written: bytes, freeze: Freeze, roster: Roster) -> bool:
    try:
        check_lift(Lift.read(written), freeze, roster)
    except (ValidationError, DecisionRefused):
        return False
    return True


def _field(freeze: Freeze) -> str:
    return f"{freeze.scope}:{freeze.name}"


def _read(written: bytes, tenant: str) -> Freeze:
    """The order; one that stands where it does not belong is none. Everybody's has no tenant."""
    try:
        freeze = Freeze.read(written)
    except ValidationError:
        return UNREADABLE
    return freeze if (freeze.tenant, freeze.scope is Scope.ALL) == (tenant, not tenant) else UNREADABLE
