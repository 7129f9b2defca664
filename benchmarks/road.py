"""What the road of an allowed call costs, in round trips to Redis of the same run.

One tool gives a 1 kB JSON result with a few personal fields among ordinary ones and some prose. Rounds of PINGs, of the async door and
of the sync door take turns on one event loop; each figure is the median over rounds, and only ratios are printed. Redis itself
counts the commands (INFO commandstats).
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import pstats
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import redis.asyncio
from stage import MASKING, stage

from agentguard.guard.blocking import BlockingGuard
from agentguard.guard.budgets import NO_BILL
from agentguard.guard.pipeline import Guard
from agentguard.guard.revealing import restore_call
from agentguard.guard.snapshot import take_snapshot
from agentguard.integrations.functions import FunctionTool
from agentguard.model.calls import Principal, ToolCall
from agentguard.model.canonical import canonical_json
from agentguard.model.events import Ended
from agentguard.model.facts import Facts

GOAL_PINGS = 2.0
KNOWN_CALLS = 1_000
FIRST_SIGHTS = (1, 10, 100)
USER = "dan@acme.example"
BESIDE = {"hvals"}
"""What goes on beside the road: about once a second, what is frozen is read."""

POLICY = """\
version: 1
risk: {low: allow, medium: allow, high: deny, critical: deny}
tools:
  find_order: {risk: low, labels: [customer-data]}
masking:
  fields: {"**.full_name": PERSON, "**.street": LOCATION}
