"""Grants: what people allow along with an approval, and not a call more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from agentguard.approval import Grants, Listed
from agentguard.audit import read
from agentguard.config import open_brake, open_desk
from agentguard.errors import CallPending, CallRefused, DecisionRefused, RequestNotFound
from agentguard.guard.pipeline import Guard
from agentguard.model.approvals import Decision, Grant, Scope, Vote
from agentguard.model.calls import ToolCall
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from tests.guard.world import World

pytestmark = pytest.mark.anyio

ANN = "ann@acme.example"
POLICY = """\
version: 1
risk: {low: allow, medium: allow, high: {ask: on-call}, critical: {ask: stewards}}
tools:
  refund: {risk: high, labels: [], grants: {for: 30m, uses: 3, same: [order_id], at_most: [amount]}}
  close_account: {risk: high, labels: [], grants: {for: 1h, uses: 2, session: false, same: [account]}}
  echo: {risk: low, labels: []}
rules:
  - {id: large, tools: [refund], when: args.amount > 100.0, ask: stewards}
  - {id: huge, tools: [refund], when: args.amount == 5.5, deny: true, reason: Not that}
  - {id: danger, tools: [refund], when: args.amount == 6.5, risk: critical}
  - {id: odd, tools: [refund], when: args.amount == 7.5, ask: on-call, reason: Odd}
approvals:
  on-call: {approvers: [group:on-call], deadline: 20s}
  stewards: {approvers: [group:stewards], quorum: 2, deadline: 20s}
"""
THREE = Grant(seconds=600, uses=3, session=True)


@pytest.fixture
def guard(world: World) -> Iterator[Guard]:
    """A guard in that world, in ann's session."""
    (world.policies / "policy.yaml").write_text(POLICY)
    with world.open() as opened, opened.session(user=ANN, id="thread"):
        yield opened


async def decide(world: World, request: str, grant: Grant | None, person: str = "bob") -> None:
    """A person's approval, and what they grant along."""
    async with open_desk(world.policies, world.settings, tenant=world.tenant) as desk:
        await desk.decide(
            request,
            person=person,
            key=world.keys[person],
            decision=Decision.APPROVE,
            card_digest=(await desk.show(request)).card_digest,
            grant=grant,
        )


async def granted(world: World, guard: Guard, grant: Grant = THREE, tool: str = "refund", **arguments: Any) -> str:
    """A call that people approved with a grant, and its request."""
    call = asyncio.create_task(world.call(guard, tool, **(arguments or {"order_id": 7, "amount": 90.0})))
    (request,) = await world.waiting()
    await decide(world, request, grant)
    await call
    return request


async def is_asked(world: World, guard: Guard, tool: str = "refund", **arguments: Any) -> bool:
    """Whether people are asked about a call; then it is taken back."""
    call = asyncio.create_task(world.call(guard, tool, **arguments))
    while not call.done():
        if await world.open_requests():
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            async with asyncio.timeout(20):
                while await world.open_requests():
                    await asyncio.sleep(0.01)
            return True
        await asyncio.sleep(0.01)
    await call
    return False


async def grants(world: World) -> list[Listed]:
    """What people see of grants."""
    async with open_desk(world.policies, world.settings, tenant=world.tenant) as desk:
        return list(await Grants(channel=desk.channel).list())


async def test_a_granted_call_runs_without_asking_as_often_as_granted(world: World, guard: Guard) -> None:
    """Each use is on record, with whose votes carry it; then people are asked again."""
    # given
    request = await granted(world, guard)

    # when
    asked = [await is_asked(world, guard, order_id=7, amount=10.0) for _ in range(4)]

    # then
    assert asked == [False, False, False, True]
    assert len(world.tools.ran) == 4
    lines = [entry.body for entry in read(world.folder / "state" / "journal", since_ms=0) if entry.kind == "granted"]
    assert [(line["grant"], line["number"], line["votes"][0]["person"]) for line in lines] == [
        (request, number, "bob") for number in (1, 2, 3)
    ]
    (listed,) = await grants(world)
    assert (listed.used, listed.granted.id, listed.revoked) == (3, request, False)


async def test_what_is_offered_stands_on_the_card_word_for_word(world: World, guard: Guard) -> None:
    """Before anybody grants it."""
    call = asyncio.create_task(world.call(guard, "refund", order_id=7, amount=90.0))
    (request,) = await world.waiting()
    offer = (await world.card(request)).grant
    assert offer is not None
    assert offer.words("refund") == (
        "refund where order_id is 7 and amount is at most 90.0, whatever its other arguments are; in this session only"
    )
    await decide(world, request, None)
    await call


