"""The whole road on a Redis that the deployment runs, over a socket and over TLS: no move knows which server it is on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentguard.audit import read, verify
from agentguard.config import journal_keys
from agentguard.errors import CallRefused, DecisionRefused, GuardUnavailable, RefusalReason, ResultWithheld
from agentguard.guard.pipeline import Guard
from agentguard.model.approvals import Decision, State
from tests.guard.world import CUSTOMER, World
from tests.store.redis_server import PASSWORD, RedisServer, needs_redis_server, running, running_securely

pytestmark = [pytest.mark.anyio, needs_redis_server]

ANN = "ann@acme.example"


@pytest.fixture(scope="module")
def socket_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on a socket."""
    with running(tmp_path_factory.mktemp("r")) as server:
        yield server.url


@pytest.fixture(scope="module")
def tls_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on loopback, with TLS and a password."""
    with running_securely(tmp_path_factory.mktemp("t")) as server:
        yield server.url()


@pytest.fixture(params=["socket_url", "tls_url"], ids=["socket", "TLS"])
def valkey_url(request: pytest.FixtureRequest) -> str:
    """Redis in place of the embedded server, for the world of these tests."""
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def own_server(state_dir: Path) -> Iterator[RedisServer]:
    """A server that a test may fill, stop and start."""
    with running(state_dir / "server") as server:
        yield server


@pytest.fixture
def own_world(state_dir: Path, own_server: RedisServer, tenant: str) -> World:
    """A world on that server."""
    return World(folder=state_dir, redis_url=own_server.url, tenant=tenant)


async def test_a_masked_value_comes_back_where_policy_reveals_it_in_another_process_too(world: World) -> None:
    """The model sees tokens; the next process with the session restores one in `to`, and nowhere else."""
    with world.open() as first, first.session(user=ANN, id="thread"):
        seen = await world.call(first, "find_customer", customer_id=7)
    with world.open() as second, second.session(user=ANN, id="thread"):
        answer = await world.call(second, "send_email", to=seen["email"], body=f"Dear {seen['full_name']}")

    assert not [value for value in (CUSTOMER["full_name"], CUSTOMER["email"]) if str(value) in json.dumps(seen)]
    assert world.tools.ran[-1] == ("send_email", {"to": CUSTOMER["email"], "body": f"Dear {seen['full_name']}"})
    assert answer == f"sent to {seen['email']}"


async def test_a_rule_on_labels_denies_once_the_session_has_the_label(world: World, guard: Guard) -> None:
    """What came in is known to the next call."""
    with guard.session(user=ANN):
        assert await world.call(guard, "http_post", url="https://mail.example/x") == "posted"
        await world.call(guard, "find_customer", customer_id=7)
        with pytest.raises(CallRefused, match="Customer data would leave") as refused:
            await world.call(guard, "http_post", url="https://mail.example/x")

    assert refused.value.reason is RefusalReason.DENIED
    assert [name for name, _ in world.tools.ran] == ["http_post", "find_customer"]


async def test_two_people_approve_and_the_call_runs_once(world: World, guard: Guard) -> None:
    """Opened, voted on twice, redeemed, finished; the same call again is told that it is done, and all is on record."""
    with guard.session(user=ANN):
        call = asyncio.create_task(world.call(guard, "export_customers", "c1", limit=2))
        (request,) = await world.waiting()
        await world.decide(request, "bob")
        assert await world.state(request) is State.PENDING
        assert world.tools.ran == []
        await world.decide(request, "cem")
        rows = await call
        with pytest.raises(CallRefused) as again:
            await world.call(guard, "export_customers", "c1", limit=2)

    assert str(CUSTOMER["email"]) not in json.dumps(rows)
    assert world.tools.ran == [("export_customers", {"limit": 2})]
    assert await world.state(request) is State.DONE
    assert again.value.reason is RefusalReason.ALREADY_DONE
    assert {"asked", "permitted", "settled"} <= {entry.kind for entry in read(world.folder / "state" / "journal")}


async def test_a_no_is_final(world: World, guard: Guard) -> None:
    """The call is refused with the person's words, and a later yes is refused too."""
    with guard.session(user=ANN):
        call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1))
        (request,) = await world.waiting()
        await world.decide(request, "bob", Decision.REJECT, "Not this one")
        with pytest.raises(CallRefused, match="Not this one") as refused:
            await call
        with pytest.raises(DecisionRefused, match="rejected"):
            await world.decide(request, "cem")

    assert refused.value.reason is RefusalReason.REJECTED
    assert world.tools.ran == []


