"""A server whose memory is full: people can still stop calls and decide, runs can still end, and nothing new runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from agentguard.approval import Attempt, Brake, Channel, Deeds, Desk, RecordMac
from agentguard.errors import GuardUnavailable
from agentguard.model.approvals import Decision, Found, Scope, State
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from tests.approval.people import KEYS, ROSTER, TENANT, a_request
from tests.approval.server import Server
from tests.store.redis_server import needs_redis_server, running

pytestmark = pytest.mark.anyio

ATTEMPT = Attempt(tool="refund", agent="clerk", user=None, session="s")


@pytest.fixture(scope="module", params=["valkey", pytest.param("redis", marks=needs_redis_server)])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of these tests' own: the embedded one's binary, and Debian's."""
    if request.param == "redis":
        with running(Path(tmp_path_factory.mktemp("r"))) as server:
            yield server.url
    else:
        own = Server()
        own.start()
        yield own.url
        own.remove()


@pytest.fixture
async def line(url: str) -> AsyncIterator[Connection]:
    """A connection to it, with room and nothing there."""
    opened = await Connection.open(url)
    await opened.execute("FLUSHALL")
    yield opened
    await opened.execute("CONFIG", "SET", "maxmemory", "0")
    await opened.close()


async def test_t5_on_a_full_server_people_decide_and_stop_and_nothing_new_runs(line: Connection) -> None:
    """Votes, withdrawals, ends, settlements, freezes and lifts go on; no request opens, and no permit is given."""
    # given
    agent = Channel(connection=line, names=Names(TENANT), mac=RecordMac(keys=[b"k" * 32]))
    desk = Desk(channel=Channel(connection=line, names=Names(TENANT)), roster=ROSTER)
    brake, deeds = Brake(channel=desk.channel, roster=ROSTER), Deeds(channel=agent)
    asked, unwanted, approved, running_, lost = [(await agent.open(a_request(), b"")).stored for _ in range(5)]
    for stored in (approved, running_, lost):
        await _approve(desk, stored.request.id)
    for stored in (running_, lost):
        await agent.redeem(await agent.read(stored.request.id), "fence")
    await deeds.begin(["deed"], "fence", ATTEMPT)

    # when
    await line.execute("CONFIG", "SET", "maxmemory", "1")

    # then
    await _approve(desk, asked.request.id)
    await agent.withdraw(unwanted.request.id, "cancelled")
    await agent.finish(running_.request.id, "fence", State.DONE)
    await agent.finish(lost.request.id, "fence", State.UNKNOWN)
    await desk.settle(lost.request.id, Found.HAPPENED, person="bob", key=KEYS["bob"])
    await deeds.end(["deed"], "fence", State.DONE)
    order = await brake.freeze(Scope.TENANT, "", reason="full", person="ann", key=KEYS["ann"])
    await brake.lift(order, reason="", person="bob", key=KEYS["bob"])
    states = [(await agent.read(stored.request.id)).state for stored in (asked, unwanted, running_, lost)]
    assert states == [State.APPROVED, State.WITHDRAWN, State.DONE, State.UNKNOWN]
    with pytest.raises(GuardUnavailable, match="its memory is full"):
        await agent.open(a_request(), b"")
    with pytest.raises(GuardUnavailable, match="its memory is full"):
        await agent.redeem(await agent.read(approved.request.id), "fence")
    with pytest.raises(GuardUnavailable, match="its memory is full"):
        await deeds.begin(["other"], "fence", ATTEMPT)

    # and when
    await line.execute("CONFIG", "SET", "maxmemory", "0")

    # then
    await agent.redeem(await agent.read(approved.request.id), "fence")


async def _approve(desk: Desk, request_id: str) -> None:
    shown = await desk.show(request_id)
    await desk.decide(
        request_id, person="ann", key=KEYS["ann"], decision=Decision.APPROVE, card_digest=shown.card_digest
    )
