"""A schedule in which agents and people are processes of their own, which are killed, on a server that is killed and stopped too.

The processes come from a fork server that has imported everything, and talk through proxies that live here. A kill is a SIGKILL: at a
message of the process, or at some moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
import random
import shutil
import signal
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

from agentguard.model.approvals import Scope
from agentguard.store.redis import Connection
from tests.approval.server import Server
from tests.faults.agents import AgentLife
from tests.faults.checker import violations
from tests.faults.history import Recorder
from tests.faults.people import BrakeLife, DeciderLife, EditorLife, SettlerLife
from tests.faults.plan import Plan, Task
from tests.faults.proxy import Fault, Proxy
from tests.faults.schedule import Played, note_what_is_stored
from tests.faults.stage import Stage, law

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.faults.processes"])

ENDS_WITHIN_SECONDS = 120.0
PAUSE_SECONDS = 0.7
"""How long a paused process of an agent stands still: over several of its looks at freezes."""

Moments = tuple[float | None, float | None]
NOTHING_AFTER: tuple[dict[int, Fault], Moments] = ({}, (None, None))
"""What happens to a process that is started in a dead one's place."""


@dataclass(frozen=True)
class Flag:
    """A file that is there once a schedule is over."""

    file: Path

    def is_set(self) -> bool:
        """Whether it is there."""
        return self.file.exists()


def live_as_agent(
    stage: Path, folder: Path, url: str, machine: Path, who: str, tasks: Sequence[Task], seed: str
) -> None:
    """What a process of the agent does."""
    logging.disable(logging.CRITICAL)
    guard = Stage(stage).guard(url, "default", machine)
    life = AgentLife(
        who=who, guard=guard, tasks=tasks, chance=random.Random(seed), recorder=Recorder(folder / "history")
    )
    asyncio.run(life.live())
    guard.close()


def live_as_person(stage: Path, folder: Path, url: str, who: str, seed: str) -> None:
    """What a person's client does."""
    logging.disable(logging.CRITICAL)
    life = DeciderLife(
        who=who,
        stage=Stage(stage),
        url=url,
        tenant="default",
        chance=random.Random(seed),
        recorder=Recorder(folder / "history"),
        over=Flag(folder / "over"),
    )
    asyncio.run(life.live())


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What happens to processes and the server, by the seed: kills and pauses after so many seconds, and the server's own fate."""

    agents_die: tuple[float | None, ...]
    agents_pause: tuple[float | None, ...]
    people_die: tuple[float | None, ...]
    server: tuple[tuple[str, float, float], ...]

    @classmethod
    def of(cls, seed: int, plan: Plan) -> Trouble:
        """At least one kill: of the server, where no process is to die."""
        chance = random.Random(f"trouble {seed}")
        agents = tuple(_moment(chance, 0.6) for _ in plan.agents)
        pauses = tuple(_moment(chance, 0.25) for _ in plan.agents)
        people = tuple(_moment(chance, 0.2) for _ in plan.deciders)
        kinds = chance.choices(["kill", "stop", "full", "flush"], [4, 3, 1, 1], k=chance.choice([0, 1, 1, 2]))
        if not any(moment is not None for moment in agents):
            kinds = ["kill", *kinds]
        server = tuple((kind, chance.uniform(0.02, 0.5), chance.uniform(0.05, 0.6)) for kind in kinds)
        return cls(agents_die=agents, agents_pause=pauses, people_die=people, server=server)


def _moment(chance: random.Random, likely: float) -> float | None:
    return chance.uniform(0.02, 0.6) if chance.random() < likely else None


def _signal(process: BaseProcess, number: signal.Signals) -> None:
    if process.pid is not None and process.is_alive():
        os.kill(process.pid, number)


