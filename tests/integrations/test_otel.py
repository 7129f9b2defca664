"""Calls in OpenTelemetry, by its real SDK: a span for each, with names, kinds and counts, and nothing of an argument or a result."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, get_current_span

from agentguard.config import open_guard
from agentguard.errors import CallRefused
from agentguard.guard.pipeline import Guard
from agentguard.integrations.functions import FunctionTool
from agentguard.integrations.otel import OpenTelemetry
from agentguard.model.calls import ToolCall
from tests.guard.world import World

pytestmark = pytest.mark.anyio


class Watching:
    """An application's own SDK, in memory."""

    def __init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader])

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """What has ended."""
        return self.exporter.get_finished_spans()


@pytest.fixture
def watching() -> Iterator[Watching]:
    """An SDK for one test."""
    made = Watching()
    yield made
    made.provider.shutdown()
    made.meters.shutdown()


@pytest.fixture
def traced(world: World, watching: Watching) -> Iterator[Guard]:
    """A guard that tells that SDK, in a session."""
    tracing = OpenTelemetry(watching.provider, watching.meters)
    opened = open_guard(world.policies, agent="support", tenant=world.tenant, settings=world.settings, tracing=tracing)
    with opened as guard, guard.session(user="dan@acme.example"):
        yield guard


async def test_an_allowed_call_is_a_span_by_the_conventions(world: World, traced: Guard, watching: Watching) -> None:
    """Its name, kind and attributes; what was found in the result is counted by type."""
    await world.call(traced, "find_customer", "call_0123456789ab", customer_id=7)
    [span] = watching.spans
    assert (span.name, span.kind.name, span.status.status_code) == (
        "execute_tool find_customer",
        "INTERNAL",
        StatusCode.UNSET,
    )
    assert dict(span.attributes or {}) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "find_customer",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": "call_0123456789ab",
        "gen_ai.agent.name": "support",
        "agentguard.effect": "allow",
        "agentguard.risk": "low",
        "agentguard.rules": ("find_customer",),
        "agentguard.outcome": "done",
        "agentguard.entities.PERSON": 1,
        "agentguard.entities.EMAIL_ADDRESS": 1,
        "agentguard.entities.PHONE_NUMBER": 1,
    }


async def test_a_refused_call_ends_as_an_error(world: World, traced: Guard, watching: Watching) -> None:
    """With the reason and the rule, and no text."""
    with pytest.raises(CallRefused):
        await world.call(traced, "forbidden_thing")
    [span] = watching.spans
    assert span.attributes is not None
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description is None
    assert (span.attributes["agentguard.outcome"], span.attributes["error.type"]) == ("denied by policy", "CallRefused")


async def test_t26_no_value_of_any_kind_is_in_a_span(world: World, traced: Guard, watching: Watching) -> None:
    """Arguments, results, errors with causes, and a call id that the model made up: none of it is told."""

    def fail() -> None:
        """Raise what was read."""
        raise KeyError("canary-3@mail.example") from ValueError("canary-4@mail.example")

    await world.call(traced, "echo", "canary-1@mail.example", value={"canary-2@mail.example": 4111111111111111})
    with suppress(KeyError):
        await traced.run(ToolCall(tool="echo", arguments={}), FunctionTool.of(fail, name="echo"))
    with suppress(CallRefused):
        await world.call(traced, "echo", wrong="canary-5@mail.example")
    told = "".join(span.to_json() for span in watching.spans)
    assert len(watching.spans) == 3
    assert "canary" not in told
    assert "4111" not in told
    assert not any(span.events for span in watching.spans)
    assert '"error.type": "KeyError"' in told


async def test_a_call_that_is_cut_off_ends_too(world: World, traced: Guard, watching: Watching) -> None:
    """A cancelled run is unknown; a call that waits for people and is cancelled did not run."""

    async def sleep() -> None:
        """Longer than anybody waits."""
        await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(
            traced.run(ToolCall(tool="echo", arguments={}), FunctionTool.of(sleep, name="echo")), 0.1
        )
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(world.call(traced, "refund", order_id=1), 0.3)
    assert [(span.attributes or {})["agentguard.outcome"] for span in watching.spans] == ["unknown", "did not run"]


async def test_spans_nest(world: World, traced: Guard, watching: Watching) -> None:
    """A call is inside the agent's own span, and what the tool does inside the call; through both doors."""
    tracer = watching.provider.get_tracer("test")

    def work() -> str:
        """What a tool does."""
        with tracer.start_as_current_span("query"):
            return "done"

    tool = FunctionTool.of(work, name="echo")
    with tracer.start_as_current_span("agent"):
        await traced.run(ToolCall(tool="echo", arguments={}), tool)
        traced.blocking.run(ToolCall(tool="echo", arguments={}), tool)
    query, call, query_again, call_again, agent = watching.spans
    assert agent.context is not None
    assert call.context is not None
    assert call_again.context is not None
    parents = [span.parent.span_id if span.parent else None for span in (query, call, query_again, call_again)]
    assert parents == [call.context.span_id, agent.context.span_id, call_again.context.span_id, agent.context.span_id]
    assert not get_current_span().is_recording()


async def test_how_long_calls_take_is_measured(world: World, traced: Guard, watching: Watching) -> None:
    """One histogram, by tool and by what went wrong."""
    await world.call(traced, "echo", value=1)
    with suppress(CallRefused):
        await world.call(traced, "forbidden_thing")
    data: Any = watching.reader.get_metrics_data()
    [metric] = data.resource_metrics[0].scope_metrics[0].metrics
    assert (metric.name, metric.unit) == ("gen_ai.execute_tool.duration", "s")
    assert {
        (point.attributes["gen_ai.tool.name"], point.attributes.get("error.type")) for point in metric.data.data_points
    } == {
        ("echo", None),
        ("forbidden_thing", "CallRefused"),
    }


def test_an_sdk_that_is_set_later_is_told_from_then_on(world: World) -> None:
    """While the application has set up no SDK nothing is traced; from then on each call is, by the providers of the process."""
    program = f"""
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from agentguard.config import Settings, open_guard
from agentguard.guard.tracing import UNTRACED
from agentguard.model.calls import Principal, ToolCall
guard = open_guard({str(world.policies)!r}, settings=Settings(state_dir={str(world.folder / "state")!r}, keys=None))
call, principal = ToolCall(tool="echo", arguments={{}}), Principal(tenant="t", agent="a", session="s", user="u")
assert guard.tracing.begun(call, principal) is UNTRACED
exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
guard.tracing.begun(call, principal).ended("done")
assert [span.name for span in exporter.get_finished_spans()] == ["execute_tool echo"]
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_without_the_package_nothing_is_traced(world: World) -> None:
    """A guard opens and runs where OpenTelemetry is not installed."""
    program = f"""
import importlib.abc, sys
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name.startswith("opentelemetry") else found(name, *rest)
from agentguard.config import Settings, open_guard
from agentguard.guard.tracing import UNTRACED
guard = open_guard({str(world.policies)!r}, settings=Settings(state_dir={str(world.folder / "state")!r}, keys=None))
assert guard.tracing is UNTRACED
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