async def test_a_cancelled_wait_takes_its_request_back(world: World, guard: Guard) -> None:
    """Nobody is left with a question that no call waits for."""
    with guard.session(user=ANN):
        call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1))
        (request,) = await world.waiting()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        async with asyncio.timeout(20):
            while await world.open_requests():
                await asyncio.sleep(0.01)

    assert await world.state(request) is State.WITHDRAWN
    assert world.tools.ran == []


@pytest.mark.slow
async def test_t8_nobody_decides_in_time(world: World) -> None:
    """Redis's clock ends the request, and the call is refused as expired."""
    world.set_deadline("1s")
    with world.open() as guard, guard.session(user=ANN), pytest.raises(CallRefused) as refused:
        await world.call(guard, "refund", "c1", order_id=1)

    assert refused.value.reason is RefusalReason.EXPIRED
    assert world.tools.ran == []


async def test_t2_of_many_guards_one_runs_the_approved_call(world: World) -> None:
    """Five guards wait for one answer to one call; one of them gets the permit."""
    guards = [world.open() for _ in range(5)]

    async def one(guard: Guard) -> str:
        with guard.session(user=ANN, id="thread"):
            return str(await world.call(guard, "refund", "c1", order_id=1))

    calls = [asyncio.create_task(one(guard)) for guard in guards]
    (request,) = await world.waiting()
    await world.decide(request, "bob")
    ends = await asyncio.gather(*calls, return_exceptions=True)
    await asyncio.gather(*(asyncio.to_thread(guard.close) for guard in guards))

    assert ends.count("refunded") == 1
    assert world.tools.ran == [("refund", {"order_id": 1, "amount": 10.0})]


async def test_t5_a_full_server_stops_what_needs_it_and_nothing_else(own_world: World, own_server: RedisServer) -> None:
    """No question and no new token while it is full, in plain words; both as soon as there is room."""
    with own_world.open() as guard, guard.session(user=ANN):
        assert await own_world.call(guard, "http_post", url="https://acme.example/x") == "posted"
        own_server.say("CONFIG SET maxmemory 1")

        with pytest.raises(GuardUnavailable, match="its memory is full"):
            await own_world.call(guard, "refund", "c1", order_id=1)
        with pytest.raises(ResultWithheld, match="its memory is full"):
            await own_world.call(guard, "find_customer", customer_id=7)
        assert await own_world.call(guard, "echo", value="hello") == "hello"
        assert "refund" not in [name for name, _ in own_world.tools.ran]

        own_server.say("CONFIG SET maxmemory 64mb")
        assert (await own_world.call(guard, "find_customer", customer_id=7))["email"].startswith("[EMAIL_")


async def test_t5_a_replica_takes_no_question(own_world: World, own_server: RedisServer) -> None:
    """After a failover that the address did not follow, nothing runs that would have to ask."""
    own_server.say("REPLICAOF 127.0.0.1 1")
    with (
        own_world.open() as guard,
        guard.session(user=ANN),
        pytest.raises(GuardUnavailable, match="read-only replica"),
    ):
        await own_world.call(guard, "refund", "c1", order_id=1)

    assert own_world.tools.ran == []


async def test_t5_with_a_wrong_password_nothing_that_needs_redis_runs(
    own_world: World, own_server: RedisServer
) -> None:
    """The reason is told; no part of the address is, in the error or on record."""
    own_server.say(f"CONFIG SET requirepass {PASSWORD}")
    own_world.redis_url = own_server.url.replace("://", "://:hunter2@")
    with (
        own_world.open() as guard,
        guard.session(user=ANN),
        pytest.raises(GuardUnavailable, match="refused the user or password") as caught,
    ):
        await own_world.call(guard, "refund", "c1", order_id=1)

    assert "hunter2" not in repr(caught.value)
    assert own_world.tools.ran == []
    kept = [file.read_text() for file in (own_world.folder / "state" / "journal").glob("*.jsonl")]
    assert kept
    assert "hunter2" not in "".join(kept)


async def test_t4_t5_a_waiting_call_goes_on_when_redis_is_back(own_world: World, own_server: RedisServer) -> None:
    """Killed and started again while people think: request and votes are there, and the call runs once."""
    with own_world.open() as guard, guard.session(user=ANN):
        call = asyncio.create_task(own_world.call(guard, "export_customers", "c1", limit=1))
        (request,) = await own_world.waiting()
        await own_world.decide(request, "bob")
        own_server.stop()
        own_server.start()
        await own_world.decide(request, "cem")
        async with asyncio.timeout(15):
            await call

    assert own_world.tools.ran == [("export_customers", {"limit": 1})]
    assert verify(own_world.folder / "state" / "journal", journal_keys(own_world.settings)).ok
