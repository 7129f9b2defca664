"""Planted values over MCP: searched in all that a client gets, in what the proxy prints and logs, in traces and in the journal."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp.shared.exceptions import MCPDeprecationWarning
from mcp_types import PromptReference

from agentguard.guard.pipeline import Guard
from tests.guard.world import POLICY, World
from tests.integrations.mcp_connecting import Asked, proxied_shop
from tests.integrations.mcp_planted import PLANTED, planted

pytestmark = pytest.mark.anyio

SHOP = '  "echo_*": {risk: low, labels: []}\n  mcp_read_resource: low\n  mcp_get_prompt: low\nrules:\n'


@pytest.fixture
def world(world: World) -> World:
    """A policy that lets everything run."""
    (world.policies / "policy.yaml").write_text(POLICY.replace("DEADLINE", "20s").replace("rules:\n", SHOP))
    return world


async def everything(client: Client, heard: Callable[..., Any]) -> list[Any]:
    """What a client gets of all that it can ask for."""
    got: list[Any] = [client.instructions, client.server_info]
    asked: list[Callable[[], Any]] = [
        client.list_tools,
        client.list_resources,
        client.list_resource_templates,
        client.list_prompts,
        lambda: client.read_resource("mail://x"),
        lambda: client.read_resource("mail://none"),
        lambda: client.get_prompt("greet", {"who": "x"}),
        lambda: client.complete(PromptReference(name="greet"), {"name": "who", "value": "m"}),
        lambda: client.call_tool("echo", progress_callback=heard),
        *(
            lambda name=name: client.call_tool(name)
            for name in ("echo_error", "echo_raise", "echo_structured", "echo_log", "echo_ask", "no_such_tool")
        ),
    ]
    for ask in asked:
        try:
            got.append(await ask())
        except MCPError as error:
            got += [error, error.error]
    return got


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_t26_a_planted_value_is_in_nothing_that_leaves_the_proxy(
    guard: Guard, world: World, mode: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Listings, results, errors, links, metadata, progress, prompts, completions, instructions, questions; logs, output, journal."""
    told: list[Any] = []
    user = Asked("accept")

    async def heard(*said: Any) -> None:
        told.append(said)

    with caplog.at_level(logging.DEBUG), warnings.catch_warnings():
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        terms: dict[str, Any] = {"mode": mode, "elicitation_callback": user, "message_handler": heard}
        async with proxied_shop(guard, world.folder, server=planted(), logging_callback=heard, **terms) as (client, _):
            got = await everything(client, heard)

    left = "".join(str(each.model_dump_json() if hasattr(each, "model_dump_json") else each) for each in got)
    journal = "".join(file.read_text() for file in (world.settings.state_dir / "journal").iterdir())
    printed = capfd.readouterr()
    everywhere = {
        "client": left + str(told) + str(user.shown),
        "log": "".join(record.getMessage() for record in caplog.records if record.name.startswith("agentguard")),
        "journal": journal,
        "stdout": printed.out,
        "stderr": printed.err,
    }
    assert left.count("[EMAIL_") > 20
    assert len(user.shown) == 1
    assert {(place, value) for place, text in everywhere.items() for value in PLANTED if value in text} == set()
