"""A world for each test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from agentguard.guard.pipeline import Guard
from tests.cli.commands import Commands, Running
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


@pytest.fixture
def begin(commands: Commands, state_dir: Path) -> Iterator[Callable[..., Running]]:
    """Begins a program in a process of its own: `begin(code, *words)`; ended with the test."""
    with ExitStack() as begun:
        yield lambda code, *words: begun.enter_context(
            commands.started(tuple(map(str, words)), code=code, folder=state_dir, env=os.environ)
        )
