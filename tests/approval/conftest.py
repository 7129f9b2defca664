"""A real server, and the two sides of a channel on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from agentguard.approval import Channel, Desk, RecordMac
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from tests.approval.people import ROSTER, TENANT
from tests.approval.server import Server

MAC_KEY = b"k" * 32


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Server]:
    """A server for all tests that neither stop nor freeze it."""
    server = Server()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server of one test's own."""
    server = Server()
    server.start()
    yield server
    server.remove()


@pytest.fixture
async def line(shared_server: Server) -> AsyncIterator[Connection]:
    """A connection to an empty server."""
    connection = await Connection.open(shared_server.url)
    await connection.execute("FLUSHALL")
    yield connection
    await connection.close()


@pytest.fixture
async def agent(line: Connection) -> Channel:
    """The agent's side."""
    return Channel(connection=line, names=Names(TENANT), mac=RecordMac(keys=[MAC_KEY]))


@pytest.fixture
async def desk(line: Connection) -> Desk:
    """The approvers' side."""
    return Desk(channel=Channel(connection=line, names=Names(TENANT)), roster=ROSTER)
