"""The rows of the inbox: one for each request, or for the calls of one turn; the same on a page that is opened and on one that changes."""

from __future__ import annotations

import json
from collections.abc import Sequence

from agentguard.approval import Channel, Pages, Stored
from agentguard.cards import Brief, brief_of, brief_of_turn
from agentguard.errors import DecisionRefused
from agentguard.model.approvals import State
from agentguard.server.rendering import part


async def rows_of(channel: Channel, waiting: Sequence[Stored]) -> list[Brief]:
    """The rows of these requests: a turn's stands where its most urgent call would."""
    found = zip(waiting, await channel.together(waiting), strict=True)
    return [_row(together) for stored, together in found if stored.request.id == _first(together).request.id]


async def row_told(channel: Channel, request_id: str) -> str | None:
    """What open screens are told of a request, as one line of JSON: the row that it stands in now, and the rows that this one replaces."""
    try:
        stored = (await channel.read_cards([request_id]))[0]
    except DecisionRefused:
        return None
    if stored is None:
        return None
    (together,) = await channel.together([stored])
    brief = _row(together)
    return json.dumps(
        {
            "id": request_id,
            "state": stored.state,
            "turn": stored.request.turn,
            "waits": brief.state is State.PENDING,
            "waiting": await Pages(channel=channel).waiting(),
            "instead_of": [each.request.id for each in together],
            "html": part("row.html.j2", "row", brief),
        }
    )


def _row(together: Sequence[Stored]) -> Brief:
    return brief_of_turn(together) if len(together) > 1 else brief_of(together[0])


def _first(together: Sequence[Stored]) -> Stored:
    waiting = [stored for stored in together if stored.state is State.PENDING]
    return min(waiting or together, key=lambda stored: (stored.request.deadline_ms, stored.request.id))
