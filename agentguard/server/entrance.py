"""The ways into the pages: a login provider, or the link for development; and the way out.

Rules:
- a login ends with a cookie, and nothing else keeps it: its person must stand in approvers.yaml at each request, with the address that
  they had when they logged in, so that a name which is another human's there is nobody's login;
- who logs out is out everywhere, whoever has a copy of the cookie;
- where a login goes on is a page of ours, or the inbox;
- a form is taken only from our own pages: by its token, by the key of its login where there is one, and by the origin that the browser
  says; nothing is shown to another site's or port's page that asks by itself.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, cast
from urllib.parse import parse_qsl, urlsplit

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from agentguard.approval import Roster
from agentguard.server.cookies import Cookies
from agentguard.server.identity import Identity
from agentguard.server.local_login import LocalLogin
from agentguard.server.office import Office, TheOffice, the_office
from agentguard.server.oidc import Begun, NotLoggedIn, Provider
from agentguard.server.rendering import page
from agentguard.server.tokens import is_listed

SESSION_SECONDS = 12 * 3600
LOGIN_SECONDS = 600
SESSION, LOGIN = "agentguard", "agentguard-login"
FIELDS_MAX = 20
_NO_KEY = (
    "a decision over plain http or on loopback needs the key that the script of these pages keeps since you logged in, and this "
    "one came without; let the script run, and log in again"
)
_OURS = re.compile(r"/(?![/\\])[A-Za-z0-9/_.~?=&%-]{0,300}")


class NotHere(Exception):
    """The caller is nobody: they must log in, and go on with `next`."""

    def __init__(self, next_page: str) -> None:
        super().__init__("log in first")
        self.next = next_page


class FormRefused(Exception):
    """A form that does not come from our own page, for this session and purpose."""

    def __init__(
        self, told: str = "that form does not come from a page of this server that you have open; open the page anew"
    ) -> None:
        super().__init__(told)


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """How people come in. Both ways may be missing: then only tokens work. `has_neighbours`: others may get the cookies."""

    cookies: Cookies
    roster: Callable[[], Roster]
    now_ms: Callable[[], int]
    has_neighbours: bool = True
    provider: Provider | None = None
    local: LocalLogin | None = None

    async def viewer(self, request: Request, office: Office) -> Identity | None:
        """Who looks at our pages with this browser, counted. Raises ConfigurationError, GuardUnavailable, TooMany."""
        identity = await self.logged_in(request, office)
        if identity is not None:
            await office.pacing.take("reading", identity.person)
        return identity

    async def logged_in(self, request: Request, office: Office) -> Identity | None:
        """Who is logged in with this browser. Raises ConfigurationError, GuardUnavailable."""
        identity = self.cookies.read(request, SESSION, Identity, seconds=SESSION_SECONDS)
        if identity is None or not is_listed(identity.person, identity.email, self.roster()):
            return None
        if await office.channel.connection.execute("EXISTS", office.channel.names.logged_out(identity.session)):
            return None
        return identity

    def enter(self, person: str, next_page: str, **more: object) -> Response:
        """The page that logs a person in and goes on."""
        key = secrets.token_hex(16) if self.has_neighbours else ""
        email = self.roster().people[person].email
        given = {"person": person, "email": email, "session": secrets.token_hex(16), "key_sha256": _hash(key), **more}
        reply = page("going_on.html.j2", next=next_page, key=key)
        self.cookies.give(reply, SESSION, Identity.model_validate(given), seconds=SESSION_SECONDS, same_site="strict")
        return reply

    async def leave(self, reply: Response, identity: Identity, office: Office) -> None:
        """Log a person out, this browser and every copy of its cookie."""
        name = office.channel.names.logged_out(identity.session)
        await office.channel.connection.execute("SET", name, "1", "EX", SESSION_SECONDS)
        self.cookies.take_back(reply, SESSION)

    def check_form(self, fields: Mapping[str, str], viewer: Identity, *purpose: str) -> None:
        """Return if these are the fields of a form that we gave this login for this purpose, and its own page sent. Raises FormRefused."""
        self.check_given(fields, viewer, *purpose)
        shown = _hash(fields.get("key", ""))
        if viewer.key_sha256 and not hmac.compare_digest(shown, viewer.key_sha256):
            raise FormRefused(_NO_KEY)

    def check_given(self, fields: Mapping[str, str], viewer: Identity, *purpose: str) -> None:
        """The same, whoever sent it: enough for what harms nobody. Raises FormRefused."""
        if not self.cookies.is_form_token(fields.get("form", ""), viewer.session, *purpose):
            raise FormRefused


def the_entrance(request: Request) -> Entrance:
    """The way in."""
    return cast("Entrance", request.app.state.entrance)


async def the_viewer(request: Request) -> Identity:
    """Who looks. Raises NotHere where that is nobody, and FormRefused."""
    if request.method != "GET":
        _check_origin(request)
    elif _asks_by_itself(request):
        raise NotHere("/")
    identity = await the_entrance(request).viewer(request, the_office(request))
    if identity is None:
        query = f"?{request.url.query}" if request.url.query else ""
        raise NotHere(ours(request.url.path + query) if request.method == "GET" else "/")
    return identity


TheEntrance = Annotated[Entrance, Depends(the_entrance)]
TheViewer = Annotated[Identity, Depends(the_viewer)]

logins = APIRouter()


@logins.get("/login")
async def login(entrance: TheEntrance, next: str = "/") -> Response:  # noqa: A002 - the name in the address
    """How to log in."""
    return _login_page(entrance, ours(next))


@logins.get("/session")
async def session(viewer: TheViewer) -> Response:
    """Whether this browser is logged in: 204, or 401."""
    return Response(status_code=204)


@logins.get("/login/oidc")
async def to_provider(entrance: TheEntrance, next: str = "/", fresh: bool = False) -> Response:  # noqa: A002
    """To the login provider."""
    if entrance.provider is None:
        return _login_page(entrance, ours(next), "there is no login provider", status=404)
    try:
        url, begun = await entrance.provider.begin(ours(next), is_fresh=fresh)
    except NotLoggedIn as error:
        return _login_page(entrance, ours(next), str(error), status=503)
    reply = RedirectResponse(url, status_code=303)
    entrance.cookies.give(reply, LOGIN, begun, seconds=LOGIN_SECONDS, same_site="lax")
    return reply


@logins.get("/login/callback")
async def from_provider(
    request: Request, entrance: TheEntrance, office: TheOffice, state: str = "", code: str = ""
) -> Response:
    """Back from the login provider."""
    begun = entrance.cookies.read(request, LOGIN, Begun, seconds=LOGIN_SECONDS)
    if begun is None or entrance.provider is None or not code:
        return await _failed(request, entrance, office, "this login took too long, or began elsewhere; begin again")
    try:
        claims = await entrance.provider.finish(begun, state, code, entrance.roster())
    except NotLoggedIn as error:
        return await _failed(request, entrance, office, str(error))
    proved_ms = min(
        claims.authenticated_ms, entrance.now_ms()
    )  # a provider whose clock is ahead makes no login that stays fresh
    reply = entrance.enter(claims.person, begun.next, how="oidc", authenticated_ms=proved_ms, groups=claims.groups)
    entrance.cookies.take_back(reply, LOGIN)
    office.metrics.count("agentguard_logins_total", how="oidc", outcome="in")
    return reply


@logins.get("/login/local")
async def local(request: Request, entrance: TheEntrance) -> Response:
    """The page behind the link for development."""
    if entrance.local is None or not entrance.local.is_here(request):
        return _login_page(entrance, "/", "there is no such page", status=404)
    return page("local.html.j2", person=entrance.local.person)


@logins.post("/login/local")
async def enter_locally(request: Request, entrance: TheEntrance, office: TheOffice) -> Response:
    """In, with the link's secret."""
    if entrance.local is None or not entrance.local.is_here(request):
        return _login_page(entrance, "/", "there is no such page", status=404)
    fields = await fields_of(request)
    known = entrance.local.person in entrance.roster().people
    if not known or not entrance.local.opens(request, fields.get("secret", "")):
        await office.pacing.take("failing", request.client.host if request.client else "")
        told = "open the link that `agentguard serve` printed last; this one is not it"
        return page("local.html.j2", status=403, person=entrance.local.person, notice=told)
    reply = entrance.enter(entrance.local.person, "/", how="local", authenticated_ms=entrance.now_ms())
    office.metrics.count("agentguard_logins_total", how="local", outcome="in")
    return reply


