"""Edit-then-approve on the whole road: what runs is what people changed it to, and nothing that they didn't approve."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from agentguard.approval import Shown
from agentguard.audit import read
from agentguard.config import open_desk
from agentguard.errors import CallRefused, DecisionRefused, GuardUnavailable
from agentguard.guard.pipeline import Guard
from agentguard.integrations.functions import StreamTool
from agentguard.model.approvals import Edit, State
from agentguard.model.calls import ToolCall
from agentguard.store.redis import Connection
from tests.guard.world import World

pytestmark = pytest.mark.anyio

ANN = "ann@acme.example"
POLICY = """\
version: 1
risk: {low: allow, medium: allow, high: {ask: on-call}, critical: {ask: stewards}}
tools:
  find_customer: {risk: low, labels: [customer-data]}
  send_email: {risk: high, params: {recipient: [to], text: [body]}, reveal: {to: [EMAIL_ADDRESS]}, labels: []}
  refund: {risk: high, labels: []}
rules:
  - {id: large, tools: [refund], when: args.amount > 100.0, ask: stewards}
  - {id: huge, tools: [refund], when: args.amount > 10000.0, deny: true, reason: Too much}
  - {id: outside, tools: [send_email], when: 'params.recipient.exists(r, domain(r) == "evil.example")', deny: true}
approvals:
  on-call: {approvers: [group:on-call], deadline: 20s}
  stewards: {approvers: [group:stewards], quorum: 2, deadline: 20s}
"""


TOLD = "[A person changed the call before approving it: {}. This is the result of the changed call.]\n"


@pytest.fixture
def guard(world: World) -> Iterator[Guard]:
    """A guard in that world, in ann's session."""
    (world.policies / "policy.yaml").write_text(POLICY)
    with world.open() as opened, opened.session(user=ANN, id="thread"):
        yield opened


async def edit(world: World, request: str, person: str = "bob", **changes: Any) -> Shown:
    """A person's change, and the request as the agent's side answered it."""
    async with open_desk(world.policies, world.settings, tenant=world.tenant) as desk:
        shown = await desk.show(request)
        made = await desk.edit(
            request, changes, person=person, key=world.keys[person], card_digest=shown.card_digest, comment="less"
        )
        await desk.answered(made)
        return await desk.show(request)


async def refused_edit(world: World, request: str, **changes: Any) -> str:
    """Why a change is refused."""
    with pytest.raises(DecisionRefused) as refused:
        await edit(world, request, **changes)
    return str(refused.value)


async def asked(world: World, guard: Guard, **arguments: Any) -> tuple[asyncio.Task[Any], str]:
    """A refund that waits, and its request."""
    call = asyncio.create_task(world.call(guard, "refund", "c1", **arguments))
    (request,) = await world.waiting()
    return call, request


async def leave(guard: Guard, call: asyncio.Task[Any]) -> None:
    """Close the guard under a call that waits, as the end of its process does."""
    async with asyncio.timeout(10):
        while (line := guard.tokens.link._open) is None or not line.waiters._waiting:
            await asyncio.sleep(0.01)
    guard.close()
    with pytest.raises(GuardUnavailable, match="closed"):
        await call


async def test_what_was_edited_and_approved_runs(world: World, guard: Guard) -> None:
    """With the changed arguments and the others as they were; both are on record."""
    # given
    call, request = await asked(world, guard, order_id=7, amount=90.0)

    # when
    shown = await edit(world, request, amount=50.0)
    assert shown.stored.request.revision == 2
    assert shown.stored.request.card.arguments == '{"amount":50.0,"order_id":7}'
    await world.decide(request, "bob")

    # then
    assert await call == f"{TOLD.format('amount=50.0')}refunded"
    assert world.tools.ran == [("refund", {"order_id": 7, "amount": 50.0})]
    lines = list(read(world.folder / "state" / "journal", since_ms=0))
    (line,) = [entry.body for entry in lines if entry.kind == "edited"]
    assert (line["person"], line["arguments"], line["revision"]) == ("bob", ["amount"], 2)
    assert [entry.body["joined"] for entry in lines if entry.kind == "asked"] == ["created", "revised"]


