"""A real server, and the two sides of a channel on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentguard.approval import Channel, Desk, RecordMac
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from tests.approval.people import ROSTER, TENANT
from tests.approval.server import Server

MAC_KEY = b"k" * 32


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server of one test's own."""
    server = Server()
    server.start()
    yield server
    server.remove()


@pytest.fixture
async def line(connection: Connection) -> Connection:
    """A connection to a server on which the tenant has nothing yet."""
    if keys := await tenant_keys(connection):
        await connection.execute("DEL", *keys)
    return connection


@pytest.fixture
async def agent(line: Connection) -> Channel:
    """The agent's side."""
    return Channel(connection=line, names=Names(TENANT), mac=RecordMac(keys=[MAC_KEY]))


@pytest.fixture
async def desk(line: Connection) -> Desk:
    """The approvers' side."""
    return Desk(channel=Channel(connection=line, names=Names(TENANT)), roster=ROSTER)


async def tenant_keys(connection: Connection) -> list[str]:
    """Everything that the tenant has on the server."""
    return [key.decode() for key in await connection.execute("KEYS", f"ag:{{{TENANT}}}:*")]
