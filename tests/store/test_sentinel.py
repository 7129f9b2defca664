"""Sentinel: the guard follows the primary, and with `WAIT` no decision that was acknowledged is lost with it."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from agentguard.approval import Channel, RecordMac
from agentguard.errors import ConfigurationError, GuardUnavailable
from agentguard.model.approvals import State
from agentguard.store.address import Monitored, monitored
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from tests.approval.people import TENANT, a_request, a_vote
from tests.store.redis_server import BINARY, needs_redis_server

pytestmark = [pytest.mark.anyio, needs_redis_server]


@dataclass
class Trio:
    """A primary, its replica, and the sentinel that watches both."""

    folder: Path
    ports: tuple[int, int, int]
    processes: list[subprocess.Popen[bytes]]

    @property
    def url(self) -> str:
        """What a deployment sets."""
        return f"redis+sentinel://127.0.0.1:{self.ports[2]}/main"

    def start(self) -> None:
        """Start the primary and its replica."""
        primary, replica, _ = self.ports
        plain = ["--bind", "127.0.0.1", "--dir", str(self.folder), "--save", "", "--appendonly", "no"]
        plain += ["--repl-diskless-sync-delay", "0"]
        self._run("--port", str(primary), *plain)
        self._run("--port", str(replica), "--replicaof", "127.0.0.1", str(primary), *plain)

    def watch(self) -> None:
        """Start the sentinel, which asks the primary for its replicas now, and then every ten seconds."""
        primary, _, sentinel = self.ports
        written = (
            f"port {sentinel}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {primary} 1\n"
            "sentinel down-after-milliseconds main 300\nsentinel failover-timeout main 2000\n"
        )
        (self.folder / "sentinel.conf").write_text(written)
        self._run(str(self.folder / "sentinel.conf"), "--sentinel")

    def kill_primary(self) -> None:
        """As a crash would."""
        self.processes[0].kill()
        self.processes[0].wait()

    def stop_replica(self) -> None:
        """As a crash would."""
        self.processes[1].kill()
        self.processes[1].wait()

    def _run(self, *words: str) -> None:
        self.processes.append(
            subprocess.Popen([str(BINARY), *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )


@pytest.fixture
def trio(tmp_path: Path) -> Iterator[Trio]:
    """Three servers of one test's own."""
    made = Trio(tmp_path, (_free_port(), _free_port(), _free_port()), [])
    made.start()
    yield made
    for process in made.processes:
        process.kill()
        process.wait()
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture
async def line(trio: Trio) -> AsyncIterator[Connection]:
    """A connection by way of the sentinel, that waits for one replica, once there is one."""
    primary, _, sentinel = trio.ports
    await says(primary, "online", "INFO", "replication")
    trio.watch()
    await says(sentinel, "slave-repl-offset", "SENTINEL", "REPLICAS", "main")
    opened = await _opened(trio.url, replicas=1)
    yield opened
    await opened.close()


async def says(port: int, word: str, *command: str) -> None:
    """Wait until a server's answer has a word."""
    asked = await _opened(f"redis://127.0.0.1:{port}", replicas=0)
    async with asyncio.timeout(20):
        while word not in str(await asked.execute(*command)):
            await asyncio.sleep(0.05)
    await asked.close()


async def _opened(url: str, replicas: int) -> Connection:
    async with asyncio.timeout(20):
        while True:
            with suppress(GuardUnavailable):
                return await Connection.open(url, replicas=replicas)
            await asyncio.sleep(0.1)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.slow
async def test_t6_an_acknowledged_decision_outlives_its_primary(trio: Trio, line: Connection) -> None:
    """The replica has it before anybody is told; the same line goes on with the new primary by itself."""
    # given
    agent = Channel(connection=line, names=Names(TENANT), mac=RecordMac(keys=[b"k" * 32]))
    stored = (await agent.open(a_request(), b"sealed")).stored
    await agent.vote(a_vote(stored.request, "ann", time_ms=stored.request.opened_ms), stored.version, State.APPROVED)

    # when
    trio.kill_primary()
    after = None
    async with asyncio.timeout(30):
        while after is None:
            with suppress(GuardUnavailable):
                after = await agent.read(stored.request.id)
            await asyncio.sleep(0.1)

    # then
    assert after.state is State.APPROVED


@pytest.mark.slow
async def test_t6_a_decision_that_no_replica_has_is_none_yet(trio: Trio, line: Connection) -> None:
    """Whoever decided is told that nobody knows; a permit that was not acknowledged is none."""
    # given
    agent = Channel(connection=line, names=Names(TENANT), mac=RecordMac(keys=[b"k" * 32]))
    stored = (await agent.open(a_request(), b"sealed")).stored
    vote = a_vote(stored.request, "ann", time_ms=stored.request.opened_ms)
    await agent.vote(vote, stored.version, State.APPROVED)

    # when
    trio.stop_replica()

    # then
    with pytest.raises(GuardUnavailable, match="replica"):
        await agent.redeem(await agent.read(stored.request.id), "fence")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis+sentinel://a:1,b:2/main", Monitored((("a", 1), ("b", 2)), "main", "redis:///0")),
        ("rediss+sentinel://u:p%40@a/main/3", Monitored((("a", 26379),), "main", "rediss://u:p%40@/3")),
        ("redis://a:1/0", None),
    ],
)
def test_an_address_of_sentinels_is_read(url: str, place: Monitored | None) -> None:
    """Their hosts, the name of the primary, and who connects to it."""
    assert monitored(url) == place


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://",
        "redis+sentinel://a:1",
        "redis+sentinel://a:x/main",
        "redis+sentinel://a/main/x",
        "redis+sentinel://a/main?wait=1",
    ],
)
def test_what_is_no_address_of_sentinels_is_refused(url: str) -> None:
    """With what to write instead, and no part of the URL."""
    with pytest.raises(ConfigurationError, match="sentinel"):
        monitored(url)


@pytest.mark.parametrize("url", ["redis+cluster://a:1", "redis-cluster://a:1", "rediss+cluster://a:1/0"])
async def test_an_address_of_a_cluster_is_refused_in_plain_words(url: str) -> None:
    """A node of one is no place to find all tenants."""
    with pytest.raises(ConfigurationError, match="cluster"):
        await Connection.open(url)
