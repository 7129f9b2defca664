"""Attempts to have a call run that should not, to have it run twice, or to get at what is hidden; all of them fail."""

from __future__ import annotations

import asyncio
import copy
import io
import pickle
import traceback
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from types import SimpleNamespace
from typing import Annotated, Any, Literal

import pytest
from pydantic import BeforeValidator, Secret

from agentguard.approval import sign_vote
from agentguard.audit import read
from agentguard.config import open_desk, open_guard
from agentguard.errors import (
    CallRefused,
    ConfigurationError,
    DecisionRefused,
    Fault,
    NoSession,
    RefusalReason,
    RequestNotFound,
    ResultWithheld,
    ToolFailed,
)
from agentguard.guard.pipeline import Guard
from agentguard.integrations.functions import FunctionTool
from agentguard.model.approvals import Decision, State
from agentguard.model.calls import ToolCall
from agentguard.store.redis import Connection
from tests.guard.world import CUSTOMER, World

pytestmark = pytest.mark.anyio

ANN = "ann@acme.example"
EMAIL = str(CUSTOMER["email"])
BOB = "bob@acme.example"

VOTED: dict[str, list[Decision]] = {"waiting": [], "rejected": [Decision.REJECT], "run": [Decision.APPROVE]}
ANSWERS = count()
Fickle = Annotated[int, BeforeValidator(lambda _: next(ANSWERS))]
When = Literal["at once", "too late", "again and again"]


