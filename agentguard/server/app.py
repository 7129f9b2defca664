"""The application: routes behind the door, and what runs beside them as long as it does.

Rules:
- every error is problem+json, and none shows what the caller sent or what failed inside;
- no page, no script, nothing loaded from elsewhere; the OpenAPI document is behind the door like the rest.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from agentguard import __version__
from agentguard.approval import Channel, Roster
from agentguard.errors import ConfigurationError, DecisionRefused, GuardUnavailable
from agentguard.server import problems
from agentguard.server.deadlines import Deadlines
from agentguard.server.door import Credentials, Door
from agentguard.server.headers import SecurityHeaders
from agentguard.server.lasting import lasting
from agentguard.server.office import Office
from agentguard.server.routes import NotAuthenticated, api, health
from agentguard.server.tokens import Token
from agentguard.server.webhooks import Webhooks
from agentguard.store.keys import SigningKey
from agentguard.store.names import Names
from agentguard.store.redis import Connection

_log = logging.getLogger("agentguard.server")


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What an application is made of. `roster` and `tokens` give today's; `connect` opens Redis on the server's own loop."""

    connect: Callable[[], AbstractAsyncContextManager[Connection]]
    tenant: str
    roster: Callable[[], Roster]
    tokens: Callable[[], Sequence[Token]]
    signer: str
    key: SigningKey
    now_ms: Callable[[], int]
    webhooks: Webhooks | None = None


def create_app(parts: Parts) -> FastAPI:
    """The HTTP API of one tenant."""
    app = FastAPI(
        title="agentguard",
        version=__version__,
        description="Requests of agents that wait for people: list, show, approve, reject.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lambda app: _open(app, parts),
    )
    credentials = Credentials(tokens=parts.tokens, roster=parts.roster, now_ms=parts.now_ms)
    app.include_router(api)
    app.include_router(health, include_in_schema=False)
    app.add_middleware(Door, credentials=credentials)
    app.add_middleware(SecurityHeaders)
    for kind, reply in _REPLIES.items():
        app.add_exception_handler(kind, reply)
    return app


@asynccontextmanager
async def _open(app: FastAPI, parts: Parts) -> AsyncIterator[None]:
    """Connect, run what runs beside the API, and end both."""
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(parts.connect())
        channel = Channel(connection=connection, names=Names(parts.tenant))
        office = Office(channel=channel, roster=parts.roster, signer=parts.signer, key=parts.key)
        deadlines = Deadlines(channel=channel)
        await stack.enter_async_context(_beside(office, lasting("telling of deadlines", deadlines.tell)))
        if parts.webhooks is not None:
            deliveries = await stack.enter_async_context(parts.webhooks.open(office))
            await stack.enter_async_context(_beside(office, deliveries.run()))
        app.state.office = office
        yield


@asynccontextmanager
async def _beside(office: Office, work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run `work` beside the API; if it ends by itself, the log and /readyz say so."""
    task = asyncio.create_task(work)
    task.add_done_callback(_say_if_broken)
    office.at_work.append(task)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _say_if_broken(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.critical("a part of the server broke; restart it", exc_info=task.exception())


async def _refused(request: Request, error: DecisionRefused) -> Response:
    if error.code == "forged":
        _log.error("%s", error)
    return problems.refused(error)


async def _unavailable(request: Request, error: Exception) -> Response:
    _log.error("unavailable: %s", error)
    detail = "something that the server needs is away or broken; nothing was decided that you were not told"
    return problems.problem(503, "unavailable", detail, headers={"retry-after": "5"})


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    found: Sequence[Mapping[str, Any]] = error.errors()
    if any(one["type"] == "json_invalid" for one in found):
        return problems.problem(400, "not_json", "the body is not JSON")
    return problems.invalid(found)


async def _http(request: Request, error: HTTPException) -> Response:
    status = HTTPStatus(error.status_code)
    return problems.problem(status, status.name.lower(), status.phrase, headers=error.headers)


async def _nobody(request: Request, error: Exception) -> Response:
    return problems.not_authenticated()


async def _failed(request: Request, error: Exception) -> Response:
    return problems.problem(500, "failed", "the server failed; its log says why")


_REPLIES: Mapping[type[Exception], Any] = {
    DecisionRefused: _refused,
    GuardUnavailable: _unavailable,
    ConfigurationError: _unavailable,
    RequestValidationError: _invalid,
    HTTPException: _http,
    NotAuthenticated: _nobody,
    Exception: _failed,
}
