"""Schedules under faults, each checked for broken promises: run with `python -m benchmarks.faults`.

`--schedules` are random and played in this process, many at a time on one server: lines that break, lose or swallow replies, agents and
people's clients that die at a message, freezes, calls that are cancelled, clocks that are off. `--jumping`: the same, and Redis's own clock
jumps. `--once`: a tool's reply is lost, or one of Redis, and the model calls again under new ids. `--everywhere`: an agent, or a person's
client, dies at each message, a reply is lost at each, a call is cancelled at each of its awaits. `--kills` are played by processes of their
own on a server of their own, and processes or server are killed.

What happens in a schedule follows from its seed, and when exactly is up to the machine: what is printed of a broken one plays it again.
Exit code 1 where a promise was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.approval.server import Server
from tests.faults.jumping import jumping_moves
from tests.faults.plan import EVERYWHERE, Plan, everywhere
from tests.faults.processes import Ordeal, Trouble
from tests.faults.schedule import Play, Played
from tests.faults.stage import Stage

AT_ONCE = 16
PROCESSES_AT_ONCE = 4


@dataclass
class Figures:
    """What was seen in a run."""

    schedules: int = 0
    kills: int = 0
    broken: int = 0
    events: Counter[str] = field(default_factory=Counter)
    effects: Counter[int] = field(default_factory=Counter)

    def add(self, played: Played, again: str) -> None:
        """Count a schedule, and tell what it broke, with everything that happened in it."""
        self.schedules += 1
        self.events.update(f"{event.kind} {event.result.partition(':')[0]}".strip() for event in played.history)
        self.effects[sum(event.kind == "run" for event in played.history)] += 1
        if played.broken:
            self.broken += 1
            print(
                f"BROKEN, seed {played.seed}; again: {again}", *played.broken, *played.history, sep="\n  ", flush=True
            )


async def in_this_process(seeds: Iterable[int], plan: Callable[[int], Plan], again: str) -> Figures:
    """Play the schedules of these seeds on one server."""
    figures, server = Figures(), Server()
    server.start()
    try:
        with tempfile.TemporaryDirectory(prefix="agf-") as made:
            folder = Path(made)
            stage = Stage.set(folder)

            async def play(seed: int) -> None:
                play = Play(plan=plan(seed), stage=stage, server=server.folder / "s", folder=folder / f"{seed}")
                figures.add(await play.played(), again.format(seed=seed))

            await _many(play, seeds, AT_ONCE)
    finally:
        server.remove()
    return figures


async def by_processes(seeds: Iterable[int], again: str) -> Figures:
    """Play the schedules of these seeds by processes that are killed."""
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="agf-") as made:
        folder = Path(made)
        stage = Stage.set(folder)

        async def play(seed: int) -> None:
            plan = Plan.of(seed)
            ordeal = Ordeal(plan=plan, trouble=Trouble.of(seed, plan), stage=stage, folder=folder / f"{seed}")
            figures.add(await ordeal.played(), again.format(seed=seed))
            figures.kills += ordeal.kills

        await _many(play, seeds, PROCESSES_AT_ONCE)
    return figures


async def _many(play: Callable[[int], Awaitable[None]], seeds: Iterable[int], at_once: int) -> None:
    """Play them, so many at once."""
    left = iter(seeds)

    async def worker() -> None:
        for seed in left:
            await play(seed)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())


@dataclass(frozen=True)
class Kind:
    """One kind of schedules that is asked for: its seeds, the plan of each (None: by processes), and how to play one of them again."""

    name: str
    seeds: Sequence[int]
    plan: Callable[[int], Plan] | None
    again: str


def _asked(given: argparse.Namespace) -> Iterator[Kind]:
    """What to play."""
    plans: dict[str, Callable[[int], Plan] | None] = {
        "schedules": Plan.of,
        "jumping": partial(Plan.of, jumps=True),
        "once": Plan.once,
        "kills": None,
    }
    for name, plan in plans.items():
        yield Kind(name, range(given.seed, given.seed + getattr(given, name)), plan, f"--{name} 1 --seed {{seed}}")
    for name, last in EVERYWHERE.items():
        again = f"--everywhere '{name}' --seed {{seed}}"
        if given.everywhere == "all":
            yield Kind(name, range(1, last + 1), partial(everywhere, name), again)
        elif given.everywhere == name:
            yield Kind(name, [given.seed], partial(everywhere, name), again)


def told(what: str, figures: Figures, seconds: float) -> None:
    """Print what was seen."""
    kills = f", {figures.kills} kills" if figures.kills else ""
    print(
        f"{what}: {figures.schedules} schedules{kills}, {figures.broken} with a broken promise, {seconds:.0f} s",
        flush=True,
    )
    print("  " + ", ".join(f"{name} {count}" for name, count in sorted(figures.events.items())))
    print("  runs a schedule: " + ", ".join(f"{runs} in {count}" for runs, count in sorted(figures.effects.items())))


def main(words: Sequence[str]) -> int:
    """Play what is asked for."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--schedules", type=int, default=0)
    asked.add_argument("--jumping", type=int, default=0, help="the same with a Redis clock that jumps")
    asked.add_argument("--kills", type=int, default=0)
    asked.add_argument("--once", type=int, default=0)
    asked.add_argument(
        "--everywhere", nargs="?", const="all", choices=["all", *EVERYWHERE], help="a kind: only where --seed says"
    )
    asked.add_argument("--seed", type=int, default=1)
    given = asked.parse_args(words)
    logging.disable(logging.CRITICAL)
    broken = 0
    for kind in _asked(given):
        if not kind.seeds:
            continue
        again, began = f"python -m benchmarks.faults {kind.again}", time.monotonic()
        with jumping_moves() if kind.name == "jumping" else nullcontext():
            playing = (
                by_processes(kind.seeds, again) if kind.plan is None else in_this_process(kind.seeds, kind.plan, again)
            )
            figures = asyncio.run(playing)
        told(kind.name, figures, time.monotonic() - began)
        broken += figures.broken
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
