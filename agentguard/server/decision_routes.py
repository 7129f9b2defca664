"""Decisions of outside systems: a POST that a person's own key signed. No token opens it, and no login.

Rules:
- who decides is who the key belongs to, by approvers.yaml of now; nothing in the body can name anybody else;
- signatures are tried one message at a time, beside everything else: whoever sends many that nobody signed holds up no page;
- the same message again, within its window or signed anew, gets the answer that it got; another body under its id is refused;
- a whole vote that the person signed is put as it is: the server could not have made it, and need not be trusted with it;
- a decision without one is signed by this server in the person's name, as for any other caller.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import APIKeyHeader
from pydantic import ValidationError
from starlette.responses import JSONResponse, Response

from agentguard.errors import DecisionRefused
from agentguard.model.approvals import Resolution
from agentguard.server.bodies import TWICE, SignedBody, SignedDecision, SignedVote, says_twice
from agentguard.server.door import DECISIONS
from agentguard.server.identity import Identity
from agentguard.server.incoming import NotSigned, sender_of
from agentguard.server.office import Office, TheOffice
from agentguard.server.problems import documented, problem
from agentguard.server.routes import DECIDING, refused_of

_log = logging.getLogger("agentguard.server")
_SIGNATURE = APIKeyHeader(
    name="webhook-signature",
    auto_error=False,
    description="`v1a,` and the base64 of an Ed25519 signature over `{webhook-id}.{webhook-timestamp}.{body}`, by a key of approvers.yaml.",
)
_BODY = {"required": True, "content": {"application/json": {"schema": SignedBody.model_json_schema()}}}

incoming = APIRouter(dependencies=[Depends(_SIGNATURE)], responses=documented(401, 422, 429, 503))


_ONE_BY_ONE = ThreadPoolExecutor(1, "agentguard-signatures")


async def signed_body(request: Request, office: TheOffice) -> tuple[Identity, str, bytes]:
    """Who signed the request, the message's id and the body. Raises NotSigned, TooMany, ConfigurationError."""
    body = await request.body()
    look = partial(sender_of, request.headers, body, office.roster(), now_seconds=office.now_ms() // 1000)
    try:
        sender = await asyncio.get_running_loop().run_in_executor(_ONE_BY_ONE, look)
    except NotSigned:
        await office.pacing.take("failing", request.client.host if request.client else "")
        raise
    digest = hashlib.sha256(f"{sender.person} {sender.message_id}".encode()).hexdigest()
    identity = Identity(person=sender.person, how="key", session=digest[:32], authenticated_ms=office.now_ms())
    return identity, sender.message_id, body


Signed = Annotated[tuple[Identity, str, bytes], Depends(signed_body)]


@incoming.post(DECISIONS, response_model=Resolution, responses=DECIDING, openapi_extra={"requestBody": _BODY})
async def decide_from_outside(office: TheOffice, signed: Signed) -> Response:
    """Decide a request from another system, as the person whose key signed the message; with a `vote`, by that very vote."""
    identity, message_id, body = signed
    if says_twice(body):
        return problem(400, "said_twice", TWICE)
    given = _read(body)

    async def answer() -> Response:
        try:
            resolution = await _decide(office, identity, given)
        except DecisionRefused as refused:
            _log.info("a decision of %s from outside was refused: %s", identity.person, refused.code)
            if refused.code in _VOTE_UNSIGNED:
                return problem(403, "vote_signature", "the vote in it is not signed by a key of its person's own")
            return await refused_of(office, given.about, refused)
        _log.info("%s decided %s from outside; it is %s", identity.person, resolution.request, resolution.state.value)
        return JSONResponse(resolution.model_dump(mode="json"))

    return await office.repeats.once(f"webhook:{message_id}", identity.person, hashlib.sha256(body).hexdigest(), answer)


_VOTE_UNSIGNED = frozenset({"bad_signature", "no_key", "unknown_signer"})


def _read(body: bytes) -> SignedDecision | SignedVote:
    """What the body says. Raises RequestValidationError."""
    try:
        return SignedBody.model_validate_json(body).root
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_context=False, include_input=False)) from None


async def _decide(office: Office, identity: Identity, given: SignedDecision | SignedVote) -> Resolution:
    if isinstance(given, SignedVote):
        return await office.cast(given.vote, identity)
    return await office.decide(
        given.request,
        identity,
        given.decision,
        card_digest=given.card_digest,
        comment=given.comment,
        grant=given.grant,
    )