async def test_an_approval_without_a_grant_grants_nothing(world: World, guard: Guard) -> None:
    """It is for this call, once."""
    call = asyncio.create_task(world.call(guard, "refund", order_id=7, amount=90.0))
    (request,) = await world.waiting()
    await decide(world, request, None)
    await call
    assert await is_asked(world, guard, order_id=7, amount=90.0)


@pytest.mark.parametrize(
    "arguments",
    [{"order_id": 8, "amount": 10.0}, {"order_id": 7, "amount": 90.01}, {"order_id": 7, "amount": 500.0}],
    ids=["another order", "a larger amount", "more approvals needed"],
)
async def test_t2_what_the_words_do_not_cover_is_asked_about(
    world: World, guard: Guard, arguments: dict[str, Any]
) -> None:
    """Another value, a larger number, a rule that the card did not name."""
    await granted(world, guard)
    assert await is_asked(world, guard, **arguments)


async def test_a_call_that_a_rule_speaks_of_that_the_card_did_not_name_is_asked_about(
    world: World, guard: Guard
) -> None:
    """Though the rule wants nobody else's approval: people saw no such reason."""
    await granted(world, guard)
    assert await is_asked(world, guard, order_id=7, amount=7.5)
    assert not await is_asked(world, guard, order_id=7, amount=7.4)


async def test_of_several_voters_the_narrowest_terms_hold(world: World, guard: Guard) -> None:
    """The shortest time, from the first of their votes; this session if one of them says so."""
    # given
    policy = world.policies / "policy.yaml"
    policy.write_text(
        POLICY.replace("on-call: {approvers: [group:on-call]", "on-call: {approvers: [group:stewards], quorum: 2")
    )
    with world.open() as two, two.session(user=ANN, id="thread"):
        call = asyncio.create_task(world.call(two, "close_account", account=7))
        (request,) = await world.waiting()

        # when
        await decide(world, request, Grant(seconds=600, uses=2, session=False), "bob")
        await asyncio.sleep(0.05)
        await decide(world, request, Grant(seconds=60, uses=2, session=True), "cem")
        await call
        (listed,) = await grants(world)
        with two.session(user=ANN, id="other"):
            elsewhere = await is_asked(world, two, "close_account", account=7)

    # then
    first = min(vote.time_ms for vote in listed.granted.votes)
    assert (listed.granted.terms.seconds, listed.granted.terms.session, elsewhere) == (60, True, True)
    assert listed.granted.until_ms == first + 60_000
    assert len({vote.time_ms for vote in listed.granted.votes}) == 2


async def test_a_grant_is_never_over_a_deny(world: World, guard: Guard) -> None:
    """Policy comes first."""
    await granted(world, guard)
    with pytest.raises(CallRefused, match="Not that"):
        await world.call(guard, "refund", order_id=7, amount=5.5)


async def test_a_grant_is_never_for_a_critical_call(world: World, guard: Guard) -> None:
    """Each is decided by itself, and nothing is offered along with it."""
    await granted(world, guard)
    call = asyncio.create_task(world.call(guard, "refund", order_id=7, amount=6.5))
    (request,) = await world.waiting()
    assert (await world.card(request)).grant is None
    with pytest.raises(DecisionRefused, match="offers no grant"):
        await decide(world, request, THREE)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)


@pytest.mark.parametrize(
    "beyond",
    [{"uses": 4}, {"seconds": 1801}, {"session": False}, {"uses": 0}, {"seconds": 0}],
    ids=str,
)
async def test_nobody_grants_more_than_policy_offers(world: World, guard: Guard, beyond: dict[str, Any]) -> None:
    """Nor nothing at all."""
    call = asyncio.create_task(world.call(guard, "refund", order_id=7, amount=90.0))
    (request,) = await world.waiting()
    with pytest.raises(DecisionRefused) as refused:
        await decide(world, request, THREE.model_copy(update=beyond))
    assert refused.value.code == "bad_grant"
    await decide(world, request, None)
    await call


async def test_a_grant_is_for_its_session_agent_and_user(world: World, guard: Guard) -> None:
    """Unless the policy lets it reach other sessions; never another user or agent."""
    # given
    await granted(world, guard)
    await granted(world, guard, Grant(seconds=600, uses=2, session=False), "close_account", account=7)

    # when
    with guard.session(user=ANN, id="other"):
        other_session = (
            await is_asked(world, guard, order_id=7, amount=10.0),
            await is_asked(world, guard, "close_account", account=7),
        )
    with guard.session(user="zoe@acme.example", id="thread"):
        other_user = await is_asked(world, guard, "close_account", account=7)
    with world.open(agent="billing") as billing, billing.session(user=ANN, id="thread"):
        other_agent = await is_asked(world, billing, "close_account", account=7)

    # then
    assert other_session == (True, False)
    assert (other_user, other_agent) == (True, True)