@dataclass(kw_only=True)
class Ordeal:
    """A schedule that is being played by processes. `kills` counts those that were killed, the server among them."""

    plan: Plan
    trouble: Trouble
    stage: Stage
    folder: Path
    server: Server = field(default_factory=Server)
    kills: int = 0
    recorder: Recorder = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.recorder = Recorder(self.folder / "history")

    async def played(self) -> Played:
        """Play it to its end, and check its history."""
        await asyncio.to_thread(self.server.start)
        try:
            async with asyncio.timeout(ENDS_WITHIN_SECONDS), AsyncExitStack() as lines:
                await self._play(lines)
            await note_what_is_stored(self.server.url, "default", self.stage, self.recorder)
        finally:
            self.server.remove()
        history = self.recorder.read()
        shutil.rmtree(self.folder)
        return Played(seed=self.plan.seed, history=history, broken=violations(history, law()))

    async def _play(self, lines: AsyncExitStack) -> None:
        over = Flag(self.folder / "over")
        people = [
            asyncio.create_task(self._person(lines, who, faults, dies))
            for (who, faults), dies in zip(self.plan.deciders, self.trouble.people_die, strict=True)
        ]
        there = {"stage": self.stage, "url": self.server.url, "tenant": "default", "recorder": self.recorder}
        if self.plan.freeze is not None:
            scope, name, after, lasts = self.plan.freeze
            everybody = self.plan.seed % 3 == 0
            scope, name = (Scope.ALL, "") if everybody else (scope, name)
            life = BrakeLife(**there, scope=scope, name=name, after_seconds=after, for_seconds=5 * lasts)
            people.append(asyncio.create_task(life.live()))
        if self.plan.settles:
            settler = SettlerLife(**there, chance=random.Random(self.plan.seed), over=over)
            people.append(asyncio.create_task(settler.live()))
        if self.plan.edits:
            people.append(asyncio.create_task(EditorLife(**there, over=over).live()))
        people.append(asyncio.create_task(self._trouble_the_server()))
        await asyncio.gather(*(self._agent(lines, number, dies) for number, dies in enumerate(self.trouble.agents_die)))
        over.file.touch()
        await asyncio.gather(*people)

    async def _agent(self, lines: AsyncExitStack, number: int, dies: float | None) -> None:
        part, pause = self.plan.agents[number], self.trouble.agents_pause[number]
        for life, (faults, moments) in enumerate([(part.faults, (dies, pause)), NOTHING_AFTER]):
            proxy = await self._proxy(lines, f"{part.who}-{life}", faults)
            given = (
                self.stage.folder,
                self.folder,
                proxy.url,
                self.folder / f"machine-{part.machine}",
                f"{part.who}-{life}",
                part.tasks,
            )
            if not await self._lived(proxy, f"{part.who}-{life}", moments, live_as_agent, *given, f"{self.plan.seed}"):
                return

    async def _person(self, lines: AsyncExitStack, who: str, faults: dict[int, Fault], dies: float | None) -> None:
        for life, (some, moments) in enumerate([(faults, (dies, None)), NOTHING_AFTER]):
            proxy = await self._proxy(lines, f"{who}-{life}", some)
            given = (self.stage.folder, self.folder, proxy.url, who, f"{self.plan.seed} {who} {life}")
            if not await self._lived(proxy, who, moments, live_as_person, *given):
                return

    async def _lived(self, proxy: Proxy, who: str, moments: Moments, live: Callable[..., None], *given: object) -> bool:
        """Whether a process was killed before it ended by itself. `moments`: when it is killed, and when it is paused."""
        dies, pauses = moments
        process: BaseProcess = FORKS.Process(target=live, args=given)
        killed = asyncio.Event()

        def die() -> None:
            if process.is_alive():
                killed.set()
                process.kill()
                self.recorder.at_once("death", who=who)

        await asyncio.to_thread(process.start)
        proxy.on_kill = die
        later = asyncio.get_running_loop().call_later
        coming = [later(dies, proxy.kill)] if dies is not None else []
        if pauses is not None:
            coming += [
                later(pauses, _signal, process, signal.SIGSTOP),
                later(pauses + PAUSE_SECONDS, _signal, process, signal.SIGCONT),
            ]
        try:
            while process.is_alive():
                await asyncio.sleep(0.01)
        finally:
            for each in coming:
                each.cancel()
            process.kill()
            await asyncio.to_thread(process.join)
        self.kills += killed.is_set()
        if process.exitcode and not killed.is_set():
            raise RuntimeError(f"{who} ended with {process.exitcode}")
        return killed.is_set()

    async def _trouble_the_server(self) -> None:
        for kind, after, lasts in self.trouble.server:
            await asyncio.sleep(after)
            match kind:
                case "kill":
                    self.server.kill()
                    self.kills += 1
                    await asyncio.sleep(lasts)
                    await asyncio.to_thread(self.server.start)
                case "stop":
                    self.server.freeze()
                    await asyncio.sleep(lasts)
                    self.server.thaw()
                case "full":
                    await self._say("CONFIG", "SET", "maxmemory", "1")
                    await asyncio.sleep(lasts)
                    await self._say("CONFIG", "SET", "maxmemory", "0")
                case "flush":
                    await self._say("SCRIPT", "FLUSH")

    async def _say(self, *command: str) -> None:
        connection = await Connection.open(self.server.url)
        with contextlib.suppress(Exception):
            await connection.execute(*command)
        await connection.close()

    async def _proxy(self, lines: AsyncExitStack, name: str, faults: dict[int, Fault]) -> Proxy:
        proxy = Proxy(path=self.folder / name, upstream=self.server.folder / "s", faults=faults, recorder=self.recorder)
        await proxy.start()
        lines.push_async_callback(proxy.close)
        return proxy
