"""Which places are told of an event: those that policy names, and of what follows those that were told.

Rules:
- a request is told where its policy says, or where it says nothing to every place without a name;
- what comes of it is told where it was told, whatever policy says by then; that more people may decide, to every place without a name too;
- where a place can't be told, every other one that the request may go to is;
- a place that policy names and this server doesn't have is said in the log, and those without a name are told in its stead.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agentguard.approval import CALLS_PEOPLE, Channel, Place, Turn, routed
from agentguard.server.messages import turn_of
from agentguard.server.outbox import Delivery, Outbox

_log = logging.getLogger("agentguard.server")


@dataclass(frozen=True, kw_only=True)
class Addressing:
    """The places of one server. Raises GuardUnavailable."""

    channel: Channel
    outbox: Outbox
    places: Sequence[Place]

    async def deliveries(self, events: Sequence[Mapping[str, bytes]]) -> list[Delivery]:
        """What these events make, in their order. Whom a request was told is kept before anything is sent."""
        found = [(turn, event.get("place", b"").decode(errors="replace")) for event in events if (turn := _turn(event))]
        requests = list(dict.fromkeys(turn.request for turn, _ in found))
        names = await self._names(requests)
        before = await self.outbox.told(requests)
        now = {request: set(told) for request, told in before.items()}
        made: list[Delivery] = []
        for turn, failing in found:
            told = now[turn.request]
            for place in self._places(turn, names[turn.request], told, failing):
                told |= {place.id} if turn.kind in CALLS_PEOPLE else set()
                if _wants(place, turn):
                    made.append(Delivery(endpoint=place.id, where=place.where, turn=turn))
        await self.outbox.remember_told({request: told - before[request] for request, told in now.items()})
        return made

    def _places(self, turn: Turn, names: Sequence[str], told: set[str], failing: str) -> Sequence[Place]:
        meant, missing = routed(names, self.places)
        if turn.kind not in CALLS_PEOPLE:
            return [place for place in self.places if place.id in told] if told else meant
        if missing:
            unknown = ", ".join(sorted(missing))
            _log.error("request %s: no place here is called %s; those without a name are told", turn.request, unknown)
        if turn.kind == "request.opened":
            return meant
        if turn.kind == "request.escalated":
            return [place for place in self.places if place.id in told or not place.is_named]
        others = [place for place in self.places if not place.is_named and place.id not in {*told, failing}]
        if not others:
            _log.error("request %s: a place can't be told of it, and there is none in its stead", turn.request)
        return others

    async def _names(self, requests: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """What policy says of each; nothing of one that can't be read."""
        cards = await self.channel.read_cards(requests)
        return {
            request: stored.request.notify if stored is not None else ()
            for request, stored in zip(requests, cards, strict=True)
        }


def _wants(place: Place, turn: Turn) -> bool:
    """Whether a place is told of a turn; one whose channel, which may be foreign code, can't say is told."""
    try:
        return place.notifier.wants(turn)
    except Exception as error:  # noqa: BLE001 - its text may hold anything
        _log.error("%s: its channel broke (%s) and is told of %s", place.where, type(error).__name__, turn.kind)
        return True


def _turn(event: Mapping[str, bytes]) -> Turn | None:
    """What an event tells; None also for one that agentguard did not write."""
    request, kind, state, when = (
        event.get(name, b"").decode(errors="replace") for name in ("request", "kind", "state", "time_ms")
    )
    return turn_of(request, kind, state, int(when)) if when.isdecimal() and when.isascii() and len(when) < 16 else None
