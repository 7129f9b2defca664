"""Requests page by page: what waits by its deadline, then what is over, the newest first.

Rules:
- a cursor says where the page before ended, and stays right while requests come and go;
- a page looks at SCANNED_MAX requests at most: with a narrow filter it may be short, or empty, and still have a next one.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from agentguard.approval.channel import Channel
from agentguard.approval.stored import Stored
from agentguard.errors import DecisionRefused
from agentguard.model.approvals import State
from agentguard.model.record import Record

SCANNED_MAX = 1_000
_AT_ONCE = 100

Where = Literal["pending", "ended"]


class Cursor(Record):
    """Where a page ended: in which list, at which score, and the last id there."""

    where: Where
    score: int
    id: str

    def written(self) -> str:
        """The cursor as text for a URL."""
        return base64.urlsafe_b64encode(self.canonical().encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """The cursor in a text. Raises DecisionRefused ("bad_cursor")."""
        try:
            return cls.read(base64.urlsafe_b64decode(text[:400] + "=" * (-len(text) % 4)))
        except (binascii.Error, ValueError, ValidationError):
            raise DecisionRefused("bad_cursor", "that is no cursor of this list; begin anew without one") from None


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Some requests, without their input, and the cursor of the next page; None after the last."""

    requests: tuple[Stored, ...]
    next: Cursor | None


@dataclass(frozen=True, kw_only=True)
class Pages:
    """The pages of one tenant's requests. Raises GuardUnavailable."""

    channel: Channel

    async def page(
        self,
        states: Collection[State],
        *,
        at_most: int,
        after: Cursor | None = None,
        wanted: Callable[[Stored], bool] = lambda _: True,
    ) -> Page:
        """The requests in these states that are wanted, after a cursor."""
        await self.channel.learn_time()
        found: list[Stored] = []
        at, scanned = after or Cursor(where="pending", score=self.channel.clock.now_ms(), id=""), 0
        if at.where == "pending" and State.PENDING not in states:
            at = _BEGINNING
        while scanned < SCANNED_MAX:
            some = await self._after(at)
            if not some and at.where == "pending" and set(states) - {State.PENDING}:
                at = _BEGINNING
                continue
            if not some:
                return Page(requests=tuple(found), next=None)
            readable = await self.channel.read_cards([id_ for id_, _ in some])
            for (id_, score), stored in zip(some, readable, strict=True):
                at, scanned = Cursor(where=at.where, score=score, id=id_), scanned + 1
                if stored is not None and stored.state in states and wanted(stored):
                    found.append(stored)
                if len(found) == at_most:
                    return Page(requests=tuple(found), next=at)
        return Page(requests=tuple(found), next=at)

    async def waiting(self) -> int:
        """How many requests wait."""
        await self.channel.learn_time()
        now_ms = self.channel.clock.now_ms()
        return int(await self.channel.connection.execute("ZCOUNT", self.channel.names.pending, now_ms, "+inf"))

    async def _after(self, at: Cursor) -> list[tuple[str, int]]:
        """The next ids and scores of a list; those with the cursor's own score come by their id, as Redis sorts them."""
        names, offset = self.channel.names, 0
        while True:
            limit = ("LIMIT", offset, _AT_ONCE)
            if at.where == "pending":
                query = ("ZRANGEBYSCORE", names.pending, at.score, "+inf", "WITHSCORES", *limit)
            else:
                query = ("ZREVRANGEBYSCORE", names.ended, at.score, "-inf", "WITHSCORES", *limit)
            reply = await self.channel.connection.execute(*query)
            pairs = [(one.decode(errors="replace"), int(float(score))) for one, score in _paired(reply)]
            later = [pair for pair in pairs if _is_after(pair, at)]
            if later or len(pairs) < _AT_ONCE:
                return later
            offset += _AT_ONCE


_BEGINNING = Cursor(where="ended", score=2**53, id="")


def _is_after(pair: tuple[str, int], at: Cursor) -> bool:
    id_, score = pair
    if not at.id or score != at.score:
        return True
    return id_ > at.id if at.where == "pending" else id_ < at.id


def _paired(reply: list[object]) -> list[tuple[bytes, bytes]]:
    """Members and scores, from a flat reply or one of pairs."""
    if reply and isinstance(reply[0], (list, tuple)):
        return [(one[0], one[1]) for one in reply]  # type: ignore[index]
    return list(zip(reply[::2], reply[1::2], strict=True))  # type: ignore[arg-type]
