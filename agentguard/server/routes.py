"""The routes. Those under /api/v1 are behind the door; only a POST to `approve` or `reject` decides anything."""

from __future__ import annotations

import logging
from typing import Annotated, cast

from fastapi import APIRouter, Body, Depends, Path, Query, Request
from fastapi.security import HTTPBearer
from starlette.responses import JSONResponse, Response

from agentguard.errors import DecisionRefused, GuardUnavailable
from agentguard.model.approvals import Decision, Resolution
from agentguard.server.door import PERSON
from agentguard.server.office import Office
from agentguard.server.problems import documented, problem, refused
from agentguard.server.views import DecideBody, Listing, ListQuery, RequestView, summary_of, view_of

_log = logging.getLogger("agentguard.server")
_bearer = HTTPBearer(auto_error=False, description="A token of `agentguard token create NAME`; it decides as NAME.")

api = APIRouter(prefix="/api/v1", dependencies=[Depends(_bearer)], responses=documented(401, 422, 503))
health = APIRouter()

_DECIDING = documented(400, 403, 404, 408, 409, 413, 415)


class NotAuthenticated(Exception):
    """Nobody said who the caller is: the door was not passed."""


def the_office(request: Request) -> Office:
    """The server's office."""
    return cast("Office", request.app.state.office)


def the_person(request: Request) -> str:
    """The caller, as the door named them."""
    person = request.scope.get(PERSON)
    if not isinstance(person, str):
        raise NotAuthenticated
    return person


TheOffice = Annotated[Office, Depends(the_office)]
ThePerson = Annotated[str, Depends(the_person)]
RequestId = Annotated[str, Path(description="The request's id.")]


@api.get("/requests")
async def list_requests(office: TheOffice, person: ThePerson, query: Annotated[ListQuery, Query()]) -> Listing:
    """Requests in the states given, pending ones by their deadline, then the newest others."""
    found = await office.desk().list(query.state, at_most=query.limit)
    return Listing(requests=tuple(map(summary_of, found)))


@api.get("/requests/{request_id}", responses=documented(404, 409))
async def show_request(office: TheOffice, person: ThePerson, request_id: RequestId) -> RequestView:
    """One request whole, with the digest of its card that a decision must name."""
    return view_of(await office.desk().show(request_id))


@api.post("/requests/{request_id}/approve", response_model=Resolution, responses=_DECIDING)
async def approve(
    office: TheOffice, person: ThePerson, request_id: RequestId, body: Annotated[DecideBody, Body()]
) -> Resolution | Response:
    """Approve exactly this call, as the token's person. The same approval again changes nothing."""
    return await _decide(office, person, request_id, Decision.APPROVE, body)


@api.post("/requests/{request_id}/reject", response_model=Resolution, responses=_DECIDING)
async def reject(
    office: TheOffice, person: ThePerson, request_id: RequestId, body: Annotated[DecideBody, Body()]
) -> Resolution | Response:
    """Reject the call, as the token's person; the model reads the comment."""
    return await _decide(office, person, request_id, Decision.REJECT, body)


@health.get("/healthz")
async def healthz() -> JSONResponse:
    """Whether the process answers."""
    return JSONResponse({"status": "ok"})


@health.get("/readyz")
async def readyz(office: TheOffice) -> Response:
    """Whether it can decide and tell: Redis answers, and its own work goes on."""
    try:
        ready = await office.ready()
    except GuardUnavailable:
        ready = False
    return JSONResponse({"status": "ready"}) if ready else problem(503, "not_ready", "not ready")


async def _decide(
    office: Office, person: str, request_id: str, decision: Decision, body: DecideBody
) -> Resolution | Response:
    try:
        resolution = await office.decide(
            request_id, person, decision, card_digest=body.card_digest, comment=body.comment
        )
    except DecisionRefused as error:
        _log.info("%s of a request by %s was refused: %s", decision.value, person, error.code)
        return await _refused(office, request_id, error)
    _log.info("%s of %s by %s; it is %s", decision.value, resolution.request, person, resolution.state.value)
    return resolution


async def _refused(office: Office, request_id: str, error: DecisionRefused) -> Response:
    """Why; and where the request ended, in which state."""
    if error.code != "ended":
        return refused(error)
    stored = await office.channel.read(request_id)
    return problem(409, "ended", str(error), state=stored.state.value)
