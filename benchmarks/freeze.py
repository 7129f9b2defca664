"""How soon a freeze stops every process: the last permit that any of fifty gave after people froze.

Each process is a guard of its own that makes plain allowed calls all the time, every third of them of what may happen once. The figure
is the time from the reply to the freeze until the latest permit. Exit code 1 where that is over a second.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import time
from multiprocessing import get_context
from multiprocessing.sharedctypes import Synchronized
from typing import Any

from stage import Stage, stage

from agentguard.config import Settings, open_brake, open_guard
from agentguard.errors import CallRefused
from agentguard.integrations.functions import FunctionTool
from agentguard.model.approvals import Scope
from agentguard.model.calls import ToolCall
from agentguard.store.embedded import Embedded

GOAL_SECONDS = 1.0
POLICY = """\
version: 1
risk: {low: allow, medium: allow, high: {ask: on-call}, critical: deny}
tools:
  look: {risk: low, labels: []}
  order: {risk: low, labels: [], once: args.number}
asking: {pending: 100000, per_minute: 100000}
approvals:
  on-call: {approvers: [group:on-call], deadline: 10m}
"""


def look(number: int) -> int:
    """Look something up."""
    return number


def order(number: int) -> int:
    """Order something."""
    return number


TOOLS = {tool.name: tool for tool in (FunctionTool.of(look), FunctionTool.of(order))}


def agent(
    place: Stage, url: str, index: int, begun: Any, last: Synchronized[float], until: Synchronized[float]
) -> None:
    """One process: call until told to stop; note when the last permit was given, and that calls were refused after it."""
    settings = Settings(redis_url=url, state_dir=place.folder / f"state-{index}", config_dir=place.folder, keys=None)
    with (
        open_guard(place.policies, agent="benchmark", settings=settings) as guard,
        guard.session(user="dan@acme.example"),
    ):
        number = 0
        while time.time() < (until.value or float("inf")):
            number += 1
            name = "order" if number % 3 == 0 else "look"
            call = ToolCall(tool=name, arguments={"number": index * 1_000_000 + number})
            with contextlib.suppress(CallRefused):
                guard.blocking.admit(call, TOOLS[name])
                last.value = time.time()
            if number == 3:
                begun.release()
            time.sleep(0.02)


async def frozen(place: Stage, url: str) -> float:
    """Freeze the tenant; the time at which people were told that it is."""
    settings = Settings(redis_url=url, state_dir=place.folder / "people", config_dir=place.folder, keys=None)
    async with open_brake(place.policies, settings) as brake:
        await brake.freeze(Scope.TENANT, "", reason="a benchmark", person="ann", key=place.keys["ann"])
    return time.time()


def main(*, processes: int, seconds: float) -> int:
    """Measure and print."""
    fork = get_context("fork")
    with stage(POLICY, {"ann": ("on-call",)}) as place:
        lease = Embedded.acquire(place.folder / "server")
        begun, until = fork.Semaphore(0), fork.Value("d", 0.0)
        lasts = [fork.Value("d", 0.0) for _ in range(processes)]
        agents = [
            fork.Process(target=agent, args=(place, lease.url, index, begun, last, until))
            for index, last in enumerate(lasts)
        ]
        for each in agents:
            each.start()
        for _ in agents:
            begun.acquire(timeout=60)
        time.sleep(0.5)
        at = asyncio.run(frozen(place, lease.url))
        until.value = at + seconds
        for each in agents:
            each.join(timeout=60)
        lease.release()
    late = sorted(last.value - at for last in lasts)
    failed = [each.exitcode for each in agents if each.exitcode]
    print(
        f"{processes} processes; last permit after the freeze: median {late[processes // 2]:.3f} s, latest {late[-1]:.3f} s"
    )
    print(f"watched for {seconds:.1f} s; processes that failed: {len(failed)}; goal: none later than {GOAL_SECONDS} s")
    return 0 if late[-1] <= GOAL_SECONDS and not failed and late[0] > -GOAL_SECONDS - 1 else 1


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--processes", type=int, default=50)
    options.add_argument("--seconds", type=float, default=3.0, help="how long the processes go on trying")
    wanted = options.parse_args()
    code = main(processes=wanted.processes, seconds=wanted.seconds)
    sys.stdout.flush()
    os._exit(code)
