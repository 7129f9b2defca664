"""The web inbox under load: pages at many pending requests beside an empty page, and how soon open screens show a decision.

    python benchmarks/inbox.py [--pending 10000] [--screens 100] [--rounds 40] [--turn 1]

One real server on a real Valkey. An empty page is the inbox while nothing waits, measured before the requests are opened and after
they are gone; each figure is a median over the rounds, and each ratio is of medians of this run. A decision's time runs from before its
page is opened and its form sent to when each other screen has the new state in hand, over server-sent events.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median, quantiles

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from agentguard.model.approvals import State
from agentguard.store.embedded import Embedded
from agentguard.store.redis import Connection
from tests.approval.people import ONE
from tests.cards.faces import a_card
from tests.server.serving import agents_side, opened, parts, serving
from tests.server.test_live import screen, until
from tests.server.visiting import decide, visitor

AT_ONCE = 50


async def timed(client: httpx.AsyncClient, path: str, rounds: int) -> list[float]:
    """How long each GET of a page takes, in milliseconds."""
    for _ in range(3):
        (await client.get(path)).raise_for_status()
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        (await client.get(path)).raise_for_status()
        times.append((time.perf_counter() - started) * 1000)
    return times


async def pages(base: str, url: str, pending: int, rounds: int, turn: int) -> None:
    """The inbox and the page of one request at many pending ones, `turn` of them in each turn, beside an empty page."""
    connection = await Connection.open(url)
    agent = agents_side(connection, "bench")
    async with visitor(base, "ann") as ann:
        empty = await timed(ann, "/", rounds)
        ids: list[str] = []
        for first in range(0, pending, AT_ONCE):
            turns = [f"{(first + n) // turn:032x}" if turn > 1 else "" for n in range(AT_ONCE)]
            made = await asyncio.gather(*(opened(agent, ONE, card=a_card(), turn=each) for each in turns))
            ids += [request.id for request in made]
        request, inbox = f"/requests/{ids[pending // 2]}", "/"
        shown: dict[str, list[float]] = {"request": [], "inbox": []}
        for _ in range(4):
            shown["request"] += await timed(ann, request, rounds // 4)
            shown["inbox"] += await timed(ann, inbox, rounds // 4)
        for first in range(0, len(ids), AT_ONCE):
            await asyncio.gather(*(agent.withdraw(id_, "x") for id_ in ids[first : first + AT_ONCE]))
        empty += await timed(ann, "/", rounds)
    await connection.close()
    base_ms = median(empty)
    print(f"{pending:,} pending; medians of {rounds} rounds; an empty page takes {base_ms:.1f} ms")
    for name, most in (("request", 5), ("inbox", 10)):
        ratio = median(shown[name]) / base_ms
        print(
            f"  {name:8} {median(shown[name]):6.1f} ms   {ratio:4.1f}x (at most {most}x: {'yes' if ratio <= most else 'NO'})"
        )


async def screens(base: str, url: str, number: int, rounds: int) -> None:
    """How soon a decision stands on all other screens."""
    connection = await Connection.open(url)
    agent = agents_side(connection, "bench")
    took: list[float] = []
    async with AsyncExitStack() as stack:
        ann = await stack.enter_async_context(visitor(base, "ann"))
        bob = await stack.enter_async_context(visitor(base, "bob"))
        heard = [await stack.enter_async_context(screen(ann)) for _ in range(number)]
        for _ in range(rounds):
            request = await opened(agent, ONE, card=a_card())
            await asyncio.gather(*(until(each, request.id, State.PENDING) for each in heard))
            waiting = [asyncio.create_task(until(each, request.id, State.REJECTED)) for each in heard]
            started = time.monotonic()
            await decide(bob, request.id, "reject", comment="no")
            took += [(at - started) * 1000 for at in await asyncio.gather(*waiting)]
    await connection.close()
    tail = quantiles(took, n=100)[98]
    good = "yes" if max(took) <= 300 else "NO"
    print(f"{number} open screens, {rounds} decisions; on every other screen within 300 ms: {good}")
    print(f"  median {median(took):.0f} ms, p99 {tail:.0f} ms, latest {max(took):.0f} ms")


def main() -> None:
    """Run it."""
    reading = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reading.add_argument("--pending", type=int, default=10_000)
    reading.add_argument("--screens", type=int, default=100)
    reading.add_argument("--rounds", type=int, default=40)
    reading.add_argument("--turn", type=int, default=1, help="calls in each turn")
    given = reading.parse_args()
    with tempfile.TemporaryDirectory(prefix="ag-") as folder:
        lease = Embedded.acquire(Path(folder))
        with serving(parts(lease.url, "bench")) as base:
            asyncio.run(pages(base, lease.url, given.pending, given.rounds, given.turn))
            asyncio.run(screens(base, lease.url, given.screens, max(5, given.rounds // 4)))
        lease.release()


if __name__ == "__main__":
    main()
