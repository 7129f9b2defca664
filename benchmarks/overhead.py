"""What a gate adds to an allowed call in each integration, over the bare tool of the same run, in round trips to Redis of that run.

The call touches no session state; the tool does nothing. PINGs, bare and guarded calls take turns on one event loop, in an order that
changes from round to round: whoever comes after a thread or another process finds the processor's caches and clock as they left them. Each
figure is the difference of the medians over rounds, and only ratios are printed. A thousand calls at once are compared with a thousand one
after the other, and a first call after idleness with a first PING after it.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from statistics import median
from typing import Any

import redis.asyncio
from agents import FunctionTool, function_tool
from agents.tool_context import ToolContext
from langchain_core.tools import StructuredTool
from stage import MASKING, stage

from agentguard.guard.pipeline import Guard
from agentguard.integrations.functions import FunctionTool as PlainTool
from agentguard.integrations.langchain import guard_tools
from agentguard.integrations.openai import dispatch
from agentguard.integrations.openai_agents import guard_tools as guard_agents_tools
from agentguard.model.calls import ToolCall

MANY = 1_000
MANY_ROUNDS = 9
GOAL_MANY = 1.5
USER = "dan@acme.example"
POLICY = """\
version: 1
risk: {low: allow, medium: allow, high: deny, critical: deny}
tools:
  find_order: {risk: low, labels: []}
"""


async def find_order(order_id: int) -> str:
    """Look up an order."""
    return "shipped"


def find_order_now(order_id: int) -> str:
    """Look up an order."""
    return "shipped"


Operation = Callable[[], Awaitable[Any]]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A bare and a guarded call of one integration; `goal` in PINGs, `hops`: the thread hops that come on top of it."""

    bare: Operation
    guarded: Operation
    goal: float | None
    hops: int = 0
    bare_seconds: list[float] = field(default_factory=list)
    guarded_seconds: list[float] = field(default_factory=list)

    def turns(self) -> list[tuple[Operation, list[float]]]:
        """What is measured of it, and where the seconds go."""
        return [(self.bare, self.bare_seconds), (self.guarded, self.guarded_seconds)]

    @property
    def overhead(self) -> float:
        """Seconds that the gate adds, by the medians over rounds."""
        return median(self.guarded_seconds) - median(self.bare_seconds)


def compared(guard: Guard) -> dict[str, Compared]:
    """Every integration, each by a tool of its own kind."""
    plain, plain_now = guard.tool(name="find_order")(find_order), guard.tool(name="find_order")(find_order_now)
    tool, call = PlainTool.of(find_order), ToolCall(tool="find_order", arguments={"order_id": 1042}, id="call-1")
    bare_tool = StructuredTool.from_function(coroutine=find_order, name="find_order", description="Look up.")
    bare_now = StructuredTool.from_function(find_order_now, name="find_order", description="Look up.")
    [langchain_tool], [langchain_now] = guard_tools(guard, [bare_tool]), guard_tools(guard, [bare_now])
    tools = dispatch(guard, {"find_order": find_order})
    function = {"name": "find_order", "arguments": '{"order_id": 1042}'}
    message = {"role": "assistant", "tool_calls": [{"id": "call-1", "type": "function", "function": function}]}
    agents_tool = function_tool(find_order)
    [agents_guarded] = guard_agents_tools(guard, [agents_tool])
    assert isinstance(agents_guarded, FunctionTool)
    context = ToolContext(None, tool_name="find_order", tool_call_id="call-1", tool_arguments="{}")

    async def now(function: Callable[[], Any]) -> Any:
        return function()

    given = {"order_id": 1042}
    return {
        "functions, async": Compared(bare=lambda: find_order(1042), guarded=lambda: guard.run(call, tool), goal=0.75),
        "@guard.tool, async": Compared(bare=lambda: find_order(1042), guarded=lambda: plain(1042), goal=0.75),
        "@guard.tool, sync": Compared(
            bare=lambda: now(lambda: find_order_now(1042)),
            guarded=lambda: now(lambda: plain_now(1042)),
            goal=0.75,
            hops=1,
        ),
        "LangChain, ainvoke": Compared(
            bare=lambda: bare_tool.ainvoke(given), guarded=lambda: langchain_tool.ainvoke(given), goal=1.5
        ),
        "LangChain, invoke": Compared(
            bare=lambda: now(lambda: bare_now.invoke(given)),
            guarded=lambda: now(lambda: langchain_now.invoke(given)),
            goal=1.5,
            hops=1,
        ),
        "OpenAI, dispatch": Compared(bare=lambda: find_order(1042), guarded=lambda: tools.chat(message), goal=None),
        "Agents SDK": Compared(
            bare=lambda: agents_tool.on_invoke_tool(context, function["arguments"]),
            guarded=lambda: agents_guarded.on_invoke_tool(context, function["arguments"]),
            goal=None,
        ),
    }


