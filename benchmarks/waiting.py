"""Calls that wait for people in one process: connections, memory, and the time from a vote until the call goes on.

    .venv/bin/python benchmarks/waiting.py [--calls N ...] [--plot FILE.svg]

Rules:
- the guard is real and so is its embedded server; votes come through a desk, each signed with a person's own key;
- times are given in floors: a bare XADD on one connection until XREAD BLOCK gives it on another, in the same run;
- floors and votes take turns, so that both have the same machine beside them, and the figures are ratios of medians;
- exit code 1 where a goal is missed: 16 connections; 8 kB a waiting call, as Python counts and resident, and 64 kB one that waits in a
  thread, the caller's own task or thread included; awake within 3 floors and redeemed within 5; each call woken by its own decision, one
  permit for 50 redeems, none for votes that nobody signed, and a refusal beyond what policy lets wait.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from pathlib import Path
from resource import getpagesize
from statistics import median
from typing import Any

import redis.asyncio
from stage import Stage, stage

from agentguard.approval import Desk, Stored, sign_vote
from agentguard.config import open_desk
from agentguard.errors import CallRefused, OutcomeUnknown
from agentguard.guard.permit import Permit
from agentguard.guard.pipeline import Guard
from agentguard.guard.requests import Requests
from agentguard.integrations.functions import FunctionTool
from agentguard.model.approvals import Decision, Request, State, Vote
from agentguard.model.calls import ToolCall
from agentguard.store.keys import SigningKey
from agentguard.store.names import Names

CONNECTIONS_MAX = 16
AWAKE_FLOORS, REDEEMED_FLOORS = 3.0, 5.0
ASYNC_BYTES_MAX, SYNC_BYTES_MAX = 8_000, 64_000
THREADS = 100
AT_ONCE = 250
REDEEMS = 50
SAMPLES = 200
TRACED = 200
RESIDENT = 1_000
WARM = 60
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
            await self.are_pending(how_many)
            found = await self.desk.list(at_most=10_000)
        return {_order(stored.request): stored.request for stored in found}

    async def are_pending(self, how_many: int) -> None:
        """Return once so many wait."""
        async with asyncio.timeout(GIVE_UP_SECONDS):
            while await self.client.zcard(NAMES.pending) < how_many:  # noqa: ASYNC110 - another process's state
                await asyncio.sleep(0.02)

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
async def scene(place: Stage, problems: list[str]) -> AsyncIterator[Scene]:
    """A scene on this stage, with a session open."""
    with place.open() as opened:
        guard = timing(opened)
        url = await asyncio.to_thread(guard.tokens.link.url)
        client = redis.asyncio.Redis(unix_socket_path=url.removeprefix("unix://"))
        async with open_desk(place.policies, place.settings) as desk:
            with guard.session(user=USER, id="waiting"):
                floor = median([await bare_wake(client) for _ in range(SAMPLES)])
                print(f"one floor (bare XADD to XREAD BLOCK): {floor / await ping(client):.2f} PINGs")
                yield Scene(guard=guard, desk=desk, place=place, client=client, floor=floor, problems=problems)
        await client.aclose()


async def bare_wake(client: redis.asyncio.Redis) -> float:
    """Seconds from before a bare XADD until XREAD BLOCK on another connection gives it."""
    reading = asyncio.ensure_future(client.xread({"bare": "$"}, block=1_000))
    await asyncio.sleep(0.002)
    started = time.perf_counter()
    adding = asyncio.ensure_future(client.xadd("bare", {"request": "x", "kind": "voted"}, maxlen=100))
    await reading
    took = time.perf_counter() - started
    await adding
    return took


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


@dataclass(frozen=True, kw_only=True)
class Timed:
    """How long it took with so many waiting, in floors of the same run."""

    waiting: int
    awake: float
    redeemed: float
    permitted: float


async def many(scene: Scene, how_many: int) -> Timed:
    """So many calls wait at once; some are timed one by one, the others are decided as fast as a desk can."""
    orders = range(10 * how_many, 11 * how_many)  # a call that was rejected is not asked about again
    started = time.perf_counter()
    tasks: dict[int, asyncio.Task[tuple[Permit, float]]] = {}
    for first in range(0, how_many, AT_ONCE):  # more at once would wait longer for a socket than Redis may answer
        for order in orders[first : first + AT_ONCE]:
            tasks[order] = asyncio.create_task(admitted(scene.guard, order, f"call-{how_many}-{order}"))
        await scene.are_pending(len(tasks))
    requests = await scene.pending(how_many)
    opening = (time.perf_counter() - started) / how_many
    await asyncio.sleep(1)  # the last ones are open, and about to wait
    connected = len(await scene.client.client_list())
    print(f"{how_many} calls wait in one process; opening took {opening / scene.floor:.1f} floors each")
    print(f"connections on the server, those of desk and counter among them: {connected}, limit {CONNECTIONS_MAX}")
    scene.must(connected <= CONNECTIONS_MAX, f"{connected} connections")
    sampled = list(orders)[:: max(1, how_many // SAMPLES)]
    took = timed(scene, [await sample(scene, requests[order], tasks[order]) for order in sampled], waiting=how_many)
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
    return took


async def alone(scene: Scene) -> Timed:
    """One call waits, and once it is decided the next one does."""
    samples = []
    for order in range(20_000, 20_000 + SAMPLES):
        task = asyncio.create_task(admitted(scene.guard, order, f"alone-{order}"))
        samples.append(await sample(scene, (await scene.pending(1))[order], task))
        await _settle(scene.guard, [task.result()])
    return timed(scene, samples, waiting=1)


Sample = tuple[float, float, float, float]
"""Seconds of a bare wake; from a vote until the waiting call was awake; until it was redeemed; and until its permit was there."""


@dataclass(frozen=True, kw_only=True)
class TimedRequests(Requests):
    """The guard's way to the channel, which notes when each call was awake, and its permit redeemed."""

    awake: dict[str, float] = field(default_factory=dict)
    redeemed: dict[str, float] = field(default_factory=dict)

    async def decided(self, request_id: str, deadline_ms: int, hold_seconds: float | None = None) -> Stored:
        """See Requests."""
        stored = await super().decided(request_id, deadline_ms, hold_seconds)
        self.awake[request_id] = time.perf_counter()
        return stored

    async def redeem(self, stored: Stored, fence: str) -> None:
        """See Requests."""
        await super().redeem(stored, fence)
        self.redeemed[stored.request.id] = time.perf_counter()


