"""LangChain's own standard tests of tools, run on each shape of tool: bare, and with a gate in it, with the same outcomes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import pytest
from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests

from agentguard.guard.pipeline import Guard
from agentguard.integrations.langchain import guard_tools
from tests.integrations.shapes import SHAPES

pytestmark = pytest.mark.anyio

SUITES = (ToolsUnitTests, ToolsIntegrationTests)
EXAMPLES = {"subclass_with_schema": {"said": "hello"}, "single_input": {"tool_input": "hello"}}
"""Arguments of a call, where they aren't `text`."""

ASYNC_ONLY = {"test_invoke_no_tool_call", "test_invoke_matches_output_schema"}
SCHEMA = {"test_input_schema_matches_invoke_params"}
MESSAGES = {"test_invoke_matches_output_schema", "test_async_invoke_matches_output_schema"}
FAIL_ALIKE = {
    "async_function": ASYNC_ONLY,
    "with_json_schema": ASYNC_ONLY,
    "single_input": SCHEMA,
    "with_runtime": SCHEMA,
    "with_state": SCHEMA,
    "with_call_id": SCHEMA,
    "with_command": SCHEMA | MESSAGES,
}
"""What neither tool can do: run a coroutine function from code that doesn't await, have a schema where there is none or for more than
the model gives, or give a message where it gives a command."""

NEEDS_AN_ID = {"test_invoke_no_tool_call", "test_async_invoke_no_tool_call"}
NEEDS_A_GRAPH = NEEDS_AN_ID | MESSAGES
ANSWERED = {
    "with_runtime": NEEDS_A_GRAPH,
    "with_state": NEEDS_A_GRAPH,
    "with_call_id": NEEDS_AN_ID,
    "with_command": NEEDS_AN_ID,
}
"""What the bare tool raises, since nothing was injected, and the guarded one tells the model: arguments that it would not take."""


def suites_of(tool: BaseTool, arguments: dict[str, Any]) -> list[Any]:
    """The standard suites, as whoever publishes the tool would write them."""
    own = {"tool_constructor": property(lambda _: tool), "tool_invoke_params_example": property(lambda _: arguments)}
    return [type(f"Test{suite.__name__}", (suite,), own)() for suite in SUITES]


async def outcomes(tool: BaseTool, arguments: dict[str, Any]) -> Mapping[str, str]:
    """Of each standard test: `passed`, or the type of what it raised."""
    found: dict[str, str] = {}
    for suite in suites_of(tool, arguments):
        for name in (name for name in dir(suite) if name.startswith("test_")):
            test = getattr(suite, name)
            given = {"tool": tool} if "tool" in inspect.signature(test).parameters else {}
            try:
                ran = test(**given)
                await ran if inspect.isawaitable(ran) else None
            except Exception as error:  # noqa: BLE001 - the outcome
                found[name] = type(error).__name__
            else:
                found.setdefault(name, "passed")
    return found


def failed(found: Mapping[str, str]) -> set[str]:
    """The tests that did not pass."""
    return {name for name, outcome in found.items() if outcome != "passed"}


@pytest.mark.parametrize("shape", SHAPES)
async def test_the_standard_tests_come_out_as_with_the_bare_tool(shape: str, guard: Guard) -> None:
    """All pass but those that the bare tool fails in the same way."""
    bare = SHAPES[shape]([], "echo")
    (tool,) = guard_tools(guard, [SHAPES[shape]([], "echo")])
    arguments = EXAMPLES.get(shape, {"text": "hello"})

    with guard.session(user="eve@acme.example"):
        expected, found = await outcomes(bare, arguments), await outcomes(tool, arguments)

    assert len(found) == 10
    assert failed(found) == FAIL_ALIKE.get(shape, set())
    assert {name: expected[name] for name in failed(found)} == {name: found[name] for name in failed(found)}
    assert failed(expected) - failed(found) == ANSWERED.get(shape, set())
