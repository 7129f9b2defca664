"""The page of what people granted along with approvals, where anybody ends a grant."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from agentguard.errors import DecisionRefused, RequestNotFound
from agentguard.server.entrance import Entrance, TheEntrance, TheViewer, fields_of, written
from agentguard.server.frame import framed
from agentguard.server.identity import Identity
from agentguard.server.office import Office, TheOffice
from agentguard.server.views import grant_of

grant_pages = APIRouter()


@grant_pages.get("/grants")
async def grants(entrance: TheEntrance, office: TheOffice, viewer: TheViewer) -> Response:
    """What is granted and not over."""
    return await _grants_page(entrance, office, viewer)


@grant_pages.post("/grants/{request_id}/revoke")
async def revoke(
    request: Request, entrance: TheEntrance, office: TheOffice, viewer: TheViewer, request_id: str
) -> Response:
    """End a grant at once."""
    fields = await fields_of(request)
    entrance.check_form(fields, viewer, "revoke", request_id)
    try:
        await office.revoke(viewer, request_id, reason=written(fields))
    except RequestNotFound:
        raise
    except DecisionRefused as refused:
        return await _grants_page(entrance, office, viewer, notice=str(refused), status=403)
    return RedirectResponse("/grants", status_code=303)


async def _grants_page(
    entrance: Entrance, office: Office, viewer: Identity, *, notice: str = "", status: int = 200
) -> Response:
    granted = [grant_of(each) for each in await office.granted()]
    return await framed(
        entrance, office, viewer, "grants.html.j2", here="grants", status=status, grants=granted, notice=notice
    )
