"""The page of one request, and the forms on it. Only a form that comes from such a page decides anything.

Rules:
- a GET shows, and changes nothing;
- Approve is offered, and taken, only for a card that was shown whole: the form's token is given with that card alone;
- after a decision the page is shown anew, and says what became of the request;
- its links to a freeze carry the names themselves (`names`), and not as a card spells what nobody sees: that would stop nothing.
"""

from __future__ import annotations

import hashlib
import json
import logging
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from agentguard.cards import Argument, face_of
from agentguard.errors import DecisionRefused
from agentguard.model.approvals import Decision, Found
from agentguard.model.record import Json
from agentguard.server.choices import choices_of
from agentguard.server.entrance import Entrance, TheEntrance, TheViewer, fields_of, written
from agentguard.server.frame import framed, part_of_page
from agentguard.server.granting import chosen
from agentguard.server.identity import Identity
from agentguard.server.office import Office, TheOffice
from agentguard.server.views import untold_of

CHARACTERS_SHOWN = 1_200
"""Of each text on a card, unless all of it is asked for."""

_OVERTAKEN = frozenset({"ended", "changed", "other_card", "forged", "late", "still_runs", "settled_otherwise"})
_log = logging.getLogger("agentguard.server")

request_pages = APIRouter()


@request_pages.get("/requests/{request_id}")
async def show(
    entrance: TheEntrance, office: TheOffice, viewer: TheViewer, request_id: str, whole: bool = False
) -> Response:
    """One request."""
    return await _request_page(entrance, office, viewer, request_id, whole=whole)


@request_pages.get("/requests/{request_id}/card")
async def card(
    entrance: TheEntrance, office: TheOffice, viewer: TheViewer, request_id: str, whole: bool = False
) -> Response:
    """The card alone, for a page that is open."""
    values = await _card_values(entrance, office, viewer, request_id, whole=whole)
    return part_of_page(entrance, viewer, "request_card.html.j2", unmasked=None, **values)


@request_pages.post("/requests/{request_id}/approve")
async def approve(
    request: Request, entrance: TheEntrance, office: TheOffice, viewer: TheViewer, request_id: str
) -> Response:
    """Approve exactly this call."""
    return await _decide(request, entrance, office, viewer, request_id, Decision.APPROVE)


@request_pages.post("/requests/{request_id}/reject")
async def reject(
    request: Request, entrance: TheEntrance, office: TheOffice, viewer: TheViewer, request_id: str
) -> Response:
    """Reject the call; the model reads the reason."""
    return await _decide(request, entrance, office, viewer, request_id, Decision.REJECT)


@request_pages.post("/requests/{request_id}/edit")
async def edit(
    request: Request, entrance: TheEntrance, office: TheOffice, viewer: TheViewer, request_id: str
) -> Response:
    """Change an argument before anybody approves; the changed call is shown as a new card."""
    fields = await fields_of(request)
    digest = fields.get("card_digest", "")
    entrance.check_form(fields, viewer, "edit", request_id, digest)
    try:
        changes = {fields.get("name", ""): _value(fields.get("value", ""))}
        await office.edit(request_id, viewer, changes, card_digest=digest, comment=written(fields))
    except DecisionRefused as refused:
        if refused.code not in ("edit_waits", "edit_refused"):  # the card tells of both
            return await _told_on_page(entrance, office, viewer, request_id, refused)
    return RedirectResponse(f"/requests/{request_id}", status_code=303)


@request_pages.post("/requests/{request_id}/unmask")
async def unmask(
    request: Request, entrance: TheEntrance, office: TheOffice, viewer: TheViewer, request_id: str
) -> Response:
    """Show the real value of one argument, on record."""
    fields = await fields_of(request)
    entrance.check_form(fields, viewer, "unmask", request_id)
    name = fields.get("name", "")
    try:
        value = await office.unmask(request_id, viewer, name)
    except DecisionRefused as refused:
        return await _told_on_page(entrance, office, viewer, request_id, refused)
    shown = Argument(name=name, value=value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return await _request_page(entrance, office, viewer, request_id, unmasked=shown)


@request_pages.post("/requests/{request_id}/settle")
async def settle(
    request: Request, entrance: TheEntrance, office: TheOffice, viewer: TheViewer, request_id: str
) -> Response:
    """Say whether a call that may have run did."""
    fields = await fields_of(request)
    entrance.check_form(fields, viewer, "settle", request_id)
    try:
        found = Found.HAPPENED if fields.get("found") == Found.HAPPENED else Found.DID_NOT
        await office.settle(request_id, viewer, found, comment=written(fields))
    except DecisionRefused as refused:
        return await _told_on_page(entrance, office, viewer, request_id, refused)
    return RedirectResponse(f"/requests/{request_id}", status_code=303)


async def _decide(
    request: Request, entrance: Entrance, office: Office, viewer: Identity, request_id: str, decision: Decision
) -> Response:
    fields = await fields_of(request)
    digest = fields.get("card_digest", "")
    entrance.check_form(fields, viewer, decision.value, request_id, digest)
    try:
        resolution = await office.decide(
            request_id, viewer, decision, card_digest=digest, comment=written(fields), grant=chosen(fields)
        )
    except DecisionRefused as refused:
        return await _told_on_page(entrance, office, viewer, request_id, refused)
    _log.info("%s of %s by %s; it is %s", decision.value, resolution.request, viewer.person, resolution.state.value)
    to_turn = "/turn" if fields.get("back") == "turn" else ""
    return RedirectResponse(f"/requests/{resolution.request}{to_turn}", status_code=303)


async def _told_on_page(
    entrance: Entrance, office: Office, viewer: Identity, request_id: str, refused: DecisionRefused
) -> Response:
    """The page again, with why nothing was decided. An absent request has none."""
    if refused.code == "not_found":
        raise refused
    _log.info("what %s wanted of a request was refused: %s", viewer.person, refused.code)
    status = 409 if refused.code in _OVERTAKEN else 403
    return await _request_page(entrance, office, viewer, request_id, notice=str(refused), status=status)


async def _request_page(
    entrance: Entrance,
    office: Office,
    viewer: Identity,
    request_id: str,
    *,
    whole: bool = False,
    notice: str = "",
    status: int = 200,
    unmasked: Argument | None = None,
) -> Response:
    values = await _card_values(entrance, office, viewer, request_id, whole=whole)
    return await framed(
        entrance, office, viewer, "request.html.j2", status=status, notice=notice, unmasked=unmasked, **values
    )


async def _card_values(
    entrance: Entrance, office: Office, viewer: Identity, request_id: str, *, whole: bool
) -> dict[str, Any]:
    shown = await office.desk().show(request_id)
    stored, face = shown.stored, face_of(shown)
    untold = untold_of(await office.outbox.undelivered(request_id))
    seen = (stored.version, stored.state, face.card_digest, face.standings, face.edit, face.status)
    return {
        "face": face,
        "whole": whole,
        "most": CHARACTERS_SHOWN,
        "may": choices_of(entrance, office, stored, viewer, f"/requests/{stored.request.id}"),
        "untold": untold,
        "names": {"agent": stored.request.principal.agent, "tool": stored.request.tool},
        "version": hashlib.sha256(f"{seen} {[place.where for place in untold]}".encode()).hexdigest()[:16],
    }


def _value(written: str) -> Json:
    """An argument's new value: JSON, or else the text itself."""
    try:
        return json.loads(written)
    except (ValueError, RecursionError):
        return written
