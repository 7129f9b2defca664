"""The one door: who comes in, and what they may carry.

Rules:
- under /api a token is checked before a byte of the body is read, and before it is known whether the path exists;
- who the caller is comes from the token alone, and only if approvers.yaml still lists that human under that name today;
- a body is JSON there and where outside systems decide, and a plain form elsewhere; not compressed, at most 64 kB (1 MB where Slack
  sends back the modal that a person read to its end, if it sends presses here), and it arrives within 10 seconds. It is counted as it
  arrives, whatever its header says; a request whose length is told in two ways is refused, by whatever method;
- a body that gives one name two values is refused: two readers could take one each.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agentguard.approval import Roster
from agentguard.errors import ConfigurationError, GuardUnavailable
from agentguard.server.bodies import TWICE, says_twice
from agentguard.server.identity import Identity
from agentguard.server.pace import Pacing, TooMany
from agentguard.server.problems import not_authenticated, problem, too_many, unavailable
from agentguard.server.tokens import Token, holder

API = "/api"
BODY_BYTES_MAX = 64 * 1024
SLACK_BYTES_MAX = 1024 * 1024
SLACK = "/slack/interactions"
BODY_SECONDS = 10.0
IDENTITY = "agentguard.identity"
"""Where in the scope the caller is, once they came in."""

DECISIONS = "/webhooks/decisions"
"""Where outside systems decide, by a signature in place of a token."""

JSON, FORM = "application/json", "application/x-www-form-urlencoded"

_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
_log = logging.getLogger("agentguard.server")


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Today's tokens and people."""

    tokens: Callable[[], Sequence[Token]]
    roster: Callable[[], Roster]
    now_ms: Callable[[], int]

    def identity(self, headers: Headers) -> Identity | None:
        """Whose token the caller shows; None for every other caller. Raises ConfigurationError."""
        shown = headers.getlist("authorization")
        scheme, _, text = shown[0].partition(" ") if len(shown) == 1 else ("", "", "")
        token = holder(self.tokens(), text, now_ms=self.now_ms())
        if token is None or scheme.lower() != "bearer":
            return None
        if not token.is_of(self.roster()):
            return None
        return Identity(
            person=token.person,
            how="token",
            session=token.id,
            authenticated_ms=self.now_ms(),
            may_decide=token.scope == "decide",
        )


@dataclass(frozen=True)
class Door:
    """Lets known callers in, with a body of the right kind, and says who they are."""

    app: ASGIApp
    credentials: Credentials

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] != "http":
            await self.app(scope, receive, send)
        elif {b"content-length", b"transfer-encoding"} <= {name for name, _ in scope["headers"]}:
            told = "its length is told in two ways"
            await problem(400, "cut", told, headers={"connection": "close"})(scope, receive, send)
        elif _inside(scope["path"]):
            await self._enter(scope, receive, send)
        elif scope["method"] in _BODILESS:
            await self.app(scope, receive, send)
        else:
            await self._carry(scope, receive, send, JSON if scope["path"] == DECISIONS else FORM)

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            identity = await self._identity(scope)
        except TooMany as error:
            await too_many(error)(scope, receive, send)
            return
        except (ConfigurationError, GuardUnavailable) as error:
            _log.error("nobody can be let in: %s", error)  # the message says which file and what
            await unavailable("the server can't tell who you are now; see its log")(scope, receive, send)
            return
        if identity is None:
            await not_authenticated()(scope, receive, send)
            return
        scope[IDENTITY] = identity
        if scope["method"] in _BODILESS:
            await self.app(scope, _nothing, send)
        else:
            await self._carry(scope, receive, send, JSON)

    async def _identity(self, scope: Scope) -> Identity | None:
        """Who calls, counted: by person, or where that is nobody by address. Raises TooMany, ConfigurationError, GuardUnavailable."""
        identity = self.credentials.identity(Headers(scope=scope))
        pacing: Pacing = scope["app"].state.office.pacing
        if identity is None:
            await pacing.take("failing", str((scope.get("client") or ("",))[0]))
        else:
            await pacing.take("reading", identity.person)
        return identity

    async def _carry(self, scope: Scope, receive: Receive, send: Send, kind: str) -> None:
        at_most = SLACK_BYTES_MAX if scope["path"] == SLACK and _takes_presses(scope) else BODY_BYTES_MAX
        body = await _body(Headers(scope=scope), receive, kind, at_most)
        if isinstance(body, Response):
            await body(scope, receive, send)
        elif _inside(scope["path"]) and says_twice(body):
            await problem(400, "said_twice", TWICE)(scope, receive, send)
        else:
            await self.app(scope, _replay(body, receive), send)


def _takes_presses(scope: Scope) -> bool:
    """Whether Slack sends presses by HTTP: else nobody may bring so much who said nothing of who they are."""
    desk = getattr(scope["app"].state, "slack", None)
    return bool(getattr(desk, "signing_secret", ""))


def _inside(path: str) -> bool:
    return path == API or path.startswith(API + "/")


async def _body(headers: Headers, receive: Receive, wanted: str, at_most: int) -> bytes | Response:
    """The whole body, or what is wrong with it."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != wanted or headers.get("content-encoding", "identity").lower() != "identity":
        return problem(415, "not_json" if wanted == JSON else "not_a_form", f"send {wanted}, not compressed")
    if _announced(headers, at_most) > at_most:
        return _too_large(at_most)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read(receive, at_most)
    except TimeoutError:
        return problem(408, "too_slow", "the body did not arrive in time", headers={"connection": "close"})


async def _read(receive: Receive, at_most: int) -> bytes | Response:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return problem(400, "cut", "the body is not whole")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > at_most:
            return _too_large(at_most)
        if not message.get("more_body", False):
            return b"".join(parts)


def _announced(headers: Headers, at_most: int) -> int:
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else at_most + 1 if text else 0


def _too_large(at_most: int) -> Response:
    return problem(413, "too_large", f"a body has at most {at_most} bytes", headers={"connection": "close"})


async def _nothing() -> Message:
    """The body of a request that has none for us."""
    return {"type": "http.request", "body": b"", "more_body": False}


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body that was read, once; then whatever comes."""
    left = [body]

    async def replay() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return replay