"""

ORDER = {
    "order_id": 1042,
    "status": "shipped",
    "placed_at": "2026-03-14T09:26:53Z",
    "currency": "EUR",
    "total": 129.9,
    "customer": {
        "id": 88123,
        "full_name": "Anna Kowalska",
        "email": "anna.kowalska@mail.example",
        "phone": "+1-202-555-0147",
        "street": "12 Harbour Road",
        "city": "Gdansk",
        "newsletter": False,
    },
    "items": [
        {"sku": "LMP-2210", "name": "Desk lamp", "quantity": 1, "price": 79.9, "in_stock": True},
        {"sku": "BLB-0007", "name": "LED bulb E27", "quantity": 4, "price": 12.5, "in_stock": True},
    ],
    "payment": {"method": "card", "card": "4111 1111 1111 1111", "captured": True, "attempts": 1},
    "note": (
        "Customer called on Tuesday about the delivery window and asked us to leave the parcel with the neighbour on the second floor. "
        "She prefers e-mail (anna.kowalska@mail.example) to phone calls, except for the courier. The lamp was out of stock once before; "
        "the warehouse in Hall 7 confirmed the new batch on 2026-03-12, so nothing else should hold this order back."
    ),
    "warehouse": "PL-GDN-07",
    "tracking": None,
}


def find_order(order_id: int) -> dict[str, Any]:
    """Look up an order with its customer."""
    return ORDER


TOOL = FunctionTool.of(find_order)
CALL = ToolCall(tool="find_order", arguments={"order_id": 1042}, id="call-1")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds per operation, one figure a round."""

    pings: list[float]
    door_pings: list[float]
    waits: list[float]
    blocks: list[float]

    def in_pings(self, seconds: list[float]) -> str:
        """The median over rounds, in PINGs, with the quartiles of the rounds' own ratios."""
        ratios = sorted(took / ping for took, ping in zip(seconds, self.pings, strict=True))
        low, high = ratios[len(ratios) // 4], ratios[3 * len(ratios) // 4]
        return f"{median(seconds) / median(self.pings):.2f} PINGs (quartiles of the rounds {low:.2f} to {high:.2f})"

    def in_door_pings(self, seconds: list[float]) -> str:
        """The median over rounds, in PINGs through the guard's async door."""
        return f"{median(seconds) / median(self.door_pings):.2f} PINGs through the door"


async def known_call(guard: Guard) -> None:
    """One call through the async door, all of it but the tool."""
    permit = await guard.admit(CALL, TOOL)
    await guard.settle(permit, ORDER)


async def door_ping(guard: Guard) -> None:
    """One PING as a guarded call would make it: a hop to the guard's loop, the round trip, and back."""

    async def ping() -> None:
        async with guard.tokens.link.using() as there:
            await there.connection.execute("PING")

    await guard.tokens.background.hop(ping)


def known_call_blocking(guard: BlockingGuard) -> None:
    """The same through the sync door."""
    guard.settle(guard.admit(CALL, TOOL), ORDER)


async def per_operation(operation: Callable[[], Awaitable[Any]], times: int) -> float:
    """Seconds that one of so many awaited operations took."""
    started = time.perf_counter()
    for _ in range(times):
        await operation()
    return (time.perf_counter() - started) / times


def per_blocking_operation(operation: Callable[[], Any], times: int) -> float:
    """Seconds that one of so many operations took."""
    started = time.perf_counter()
    for _ in range(times):
        operation()
    return (time.perf_counter() - started) / times


async def measured(guard: Guard, client: redis.asyncio.Redis, *, rounds: int, times: int) -> Cost:
    """The cost of known calls and of PINGs, in rounds that take turns."""
    cost = Cost(pings=[], door_pings=[], waits=[], blocks=[])
    blocking = BlockingGuard(guard)
    for _ in range(rounds):
        cost.pings.append(await per_operation(client.ping, times))
        cost.door_pings.append(await per_operation(lambda: door_ping(guard), times))
        cost.waits.append(await per_operation(lambda: known_call(guard), times))
        cost.blocks.append(per_blocking_operation(lambda: known_call_blocking(blocking), times))
    return cost


async def commands(client: redis.asyncio.Redis) -> Counter[str]:
    """How often Redis ran each command so far, those inside scripts included, and not counting this question."""
    stats = await client.info("commandstats")
    return Counter(
        {name.removeprefix("cmdstat_"): row["calls"] for name, row in stats.items() if name != "cmdstat_info"}
    )


async def sent(client: redis.asyncio.Redis, operation: Callable[[], Awaitable[Any]]) -> Counter[str]:
    """The commands that Redis got from outside during the operation, those inside scripts left out."""
    counted: Counter[str] = Counter()
    async with client.monitor() as monitor:
        await operation()
        await client.echo("the end")
        async for line in monitor.listen():
            name = line["command"].split()[0].lower()
            if name == "echo":
                return counted
            if line["client_type"] != "lua" and name not in BESIDE:
                counted[name] += 1
    raise RuntimeError("the server stopped telling its commands")


async def call_in(guard: Guard, session: str, tokens: int) -> float:
    """Seconds of a call in this session whose result has so many tokens that nobody has seen."""
    result = {"contacts": [f"person{index}@mail.example" for index in range(tokens)]}
    with guard.session(user=USER, id=session):
        started = time.perf_counter()
        permit = await guard.admit(CALL, TOOL)
        await guard.settle(permit, result)
        return time.perf_counter() - started


async def first_sight(guard: Guard, session: str, tokens: int) -> float:
    """Seconds of the same in a session that this process uses already."""
    await call_in(guard, session, 0)
    return await call_in(guard, session, tokens)


def steps(guard: Guard, principal: Principal, *, times: int) -> dict[str, float]:
    """Seconds per call of each step, run alone in this thread."""
    drive = BlockingGuard(guard)
    ids = guard.tokens.ids(principal)
    snapshot = take_snapshot(TOOL, canonical_json(CALL.arguments))
    arguments = snapshot.arguments
    masked_arguments = guard.masker.mask(arguments, ids)
    masked = guard.masker.mask(ORDER, ids)
    permit = drive.admit(CALL, TOOL)
    verdict, labels = permit.verdict, permit.verdict.labels

    def step(coroutine: Callable[[], Any]) -> Callable[[], None]:
        def run() -> None:
            try:
                coroutine().send(None)
            except StopIteration:
                return

        return run

    parts: dict[str, Callable[[], Any]] = {
        "1 restore": step(lambda: restore_call(CALL, TOOL, (), guard.tokens, principal)),
        "2 snapshot": lambda: take_snapshot(TOOL, canonical_json(CALL.arguments)),
        "  mask arguments": lambda: guard.masker.mask(arguments, ids),
        "3 classify": lambda: guard.policy.classify("find_order", arguments, principal, Facts()),
        "4 record": step(
            lambda: guard.records.judged(
                principal, CALL, verdict, snapshot, masked_arguments, {}, facts=Facts(), bill=NO_BILL
            )
        ),
        "8 mask result": lambda: guard.masker.mask(ORDER, ids),
        "  known tokens": lambda: guard.tokens.sessions.unseen(principal, masked.tokens, labels, "find_order"),
        "  record the end": step(lambda: guard.records.settled(permit, Ended.DONE, masked)),
        "admit, whole": lambda: drive.admit(CALL, TOOL),
        "admit and settle, whole": lambda: known_call_blocking(drive),
    }
    return {name: min(per_blocking_operation(part, times) for _ in range(5)) for name, part in parts.items()}


def profiled(guard: Guard, *, times: int) -> None:
    """Print where the sync door's time goes, by function."""
    blocking = BlockingGuard(guard)
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(times):
        known_call_blocking(blocking)
    profile.disable()
    stats = pstats.Stats(profile, stream=sys.stdout)
    stats.sort_stats("tottime").print_stats(25)
    stats.sort_stats("cumtime").print_stats(45)


async def main(*, rounds: int, times: int, profile: bool) -> int:
    """Measure and print; the exit code says whether no known call reached Redis and each first sight took one EVALSHA."""
    print(f"result to mask: {len(json.dumps(ORDER))} bytes of JSON; masking: {MASKING}")
    with stage(POLICY, {"ann": ("on-call",)}) as place, place.open() as guard:
        url = await asyncio.to_thread(guard.tokens.link.url)
        client = redis.asyncio.Redis(unix_socket_path=url.removeprefix("unix://"))
        await client.ping()
        with guard.session(user=USER, id="known") as principal:
            await known_call(guard)
            before = await commands(client)
            await per_operation(lambda: known_call(guard), KNOWN_CALLS)
            extra = await commands(client) - before
            reads = sum(extra.pop(name, 0) for name in BESIDE)
            cost = await measured(guard, client, rounds=rounds, times=times)
            print(f"known call, async door: {cost.in_pings(cost.waits)}; goal {GOAL_PINGS:.0f}")
            print(f"known call, sync door:  {cost.in_pings(cost.blocks)}")
            print(f"a PING through the guard's own async door, hop and all: {cost.in_pings(cost.door_pings)}")
            print(f"known call, async door: {cost.in_door_pings(cost.waits)}")
            print(
                f"Redis commands in {KNOWN_CALLS} known calls: {sum(extra.values())}, and {reads} beside them to know what is frozen"
            )
            if profile:
                _print_steps(steps(guard, principal, times=200), median(cost.pings))
                profiled(guard, times=1_000)
        once = await _first_sights(guard, client, median(cost.pings), rounds=max(20, rounds))
        await client.aclose()
    return 0 if once and not extra else 1


async def _first_sights(guard: Guard, client: redis.asyncio.Redis, ping: float, *, rounds: int) -> bool:
    """Print the first sight of each number of tokens; whether each took one EVALSHA and nothing else."""
    once = True
    await first_sight(guard, "warm", 1)  # opens the sockets that are not open yet
    for tokens in FIRST_SIGHTS:
        seconds = median([await first_sight(guard, f"timed-{tokens}-{number}", tokens) for number in range(rounds)])
        session = f"counted-{tokens}"
        opening = await sent(client, partial(call_in, guard, session, 0))
        got = await sent(client, partial(call_in, guard, session, tokens))
        once = once and got == Counter(evalsha=1)
        print(f"first sight of {tokens} new tokens: {seconds / ping:.2f} PINGs; commands: {dict(got)}")
    print(f"before it, where a session that others may know is used first: {dict(opening)}")
    return once


def _print_steps(parts: dict[str, float], ping: float) -> None:
    print("step by step, alone in one thread (in PINGs, and microseconds of this machine):")
    for name, seconds in parts.items():
        print(f"  {name:<24} {seconds / ping:5.2f}  {seconds * 1e6:7.1f}")
    print(f"  {'one async PING':<24} {1:5.2f}  {ping * 1e6:7.1f}")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--rounds", type=int, default=40)
    options.add_argument("--times", type=int, default=100, help="operations a round")
    options.add_argument("--profile", action="store_true", help="print where the time goes")
    wanted = options.parse_args()
    sys.exit(asyncio.run(main(rounds=wanted.rounds, times=wanted.times, profile=wanted.profile)))