def timing(guard: Guard) -> Guard:
    """The guard, which notes how far each call came."""
    requests = guard.asking.requests
    noting = TimedRequests(background=requests.background, link=requests.link)
    return replace(guard, asking=replace(guard.asking, requests=noting))


async def sample(scene: Scene, request: Request, task: asyncio.Task[tuple[Permit, float]]) -> Sample:
    """Vote on a request."""
    floor = await bare_wake(scene.client)
    stored = await scene.desk.channel.read(request.id)
    vote = scene.vote(request, scene.place.keys["ann"])
    started = time.perf_counter()
    await scene.desk.channel.vote(vote, stored.version, State.APPROVED)
    _, at = await task
    requests = scene.guard.asking.requests
    assert isinstance(requests, TimedRequests)
    awake, redeemed = requests.awake[request.id], requests.redeemed[request.id]
    return floor, awake - started, redeemed - started, at - started


def timed(scene: Scene, samples: Sequence[Sample], *, waiting: int) -> Timed:
    """What the samples come to, told and judged."""
    floor, awake, redeemed, permitted = (median(column) for column in zip(*samples, strict=True))
    took = Timed(waiting=waiting, awake=awake / floor, redeemed=redeemed / floor, permitted=permitted / floor)
    print(f"p50 from vote to awake, {waiting} waiting: {took.awake:.2f} floors, goal {AWAKE_FLOORS}")
    print(f"p50 to redeemed (verified, judged again): {took.redeemed:.2f} floors, goal {REDEEMED_FLOORS}")
    print(f"p50 to the permit (on record, on the disk too): {took.permitted:.2f} floors")
    is_soon = took.awake <= AWAKE_FLOORS and took.redeemed <= REDEEMED_FLOORS
    scene.must(is_soon, f"too slow with {waiting} waiting")
    return took


