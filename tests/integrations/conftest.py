"""A guard with people around it, and a note of what ran."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agentguard.guard.pipeline import Guard
from tests.approval.server import Server
from tests.guard.world import World
from tests.integrations.fake_openai import FakeOpenAI


@pytest.fixture
def world(state_dir: Path, valkey_url: str, tenant: str) -> World:
    """Policies and people around one shared server."""
    return World(folder=state_dir, redis_url=valkey_url, tenant=tenant)


@pytest.fixture
def guard(world: World) -> Iterator[Guard]:
    """A guard in that world."""
    with world.open() as opened:
        yield opened


@pytest.fixture
def lonely_world(state_dir: Path, tenant: str) -> World:
    """The same policies, and no server: nobody knows what is frozen, so nothing runs."""
    return World(folder=state_dir, redis_url=f"unix://{state_dir}/none.sock", tenant=tenant)


@pytest.fixture
def lonely_guard(lonely_world: World) -> Iterator[Guard]:
    """A guard without a server."""
    with lonely_world.open() as opened:
        yield opened


@pytest.fixture
def doomed_server() -> Iterator[Server]:
    """A server of one test's own, which a tool of the test kills."""
    server = Server()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def doomed_guard(state_dir: Path, tenant: str, doomed_server: Server) -> Iterator[Guard]:
    """A guard on that server."""
    with World(folder=state_dir, redis_url=doomed_server.url, tenant=tenant).open() as opened:
        yield opened


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    """An HTTP server that speaks OpenAI's protocol and says what the test scripted."""
    with FakeOpenAI() as running:
        yield running
