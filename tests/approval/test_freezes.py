"""Freezes: orders that a person signs and a second one lifts; the rules of freeze.lua, lift.lua and of redeem.lua under them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agentguard.approval import Brake, Channel, Desk, Freezes, RecordMac
from agentguard.approval.freezes import UNREADABLE
from agentguard.approval.signing import signed
from agentguard.errors import DecisionRefused
from agentguard.model.approvals import Freeze, Lift, Scope, State
from agentguard.store.names import EVERYBODY, Names
from agentguard.store.redis import Connection
from tests.approval.people import KEYS, ROSTER, TENANT, a_request, a_vote
from tests.approval.server import Server

pytestmark = pytest.mark.anyio


@pytest.fixture
async def brake(desk: Desk) -> Brake:
    """Where people stop calls."""
    await desk.channel.connection.execute("DEL", Names(EVERYBODY).freezes)
    return Brake(channel=desk.channel, roster=ROSTER)


@pytest.fixture
def freezes(agent: Channel) -> Freezes:
    """The agent's side."""
    return Freezes(connection=agent.connection, names=agent.names)


async def frozen(brake: Brake, scope: Scope = Scope.TOOL, name: str = "export_customers", by: str = "ann") -> Freeze:
    """An order of ann's."""
    return await brake.freeze(scope, name, reason="an incident", person=by, key=KEYS[by])


async def refusal(coroutine: object) -> str:
    """The code with which something is refused."""
    with pytest.raises(DecisionRefused) as refused:
        await coroutine  # type: ignore[misc]
    return refused.value.code


async def test_an_order_stands_until_a_second_person_lifts_it(brake: Brake, freezes: Freezes) -> None:
    """Then the agent's side sees a lift that verifies."""
    # given
    order = await frozen(brake)
    assert await freezes.standing() == {order.id: order}

    # when
    await brake.lift(order, reason="", person="bob", key=KEYS["bob"])

    # then
    assert await freezes.standing() == {}
    assert await freezes.lifted([order], ROSTER) == {order.id}


async def test_t15_whoever_froze_does_not_lift(brake: Brake, freezes: Freezes) -> None:
    """Under whatever spelling of themselves."""
    order = await frozen(brake)
    assert await refusal(brake.lift(order, reason="", person="ANN@acme.example", key=KEYS["ann"])) == "second_person"
    assert order.id in await freezes.standing()


async def test_an_order_of_a_scope_that_is_frozen_changes_nothing(brake: Brake) -> None:
    """The first stands; so nobody becomes the one who may not lift it by freezing again."""
    order = await frozen(brake)
    assert await frozen(brake, by="bob") == order


async def test_an_order_that_was_lifted_can_be_given_again(brake: Brake, freezes: Freezes) -> None:
    """As a new one, on which the old lift has no bearing."""
    order = await frozen(brake)
    await brake.lift(order, reason="", person="bob", key=KEYS["bob"])
    again = await frozen(brake)
    assert await freezes.lifted([again], ROSTER) == frozenset()
    assert await refusal(brake.lift(order, reason="", person="cat", key=KEYS["cat"])) == "not_frozen"


@pytest.mark.parametrize(
    ("scope", "name", "stopped"),
    [
        (Scope.AGENT, "clerk", {"clerk export", "clerk refund"}),
        (Scope.TOOL, "export", {"clerk export", "other export"}),
        (Scope.TENANT, "", {"clerk export", "clerk refund", "other export"}),
        (Scope.ALL, "", {"clerk export", "clerk refund", "other export"}),
    ],
)
async def test_a_scope_stops_what_it_says(
    brake: Brake, freezes: Freezes, scope: Scope, name: str, stopped: set[str]
) -> None:
    """An agent, a tool, a tenant, everybody."""
    order = await frozen(brake, scope, name)
    (standing,) = (await freezes.standing()).values()
    calls = [("clerk", "export"), ("clerk", "refund"), ("other", "export")]
    assert {f"{agent} {tool}" for agent, tool in calls if standing.stops(TENANT, agent, tool)} == stopped
    assert standing.stops("another", "clerk", "export") is (scope is Scope.ALL)
    assert order == standing
    await brake.lift(order, reason="", person="bob", key=KEYS["bob"])


async def test_t35_another_tenant_sees_everybodys_orders_and_no_others(brake: Brake, agent: Channel) -> None:
    """`--all` stops every tenant on the server."""
    own, everybody = await frozen(brake), await frozen(brake, Scope.ALL, "")
    elsewhere = Freezes(connection=agent.connection, names=Names("another"))
    assert set(await elsewhere.standing()) == {everybody.id}
    await brake.lift(everybody, reason="", person="bob", key=KEYS["bob"])
    assert own.id not in await elsewhere.standing()


@pytest.mark.parametrize(
    ("scope", "name"), [(Scope.AGENT, ""), (Scope.TOOL, ""), (Scope.ALL, "x"), (Scope.TENANT, "x")]
)
async def test_a_freeze_says_exactly_what_it_stops(brake: Brake, scope: Scope, name: str) -> None:
    """A name for an agent or a tool, and for nothing else."""
    assert await refusal(frozen(brake, scope, name)) == "bad_scope"


@pytest.mark.parametrize("reason", ["", "  ", "\u202eevil"])
async def test_a_freeze_has_a_plain_reason(brake: Brake, reason: str) -> None:
    """People and the model read it."""
    order = brake.freeze(Scope.TENANT, "", reason=reason, person="ann", key=KEYS["ann"])
    assert await refusal(order) == "bad_comment"


