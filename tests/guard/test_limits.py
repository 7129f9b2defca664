"""Limits on the road of a call: charged before the tool runs, whatever comes after."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from agentguard.audit import read
from agentguard.errors import CallRefused, GuardUnavailable, RefusalReason, ResultRefused
from agentguard.guard.budgets import Bill
from agentguard.guard.pipeline import Guard
from agentguard.integrations.functions import FunctionTool
from agentguard.model.approvals import Decision, State
from agentguard.model.calls import ToolCall
from agentguard.session import Goal
from agentguard.store.embedded import Embedded
from agentguard.store.redis import Connection
from tests.cli.commands import Running
from tests.guard.world import POLICY, World

pytestmark = pytest.mark.anyio

ANN = "ann@acme.example"
Agent = Callable[..., Running]
FAMILY = [{"full_name": name} for name in ("Bea Moss", "Cid Lane", "Dov Hart", "Eva Sand", "Finn Oak")]

LIMITS = """
limits:
  paid: {tools: [http_post], sum: args.body, max: 100, over: 1h, deny: true}
  refunds: {tools: [refund], sum: args.amount, max: 100, over: 1h, per: user, ask: stewards, reason: Much was refunded}
  read: {tools: [echo], distinct: PERSON, max: 3, per: session, ask: on-call}
  exported: {tools: [find_customer], distinct: PERSON, max: 3, per: session, deny: true}
"""


@pytest.fixture
def limited(world: World) -> World:
    """A world whose policy has limits."""
    file = world.policies / "policy.yaml"
    file.write_text(POLICY.replace("DEADLINE", "20s") + LIMITS)
    return world


async def tried(world: World, guard: Guard, tool: str, call_id: str | None = None, **arguments: object) -> str:
    """How a call ended: the tool's answer, or the kind of error."""
    try:
        return str(await world.call(guard, tool, call_id, **arguments))
    except CallRefused as refusal:
        return refusal.reason.value


async def ended(guard: Guard, tool: FunctionTool, **arguments: object) -> object:
    """What came of a call of a tool of the test's own: its result, or the error."""
    try:
        return await guard.run(ToolCall(tool=tool.name, arguments=arguments), tool)
    except Exception as error:  # noqa: BLE001 - the test looks at it
        return error


def bill_of(guard: Guard, tool: str, **arguments: object) -> Bill:
    """What a call of ann's takes."""
    with guard.session(user=ANN, id="s"):
        principal = guard.principals.current()
    return guard.judging.budgets.bill(tool, str(arguments), guard.policy.charges(tool, arguments, principal))


async def over(guard: Guard, tool: str, **arguments: object) -> tuple[str, ...]:
    """The limits that a call would go over now; it takes nothing."""
    bill = bill_of(guard, tool, **arguments)
    with guard.judging.budgets.held(bill):
        return await guard.judging.budgets.charge(bill, Goal.HOLD)


async def test_calls_at_the_same_time_never_spend_more_than_there_is(limited: World) -> None:
    """64 payments of 9.99 at once, of 100: ten run, and the model is told which limit the others would go over."""
    with limited.open() as guard, guard.session(user=ANN):
        ends = await asyncio.gather(
            *(tried(limited, guard, "http_post", url="https://acme.example", body="9.99") for _ in range(64))
        )
        with pytest.raises(CallRefused, match="it would go over limit paid"):
            await limited.call(guard, "http_post", url="https://acme.example", body="0.11")

    assert Counter(ends) == {"posted": 10, "denied by policy": 54}
    assert len(limited.tools.ran) == 10


@pytest.mark.parametrize("body", ["-5", "NaN", "", "1e3"])
async def test_what_is_no_amount_never_runs_and_is_never_counted(limited: World, body: str) -> None:
    """Nothing an argument holds makes room."""
    with limited.open() as guard, guard.session(user=ANN):
        with pytest.raises(CallRefused, match="no amount that limit paid could count") as refused:
            await limited.call(guard, "http_post", url="https://acme.example", body=body)
        await limited.call(guard, "http_post", url="https://acme.example", body="100")
        assert await tried(limited, guard, "http_post", url="https://acme.example", body="0.01") == "denied by policy"

    assert refused.value.reason is RefusalReason.DENIED
    assert len(limited.tools.ran) == 1


async def test_a_call_over_a_limit_asks_for_its_approval_too_and_counts(limited: World) -> None:
    """The card names the limit; approved, it is spent over the limit, so the next one is over as well."""
    with limited.open() as guard, guard.session(user=ANN):
        call = asyncio.create_task(limited.call(guard, "refund", "c1", order_id=1, amount=500.0))
        (request,) = await limited.waiting()
        card = await limited.card(request)
        for person in ("bob", "cem"):
            await limited.decide(request, person)
        assert await call == "refunded"
        small = asyncio.create_task(limited.call(guard, "refund", "c2", order_id=2, amount=0.01))
        (second,) = await limited.waiting()
        needs = (await limited.stored(second)).request.needs
        await limited.decide(second, "bob", Decision.REJECT)
        assert await asyncio.gather(small, return_exceptions=True)

    assert any(reason.startswith("Much was refunded") for reason in card.reasons)
    assert sorted(need.name for need in needs) == ["on-call", "stewards"]