class Cancelled:
    """Awaits something, and cancels the task at its n-th wait: before it is over, when it is over, or there and ever after."""

    def __init__(self, inner: Awaitable[Any], number: int, when: When) -> None:
        self.inner, self.number, self.when, self.waits = inner, number, when, 0

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self.inner.__await__()
        told: BaseException | None = None
        while True:
            try:
                future = steps.send(None) if told is None else steps.throw(told)
            except StopIteration as done:
                return done.value
            told = None
            self._cancel(future)
            try:
                yield future
            except BaseException as error:  # noqa: BLE001 - whatever the task is told is handed on
                told = error

    def _cancel(self, future: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.waits += 1
        if self.waits == self.number and self.when == "too late" and future is not None:
            future.add_done_callback(lambda _: task.cancel())
        elif self.waits == self.number or (self.waits > self.number and self.when == "again and again"):
            task.cancel()


async def edit(world: World, request: str, side: str, *command: str) -> None:
    """Write to one of a request's hashes, as who has Redis alone can (HSET field value, HDEL field), and wake its waiters."""
    connection = await Connection.open(world.redis_url)
    (key,) = await connection.execute("KEYS", f"ag:{{{world.tenant}}}:request:{request}")
    await connection.execute(command[0], key.decode().replace(":request:", f":{side}:"), *command[1:])
    event = ("request", request, "kind", "voted", "state", "approved", "time_ms", 1)
    await connection.execute("XADD", f"ag:{{{world.tenant}}}:events", "*", *event)
    await connection.close()


async def ended(world: World, request: str) -> State:
    """How a request stands once it stands still."""
    async with asyncio.timeout(20):
        while request in await world.open_requests():
            await asyncio.sleep(0.01)
    return await world.state(request)


async def approve_all(world: World, until: asyncio.Event) -> None:
    """Bob approves whatever waits."""
    while not until.is_set():
        for request in await world.open_requests():
            with suppress(DecisionRefused):
                await world.decide(request, "bob")


async def taken_back(world: World) -> None:
    """Nothing can be decided or run any more."""
    async with asyncio.timeout(20):
        while await world.open_requests():
            await asyncio.sleep(0.01)


WAITS_BEFORE_THE_RUN = 8
"""How often an asked call awaits something before its tool runs."""


@pytest.mark.parametrize("when", ["at once", "too late", "again and again"])
@pytest.mark.parametrize("number", range(3, 12))
async def test_t7_a_call_cancelled_at_any_wait_leaves_nothing_behind(
    world: World, guard: Guard, number: int, when: When
) -> None:
    """Wherever it is cut off: run once at most, no request left open, no permit left running."""

    async def refund(order_id: int) -> str:
        """Refund an order."""
        world.tools.ran.append(("refund", {"order_id": order_id}))
        await asyncio.sleep(0)
        return "refunded"

    async def cut_off() -> Any:
        call = ToolCall(tool="refund", arguments={"order_id": 1}, id="c1")
        return await Cancelled(guard.run(call, FunctionTool.of(refund)), number, when)

    with guard.session(user=ANN):
        bob = asyncio.create_task(approve_all(world, enough := asyncio.Event()))
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(cut_off())
        enough.set()
        await bob
    await taken_back(world)
    assert len(world.tools.ran) == (number > WAITS_BEFORE_THE_RUN)


@pytest.mark.parametrize(("user", "agent"), [(BOB, "support"), (ANN, "billing")], ids=["other user", "other agent"])
async def test_t2_an_approval_is_of_no_use_to_somebody_else_under_the_same_ids(
    world: World, guard: Guard, user: str, agent: str
) -> None:
    """Same session, same call id, same arguments: still another principal, who gets neither permit nor words."""
    with guard.session(user=ANN, id="thread"):
        waiting = asyncio.create_task(world.call(guard, "export_customers", "c1", limit=1))
        (request,) = await world.waiting()
    with world.open(agent=agent) as other, other.session(user=user, id="thread"), pytest.raises(CallRefused) as refused:
        await world.call(other, "export_customers", "c1", limit=1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert refused.value.reason is RefusalReason.CALL_ID_REUSED
    assert request not in str(refused.value)
    assert world.tools.ran == []


async def test_t32_a_call_id_pointed_at_another_approved_request_runs_nothing(world: World, guard: Guard) -> None:
    """Who writes Redis can name another request for a call; the guard sees that it is not of this call."""
    connection = await Connection.open(world.redis_url)
    with guard.session(user=ANN, id="thread"):
        waiting = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1))
        (first,) = await world.waiting()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert await ended(world, first) is State.WITHDRAWN
        await edit(world, first, "request", "HDEL", "withdrawn")
        await world.decide(first, "bob")
        second = asyncio.create_task(world.call(guard, "refund", "c2", order_id=2))
        await world.waiting()
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        (index,) = await connection.execute("KEYS", f"ag:{{{world.tenant}}}:call:*:c2")
        await connection.execute("HSET", index, "id", first)
        with pytest.raises(CallRefused) as refused:
            await world.call(guard, "refund", "c2", order_id=2)
    await connection.close()
    assert refused.value.reason is RefusalReason.CALL_ID_REUSED
    assert world.tools.ran == []


async def test_t8_t32_moved_deadlines_give_no_time(world: World) -> None:
    """The times that count are those under the guard's MAC."""
    world.set_deadline("1s")
    with world.open() as guard, guard.session(user=ANN, id="thread"):
        call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1))
        (request,) = await world.waiting()
        await edit(world, request, "request", "HSET", "deadline_ms", "99999999999999")
        async with asyncio.timeout(20):
            with pytest.raises((CallRefused, Fault)):
                await call
    assert await world.state(request) is State.EXPIRED
    assert world.tools.ran == []


class Talkative(Exception):
    """An error that can't even be read without telling."""

    def __str__(self) -> str:
        raise RuntimeError(EMAIL)


class Secretive(dict[str, str]):
    """A result that can't even be read without telling."""

    def values(self) -> Any:
        raise RuntimeError(EMAIL)


def raise_talkative() -> None:
    """Fail in words that can't be read."""
    raise Talkative


def return_secretive() -> Any:
    """Give what can't be read."""
    return Secretive(a="b")


