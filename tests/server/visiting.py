"""Browsers without a window: httpx with the cookie of a login, and what stands on a page."""

from __future__ import annotations

import html
import re
from typing import Any

import httpx
from starlette.responses import Response

from agentguard.server.cookies import Cookies
from agentguard.server.entrance import SESSION
from agentguard.server.identity import Identity
from tests.approval.people import KEYS
from tests.server.serving import now_ms

COOKIES = Cookies(keys=(KEYS["inbox"].derive("cookies"),), is_secure=False)
"""Those of the server under test: its key is the tests' own."""


def visitor(base: str, person: str | None, **identity: Any) -> httpx.AsyncClient:
    """A browser in which this person is logged in, just now; nobody, where that is None."""
    client = httpx.AsyncClient(
        base_url=base, trust_env=False, timeout=20, headers={"accept": "text/html"}, limits=httpx.Limits()
    )
    if person is not None:
        given = {"how": "oidc", "email": f"{person}@acme.example", "session": f"{person:0>32}"} | identity
        given = {"authenticated_ms": now_ms()} | given
        client.cookies.set(SESSION, cookie(Identity(person=person, **given)))
    return client


def cookie(identity: Identity) -> str:
    """The cookie of a login, as the server gives it."""
    reply = Response()
    COOKIES.give(reply, SESSION, identity, seconds=60, same_site="strict")
    return reply.headers["set-cookie"].partition(";")[0].partition("=")[2]


def form(page: str, action: str) -> dict[str, str]:
    """The hidden fields of the form of a page that goes to this address; empty where there is none."""
    found = re.search(rf'<form[^>]*action="{re.escape(action)}".*?</form>', page, re.DOTALL)
    fields = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', found[0] if found else "")
    return {name: html.unescape(value) for name, value in fields}


async def decide(client: httpx.AsyncClient, request_id: str, verb: str = "approve", **fields: str) -> httpx.Response:
    """Open a request's page, and send its form."""
    path = f"/requests/{request_id}"
    given = form((await client.get(path)).text, f"{path}/{verb}")
    return await client.post(f"{path}/{verb}", data=given | fields)
