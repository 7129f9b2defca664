"""Errors as the API gives them: application/problem+json (RFC 9457).

Rules:
- `code` is for programs and stable; `detail` is for people and holds no value that a caller sent;
- a request that is absent, malformed or another tenant's gives one and the same 404;
- a code without a row here is a 403: what is not known to be harmless to tell is a no.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from starlette.responses import Response

from agentguard.errors import DecisionRefused
from agentguard.model.record import Json
from agentguard.server.headers import SECURITY
from agentguard.server.incoming import NotSigned
from agentguard.server.pace import TooMany

_STATUS = {
    "not_found": 404,
    "ended": 409,
    "changed": 409,
    "other_card": 409,
    "late": 409,
    "other_tenant": 404,
    "other_request": 404,
    "other_revision": 409,
    "other_call": 409,
    "stale_vote": 409,
    "edit_refused": 409,
    "still_runs": 409,
    "settled_otherwise": 409,
    "not_frozen": 409,
    "other_freeze": 409,
    "second_person": 403,
    "not_editable": 403,
    "other_turn": 422,
    "bad_grant": 422,
    "bad_edit": 422,
    "bad_scope": 422,
    "forged": 409,
    "self_approval": 403,
    "not_entitled": 403,
    "unknown_person": 403,
    "step_up": 403,
    "no_argument": 403,
    "scope": 403,
    "bad_comment": 422,
    "bad_cursor": 422,
    "bad_signature": 503,
    "unknown_signer": 503,
}
_TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "Too slow",
    409: "Conflict",
    413: "Too large",
    415: "Not JSON",
    422: "Not valid",
    429: "Too many requests",
    500: "Failed",
    503: "Unavailable",
}
_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "state": {"type": "string", "description": "Where a request ended: the state that it ended in."},
        "errors": {
            "type": "array",
            "items": {"type": "object", "properties": {"path": {"type": "string"}, "rule": {"type": "string"}}},
        },
    },
}


def documented(*statuses: int) -> dict[int | str, dict[str, Json]]:
    """What the OpenAPI document says of these errors."""
    content = {"application/problem+json": {"schema": _SCHEMA}}
    return {status: {"description": _TITLES[status], "content": content} for status in statuses}


def problem(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None, **more: Json) -> Response:
    """The reply that says what is wrong."""
    told = {
        "type": f"urn:agentguard:problem:{code}",
        "title": _TITLES.get(status, "Refused"),
        "status": status,
        "code": code,
        "detail": detail,
        **more,
    }
    return Response(
        json.dumps(told).encode(),
        status_code=status,
        media_type="application/problem+json",
        headers={**SECURITY, **(headers or {})},
    )


def not_authenticated() -> Response:
    """One reply for every credential that does not count: none, malformed, unknown, expired, revoked, of somebody who left."""
    detail = "send a valid token: `Authorization: Bearer agt_...`; `agentguard token create NAME` makes one"
    return problem(401, "not_authenticated", detail, headers={"www-authenticate": "Bearer"})


def unavailable(detail: str) -> Response:
    """Something that the server needs is away; it may be there again soon."""
    return problem(503, "unavailable", detail, headers={"retry-after": "5"})


def not_signed(error: NotSigned) -> Response:
    """A message that nobody of approvers.yaml signed, or not now."""
    return problem(401, error.code, str(error), headers={"www-authenticate": "v1a"})


def too_many(error: TooMany) -> Response:
    """A caller that must wait."""
    return problem(429, "too_many", str(error), headers={"retry-after": str(error.seconds)})


def refused(error: DecisionRefused) -> Response:
    """A decision that was not taken, or a request that is not shown."""
    status = _STATUS.get(error.code, 403)
    if status == 404:
        return problem(404, "not_found", "no such request")
    if status == 503:
        return problem(503, "cannot_sign", "this server's key may not sign votes now; see its log")
    return problem(status, error.code, str(error))


def invalid(errors: Iterable[Mapping[str, Json]]) -> Response:
    """What is wrong in a body or a query: path and rule of each, never the value."""
    told = [{"path": _written(one["loc"]), "rule": str(one["msg"])} for one in errors]
    return problem(422, "invalid", "the request is not what this route takes", errors=told)


def _written(path: Iterable[str | int]) -> str:
    """A name in the path may be the caller's own: only plain ones are shown."""
    return ".".join(step if _plain(step) else "?" for step in map(str, path))


def _plain(step: str) -> bool:
    return step.isascii() and len(step) <= 40 and (step.isidentifier() or step.isdecimal())