@pytest.mark.parametrize(
    ("tool", "shown", "told"),
    [
        (raise_talkative, ToolFailed, "Talkative: its text can't be read"),
        (return_secretive, ResultWithheld, "RuntimeError"),
    ],
    ids=["error", "result"],
)
async def test_t26_what_a_tools_own_objects_raise_while_they_are_read_is_not_shown(
    world: World, guard: Guard, tool: Callable[[], Any], shown: type[Exception], told: str
) -> None:
    """Reading a result or an error runs the tool's code; the guard says which type it was, and no more."""
    with guard.session(user=ANN), pytest.raises(shown, match=told) as raised:
        await guard.run(ToolCall(tool="echo", arguments={}), FunctionTool.of(tool, name="echo"))
    assert EMAIL not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("door", ["async", "sync"])
async def test_t26_an_error_that_cannot_be_recorded_does_not_come_out_beside_the_fault(
    world: World, guard: Guard, door: str
) -> None:
    """The journal is closed while the tool fails: the fault is printed without the error that it was raised over."""

    def fail() -> None:
        guard.records.journal.close()
        raise ValueError(EMAIL)

    call, tool = ToolCall(tool="echo", arguments={}), FunctionTool.of(fail, name="echo")
    with guard.session(user=ANN), pytest.raises(ResultWithheld) as raised:
        guard.blocking.run(call, tool) if door == "sync" else await guard.run(call, tool)
    assert EMAIL not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps], ids=["copy", "deepcopy", "pickle"])
async def test_t2_a_permit_has_no_copy(copied: Callable[[Any], Any], world: World, guard: Guard) -> None:
    """A second one could be settled a second time; the first still lets its call run, once."""
    with guard.session(user=ANN):
        permit = await guard.admit(ToolCall(tool="echo", arguments={"value": "hello"}), world.tools.tool("echo"))
        with pytest.raises(TypeError, match="can't be copied"):
            copied(permit)
        assert await guard.settle(permit, "hello") == "hello"
        with pytest.raises(RuntimeError, match="settled before"):
            await guard.settle(permit, "hello")


async def test_t26_a_call_id_is_written_nowhere_in_clear_unless_it_is_a_plain_id(world: World, guard: Guard) -> None:
    """Models make ids up: what is no plain id stands in journal and Redis as a keyed digest, and still names the call."""
    connection = await Connection.open(world.redis_url)
    with guard.session(user=ANN):
        await world.call(guard, "echo", EMAIL, value=1)
        call = asyncio.create_task(world.call(guard, "refund", EMAIL, order_id=1))
        (request,) = await world.waiting()
        record = await connection.execute("HGET", f"ag:{{{world.tenant}}}:request:{request}", "record")
        with pytest.raises(CallRefused) as refused:
            await world.call(guard, "refund", EMAIL, order_id=2)
        await world.decide(request, "bob", Decision.REJECT)
        with pytest.raises(CallRefused):
            await call
    await connection.close()
    journal = "".join(file.read_text() for file in (world.folder / "state" / "journal").glob("*.jsonl"))
    assert refused.value.reason is RefusalReason.CALL_ID_REUSED
    assert EMAIL not in journal + record.decode()


@pytest.mark.parametrize("name", ["echo", "refund\u202e", "x" * 65], ids=["another tool", "unreadable", "long"])
async def test_t23_a_call_runs_only_the_tool_that_it_names(world: World, guard: Guard, name: str) -> None:
    """A dispatcher that mixes tools up, or a server that names one oddly, runs nothing."""
    tool = FunctionTool.of(world.tools.refund, name="refund" if name == "echo" else name)
    with guard.session(user=ANN), pytest.raises(ConfigurationError):
        await guard.run(ToolCall(tool=name, arguments={"order_id": 1}), tool)
    assert world.tools.ran == []


