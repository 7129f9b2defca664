"""Twelve kinds of parameter over MCP: with a placeholder in it the permitted tool gets the true value, another one a clear refusal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from mcp.server import MCPServer

from agentguard.guard.pipeline import Guard
from tests.guard.world import World
from tests.integrations.kinds import KINDS, Kind, Taken, policy
from tests.integrations.mcp_connecting import proxied_shop, text

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys()),
]

REFUSED = (
    "not revealed: value{at} holds what stands for a masked value, and policy does not give other the value there."
)


@pytest.fixture
def kind_guard(kind: Kind, world: World) -> Iterator[Guard]:
    """A guard whose policy reveals one type in one parameter of one tool."""
    (world.policies / "policy.yaml").write_text(policy(kind), encoding="utf-8")
    with world.open() as opened:
        yield opened


def _place(kind: Kind) -> str:
    return {"value.email": ".email"}.get(kind.path, ".0" if isinstance(kind.expected, list) else "")


async def test_t27_mcp(kind: Kind, kind_guard: Guard, state_dir: Path) -> None:
    """The schema is the server's own; what the client was given fits it, comes back as the value, and shows in nothing that it gets."""
    taken, server = Taken(kind, []), MCPServer("kinds")
    for name, function in taken.functions().items():
        server.add_tool(function, name=name)

    async with proxied_shop(kind_guard, state_dir, server=server) as (client, _):
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        given = await client.call_tool("give")
        written: dict[str, Any] = {"value": kind.write(json.loads(text(given))[kind.field])}
        done = await client.call_tool("take", written)
        refused = await client.call_tool("other", written)

    jsonschema.Draft202012Validator(
        listed["take"].input_schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    ).validate(written)
    assert listed["other"].input_schema == (await server.list_tools())[2].input_schema
    assert str(kind.value) not in given.model_dump_json() + done.model_dump_json()
    assert json.loads(text(done))["outcome"] == "done"
    assert taken.values == [kind.expected]
    assert refused.is_error
    assert any(REFUSED.format(at=_place(kind)) in str(block) for block in refused.content)
