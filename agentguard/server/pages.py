"""The pages that list: what waits, what is over, a session, the journal; and what open screens are told. Behind a login, all of them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from agentguard.approval import Cursor, Stored
from agentguard.cards import Brief, brief_of, face_of, line
from agentguard.cards.outcome import ending_of
from agentguard.errors import ConfigurationError, GuardUnavailable
from agentguard.model.approvals import State
from agentguard.server.entrance import Entrance, TheEntrance, TheViewer
from agentguard.server.frame import framed
from agentguard.server.live import ANEW
from agentguard.server.office import Office, TheOffice
from agentguard.server.pace import TooMany
from agentguard.server.records import Records, TheRecords
from agentguard.server.rendering import page, static_file
from agentguard.server.routes import the_live
from agentguard.server.rows import rows_of

ROWS = 50
RECORDS_SHOWN = 200
LISTENERS_MAX = 1_000
LISTENERS_EACH_MAX = 100
"""Open screens of one person, so that nobody takes those of all."""

FULL_SECONDS = 20
LOOKED_AFTER_SECONDS = 1.0
"""For so long nobody looks again whether an open screen's person is logged in still."""

_OVER = tuple(set(State) - {State.PENDING})

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
    return await framed(
        entrance,
        office,
        viewer,
        "inbox.html.j2",
        here="inbox",
        briefs=await rows_of(office.channel, found.requests),
        next=found.next.written() if found.next else "",
        now_ms=office.channel.clock.now_ms(),
    )


@pages.get("/requests/{request_id}/session")
async def session_of(
    entrance: TheEntrance, office: TheOffice, viewer: TheViewer, records: TheRecords, request_id: str
) -> Response:
    """What else the session of a request did and asked for, and what its results brought."""
    values = await _session_values(office, records, request_id)
    return await framed(entrance, office, viewer, "session.html.j2", **values)


@pages.get("/requests/{request_id}/session/part")
async def session_part(office: TheOffice, viewer: TheViewer, records: TheRecords, request_id: str) -> Response:
    """The same, for a page that is open."""
    return page("session_part.html.j2", viewer=viewer, **await _session_values(office, records, request_id))


async def _session_values(office: Office, records: Records, request_id: str) -> dict[str, Any]:
    shown = await office.desk().show(request_id)
    principal = shown.stored.request.principal
    found = await office.pages.page(
        tuple(State), at_most=ROWS, wanted=lambda stored: stored.request.principal.session == principal.session
    )
    members = await office.channel.connection.execute("SMEMBERS", office.channel.names.labels(principal.session))
    return {
        "face": face_of(shown),
        "briefs": _briefs(found.requests),
        "labels": [line(member.decode(errors="replace")) for member in sorted(members)],
        "earlier": await records.earlier(principal, shown.stored.request.opened_ms),
    }


@pages.get("/history")
async def history(
    entrance: TheEntrance, office: TheOffice, viewer: TheViewer, query: Annotated[HistoryQuery, Query()]
) -> Response:
    """What is over, the newest first."""
    after = Cursor.parse(query.cursor) if query.cursor else None
    found = await office.pages.page(_OVER, at_most=ROWS, after=after, wanted=query.wants)
    following = {**query.model_dump(), "cursor": found.next.written()} if found.next else {}
    return await framed(
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
    _, unsent = await office.outbox.counts()
    return await framed(
        entrance, office, viewer, "journal.html.j2", here="journal", unsent=unsent, **looked.model_dump()
    )


@pages.get("/live")
async def live(request: Request, entrance: TheEntrance, office: TheOffice, viewer: TheViewer) -> Response:
    """What happens to requests, as server-sent events, for as long as this login lasts."""
    listening = the_live(request)
    if listening.listeners >= LISTENERS_MAX or listening.listeners_of(viewer.person) >= LISTENERS_EACH_MAX:
        raise TooMany(FULL_SECONDS)
    return StreamingResponse(
        _while_here(request, entrance, office, listening.messages(viewer.person)),
        media_type="text/event-stream",
        headers={"x-accel-buffering": "no"},
    )


@pages.get("/static/{version}/{name}")
async def static(version: str, name: str) -> Response:
    """Script, style and icon."""
    return static_file(version, name) or Response(status_code=404)


async def _while_here(
    request: Request, entrance: Entrance, office: Office, messages: AsyncIterator[str]
) -> AsyncIterator[str]:
    looked = time.monotonic()
    async for message in messages:
        is_here: bool | None = True
        if time.monotonic() - looked > LOOKED_AFTER_SECONDS:
            is_here = await _is_here(request, entrance, office)
            looked = time.monotonic() if is_here else looked
        if is_here is False:
            return
        yield message if is_here else ANEW


async def _is_here(request: Request, entrance: Entrance, office: Office) -> bool | None:
    """Whether the person of an open screen is logged in still; None where Redis or approvers.yaml can't tell now."""
    try:
        return await entrance.logged_in(request, office) is not None
    except (GuardUnavailable, ConfigurationError):
        return None


def _briefs(found: Sequence[Stored]) -> list[Brief]:
    return [brief_of(stored) for stored in found]
