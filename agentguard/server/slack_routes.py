"""Where Slack sends what people press, if it isn't by Socket Mode.

Rules:
- the signature over the raw body is checked before a byte of it is read as anything, in constant time;
- an address that sends much that Slack did not sign has to wait, like any other that fails to say who it is;
- it is answered at once, and acted on afterwards; each press counts once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.responses import Response

from agentguard.server.door import SLACK
from agentguard.server.office import TheOffice
from agentguard.server.problems import problem

slack = APIRouter()


@slack.post(SLACK)
async def interactions(request: Request, office: TheOffice) -> Response:
    """One press."""
    desk = request.app.state.slack
    body = await request.body()
    if desk is None or not desk.is_signed(body, request.headers):
        await office.pacing.take("failing", request.client.host if request.client else "")
        return problem(401, "signature", "this is not signed by Slack, or too old")
    payload = _payload(body)
    if payload is None:
        return problem(400, "payload", "the body holds no payload of Slack's")
    desk.act_soon(payload)
    return Response(status_code=200)


def _payload(body: bytes) -> Mapping[str, Any] | None:
    try:
        found = parse_qs(body.decode(), strict_parsing=True)["payload"]
        payload = json.loads(found[0])
    except (ValueError, KeyError, RecursionError):
        return None
    return payload if isinstance(payload, dict) and len(found) == 1 else None
