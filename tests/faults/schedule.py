"""One random schedule, worked out from its seed: who plays, what they do, and which message of whose line meets which fault."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from agentguard.approval import Channel, Stored, tally
from agentguard.errors import GuardUnavailable
from agentguard.model.approvals import Scope
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from tests.faults.checker import violations
from tests.faults.history import Event, Recorder
from tests.faults.jumping import Jump
from tests.faults.lives import AgentLife, BrakeLife, DeciderLife, Manner, SettlerLife, Task
from tests.faults.proxy import Fault, Proxy
from tests.faults.stage import AGENT, APPROVERS, REQUESTER, STRANGER, Stage, law

QUICK = (Fault.CUT, Fault.LOSE, Fault.DELAY)
DEADLY = (Fault.KILL, Fault.KILL_AFTER)
SLOW = (Fault.SWALLOW, Fault.HOLE)
"""These cost a client its whole budget of waiting, so they are rare."""

NOTED_WITHIN_SECONDS = 60.0
JUMPS_MS = (25_000, 400_000, -25_000, -3_600_000)
"""Over a decision's deadline, over a permit's, and back."""


class Lived(Protocol):
    """Whoever plays."""

    async def live(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one process of an agent does, and what happens to it."""

    who: str
    tasks: tuple[Task, ...]
    faults: dict[int, Fault]
    machine: int
    clock_off_ms: int = 0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A schedule before it is played."""

    seed: int
    agents: tuple[Part, ...]
    deciders: tuple[tuple[str, dict[int, Fault]], ...]
    freeze: tuple[Scope, str, float, float] | None
    settles: bool
    jump: tuple[float, int] | None = None
    rejects: float = 0.1

    @classmethod
    def of(cls, seed: int, *, jumps: bool = False) -> Plan:
        """The plan of this seed. `jumps`: Redis's clock jumps meanwhile (see `jumping`)."""
        chance = random.Random(seed)
        tasks = [_task(chance) for _ in range(chance.randint(1, 2))]
        agents = tuple(
            Part(
                who=f"agent-{number}",
                tasks=tuple(chance.sample(tasks, chance.randint(1, len(tasks)))),
                faults=_faults(chance, upto=45),
                machine=chance.randint(0, 1),
                clock_off_ms=chance.choice([0, 0, 0, -7_200_000, 5_000, 86_400_000]),
            )
            for number in range(chance.choice([1, 1, 2]))
        )
        people = [*chance.sample(APPROVERS, chance.choice([2, 2, 3])), *_bystanders(chance)]
        scopes = [(Scope.TENANT, ""), (Scope.AGENT, AGENT), (Scope.TOOL, tasks[0].tool)]
        freeze = (
            (*chance.choice(scopes), chance.uniform(0, 0.15), chance.choice([0.05, 0.15, 0.3]))
            if chance.random() < 0.3
            else None
        )
        return cls(
            seed=seed,
            agents=agents,
            deciders=tuple((person, _faults(chance, upto=40) if chance.random() < 0.4 else {}) for person in people),
            freeze=freeze,
            settles=chance.random() < 0.2,
            jump=(chance.uniform(0, 0.3), chance.choice(JUMPS_MS)) if jumps else None,
        )

    @classmethod
    def once(cls, seed: int) -> Plan:
        """A plan in which a reply is lost, the tool's or one of Redis, and the model calls again and again under new ids."""
        chance = random.Random(f"once {seed}")
        manner = chance.choice([Manner.RAISES, Manner.RAISES, Manner.RETURNS])
        task = Task(tool=chance.choice(["pay", "wire"]), order=1, manner=manner, attempts=7, new_ids=True)
        lost = chance.choices([Fault.LOSE, Fault.SWALLOW], [20, 1], k=chance.choice([1, 2]))
        parts = tuple(
            Part(
                who=f"agent-{number}",
                tasks=(task,),
                faults={chance.randint(4, 30): kind for kind in lost},
                machine=number,
            )
            for number in range(chance.choice([1, 1, 2]))
        )
        return cls.plain(seed, *parts)

    @classmethod
    def plain(cls, seed: int, *agents: Part, bob: dict[int, Fault] | None = None) -> Plan:
        """Agents, and two people who approve everything; faults may meet one of them."""
        people = ((APPROVERS[0], bob or {}), (APPROVERS[1], {}))
        return cls(seed=seed, agents=agents, deciders=people, freeze=None, settles=False, rejects=0.0)


def everywhere(kind: str, seed: int) -> Plan:
    """The plan in which the fault of this kind comes at message (or await) number `seed`, and at no other."""
    task = Task(tool="wire", order=1)
    match kind:
        case "cancelled":
            return Plan.plain(seed, _alone(replace(task, cancel_at=seed)))
        case "lost":
            return Plan.plain(seed, _alone(replace(task, new_ids=True, attempts=6), {seed: Fault.LOSE}))
        case "person":
            return Plan.plain(seed, _alone(task), bob={seed: Fault.KILL})
        case "person after":
            return Plan.plain(seed, _alone(task), bob={seed: Fault.KILL_AFTER})
        case "killed":
            return Plan.plain(seed, _alone(task, {seed: Fault.KILL}))
        case _:
            return Plan.plain(seed, _alone(task, {seed: Fault.KILL_AFTER}))


EVERYWHERE = {"cancelled": 40, "lost": 34, "killed": 34, "killed after": 34, "person": 24, "person after": 24}
"""The kinds of faults that come everywhere, and past which message or await none is met any more."""


def _alone(task: Task, faults: dict[int, Fault] | None = None) -> Part:
    return Part(who="agent", tasks=(task,), faults=faults or {}, machine=0)


def _task(chance: random.Random) -> Task:
    return Task(
        tool=chance.choices(["note", "pay", "refund", "wire"], [1, 3, 4, 4])[0],
        order=chance.randint(1, 9),
        manner=chance.choices(list(Manner), [4, 2, 1])[0],
        attempts=chance.randint(2, 4),
        new_ids=chance.random() < 0.4,
        cancel_seconds=chance.uniform(0, 0.2) if chance.random() < 0.2 else None,
        hold_seconds=chance.uniform(0, 0.1) if chance.random() < 0.2 else None,
    )


def _faults(chance: random.Random, *, upto: int) -> dict[int, Fault]:
    """Which messages of a line meet what: mostly one or two, the last of them deadly now and then."""
    kinds = chance.choices([*QUICK, *DEADLY, *SLOW], [6, 8, 4, 5, 5, 0.3, 0.3], k=chance.choice([0, 1, 1, 2, 3]))
    return {chance.randint(1, upto): kind for kind in kinds}


def _bystanders(chance: random.Random) -> Sequence[str]:
    """Whose votes must not count: the requester, and somebody of another group."""
    return [person for person in (REQUESTER, STRANGER) if chance.random() < 0.3]


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
