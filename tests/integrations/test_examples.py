"""The examples of README and docs/integrations.md run as they stand, against a scripted server, and tell the model nothing."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import httpx2
import pytest
import typer
from agents import Agent, Runner, function_tool, set_default_openai_client, set_tracing_disabled
from openai import AsyncOpenAI, OpenAI

from agentguard.cli.app import app
from agentguard.guard.pipeline import Guard
from agentguard.integrations.openai import dispatch
from agentguard.integrations.openai_agents import guarded
from tests.documents import ROOT, Block, blocks
from tests.guard.world import World
from tests.integrations.fake_openai import FakeOpenAI, call, calls, text

README, INTEGRATIONS = ROOT / "README.md", ROOT / "docs/integrations.md"
EMAIL = "anna.kowalska@mail.example"
POLICY = """\
version: 1
risk: {low: allow, medium: allow, high: deny, critical: deny}
tools: {find_order: low}
"""
PAGE = {name: list(each) for name, each in groupby(blocks(INTEGRATIONS, "python"), key=lambda block: block.section)}
EXAMPLES = [[block] for block in blocks(README, "python")[1:]] + list(PAGE.values())
"""Each of the README's but the first, which is run with all that `agentguard init` writes, and the page's by their sections."""


@pytest.fixture
def world(world: World) -> World:
    """A policy with one tool."""
    (world.policies / "policy.yaml").write_text(POLICY)
    return world


@pytest.fixture
def surroundings(guard: Guard, server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the examples find: a guard, a client, a function, and what their comments say where it comes from."""
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    set_tracing_disabled(True)
    # the SDK keeps a client and a loop for good: this client keeps no connection, and the loop is closed below
    http = httpx2.AsyncClient(limits=httpx2.Limits(max_keepalive_connections=0))
    set_default_openai_client(AsyncOpenAI(http_client=http), use_for_tracing=False)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)

    def find_order(order_id: int) -> str:
        """Find an order."""
        return f"order {order_id} of {EMAIL}"

    with OpenAI() as client:
        yield {
            "guard": guard, "client": client, "find_order": find_order, "Agent": Agent, "Runner": Runner,
            "function_tool": function_tool, "dispatch": dispatch, "guarded": guarded, "billing": Agent(name="billing"),
            "messages": [{"role": "user", "content": "Where is order 1042?"}],
        }  # fmt: skip
    set_tracing_disabled(False)
    asyncio.set_event_loop(None)
    loop.close()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example[0].place)
def test_examples_run_and_tell_the_model_no_value(
    example: list[Block], surroundings: dict[str, Any], server: FakeOpenAI, guard: Guard,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Blocks of a section in their order, awaited where they await."""
    server.says(calls(call("call-1", "find_order", {"order_id": 1042})), *[text("It left yesterday.")] * 3)

    with guard.session(user="ann@acme.example", id="thread-1"):
        program = "\n".join(block.text for block in example)
        ran = eval(compile(program, example[0].place, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), surroundings)
        asyncio.run(ran) if inspect.iscoroutine(ran) else None

    assert EMAIL not in "".join(server.sent) + "".join(capsys.readouterr())


def test_what_a_client_of_mcp_starts_is_a_command_of_ours() -> None:
    """The README's configuration, read by the command line itself."""
    [block] = blocks(README, "json")
    server = json.loads(block.text)["mcpServers"]["shop"]
    group: Any = typer.main.get_command(app)

    name, *words = server["args"]
    context = group.commands[name].commands["run"].make_context("run", words)

    assert server["command"] == "agentguard"
    assert (context.params["user"], context.params["command"]) == ("ann@acme.example", ["python", "shop.py"])