@pytest.mark.parametrize("user", ["ann@acme.example\u200b", "ann\n  for: bob", "\u202eann", "\ud800", "x" * 513])
def test_t15_a_user_who_only_looks_like_somebody_opens_no_session(guard: Guard, user: str) -> None:
    """An invisible character would make the requester a stranger to the roster, and so let them approve their own call."""
    with pytest.raises(ConfigurationError, match="user"), guard.session(user=user):
        pass


@pytest.mark.parametrize("user", ["", " ", ANN])
def test_an_autonomous_agent_has_no_user(guard: Guard, user: str) -> None:
    """Nobody is nobody: not even a blank name."""
    with pytest.raises(ConfigurationError), guard.session(user=user, autonomous=True):
        pass


def test_t1_two_secrets_are_two_snapshots() -> None:
    """A secret is opened for the digest, whatever kind of secret it is, so that it can't be swapped after approval."""

    def pay(key: Secret[str]) -> str:
        """Pay."""
        return key.get_secret_value()

    tool = FunctionTool.of(pay)
    assert tool.parse({"key": "one"}).snapshot != tool.parse({"key": "two"}).snapshot


async def test_t2_t32_a_permit_whose_traces_are_wiped_from_redis_is_not_given_again(world: World, guard: Guard) -> None:
    """The claim is deleted after the run: the request looks approved once more, and this guard knows better."""
    with guard.session(user=ANN):
        call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1))
        (request,) = await world.waiting()
        await world.decide(request, "bob")
        assert await call == "refunded"
        await edit(world, request, "claim", "DEL")
        with pytest.raises(CallRefused) as refused:
            await world.call(guard, "refund", "c1", order_id=1)
    assert refused.value.reason is RefusalReason.FORGED
    assert len(world.tools.ran) == 1


async def test_t1_what_runs_is_what_was_judged_whatever_the_validator_says_next(world: World, guard: Guard) -> None:
    """A validator that answers differently each time is asked once: the tool gets the very values that are on record."""
    ran: list[int] = []

    def echo(value: Fickle) -> str:
        ran.append(value)
        return "ran"

    with guard.session(user=ANN):
        call = ToolCall(tool="echo", arguments={"value": 7})
        await guard.run(call, FunctionTool.of(echo))
        guard.blocking.run(call, FunctionTool.of(echo))
    judged = [entry.body["arguments"] for entry in read(world.folder / "state" / "journal") if entry.kind == "judged"]
    assert judged == [f'{{"value":{value}}}' for value in ran]


async def test_t1_arguments_that_change_after_they_were_judged_change_nothing(world: World, guard: Guard) -> None:
    """What the caller still holds is not what runs."""
    arguments: dict[str, Any] = {"value": {"list": [1]}}
    with guard.session(user=ANN):
        permit = await guard.admit(ToolCall(tool="echo", arguments=arguments), world.tools.tool("echo"))
        arguments["value"]["list"].append(2)
        await guard.settle(permit, await world.tools.tool("echo")(permit.arguments))
    assert world.tools.ran == [("echo", {"value": {"list": [1]}})]
    assert "list" not in repr(permit.snapshot)


async def test_t2_t32_no_other_process_of_the_machine_gives_it_either(world: World) -> None:
    """Whoever wipes the claim and starts the agent anew gets no second run."""
    with world.open() as first, first.session(user=ANN, id="thread"):
        call = asyncio.create_task(world.call(first, "refund", "c1", order_id=1))
        (request,) = await world.waiting()
        await world.decide(request, "bob")
        assert await call == "refunded"
    await edit(world, request, "claim", "DEL")
    with world.open() as second, second.session(user=ANN, id="thread"), pytest.raises(CallRefused) as refused:
        await world.call(second, "refund", "c1", order_id=1)
    assert refused.value.reason is RefusalReason.FORGED
    assert len(world.tools.ran) == 1


