"""One schedule, played in this process: a life for each of its processes and people, and a proxy for each line."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from agentguard.approval import Channel, Stored, tally
from agentguard.errors import GuardUnavailable
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from tests.faults.agents import AgentLife
from tests.faults.checker import violations
from tests.faults.history import Event, Recorder
from tests.faults.jumping import Jump
from tests.faults.people import BrakeLife, DeciderLife, EditorLife, SettlerLife
from tests.faults.plan import Part, Plan
from tests.faults.proxy import Fault, Proxy
from tests.faults.stage import Stage, law

NOTED_WITHIN_SECONDS = 60.0


class Lived(Protocol):
    """Whoever plays."""

    async def live(self) -> None: ...


@dataclass(kw_only=True)
class Played:
    """What came of a schedule: its history, and which promises it broke."""

    seed: int
    history: Sequence[Event]
    broken: list[str]


@dataclass(kw_only=True)
class Play:
    """A schedule that is being played in this process, on a server that others use too."""

    plan: Plan
    stage: Stage
    server: Path
    folder: Path
    recorder: Recorder = field(init=False)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    ran: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.recorder = Recorder(self.folder / "history")

    @property
    def tenant(self) -> str:
        """Where it is played: nobody else is there."""
        return f"seed-{self.plan.seed}-{self.folder.name}"

    async def played(self) -> Played:
        """Play it to its end, and check its history."""
        async with AsyncExitStack() as lines:
            people = [asyncio.create_task(self._person(lines, *each)) for each in self.plan.deciders]
            people += [asyncio.create_task(life.live()) for life in self._others()]
            await asyncio.gather(*(self._agent(part) for part in self.plan.agents))
            self.over.set()
            await asyncio.gather(*people)
        await note_what_is_stored(f"unix://{self.server}", self.tenant, self.stage, self.recorder)
        history = self.recorder.read()
        shutil.rmtree(self.folder)
        return Played(
            seed=self.plan.seed,
            history=history,
            broken=violations(history, law(clock_jumps=self.plan.jump is not None)),
        )

    def _others(self) -> list[Lived]:
        """Those whose lines are good."""
        there = {"stage": self.stage, "url": f"unix://{self.server}", "tenant": self.tenant, "recorder": self.recorder}
        found: list[Lived] = []
        if self.plan.freeze is not None:
            scope, name, after, lasts = self.plan.freeze
            found.append(BrakeLife(**there, scope=scope, name=name, after_seconds=after, for_seconds=lasts))
        if self.plan.settles:
            found.append(SettlerLife(**there, chance=random.Random(self.plan.seed), over=self.over))
        if self.plan.edits:
            found.append(EditorLife(**there, over=self.over))
        if self.plan.jump is not None:
            found.append(
                Jump(url=there["url"], tenant=self.tenant, after_seconds=self.plan.jump[0], by_ms=self.plan.jump[1])
            )
        return found

    async def _agent(self, part: Part) -> None:
        """A process of the agent, and, where it dies, the one that is started after it, whose line is good."""
        if await self._process(part, part.who, part.faults):
            await self._process(part, f"{part.who}-again", {})

    async def _process(self, part: Part, who: str, faults: dict[int, Fault]) -> bool:
        """Whether it died."""
        async with AsyncExitStack() as lines:
            proxy = await self._proxy(lines, who, faults)
            guard = self.stage.guard(proxy.url, self.tenant, self.folder / f"machine-{part.machine}")
            _put_off(guard.asking.requests.link, part.clock_off_ms)
            chance = random.Random(f"{self.plan.seed} {who}")
            life = AgentLife(
                who=who,
                guard=guard,
                tasks=part.tasks,
                chance=chance,
                recorder=self.recorder,
                is_dead=lambda: proxy.is_dead,
                ran=self.ran,
            )
            await self._until_death(proxy, life)
            await asyncio.to_thread(guard.close)
        return proxy.is_dead

    async def _person(self, lines: AsyncExitStack, who: str, faults: dict[int, Fault]) -> None:
        """A person's client, and, where it dies, the one that they start after it."""
        for attempt in range(2):
            proxy = await self._proxy(lines, f"{who}-{attempt}", {} if attempt else faults)
            life = DeciderLife(
                who=who,
                stage=self.stage,
                url=proxy.url,
                tenant=self.tenant,
                chance=random.Random(f"{self.plan.seed} {who} {attempt}"),
                recorder=self.recorder,
                over=self.over,
                rejects=self.plan.rejects,
                is_dead=lambda proxy=proxy: proxy.is_dead,
            )
            await self._until_death(proxy, life)
            if not proxy.is_dead:
                return

    async def _until_death(self, proxy: Proxy, life: Lived) -> None:
        living = asyncio.ensure_future(life.live())

        def die() -> None:
            self.recorder.at_once("death", who=getattr(life, "who", ""))
            living.cancel()

        proxy.on_kill = die
        try:
            await living
        except asyncio.CancelledError:
            if not proxy.is_dead:
                raise
        except Exception:
            if not proxy.is_dead:
                raise

    async def _proxy(self, lines: AsyncExitStack, name: str, faults: dict[int, Fault]) -> Proxy:
        proxy = Proxy(path=self.folder / name, upstream=self.server, faults=faults, recorder=self.recorder)
        await proxy.start()
        lines.push_async_callback(proxy.close)
        return proxy


def _put_off(link: object, clock_off_ms: int) -> None:
    """Have a guard begin with a clock that is wrong."""
    made: Callable[[Connection], Channel] = link.channel  # type: ignore[attr-defined]

    def channel(connection: Connection) -> Channel:
        found = made(connection)
        if clock_off_ms:
            found.clock.set(found.clock.now_ms() + clock_off_ms)
        return found

    link.channel = channel  # type: ignore[attr-defined]


async def note_what_is_stored(url: str, tenant: str, stage: Stage, recorder: Recorder) -> None:
    """Note each request as it stands now, and whose approvals count. The tenant has nothing afterwards."""
    found = None
    async with asyncio.timeout(NOTED_WITHIN_SECONDS):
        while found is None:
            with suppress(GuardUnavailable):  # a machine that is busy with other things
                found = await _read_and_forget(url, tenant)
    for stored in found:
        request = stored.request
        counted = tally(
            request.needs,
            stored.votes,
            stage.roster,
            request.principal,
            opened_ms=request.opened_ms,
            now_ms=stored.now_ms,
        )
        people = [person for standing in counted.standings for person in standing.people]
        recorder.at_once(
            "stored",
            stored.state.value,
            request=request.id,
            revision=request.revision,
            tool=request.tool,
            people=people,
        )


async def _read_and_forget(url: str, tenant: str) -> Sequence[Stored]:
    connection = await Connection.open(url)
    try:
        channel = Channel(connection=connection, names=Names(tenant))
        prefix = f"{channel.names.prefix}request:"
        keys = await connection.execute("KEYS", f"{channel.names.prefix}*")
        ids = [key.decode().removeprefix(prefix) for key in keys if key.startswith(prefix.encode())]
        found = [await channel.read(request_id) for request_id in ids]
        await connection.pipeline([("DEL", key) for key in keys])
    finally:
        await connection.close()
    return found
