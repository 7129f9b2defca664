"""Calls that wait for people in one process: connections, memory, and the time from a vote until the call goes on.

Rules:
- the guard is real and so is its embedded server; votes come through a desk, each signed with a person's own key;
- times are given in floors: a bare XADD on one connection until XREAD BLOCK gives it on another, in the same run;
- exit code 1 where a limit does not hold: 16 connections, each call woken by its own decision, one permit for 50 redeems, none for votes
  that nobody signed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from resource import getpagesize
from statistics import median
from typing import Any

import redis.asyncio
from stage import Stage, stage

from agentguard.approval import Desk, sign_vote
from agentguard.config import open_desk
from agentguard.errors import CallRefused, OutcomeUnknown
from agentguard.guard.permit import Permit
from agentguard.guard.pipeline import Guard
from agentguard.integrations.functions import FunctionTool
from agentguard.model.approvals import Decision, Request, State, Vote
from agentguard.model.calls import ToolCall
from agentguard.store.keys import SigningKey
from agentguard.store.names import Names

CONNECTIONS_MAX = 16
REDEEMS = 50
SAMPLES = 200
TRACED = 200
VOTERS = 8
GIVE_UP_SECONDS = 120
USER = "emma@acme.example"
PEOPLE = {"ann": ("on-call",), "dan": ("on-call",)}
NAMES = Names("default")

POLICY = """\
version: 1
risk: {low: allow, medium: allow, high: {ask: on-call}, critical: deny}
tools:
  refund: {risk: high, labels: []}
asking: {pending: 100000, per_minute: 100000}
approvals:
  on-call: {approvers: [group:on-call], deadline: 10m}
"""


def refund(order_id: int) -> str:
    """Refund an order."""
    return f"refunded {order_id}"


TOOL = FunctionTool.of(refund)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A guard, a desk beside it, and a bare client of the same server. `floor` is in seconds."""

    guard: Guard
    desk: Desk
    place: Stage
    client: redis.asyncio.Redis
    floor: float
    problems: list[str]

    def must(self, holds: bool, what: str) -> None:
        """Note what does not hold."""
        if not holds:
            self.problems.append(what)

    async def pending(self, how_many: int) -> dict[int, Request]:
        """Requests by their order, once so many wait."""
        async with asyncio.timeout(GIVE_UP_SECONDS):
            while len(found := await self.desk.list(at_most=5_000)) < how_many:  # noqa: ASYNC110 - another process's state
                await asyncio.sleep(0.05)
        return {_order(stored.request): stored.request for stored in found}

    async def decide(self, request: Request, decision: Decision) -> None:
        """Ann's vote, through the desk."""
        await self.desk.decide(
            request.id, person="ann", key=self.place.keys["ann"], decision=decision, card_digest=request.card.digest()
        )

    def vote(self, request: Request, key: SigningKey) -> Vote:
        """A vote in Ann's name, signed with this key."""
        return sign_vote(
            request, person="ann", groups=("on-call",), approvals=("on-call",), decision=Decision.APPROVE, comment="",
            card_digest=request.card.digest(), time_ms=self.desk.channel.clock.now_ms(), signer="ann", key=key,
        )  # fmt: skip


@asynccontextmanager
async def scene(place: Stage) -> AsyncIterator[Scene]:
    """A scene on this stage, with a session open."""
    with place.open() as guard:
        url = await asyncio.to_thread(guard.tokens.link.url)
        client = redis.asyncio.Redis(unix_socket_path=url.removeprefix("unix://"))
        async with open_desk(place.policies, place.settings) as desk:
            with guard.session(user=USER, id="waiting"):
                floor = await bare_wake(client)
                print(f"one floor (bare XADD to XREAD BLOCK): {floor / await ping(client):.2f} PINGs")
                yield Scene(guard=guard, desk=desk, place=place, client=client, floor=floor, problems=[])
        await client.aclose()


async def bare_wake(client: redis.asyncio.Redis) -> float:
    """Median seconds from before a bare XADD until XREAD BLOCK on another connection gives it."""
    took: list[float] = []
    for _ in range(SAMPLES):
        reading = asyncio.ensure_future(client.xread({"bare": "$"}, block=1_000))
        await asyncio.sleep(0.002)
        started = time.perf_counter()
        adding = asyncio.ensure_future(client.xadd("bare", {"request": "x", "kind": "voted"}))
        await reading
        took.append(time.perf_counter() - started)
        await adding
    await client.delete("bare")
    return median(took)


