"""The proxy over streamable HTTP on both sides, and in front of a reference server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
import uvicorn
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp_types import ElicitResult

from agentguard.guard.pipeline import Guard
from agentguard.integrations.mcp.listing import listed_at
from agentguard.integrations.mcp.serving import Terms, proxied, serve_http
from agentguard.integrations.mcp.target import Target, remote
from tests.guard.world import World
from tests.integrations.mcp_connecting import Asked, text
from tests.integrations.mcp_shop import EMAIL, shop

pytestmark = pytest.mark.anyio

POLICY = """\
version: 1
risk: {low: allow, medium: allow, high: deny, critical: deny}
tools:
  "*": {risk: low, labels: []}
  refund: {risk: medium, ask: confirm, labels: []}
  send_email: {risk: low, params: {recipient: [to]}, reveal: {to: [EMAIL_ADDRESS]}, labels: []}
"""
SECRET = "Bearer 8d1f-planted"


@pytest.fixture
def world(world: World) -> World:
    """A policy that lets everything run."""
    (world.policies / "policy.yaml").write_text(POLICY)
    return world


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def until_it_listens(port: int) -> None:
    with anyio.fail_after(20):
        while True:
            with contextlib.suppress(OSError):
                await (await anyio.connect_tcp("127.0.0.1", port)).aclose()
                return
            await anyio.sleep(0.02)


@asynccontextmanager
async def over_http(guard: Guard, folder: Path, target: Target) -> AsyncIterator[str]:
    """The URL of a proxy of a server."""
    port = free_port()
    terms = Terms(user="zoe@acme.example", first_sight=folder / "seen.json")
    async with proxied(guard, target, terms) as server, anyio.create_task_group() as tasks:
        tasks.start_soon(partial(serve_http, server, host="127.0.0.1", port=port))
        await until_it_listens(port)
        yield f"http://127.0.0.1:{port}/mcp"
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def shop_over_http() -> AsyncIterator[tuple[str, list[tuple[str, Any]], list[str]]]:
    """A shop that wants a header: its URL, its note of what ran, and the headers that came."""
    server, ran = shop()
    app, came = server.streamable_http_app(), list[str]()
    port = free_port()

    async def with_header(scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode() for name, value in scope.get("headers", [])}
        if scope["type"] == "http":
            came.append(headers.get("authorization", ""))
        if scope["type"] == "http" and headers.get("authorization") != SECRET:
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await app(scope, receive, send)

    running = uvicorn.Server(uvicorn.Config(with_header, host="127.0.0.1", port=port, log_level="error", lifespan="on"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(running.serve)
        await until_it_listens(port)
        yield f"http://127.0.0.1:{port}/mcp", ran, came
        running.should_exit = True


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_remote_server_is_guarded_over_http_on_both_sides(guard: Guard, state_dir: Path, mode: str) -> None:
    """The server gets its header with each request; the client gets tokens, and the permitted parameter the value."""
    async with (
        shop_over_http() as (url, ran, came),
        over_http(guard, state_dir, remote(url, {"Authorization": SECRET})) as proxy,
        Client(proxy, mode=mode) as client,
    ):
        listed = [tool.name for tool in (await client.list_tools()).tools]
        found = await client.call_tool("find_customer", {"order_id": 1})
        sent = await client.call_tool("send_email", {"to": found.structured_content["email"], "body": "hi"})

    assert listed[-1] == "await_approval"
    assert EMAIL not in found.model_dump_json() + sent.model_dump_json()
    assert ran[1:] == [("send_email", (EMAIL, "hi"))]
    assert set(came) == {SECRET}


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_two_users_at_once_are_asked_each_what_their_own_call_asks(
    guard: Guard, state_dir: Path, mode: str
) -> None:
    """The server's question reaches whose call it is about, over the network on both sides."""

    def choosing(size: str) -> Callable[..., Any]:
        async def choose(_: Any, __: Any) -> ElicitResult:
            await anyio.sleep(0.1)  # both calls are in the middle of it
            return ElicitResult(action="accept", content={"size": size})

        return choose

    async with (
        shop_over_http() as (url, ran, _),
        over_http(guard, state_dir, remote(url, {"Authorization": SECRET})) as proxy,
        Client(proxy, mode=mode, elicitation_callback=choosing("S")) as one,
        Client(proxy, mode=mode, elicitation_callback=choosing("L")) as other,
    ):
        small, large = await asyncio.gather(one.call_tool("echo_ask"), other.call_tool("echo_ask"))

    assert (text(small), text(large)) == ("S", "L")
    assert ran == [("echo_ask", "accept")] * 2


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_user_confirms_over_http(guard: Guard, state_dir: Path, mode: str) -> None:
    """The question travels on the call's own stream, or with its answer and the next request."""
    user = Asked()
    async with (
        shop_over_http() as (url, ran, _),
        over_http(guard, state_dir, remote(url, {"Authorization": SECRET})) as proxy,
        Client(proxy, mode=mode, elicitation_callback=user) as client,
    ):
        confirmed = await client.call_tool("refund", {"order_id": 7})
        user.action = "decline"
        refused = await client.call_tool("refund", {"order_id": 8})

    assert text(confirmed) == "refunded"
    assert text(refused).startswith("not confirmed")
    assert ran == [("refund", 7)]
    assert len(user.shown) == 2


async def test_a_remote_server_is_asked_for_its_tools_with_its_header() -> None:
    """What `install` does; without the header the server says no."""
    async with shop_over_http() as (url, _, came):
        listed = await listed_at(remote(url, {"Authorization": SECRET}))

    assert {"find_customer", "mcp_read_resource", "mcp_get_prompt"} <= {each.name for each in listed}
    assert set(came) == {SECRET}


@pytest.mark.slow
async def test_a_reference_server_says_the_same_behind_the_guard(guard: Guard, state_dir: Path) -> None:
    """mcp-server-time over stdio, the guard over HTTP: listing, result and error are the server's own."""
    command = StdioServerParameters(command=sys.executable, args=["-m", "mcp_server_time"])
    tokyo = {"source_timezone": "Europe/Warsaw", "time": "12:30", "target_timezone": "Asia/Tokyo"}

    async def said(server: Any) -> list[Any]:
        async with Client(server) as client:
            tools = [tool for tool in (await client.list_tools()).tools if tool.name != "await_approval"]
            calls = [tokyo, {**tokyo, "time": "25:00"}]
            results = [await client.call_tool("convert_time", arguments) for arguments in calls]
        return [(tool.name, tool.description, tool.input_schema) for tool in tools] + [
            (result.is_error, text(result), result.structured_content) for result in results
        ]

    bare = await said(command)
    async with over_http(guard, state_dir, command) as proxy:
        guarded = await said(proxy)

    assert len(bare) == 4
    assert guarded == bare
