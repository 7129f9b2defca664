"""A real embedded server for the tests of this folder, and connections to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from agentguard.store.embedded import Embedded
from agentguard.store.redis import Connection


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server of one test module keeps its files."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def server_url(state_dir: Path) -> Iterator[str]:
    """The address of a server that lives as long as the module's tests."""
    lease = Embedded().acquire(state_dir)
    yield lease.url
    lease.release()


@pytest.fixture
async def connection(server_url: str) -> AsyncIterator[Connection]:
    """A connection to an empty server."""
    opened = await Connection.open(server_url)
    await opened.execute("FLUSHALL")
    yield opened
    await opened.close()
