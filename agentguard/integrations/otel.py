"""The road in OpenTelemetry: a span `execute_tool NAME` for each call, from its first step to its last, and its duration.

Rules:
- no argument, no result, no text of an error: names of tools, rules and types, counts, and what policy said;
- the model writes call ids: one that does not look like a provider's is left out;
- what the tool does is inside the span where the guard runs the tool (`run`, `settling`);
- an error here is the tracer's own and OpenTelemetry keeps it to itself: tracing decides nothing.

Only `opentelemetry-api` is needed (extra `otel`); where spans go is for the application's SDK to say.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from opentelemetry.metrics import Histogram, MeterProvider, get_meter, get_meter_provider
from opentelemetry.trace import (
    ProxyTracerProvider,
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    TracerProvider,
    get_tracer,
    get_tracer_provider,
    use_span,
)

from agentguard.guard.tracing import UNTRACED, Trace
from agentguard.integrations import otel_names as names
from agentguard.model.calls import Principal, ToolCall
from agentguard.model.verdicts import Verdict

_CALL_ID = re.compile(r"(?:call|toolu|tooluse|fc|chatcmpl-tool)[_-][A-Za-z0-9_-]{8,64}")
_RAN = frozenset({"done"})
_TRACES, _METERS = get_tracer_provider.__globals__, get_meter_provider.__globals__
"""Where the API keeps the providers that the application has set, None before that."""


class OpenTelemetry:
    """Traces to the providers given, or to those that the application has set."""

    def __init__(
        self, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        self._is_told_where = tracer_provider is not None or meter_provider is not None
        self._tracer: Tracer = get_tracer(names.SCOPE, tracer_provider=tracer_provider)
        self._duration: Histogram = get_meter(names.SCOPE, meter_provider=meter_provider).create_histogram(
            names.DURATION, unit=names.DURATION_UNIT, description="From the first step of a call to its last"
        )

    def begun(self, call: ToolCall, principal: Principal) -> Trace:
        """A span for this call, inside the one that is current; nothing while the application has set up no SDK."""
        if not self._is_told_where and _is_nobody_there():
            return UNTRACED
        attributes = {
            names.OPERATION_NAME: names.EXECUTE_TOOL,
            names.TOOL_NAME: call.tool,
            names.TOOL_TYPE: names.FUNCTION,
            names.AGENT_NAME: principal.agent,
        }
        if call.id is not None and _CALL_ID.fullmatch(call.id):
            attributes[names.TOOL_CALL_ID] = call.id
        span = self._tracer.start_span(names.SPAN.format(tool=call.tool), kind=SpanKind.INTERNAL, attributes=attributes)
        return CallSpan(span=span, duration=self._duration, tool=call.tool)


def _is_nobody_there() -> bool:
    """Whether the application has set no provider (yet). Asked for each call, and the public way to ask reads the environment."""
    if _TRACES.get("_TRACER_PROVIDER", "?") is None and _METERS.get("_METER_PROVIDER", "?") is None:
        return True
    meters = type(get_meter_provider()).__name__  # the API has no public name for the provider that stands in
    return isinstance(get_tracer_provider(), ProxyTracerProvider) and meters == "_ProxyMeterProvider"


@dataclass(kw_only=True, slots=True)
class CallSpan:
    """One call's span."""

    span: Span
    duration: Histogram
    tool: str
    _started: float = field(default_factory=time.perf_counter)
    _ended: bool = False

    def judged(self, verdict: Verdict) -> None:
        """What policy said."""
        self.span.set_attributes(
            {
                names.EFFECT: verdict.effect.value,
                names.RISK: verdict.risk.value,
                names.RULES: [clause.id for clause in verdict.clauses],
            }
        )

    def masked(self, entities: Mapping[str, int]) -> None:
        """How many findings of which type were in the result."""
        self.span.set_attributes(
            {names.ENTITIES.format(entity_type=entity): count for entity, count in entities.items()}
        )

    def running(self) -> AbstractContextManager[None]:
        """The span is current; what is raised inside is not recorded on it."""
        return self._current()

    def ended(self, how: str, error: str = "") -> None:
        """End the span, once."""
        if self._ended:
            return
        self._ended = True
        kind = (error if error.isidentifier() else "_OTHER") if error else "" if how in _RAN else how
        self.span.set_attribute(names.OUTCOME, how)
        attributes = {names.OPERATION_NAME: names.EXECUTE_TOOL, names.TOOL_NAME: self.tool}
        if kind:
            attributes[names.ERROR_TYPE] = kind
            self.span.set_attribute(names.ERROR_TYPE, kind)
            self.span.set_status(Status(StatusCode.ERROR))
        self.span.end()
        self.duration.record(time.perf_counter() - self._started, attributes)

    @contextmanager
    def _current(self) -> Iterator[None]:
        with use_span(self.span, end_on_exit=False, record_exception=False, set_status_on_exception=False):
            yield
