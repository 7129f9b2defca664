"""What policy lets happen once happens once, whoever asks, however often, and whatever crashed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from agentguard.approval import Deeds
from agentguard.audit import read
from agentguard.config import open_desk
from agentguard.errors import CallRefused, RefusalReason
from agentguard.guard.pipeline import Guard
from agentguard.integrations.functions import FunctionTool
from agentguard.model.approvals import Found, State
from agentguard.model.calls import ToolCall
from tests.guard.world import World

pytestmark = pytest.mark.anyio

ANN = "ann@acme.example"
ONCE = """\
version: 1
risk: {low: allow, medium: allow, high: {ask: on-call}, critical: deny}
tools:
  refund: {risk: low, labels: [], once: args.order_id}
  send_email: {risk: low, labels: [], params: {recipient: [to]}}
  close_account: {risk: high, labels: [], once: args.account}
  echo: {risk: low, labels: []}
rules:
  - {id: one-mail, tools: [send_email, echo], when: 'call.tool == "send_email" && args.body == "welcome"', once: params.recipient}
approvals:
  on-call: {approvers: [group:on-call], deadline: 20s}
"""


@pytest.fixture
def guard(world: World) -> Iterator[Guard]:
    """A guard under a policy with `once`."""
    (world.policies / "policy.yaml").write_text(ONCE)
    with world.open() as opened, opened.session(user=ANN):
        yield opened


async def refused(coroutine: object) -> CallRefused:
    """The refusal of a call."""
    with pytest.raises(CallRefused) as refusal:
        await coroutine  # type: ignore[misc]
    return refusal.value


async def settle(world: World, deed: str, found: Found, person: str = "bob") -> None:
    """A person's word on a deed."""
    async with open_desk(world.policies, world.settings, tenant=world.tenant) as desk:
        await desk.settle(deed, found, person=person, key=world.keys[person])


async def undone(world: World) -> list[str]:
    """The deeds that a person may have to find out about."""
    async with open_desk(world.policies, world.settings, tenant=world.tenant) as desk:
        return [run.subject for run in await desk.undone()]


def failing(world: World) -> FunctionTool:
    """A refund whose reply is lost."""

    def refund(order_id: int) -> str:
        """Refund an order."""
        world.tools.ran.append(("refund", {"order_id": order_id}))
        raise TimeoutError("no reply")

    return FunctionTool.of(refund)


async def test_the_same_deed_again_is_refused_and_another_one_runs(world: World, guard: Guard) -> None:
    """Under another call id, in another session, by another agent."""
    # given
    await world.call(guard, "refund", "c1", order_id=1)

    # when
    again = await refused(world.call(guard, "refund", "c2", order_id=1, amount=99.0))
    with world.open(agent="billing") as other, other.session(user="bob@acme.example"):
        elsewhere = await refused(world.call(other, "refund", order_id=1))
    await world.call(guard, "refund", "c3", order_id=2)

    # then
    assert {again.reason, elsewhere.reason} == {RefusalReason.ALREADY_DONE}
    assert [given["order_id"] for _, given in world.tools.ran] == [1, 2]


async def test_t7_reply_lost_and_asked_again_under_a_new_id_is_one_run(world: World, guard: Guard) -> None:
    """What failed may have happened: nothing runs until a person found out."""
    # given
    with pytest.raises(TimeoutError):
        await guard.run(ToolCall(tool="refund", arguments={"order_id": 1}, id="c1"), failing(world))

    # when
    refusal = await refused(world.call(guard, "refund", "c2", order_id=1))

    # then
    assert refusal.reason is RefusalReason.MAY_HAVE_RUN
    (deed,) = await undone(world)
    assert f"agentguard approvals settle {deed}" in str(refusal)
    assert len(world.tools.ran) == 1


async def test_what_a_person_found_not_to_have_happened_may_happen(world: World, guard: Guard) -> None:
    """Once more, and their word is on record."""
    # given
    with pytest.raises(TimeoutError):
        await guard.run(ToolCall(tool="refund", arguments={"order_id": 1}, id="c1"), failing(world))
    await settle(world, (await undone(world))[0], Found.DID_NOT)

    # when
    assert await world.call(guard, "refund", "c2", order_id=1) == "refunded"
    after = await refused(world.call(guard, "refund", "c3", order_id=1))

    # then
    assert after.reason is RefusalReason.ALREADY_DONE
    lines = [entry.body for entry in read(world.folder / "state" / "journal", since_ms=0) if entry.kind == "cleared"]
    assert [line["person"] for line in lines] == ["bob"]


async def test_what_a_person_found_to_have_happened_does_not_happen_again(world: World, guard: Guard) -> None:
    """Then it is known to be done."""
    with pytest.raises(TimeoutError):
        await guard.run(ToolCall(tool="refund", arguments={"order_id": 1}, id="c1"), failing(world))
    await settle(world, (await undone(world))[0], Found.HAPPENED)
    assert (await refused(world.call(guard, "refund", order_id=1))).reason is RefusalReason.ALREADY_DONE


