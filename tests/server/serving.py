"""The real application on a real uvicorn, with people, tokens and requests of one tenant."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

import anyio
import httpx

from agentguard.approval import Channel, RecordMac
from agentguard.model.approvals import Request
from agentguard.server.app import Parts, create_app
from agentguard.server.lines import Line
from agentguard.server.pace import Pace, Paces
from agentguard.server.running import listener
from agentguard.server.settings import ServerSettings
from agentguard.server.tokens import Token
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from tests.approval.people import KEYS, ROSTER, a_principal, a_request

MAC_KEY = b"k" * 32
STARTED_WITHIN_SECONDS = 10.0
UNHURRIED = Pace(per_minute=10**9, burst=10**9)

TOKENS = {
    name: f"agt_{name}-{'x' * 32}"
    for name in ("ann", "bob", "cat", "cem", "zoe", "eve", "user", "gone", "late", "reader")
}
"""What each person shows; `gone` is nobody of the roster, `late` expired, `reader` Bob's that only reads."""


def now_ms() -> int:
    """This machine's time."""
    return time.time_ns() // 1_000_000


def token_lines() -> list[Token]:
    """The tokens as the server knows them."""

    def line(name: str, person: str, expires_ms: int | None = None) -> Token:
        hashed = hashlib.sha256(TOKENS[name].encode()).hexdigest()
        email = f"{person}@acme.example"
        return Token(id=f"{name:0>8}", person=person, sha256=hashed, created_ms=1, expires_ms=expires_ms, email=email)

    people = [line(name, name) for name in ("ann", "bob", "cat", "cem", "zoe", "eve")]
    reader = line("reader", "bob").model_copy(update={"scope": "read"})
    return [*people, reader, line("gone", "gone"), line("late", "ann", expires_ms=now_ms() - 1)]


def parts(url: str, tenant: str, **changed: Any) -> Parts:
    """The parts of a server of this tenant."""

    @asynccontextmanager
    async def connect() -> Any:
        connection = await Connection.open(url)
        try:
            yield connection
        finally:
            await connection.close()

    given = Parts(
        connect=connect,
        tenant=tenant,
        roster=lambda: ROSTER,
        tokens=token_lines,
        signer="inbox",
        key=KEYS["inbox"],
        now_ms=now_ms,
        paces=Paces(reading=UNHURRIED, deciding=UNHURRIED, failing=UNHURRIED),
    )
    return replace(given, **changed)


@contextmanager
def serving(made: Parts, kind: type[Line] = Line) -> Iterator[str]:
    """A server on a free port, in a thread and on a loop of its own. Gives its address."""
    line = socket.create_server(("127.0.0.1", 0))
    server = listener(create_app(made), host="127.0.0.1", port=0, server=ServerSettings(), line=kind)
    server.config.log_config = None
    thread = threading.Thread(target=server.run, kwargs={"sockets": [line]}, daemon=True)
    thread.start()
    give_up = time.monotonic() + STARTED_WITHIN_SECONDS
    while not server.started:
        if time.monotonic() > give_up or not thread.is_alive():
            raise RuntimeError("the test's server did not start")
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{line.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=STARTED_WITHIN_SECONDS)
        line.close()


def caller(base: str, name: str | None = None) -> httpx.AsyncClient:
    """A client that shows a person's token, or none."""
    headers = {} if name is None else {"authorization": f"Bearer {TOKENS[name]}"}
    return httpx.AsyncClient(base_url=base, headers=headers, trust_env=False, timeout=20)


def agents_side(connection: Connection, tenant: str) -> Channel:
    """The channel that opens requests and verifies them."""
    return Channel(connection=connection, names=Names(tenant), mac=RecordMac(keys=[MAC_KEY]))


async def opened(agent: Channel, *needs: Any, user: str | None = "user@acme.example", **changed: Any) -> Request:
    """A request that waits; the next one is of another millisecond, so what is opened in order is listed in order."""
    principal = a_principal(user, tenant=agent.names.tenant)
    made = await agent.open(a_request(*needs, principal=principal, **changed), b"sealed")
    await anyio.sleep(0.002)
    return made.stored.request
