"""What nobody expected: the caller gets a reply like any other, and the log says where it happened, by code alone.

The text of such an error may hold anything, a value too: it is neither shown nor logged.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger("agentguard.server")


class Failed(Exception):
    """A reply broke off in the middle; the log said before why."""


@dataclass(frozen=True)
class Failures:
    """Replies for the app inside where it fails. `reply`: what the caller is told."""

    app: ASGIApp
    reply: Callable[[Request], Response]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        has_begun = False

        async def send_and_note(message: Message) -> None:
            nonlocal has_begun
            has_begun = has_begun or message["type"] == "http.response.start"
            await send(message)

        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            await self.app(scope, receive, send_and_note)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told without its text
            _log.error("a request failed: %s", where(error))
            if has_begun:
                raise Failed from None
            await self.reply(Request(scope))(scope, receive, send)


def where(error: BaseException) -> str:
    """What kind of error it is, and where it was raised; not its text."""
    return f"{type(error).__name__}\n{''.join(traceback.format_tb(error.__traceback__))}".rstrip()