async def test_t7_of_many_calls_at_once_one_runs(world: World, guard: Guard) -> None:
    """One effect, whatever the schedule."""
    calls = (world.call(guard, "refund", f"c{number}", order_id=1) for number in range(20))
    got = await asyncio.gather(*calls, return_exceptions=True)
    assert got.count("refunded") == 1
    assert len(world.tools.ran) == 1


async def test_t7_a_call_cut_off_while_it_runs_may_have_happened(world: World, guard: Guard) -> None:
    """Cancelled is not failed, and not done."""
    running = asyncio.Event()

    async def refund(order_id: int) -> str:
        """Refund an order."""
        running.set()
        await asyncio.sleep(60)
        return "refunded"

    call = asyncio.create_task(
        guard.run(ToolCall(tool="refund", arguments={"order_id": 1}, id="c1"), FunctionTool.of(refund))
    )
    await running.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (await refused(world.call(guard, "refund", order_id=1))).reason is RefusalReason.MAY_HAVE_RUN


async def test_nobody_is_asked_about_what_may_not_happen_again(world: World, guard: Guard) -> None:
    """The refusal comes first."""
    # given
    asked = asyncio.create_task(world.call(guard, "close_account", "c1", account=7))
    (request,) = await world.waiting()
    await world.decide(request, "bob")
    assert await asked == "closed"

    # when
    refusal = await refused(world.call(guard, "close_account", "c2", account=7))

    # then
    assert refusal.reason is RefusalReason.ALREADY_DONE
    assert await world.open_requests() == []


async def test_two_approved_calls_of_one_deed_run_once(world: World, guard: Guard) -> None:
    """People approved both; the second one does not run, and its approval is spent for nothing."""
    # given
    with guard.session(user=ANN, id="one"):
        first = asyncio.create_task(world.call(guard, "close_account", "c1", account=7))
    with guard.session(user=ANN, id="two"):
        second = asyncio.create_task(world.call(guard, "close_account", "c2", account=7))
    requests = await world.waiting(2)

    # when
    await asyncio.gather(*(world.decide(request, "bob") for request in requests))
    got = await asyncio.gather(first, second, return_exceptions=True)

    # then
    assert got.count("closed") == 1
    assert sorted([await world.state(request) for request in requests]) == [State.DONE, State.FAILED]
    assert len(world.tools.ran) == 1


async def test_a_rule_names_the_deed_where_its_condition_is_met(world: World, guard: Guard) -> None:
    """One welcome for each address, however it is ordered; any number of other mails."""
    await world.call(guard, "send_email", to="ann@acme.example", body="welcome")
    again = await refused(world.call(guard, "send_email", to="ann@acme.example", body="welcome"))
    await world.call(guard, "send_email", to="ann@acme.example", body="news")
    await world.call(guard, "send_email", to="ann@acme.example", body="news")
    assert again.reason is RefusalReason.ALREADY_DONE


async def test_a_call_that_names_no_deed_does_not_run(world: World, guard: Guard) -> None:
    """Nobody could tell the second one from the first."""
    refusal = await refused(world.call(guard, "send_email", to="", body="welcome"))
    assert refusal.reason is RefusalReason.DENIED
    assert "rule one-mail says once: params.recipient" in str(refusal)


async def test_a_number_and_its_text_are_one_deed(world: World, guard: Guard) -> None:
    """A model may write 7 or "7"."""

    def close_account(account: str | int) -> str:
        """Close an account."""
        return "closed"

    (world.policies / "policy.yaml").write_text(ONCE.replace("close_account: {risk: high", "close_account: {risk: low"))
    with world.open() as laxer, laxer.session(user=ANN):
        tool = FunctionTool.of(close_account)
        await laxer.run(ToolCall(tool="close_account", arguments={"account": 7}), tool)
        again = await refused(laxer.run(ToolCall(tool="close_account", arguments={"account": "7"}), tool))
    assert again.reason is RefusalReason.ALREADY_DONE


async def test_a_call_that_did_not_run_after_all_did_nothing(world: World, guard: Guard) -> None:
    """Taken back between the beginning of its deed and its run."""
    permit = await guard.admit(ToolCall(tool="refund", arguments={"order_id": 1}), world.tools.tool("refund"))
    await guard.once.end(permit.undertaking, None)
    assert await world.call(guard, "refund", order_id=1) == "refunded"


async def test_t26_what_is_done_once_stands_nowhere_in_clear(world: World, guard: Guard) -> None:
    """The names of deeds in Redis are keyed digests."""
    await world.call(guard, "send_email", to="kowalska@mail.example", body="welcome")
    async with open_desk(world.policies, world.settings, tenant=world.tenant) as desk:
        keys = await desk.channel.connection.execute("KEYS", f"ag:{{{world.tenant}}}:deed:*")
        written = [await desk.channel.connection.execute("HGETALL", key.decode()) for key in keys]
        assert (await Deeds(channel=desk.channel).undone()) == ()
    assert len(keys) == 1
    assert "kowalska" not in f"{keys}{written}"