async def traced_memory(scene: Scene) -> None:
    """Print what one more waiting call allocates; these are cancelled, which takes their requests back."""
    warm = await _waiting(scene, range(-WARM, 0))
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    tasks = await _waiting(scene, range(-WARM - TRACED, -WARM), beside=len(warm))
    await asyncio.sleep(1)
    gc.collect()
    now, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    each = (now - before) / TRACED
    print(f"allocated per waiting call: {each / 1000:.1f} kB (Python's own count), goal {ASYNC_BYTES_MAX / 1000:.0f}")
    scene.must(each <= ASYNC_BYTES_MAX, f"{each:.0f} bytes a waiting call")
    await _take_back(scene, [*warm, *tasks])


async def resident_memory(scene: Scene) -> None:
    """Print what one more waiting call takes of the process's memory, its caller's task included, and what such a task takes by itself."""
    bare = await _bare_tasks(RESIDENT)
    tasks = await _opened(scene, range(-90_000 - AT_ONCE, -90_000), waiting=0)  # what is used once is no call's own
    await asyncio.sleep(1)
    gc.collect()
    before = resident_bytes()
    tasks += await _opened(scene, range(-90_000 - AT_ONCE - RESIDENT, -90_000 - AT_ONCE), waiting=len(tasks))
    await asyncio.sleep(1)
    each = (resident_bytes() - before) / RESIDENT
    print(
        f"resident memory per waiting call: {each / 1000:.1f} kB, goal {ASYNC_BYTES_MAX / 1000:.0f};"
        f" per bare task that waits for a future: {bare / 1000:.1f} kB"
    )
    scene.must(each <= ASYNC_BYTES_MAX, f"{each:.0f} resident bytes a waiting call")
    await _take_back(scene, tasks)


async def _bare_tasks(how_many: int) -> float:
    """Resident bytes of each of so many tasks that wait for a future."""

    async def wait(future: asyncio.Future[None]) -> None:
        await future

    gc.collect()
    before = resident_bytes()
    tasks = [asyncio.create_task(wait(asyncio.get_running_loop().create_future())) for _ in range(how_many)]
    await asyncio.sleep(0.1)
    each = (resident_bytes() - before) / how_many
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return each


async def _opened(scene: Scene, orders: range, *, waiting: int) -> list[asyncio.Task[tuple[Permit, float]]]:
    """So many more calls that wait, beside those that do already; nobody lists them, so nothing else of them is held here."""
    tasks: list[asyncio.Task[tuple[Permit, float]]] = []
    for first in range(0, len(orders), AT_ONCE):
        for order in orders[first : first + AT_ONCE]:
            tasks.append(asyncio.create_task(admitted(scene.guard, order, f"resident-{order}")))
        await scene.are_pending(waiting + len(tasks))
    return tasks


async def _take_back(scene: Scene, tasks: Sequence[asyncio.Task[tuple[Permit, float]]]) -> None:
    """Cancel waiting calls, which takes their requests back."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(GIVE_UP_SECONDS):
        while await scene.client.zcard(NAMES.pending):  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0.05)


async def threads(scene: Scene) -> None:
    """Print what one more call that waits in a thread of its own takes of the process's memory."""
    context = copy_context()

    def wait(order: int) -> None:
        with suppress(CallRefused):
            context.copy().run(scene.guard.blocking.admit, ToolCall(tool="refund", arguments={"order_id": order}), TOOL)

    def waiting(orders: range) -> list[threading.Thread]:
        started = [threading.Thread(target=wait, args=(order,), daemon=True) for order in orders]
        for each in started:
            each.start()
        return started

    warm = waiting(range(-9_020, -9_000))
    await scene.pending(len(warm))
    gc.collect()
    before = resident_bytes()
    more = waiting(range(-9_020 - THREADS, -9_020))
    requests = await scene.pending(len(warm) + THREADS)
    gc.collect()
    each = (resident_bytes() - before) / THREADS
    print(f"resident memory per call that waits in a thread: {each / 1000:.1f} kB, goal {SYNC_BYTES_MAX / 1000:.0f}")
    scene.must(each <= SYNC_BYTES_MAX, f"{each:.0f} bytes a call that waits in a thread")
    for request in requests.values():
        await scene.desk.channel.withdraw(request.id, "measured")
    for thread in (*warm, *more):
        await asyncio.to_thread(thread.join, GIVE_UP_SECONDS)