@pytest.mark.parametrize("forger", ["ann", "zoe", "cem"], ids=["the requester", "a stranger", "another group"])
async def test_t13_t15_a_genuine_signature_of_somebody_not_entitled_gives_no_permit(
    world: World, guard: Guard, forger: str
) -> None:
    """Their own key and write access to Redis, past the desk: the agent's side counts again."""
    with guard.session(user=ANN):
        call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1))
        (request,) = await world.waiting()
        async with open_desk(world.policies, world.settings, tenant=world.tenant) as desk:
            stored = (await desk.show(request)).stored
        vote = sign_vote(
            stored.request,
            person=forger,
            groups=("on-call",),
            approvals=("on-call",),
            decision=Decision.APPROVE,
            comment="",
            card_digest=stored.request.card.digest(),
            time_ms=stored.now_ms,
            signer=forger,
            key=world.keys[forger],
        )
        votes = (f"vote:{forger}", vote.canonical(), "resolution", "approved", "version", "1")
        await edit(world, request, "votes", "HSET", *votes)
        with pytest.raises(CallRefused):
            await call
    assert world.tools.ran == []


async def test_t2_a_vote_copied_to_the_next_request_for_the_same_call_is_forged(world: World, guard: Guard) -> None:
    """It names its request under its signature."""
    connection = await Connection.open(world.redis_url)
    with guard.session(user=ANN):
        call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1))
        (first,) = await world.waiting()
        await world.decide(first, "bob")
        await call
        vote = await connection.execute("HGET", f"ag:{{{world.tenant}}}:votes:{first}", "vote:bob")
        again = asyncio.create_task(world.call(guard, "refund", "c2", order_id=1))
        (second,) = await world.waiting()
        copied = ("vote:bob", vote.decode(), "resolution", "approved", "version", "1")
        await edit(world, second, "votes", "HSET", *copied)
        with pytest.raises(CallRefused) as refused:
            await again
    await connection.close()
    assert refused.value.reason is RefusalReason.FORGED
    assert len(world.tools.ran) == 1


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        pytest.param(
            "bob@acme.example, groups: [on-call, stewards]", "bob@acme.example, groups: [others]", id="demoted"
        ),
        pytest.param("  bob: ", "  bo: ", id="renamed"),
    ],
)
async def test_t15_an_approver_who_is_none_any_more_does_not_count(
    world: World, guard: Guard, was: str, becomes: str
) -> None:
    """Approvers are those of the moment when the permit is taken, not of the vote."""
    people = world.policies / "approvers.yaml"
    with guard.session(user=ANN):
        call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1))
        (request,) = await world.waiting()
        async with open_desk(world.policies, world.settings, tenant=world.tenant) as desk:
            people.write_text(people.read_text().replace(was, becomes))
            card = (await desk.show(request)).card_digest
            await desk.decide(request, person="bob", key=world.keys["bob"], decision=Decision.APPROVE, card_digest=card)
        with pytest.raises(CallRefused):
            await call
    assert world.tools.ran == []


async def test_t35_another_tenant_restores_no_token_and_finds_no_request(world: World, guard: Guard) -> None:
    """Same session, same keys, same Redis, another tenant: a token is text there, and a request is not found."""
    with guard.session(user=ANN, id="thread"):
        seen = await world.call(guard, "find_customer", customer_id=7)
        call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1))
        (request,) = await world.waiting()
    settings, policies = world.settings, world.policies
    with (
        open_guard(policies, agent="support", tenant="other", settings=settings) as other,
        other.session(user=ANN, id="thread"),
    ):
        await world.call(other, "send_email", to=seen["email"])
    async with open_desk(policies, settings, tenant="other") as desk:
        with pytest.raises(RequestNotFound):
            await desk.show(request)
    await world.decide(request, "bob", Decision.REJECT)
    await asyncio.gather(call, return_exceptions=True)
    assert world.tools.ran[-1][1]["to"] == seen["email"]


