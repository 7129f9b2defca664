"""The routes of requests, under /api/v1 and behind the door, and those that say how the server is. Only a POST changes anything."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Annotated, cast

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Request
from fastapi.security import HTTPBearer
from starlette.responses import JSONResponse, Response

from agentguard.approval import Cursor
from agentguard.cards import brief_of
from agentguard.errors import DecisionRefused, GuardUnavailable
from agentguard.model.approvals import Decision, Found, Resolution
from agentguard.model.record import Json, Record
from agentguard.server.bodies import ApproveBody, DecideBody, EditBody, ListQuery, SettleBody, TogetherBody
from agentguard.server.door import IDENTITY
from agentguard.server.identity import Identity
from agentguard.server.live import Live
from agentguard.server.metrics import MEDIA_TYPE
from agentguard.server.office import Office, TheOffice
from agentguard.server.problems import documented, problem, refused
from agentguard.server.views import (
    BallotView,
    Listing,
    RequestView,
    Resolutions,
    SettlementView,
    ballot_of,
    settlement_of,
    view_of,
)

_log = logging.getLogger("agentguard.server")
BEARER = HTTPBearer(auto_error=False, description="A token of `agentguard token create NAME`; it decides as NAME.")

api = APIRouter(prefix="/api/v1", dependencies=[Depends(BEARER)], responses=documented(401, 422, 429, 503))
health = APIRouter()

DECIDING = documented(400, 403, 404, 408, 409, 413, 415)
_EDITING: dict[int | str, dict[str, Json]] = {
    202: {"model": RequestView, "description": "The agent's side has not answered yet; `edit` says so."},
    **DECIDING,
}


class NotAuthenticated(Exception):
    """Nobody said who the caller is: the door was not passed."""


def the_caller(request: Request) -> Identity:
    """The caller, as the door named them."""
    identity = request.scope.get(IDENTITY)
    if not isinstance(identity, Identity):
        raise NotAuthenticated
    return identity


def the_live(request: Request) -> Live:
    """What tells open screens."""
    return cast("Live", request.app.state.live)


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
        requests=tuple(map(brief_of, page.requests)), next=None if page.next is None else page.next.written()
    )


@api.get("/requests/{request_id}", responses=documented(404, 409))
async def show_request(office: TheOffice, caller: TheCaller, request_id: RequestId) -> RequestView:
    """One request whole, with the digest of its card that a decision must name, and which places could not be told of it."""
    shown = await office.desk().show(request_id)
    return view_of(shown, await office.outbox.undelivered(request_id))


@api.get("/requests/{request_id}/ballot", responses=documented(403, 404, 409))
async def ballot(office: TheOffice, caller: TheCaller, request_id: RequestId) -> BallotView:
    """What the token's person would sign now, to vote with a key of their own; their decision and comment come to it."""
    return ballot_of(await office.desk().ballot(request_id, caller.person))


