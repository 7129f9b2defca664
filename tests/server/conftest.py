"""A server of each test's own tenant."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from agentguard.approval import Channel
from agentguard.guard.pipeline import Guard
from agentguard.store.redis import Connection
from tests.approval.people import KEYS
from tests.guard.world import World
from tests.server.serving import agents_side, caller, parts, serving

SIGNERS = 'signers:\n  inbox: {{key: "{key}", speaks_for: everyone}}\n'


@pytest.fixture(scope="session")
def tenant() -> str:
    """The tenant of this process's tests; each begins with nothing in it."""
    return f"tenant-{uuid4().hex[:12]}"


@pytest.fixture
async def agent(connection: Connection, tenant: str) -> Channel:
    """The agent's side of the tenant, where nothing has happened yet."""
    channel = agents_side(connection, tenant)
    await connection.execute(
        "DEL", "nothing", *await connection.execute("KEYS", channel.names.events.removesuffix("events") + "*")
    )
    return channel


@pytest.fixture(scope="session")
def base(valkey_url: str, tenant: str) -> Iterator[str]:
    """The address of a running server."""
    with serving(parts(valkey_url, tenant)) as address:
        yield address


@pytest.fixture
async def ann(base: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the token of Ann, a steward."""
    async with caller(base, "ann") as client:
        yield client


@pytest.fixture
async def bob(base: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the token of Bob, a steward."""
    async with caller(base, "bob") as client:
        yield client


@pytest.fixture
async def nobody(base: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    async with caller(base) as client:
        yield client


@pytest.fixture
def world(state_dir: Path, valkey_url: str, agent: Channel) -> World:
    """A guard's world in a tenant where nothing waits, whose approvers.yaml knows the server."""
    made = World(folder=state_dir, redis_url=valkey_url, tenant=agent.names.tenant)
    with (made.policies / "approvers.yaml").open("a") as file:
        file.write(SIGNERS.format(key=KEYS["inbox"].public))
    return made


@pytest.fixture
def guard(world: World) -> Iterator[Guard]:
    """The agent's guard."""
    with world.open() as opened:
        yield opened
