"""Who plays in a schedule: agents that call tools and call again, people who decide, stop calls, and say what happened.

Rules:
- everybody notes what they do before they do it, and what came of it after;
- whoever meets a fault tries again, as a model, a client or a person would;
- the dead do nothing: a life whose process was killed neither runs a tool nor notes an end.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from agentguard.approval import Deeds, Desk
from agentguard.errors import CallPending, CallRefused, DecisionRefused, Fault, GuardUnavailable, RefusalReason
from agentguard.guard.permit import Permit
from agentguard.guard.pipeline import Guard
from agentguard.integrations.functions import FunctionTool
from agentguard.model.approvals import Decision, Found, Scope, State
from agentguard.model.calls import ToolCall
from tests.faults.checker import GIVEN
from tests.faults.history import Recorder
from tests.faults.stage import AGENT, EFFECTS, REQUESTER, Stage

PATIENCE_SECONDS = 60.0
"""After so long a call without an answer is stuck: deadline, budget of Redis and room for a slow machine."""

LOOK_SECONDS = 0.02


class Over(Protocol):
    """Says when a schedule is over."""

    def is_set(self) -> bool: ...


class Manner(StrEnum):
    """What a tool does once it was called."""

    RETURNS = "returns"
    RAISES = "raises"
    LINGERS = "lingers"


class Broke(Exception):
    """A tool's own failure: it did what it does, and its reply was lost."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A call that a model wants made, how its tool behaves, and after how long it is cancelled or not waited for.

    `cancel_at`: at which of its awaits it is cancelled, from 1; 0: at none.
    """

    tool: str
    order: int
    manner: Manner = Manner.RETURNS
    attempts: int = 3
    new_ids: bool = False
    cancel_seconds: float | None = None
    cancel_at: int = 0
    hold_seconds: float | None = None

    @property
    def subject(self) -> str:
        """What it is about: the session's id, and the name of the effect."""
        return f"{self.tool} {self.order}"


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
        self.recorder.at_once("run", request=request, revision=1, **about)
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


@dataclass(kw_only=True)
class DeciderLife:
    """One person's client, which decides all that waits until the schedule is over."""

    who: str
    stage: Stage
    url: str
    tenant: str
    chance: random.Random
    recorder: Recorder
    over: Over
    rejects: float = 0.1
    wavers: float = 0.1
    is_dead: Callable[[], bool] = lambda: False
    said: dict[str, Decision] = field(default_factory=dict)

    async def live(self) -> None:
        """Look, decide, look again; connect anew after a fault."""
        while not self.over.is_set() and not self.is_dead():
            with suppress(GuardUnavailable):
                async with self.stage.desk(self.url, self.tenant) as desk:
                    await self._sit(desk)
            await asyncio.sleep(LOOK_SECONDS)

    async def _sit(self, desk: Desk) -> None:
        while not self.over.is_set() and not self.is_dead():
            waiting = await desk.channel.connection.execute("ZRANGE", desk.channel.names.pending, 0, -1)
            for one in self.chance.sample(waiting, len(waiting)):
                request = one.decode()
                if request not in self.said or self.chance.random() < self.wavers:
                    await self._decide(desk, request)
            await asyncio.sleep(self.chance.uniform(0.2, 1.8) * LOOK_SECONDS)

    async def _decide(self, desk: Desk, request: str) -> None:
        wants = Decision.REJECT if self.chance.random() < self.rejects else Decision.APPROVE
        op = self.recorder.begin("vote", who=self.who, request=request, revision=1, decision=wants.value)
        try:
            shown = await desk.show(request)
            now = await desk.decide(
                request, person=self.who, key=self.stage.keys[self.who], decision=wants, card_digest=shown.card_digest
            )
            result = _acknowledged(now.state)
        except DecisionRefused as refused:
            result = f"refused: {refused.code}"
        except GuardUnavailable:
            self._end(op, "fault")
            raise
        self._end(op, result)
        self.said[request] = wants

    def _end(self, op: str, result: str) -> None:
        if not self.is_dead():
            self.recorder.end(op, result)


def _acknowledged(state: State) -> str:
    """What a person was told of their vote: approved, rejected, or that it stands."""
    if state.value in GIVEN:
        return "approved"
    return "rejected" if state is State.REJECTED else "pending"


@dataclass(frozen=True, kw_only=True)
class BrakeLife:
    """Somebody who stops calls once, and a second person who lets them go on."""

    stage: Stage
    url: str
    tenant: str
    recorder: Recorder
    scope: Scope
    name: str
    after_seconds: float
    for_seconds: float

    async def live(self) -> None:
        """Freeze, wait, lift, each until it is acknowledged."""
        await asyncio.sleep(self.after_seconds)
        while not await self._freeze():
            await asyncio.sleep(LOOK_SECONDS)
        await asyncio.sleep(self.for_seconds)
        while not await self._lift():
            await asyncio.sleep(LOOK_SECONDS)

    async def _freeze(self) -> bool:
        op = self.recorder.begin("freeze", who="bob", scope=self.scope.value, name=self.name)
        try:
            async with self.stage.brake(self.url, self.tenant) as brake:
                await brake.freeze(self.scope, self.name, reason="a test", person="bob", key=self.stage.keys["bob"])
        except GuardUnavailable:
            self.recorder.end(op, "fault")
            return False
        self.recorder.end(op, "ok")
        return True

    async def _lift(self) -> bool:
        op = self.recorder.begin("lift", who="cem", scope=self.scope.value, name=self.name)
        try:
            async with self.stage.brake(self.url, self.tenant) as brake:
                for order in await brake.standing():
                    with suppress(DecisionRefused):  # an earlier attempt, whose reply was lost, ended it
                        await brake.lift(order, reason="", person="cem", key=self.stage.keys["cem"])
        except GuardUnavailable:
            self.recorder.end(op, "fault")
            return False
        self.recorder.end(op, "ok")
        return True


@dataclass(frozen=True, kw_only=True)
class SettlerLife:
    """Somebody who finds out whether what may have happened did, and says so."""

    stage: Stage
    url: str
    tenant: str
    chance: random.Random
    recorder: Recorder
    over: Over

    async def live(self) -> None:
        """Look for runs that may have happened, until the schedule is over."""
        while not self.over.is_set():
            with suppress(GuardUnavailable):
                async with self.stage.desk(self.url, self.tenant) as desk:
                    await self._sit(desk)
            await asyncio.sleep(LOOK_SECONDS)

    async def _sit(self, desk: Desk) -> None:
        while not self.over.is_set():
            for run in await Deeds(channel=desk.channel).undone():
                if run.attempt is not None:
                    await self._settle(desk, run.subject, run.attempt.session)
            await asyncio.sleep(LOOK_SECONDS)

    async def _settle(self, desk: Desk, deed: str, effect: str) -> None:
        found = self.chance.choice([Found.DID_NOT, Found.HAPPENED])
        op = self.recorder.begin("settle", who="dan", effect=effect)
        try:
            await desk.settle(deed, found, person="dan", key=self.stage.keys["dan"])
        except DecisionRefused as refused:
            self.recorder.end(op, f"refused: {refused.code}")
            return
        except GuardUnavailable:
            self.recorder.end(op, found.value)  # it may count
            raise
        self.recorder.end(op, found.value)
