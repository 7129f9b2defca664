"""The routes. Those under /api/v1 are behind the door; only a POST to `approve` or `reject` decides anything."""

from __future__ import annotations

import logging
from typing import Annotated, cast

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Request
from fastapi.security import HTTPBearer
from starlette.responses import JSONResponse, Response

from agentguard.approval import Cursor
from agentguard.errors import DecisionRefused, GuardUnavailable
from agentguard.model.approvals import Decision, Resolution
from agentguard.server.door import IDENTITY
from agentguard.server.identity import Identity
from agentguard.server.live import Live
from agentguard.server.metrics import MEDIA_TYPE
from agentguard.server.office import Office
from agentguard.server.problems import documented, problem, refused
from agentguard.server.repeats import Repeats
from agentguard.server.views import DecideBody, Listing, ListQuery, RequestView, summary_of, view_of

_log = logging.getLogger("agentguard.server")
_bearer = HTTPBearer(auto_error=False, description="A token of `agentguard token create NAME`; it decides as NAME.")

api = APIRouter(prefix="/api/v1", dependencies=[Depends(_bearer)], responses=documented(401, 422, 429, 503))
health = APIRouter()

_DECIDING = documented(400, 403, 404, 408, 409, 413, 415)


class NotAuthenticated(Exception):
    """Nobody said who the caller is: the door was not passed."""


def the_office(request: Request) -> Office:
    """The server's office."""
    return cast("Office", request.app.state.office)


def the_caller(request: Request) -> Identity:
    """The caller, as the door named them."""
    identity = request.scope.get(IDENTITY)
    if not isinstance(identity, Identity):
        raise NotAuthenticated
    return identity


def the_live(request: Request) -> Live:
    """What tells open screens."""
    return cast("Live", request.app.state.live)


TheOffice = Annotated[Office, Depends(the_office)]
TheCaller = Annotated[Identity, Depends(the_caller)]
RequestId = Annotated[str, Path(description="The request's id.")]
IdempotencyKey = Annotated[
    str | None, Header(description="A name of your own for this very call: made again, it gets the same answer.")
]


@api.get("/requests")
async def list_requests(office: TheOffice, caller: TheCaller, query: Annotated[ListQuery, Query()]) -> Listing:
    """Requests in the states given, pending ones by their deadline, then the newest others; `next` is the next page's cursor."""
    after = None if query.cursor is None else Cursor.parse(query.cursor)
    page = await office.pages.page(query.state, at_most=query.limit, after=after)
    return Listing(
        requests=tuple(map(summary_of, page.requests)), next=None if page.next is None else page.next.written()
    )


@api.get("/requests/{request_id}", responses=documented(404, 409))
async def show_request(office: TheOffice, caller: TheCaller, request_id: RequestId) -> RequestView:
    """One request whole, with the digest of its card that a decision must name."""
    return view_of(await office.desk().show(request_id))


@api.post("/requests/{request_id}/approve", response_model=Resolution, responses=_DECIDING)
async def approve(
    office: TheOffice,
    caller: TheCaller,
    request_id: RequestId,
    body: Annotated[DecideBody, Body()],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Approve exactly this call, as the token's person. The same approval again changes nothing."""
    return await _decide(office, caller, request_id, Decision.APPROVE, body, idempotency_key)


@api.post("/requests/{request_id}/reject", response_model=Resolution, responses=_DECIDING)
async def reject(
    office: TheOffice,
    caller: TheCaller,
    request_id: RequestId,
    body: Annotated[DecideBody, Body()],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Reject the call, as the token's person; the model reads the comment."""
    return await _decide(office, caller, request_id, Decision.REJECT, body, idempotency_key)


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


@health.get("/metrics")
async def metrics(request: Request, office: TheOffice) -> Response:
    """Counts for Prometheus."""
    gauges = {"agentguard_requests_waiting": float(await office.waiting())}
    gauges["agentguard_open_screens"] = float(the_live(request).listeners)
    return Response(office.metrics.written(gauges), headers={"content-type": MEDIA_TYPE})


async def _decide(
    office: Office, caller: Identity, request_id: str, decision: Decision, body: DecideBody, key: str | None
) -> Response:
    async def answer() -> Response:
        try:
            resolution = await office.decide(
                request_id, caller, decision, card_digest=body.card_digest, comment=body.comment
            )
        except DecisionRefused as error:
            _log.info("%s of a request by %s was refused: %s", decision.value, caller.person, error.code)
            return await _refused(office, request_id, error)
        _log.info("%s of %s by %s; it is %s", decision.value, resolution.request, caller.person, resolution.state.value)
        return JSONResponse(resolution.model_dump(mode="json"))

    repeats = Repeats(connection=office.channel.connection, names=office.channel.names)
    return await repeats.once(key, caller.person, f"{decision} {request_id} {body.canonical()}", answer)


async def _refused(office: Office, request_id: str, error: DecisionRefused) -> Response:
    """Why; and where the request ended, in which state."""
    if error.code != "ended":
        return refused(error)
    stored = await office.channel.read(request_id)
    return problem(409, "ended", str(error), state=stored.state.value)
