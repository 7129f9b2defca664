"""Deeds: what a `once` clause lets happen a single time, and people's word on runs that may have happened.

Rules:
- all deeds of a call begin in one move, right before it runs, or none does;
- an attempt stands in the way of every other one, unless it did not run, or a person signed that it did not happen;
- a word counts if it is on that very run, verifies with today's roster, and its person is listed there.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from agentguard.approval import moves
from agentguard.approval.channel import LEASE_MS, Channel
from agentguard.approval.roster import Roster
from agentguard.approval.signing import check_signature
from agentguard.errors import DecisionRefused, RequestNotFound
from agentguard.model.approvals import Settlement, State
from agentguard.model.record import Record
from agentguard.store.redis import Part

KEPT_MS = 400 * 24 * 3600 * 1000
"""How long it is remembered that a deed was done."""

_FIELDS = ("fence", "outcome", "until_ms", "record")


class Attempt(Record):
    """One attempt at a deed, as people see it: whose call of which tool; the request, where people were asked."""

    tool: str
    agent: str
    user: str | None
    session: str
    request: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A run that may have happened: that of the request or deed `subject`, under its fence.

    `outcome` is empty while it runs, and where its process never said; it runs as far as anybody knows until `until_ms`.
    """

    subject: str
    fence: str
    outcome: str
    attempt: Attempt | None = None
    until_ms: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class InTheWay:
    """Why deeds did not begin: the run of the deed at this index."""

    index: int
    run: Run


@dataclass(frozen=True, kw_only=True)
class Deeds:
    """One tenant's deeds. Each coroutine is one round trip, and raises GuardUnavailable."""

    channel: Channel

    async def begin(
        self, deeds: Sequence[str], fence: str, attempt: Attempt, *, gone: Collection[Run] = ()
    ) -> InTheWay | None:
        """Begin all of these, or none: then what stands in the way. `gone`: runs that verifiably did not happen."""
        names = self.channel.names
        fences = {run.subject: run.fence for run in gone}
        args: list[Part] = [fence, attempt.canonical(), LEASE_MS, KEPT_MS]
        for deed in deeds:
            args += [deed, fences.get(deed, "")]
        keys = [names.undone, *map(names.deed, deeds)]
        word, _, index, held, record, outcome = await moves.make(
            self.channel.connection, self.channel.names, moves.BEGIN, keys, args
        )
        if word == b"begun":
            return None
        run = Run(subject=deeds[index - 1], fence=_text(held), outcome=_text(outcome), attempt=_attempt(record))
        return InTheWay(index=index - 1, run=run)

    async def in_the_way(self, deeds: Sequence[str], *, gone: Collection[Run] = ()) -> InTheWay | None:
        """What would keep these from beginning now; nothing begins."""
        for index, run in enumerate(await self._runs(deeds)):
            if run.fence and run not in gone:
                return InTheWay(index=index, run=run)
        return None

    async def end(self, deeds: Sequence[str], fence: str, outcome: State | None) -> None:
        """Say how an attempt ended: done, failed or unknown; None: the call did not run after all."""
        names = self.channel.names
        keys = [names.undone, *map(names.deed, deeds)]
        await moves.make(
            self.channel.connection, self.channel.names, moves.END, keys, [fence, outcome or "nothing", KEPT_MS, *deeds]
        )

    async def run_of(self, subject: str) -> Run:
        """The run of a request or of a deed. Raises RequestNotFound."""
        connection, names = self.channel.connection, self.channel.names
        rows = await connection.pipeline(
            [("HMGET", names.claim(subject), *_FIELDS[:3]), ("HMGET", names.deed(subject), *_FIELDS)]
        )
        run = next((run for run in (_run(subject, row) for row in rows) if run.fence), None)
        if run is None:
            raise RequestNotFound(subject[:80])
        return run

    async def undone(self, *, at_most: int = 200) -> Sequence[Run]:
        """The runs of deeds that began, are not known to be done, and of which no person said anything; the newest first."""
        connection, names = self.channel.connection, self.channel.names
        found = await connection.execute("ZREVRANGE", names.undone, 0, at_most - 1)
        runs = [run for run in await self._runs([one.decode(errors="replace") for one in found]) if run.fence]
        settled = await connection.pipeline([("EXISTS", names.settled(run.fence)) for run in runs])
        return tuple(run for run, is_settled in zip(runs, settled, strict=True) if not is_settled)

    async def settle(self, settlement: Settlement) -> None:
        """Put a person's word on a run. Raises RequestNotFound, and DecisionRefused: still_runs, ended, settled_otherwise."""
        names = self.channel.names
        claim, subject = names.claim(settlement.subject), settlement.subject
        is_request = await self.channel.connection.execute("EXISTS", claim)
        keys = [
            claim if is_request else names.deed(subject),
            names.settled(settlement.fence),
            names.undone,
            names.events,
        ]
        args: list[Part] = [
            subject,
            settlement.fence,
            settlement.canonical(),
            self.channel.retention_ms if is_request else KEPT_MS,
            self.channel.events_max,
        ]
        word, now_ms, _ = await moves.make(self.channel.connection, self.channel.names, moves.SETTLE, keys, args)
        self.channel.clock.set(now_ms)
        match word:
            case b"missing":
                raise RequestNotFound(subject[:80])
            case b"executing":
                raise DecisionRefused("still_runs", f"{subject} still runs; wait for its end")
            case b"ended":
                raise DecisionRefused("ended", f"{subject} is known to be done; there is nothing to settle")
            case b"differs":
                raise DecisionRefused("settled_otherwise", f"{subject} was settled before, with another word")

    async def word_on(self, run: Run, roster: Roster) -> Settlement | None:
        """What a person verifiably said of a run; None where nobody has, or nothing of it verifies."""
        written = await self.channel.connection.execute("GET", self.channel.names.settled(run.fence))
        settlement = None if written is None else _settlement(written)
        if settlement is None or not _is_on(settlement, run, self.channel.names.tenant):
            return None
        try:
            check_signature(settlement, roster)
        except DecisionRefused:
            return None
        return settlement

    async def _runs(self, deeds: Sequence[str]) -> Sequence[Run]:
        """The last run of each deed; its fence is empty where there was none."""
        commands = [("HMGET", self.channel.names.deed(deed), *_FIELDS) for deed in deeds]
        rows = await self.channel.connection.pipeline(commands)
        return tuple(_run(deed, row) for deed, row in zip(deeds, rows, strict=True))


def _run(subject: str, row: Sequence[Any]) -> Run:
    fence, outcome, until_ms, *record = row
    return Run(
        subject=subject,
        fence=_text(fence),
        outcome=_text(outcome),
        until_ms=int(until_ms or 0),
        attempt=_attempt(record[0]) if record else None,
    )


def _is_on(settlement: Settlement, run: Run, tenant: str) -> bool:
    return settlement.tenant == tenant and hmac.compare_digest(settlement.fence.encode(), run.fence.encode())


def _settlement(written: bytes) -> Settlement | None:
    try:
        return Settlement.read(written)
    except ValidationError:
        return None


def _attempt(written: bytes | None) -> Attempt | None:
    try:
        return None if not written else Attempt.read(written)
    except ValidationError:
        return None


def _text(value: Any) -> str:
    return "" if value is None else value.decode(errors="replace")
