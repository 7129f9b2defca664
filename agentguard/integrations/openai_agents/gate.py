"""The gate inside a tool of the OpenAI Agents SDK: what runs in place of the tool's own `on_invoke_tool`.

Rules:
- every run of a tool, by whatever agent, runner or direct call, is admitted first and settled before the SDK sees what came of it: so its
  hooks, guardrails, traces, sessions and run state get the masked form, and so does the tool's own `failure_error_function`;
- the SDK's approval (`needs_approval`, `state.approve`) lets no call run: only the channel's decision does;
- a call that did not run is answered (see `answers`); a fault ends the run;
- the tool's `timeout_seconds` count from the permit on: people may take longer.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from agents import FunctionTool, RunContextWrapper, get_current_span
from agents.agent_tool_state import drop_agent_tool_run_result, get_agent_tool_state_scope, peek_agent_tool_run_result
from agents.exceptions import ToolTimeoutError
from agents.tool import (
    default_tool_timeout_error_message,
    invoke_function_tool,
    maybe_invoke_function_tool_failure_error_function,
    set_function_tool_failure_error_function,
)
from agents.tool_context import ToolContext
from pydantic_core import to_json

from agentguard.errors import (
    CallPending,
    CallRefused,
    Fault,
    GuardUnavailable,
    RefusalReason,
    ResultRefused,
    ToolFailed,
)
from agentguard.guard.permit import Permit, Settled
from agentguard.guard.pipeline import Guard
from agentguard.integrations.answers import Unrun, answer
from agentguard.integrations.openai.calls import WrittenCall
from agentguard.integrations.openai_agents.stopping import Stopping, carrying
from agentguard.integrations.openai_agents.tool import AgentsTool
from agentguard.integrations.openai_agents.words import with_word
from agentguard.integrations.readable import readable
from agentguard.model.calls import Tool, ToolCall
from agentguard.model.canonical import canonical_json

_inside: ContextVar[bool] = ContextVar("agentguard_agents_call", default=False)


def inside_a_call() -> bool:
    """Whether this code runs inside a guarded call, whichever tool's."""
    return _inside.get()


