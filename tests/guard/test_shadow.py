"""What is in shadow holds no call up, and is on record."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from agentguard.audit import Entry, ShadowReport, read, shadow_report
from agentguard.guard.pipeline import Guard
from agentguard.store.embedded import Embedded
from tests.guard.world import POLICY, World

pytestmark = pytest.mark.anyio

ANN = "ann@acme.example"
FAMILY = [{"full_name": name} for name in ("Bea Moss", "Cid Lane", "Dov Hart", "Eva Sand", "Finn Oak")]

SHADOW = """\
  - {id: big, tools: [echo], when: "size(args.value) > 3", ask: stewards, mode: shadow}
  - {id: seen, tools: [read_page], when: '"customer-data" in session.labels', deny: true, mode: shadow}
limits:
  pages: {tools: [read_page], max: 2, over: 1h, deny: true, mode: shadow}
  people: {tools: [find_customer, echo], distinct: PERSON, max: 1, per: session, ask: on-call, mode: shadow}
approvals:"""


@pytest.fixture
def shadowed(world: World) -> World:
    """A world with rules and limits in shadow."""
    text = POLICY.replace("DEADLINE", "20s").replace("approvals:", SHADOW)
    (world.policies / "policy.yaml").write_text(text)
    return world


def entries(world: World) -> list[Entry]:
    """The journal."""
    return list(read(world.folder / "state" / "journal"))


def report(world: World) -> ShadowReport:
    """What shadow would have done, over a day."""
    now_ms = int(time.time() * 1000)
    return shadow_report(entries(world), now_ms - 24 * 3600 * 1000, now_ms)


async def run_all(world: World, guard: Guard) -> None:
    """Calls that would have been asked about, denied, or kept back."""
    for _ in range(4):
        await world.call(guard, "read_page", url="https://acme.example")
    await world.call(guard, "find_customer", customer_id=7)
    await world.call(guard, "echo", value=FAMILY)
    await world.call(guard, "read_page", url="https://acme.example")


async def test_every_call_passes_and_nobody_is_asked(shadowed: World) -> None:
    """The journal has what shadow would have done; results are masked as always."""
    with shadowed.open() as guard, guard.session(user=ANN, id="s"):
        await run_all(shadowed, guard)
        rows = await shadowed.call(guard, "echo", value=FAMILY[:1])

    judged = [entry.body for entry in entries(shadowed) if entry.kind == "judged"]
    assert "Moss" not in json.dumps(rows)
    assert {body["effect"] for body in judged} == {"allow"}
    assert [entry.kind for entry in entries(shadowed) if entry.kind == "asked"] == []
    shadows = [body["shadow"]["effect"] if body["shadow"] else None for body in judged]
    assert shadows == [None, None, "deny", "deny", None, "ask", "deny", "ask"]


async def test_the_report_counts_what_it_would_have_cost(shadowed: World) -> None:
    """Questions in all and a day, denials, results, and each clause with its place."""
    with shadowed.open() as guard, guard.session(user=ANN, id="s"):
        await run_all(shadowed, guard)

    found = report(shadowed)

    assert (found.calls, found.questions, found.more_questions, found.denials, found.results) == (7, 0, 1, 3, 1)
    assert found.more_questions_a_day == 24.0
    assert found.needs == {"on-call": 1, "stewards": 1}
    assert [(each.id, each.asked, each.denied, each.results) for each in found.clauses] == [
        ("pages", 0, 3, 0),
        ("people", 1, 0, 1),
        ("big", 1, 0, 0),
        ("seen", 0, 1, 0),
    ]
    assert all("policy.yaml:" in each.place for each in found.clauses)


@pytest.mark.slow
async def test_what_only_shadow_needs_holds_nothing_up_without_redis(shadowed: World, state_dir: Path) -> None:
    """Labels and limits that nobody can read are told as such, and the calls pass."""
    lease = Embedded.acquire(state_dir / "server")
    shadowed.redis_url = lease.url
    with shadowed.open() as guard, guard.session(user=ANN, id="s"):
        await shadowed.call(guard, "read_page", url="https://acme.example")
        lease.release()
        assert await shadowed.call(guard, "read_page", url="https://acme.example") == "hello"
        assert await shadowed.call(guard, "echo", value=[1, 2, 3, 4]) == [1, 2, 3, 4]

    judged = [entry.body for entry in entries(shadowed) if entry.kind == "judged"]
    assert [body["effect"] for body in judged] == ["allow"] * 3
    assert "NOT_COUNTED" in {clause["error"] for clause in judged[1]["shadow"]["clauses"]}


async def test_a_call_that_is_asked_about_anyway_costs_no_more_questions(shadowed: World) -> None:
    """Only what people were not asked about counts."""
    text = (shadowed.policies / "policy.yaml").read_text()
    (shadowed.policies / "policy.yaml").write_text(text.replace("tools: [echo], when", "tools: [refund], when"))
    with shadowed.open() as guard, guard.session(user=ANN, id="s"):
        call = asyncio.create_task(shadowed.call(guard, "refund", "c1", order_id=1))
        (request,) = await shadowed.waiting()
        needs = (await shadowed.stored(request)).request.needs
        await shadowed.decide(request, "bob")
        await call

    assert [need.name for need in needs] == ["on-call"]
    assert (report(shadowed).questions, report(shadowed).more_questions) == (1, 0)