async def beyond(scene: Scene, most: int = 20) -> None:
    """What becomes of calls beyond what policy lets wait."""
    few = POLICY.replace("pending: 100000", f"pending: {most}")
    (scene.place.policies / "policy.yaml").write_text(few, encoding="utf-8")
    with scene.place.open() as guard, guard.session(user=USER, id="beyond"):
        tasks = [asyncio.create_task(admitted(guard, order)) for order in range(-most - 30, 0)]
        refused, _ = await asyncio.wait(tasks, timeout=GIVE_UP_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        while len(refused) < 30:
            refused = {task for task in tasks if task.done()}
            await asyncio.sleep(0.05)
        reasons = Counter(task.exception().reason.value for task in refused)  # type: ignore[union-attr]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    print(f"{most} may wait, {len(tasks)} asked: {dict(reasons)}")
    scene.must(dict(reasons) == {"asked too much": 30}, "calls beyond the cap were not refused")


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


def plot(took: Sequence[Timed], path: Path) -> None:
    """From a vote to the call awake and permitted, by how many wait."""
    from matplotlib import pyplot  # noqa: PLC0415 - slow to import, and only wanted for a plot

    pyplot.rcParams["svg.hashsalt"] = "agentguard"
    figure, panel = pyplot.subplots(figsize=(7, 4), layout="constrained")
    waiting = [each.waiting for each in took]
    for label, goal, colour, floors in (
        ("redeemed", REDEEMED_FLOORS, "#1b7f5c", [each.redeemed for each in took]),
        ("awake", AWAKE_FLOORS, "#31608f", [each.awake for each in took]),
    ):
        panel.plot(waiting, floors, marker="o", color=colour, label=f"{label} (goal {goal:g})")
        panel.axhline(goal, color=colour, linestyle=":", linewidth=1)
    panel.set(
        xscale="log",
        ylim=(0, None),
        xlabel="calls that wait in one process",
        ylabel="p50 after the vote, in bare XADD to XREAD BLOCK",
        title="From a vote to the waiting call (appendfsync always)",
    )
    panel.legend()
    figure.savefig(path, metadata={"Date": None})


async def main(counts: Sequence[int], picture: Path | None) -> int:
    """Run every part; the exit code."""
    problems: list[str] = []
    with stage(POLICY, PEOPLE) as place:
        async with scene(place, problems) as opened:
            print(f"appendfsync {(await opened.client.config_get('appendfsync'))['appendfsync']}, for both")
            with (
                place.open() as plain,
                plain.session(user=USER, id="memory"),
            ):  # notes nothing, so that its frames are its own
                await resident_memory(
                    replace(opened, guard=plain)
                )  # while nothing was given back that would be taken again
                await traced_memory(replace(opened, guard=plain))
            await threads(opened)
        took = [await timed_with(place, problems, each) for each in counts]
        async with scene(place, problems) as opened:
            await redeems(opened)
            await handwritten(opened)
            await beyond(opened)
    if picture is not None:
        plot(took, picture)
    for problem in problems:
        print(f"FAILED: {problem}")
    return 1 if problems else 0


async def timed_with(place: Stage, problems: list[str], how_many: int) -> Timed:
    """So many waiting, by a guard and a desk of their own."""
    async with scene(place, problems) as opened:
        return await (alone(opened) if how_many == 1 else many(opened, how_many))


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="Calls that wait for people in one process.")
    options.add_argument("--calls", type=int, nargs="+", default=[1, 100, 1_000, 5_000])
    options.add_argument("--plot", type=Path)
    wanted = options.parse_args()
    sys.exit(asyncio.run(main(wanted.calls, wanted.plot)))