async def per_operation(operation: Operation, times: int) -> float:
    """Seconds that one of so many awaited operations took."""
    started = time.perf_counter()
    for _ in range(times):
        await operation()
    return (time.perf_counter() - started) / times


async def after_idleness(operation: Operation) -> float:
    """Seconds of an operation when nothing ran just before."""
    firsts = list[float]()
    for _ in range(50):
        await asyncio.sleep(0.02)
        firsts.append(await per_operation(operation, 1))
    return median(firsts)


async def at_once(operation: Operation) -> float:
    """Seconds until a thousand operations that begin together have all ended."""
    started = time.perf_counter()
    await asyncio.gather(*(operation() for _ in range(MANY)))
    return time.perf_counter() - started


async def main(*, rounds: int, times: int, profile: str) -> None:
    """Measure and print."""
    with stage(POLICY, {"ann": ("on-call",)}) as place, place.open() as guard, guard.session(user=USER):
        ways = compared(guard)
        for way in ways.values():
            await per_operation(way.guarded, 50)
        if profile:
            await profiled(ways[profile].guarded, times=2_000)
            return
        url = await asyncio.to_thread(guard.tokens.link.url)
        client = redis.asyncio.Redis(unix_socket_path=url.removeprefix("unix://"))
        pings, hops, many, in_turn = list[float](), list[float](), list[float](), list[float]()
        null = ways["functions, async"]
        turns: list[tuple[Operation, list[float]]] = [(client.ping, pings), (lambda: asyncio.to_thread(int), hops)]
        turns += [turn for way in ways.values() for turn in way.turns()]
        order = Random(7)
        for _ in range(rounds):
            order.shuffle(turns)
            for operation, seconds in turns:
                seconds.append(await per_operation(operation, times))
        first_call = await after_idleness(null.guarded) / await after_idleness(client.ping)
        for _ in range(MANY_ROUNDS):
            many.append(await at_once(null.guarded) - await at_once(null.bare))
            in_turn.append(MANY * (await per_operation(null.guarded, MANY) - await per_operation(null.bare, MANY)))
        await client.aclose()
    ping, hop = median(pings), median(hops)
    for name, way in ways.items():
        _tell(name, way, ping, hop)
    ratio = median(many) / median(in_turn)
    print(f"{MANY:,} at once: {ratio:.2f} of the sum of their single overheads; goal {GOAL_MANY}")
    print(f"the first after 20 ms of nothing: {first_call:.2f} first PINGs, bare tool and all")
    print(f"a thread hop: {hop / ping:.2f} PINGs; masking: {MASKING}")


def _tell(name: str, way: Compared, ping: float, hop: float) -> None:
    goal = None if way.goal is None else way.goal + way.hops * hop / ping
    told = "no goal of its own" if goal is None else f"goal {goal:.2f}"
    print(f"{name:<20} {way.overhead / ping:5.2f} PINGs over the bare tool; {told}")


async def profiled(operation: Operation, *, times: int) -> None:
    """Print where the time of one way goes, by function."""
    profile = cProfile.Profile()
    profile.enable()
    await per_operation(operation, times)
    profile.disable()
    pstats.Stats(profile, stream=sys.stdout).sort_stats("tottime").print_stats(40)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--rounds", type=int, default=150)
    options.add_argument(
        "--times", type=int, default=5, help="operations a round; few, so that most rounds are not cut short by others"
    )
    options.add_argument("--profile", default="", help="print where the time of this way goes, by its name")
    wanted = options.parse_args()
    asyncio.run(main(rounds=wanted.rounds, times=wanted.times, profile=wanted.profile))