async def test_t38_a_rejected_call_leaves_its_neighbours_alone(world: World, guard: Guard) -> None:
    """Three calls at once: one rejected, one cancelled, one approved, and only that one runs."""
    with guard.session(user=ANN):
        calls = {}
        requests: set[str] = set()
        for number in (1, 2, 3):
            calls[number] = asyncio.create_task(world.call(guard, "refund", f"c{number}", order_id=number))
            (new,) = set(await world.waiting(number)) - requests
            requests.add(new)
            calls[number].set_name(new)
        await world.decide(calls[1].get_name(), "bob", Decision.REJECT)
        calls[2].cancel()
        await world.decide(calls[3].get_name(), "bob")
        ends = await asyncio.gather(*calls.values(), return_exceptions=True)
    assert [type(end).__name__ for end in ends] == ["CallRefused", "CancelledError", "str"]
    assert world.tools.ran == [("refund", {"order_id": 3, "amount": 10.0})]


@pytest.mark.parametrize(
    "result",
    [
        pytest.param(lambda: iter([EMAIL]), id="iterator"),
        pytest.param(lambda: (EMAIL for _ in range(1)), id="generator"),
        pytest.param(lambda: lambda: EMAIL, id="function"),
        pytest.param(lambda: io.StringIO(EMAIL), id="file"),
        pytest.param(lambda: SimpleNamespace(email=EMAIL), id="object"),
    ],
)
async def test_t24_a_result_that_would_be_read_later_is_not_handed_out(
    world: World, guard: Guard, result: Callable[[], Any]
) -> None:
    """What can't be masked now could bring anything later."""
    tool = FunctionTool.of(result, name="echo", description="")
    with guard.session(user=ANN), pytest.raises(ResultWithheld, match="masking") as refused:
        await guard.run(ToolCall(tool="echo", arguments={}), tool)
    assert EMAIL not in str(refused.value)


async def test_t24_t27_a_session_is_seen_by_its_own_context_alone(world: World, guard: Guard) -> None:
    """Tasks at once each keep their own session; a thread that did not copy the context has none."""

    async def user_of(user: str) -> str | None:
        with guard.session(user=user):
            await asyncio.sleep(0)
            return guard.principals.current().user

    with guard.session(user="outer@acme.example"):
        found = tuple(await asyncio.gather(user_of(ANN), user_of(BOB)))
        inner = guard.principals.current().user
        with ThreadPoolExecutor() as pool, pytest.raises(NoSession):
            pool.submit(guard.principals.current).result()
    assert found == (ANN, BOB)
    assert inner == "outer@acme.example"


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["waiting", "rejected", "run"])
@pytest.mark.parametrize(
    ("side", "field"),
    [
        ("request", "record"), ("request", "mac"), ("request", "input"), ("request", "revision"), ("request", "digest"),
        ("votes", "vote:bob"), ("votes", "version"), ("votes", "resolution"),
        ("claim", "fence"), ("claim", "until_ms"), ("claim", "outcome"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", ["approved", "99999999999999"])
async def test_t32_no_field_in_redis_makes_a_call_run_unapproved_changed_or_twice(
    world: World, side: str, field: str, value: str, moment: str
) -> None:
    """Each field of each hash, overwritten while the call waits, after it was rejected, and after it ran."""
    with world.open() as guard, guard.session(user=ANN):
        call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1))
        (request,) = await world.waiting()
        await asyncio.gather(*(world.decide(request, "bob", decision) for decision in VOTED[moment]))
        await asyncio.wait([call], timeout=len(VOTED[moment]) * 5)
        ran_before = len(world.tools.ran)
        await edit(world, request, side, "HSET", field, value)
        again = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1))
        await asyncio.wait([call, again], timeout=0.05 + 5 * len(VOTED[moment]))
        call.cancel()
        again.cancel()
        ends = await asyncio.gather(call, again, return_exceptions=True)
    assert len(world.tools.ran) == ran_before == (moment == "run")
    assert all(isinstance(end, (str, CallRefused, Fault, asyncio.CancelledError)) for end in ends)
