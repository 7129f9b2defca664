"""The routes of freezes and grants: what stops calls, and what lets further ones run, both in a person's name."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path
from starlette.responses import Response

from agentguard.model.approvals import Scope
from agentguard.server.bodies import FreezeBody, ReasonBody
from agentguard.server.office import TheOffice
from agentguard.server.problems import documented
from agentguard.server.routes import BEARER, DECIDING, IdempotencyKey, RequestId, TheCaller, answered, once
from agentguard.server.views import Freezes, FreezeView, Granting, freeze_of, grant_of

orders = APIRouter(prefix="/api/v1", dependencies=[Depends(BEARER)], responses=documented(401, 422, 429, 503))

FreezeId = Annotated[str, Path(description="The freeze's id.")]


@orders.get("/freezes")
async def list_freezes(office: TheOffice, caller: TheCaller) -> Freezes:
    """What is frozen."""
    standing = await office.brake().standing()
    return Freezes(freezes=tuple(freeze_of(each, caller.person) for each in standing))


@orders.post("/freezes", response_model=FreezeView, responses=DECIDING)
async def freeze(
    office: TheOffice,
    caller: TheCaller,
    body: Annotated[FreezeBody, Body()],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Stop the calls of an agent, a tool or the tenant within a second. Where they are stopped already, that order is the answer."""

    async def answer() -> Response:
        order = await office.freeze(caller, Scope(body.scope), body.name, reason=body.reason)
        return answered(freeze_of(order, caller.person))

    return await once(office, caller, idempotency_key, f"freeze {body.canonical()}", answer)


@orders.post("/freezes/{freeze_id}/lift", response_model=Freezes, responses=DECIDING)
async def lift(
    office: TheOffice,
    caller: TheCaller,
    freeze_id: FreezeId,
    body: Annotated[ReasonBody, Body()],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Let calls go on, as a second person; the answer is what is frozen still."""

    async def answer() -> Response:
        await office.lift(caller, freeze_id, reason=body.reason)
        return answered(await list_freezes(office, caller))

    return await once(office, caller, idempotency_key, f"lift {freeze_id} {body.canonical()}", answer)


@orders.get("/grants")
async def list_grants(office: TheOffice, caller: TheCaller) -> Granting:
    """What people granted along with approvals, and is not over. A grant is given with an approval: `grant` in its body."""
    return Granting(grants=tuple(map(grant_of, await office.granted())))


@orders.post("/grants/{request_id}/revoke", response_model=Granting, responses=DECIDING)
async def revoke(
    office: TheOffice,
    caller: TheCaller,
    request_id: RequestId,
    body: Annotated[ReasonBody, Body()],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """End a grant; no further call runs under it. The answer is what is granted still, or was until now."""

    async def answer() -> Response:
        await office.revoke(caller, request_id, reason=body.reason)
        return answered(await list_grants(office, caller))

    return await once(office, caller, idempotency_key, f"revoke {request_id} {body.canonical()}", answer)
