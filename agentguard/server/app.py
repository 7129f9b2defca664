"""The application: routes behind the door, and what runs beside them as long as it does.

Rules:
- every error is problem+json, or a page for who looks at pages, and none shows what the caller sent or what failed inside;
- nothing is loaded from elsewhere; the OpenAPI document is behind the door like the rest.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from agentguard import __version__
from agentguard.approval import Channel, Place, Roster
from agentguard.errors import ConfigurationError, DecisionRefused, GuardUnavailable
from agentguard.server import problems
from agentguard.server.addressing import Addressing
from agentguard.server.cookies import Cookies
from agentguard.server.deadlines import Deadlines
from agentguard.server.decision_routes import incoming
from agentguard.server.deliveries import Deliveries
from agentguard.server.door import API, Credentials, Door
from agentguard.server.entrance import Entrance, FormRefused, NotHere, logins
from agentguard.server.failures import Failures, where
from agentguard.server.freeze_pages import freeze_pages
from agentguard.server.grant_pages import grant_pages
from agentguard.server.headers import SecurityHeaders
from agentguard.server.incoming import NotSigned
from agentguard.server.lasting import lasting
from agentguard.server.live import Live
from agentguard.server.local_login import LocalLogin
from agentguard.server.metrics import Measured, Metrics
from agentguard.server.office import Office
from agentguard.server.oidc import Provider
from agentguard.server.order_routes import orders
from agentguard.server.outbox import LEASE_MS, Outbox
from agentguard.server.pace import Paces, Pacing, TooMany
from agentguard.server.pages import pages
from agentguard.server.records import Records
from agentguard.server.rendering import page
from agentguard.server.request_pages import request_pages
from agentguard.server.routes import NotAuthenticated, api, health
from agentguard.server.rows import row_told
from agentguard.server.settings import RETRY_SECONDS, STEP_UP_SECONDS
from agentguard.server.slack_routes import slack as slack_router
from agentguard.server.tokens import Token
from agentguard.server.turn_pages import turn_pages
from agentguard.server.unmasking import Unmasking
from agentguard.server.webhooks import Webhooks
from agentguard.store.keys import SigningKey
from agentguard.store.names import Names
from agentguard.store.redis import Connection

_log = logging.getLogger("agentguard.server")


class SlackDesk(Protocol):
    """What is open of Slack while the server runs."""

    @property
    def places(self) -> Sequence[Place]:
        """The channels that get the cards."""
        ...


class SlackOffice(Protocol):
    """Slack, before it is opened; its own modules need an extra."""

    @property
    def names(self) -> frozenset[str]:
        """What policy calls its channels."""
        ...

    def open(self, office: Office, /) -> AbstractAsyncContextManager[SlackDesk]:
        """Open it on the running loop."""
        ...


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What an application is made of. `roster` and `tokens` give today's; `connect` opens Redis on the server's own loop.

    `rotas`: one round of asking the commands of groups who is in them. `has_neighbours`: browsers send what they keep for this server to
    other ports of its host too.
    """

    connect: Callable[[], AbstractAsyncContextManager[Connection]]
    tenant: str
    roster: Callable[[], Roster]
    tokens: Callable[[], Sequence[Token]]
    signer: str
    key: SigningKey
    now_ms: Callable[[], int]
    webhooks: Webhooks | None = None
    slack: SlackOffice | None = None
    places: Sequence[Place] = ()
    is_https: bool = False
    has_neighbours: bool = True
    provider: Provider | None = None
    local: LocalLogin | None = None
    records: Records | None = None
    unmasking: Unmasking | None = None
    rotas: Callable[[], Awaitable[None]] | None = None
    step_up_seconds: int = STEP_UP_SECONDS
    retry_seconds: Sequence[float] = RETRY_SECONDS
    paces: Paces = field(default_factory=Paces)
    metrics: Metrics = field(default_factory=Metrics)


def create_app(parts: Parts) -> FastAPI:
    """The pages and the HTTP API of one tenant."""
    app = FastAPI(
        title="agentguard",
        version=__version__,
        description="Requests of agents that wait for people: show, approve, reject, edit and settle them; freezes and grants.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lambda app: _open(app, parts),
    )
    credentials = Credentials(tokens=parts.tokens, roster=parts.roster, now_ms=parts.now_ms)
    app.include_router(api)
    app.include_router(incoming)
    app.include_router(orders)
    for router in (health, logins, pages, request_pages, turn_pages, freeze_pages, grant_pages, slack_router):
        app.include_router(router, include_in_schema=False)
    app.add_middleware(Door, credentials=credentials)
    app.add_middleware(Failures, reply=_failed)
    app.add_middleware(SecurityHeaders, is_https=parts.is_https)
    app.add_middleware(Measured, metrics=parts.metrics)
    app.state.entrance = Entrance(
        cookies=Cookies(keys=(parts.key.derive("cookies"),), is_secure=parts.is_https),
        has_neighbours=parts.has_neighbours,
        roster=parts.roster,
        now_ms=parts.now_ms,
        provider=parts.provider,
        local=parts.local,
    )
    app.state.records = parts.records or Records(directory=Path(), tenant=parts.tenant, keys=lambda: None)
    for kind, reply in _REPLIES.items():
        app.add_exception_handler(kind, reply)
    return app


