"""What `agentguard mcp` costs a call: beside a proxy of the same SDK that only passes requests on, and beside the bare server.

Each stands in a process of its own, over stdio as clients start them; rounds are interleaved, and ratios are of medians of one run.

    python benchmarks/mcp_proxy.py              # all three, a table
    python benchmarks/mcp_proxy.py pass -- COMMAND ...     # the proxy that only passes on
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.server.lowlevel import Server
from mcp.server.mcpserver import MCPServer
from mcp.server.stdio import stdio_server

from agentguard.store.embedded import stop_left_over

POLICY = """\
version: 1
risk: {low: allow, medium: allow, high: deny, critical: deny}
tools: {add: {risk: low, labels: []}}
"""
ROUND = 20
ME = Path(__file__).resolve()


def serve() -> None:
    """The bare server: one tool that does nothing to speak of."""
    server: MCPServer[Any] = MCPServer("adder")

    @server.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    server.run()


async def pass_on(command: list[str]) -> None:
    """A proxy that knows tools and passes calls on."""
    async with Client(StdioServerParameters(command=command[0], args=command[1:]), cache=None) as upstream:

        async def list_tools(_: Any, params: Any) -> Any:
            return await upstream.session.list_tools(params=params)

        async def call_tool(_: Any, params: Any) -> Any:
            return await upstream.call_tool(params.name, params.arguments)

        server: Server[Any] = Server("pass", on_list_tools=list_tools, on_call_tool=call_tool)
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())


async def measure(rounds: int, mode: str) -> dict[str, list[float]]:
    """Milliseconds of calls through each, in turns."""
    me = [sys.executable, str(ME)]
    bare = [*me, "serve"]
    with tempfile.TemporaryDirectory(prefix="ag-") as folder:
        policies = Path(folder) / "policies"
        policies.mkdir()
        (policies / "policy.yaml").write_text(POLICY)
        env = {**os.environ, "AGENTGUARD_STATE_DIR": f"{folder}/state", "AGENTGUARD_CONFIG_DIR": f"{folder}/config"}
        guard = [sys.executable, "-m", "agentguard", "mcp", "--policies", str(policies), "--user", "ann", "--", *bare]
        commands = {"bare server": bare, "pass-through": [*me, "pass", "--", *bare], "agentguard": guard}
        try:
            async with AsyncExitStack() as stack:
                clients = {
                    name: await stack.enter_async_context(
                        Client(StdioServerParameters(command=words[0], args=words[1:], env=env), mode=mode)
                    )
                    for name, words in commands.items()
                }
                taken: dict[str, list[float]] = {name: [] for name in clients}
                for client in clients.values():
                    await client.list_tools()
                for number in range(rounds + 3):
                    for name, client in clients.items():
                        times = [await _timed(client, each) for each in range(ROUND)]
                        taken[name] += times if number >= 3 else []
                return taken
        finally:
            stop_left_over(Path(folder) / "state")


async def _timed(client: Client, number: int) -> float:
    began = time.perf_counter_ns()
    result = await client.call_tool("add", {"a": number, "b": 1})
    took = (time.perf_counter_ns() - began) / 1e6
    assert not result.is_error, result
    return took


def main() -> None:
    """Print medians and ratios."""
    parsed = argparse.ArgumentParser()
    parsed.add_argument("what", nargs="?", default="measure", choices=("measure", "serve", "pass"))
    parsed.add_argument("--rounds", type=int, default=30)
    parsed.add_argument("command", nargs="*")
    given = parsed.parse_args()
    if given.what == "serve":
        return serve()
    if given.what == "pass":
        return anyio.run(pass_on, given.command)
    for mode in ("legacy", "auto"):
        taken = anyio.run(measure, given.rounds, mode)
        medians = {name: statistics.median(times) for name, times in taken.items()}
        print(f"{mode}: {given.rounds * ROUND} calls each, medians in ms")
        for name, median in medians.items():
            print(f"  {name:<14}{median:7.3f}   {median / medians['pass-through']:5.2f} of pass-through")
    return None


if __name__ == "__main__":
    main()