@pytest.mark.parametrize(
    ("person", "key", "code"),
    [("nobody", "ann", "unknown_person"), ("ann", "bob", "bad_signature"), ("dan", "dan", "no_key")],
)
async def test_t14_only_a_listed_person_freezes(brake: Brake, person: str, key: str, code: str) -> None:
    """With a key of their own."""
    order = brake.freeze(Scope.TENANT, "", reason="why", person=person, key=KEYS.get(key, KEYS["stranger"]))
    assert await refusal(order) == code


@pytest.mark.parametrize("written", [b"", b"{}", b"not json", b'{"scope":"all"}'])
async def test_t32_an_order_that_can_not_be_read_stops_everything(
    brake: Brake, freezes: Freezes, written: bytes
) -> None:
    """Broken means no."""
    await brake.channel.connection.execute("HSET", freezes.names.freezes, "tool:x", written)
    assert list((await freezes.standing()).values()) == [UNREADABLE]
    assert UNREADABLE.stops(TENANT, "any", "any")


@pytest.mark.parametrize(
    "change",
    [
        lambda lift: lift.model_copy(update={"signature": ""}),
        lambda lift: signed(lift, KEYS["stranger"]),
        lambda lift: signed(lift.model_copy(update={"person": "ann", "signer": "ann"}), KEYS["ann"]),
        lambda lift: signed(lift.model_copy(update={"freeze_digest": "0" * 64}), KEYS["bob"]),
        lambda lift: signed(lift.model_copy(update={"tenant": "another"}), KEYS["bob"]),
        lambda lift: signed(lift.model_copy(update={"signer": "stranger"}), KEYS["stranger"]),
    ],
    ids=["unsigned", "another's key", "who froze", "another order", "another tenant", "no signer"],
)
async def test_t32_a_lift_that_no_second_person_signed_ends_nothing(
    brake: Brake, freezes: Freezes, change: Callable[[Lift], Lift]
) -> None:
    """Whoever can write to Redis can take an order away, and still lets nobody go on who saw it."""
    # given
    order = await frozen(brake)
    lift = Lift(tenant=TENANT, freeze=order.id, freeze_digest=order.digest(), person="bob", time_ms=1, signer="bob")

    # when
    names = freezes.names
    await brake.channel.connection.execute("DEL", names.freezes)
    await brake.channel.connection.execute("SET", names.lift(order.id), change(signed(lift, KEYS["bob"])).canonical())

    # then
    assert await freezes.lifted([order], ROSTER) == frozenset()


@pytest.mark.parametrize(
    ("scope", "name", "stops"),
    [
        (Scope.TENANT, "", True),
        (Scope.AGENT, "clerk", True),
        (Scope.TOOL, "export_customers", True),
        (Scope.AGENT, "other", False),
        (Scope.TOOL, "export", False),
    ],
)
async def test_an_approved_request_gives_no_permit_while_frozen(
    brake: Brake, agent: Channel, scope: Scope, name: str, stops: bool
) -> None:
    """The script itself looks; lifted, the same request gives it."""
    # given
    stored = (await agent.open(a_request(), b"")).stored
    await agent.vote(a_vote(stored.request, "ann", time_ms=stored.request.opened_ms), stored.version, State.APPROVED)
    stored = await agent.read(stored.request.id)
    order = await frozen(brake, scope, name)

    # when
    codes = []
    try:
        await agent.redeem(stored, "fence")
    except DecisionRefused as refused:
        codes.append(refused.code)

    # then
    assert codes == ["frozen"] * stops
    await brake.lift(order, reason="", person="bob", key=KEYS["bob"])
    await agent.redeem(stored, "fence")


async def test_what_runs_already_is_listed(brake: Brake, agent: Channel) -> None:
    """A freeze stops no call that began before it."""
    stored = (await agent.open(a_request(), b"")).stored
    await agent.vote(a_vote(stored.request, "ann", time_ms=stored.request.opened_ms), stored.version, State.APPROVED)
    await agent.redeem(await agent.read(stored.request.id), "fence")
    order = await frozen(brake)
    other = await frozen(brake, Scope.TOOL, "refund")
    assert [one.id for one in await brake.running(order)] == [stored.request.id]
    assert await brake.running(other) == []


async def test_an_order_outlives_a_crash_of_the_server_and_a_restart(own_server: Server) -> None:
    """Killed and started again on its files: the order stands, and no permit is given."""
    # given
    line = await Connection.open(own_server.url)
    agent = Channel(connection=line, names=Names(TENANT), mac=RecordMac(keys=[b"k" * 32]))
    stored = (await agent.open(a_request(), b"")).stored
    await agent.vote(a_vote(stored.request, "ann", time_ms=stored.request.opened_ms), stored.version, State.APPROVED)
    brake = Brake(channel=Channel(connection=line, names=Names(TENANT)), roster=ROSTER)
    order, everybodys = await frozen(brake), await frozen(brake, Scope.ALL, "")
    stored = await agent.read(stored.request.id)
    await line.close()

    # when
    own_server.kill()
    own_server.start()

    # then
    line = await Connection.open(own_server.url)
    standing = await Freezes(connection=line, names=agent.names).standing()
    with pytest.raises(DecisionRefused, match="is frozen"):
        await Channel(connection=line, names=agent.names, mac=agent.mac).redeem(stored, "fence")
    assert standing == {order.id: order, everybodys.id: everybodys}
    await line.close()