async def test_what_waits_for_people_is_held_and_given_back(limited: World) -> None:
    """A payment that waits leaves less room for the next; a no gives its share back at once."""
    with limited.open() as guard, guard.session(user=ANN):
        first = asyncio.create_task(limited.call(guard, "refund", "c1", order_id=1, amount=60.0))
        (one,) = await limited.waiting()
        second = asyncio.create_task(limited.call(guard, "refund", "c2", order_id=2, amount=60.0))
        two = next(request for request in await limited.waiting(2) if request != one)
        assert "stewards" in {need.name for need in (await limited.stored(two)).request.needs}
        await limited.decide(two, "bob", Decision.REJECT)
        await limited.decide(one, "bob", Decision.REJECT)
        await asyncio.gather(first, second, return_exceptions=True)
        async with asyncio.timeout(20):
            while await over(guard, "refund", amount=100.0):
                await asyncio.sleep(0.01)


async def test_a_limit_used_up_meanwhile_makes_an_approval_stale(limited: World, connection: Connection) -> None:
    """People agreed to a refund within the limit; what was held for it was lost, and the room is gone."""
    with limited.open() as guard, guard.session(user=ANN):
        call = asyncio.create_task(limited.call(guard, "refund", "c1", order_id=1, amount=60.0))
        (request,) = await limited.waiting()
        await connection.execute("DEL", *await connection.execute("KEYS", f"ag:{{{limited.tenant}}}:limit:*"))
        await guard.judging.budgets.charge(bill_of(guard, "refund", amount=99.0), Goal.SPEND)
        await limited.decide(request, "bob")
        with pytest.raises(CallRefused) as refused:
            await call

    assert refused.value.reason is RefusalReason.STALE
    assert limited.tools.ran == []


async def test_only_over_the_limit_that_people_agreed_to_a_call_is_charged(limited: World) -> None:
    """Between the last look and the charge, another call may have used up what was left."""
    with limited.open() as guard:
        budgets, bill = guard.judging.budgets, bill_of(guard, "refund", amount=60.0)
        await budgets.charge(bill_of(guard, "refund", amount=99.0), Goal.SPEND)

        agreed_to = {over: await budgets.spend(bill.agreed(over)) for over in (frozenset[str](), frozenset({"paid"}))}
        once_agreed = await budgets.spend(bill.agreed({"refunds"}))

    assert list(agreed_to.values()) == [("refunds",), ("refunds",)]
    assert once_agreed == ()


async def test_a_result_over_a_limit_on_people_is_kept_back_and_asks_the_next_time(limited: World) -> None:
    """The export shows nobody; small reads go on; the same export again asks, and approved it is handed out."""
    with limited.open() as guard, guard.session(user=ANN, id="s"):
        with pytest.raises(ResultRefused, match="over a limit: echo ran") as kept:
            await limited.call(guard, "echo", value=FAMILY)
        assert "[PERSON_" in str(await limited.call(guard, "echo", value=FAMILY[:1]))
        again = asyncio.create_task(limited.call(guard, "echo", "c2", value=FAMILY))
        (request,) = await limited.waiting()
        await limited.decide(request, "bob")
        rows = await again

    settled = [entry.body for entry in read(limited.folder / "state" / "journal") if entry.kind == "settled"]
    assert "Moss" not in str(kept.value)
    assert len({row["full_name"] for row in rows}) == 5
    assert [body["over"] for body in settled] == [["read"], [], []]


async def test_64_readers_at_once_never_show_more_people_than_the_limit(limited: World) -> None:
    """Each result has one new person; three are shown, and nothing of the others."""
    names = [f"Anna{chr(97 + index // 8)}{chr(97 + index % 8)} Kowalska" for index in range(64)]
    tool = FunctionTool.of(limited.tools.echo, name="find_customer")
    with limited.open() as guard, guard.session(user=ANN, id="s"):
        ends = await asyncio.gather(*(ended(guard, tool, value=[{"full_name": name}]) for name in names))

    assert Counter(map(type, ends))[list] == 3
    assert all(isinstance(end, (list, CallRefused)) for end in ends)
    assert len(set(re.findall(r"\[PERSON_\w+\]", str(ends)))) == 3


async def test_an_error_shows_no_more_people_than_a_result(limited: World) -> None:
    """A tool that raises its rows in place of returning them is counted too."""

    def echo(value: object) -> object:
        """Fail."""
        raise ValueError(json.dumps(value))

    with limited.open() as guard, guard.session(user=ANN, id="s"):
        end = await ended(guard, FunctionTool.of(echo), value=FAMILY)

    assert isinstance(end, ResultRefused)