@asynccontextmanager
async def _open(app: FastAPI, parts: Parts) -> AsyncIterator[None]:
    """Connect, run what runs beside the API, and end both."""
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(parts.connect())
        channel = Channel(connection=connection, names=Names(parts.tenant))
        office = Office(
            channel=channel,
            roster=parts.roster,
            signer=parts.signer,
            key=parts.key,
            now_ms=parts.now_ms,
            step_up_seconds=parts.step_up_seconds,
            pacing=Pacing(connection=connection, names=channel.names, paces=parts.paces),
            metrics=parts.metrics,
            unmasking=parts.unmasking,
        )
        if parts.unmasking is not None:
            stack.callback(parts.unmasking.journal.close)
        live = Live(
            connection=await stack.enter_async_context(parts.connect()),
            names=channel.names,
            told=lambda request_id: row_told(channel, request_id),
        )
        deadlines = Deadlines(channel=channel)
        await stack.enter_async_context(_beside(office, lasting("telling of deadlines", deadlines.tell)))
        await stack.enter_async_context(_beside(office, lasting("telling open screens", live.tell)))
        if parts.rotas is not None:
            await stack.enter_async_context(_beside(office, lasting("asking who is in groups", parts.rotas)))
        desk = None if parts.slack is None else await stack.enter_async_context(parts.slack.open(office))
        sent_to = [] if parts.webhooks is None else await stack.enter_async_context(parts.webhooks.open())
        places = [*sent_to, *(desk.places if desk is not None else []), *parts.places]
        deliveries = _deliveries(parts, office, places)
        if places:
            await stack.enter_async_context(_beside(office, deliveries.run()))
        app.state.office, app.state.live, app.state.slack = office, live, desk
        yield


def _deliveries(parts: Parts, office: Office, places: Sequence[Place]) -> Deliveries:
    """What tells these places."""
    channel, webhooks = office.channel, parts.webhooks
    outbox = Outbox(
        connection=channel.connection, names=channel.names, lease_ms=webhooks.lease_ms if webhooks else LEASE_MS
    )
    return Deliveries(
        addressing=Addressing(channel=channel, outbox=outbox, places=places),
        desk=office.desk,
        metrics=office.metrics,
        retry_seconds=parts.retry_seconds,
    )


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
    broke = None if task.cancelled() else task.exception()
    if broke is not None:
        _log.critical("a part of the server broke; restart it: %s", where(broke))


async def _refused(request: Request, error: DecisionRefused) -> Response:
    if error.code == "forged":
        _log.error("%s", error)
    return _shown(request, problems.refused(error))


async def _unavailable(request: Request, error: Exception) -> Response:
    _log.error("unavailable: %s", error)
    detail = "something that the server needs is away or broken; nothing was decided that you were not told"
    return _shown(request, problems.unavailable(detail))


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    found: Sequence[Mapping[str, Any]] = error.errors()
    if any(one["type"] == "json_invalid" for one in found):
        return problems.problem(400, "not_json", "the body is not JSON")
    return _shown(request, problems.invalid(found))


async def _http(request: Request, error: HTTPException) -> Response:
    status = HTTPStatus(error.status_code)
    return _shown(request, problems.problem(status, status.name.lower(), status.phrase, headers=error.headers))


async def _nobody(request: Request, error: Exception) -> Response:
    return problems.not_authenticated()


async def _not_here(request: Request, error: NotHere) -> Response:
    if request.method == "GET" and request.url.path not in _PARTS:
        return RedirectResponse(f"/login?{urlencode({'next': error.next})}", status_code=303)
    return _shown(request, problems.problem(401, "not_logged_in", "log in, then try again"))


async def _form_refused(request: Request, error: FormRefused) -> Response:
    _log.warning("a form that is none of ours was refused")
    return _shown(request, problems.problem(403, "form", str(error)))


async def _not_signed(request: Request, error: NotSigned) -> Response:
    _log.warning("a decision from outside was refused: %s", error.code)
    return problems.not_signed(error)


async def _too_many(request: Request, error: TooMany) -> Response:
    return _shown(request, problems.too_many(error))


def _failed(request: Request) -> Response:
    return _shown(request, problems.problem(500, "failed", "the server failed; its log says where"))


def _shown(request: Request, reply: Response) -> Response:
    """A problem as it is, or as a page for a browser that shows one."""
    path = request.url.path
    if path.startswith(f"{API}/") or "text/html" not in request.headers.get("accept", ""):
        return reply
    told = json.loads(bytes(reply.body))
    shown = page("problem.html.j2", status=reply.status_code, title=told["title"], detail=told["detail"])
    shown.headers.update({name: reply.headers[name] for name in ("allow", "retry-after") if name in reply.headers})
    return shown


_PARTS = frozenset({"/live", "/session"})
"""What a page asks for by itself: nobody is sent to a login there."""

_REPLIES: Mapping[type[Exception], Any] = {
    DecisionRefused: _refused,
    GuardUnavailable: _unavailable,
    ConfigurationError: _unavailable,
    RequestValidationError: _invalid,
    HTTPException: _http,
    NotAuthenticated: _nobody,
    NotHere: _not_here,
    FormRefused: _form_refused,
    TooMany: _too_many,
    NotSigned: _not_signed,
}