async def ping(client: redis.asyncio.Redis) -> float:
    """Median seconds of a PING."""
    took: list[float] = []
    for _ in range(SAMPLES):
        started = time.perf_counter()
        await client.ping()
        took.append(time.perf_counter() - started)
    return median(took)


async def admitted(guard: Guard, order: int, call_id: str | None = None) -> tuple[Permit, float]:
    """The permit for one order, and when it came."""
    permit = await guard.admit(ToolCall(tool="refund", arguments={"order_id": order}, id=call_id), TOOL)
    return permit, time.perf_counter()


async def many(scene: Scene, how_many: int) -> None:
    """So many calls wait at once; some are timed one by one, the others are decided as fast as a desk can."""
    orders = range(1, how_many + 1)
    before, started = resident_bytes(), time.perf_counter()
    tasks = {order: asyncio.create_task(admitted(scene.guard, order, f"call-{order}")) for order in orders}
    requests = await scene.pending(how_many)
    opening = (time.perf_counter() - started) / how_many
    connected = len(await scene.client.client_list())
    print(f"{how_many} calls wait in one process; opening took {opening / scene.floor:.1f} floors each")
    print(f"connections on the server, those of desk and counter among them: {connected}, limit {CONNECTIONS_MAX}")
    print(f"resident memory per waiting call: {(resident_bytes() - before) / how_many / 1024:.1f} KiB")
    scene.must(connected <= CONNECTIONS_MAX, f"{connected} connections")
    sampled = list(orders)[:: max(1, how_many // SAMPLES)]
    await timed(scene, [(requests[order], tasks[order]) for order in sampled], others=how_many - len(sampled))
    rest = sorted(set(orders) - set(sampled))
    started = time.perf_counter()
    await asyncio.gather(*(_decide_all(scene, [requests[order] for order in rest[n::VOTERS]]) for n in range(VOTERS)))
    async with asyncio.timeout(GIVE_UP_SECONDS):
        ends = dict(zip(orders, await asyncio.gather(*tasks.values(), return_exceptions=True), strict=True))
    each = (time.perf_counter() - started) / max(1, len(rest))
    print(f"the other {len(rest)} decided by {VOTERS} hands and awake: {each / scene.floor:.1f} floors each")
    wrong = [
        order
        for order in orders
        if _approved(ends[order]) is not (order in sampled or _decision(order) is Decision.APPROVE)
    ]
    scene.must(not wrong, f"{len(wrong)} calls did not wake to their own decision")
    await _settle(scene.guard, ends.values())


async def timed(
    scene: Scene, waiting: Sequence[tuple[Request, asyncio.Task[tuple[Permit, float]]]], *, others: int
) -> None:
    """Vote on one after the other: when the guard's reader wakes a waiter, and when the permit is there."""
    woken: list[float] = []
    permitted: list[float] = []
    for request, task in waiting:
        waking = scene.guard.tokens.background.start(partial(_woken, scene.guard, request))
        await asyncio.sleep(0.005)
        stored = await scene.desk.channel.read(request.id)
        vote = scene.vote(request, scene.place.keys["ann"])
        started = time.perf_counter()
        await scene.desk.channel.vote(vote, stored.version, State.APPROVED)
        _, at = await task
        permitted.append(at - started)
        woken.append(await asyncio.wrap_future(waking) - started)
    print(f"p50 from vote to awake, {others} others waiting: {median(woken) / scene.floor:.2f} floors")
    print(
        f"p50 from vote to permit: {median(permitted) / scene.floor:.2f} floors (verified, judged again, redeemed, journalled)"
    )


async def traced_memory(scene: Scene) -> None:
    """Print what one more waiting call allocates; these are cancelled, which takes their requests back."""
    warm = await _waiting(scene, range(-10, 0))
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    tasks = await _waiting(scene, range(-10 - TRACED, -10), beside=len(warm))
    now, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"allocated per waiting call: {(now - before) / TRACED / 1024:.1f} KiB (Python's own count)")
    for task in (*warm, *tasks):
        task.cancel()
    await asyncio.gather(*warm, *tasks, return_exceptions=True)
    async with asyncio.timeout(GIVE_UP_SECONDS):
        while await scene.desk.list():  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0.05)