async def test_a_failed_tool_has_spent(limited: World) -> None:
    """A payment that raised may have been made."""

    def http_post(url: str, body: str) -> str:
        """Fail."""
        raise OSError("timed out")

    with limited.open() as guard, guard.session(user=ANN, id="s"):
        end = await ended(guard, FunctionTool.of(http_post), url="https://acme.example", body="100")
        assert await tried(limited, guard, "http_post", url="https://acme.example", body="1") == "denied by policy"

    assert isinstance(end, OSError)


@pytest.mark.slow
async def test_without_redis_only_calls_without_a_limit_run(limited: World, state_dir: Path) -> None:
    """A call whose verdict needs a limit does not run; the others don't notice."""
    lease = Embedded.acquire(state_dir / "server")
    limited.redis_url = lease.url
    with limited.open() as guard, guard.session(user=ANN, id="s"):
        await limited.call(guard, "http_post", url="https://acme.example", body="1")
        await limited.call(guard, "read_page", url="https://acme.example")
        lease.release()
        with pytest.raises(GuardUnavailable, match="redis"):
            await limited.call(guard, "http_post", url="https://acme.example", body="1")
        assert await limited.call(guard, "read_page", url="https://acme.example") == "hello"

    assert [name for name, _ in limited.tools.ran] == ["http_post", "read_page", "read_page"]


LEASE_MS = 1500
"""How long a hold of an agent that crashes counts."""

AGENT = """\
import asyncio, sys, time
from dataclasses import replace
from pathlib import Path
from agentguard.config import Settings, open_guard
from agentguard.errors import CallRefused
from agentguard.integrations.functions import FunctionTool
from agentguard.model.calls import ToolCall

folder, url, tenant, how = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
settings = Settings(redis_url=url, state_dir=folder / "state", config_dir=folder / "config")

def refund(order_id: int, amount: float) -> str:
    print("runs", flush=True)
    time.sleep(60)

def http_post(url: str, body: str) -> str:
    return "posted"

def echo(value: list) -> list:
    return value

async def many(guard, tool, arguments):
    ends = await asyncio.gather(*(guard.run(ToolCall(tool=tool.name, arguments=each), tool) for each in arguments), return_exceptions=True)
    assert all(not isinstance(end, Exception) or isinstance(end, CallRefused) for end in ends), ends
    return sum(not isinstance(end, CallRefused) for end in ends)

with open_guard(folder / "policies", agent="support", tenant=tenant, settings=settings) as guard:
    with guard.session(user="ann@acme.example", id="thread"):
        if how == "pay":
            paid = [{"url": "https://acme.example", "body": "9.99"}] * 16
            print(asyncio.run(many(guard, FunctionTool.of(http_post), paid)), flush=True)
        elif how.startswith("read"):
            names = [f"Anna{how[4]}{chr(97 + index)} Kowalska" for index in range(16)]
            echoes = [{"value": [{"full_name": name}]} for name in names]
            print(asyncio.run(many(guard, FunctionTool.of(echo, name="find_customer"), echoes)), flush=True)
        else:
            budgets = guard.judging.budgets
            budgets = replace(budgets, ledger=replace(budgets.ledger, lease_ms=LEASE_MS))
            guard = replace(guard, judging=replace(guard.judging, budgets=budgets))
            call = ToolCall(tool="refund", arguments={"order_id": 1, "amount": 100.0}, id="c1")
            guard.blocking.run(call, FunctionTool.of(refund))
"""


@pytest.fixture
def agent(begin: Callable[..., Running]) -> Agent:
    """Begins an agent in a process of its own."""
    code = AGENT.replace("LEASE_MS", str(LEASE_MS))
    return lambda world, how: begin(code, world.folder, world.redis_url, world.tenant, how)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hows", "together"), [(["pay"] * 4, 10), ([f"read{letter}" for letter in "abcd"], 3)], ids=["paying", "reading"]
)
def test_four_processes_of_sixteen_calls_never_use_more_than_there_is(
    limited: World, hows: list[str], together: int, agent: Agent
) -> None:
    """64 calls at the same time, from four agents: exactly as many run, or show somebody, as there is room for."""
    agents = [agent(limited, how) for how in hows]

    done = [int(each.communicate()[0]) for each in agents]

    assert sum(done) == together


@pytest.mark.slow
async def test_a_crash_before_the_permit_gives_back_what_was_held_and_one_after_it_does_not(
    limited: World, agent: Agent
) -> None:
    """Killed while people think: the room is there again after the lease. Killed while the tool runs: it is spent."""
    with limited.open() as guard:
        waiting = agent(limited, "crash")
        (request,) = await limited.waiting()
        waiting.kill()
        assert await over(guard, "refund", amount=1.0) == ("refunds",)
        async with asyncio.timeout(10):
            while await over(guard, "refund", amount=1.0):
                await asyncio.sleep(0.05)

        running = agent(limited, "crash")
        await limited.decide(request, "bob")
        async with asyncio.timeout(20):
            while running.stdout.read_text() != "runs\n":
                await asyncio.sleep(0.02)
        running.kill()
        await asyncio.sleep(2 * LEASE_MS / 1000)
        assert await over(guard, "refund", amount=1.0) == ("refunds",)

    assert await limited.state(request) in (State.EXECUTING, State.UNKNOWN)
