"""Every shape of tool on every path of LangChain: gated once, and the same as the bare tool where policy allows."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import ToolMessage
from langchain_core.tools import ToolException
from langchain_core.utils.function_calling import convert_to_openai_tool

from agentguard.guard.pipeline import Guard
from agentguard.integrations.langchain import guard_tools
from agentguard.model.calls import ToolCall
from tests.guard.world import World
from tests.integrations.shapes import PAIRS, PATHS, SHAPES, Ran

pytestmark = pytest.mark.anyio

EVERY_PAIR = pytest.mark.parametrize(("shape", "path"), PAIRS, ids=[f"{shape}-{path}" for shape, path in PAIRS])
ARGUMENTS = {"text": "hello"}


Recorded = Callable[[], list[str]]


@pytest.fixture(scope="module")
def world(valkey_url: str) -> Iterator[World]:
    """Policies and people of all tests here; what a test looks at is its own tool, and what the journal got since it began."""
    with tempfile.TemporaryDirectory(prefix="ag-") as folder:
        yield World(folder=Path(folder), redis_url=valkey_url, tenant="langchain-paths")


@pytest.fixture(scope="module")
def guard(world: World) -> Iterator[Guard]:
    """The guard of all tests here, whose journal has begun."""
    with world.open() as opened:
        with opened.session(user="ann@acme.example"):
            opened.blocking.run(ToolCall(tool="echo", arguments={}), world.tools.tool("echo"))
        yield opened


@pytest.fixture
def recorded(guard: Guard, world: World) -> Recorded:
    """The kinds of the records that came into the journal since."""
    (segment,) = (file for file in world.settings.state_dir.glob("journal/*.jsonl") if "writers" not in file.name)
    before = segment.stat().st_size

    def since() -> list[str]:
        with segment.open("rb") as lines:
            lines.seek(before)
            return [json.loads(line)["kind"] for line in lines]

    return since


def _seen(result: Any) -> Any:
    """What there is to compare of a result."""
    return {**result.model_dump(), "id": None} if isinstance(result, ToolMessage) else repr(result)


@EVERY_PAIR
async def test_t24_a_denied_tool_does_not_run_on_any_path(
    shape: str, path: str, guard: Guard, recorded: Recorded
) -> None:
    """The model reads why; the tool's code never begins; the refusal is on record once."""
    ran: Ran = []
    (tool,) = guard_tools(guard, [SHAPES[shape](ran, "forbidden_echo")])

    with guard.session(user="ann@acme.example"):
        result = await PATHS[path].call(tool, dict(ARGUMENTS))

    assert ran == []
    assert "denied by policy: Nobody may do this" in str(result)
    assert getattr(result, "status", "error") == "error"
    assert recorded() == ["judged", "refused"]


@pytest.mark.slow
@EVERY_PAIR
async def test_t24_an_allowed_tool_runs_once_and_gives_what_the_bare_tool_gives(
    shape: str, path: str, guard: Guard, recorded: Recorded
) -> None:
    """Wrapping loses nothing: result, message, artifact, status; the gate is passed once."""
    bare_ran: Ran = []
    ran: Ran = []
    (tool,) = guard_tools(guard, [SHAPES[shape](ran, "echo")])

    expected = await PATHS[path].call(SHAPES[shape](bare_ran, "echo"), dict(ARGUMENTS))
    with guard.session(user="ann@acme.example"):
        result = await PATHS[path].call(tool, dict(ARGUMENTS))

    assert _seen(result) == _seen(expected)
    assert ran == bare_ran == [{"text": "hello", "times": 2}]
    assert recorded() == ["judged", "settled"]


@pytest.mark.slow
@EVERY_PAIR
async def test_t26_personal_data_in_any_result_is_masked(shape: str, path: str, guard: Guard) -> None:
    """Content, artifact, blocks, messages in commands, and the text of an error."""
    ran: Ran = []
    (tool,) = guard_tools(guard, [SHAPES[shape](ran, "echo")])

    with guard.session(user="ann@acme.example"):
        result = await PATHS[path].call(tool, {"text": "write to dan@acme.example "})

    assert ran == [{"text": "write to dan@acme.example ", "times": 2}]
    assert "dan@acme.example" not in repr(result)
    assert "[EMAIL_" in repr(result)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_guarded_tool_looks_like_the_bare_one(shape: str, guard: Guard) -> None:
    """Same class, name, description, schemas and settings, for models and for programs."""
    bare = SHAPES[shape]([], "echo")
    (tool,) = guard_tools(guard, [bare])

    assert isinstance(tool, type(bare))
    assert type(tool).__name__ == type(bare).__name__
    assert (tool.name, tool.description, tool.return_direct) == (bare.name, bare.description, bare.return_direct)
    assert tool.response_format == bare.response_format
    assert tool.args_schema == bare.args_schema
    assert tool.args == bare.args
    assert tool._injected_args_keys == bare._injected_args_keys
    assert convert_to_openai_tool(tool) == convert_to_openai_tool(bare)


def _event(event: Any) -> Any:
    """What there is to compare of an event; runs have ids of their own."""
    data = {key: _seen(value) for key, value in event["data"].items()}
    return event["event"], event["name"], event["tags"], event["metadata"], len(event["parent_ids"]), data


async def _events_of(tool: Any) -> list[Any]:
    written = {"type": "tool_call", "id": "call_1", "name": tool.name, "args": dict(ARGUMENTS)}
    return [_event(event) async for event in tool.astream_events(written, version="v2")]


@pytest.mark.parametrize("shape", [shape for shape, path in PAIRS if path == "astream_events"])
async def test_events_are_those_of_the_bare_tool(shape: str, guard: Guard) -> None:
    """Names, order, inputs, outputs, tags and metadata."""
    bare = SHAPES[shape]([], "echo")
    bare.tags, bare.metadata = ["a"], {"b": 1}
    (tool,) = guard_tools(guard, [bare])

    expected = await _events_of(bare)
    with guard.session(user="eve@acme.example"):
        found = await _events_of(tool)

    assert found == expected
    assert [event[0] for event in found] == ["on_tool_start", "on_tool_end"]


@pytest.mark.parametrize("shape", [shape for shape, path in PAIRS if path == "ainvoke"])
@pytest.mark.parametrize("kind", [ValueError, ToolException, KeyError])
async def test_errors_are_those_of_the_bare_tool(shape: str, kind: type[Exception], guard: Guard) -> None:
    """Type, text and what `handle_tool_error` makes of it."""

    class Full(list[Any]):
        def append(self, item: Any) -> None:
            raise kind(f"no room for {len(item)} more")

    async def raised(tool: Any) -> Any:
        try:
            return await tool.ainvoke(dict(ARGUMENTS))
        except kind as error:
            return type(error), str(error), error.__cause__

    (tool,) = guard_tools(guard, [SHAPES[shape](Full(), "echo")])

    expected = await raised(SHAPES[shape](Full(), "echo"))
    with guard.session(user="eve@acme.example"):
        found = await raised(tool)

    assert found == expected
    assert "no room for 2 more" in str(found)