async def test_a_revoked_grant_gives_no_permit(world: World, guard: Guard) -> None:
    """At once; anybody who is listed may end it."""
    request = await granted(world, guard)
    async with open_desk(world.policies, world.settings, tenant=world.tenant) as desk:
        await Grants(channel=desk.channel).revoke(request, desk.roster, person="zoe", key=world.keys["zoe"])
    assert await is_asked(world, guard, order_id=7, amount=10.0)
    assert [each.revoked for each in await grants(world)] == [True]


async def test_a_grant_that_is_over_gives_no_permit(world: World, guard: Guard) -> None:
    """Redis's clock decides."""
    await granted(world, guard, Grant(seconds=1, uses=3, session=True))
    await asyncio.sleep(1.01)
    assert await is_asked(world, guard, order_id=7, amount=10.0)
    assert await grants(world) == []


async def test_a_grant_gives_no_permit_while_frozen(world: World, guard: Guard) -> None:
    """The script itself looks."""
    # given
    await granted(world, guard)
    async with open_brake(world.policies, world.settings, tenant=world.tenant) as brake:
        (found,) = await Grants(channel=brake.channel).list()

        # when
        order = await brake.freeze(Scope.TOOL, "refund", reason="why", person="bob", key=world.keys["bob"])
        with pytest.raises(DecisionRefused) as refused:
            await Grants(channel=brake.channel).use(found.granted, "f")

        # then
        assert refused.value.code == "frozen"
        await brake.lift(order, reason="", person="cem", key=world.keys["cem"])


async def test_of_many_calls_at_once_no_more_run_than_granted(world: World, guard: Guard) -> None:
    """Counted in one move."""
    # given
    await granted(world, guard)
    (found,) = await grants(world)

    # when
    async with open_desk(world.policies, world.settings, tenant=world.tenant) as desk:
        uses = (Grants(channel=desk.channel).use(found.granted, f"f{number}") for number in range(20))
        got = await asyncio.gather(*uses, return_exceptions=True)

    # then
    assert sorted(each for each in got if isinstance(each, int)) == [1, 2, 3]


async def test_t2_a_call_runs_once_under_a_grant(world: World, guard: Guard) -> None:
    """The same call id again is the same call, also where its own request was approved with the grant."""
    # given
    call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=7, amount=90.0))
    (request,) = await world.waiting()
    await decide(world, request, THREE)
    await call
    await world.call(guard, "refund", "c2", order_id=7, amount=10.0)

    # when
    with pytest.raises(CallRefused, match="already done"):
        await world.call(guard, "refund", "c1", order_id=7, amount=90.0)
    with pytest.raises(CallRefused, match="already done"):
        await world.call(guard, "refund", "c2", order_id=7, amount=10.0)

    # then
    assert len(world.tools.ran) == 2


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("uses: 3", "uses: 2"),
        ("same: [order_id], at_most: [amount]", "same: [order_id]"),
        ("grants: {for: 30m", "title: x, grants: {for: 20m"),
    ],
)
async def test_a_grant_is_void_once_the_policys_words_changed(
    world: World, guard: Guard, before: str, after: str
) -> None:
    """Whatever changed of them."""
    await granted(world, guard)
    (world.policies / "policy.yaml").write_text(POLICY.replace(before, after))
    with world.open() as later, later.session(user=ANN, id="thread"):
        assert await is_asked(world, later, order_id=7, amount=10.0)


async def test_t23_a_grant_is_void_once_the_tool_changed(world: World, guard: Guard) -> None:
    """What it says of itself is what people granted."""

    def refund(order_id: int, amount: float = 10.0) -> str:
        """Refund an order, and all others too."""
        return "refunded"

    await granted(world, guard)
    world.tools.refund = refund  # type: ignore[method-assign]
    assert await is_asked(world, guard, order_id=7, amount=10.0)


async def test_a_grant_is_void_once_its_person_left(world: World, guard: Guard) -> None:
    """Membership is today's."""
    await granted(world, guard)
    people = (world.policies / "approvers.yaml").read_text()
    people = people.replace("bob@acme.example, groups: [on-call, ", "bob@acme.example, groups: [")
    people = people.replace("cem@acme.example, groups: [", "cem@acme.example, groups: [on-call, ")
    (world.policies / "approvers.yaml").write_text(people)
    assert await is_asked(world, guard, order_id=7, amount=10.0)


