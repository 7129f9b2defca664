"""Pages: Jinja2 with autoescape over records whose text is safe to show, and the few files that they load."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader
from starlette.responses import HTMLResponse, Response

from agentguard.cards import environment
from agentguard.cards.outcome import clock
from agentguard.server.headers import PAGE

STATIC: Mapping[str, str] = {"app.css": "text/css", "app.js": "text/javascript", "icon.svg": "image/svg+xml"}
_FOREVER = "public, max-age=31536000, immutable"


def page(template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A whole page, or a part of one."""
    given = {"viewer": None, "here": "", "waiting": 0, "notice": ""} | values
    text = _pages().get_template(template).render(**given)
    return HTMLResponse(text, status_code=status, headers=PAGE)


def part(template: str, name: str, *values: Any) -> str:
    """What a macro of a template makes of these values."""
    made: Any = getattr(_pages().get_template(template).module, name)
    return str(made(*values)).strip()


def static_file(version: str, name: str) -> Response | None:
    """A file that pages load, under the version that they name; None for every other."""
    if name not in STATIC or version != _version(name):
        return None
    return Response(_content(name), media_type=STATIC[name], headers={"cache-control": _FOREVER})


@cache
def _pages() -> Environment:
    made = environment(
        ChoiceLoader([PackageLoader("agentguard.server"), PackageLoader("agentguard.cards")]), is_html=True
    )
    made.globals["static"] = lambda name: f"/static/{_version(name)}/{name}"
    made.filters["iso"] = lambda ms: clock(ms, "%Y-%m-%dT%H:%M:%S+00:00")
    return made


@cache
def _content(name: str) -> bytes:
    return (files("agentguard.server") / "static" / name).read_bytes()


@cache
def _version(name: str) -> str:
    return hashlib.sha256(_content(name)).hexdigest()[:12]
