"""The gate inside a LangChain tool: each call is admitted before the tool runs and settled before anybody sees what came of it.

Rules:
- `run` and `arun` are where every path of LangChain meets; each of their calls is admitted once, and runs what the permit holds;
- the tool's code (`_run`, `_arun`, `func`, `coroutine`) runs inside an admitted call of this tool and nowhere else;
- what it returns or raises is settled right there, so callbacks, tracers, `handle_tool_error` and the model get the masked form;
- a call that did not run is answered (see `answers`); to callbacks and tracers it is a tool that ended with that answer.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool

from agentguard.errors import CallPending, CallRefused, ConfigurationError, GuardUnavailable, ResultRefused
from agentguard.guard.permit import Permit, Settled
from agentguard.guard.pipeline import Guard
from agentguard.integrations.langchain.answers import refused
from agentguard.integrations.langchain.errors import is_signal, raisable
from agentguard.integrations.langchain.results import Parts, take_apart, take_pair_apart
from agentguard.integrations.langchain.tool import Invocation, LangChainTool
from agentguard.integrations.langchain.words import with_word
from agentguard.integrations.signatures import resolved, sign
from agentguard.store.doors import drive


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What stands in one tool. `pause`: called where people are still asked when the line is dropped; returns to try again."""

    guard: Guard
    seen: LangChainTool
    hold_seconds: float | None = None
    pause: Callable[[CallPending], None] | None = None

    def admit(self, invocation: Invocation) -> Permit:
        """The permit of a call. Raises CallRefused, GuardUnavailable and what pausing raises."""
        while True:
            try:
                return self.guard.blocking.admit(invocation.call, invocation, hold_seconds=self.hold_seconds)
            except CallPending as pending:
                if self.pause is None:
                    raise
                waiting = pending
            self.pause(waiting)

    async def aadmit(self, invocation: Invocation) -> Permit:
        """See admit."""
        while True:
            try:
                return await self.guard.admit(invocation.call, invocation, hold_seconds=self.hold_seconds)
            except CallPending as pending:
                if self.pause is None:
                    raise
                waiting = pending
            self.pause(waiting)

    def code(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, which then runs inside an admitted call of this tool alone."""

        @functools.wraps(function)
        def code(*args: Any, **kwargs: Any) -> Any:
            self.running()
            return function(*args, **kwargs)

        @functools.wraps(function)
        async def async_code(*args: Any, **kwargs: Any) -> Any:
            self.running()
            return await function(*args, **kwargs)

        made = async_code if inspect.iscoroutinefunction(function) else code
        sign(made, resolved(function))
        return made

    def running(self) -> Running:
        """The admitted call that this code runs in. Raises ConfigurationError where there is none."""
        judged = self.judged()
        if isinstance(judged, Running):
            return judged
        raise self._outside()

    def judged(self) -> Running | Unran:
        """The call that this code runs in, admitted or refused. Raises ConfigurationError where there is none."""
        judged = _judged.get()
        if judged is None or judged.gate is not self or judged.over:
            raise self._outside()
        return judged

    def _outside(self) -> ConfigurationError:
        return ConfigurationError(
            f"tool {self.seen.tool.name} is guarded: call it by invoke or ainvoke, not its function or _run"
        )


@dataclass(kw_only=True)
class Unran:
    """One refused call, and what is given in place of a result."""

    gate: Gate
    result: Any
    over: bool = False

    def stand_in(self, tool: BaseTool) -> Any:
        """What the tool's code would have returned."""
        return (self.result, None) if tool.response_format == "content_and_artifact" else self.result


@dataclass(kw_only=True)
class Running:
    """One admitted call."""

    gate: Gate
    permit: Permit
    invocation: Invocation
    entered: bool = False
    over: bool = False

    def told(self, tool: BaseTool, parts: Parts, settled: Settled) -> Any:
        """What the tool's code would have returned, as the model may see it."""
        result = parts.put_back(settled.value)
        return with_word(tool, result, settled.word, self.invocation.tool_call_id) if settled.word else result

    def kept_back(self, tool: BaseTool, refusal: ResultRefused) -> Any:
        """What stands in for a result that policy keeps back."""
        return Unran(gate=self.gate, result=refused(tool, refusal, self.invocation.tool_call_id)).stand_in(tool)


_judged: ContextVar[Running | Unran | None] = ContextVar("agentguard_langchain_call", default=None)


def inside_a_call() -> bool:
    """Whether this code runs inside a guarded call, whichever tool's."""
    judged = _judged.get()
    return judged is not None and not judged.over


class Gated:
    """The methods of a guarded tool, in front of those of its own class."""

    __slots__ = ()
    gate_: ClassVar[Gate]

    def run(
        self: Any, tool_input: str | dict[str, Any], *args: Any, tool_call_id: str | None = None, **kwargs: Any
    ) -> Any:
        """See BaseTool.run."""
        guard, invocation = self.gate_.guard, self.gate_.seen.call(tool_input, tool_call_id)
        try:
            permit = self.gate_.admit(invocation)
        except (CallRefused, GuardUnavailable) as refusal:
            unran = Unran(gate=self.gate_, result=refused(self, refusal, tool_call_id))
            with _inside(unran):
                return super().run(tool_input, *args, tool_call_id=tool_call_id, **kwargs)  # type: ignore[misc]
        running = Running(gate=self.gate_, permit=permit, invocation=invocation)
        try:
            with _inside(running):
                return super().run(tool_input, *args, tool_call_id=tool_call_id, **kwargs)  # type: ignore[misc]
        except BaseException as error:
            if running.entered:
                raise
            failed = error
        return _not_entered(self, running, failed, drive(_settled_error(guard, permit, failed)))

    async def arun(
        self: Any, tool_input: str | dict[str, Any], *args: Any, tool_call_id: str | None = None, **kwargs: Any
    ) -> Any:
        """See BaseTool.arun."""
        guard, invocation = self.gate_.guard, self.gate_.seen.call(tool_input, tool_call_id)
        try:
            permit = await self.gate_.aadmit(invocation)
        except (CallRefused, GuardUnavailable) as refusal:
            unran = Unran(gate=self.gate_, result=refused(self, refusal, tool_call_id))
            with _inside(unran):
                return await super().arun(tool_input, *args, tool_call_id=tool_call_id, **kwargs)  # type: ignore[misc]
        running = Running(gate=self.gate_, permit=permit, invocation=invocation)
        try:
            with _inside(running):
                return await super().arun(tool_input, *args, tool_call_id=tool_call_id, **kwargs)  # type: ignore[misc]
        except BaseException as error:
            if running.entered:
                raise
            failed = error
        return _not_entered(self, running, failed, await _settled_error(guard, permit, failed))

    async def ainvoke(self: Any, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """See BaseTool.ainvoke. A tool without a coroutine is awaited too: only its own code goes to a thread."""
        return await BaseTool.ainvoke(self, input, config, **kwargs)

    def _to_args_and_kwargs(self: Any, *_: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What the permit lets run, whatever LangChain would have made of the model's arguments."""
        judged: Running | Unran = self.gate_.judged()
        return judged.invocation.ready(judged.permit) if isinstance(judged, Running) else ((), {})


def sync_code(run: Callable[..., Any]) -> Callable[..., Any]:
    """`_run` of a guarded tool: the tool's own, settled."""

    @functools.wraps(run)
    def _run(self: Any, *args: Any, **kwargs: Any) -> Any:
        running = self.gate_.judged()
        if isinstance(running, Unran):
            return running.stand_in(self)
        if running.entered:  # the tool's own code calls itself, or its async half runs its sync one in a thread
            return run(self, *args, **kwargs)
        running.entered = True
        guard, permit = running.gate.guard, running.permit
        try:
            parts = _apart(self, run(self, *args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - whatever a tool raises is settled, and raised below
            failed = error
        else:
            try:
                return running.told(self, parts, guard.blocking.settled(permit, parts.plain))
            except ResultRefused as refusal:
                return running.kept_back(self, refusal)
        return _raise(drive(_settled_error(guard, permit, failed)))

    sign(_run, resolved(run))
    return _run


def async_code(run: Callable[..., Any], arun: Callable[..., Any]) -> Callable[..., Any]:
    """`_arun` of a guarded tool: the tool's own, settled. Where that only runs `_run` in a thread, it has the signature of `_run`."""
    told = run if arun is BaseTool._arun else arun

    @functools.wraps(told)
    async def _arun(self: Any, *args: Any, **kwargs: Any) -> Any:
        running = self.gate_.judged()
        if isinstance(running, Unran):
            return running.stand_in(self)
        if running.entered:
            return await arun(self, *args, **kwargs)
        running.entered = True
        guard, permit = running.gate.guard, running.permit
        try:
            parts = _apart(self, await arun(self, *args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - whatever a tool raises is settled, and raised below
            failed = error
        else:
            try:
                return running.told(self, parts, await guard.settled(permit, parts.plain))
            except ResultRefused as refusal:
                return running.kept_back(self, refusal)
        return _raise(await _settled_error(guard, permit, failed))

    sign(_arun, resolved(told))
    return _arun


def _apart(tool: BaseTool, result: Any) -> Parts:
    return (take_pair_apart if tool.response_format == "content_and_artifact" else take_apart)(result)


async def _settled_error(guard: Guard, permit: Permit, error: BaseException) -> BaseException:
    """Settle a run that ended with `error`: what to raise in its place."""
    if isinstance(error, Exception) and not is_signal(error):
        return raisable(error, await guard.settle_error(permit, error))
    stopping = await guard.settler.interrupted(permit, error)
    return error if is_signal(error) else stopping


def _not_entered(tool: BaseTool, running: Running, error: BaseException, shown: BaseException) -> Any:
    """The tool's code never began: what was judged no longer fits, or a callback raised."""
    if isinstance(error, CallRefused):
        return refused(tool, error, running.invocation.tool_call_id)
    return _raise(shown)


def _raise(shown: BaseException) -> NoReturn:
    """Raise what may be shown. Called outside of the handler of the error itself, so that no context holds that."""
    raise shown


@contextmanager
def _inside(judged: Running | Unran) -> Iterator[None]:
    before = _judged.set(judged)
    try:
        yield
    finally:
        judged.over = True
        _judged.reset(before)