async def test_an_edit_is_no_approval(world: World, guard: Guard) -> None:
    """Whoever edited approves the new card like anybody else, or nothing runs."""
    call, request = await asked(world, guard, order_id=7, amount=90.0)
    await edit(world, request, amount=50.0)
    await asyncio.sleep(0.05)
    assert not call.done()
    assert await world.state(request) is State.PENDING
    await world.decide(request, "bob")
    await call


async def test_t1_an_edit_that_needs_more_people_waits_for_them(world: World, guard: Guard) -> None:
    """The changed call is judged like any other."""
    call, request = await asked(world, guard, order_id=7, amount=90.0)
    shown = await edit(world, request, amount=500.0)
    assert [need.name for need in shown.stored.request.needs] == ["on-call", "stewards"]
    await world.decide(request, "bob")
    assert await world.state(request) is State.PENDING
    await world.decide(request, "cem")
    assert await call == f"{TOLD.format('amount=500.0')}refunded"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"amount": 20000.0}, "Too much"),
        ({"amount": "much"}, "amount"),
        ({"tool": "send_email"}, "tool"),
        ({"order_id": None}, "order_id"),
    ],
    ids=["policy denies it", "another type", "no such argument", "a missing one"],
)
async def test_an_edit_that_would_not_run_is_refused_and_says_why(
    world: World, guard: Guard, changes: dict[str, Any], why: str
) -> None:
    """The request waits on, as it was; no value stands in the reason."""
    call, request = await asked(world, guard, order_id=7, amount=90.0)
    told = await refused_edit(world, request, **changes)
    assert why in told
    assert "20000" not in told
    await world.decide(request, "bob")
    await call
    assert world.tools.ran == [("refund", {"order_id": 7, "amount": 90.0})]


async def test_two_edits_add_up(world: World, guard: Guard) -> None:
    """Each makes a revision."""
    call, request = await asked(world, guard, order_id=7, amount=90.0)
    await edit(world, request, amount=50.0)
    shown = await edit(world, request, order_id=8)
    assert shown.stored.request.revision == 3
    await world.decide(request, "bob")
    await call
    assert world.tools.ran == [("refund", {"order_id": 8, "amount": 50.0})]


async def test_t7_an_edited_call_survives_the_agent(world: World, guard: Guard) -> None:
    """A restart makes the model's own call again, and runs what people changed and approved."""
    # given
    call, request = await asked(world, guard, order_id=7, amount=90.0)
    await edit(world, request, amount=50.0)
    await leave(guard, call)
    await world.decide(request, "bob")

    # when
    with world.open() as again, again.session(user=ANN, id="thread"):
        assert (
            await world.call(again, "refund", "c1", order_id=7, amount=90.0) == f"{TOLD.format('amount=50.0')}refunded"
        )

    # then
    assert world.tools.ran == [("refund", {"order_id": 7, "amount": 50.0})]


async def test_t7_an_edit_made_while_the_agent_was_gone_is_answered_when_it_is_back(world: World, guard: Guard) -> None:
    """It waits in the request."""
    # given
    call, request = await asked(world, guard, order_id=7, amount=90.0)
    await leave(guard, call)
    async with open_desk(world.policies, world.settings, tenant=world.tenant) as desk:
        shown = await desk.show(request)
        made: Edit = await desk.edit(
            request, {"amount": 50.0}, person="bob", key=world.keys["bob"], card_digest=shown.card_digest
        )

        # when
        with world.open() as again, again.session(user=ANN, id="thread"):
            call = asyncio.create_task(world.call(again, "refund", "c1", order_id=7, amount=90.0))
            await desk.answered(made)
            await world.decide(request, "bob")
            await call

    # then
    assert world.tools.ran == [("refund", {"order_id": 7, "amount": 50.0})]


async def test_tokens_in_an_edit_are_restored_where_policy_reveals_them(world: World, guard: Guard) -> None:
    """A person writes the token that the card shows; what is denied in clear is denied behind it."""
    # given
    seen = await world.call(guard, "find_customer", customer_id=7)
    call = asyncio.create_task(world.call(guard, "send_email", "c1", to="dan@acme.example", body="hello"))
    (request,) = await world.waiting()

    # when
    shown = await edit(world, request, to=seen["email"])
    told = await refused_edit(world, request, to="x@evil.example")
    await world.decide(request, "bob")
    await call

    # then
    assert "rule outside" in told
    assert "kowalska" not in shown.stored.request.card.arguments
    assert world.tools.ran[-1] == ("send_email", {"to": "anna.kowalska@mail.example", "body": "hello"})


