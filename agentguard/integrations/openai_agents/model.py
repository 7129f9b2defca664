"""What stands in front of an agent's model in the OpenAI Agents SDK, as the gate stands in its tools.

Rules:
- nothing is sent to the model but what it may see, in each of its calls: instructions, the user's words, its own calls, results;
- the text of the user at the end of the input is told to the guard (see `Guard.user_said`), but for what a tool's own code sends;
- a tool without a gate is offered to no model: that is a programmer's mistake, and raised;
- a tool that runs at the model's provider is offered only where policy allows its name without asking anybody;
- a call of a tool that is not there is put on record; what comes of it is the SDK's own affair.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from agents import FunctionTool, Model, ModelProvider, Tool
from agents.items import TResponseInputItem
from agents.tool import ApplyPatchTool, ComputerTool, CustomTool, LocalShellTool, ShellTool

from agentguard.errors import CallRefused, ConfigurationError, NoSession
from agentguard.guard.pipeline import Guard
from agentguard.integrations.names import recorded_name
from agentguard.integrations.openai.calls import users_words
from agentguard.integrations.openai_agents.gate import Gate, inside_a_call
from agentguard.integrations.refused_tool import RefusedTool, unknown
from agentguard.model.calls import ToolCall

_LOG = logging.getLogger("agentguard.openai_agents")
_CONVERSATION = "conversation"
_ITS_OWN = frozenset({"id", "call_id", "type", "role", "status", "phase", "name", "namespace", "encrypted_content"})
"""Keys of an item that are the SDK's and the provider's."""


class _Asked(NamedTuple):
    """What the SDK asks of a model, by place or by name; what it asks besides goes by name alone."""

    system_instructions: str | None
    input: str | list[TResponseInputItem]
    model_settings: Any
    tools: list[Tool]
    output_schema: Any
    handoffs: list[Any]
    tracing: Any


class GuardedModel(Model):
    """A model that is sent masked text alone. `named`: the model, or its name for `provider` to find at the first call."""

    def __init__(self, guard: Guard, named: Model | str | None, provider: ModelProvider) -> None:
        self.guard, self.named, self.provider = guard, named, provider
        self.name = named if isinstance(named, str) else type(named).__name__
        """Tells agents of one name apart, where the SDK reads the state of a run."""

    @cached_property
    def inner(self) -> Model:
        """The model itself."""
        return self.named if isinstance(self.named, Model) else self.provider.get_model(self.named)

    async def get_response(self, *given: Any, **named: Any) -> Any:
        """See Model.get_response."""
        asked, more = _asked(*given, **named)
        sent, more = await self._sent(asked, more)
        answered = await self.inner.get_response(*sent, **more)
        await self._note_unknown(answered.output, asked)
        return answered

    async def stream_response(self, *given: Any, **named: Any) -> AsyncIterator[Any]:
        """See Model.stream_response."""
        asked, more = _asked(*given, **named)
        sent, more = await self._sent(asked, more)
        async for event in self.inner.stream_response(*sent, **more):
            if event.type == "response.completed":
                await self._note_unknown(event.response.output, asked)
            yield event

    async def close(self) -> None:
        """See Model.close."""
        await self.inner.close()

    def get_retry_advice(self, request: Any) -> Any:
        """See Model.get_retry_advice."""
        return self.inner.get_retry_advice(request)

    async def _cleanup_on_run_end(self, owner: object) -> None:
        await self.inner._cleanup_on_run_end(owner)

    async def _sent(self, asked: _Asked, more: dict[str, Any]) -> tuple[_Asked, dict[str, Any]]:
        """What the model itself is asked: masked, with the tools that it may be offered."""
        offered, items = self._offered(asked.tools), asked.input
        await self._listen(items)
        shown = items if isinstance(items, str) else [_without_its_own(item) for item in items]
        plain = {"system": asked.system_instructions, "items": shown, "prompt": more.get("prompt")}
        masked = await self.guard.masked(plain, origin=_CONVERSATION)
        if not isinstance(items, str):
            masked["items"] = [_put_back(*pair) for pair in zip(items, masked["items"], strict=True)]
        sent = asked._replace(system_instructions=masked["system"], input=masked["items"], tools=offered)
        return sent, {**more, "prompt": masked["prompt"]}

    async def _listen(self, items: Any) -> None:
        text = items if isinstance(items, str) else "\n".join(users_words(_at_the_end(items)))
        if text and not inside_a_call() and self._is_open():
            await self.guard.user_said(text)

    def _is_open(self) -> bool:
        try:
            self.guard.principals.current()
        except NoSession:
            return False
        return True

    def _offered(self, tools: Iterable[Tool]) -> list[Tool]:
        return [tool for tool in tools if self._is_gated(tool) or self._may_run_elsewhere(tool)]

    def _is_gated(self, tool: Tool) -> bool:
        if not isinstance(tool, FunctionTool):
            return False
        if isinstance(tool.on_invoke_tool, Gate):
            return True
        raise ConfigurationError(
            f"tool {tool.name} has no gate; give the agent guard_tools(guard, [{tool.name}]), or guard it with its tools in place"
        )

    def _may_run_elsewhere(self, tool: Tool) -> bool:
        """Whether the model may be offered a tool that runs at its provider, past every gate."""
        check_runs_elsewhere(tool)
        offered = self.guard.allows_unasked(recorded_name(tool.name))
        if not offered:
            _LOG.warning("%s runs at the model's provider, and policy does not allow it unasked: left out", tool.name)
        return offered

    async def _note_unknown(self, output: Iterable[Any], asked: _Asked) -> None:
        known = {tool.name for tool in asked.tools} | {handoff.tool_name for handoff in asked.handoffs}
        for item in output:
            if getattr(item, "type", "") == "function_call" and item.name not in known:
                name = recorded_name(item.name)
                call = ToolCall(tool=name, arguments={}, id=item.call_id)
                try:
                    await self.guard.admit(call, RefusedTool(name=name, refusal=unknown(name, known)))
                except CallRefused:
                    continue  # it is on record now


def _asked(*given: Any, **named: Any) -> tuple[_Asked, dict[str, Any]]:
    more = {name: named.pop(name) for name in [*named] if name not in _Asked._fields}
    return _Asked(*given, **named), more


def check_runs_elsewhere(tool: Tool) -> None:
    """Raise ConfigurationError for a tool that runs here, on this machine, and is no function."""
    runs_here = isinstance(tool, ApplyPatchTool | ComputerTool | CustomTool | LocalShellTool)
    if runs_here or (isinstance(tool, ShellTool) and tool.executor is not None):
        raise ConfigurationError(
            f"{type(tool).__name__} runs on this machine, where no gate can stand in it; make it a function_tool"
        )


def _at_the_end(items: Iterable[Any]) -> list[Any]:
    """The user's messages at the end: what came before was told when it came."""
    found: list[Any] = []
    for item in reversed(list(items)):
        if item.get("role") != "user":
            break
        found.append(item)
    return found[::-1]


def _without_its_own(item: Any) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key not in _ITS_OWN}


def _put_back(item: Any, masked: Mapping[str, Any]) -> Any:
    """The item with its own keys where they were, and masked text for the rest."""
    masked_keys = iter(masked.items())
    return dict((key, value) if key in _ITS_OWN else next(masked_keys) for key, value in item.items())
