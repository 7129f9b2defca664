"""Agents of the OpenAI Agents SDK around one scripted server, and an exporter that keeps what traces tell."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from agents import Agent, Model, OpenAIChatCompletionsModel, OpenAIResponsesModel, RunConfig, Runner, function_tool
from agents.tracing import Span, Trace, TracingProcessor
from openai import AsyncOpenAI

MODELS = {"chat": OpenAIChatCompletionsModel, "responses": OpenAIResponsesModel}


class Told(TracingProcessor):
    """Everything that traces tell, as an exporter would send it."""

    def __init__(self) -> None:
        self.text = ""

    def on_trace_start(self, trace: Trace) -> None:
        self.text += json.dumps(trace.export())

    def on_trace_end(self, trace: Trace) -> None:
        self.text += json.dumps(trace.export())

    def on_span_start(self, span: Span[Any]) -> None:
        self.text += json.dumps(span.export(), default=str)

    def on_span_end(self, span: Span[Any]) -> None:
        self.text += json.dumps(span.export(), default=str)

    def shutdown(self) -> None:
        """Nothing to close."""

    def force_flush(self) -> None:
        """Nothing waits."""


@dataclass
class Events:
    """Runs an agent, at once or as a stream, and keeps the text of every event."""

    streams: bool = False
    text: str = ""
    config: RunConfig = field(default_factory=lambda: RunConfig(workflow_name="test"))

    async def run(self, agent: Agent[Any], given: Any, **more: Any) -> Any:
        """What `Runner.run` or `Runner.run_streamed` gives, once it is over."""
        if not self.streams:
            return await Runner.run(agent, given, run_config=self.config, **more)
        result = Runner.run_streamed(agent, given, run_config=self.config, **more)
        async for event in result.stream_events():
            self.text += _told(event)
        return result


def _told(event: Any) -> str:
    """What an event tells besides the agent that it is of, which is the application's own."""
    item = getattr(event, "item", None)
    return repr(getattr(event, "data", "")) + repr(getattr(item, "raw_item", "")) + repr(getattr(item, "output", ""))


def model(kind: str, client: AsyncOpenAI) -> Model:
    """A model of that API."""
    made: Model = MODELS[kind]("scripted", client)
    return made


def tool(function: Any, **more: Any) -> Any:
    """A function_tool, strict where its signature can be."""
    return function_tool(function, strict_mode=more.pop("strict", False), **more)