async def redeems(scene: Scene) -> None:
    """One approved request, and calls in two guards that all redeem it at once."""
    with scene.place.open() as other, other.session(user=USER, id="waiting"):
        guards = [scene.guard, other]
        tasks = [asyncio.create_task(admitted(guards[n % 2], 7_777, f"same-{n}")) for n in range(REDEEMS)]
        request = (await scene.pending(1))[7_777]
        await asyncio.sleep(1)
        await scene.decide(request, Decision.APPROVE)
        ends = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), GIVE_UP_SECONDS)
        permits = sum(map(_approved, ends))
        told = Counter(type(end).__name__ for end in ends if not isinstance(end, tuple))
        print(f"{REDEEMS} redeems of one approved request, from two guards: {permits} permit; the others: {dict(told)}")
        scene.must(permits == 1, f"{permits} permits for one request")
        await _settle(scene.guard, ends)


async def handwritten(scene: Scene) -> None:
    """Somebody with write access to Redis says approved: without a vote, and with one that a stranger signed."""
    for order, what in ((8_001, "no vote"), (8_002, "a vote in Ann's name, signed by a stranger")):
        task = asyncio.create_task(admitted(scene.guard, order, f"forged-{order}"))
        request = (await scene.pending(1))[order]
        written: dict[Any, Any] = {"resolution": "approved", "version": 1}
        if order == 8_002:
            written["vote:ann"] = scene.vote(request, SigningKey.new()).canonical()
        await scene.client.hset(NAMES.votes(request.id), mapping=written)
        await scene.client.xadd(
            NAMES.events, {"request": request.id, "kind": "voted", "state": "approved", "time_ms": "0"}
        )
        (end,) = await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), GIVE_UP_SECONDS)
        reason = end.reason.value if isinstance(end, CallRefused) else type(end).__name__
        print(f"approved by hand in Redis, {what}: {'A PERMIT' if _approved(end) else f'no permit ({reason})'}")
        scene.must(isinstance(end, CallRefused), f"approved by hand with {what}: {reason}")
        await scene.client.zrem(NAMES.pending, request.id)


def resident_bytes() -> int:
    """What this process has in memory now."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * getpagesize()


async def _woken(guard: Guard, request: Request) -> float:
    async with guard.tokens.link.using() as opened:
        await opened.waiters.wait(request.id, request.deadline_ms)
    return time.perf_counter()


async def _waiting(scene: Scene, orders: range, *, beside: int = 0) -> list[asyncio.Task[tuple[Permit, float]]]:
    tasks = [asyncio.create_task(admitted(scene.guard, order, f"memory-{order}")) for order in orders]
    await scene.pending(len(tasks) + beside)
    return tasks


async def _decide_all(scene: Scene, requests: Sequence[Request]) -> None:
    for request in requests:
        await scene.decide(request, _decision(_order(request)))


async def _settle(guard: Guard, ends: Any) -> None:
    for end in ends:
        if isinstance(end, tuple):
            await guard.settle(end[0], "refunded")


def _order(request: Request) -> int:
    return int(request.card.arguments.rpartition(":")[2].rstrip("}"))


def _decision(order: int) -> Decision:
    return Decision.APPROVE if order % 2 == 0 else Decision.REJECT


def _approved(end: object) -> bool:
    if isinstance(end, BaseException) and not isinstance(end, (CallRefused, OutcomeUnknown)):
        raise end
    return isinstance(end, tuple)


async def main(how_many: int) -> int:
    """Run every part; the exit code."""
    with stage(POLICY, PEOPLE) as place:
        async with scene(place) as opened:
            await many(opened, how_many)
            await traced_memory(opened)
            await redeems(opened)
            await handwritten(opened)
    for problem in opened.problems:
        print(f"FAILED: {problem}")
    return 1 if opened.problems else 0


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--calls", type=int, default=1_000)
    sys.exit(asyncio.run(main(options.parse_args().calls)))
