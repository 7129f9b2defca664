"""The one door of the API: who comes in, and what they may carry. Everything under /api passes it.

Rules:
- the token is checked before a byte of the body is read, and before it is known whether the path exists;
- who the caller is comes from the token alone, and only if approvers.yaml still lists that person today;
- a body is JSON, not compressed, at most 64 kB, and arrives within 10 seconds; it is counted as it arrives, whatever its header says.
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
from agentguard.errors import ConfigurationError
from agentguard.server.problems import not_authenticated, problem
from agentguard.server.tokens import Token, holder

API = "/api"
BODY_BYTES_MAX = 64 * 1024
BODY_SECONDS = 10.0
PERSON = "agentguard.person"
"""Where in the scope the caller's name is."""

_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
_log = logging.getLogger("agentguard.server")


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Today's tokens and people."""

    tokens: Callable[[], Sequence[Token]]
    roster: Callable[[], Roster]
    now_ms: Callable[[], int]

    def person(self, headers: Headers) -> str | None:
        """Whose token the caller shows; None for every other caller. Raises ConfigurationError."""
        shown = headers.getlist("authorization")
        scheme, _, text = shown[0].partition(" ") if len(shown) == 1 else ("", "", "")
        token = holder(self.tokens(), text, now_ms=self.now_ms())
        if token is None or scheme.lower() != "bearer":
            return None
        return token.person if token.person in self.roster().people else None


@dataclass(frozen=True)
class Door:
    """Lets known callers in, with a body of the right kind, and says who they are."""

    app: ASGIApp
    credentials: Credentials

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] != "http" or not _inside(scope["path"]):
            await self.app(scope, receive, send)
        else:
            await self._enter(scope, receive, send)

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        try:
            person = self.credentials.person(headers)
        except ConfigurationError as error:
            _log.error("nobody can be let in: %s", error)  # the message says which file and what
            await problem(503, "unavailable", "the server can't tell who you are now; see its log")(
                scope, receive, send
            )
            return
        if person is None:
            await not_authenticated()(scope, receive, send)
            return
        scope[PERSON] = person
        if scope["method"] in _BODILESS:
            await self.app(scope, _nothing, send)
            return
        body = await _body(headers, receive)
        if isinstance(body, Response):
            await body(scope, receive, send)
        else:
            await self.app(scope, _replay(body, receive), send)


def _inside(path: str) -> bool:
    return path == API or path.startswith(API + "/")


async def _body(headers: Headers, receive: Receive) -> bytes | Response:
    """The whole body, or what is wrong with it."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" or headers.get("content-encoding", "identity").lower() != "identity":
        return problem(415, "not_json", "send application/json, not compressed")
    if _announced(headers) > BODY_BYTES_MAX:
        return _too_large()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read(receive)
    except TimeoutError:
        return problem(408, "too_slow", "the body did not arrive in time", headers={"connection": "close"})


async def _read(receive: Receive) -> bytes | Response:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return problem(400, "cut", "the body is not whole")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > BODY_BYTES_MAX:
            return _too_large()
        if not message.get("more_body", False):
            return b"".join(parts)


def _announced(headers: Headers) -> int:
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else BODY_BYTES_MAX + 1 if text else 0


def _too_large() -> Response:
    return problem(413, "too_large", f"a body has at most {BODY_BYTES_MAX} bytes", headers={"connection": "close"})


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
