"""A world for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agentguard.guard.pipeline import Guard
from tests.guard.world import World


@pytest.fixture
def world(state_dir: Path, valkey_url: str, tenant: str) -> World:
    """Policies, people and tools around one shared server."""
    return World(folder=state_dir, redis_url=valkey_url, tenant=tenant)


@pytest.fixture
def guard(world: World) -> Iterator[Guard]:
    """A guard in that world."""
    with world.open() as opened:
        yield opened