class _TimedOut(BaseException):
    """The tool was cut off: nobody knows what it did. Not an Exception, so that it is settled as that."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Gate:
    """Runs one tool. `interrupts`: a call that people are asked about interrupts the run, by the SDK's own `needs_approval`."""

    guard: Guard = field(repr=False)
    seen: AgentsTool = field(repr=False)
    hold_seconds: float | None = None
    interrupts: bool = False
    _admitted: dict[tuple[str, str, str], Permit | Unrun] = field(default_factory=dict, repr=False)

    async def __call__(self, context: ToolContext[Any], input: str) -> Any:  # noqa: A002 - the SDK's name
        """See FunctionTool.on_invoke_tool."""
        call, tool = self._read(getattr(context, "tool_call_id", None), input)
        try:
            permit = self._take(call) or await self.guard.admit(call, tool, hold_seconds=self.hold_seconds)
        except (CallRefused, GuardUnavailable) as refusal:
            is_over = isinstance(refusal, CallRefused) and refusal.reason is RefusalReason.ALREADY_DONE
            return (
                await self._go_on(context, input)
                if is_over and self._sleeps(context)
                else self._refused(context, refusal)
            )
        return await self._run(context, permit)

    async def needs_approval(self, context: RunContextWrapper[Any], arguments: dict[str, Any], call_id: str) -> bool:
        """See FunctionTool.needs_approval: whether the run sleeps until people decided, or the tool's own setting says so."""
        if await self._needs_its_own(context, arguments, call_id):
            return True
        if not self.interrupts or self.guard.allows_unasked(self.seen.name):
            return False
        call, tool = self._read(call_id, json.dumps(arguments))
        try:
            admitted: Permit | Unrun = await self.guard.admit(call, tool, hold_seconds=self.hold_seconds)
        except CallPending:
            return True
        except (CallRefused, GuardUnavailable) as refusal:
            admitted = refusal
        self._keep(call, admitted)
        return False

    async def _needs_its_own(self, context: RunContextWrapper[Any], arguments: dict[str, Any], call_id: str) -> bool:
        """What the tool's own setting says; as in the SDK, it judges no arguments but those that validation leaves as they are."""
        setting = self.seen.tool.needs_approval
        if isinstance(setting, bool):
            return setting
        if self.seen.model is not None and not self._takes_as_they_are(arguments):
            return True
        said: Any = setting(context, arguments, call_id)
        return bool(await said if inspect.isawaitable(said) else said)

    def _takes_as_they_are(self, arguments: dict[str, Any]) -> bool:
        try:
            return canonical_json(self.seen.parse(arguments).snapshot) == canonical_json(arguments)
        except (CallRefused, ValueError):
            return False

    def _read(self, call_id: str | None, text: str) -> tuple[ToolCall, Tool]:
        written = WrittenCall(id=call_id or "", name=self.seen.name, arguments=text, free_text=False)
        return written.read({self.seen.name: self.seen})

    def _key(self, call: ToolCall) -> tuple[str, str, str]:
        return self.guard.principals.current().scope, call.id or "", json.dumps(call.arguments, sort_keys=True)

    def _keep(self, call: ToolCall, admitted: Permit | Unrun) -> None:
        """Keep what was admitted for the run that comes next; it is given up with the task that would have run it."""
        key, task = self._key(call), asyncio.current_task()
        self._admitted[key] = admitted
        if task is not None:
            task.add_done_callback(lambda _: self._give_up(key))

    def _take(self, call: ToolCall) -> Permit | None:
        """What was admitted for this very call, if anything was. Raises what refused it."""
        kept = self._admitted.pop(self._key(call), None) if self._admitted else None
        if isinstance(kept, CallRefused | GuardUnavailable):
            raise kept
        return kept

    def _give_up(self, key: tuple[str, str, str]) -> None:
        """Settle a permit that the SDK did not use: a guardrail or a hook of its own stood before the tool."""
        kept = self._admitted.pop(key, None)
        if isinstance(kept, Permit):
            unused = ToolFailed("NotRun", "the framework did not run it")
            settling = asyncio.get_running_loop().create_task(self.guard.settle_error(kept, unused))
            _giving_up.add(settling)
            settling.add_done_callback(_giving_up.discard)

    async def _run(self, context: ToolContext[Any], permit: Permit) -> Any:
        tool = self.seen.tool
        try:
            async with self.guard.settling(permit) as outcome:
                outcome.result = readable(await self._result(context, permit))
        except _TimedOut:
            return await self._timed_out(context)
        try:
            return self._shown(context, outcome.settled)
        except ResultRefused as refusal:
            return answer(refusal)
        except Fault:
            raise
        except Exception as error:
            told = await _told(tool, context, error)
            if told is None:
                raise
            return told

    def _sleeps(self, context: ToolContext[Any]) -> bool:
        """Whether the tool is an agent whose run, begun by this very call, was interrupted and goes on now."""
        given = getattr(context, "tool_call", None)
        if given is None or not self.seen.tool._is_agent_tool:
            return False
        return peek_agent_tool_run_result(given, scope_id=get_agent_tool_state_scope(context)) is not None

    def _refused(self, context: ToolContext[Any], refusal: Unrun) -> str:
        """What the model is told; a run of the tool's that sleeps is given up, or the outer one would wait for it again.

        Where the guard is unavailable it sleeps on.
        """
        given = context.tool_call if isinstance(refusal, CallRefused) and self._sleeps(context) else None
        if given is not None:
            drop_agent_tool_run_result(given, scope_id=get_agent_tool_state_scope(context))
        return answer(refusal)

    async def _go_on(self, context: ToolContext[Any], text: str) -> Any:
        """The rest of that run. Its call was permitted and settled when the run fell asleep; each call inside has a gate of its own."""
        name = self.seen.name
        try:
            await self.guard.asking.freezing.check(self.guard.principals.current(), name)
            result = await self._invoked(context, text)
        except (CallRefused, GuardUnavailable) as refusal:
            return self._refused(context, refusal)
        except ToolTimeoutError:
            return await self._timed_out(context)
        except Fault:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the run raises is masked
            failed = type(error).__name__, str(error)
        else:
            return self._given(await self.guard.masked(readable(result), origin=name))
        kind, said = failed
        masked = ToolFailed(kind, str(await self.guard.masked(said, origin=name)))
        told = await _told(self.seen.tool, context, masked)
        if told is None:
            raise masked
        return told

    @cached_property
    def _bare(self) -> FunctionTool:
        """The tool without words of its own for errors: they come as they are."""
        bare = copy.copy(self.seen.tool)
        bare.timeout_behavior = "raise_exception"
        if bare.timeout_seconds is not None:
            bare.on_invoke_tool = carrying(bare.on_invoke_tool)
        return set_function_tool_failure_error_function(bare, None)

    async def _result(self, context: ToolContext[Any], permit: Permit) -> Any:
        """What the tool gives for what the permit lets run."""
        try:
            return await self._invoked(context, permit.snapshot.input_text)
        except ToolTimeoutError:
            raise _TimedOut from None

    async def _invoked(self, context: ToolContext[Any], text: str) -> Any:
        """What the tool's own code gives. Raises what that raises, and ToolTimeoutError."""
        with _running():
            try:
                return await invoke_function_tool(function_tool=self._bare, context=context, arguments=text)
            except Stopping as carried:
                stopping = carried.error
        raise stopping

    def _shown(self, context: ToolContext[Any], settled: Settled) -> Any:
        """A result, behind the word on what people changed; one of a declared type, or that the model's program reads, alone."""
        if self.seen.tool.output_json_schema is not None:
            return self._given(settled.value)
        return settled.told if _is_a_programs(context) else with_word(settled)

    def _given(self, masked: Any) -> Any:
        """A result of a declared type as JSON: the tool was held to that before it was masked, and tokens may not fit it."""
        if self.seen.tool.output_json_schema is None or isinstance(masked, str):
            return masked
        return to_json(masked, fallback=str, inf_nan_mode="constants").decode()

    async def _timed_out(self, context: ToolContext[Any]) -> str:
        """What the SDK makes of a timeout, by the tool's own settings."""
        tool, seconds = self.seen.tool, self.seen.tool.timeout_seconds or 0.0
        error = ToolTimeoutError(tool_name=tool.name, timeout_seconds=seconds)
        if tool.timeout_behavior == "raise_exception":
            raise error
        if tool.timeout_error_function is None:
            return default_tool_timeout_error_message(tool_name=tool.name, timeout_seconds=seconds)
        told: Any = tool.timeout_error_function(context, error)
        return str(await told if inspect.isawaitable(told) else told)


def _is_a_programs(context: ToolContext[Any]) -> bool:
    """Whether code that the model wrote made this call, at the provider: it reads the result."""
    caller = getattr(getattr(context, "tool_call", None), "caller", None)
    return getattr(caller, "type", None) == "program"


_giving_up: set[asyncio.Task[BaseException]] = set()
"""Permits that are being given up; a loop holds its tasks weakly."""


@contextmanager
def _running() -> Iterator[None]:
    before = _inside.set(True)
    try:
        yield
    finally:
        _inside.reset(before)


async def _told(tool: FunctionTool, context: ToolContext[Any], error: Exception) -> str | None:
    """The tool's own words for an error, which is masked; None where it has none, and the error ends the run."""
    if not hasattr(tool.on_invoke_tool, "__agents_bind_function_tool__"):
        return None  # made by hand: the SDK asks no failure_error_function
    told = await maybe_invoke_function_tool_failure_error_function(function_tool=tool, context=context, error=error)
    span = get_current_span()
    if told is not None and span is not None:
        data: Mapping[str, Any] = {"tool_name": tool.name, "error": type(error).__name__}
        span.set_error({"message": "Error running tool (non-fatal)", "data": dict(data)})
    return told
