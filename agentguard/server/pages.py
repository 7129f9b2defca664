"""The pages where people decide. Behind a login, all of them; only a form that comes from one of them decides anything.

Rules:
- a GET shows, and changes nothing;
- Approve is offered, and taken, only for a card that was shown whole: the form's token is given with that card alone;
- after a decision the page is shown anew, and says what became of the request.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import RedirectResponse, Response, StreamingResponse

from agentguard.approval import Cursor, Shown, Stored
from agentguard.cards import Brief, brief_of, face_of, line
from agentguard.cards.outcome import ending_of
from agentguard.errors import DecisionRefused
from agentguard.model.approvals import Decision, State
from agentguard.model.verdicts import Risk
from agentguard.server.entrance import Entrance, TheEntrance, TheOffice, TheViewer, fields_of
from agentguard.server.identity import Identity
from agentguard.server.live import Live
from agentguard.server.office import Office
from agentguard.server.pace import TooMany
from agentguard.server.records import TheRecords
from agentguard.server.rendering import page, part, static_file
from agentguard.server.routes import the_live

ROWS = 50
CHARACTERS_SHOWN = 1_200
"""Of each text on a card, unless all of it is asked for."""

RECORDS_SHOWN = 200
LISTENERS_MAX = 1_000
LOOKED_AFTER_SECONDS = 20
"""How often an open screen must show again that its person is logged in."""

_OVER = tuple(set(State) - {State.PENDING})
_log = logging.getLogger("agentguard.server")

pages = APIRouter()


class HistoryQuery(BaseModel):
    """What is searched for."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    q: str = Field(default="", max_length=100)
    ending: str = Field(default="", max_length=20)
    risk: str = Field(default="", max_length=20)
    cursor: str = Field(default="", max_length=400)

    def wants(self, stored: Stored) -> bool:
        """Whether a request is one of those."""
        card = stored.request.card
        text = " ".join((stored.request.id, card.title, card.tool, card.agent, card.user or "", card.deployment))
        return (
            (not self.ending or ending_of(stored) == self.ending)
            and (not self.risk or card.risk == self.risk)
            and all(word in text.casefold() for word in self.q.casefold().split())
        )


@pages.get("/")
async def inbox(
    entrance: TheEntrance, office: TheOffice, viewer: TheViewer, cursor: Annotated[str, Query(max_length=400)] = ""
) -> Response:
    """What waits, the most urgent first."""
    after = Cursor.parse(cursor) if cursor else None
    found = await office.pages.page((State.PENDING,), at_most=ROWS, after=after)
    return await _page(
        entrance,
        office,
        viewer,
        "inbox.html.j2",
        here="inbox",
        briefs=_briefs(found.requests),
        next=found.next.written() if found.next else "",
        now_ms=office.channel.clock.now_ms(),
    )


@pages.get("/requests/{request_id}")
async def show(
    entrance: TheEntrance, office: TheOffice, viewer: TheViewer, request_id: str, whole: bool = False
) -> Response:
    """One request."""
    return await _request_page(entrance, office, viewer, request_id, whole=whole)


@pages.get("/requests/{request_id}/card")
async def card(
    entrance: TheEntrance, office: TheOffice, viewer: TheViewer, request_id: str, whole: bool = False
) -> Response:
    """The card alone, for a page that is open."""
    values = _card_values(entrance, office, viewer, await office.desk().show(request_id), whole=whole)
    return page("request_card.html.j2", viewer=viewer, **values)


@pages.get("/requests/{request_id}/session")
async def session_of(entrance: TheEntrance, office: TheOffice, viewer: TheViewer, request_id: str) -> Response:
    """What else the session of a request asked for, and what its results brought."""
    shown = await office.desk().show(request_id)
    wanted = shown.stored.request.principal.session
    found = await office.pages.page(
        tuple(State), at_most=ROWS, wanted=lambda stored: stored.request.principal.session == wanted
    )
    members = await office.channel.connection.execute("SMEMBERS", office.channel.names.labels(wanted))
    labels = sorted(member.decode(errors="replace") for member in members)
    return await _page(
        entrance,
        office,
        viewer,
        "session.html.j2",
        face=face_of(shown),
        briefs=_briefs(found.requests),
        labels=list(map(line, labels)),
    )


@pages.post("/requests/{request_id}/approve")
async def approve(
    request: Request, entrance: TheEntrance, office: TheOffice, viewer: TheViewer, request_id: str
) -> Response:
    """Approve exactly this call."""
    return await _decide(request, entrance, office, viewer, request_id, Decision.APPROVE)


@pages.post("/requests/{request_id}/reject")
async def reject(
    request: Request, entrance: TheEntrance, office: TheOffice, viewer: TheViewer, request_id: str
) -> Response:
    """Reject the call; the model reads the reason."""
    return await _decide(request, entrance, office, viewer, request_id, Decision.REJECT)


@pages.get("/history")
async def history(
    entrance: TheEntrance, office: TheOffice, viewer: TheViewer, query: Annotated[HistoryQuery, Query()]
) -> Response:
    """What is over, the newest first."""
    after = Cursor.parse(query.cursor) if query.cursor else None
    found = await office.pages.page(_OVER, at_most=ROWS, after=after, wanted=query.wants)
    following = {**query.model_dump(), "cursor": found.next.written()} if found.next else {}
    return await _page(
        entrance,
        office,
        viewer,
        "history.html.j2",
        here="history",
        briefs=_briefs(found.requests),
        query=query,
        next=urlencode(following),
    )


