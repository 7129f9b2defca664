"""Servers, models and clients that misbehave, before and behind the proxy: the client gets an answer, masked, and the rest goes on."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification, JSONRPCRequest

from agentguard.audit import read
from agentguard.guard.pipeline import Guard
from agentguard.integrations.mcp.serving import Terms, proxied
from tests.guard.world import World
from tests.integrations.mcp_connecting import proxied_shop, text
from tests.integrations.mcp_shop import shop
from tests.integrations.mcp_wild import EMAIL, TEXT

pytestmark = pytest.mark.anyio

POLICY = """\
version: 1
risk: {low: allow, medium: allow, high: {ask: on-call}, critical: deny}
tools:
  "*": {risk: low, labels: []}
  find_customer: {risk: low, labels: []}
  refund: {risk: high, labels: []}
approvals:
  on-call: {approvers: [group:on-call], deadline: 20s}
"""


@pytest.fixture
def world(world: World) -> World:
    """A policy that lets everything run but refunds."""
    (world.policies / "policy.yaml").write_text(POLICY)
    return world


SERVER = Path(__file__).with_name("mcp_wild.py")


@asynccontextmanager
async def wild(guard: Guard, folder: Path, **client: Any) -> AsyncIterator[Client]:
    """A client of the proxy of the misbehaving server."""
    target = StdioServerParameters(command=sys.executable, args=[str(SERVER), str(folder / "hangs")])
    async with proxied_shop(guard, folder, server=target, **client) as (there, _):
        yield there


def outcomes(world: World, tool: str) -> list[str]:
    """How the journal says that calls of a tool ended."""
    entries = read(world.settings.state_dir / "journal")
    return [str(entry.body["outcome"]) for entry in entries if entry.kind == "settled" and entry.body["tool"] == tool]


async def test_lines_that_are_no_messages_do_no_harm(guard: Guard, world: World) -> None:
    """Broken JSON, answers to nothing, unknown notifications, an answer given twice, and a result of another shape."""
    async with wild(guard, world.folder) as client:
        noisy = await client.call_tool("noise", {"n": 1})
        twice = await client.call_tool("twice")
        odd = await client.call_tool("odd")
        fine = await client.call_tool("fine", {"n": 2})

    assert text(noisy).startswith('noise {"n": 1} [EMAIL_')
    assert text(twice) == "first"
    assert odd.is_error
    assert text(fine).startswith('fine {"n": 2} [EMAIL_')
    assert EMAIL not in noisy.model_dump_json() + odd.model_dump_json()


async def test_a_server_that_dies_in_a_call_leaves_an_answer_that_says_so(guard: Guard, world: World) -> None:
    """It may have run; later calls are answered too, and nothing hangs."""
    async with wild(guard, world.folder) as client:
        with anyio.fail_after(10):
            died = await client.call_tool("die")
            after = await client.call_tool("fine")

    assert died.is_error
    assert "may have run" in text(died)
    assert text(after).startswith("unavailable: the call could not be checked (MCP server), so it did not run")
    assert outcomes(world, "die") == ["unknown"]


async def test_a_tool_that_hangs_is_cancelled_with_its_client(guard: Guard, world: World) -> None:
    """The client goes on, and the outcome is on record as unknown."""
    async with wild(guard, world.folder, mode="legacy") as client:
        hanging = asyncio.create_task(client.call_tool("hang"))
        with anyio.fail_after(30):
            while not (world.folder / "hangs").exists():
                await asyncio.sleep(0.02)
            hanging.cancel()
            while outcomes(world, "hang") != ["unknown"]:
                await asyncio.sleep(0.02)

    assert hanging.cancelled()


async def test_a_huge_result_is_masked_or_kept_back(guard: Guard, world: World) -> None:
    """Three megabytes with three thousand addresses: none gets through."""
    async with wild(guard, world.folder) as client:
        huge = await client.call_tool("huge")

    assert EMAIL not in huge.model_dump_json()
    assert huge.is_error or "[EMAIL_" in text(huge)


async def test_t28_a_pattern_of_the_servers_that_would_hang_the_process_does_not(guard: Guard, world: World) -> None:
    """Neither in what the tool takes nor in what it gives; the client hears that it does not fit, and later calls are answered."""
    async with wild(guard, world.folder) as client:
        started = time.process_time()
        taken = await client.call_tool("slow", {"text": TEXT})
        given = await client.call_tool("slow_result")
        fine = await client.call_tool("slow", {"text": "aaa"})
        spent = time.process_time() - started

    assert text(taken).startswith("invalid arguments: text: does not fit the schema's pattern")
    assert given.is_error
    assert "does not fit the tool's output schema" in text(given)
    assert text(fine).startswith('slow {"text": "aaa"}')
    assert outcomes(world, "slow_result") == ["failed"]
    assert spent < 10


async def test_t23_hidden_text_is_written_out_and_flagged_and_a_bad_name_is_left_out(
    guard: Guard, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """What a person would not see is told on standard error, and shown to the model as escapes."""
    async with wild(guard, world.folder) as client:
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}

    assert listed["hidden"].description == "Reads\\u200b one thing.\\U000e0041"
    assert "hidden has text that nobody sees: U+200B, U+E0041" in caplog.text
    assert "no name of a tool" not in listed
    assert "a tool of the server is left out" in caplog.text


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("delete_everything", {}, "no tool has this name"),
        ("fiпe", {}, "no tool has this name"),
        ("fine ", {}, "no tool has this name"),
        ("fine", {"n": "seven"}, "invalid arguments: n: is no integer"),
        (
            "fine",
            {"m": 1, "mira.jansen@mail.example": 1},
            "invalid arguments: arguments: an argument that the tool doesn't have",
        ),
        ("fine", {"n": {"a": [1]}}, "invalid arguments: n: is no integer"),
        ("x" * 10_000, {}, "no tool has this name"),
    ],
)
async def test_what_a_model_makes_up_is_refused_in_words(
    guard: Guard, world: World, name: str, arguments: dict[str, Any], told: str
) -> None:
    """Names that are none or look alike, wrong types, further arguments: an error result that holds no value."""
    async with wild(guard, world.folder) as client:
        refused = await client.call_tool(name, arguments)

    assert refused.is_error
    assert text(refused).startswith(told)
    assert EMAIL not in text(refused)


async def test_two_requests_of_one_id_are_two_calls(guard: Guard, world: World) -> None:
    """Each is judged and answered by itself: an id of the protocol is no id of the model's call."""
    to_server, from_client = anyio.create_memory_object_stream[SessionMessage | Exception](10)
    to_client, from_server = anyio.create_memory_object_stream[SessionMessage](10)
    start = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
    call = {"name": "refund", "arguments": {"order_id": 1}}
    messages = [
        JSONRPCRequest(jsonrpc="2.0", id=0, method="initialize", params=start),
        JSONRPCNotification(jsonrpc="2.0", method="notifications/initialized"),
        JSONRPCRequest(jsonrpc="2.0", id=7, method="tools/call", params={**call, "name": "find_customer"}),
        JSONRPCRequest(jsonrpc="2.0", id=7, method="tools/call", params=call),
    ]
    terms = Terms(user="eve@acme.example", hold_seconds=0.2, first_sight=world.folder / "seen.json")
    async with (
        to_server,
        to_client,
        from_client,
        from_server,
        proxied(guard, shop()[0], terms) as server,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(server.run, from_client, to_client, server.create_initialization_options())
        for message in messages:
            await to_server.send(SessionMessage(message))
        with anyio.fail_after(10):
            answered = [(await from_server.receive()).message for _ in range(3)]
        tasks.cancel_scope.cancel()

    assert [answer.id for answer in answered] == [0, 7, 7]
    assert "pending: request" in str(answered[1:])
    assert "[EMAIL_" in str(answered[1:])
