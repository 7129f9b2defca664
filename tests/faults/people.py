"""People who play in a schedule: who decide, edit, stop calls, and say what happened.

Rules:
- they note what they do before they do it, and what came of it after;
- they try again after a fault, as a client would;
- the dead do nothing: a life whose process was killed notes no end.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from agentguard.approval import Deeds, Desk, Stored
from agentguard.errors import DecisionRefused, GuardUnavailable
from agentguard.model.approvals import Decision, Found, Request, Scope, State
from tests.faults.checker import GIVEN
from tests.faults.history import Recorder
from tests.faults.stage import EDITED_BY, LOOK_SECONDS, Stage


class Over(Protocol):
    """Says when a schedule is over."""

    def is_set(self) -> bool: ...


async def _at_a_desk(
    stage: Stage, url: str, tenant: str, sit: Callable[[Desk], Awaitable[None]], *, until: Callable[[], bool]
) -> None:
    """Sit at a desk of the tenant; after a fault, at another one."""
    while not until():
        with suppress(GuardUnavailable):
            async with stage.desk(url, tenant) as desk:
                await sit(desk)
        await asyncio.sleep(LOOK_SECONDS)


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
    said: dict[tuple[str, int], Decision] = field(default_factory=dict)

    async def live(self) -> None:
        """Look, decide, look again; connect anew after a fault."""
        await _at_a_desk(self.stage, self.url, self.tenant, self._sit, until=self._is_over)

    def _is_over(self) -> bool:
        return self.over.is_set() or self.is_dead()

    async def _sit(self, desk: Desk) -> None:
        while not self._is_over():
            waiting = await desk.channel.connection.execute("ZRANGE", desk.channel.names.pending, 0, -1)
            for one in self.chance.sample(waiting, len(waiting)):
                request = one.decode()
                if self._has_something_to_say(await desk.channel.read(request)):
                    await self._decide(desk, request)
            await asyncio.sleep(self.chance.uniform(0.2, 1.8) * LOOK_SECONDS)

    def _has_something_to_say(self, stored: Stored) -> bool:
        """Of each revision once, and sometimes once more."""
        key = (stored.request.id, stored.request.revision)
        return key not in self.said or self.chance.random() < self.wavers

    async def _decide(self, desk: Desk, request: str) -> None:
        wants = Decision.REJECT if self.chance.random() < self.rejects else Decision.APPROVE
        shown = await desk.show(request)
        revision = shown.stored.request.revision
        op = self.recorder.begin("vote", who=self.who, request=request, revision=revision, decision=wants.value)
        try:
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
        if result not in ("refused: changed", "refused: other_card"):
            self.said[request, revision] = wants

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


@dataclass(kw_only=True)
class EditorLife:
    """Somebody who changes the order that a waiting call is about, once for each request."""

    stage: Stage
    url: str
    tenant: str
    recorder: Recorder
    over: Over
    edited: set[str] = field(default_factory=set)

    async def live(self) -> None:
        """Look for what waits, until the schedule is over."""
        await _at_a_desk(self.stage, self.url, self.tenant, self._sit, until=self.over.is_set)

    async def _sit(self, desk: Desk) -> None:
        while not self.over.is_set():
            for stored in await desk.list():
                if stored.request.id not in self.edited:
                    self.edited.add(stored.request.id)
                    await self._edit(desk, stored.request)
            await asyncio.sleep(LOOK_SECONDS / 2)

    async def _edit(self, desk: Desk, request: Request) -> None:
        order = json.loads(request.card.arguments)["order"] + EDITED_BY
        card = request.card.digest()
        op = self.recorder.begin("edit", who="dan", request=request.id, revision=request.revision)
        try:
            await desk.edit(request.id, {"order": order}, person="dan", key=self.stage.keys["dan"], card_digest=card)
        except DecisionRefused as refused:
            self.recorder.end(op, f"refused: {refused.code}")
        except GuardUnavailable:
            self.recorder.end(op, "fault")
            raise
        else:
            self.recorder.end(op, "ok")


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
        await _at_a_desk(self.stage, self.url, self.tenant, self._sit, until=self.over.is_set)

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