@pages.get("/journal")
async def journal(entrance: TheEntrance, office: TheOffice, viewer: TheViewer, records: TheRecords) -> Response:
    """The newest records of the journal, and whether anybody changed it."""
    looked = await records.look(RECORDS_SHOWN)
    return await _page(entrance, office, viewer, "journal.html.j2", here="journal", **looked.model_dump())


@pages.get("/live")
async def live(request: Request, entrance: TheEntrance, office: TheOffice, viewer: TheViewer) -> Response:
    """What happens to requests, as server-sent events, for as long as this login lasts."""
    listening = the_live(request)
    if listening.listeners >= LISTENERS_MAX:
        raise TooMany(LOOKED_AFTER_SECONDS)
    return StreamingResponse(
        _while_here(request, entrance, office, listening),
        media_type="text/event-stream",
        headers={"x-accel-buffering": "no"},
    )


@pages.get("/static/{version}/{name}")
async def static(version: str, name: str) -> Response:
    """Script, style and icon."""
    return static_file(version, name) or Response(status_code=404)


async def _while_here(request: Request, entrance: Entrance, office: Office, listening: Live) -> AsyncIterator[str]:
    looked = time.monotonic()
    async for message in listening.messages():
        if time.monotonic() - looked > LOOKED_AFTER_SECONDS:
            looked = time.monotonic()
            if await entrance.viewer(request, office) is None:
                return
        yield message


async def told(office: Office, request_id: str) -> str | None:
    """What open screens are told of a request, as one line of JSON."""
    try:
        stored = (await office.channel.read_cards([request_id]))[0]
    except DecisionRefused:
        return None
    if stored is None:
        return None
    brief = brief_of(stored)
    row = part("row.html.j2", "row", brief)
    return json.dumps({"id": brief.id, "state": brief.state, "html": row})


async def _decide(
    request: Request, entrance: Entrance, office: Office, viewer: Identity, request_id: str, decision: Decision
) -> Response:
    fields = await fields_of(request)
    digest = fields.get("card_digest", "")
    entrance.check_form(fields, viewer.session, decision.value, request_id, digest)
    try:
        resolution = await office.decide(request_id, viewer, decision, card_digest=digest, comment=_comment(fields))
    except DecisionRefused as refused:
        if refused.code == "not_found":
            raise
        _log.info("%s of a request by %s was refused: %s", decision.value, viewer.person, refused.code)
        status = 409 if refused.code in ("ended", "changed", "other_card", "forged", "late") else 403
        return await _request_page(entrance, office, viewer, request_id, notice=str(refused), status=status)
    _log.info("%s of %s by %s; it is %s", decision.value, resolution.request, viewer.person, resolution.state.value)
    return RedirectResponse(f"/requests/{resolution.request}", status_code=303)


async def _request_page(
    entrance: Entrance,
    office: Office,
    viewer: Identity,
    request_id: str,
    *,
    whole: bool = False,
    notice: str = "",
    status: int = 200,
) -> Response:
    values = _card_values(entrance, office, viewer, await office.desk().show(request_id), whole=whole)
    return await _page(entrance, office, viewer, "request.html.j2", status=status, notice=notice, **values)


def _card_values(entrance: Entrance, office: Office, viewer: Identity, shown: Shown, *, whole: bool) -> dict[str, Any]:
    stored, face = shown.stored, face_of(shown)
    seen = f"{stored.version} {stored.state} {face.card_digest} {' '.join(face.standings)}"
    return {
        "face": face,
        "whole": whole,
        "most": CHARACTERS_SHOWN,
        "why_not": _why_not(office, stored, viewer),
        "has_approved": _has_approved(stored, viewer),
        "step_up": _step_up(entrance, office, stored, viewer),
        "version": hashlib.sha256(seen.encode()).hexdigest()[:16],
        "form_token": lambda *purpose: entrance.cookies.form_token(viewer.session, *purpose),
    }


def _why_not(office: Office, stored: Stored, viewer: Identity) -> str:
    """Why this person can't decide this, or nothing."""
    try:
        office.desk().may_decide(stored, viewer.person, viewer.groups)
    except DecisionRefused as refused:
        return str(refused)
    return ""


def _has_approved(stored: Stored, viewer: Identity) -> bool:
    return any(vote.person == viewer.person and vote.decision is Decision.APPROVE for vote in stored.votes)


def _step_up(entrance: Entrance, office: Office, stored: Stored, viewer: Identity) -> str:
    """Where to log in again before approving this; nothing where that isn't needed."""
    if stored.request.verdict.risk is not Risk.CRITICAL or office.is_fresh(viewer):
        return ""
    here = urlencode({"next": f"/requests/{stored.request.id}", "fresh": 1})
    return f"/login/oidc?{here}" if entrance.provider is not None else "/login"


async def _page(
    entrance: Entrance, office: Office, viewer: Identity, template: str, *, status: int = 200, **values: Any
) -> Response:
    given = {"form_token": lambda *purpose: entrance.cookies.form_token(viewer.session, *purpose)} | values
    return page(template, status=status, viewer=viewer, waiting=await office.waiting(), **given)


def _briefs(found: Sequence[Stored]) -> list[Brief]:
    return [brief_of(stored) for stored in found]


def _comment(fields: dict[str, str]) -> str:
    """What somebody wrote into a form; browsers end its lines as HTTP does."""
    return fields.get("comment", "").replace("\r\n", "\n").strip()