@api.post("/requests/{request_id}/approve", response_model=Resolution, responses=DECIDING)
async def approve(
    office: TheOffice,
    caller: TheCaller,
    request_id: RequestId,
    body: Annotated[ApproveBody, Body()],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Approve exactly this call, as the token's person, and grant a few more where the card offers that; again it changes nothing."""
    return await _decide(office, caller, request_id, Decision.APPROVE, body, idempotency_key)


@api.post("/requests/{request_id}/reject", response_model=Resolution, responses=DECIDING)
async def reject(
    office: TheOffice,
    caller: TheCaller,
    request_id: RequestId,
    body: Annotated[DecideBody, Body()],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Reject the call, as the token's person; the model reads the comment."""
    given = ApproveBody(card_digest=body.card_digest, comment=body.comment)
    return await _decide(office, caller, request_id, Decision.REJECT, given, idempotency_key)


@api.post("/requests/{request_id}/edit", response_model=RequestView, responses=_EDITING)
async def edit(
    office: TheOffice,
    caller: TheCaller,
    request_id: RequestId,
    body: Annotated[EditBody, Body()],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Change arguments before anybody approves: the request as the agent's side answered, or 202 while it has not."""

    async def answer() -> Response:
        status = 200
        try:
            await office.edit(request_id, caller, body.changes, card_digest=body.card_digest, comment=body.comment)
        except DecisionRefused as error:
            if error.code != "edit_waits":
                raise
            status = 202
        return answered(view_of(await office.desk().show(request_id)), status)

    return await once(office, caller, idempotency_key, f"edit {request_id} {body.canonical()}", answer, request_id)


@api.post("/requests/{request_id}/settle", response_model=SettlementView, responses=DECIDING)
async def settle(
    office: TheOffice,
    caller: TheCaller,
    request_id: RequestId,
    body: Annotated[SettleBody, Body()],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Say whether a call that may have run did; the id is the request's, or the one in the refusal of a call that may happen once."""

    async def answer() -> Response:
        return answered(settlement_of(await office.settle(request_id, caller, Found(body.found), comment=body.comment)))

    return await once(office, caller, idempotency_key, f"settle {request_id} {body.canonical()}", answer)


@api.post("/decisions", response_model=Resolutions, responses=DECIDING)
async def decide_together(
    office: TheOffice,
    caller: TheCaller,
    body: Annotated[TogetherBody, Body()],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Approve or reject several calls of one turn: all of them, or none where one ended or is not what was shown."""

    async def answer() -> Response:
        decision = Decision(body.decision)
        resolutions = await office.decide_together(body.cards, caller, decision, comment=body.comment)
        return answered(Resolutions(resolutions=tuple(resolutions)))

    return await once(office, caller, idempotency_key, f"decisions {body.canonical()}", answer)


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
    gauges = {"agentguard_requests_waiting": float(await office.pages.waiting())}
    gauges["agentguard_open_screens"] = float(the_live(request).listeners)
    waiting, dead = await office.outbox.counts()
    gauges |= {"agentguard_messages_waiting": float(waiting), "agentguard_dead_letters": float(dead)}
    return Response(office.metrics.written(gauges), headers={"content-type": MEDIA_TYPE})


async def _decide(
    office: Office, caller: Identity, request_id: str, decision: Decision, body: ApproveBody, key: str | None
) -> Response:
    async def answer() -> Response:
        resolution = await office.decide(
            request_id, caller, decision, card_digest=body.card_digest, comment=body.comment, grant=body.grant
        )
        _log.info("%s of %s by %s; it is %s", decision.value, resolution.request, caller.person, resolution.state.value)
        return answered(resolution)

    return await once(office, caller, key, f"{decision} {request_id} {body.canonical()}", answer, request_id)


def answered(record: Record, status: int = 200) -> Response:
    """A record as it is answered."""
    return JSONResponse(record.model_dump(mode="json"), status_code=status)


async def once(
    office: Office,
    caller: Identity,
    key: str | None,
    call: str,
    answer: Callable[[], Awaitable[Response]],
    request_id: str = "",
) -> Response:
    """The answer to a POST, made once for each idempotency key. `call`: what the key stands for; `request_id`: what it is about."""

    async def answer_or_refuse() -> Response:
        try:
            return await answer()
        except DecisionRefused as error:
            _log.info("what %s wanted was refused: %s", caller.person, error.code)
            return await refused_of(office, request_id, error)

    kept = key if caller.may_decide else None  # what may only read leaves no answer behind for what may decide
    return await office.repeats.once(kept, caller.person, call, answer_or_refuse)


async def refused_of(office: Office, request_id: str, error: DecisionRefused) -> Response:
    """Why a decision was not taken; and where the one request that it is about ended, in which state."""
    if error.code != "ended" or not request_id:
        return refused(error)
    stored = await office.channel.read(request_id)
    return problem(409, "ended", str(error), state=stored.state.value)
