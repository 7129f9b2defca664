"""The page where people stop calls, and let them go on."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import RedirectResponse, Response

from agentguard.errors import DecisionRefused
from agentguard.model.approvals import Scope
from agentguard.server.entrance import Entrance, TheEntrance, TheViewer, fields_of, written
from agentguard.server.frame import framed
from agentguard.server.identity import Identity
from agentguard.server.office import FREEZABLE, Office, TheOffice
from agentguard.server.views import freeze_of

freeze_pages = APIRouter()


class FreezeQuery(BaseModel):
    """What a link wants frozen; the form is filled with it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    scope: str = Field(default="agent", max_length=10)
    name: str = Field(default="", max_length=200)


@freeze_pages.get("/freezes")
async def freezes(
    entrance: TheEntrance, office: TheOffice, viewer: TheViewer, query: Annotated[FreezeQuery, Query()]
) -> Response:
    """What is frozen, and how to stop more or let it go on."""
    return await _freezes_page(entrance, office, viewer, query)


@freeze_pages.post("/freezes")
async def freeze(request: Request, entrance: TheEntrance, office: TheOffice, viewer: TheViewer) -> Response:
    """Stop calls at once."""
    fields = await fields_of(request)
    entrance.check_form(fields, viewer, "freeze")
    query = FreezeQuery(scope=fields.get("scope", "")[:10], name=fields.get("name", "")[:200])
    try:
        await office.freeze(viewer, *_meant(query), reason=written(fields))
    except DecisionRefused as refused:
        return await _freezes_page(entrance, office, viewer, query, notice=str(refused), status=403)
    return RedirectResponse("/freezes", status_code=303)


@freeze_pages.post("/freezes/{freeze_id}/lift")
async def lift(
    request: Request, entrance: TheEntrance, office: TheOffice, viewer: TheViewer, freeze_id: str
) -> Response:
    """Let calls go on, as a second person."""
    fields = await fields_of(request)
    entrance.check_form(fields, viewer, "lift", freeze_id)
    try:
        await office.lift(viewer, freeze_id, reason=written(fields))
    except DecisionRefused as refused:
        return await _freezes_page(entrance, office, viewer, FreezeQuery(), notice=str(refused), status=403)
    return RedirectResponse("/freezes", status_code=303)


async def _freezes_page(
    entrance: Entrance,
    office: Office,
    viewer: Identity,
    query: FreezeQuery,
    *,
    notice: str = "",
    status: int = 200,
) -> Response:
    standing = [freeze_of(one, viewer.person) for one in await office.brake().standing()]
    return await framed(
        entrance,
        office,
        viewer,
        "freezes.html.j2",
        here="freezes",
        status=status,
        standing=standing,
        query=query,
        notice=notice,
    )


def _meant(query: FreezeQuery) -> tuple[Scope, str]:
    """What is to stop, and its name. Raises DecisionRefused ("bad_scope")."""
    if query.scope not in FREEZABLE:
        raise DecisionRefused("bad_scope", "an agent, a tool or the whole tenant can be frozen here")
    return Scope(query.scope), "" if query.scope == Scope.TENANT else query.name