async def test_t26_the_model_is_told_what_a_person_changed_masked(world: World, guard: Guard) -> None:
    """An address that a person typed is a token in the word on it, and in what follows."""
    call = asyncio.create_task(world.call(guard, "send_email", "c1", to="dan@acme.example", body="hello"))
    (request,) = await world.waiting()
    await edit(world, request, to="anna.kowalska@mail.example", body="bye")
    await world.decide(request, "bob")
    told = await call

    assert told.startswith('[A person changed the call before approving it: body="bye", to="[EMAIL_')
    assert "kowalska" not in told
    assert world.tools.ran[-1] == ("send_email", {"to": "anna.kowalska@mail.example", "body": "bye"})


@pytest.mark.parametrize(("order", "given"), [(8, "refunded 8"), (6, "")], ids=["pieces", "nothing"])
async def test_t26_a_text_in_pieces_begins_with_what_a_person_changed(
    order: int, given: str, world: World, guard: Guard
) -> None:
    """Masked like what follows; also where nothing follows."""

    def refund(order_id: int, amount: float = 10.0, note: str = "") -> Iterator[str]:
        """Refund an order, and say so in pieces."""
        yield from ["refunded ", str(order_id)][: order_id - 6]

    async def told() -> str:
        call = ToolCall(tool="refund", arguments={"order_id": 1})
        return "".join([part async for part in guard.stream(call, StreamTool.of(refund))])

    reading = asyncio.create_task(told())
    (request,) = await world.waiting()
    await edit(world, request, order_id=order, note="anna.kowalska@mail.example")
    await world.decide(request, "bob")
    word, _, rest = (await reading).partition("]\n")

    assert word.startswith('[A person changed the call before approving it: note="[EMAIL_')
    assert "kowalska" not in word
    assert rest == given


async def test_a_result_that_is_no_text_keeps_its_shape_though_people_changed_the_call(
    world: World, guard: Guard
) -> None:
    """Nothing is put into a record that a program reads."""
    (world.policies / "policy.yaml").write_text(
        POLICY.replace("find_customer: {risk: low", "find_customer: {risk: high")
    )
    with world.open() as other, other.session(user=ANN):
        call = asyncio.create_task(world.call(other, "find_customer", "c1", customer_id=7))
        (request,) = await world.waiting()
        await edit(world, request, customer_id=8)
        await world.decide(request, "bob")
        found = await call

    assert set(found) == {"id", "full_name", "email", "note"}
    assert world.tools.ran == [("find_customer", {"customer_id": 8})]


async def test_t32_an_edit_written_by_hand_ends_the_request_as_forged(world: World, guard: Guard) -> None:
    """Loudly, and nothing runs."""
    # given
    call, request = await asked(world, guard, order_id=7, amount=90.0)
    stored = await world.stored(request)
    forged = Edit(
        tenant=world.tenant,
        request=request,
        revision=1,
        digest=stored.request.digest,
        card_digest=stored.request.card.digest(),
        changes="",
        person="bob",
        time_ms=1,
        signer="bob",
        signature="AAAA",
    )

    # when
    connection = await Connection.open(world.redis_url)
    await connection.execute("HSET", f"ag:{{{world.tenant}}}:votes:{request}", "edit", forged.canonical())
    await connection.execute("XADD", f"ag:{{{world.tenant}}}:events", "*", "request", request)
    await connection.close()
    with pytest.raises(CallRefused, match="forged"):
        await call

    # then
    assert world.tools.ran == []
    assert await world.state(request) is State.WITHDRAWN


async def test_t13_the_requester_edits_nothing_that_others_approve(world: World, guard: Guard) -> None:
    """They would choose what an approver then takes for the agent's."""
    call, request = await asked(world, guard, order_id=7, amount=90.0)
    with pytest.raises(DecisionRefused, match="not among those"):
        await edit(world, request, "ann", amount=50.0)
    await world.decide(request, "bob")
    await call
