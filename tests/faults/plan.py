"""A schedule before it is played, worked out from its seed: who does what, and which message of whose line meets which fault."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from agentguard.model.approvals import Scope
from tests.faults.proxy import Fault
from tests.faults.stage import AGENT, APPROVERS, REQUESTER, STRANGER

QUICK = (Fault.CUT, Fault.LOSE, Fault.DELAY)
DEADLY = (Fault.KILL, Fault.KILL_AFTER)
SLOW = (Fault.SWALLOW, Fault.HOLE)
"""These cost a client its whole budget of waiting, so they are rare."""

JUMPS_MS = (65_000, 400_000, -25_000, -3_600_000)
"""Over a decision's deadline, over a permit's, and back."""


class Manner(StrEnum):
    """What a tool does once it was called."""

    RETURNS = "returns"
    RAISES = "raises"
    LINGERS = "lingers"


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
        return self.about(self.order)

    def about(self, order: int) -> str:
        """The name of the effect on this order."""
        return f"{self.tool} {order}"


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
    edits: bool = False

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
        deciders = tuple((person, _faults(chance, upto=40) if chance.random() < 0.4 else {}) for person in people)
        settles = chance.random() < 0.2
        jump = (chance.uniform(0, 0.3), chance.choice(JUMPS_MS)) if jumps else None
        edits = not settles and chance.random() < 0.2  # a settlement names the effect that was asked for
        return cls(seed=seed, agents=agents, deciders=deciders, freeze=freeze, settles=settles, jump=jump, edits=edits)

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
