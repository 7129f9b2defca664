"""A real Chromium, a real server, a real login provider, and the agent's side of one tenant; all of a test module use the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal
from oidc_provider_mock import User, run_server_in_thread
from playwright.sync_api import Browser, BrowserContext, sync_playwright
from pydantic import SecretStr

from agentguard.approval import Channel
from agentguard.model.approvals import Request
from agentguard.server.identity import Identity
from agentguard.server.oidc import Provider, Terms
from agentguard.store.redis import Connection
from tests.server.serving import agents_side, now_ms, opened, parts, serving
from tests.server.visiting import cookie

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Where browsers meet the server. `agent` is used on the portal's loop alone."""

    valkey_url: str
    base: str
    provider: str
    browser: Browser
    portal: BlockingPortal
    agent: Channel

    def ask(self, *needs: Any, **changed: Any) -> Request:
        """A request that waits from now on."""

        async def asking() -> Request:
            return await opened(self.agent, *needs, **changed)

        return self.portal.call(asking)

    def do(self, move: Callable[..., Any], *arguments: Any) -> Any:
        """One move of the agent's side."""
        return self.portal.call(move, *arguments)

    @contextmanager
    def screen(self, person: str | None, *, base: str = "", **options: Any) -> Iterator[BrowserContext]:
        """A browser of its own in which this person is logged in, just now."""
        base = base or self.base
        context = self.browser.new_context(base_url=base, **options)
        context.set_default_timeout(20_000)
        if person is not None:
            email, session = f"{person}@acme.example", f"{person:0>32}"
            identity = Identity(person=person, email=email, how="oidc", session=session, authenticated_ms=now_ms())
            context.add_cookies([{"name": "agentguard", "value": cookie(identity), "url": base, "sameSite": "Strict"}])
        try:
            yield context
        finally:
            context.close()


@contextmanager
def scene(valkey_url: str, tenant: str, **changed: Any) -> Iterator[Scene]:
    """All of it, started once."""
    people = [
        User(sub="1", claims={"email": "ann@acme.example", "email_verified": True, "auth_time": int(time.time()) + 60}),
        User(sub="2", claims={"email": "mallory@evil.example", "email_verified": True}),
    ]
    with (
        run_server_in_thread(user_claims=people, require_nonce=True) as idp,
        start_blocking_portal() as portal,
        sync_playwright() as playwright,
    ):
        issuer = f"http://localhost:{idp.server_port}"
        line = Provider(terms=_terms(issuer, "http://x"))
        connection = portal.call(Connection.open, valkey_url)
        with serving(parts(valkey_url, tenant, provider=line, **changed)) as base:
            line.terms = _terms(issuer, base)
            browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
            yield Scene(
                valkey_url=valkey_url,
                base=base,
                provider=issuer,
                browser=browser,
                portal=portal,
                agent=agents_side(connection, tenant),
            )
            browser.close()
        portal.call(connection.close)


def _terms(issuer: str, base: str) -> Terms:
    return Terms(
        issuer=issuer,
        client_id="agentguard",
        client_secret=SecretStr("s3cret"),
        groups_claim="groups",
        groups={},
        redirect_uri=f"{base}/login/callback",
        step_up_seconds=300,
    )