async def test_t15_a_grant_needs_the_quorum_that_its_calls_need(world: World, guard: Guard) -> None:
    """Two approved, and only one of them granted: nothing is granted. Both did: the narrowest holds."""
    # given
    first = asyncio.create_task(world.call(guard, "refund", order_id=7, amount=200.0))
    (request,) = await world.waiting()
    await decide(world, request, THREE, "bob")
    await decide(world, request, None, "cem")
    await first

    # when
    second = asyncio.create_task(world.call(guard, "refund", order_id=8, amount=200.0))
    (request,) = await world.waiting()
    await decide(world, request, THREE, "bob")
    await decide(world, request, Grant(seconds=60, uses=1, session=True), "cem")
    await second

    # then
    assert await is_asked(world, guard, order_id=7, amount=150.0)
    assert [await is_asked(world, guard, order_id=8, amount=150.0) for _ in range(2)] == [False, True]


async def test_t32_a_grant_that_nobody_signed_gives_no_permit(world: World, guard: Guard) -> None:
    """Votes with a grant written into Redis by hand, and the index too."""
    # given
    call = asyncio.create_task(world.call(guard, "refund", order_id=7, amount=90.0))
    (request,) = await world.waiting()
    await decide(world, request, None)
    await call
    stored = await world.stored(request)
    vote: Vote = stored.votes[0].model_copy(update={"grant": THREE})

    # when
    connection = await Connection.open(world.redis_url)
    prefix = f"ag:{{{world.tenant}}}:"
    await connection.execute("HSET", f"{prefix}votes:{request}", "vote:bob", vote.canonical())
    await connection.execute("ZADD", f"{prefix}grants:support:{ANN}:refund", 10**15, request)
    await connection.close()

    # then
    assert await is_asked(world, guard, order_id=7, amount=10.0)


async def test_t32_a_grant_of_a_call_that_never_ran_gives_no_permit(world: World, guard: Guard) -> None:
    """Approved, never fetched, and the index written into Redis by hand; nobody can revoke what is no grant either."""
    # given
    call = ToolCall(tool="refund", arguments={"order_id": 7, "amount": 90.0}, id="c1")
    with pytest.raises(CallPending):
        await guard.admit(call, world.tools.tool("refund"), hold_seconds=0)
    (request,) = await world.waiting()
    await decide(world, request, THREE)

    # when
    connection, names = await Connection.open(world.redis_url), Names(world.tenant)
    await connection.execute("ZADD", names.grants_of("support", ANN, "refund"), 10**15, request)
    await connection.close()

    # then
    with pytest.raises(CallPending):
        await guard.admit(
            ToolCall(tool="refund", arguments={"order_id": 7, "amount": 10.0}, id="c2"),
            world.tools.tool("refund"),
            hold_seconds=0,
        )
    async with open_desk(world.policies, world.settings, tenant=world.tenant) as desk:
        with pytest.raises(RequestNotFound):
            await Grants(channel=desk.channel).revoke(request, desk.roster, person="bob", key=world.keys["bob"])


async def test_a_revocation_that_its_person_did_not_sign_is_none(world: World, guard: Guard) -> None:
    """It is refused before it is written down."""
    request = await granted(world, guard)
    async with open_desk(world.policies, world.settings, tenant=world.tenant) as desk:
        with pytest.raises(DecisionRefused) as refused:
            await Grants(channel=desk.channel).revoke(request, desk.roster, person="bob", key=world.keys["cem"])
    (listed,) = await grants(world)
    assert (refused.value.code, listed.revoked) == ("bad_signature", False)


async def test_a_granted_call_that_runs_is_listed_under_a_freeze(world: World, guard: Guard) -> None:
    """No request knows of it, so its process says it."""
    await granted(world, guard)
    call = ToolCall(tool="refund", arguments={"order_id": 7, "amount": 10.0}, id="c9")
    permit = await guard.admit(call, world.tools.tool("refund"))
    async with open_brake(world.policies, world.settings, tenant=world.tenant) as brake, asyncio.timeout(20):
        order = await brake.freeze(Scope.TOOL, "refund", reason="stop", person="bob", key=world.keys["bob"])
        while not (listed := await brake.running(order)):
            await asyncio.sleep(0.05)
    assert [one.id for one in listed] == ["thread/c9"]
    await guard.settle(permit, "refunded")