@logins.post("/logout")
async def logout(request: Request, entrance: TheEntrance, office: TheOffice, viewer: TheViewer) -> Response:
    """Out."""
    entrance.check_given(await fields_of(request), viewer, "logout")
    reply = RedirectResponse("/login", status_code=303)
    await entrance.leave(reply, viewer, office)
    return reply


def ours(text: str) -> str:
    """A page of ours to go on with; the inbox in place of anything else."""
    return text if _OURS.fullmatch(text) else "/"


def _check_origin(request: Request) -> None:
    """Return if a form comes from a page of this very origin, as far as the browser says. Raises FormRefused."""
    said = request.headers.get("origin")
    if said is not None and urlsplit(said).netloc.lower() != request.headers.get("host", "").lower():
        raise FormRefused
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise FormRefused


def _asks_by_itself(request: Request) -> bool:
    """Whether a page of another site or port asks, as far as the browser says, and not a person who goes here."""
    if request.headers.get("sec-fetch-site", "none") in ("same-origin", "none"):
        return False
    how = (request.headers.get("sec-fetch-mode"), request.headers.get("sec-fetch-dest"))
    return how != ("navigate", "document")


async def fields_of(request: Request) -> dict[str, str]:
    """The fields of a form that comes from a page of this origin, each named once. Raises FormRefused."""
    _check_origin(request)
    try:
        pairs = parse_qsl(
            (await request.body()).decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=FIELDS_MAX
        )
    except ValueError:
        raise FormRefused from None
    if len({name for name, _ in pairs}) != len(pairs):
        raise FormRefused
    return dict(pairs)


def _hash(key: str) -> str:
    """What a cookie holds of a key; nothing of none."""
    return hashlib.sha256(key.encode()).hexdigest() if key else ""


def written(fields: Mapping[str, str]) -> str:
    """What somebody wrote into a form's text; browsers end its lines as HTTP does."""
    return fields.get("comment", "").replace("\r\n", "\n").strip()


async def _failed(request: Request, entrance: Entrance, office: Office, told: str) -> Response:
    await office.pacing.take("failing", request.client.host if request.client else "")
    office.metrics.count("agentguard_logins_total", how="oidc", outcome="refused")
    reply = _login_page(entrance, "/", told, status=403)
    entrance.cookies.take_back(reply, LOGIN)
    return reply


def _login_page(entrance: Entrance, next_page: str, notice: str = "", *, status: int = 200) -> Response:
    return page(
        "login.html.j2",
        status=status,
        next=next_page,
        notice=notice,
        has_provider=entrance.provider is not None,
        has_local=entrance.local is not None,
    )
