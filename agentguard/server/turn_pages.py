"""The page of the calls of one turn: one card, each call decided by its id, or all that wait at once.

Rules:
- a decision on all is on exactly the cards that the page showed: its form names them, and the form's token is over their digest;
- it is taken for all of them or for none: where one ended or changed in between, nothing is decided, and the page says so;
- Approve for all is offered only where every card that waits was shown whole to somebody who may decide every one of them.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from agentguard.cards import digest_of, turn_of
from agentguard.errors import DecisionRefused
from agentguard.model.approvals import CARD_DIGEST, REQUEST_ID, Decision
from agentguard.server.choices import choices_of
from agentguard.server.entrance import Entrance, FormRefused, TheEntrance, TheViewer, fields_of, written
from agentguard.server.frame import framed, part_of_page
from agentguard.server.identity import Identity
from agentguard.server.office import Office, TheOffice
from agentguard.server.views import untold_of

CHARACTERS_SHOWN = 400
"""Of each text on a card of a turn, unless all of it is asked for: several cards share one screen."""

_ITEM = re.compile(rf"({REQUEST_ID}):({CARD_DIGEST})")
_log = logging.getLogger("agentguard.server")

turn_pages = APIRouter()


@turn_pages.get("/requests/{request_id}/turn")
async def show(
    entrance: TheEntrance, office: TheOffice, viewer: TheViewer, request_id: str, whole: bool = False
) -> Response:
    """The calls of the turn that this request is part of."""
    return await _turn_page(entrance, office, viewer, request_id, whole=whole)


@turn_pages.get("/requests/{request_id}/turn/card")
async def card(
    entrance: TheEntrance, office: TheOffice, viewer: TheViewer, request_id: str, whole: bool = False
) -> Response:
    """The card alone, for a page that is open."""
    values = await _values(entrance, office, viewer, request_id, whole=whole)
    return part_of_page(entrance, viewer, "turn_card.html.j2", **values)


@turn_pages.post("/requests/{request_id}/turn/approve")
async def approve(
    request: Request, entrance: TheEntrance, office: TheOffice, viewer: TheViewer, request_id: str
) -> Response:
    """Approve exactly these calls, all of them."""
    return await _decide(request, entrance, office, viewer, request_id, Decision.APPROVE)


@turn_pages.post("/requests/{request_id}/turn/reject")
async def reject(
    request: Request, entrance: TheEntrance, office: TheOffice, viewer: TheViewer, request_id: str
) -> Response:
    """Reject these calls, all of them; the model reads the reason."""
    return await _decide(request, entrance, office, viewer, request_id, Decision.REJECT)


async def _decide(
    request: Request, entrance: Entrance, office: Office, viewer: Identity, request_id: str, decision: Decision
) -> Response:
    fields = await fields_of(request)
    cards = _cards(fields)
    entrance.check_form(fields, viewer, f"{decision.value} turn", request_id, digest_of(cards))
    try:
        await office.decide_together(cards, viewer, decision, comment=written(fields))
    except DecisionRefused as refused:
        _log.info("what %s wanted of a turn was refused: %s", viewer.person, refused.code)
        told = f"Nothing was decided, on none of these calls: {refused}"
        return await _turn_page(entrance, office, viewer, request_id, notice=told, status=409)
    _log.info("%s of %d calls of a turn by %s", decision.value, len(cards), viewer.person)
    return RedirectResponse(f"/requests/{request_id}/turn", status_code=303)


def _cards(fields: Mapping[str, str]) -> dict[str, str]:
    """What a form was on: the digest of each card, by request. Raises FormRefused."""
    items = [_ITEM.fullmatch(item) for item in fields.get("items", "").split(" ")]
    cards = {item[1]: item[2] for item in items if item is not None}
    if len(cards) != len(items):
        raise FormRefused
    return cards


async def _turn_page(
    entrance: Entrance,
    office: Office,
    viewer: Identity,
    request_id: str,
    *,
    whole: bool = False,
    notice: str = "",
    status: int = 200,
) -> Response:
    values = await _values(entrance, office, viewer, request_id, whole=whole)
    return await framed(entrance, office, viewer, "turn.html.j2", status=status, notice=notice, **values)


async def _values(
    entrance: Entrance, office: Office, viewer: Identity, request_id: str, *, whole: bool
) -> dict[str, Any]:
    together = await office.desk().show_turn(request_id)
    turn, here = turn_of(together), f"/requests/{request_id}/turn"
    may = [choices_of(entrance, office, shown.stored, viewer, here) for shown in together]
    waiting = [each for item, each in zip(turn.items, may, strict=True) if item.is_open]
    untold = list(map(untold_of, await office.outbox.all_undelivered([item.id for item in turn.items])))
    seen = [
        (shown.stored.version, item.status, item.edit, [place.where for place in places])
        for shown, item, places in zip(together, turn.items, untold, strict=True)
    ]
    return {
        "turn": turn,
        "here": "inbox",
        "request": request_id,
        "items": list(zip(turn.items, may, untold, strict=True)),
        "named": " ".join(f"{id_}:{digest}" for id_, digest in turn.cards.items()),
        "why_not": next((each.why_not for each in waiting if each.why_not), ""),
        "step_up": next((each.step_up for each in waiting if each.step_up), ""),
        "has_approved": bool(waiting) and all(each.has_approved for each in waiting),
        "whole": whole,
        "most": CHARACTERS_SHOWN,
        "version": hashlib.sha256(f"{seen} {turn.digest}".encode()).hexdigest()[:16],
    }
