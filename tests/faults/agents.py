"""An agent that plays in a schedule: it calls tools, and calls again.

Rules:
- it notes what it does before it does it, and what came of it after;
- it tries again after a fault, as a model would;
- the dead do nothing: a life whose process was killed neither runs a tool nor notes an end.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from agentguard.errors import CallPending, CallRefused, Fault, RefusalReason
from agentguard.guard.permit import Permit
from agentguard.guard.pipeline import Guard
from agentguard.integrations.functions import FunctionTool
from agentguard.model.calls import ToolCall
from tests.faults.history import Recorder
from tests.faults.plan import Manner, Task
from tests.faults.stage import AGENT, EFFECTS, LOOK_SECONDS, REQUESTER

PATIENCE_SECONDS = 90.0
"""After so long a call without an answer is stuck: deadline, budget of Redis and room for a slow machine."""


class Broke(Exception):
    """A tool's own failure: it did what it does, and its reply was lost."""


@dataclass(kw_only=True)
class AgentLife:
    """One process of the agent, which makes its calls one after the other. `ran`: some tool has run, by whichever process here."""

    who: str
    guard: Guard
    tasks: Sequence[Task]
    chance: random.Random
    recorder: Recorder
    is_dead: Callable[[], bool] = lambda: False
    made: int = 0
    ran: asyncio.Event = field(default_factory=asyncio.Event)

    async def live(self) -> None:
        """Make every call, and again where it got no answer that ends it."""
        for number, task in enumerate(self.tasks):
            for attempt in range(task.attempts):
                call_id = f"c{number}" if not task.new_ids else f"{self.who}-{number}-{attempt}"
                result = await self._call(task, call_id)
                if self.is_dead():
                    return
                if not self._goes_on(task, result):
                    break
                await asyncio.sleep(LOOK_SECONDS * (1 + attempt) if self.ran.is_set() else LOOK_SECONDS * 3**attempt)

    def _goes_on(self, task: Task, result: str) -> bool:
        """Whether a model calls again: after a fault, a wait, a freeze; under new ids whatever it was told."""
        return task.new_ids or result.startswith(("fault", "pending", "cancelled", f"refused: {RefusalReason.FROZEN}"))

    async def _call(self, task: Task, call_id: str) -> str:
        self.made += 1
        about = {
            "who": self.who,
            "call": f"{self.who}/{self.made}",
            "agent": AGENT,
            "tool": task.tool,
            "effect": task.subject if task.tool in EFFECTS else "",
        }
        op = self.recorder.begin("call", **about)
        running = asyncio.ensure_future(_cancelled_at(task.cancel_at, self._answered(task, call_id, about)))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                done, _ = await asyncio.wait([running], timeout=task.cancel_seconds)
                if not done:
                    running.cancel()
                result = await running
        except TimeoutError:
            result = "stuck"
        except asyncio.CancelledError:
            if not running.done():
                raise
            result = "cancelled"
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        if not self.is_dead():
            self.recorder.end(op, result)
        return result

    async def _answered(self, task: Task, call_id: str, about: dict[str, str]) -> str:
        arguments = {"order": task.order}
        try:
            with self.guard.session(user=f"{REQUESTER}@acme.example", id=task.subject):
                permit = await self.guard.admit(
                    ToolCall(tool=task.tool, arguments=arguments, id=call_id),
                    FunctionTool.of(self._tool(), name=task.tool),
                    hold_seconds=task.hold_seconds,
                )
                async with self.guard.settling(permit) as outcome:
                    outcome.result = await self._run(task, permit, about)
                return f"ran: {outcome.masked}"
        except CallPending:
            return "pending"
        except CallRefused as refused:
            return f"refused: {refused.reason}"
        except Fault as fault:
            return f"fault: {type(fault).__name__}"
        except Broke:
            return "ran: and its reply was lost"

    @staticmethod
    def _tool() -> Callable[..., str]:
        def does(order: int) -> str:
            """Do it."""
            return "done"

        return does

    async def _run(self, task: Task, permit: Permit, about: dict[str, str]) -> str:
        if self.is_dead():
            raise asyncio.CancelledError
        self.ran.set()
        request = permit.claim.request_id if permit.claim is not None else ""
        order = permit.input["order"]
        effect = task.about(order) if task.tool in EFFECTS else ""
        self.recorder.at_once(
            "run", request=request, revision=1 + (order != task.order), **(about | {"effect": effect})
        )
        match task.manner:
            case Manner.RAISES:
                raise Broke
            case Manner.LINGERS:
                await asyncio.sleep(self.chance.uniform(0.02, 0.2))
        return "done"


async def _cancelled_at(step: int, work: Coroutine[Any, Any, str]) -> str:
    return await _Steps(step, work)


@dataclass(frozen=True)
class _Steps:
    """Work whose task is cancelled where it awaits for the nth time."""

    cancel_at: int
    work: Coroutine[Any, Any, str]

    def __await__(self) -> Generator[Any, Any, str]:
        step, thrown = 0, None
        while True:
            try:
                awaited = self.work.send(None) if thrown is None else self.work.throw(thrown)
            except StopIteration as done:
                return str(done.value)
            step, thrown = step + 1, None
            task = asyncio.current_task()
            if step == self.cancel_at and task is not None:
                task.cancel()
            try:
                yield awaited
            except BaseException as error:  # noqa: BLE001 - passed on
                thrown = error
