"""The frame of every page: who looks, how much waits, and the tokens of its forms."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from agentguard.server.entrance import Entrance
from agentguard.server.identity import Identity
from agentguard.server.office import Office
from agentguard.server.rendering import page


async def framed(
    entrance: Entrance, office: Office, viewer: Identity, template: str, *, status: int = 200, **values: Any
) -> Response:
    """A page for somebody who is logged in."""
    waiting = await office.pages.waiting()
    return part_of_page(entrance, viewer, template, status=status, waiting=waiting, **values)


def part_of_page(entrance: Entrance, viewer: Identity, template: str, *, status: int = 200, **values: Any) -> Response:
    """A part of such a page, without the frame, for one that is open."""
    given = {"form_token": lambda *purpose: entrance.cookies.form_token(viewer.session, *purpose)} | values
    return page(template, status=status, viewer=viewer, **given)
