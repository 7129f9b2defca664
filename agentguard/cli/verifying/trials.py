"""A ground to try policies on: a guard, a real server and made-up people, for one policy after the other.

Rules:
- each policy is written to a folder and opened as any other: nothing of the road is left out;
- each trial has a tenant and a state directory of its own; nothing of a deployment is read or written;
- nobody real is told: what notifies people is taken out of the policy first.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from agentguard.approval import Channel, Desk, Place, Shown, Stored, Turn, read_roster, routed
from agentguard.audit import read
from agentguard.config import Settings, open_guard
from agentguard.errors import CallRefused, DecisionRefused
from agentguard.guard.pipeline import Guard
from agentguard.model.approvals import Decision, Grant
from agentguard.model.calls import Parsed, Principal, ToolCall
from agentguard.model.events import Judged
from agentguard.model.record import Json
from agentguard.store.embedded import Embedded
from agentguard.store.keys import SigningKey
from agentguard.store.names import Names
from agentguard.store.redis import Connection

USER = "verify-user"
OUTSIDER = "verify-outsider"
_LOOK_SECONDS = 0.01
_GIVE_UP_SECONDS = 10.0

Spoil = Callable[[Guard], Guard]


@dataclass
class ProbeTool:
    """A tool that takes anything, gives what it is told to give, and notes what it was run with."""

    name: str
    result: Any = "done"
    ran: list[dict[str, Json]] = field(default_factory=list)
    description: str = "Made up to verify a policy."
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "object"})

    def parse(self, arguments: Mapping[str, Any]) -> Parsed:
        """The arguments as they are."""
        return Parsed(snapshot=dict(arguments))

    async def __call__(self, arguments: Any, /) -> Any:
        """Give the result."""
        self.ran.append(dict(arguments))
        return self.result


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What became of a call: its verdict, and its request while it waits, or why it was refused, or what it gave the model."""

    probe: ProbeTool
    task: asyncio.Task[Any]
    judged: Judged | None
    stored: Stored | None = None
    refused: str = ""
    shown: Any = None

    @property
    def ran(self) -> bool:
        """Whether the tool ran."""
        return bool(self.probe.ran)

    @property
    def given(self) -> dict[str, Json]:
        """What the tool was run with."""
        return self.probe.ran[-1] if self.probe.ran else {}

    @property
    def needs(self) -> set[str]:
        """The approvals that it waits for."""
        return {need.name for need in self.stored.request.needs} if self.stored else set()

    @property
    def spoke(self) -> set[str]:
        """The clauses that decided."""
        return {clause.id for clause in self.judged.clauses} if self.judged else set()

    @property
    def shadowed(self) -> set[str]:
        """The clauses that would have decided too."""
        return {clause.id for clause in self.judged.shadow.clauses} if self.judged and self.judged.shadow else set()


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One policy, opened. Sessions are told apart by name."""

    guard: Guard
    desk: Desk
    keys: Mapping[str, SigningKey]
    journal: Path
    calls: list[asyncio.Task[Any]] = field(default_factory=list)

    async def call(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        result: Any = "done",
        session: str = "s",
        user: str | None = USER,
        said: str | None = None,
    ) -> Observed:
        """Make a call, until it ended or waits for people."""
        probe = ProbeTool(tool, result)
        who = None if user is None else f"{user}@agentguard.example"
        others = {each.request.id for each in await self.desk.list()}
        with self.guard.session(user=who, id=session, autonomous=user is None, asked=said or ""):
            task = asyncio.create_task(self.guard.run(ToolCall(tool=tool, arguments=arguments), probe))
        self.calls.append(task)
        stored = await self._ended_or_waits(task, session, others)
        if stored is None:
            return _ended(probe, task, self._judged(session))
        return Observed(probe=probe, task=task, judged=self._judged(session), stored=stored)

    async def end(self, observed: Observed) -> Observed:
        """What became of a call that waited, once it ended; as it was, where it doesn't."""
        done, _ = await asyncio.wait([observed.task], timeout=_GIVE_UP_SECONDS)
        return _ended(observed.probe, observed.task, observed.judged) if done else observed

    async def vote(
        self, observed: Observed, person: str, decision: Decision = Decision.APPROVE, grant: Grant | None = None
    ) -> bool:
        """One person's vote; whether it counts."""
        if observed.stored is None:
            return False
        request = observed.stored.request
        try:
            shown = await self.desk.show(request.id)
            await self.desk.decide(
                request.id,
                person=person,
                key=self.keys[person],
                decision=decision,
                card_digest=shown.card_digest,
                grant=grant,
            )
        except DecisionRefused:
            return False
        return True

    async def may_edit(self, observed: Observed, person: str, changes: Mapping[str, Json]) -> bool:
        """Whether a person may change arguments."""
        if observed.stored is None:
            return False
        try:
            shown = await self.desk.show(observed.stored.request.id)
            await self.desk.edit(
                observed.stored.request.id,
                changes,
                person=person,
                key=self.keys[person],
                card_digest=shown.card_digest,
            )
        except DecisionRefused:
            return False
        return True

    async def labels(self, session: str = "s") -> set[str]:
        """The labels of a session."""
        principal = Principal(
            tenant=self.guard.principals.tenant,
            agent=self.guard.principals.agent,
            user=f"{USER}@agentguard.example",
            session=session,
        )
        return set(await self.guard.tokens.labels(principal))

    async def _ended_or_waits(self, task: asyncio.Task[Any], session: str, others: Collection[str]) -> Stored | None:
        """The request that the call waits for; None where it ended. `others`: those of earlier calls, however long this one takes."""
        async with asyncio.timeout(_GIVE_UP_SECONDS):
            while not task.done():
                await asyncio.wait([task], timeout=_LOOK_SECONDS)
                new = [each for each in await self.desk.list() if each.request.id not in others]
                waiting = [each for each in new if each.request.principal.session == session]
                if waiting and not task.done():
                    return waiting[0]
        return None

    def _judged(self, session: str) -> Judged | None:
        """The last verdict on record in a session."""
        lines = [entry.body for entry in read(self.journal) if entry.kind == "judged"]
        mine = [Judged.model_validate(body, strict=False) for body in lines if body["principal"]["session"] == session]
        return mine[-1] if mine else None


@dataclass(kw_only=True)
class Ground:
    """Where trials are held. `spoil` changes each guard before it is used: how a test breaks an enforcer on purpose."""

    folder: Path
    url: str
    connection: Connection
    spoil: Spoil
    _numbers: Iterable[int] = field(default_factory=lambda: count(1))

    @asynccontextmanager
    async def trial(
        self, document: Mapping[str, Json], *, agent: str = "agent", deployment: str = ""
    ) -> AsyncIterator[Trial]:
        """A guard under this policy, with people for each of its approvals."""
        number = next(iter(self._numbers))
        folder = self.folder / str(number)
        keys = _write(folder / "policies", document)
        settings = Settings(
            redis_url=self.url, state_dir=folder / "state", config_dir=folder / "config", deployment=deployment
        )
        tenant = f"verify-{number}"
        guard = self.spoil(open_guard(folder / "policies", agent=agent, tenant=tenant, settings=settings))
        roster = read_roster((folder / "policies" / "approvers.yaml").read_text(encoding="utf-8"), "approvers.yaml")
        desk = Desk(channel=Channel(connection=self.connection, names=Names(tenant)), roster=roster)
        trial = Trial(guard=guard, desk=desk, keys=keys, journal=folder / "state" / "journal")
        try:
            yield trial
        finally:
            for task in trial.calls:
                task.cancel()
            await asyncio.gather(*trial.calls, return_exceptions=True)
            await asyncio.to_thread(guard.close)


@asynccontextmanager
async def open_ground(spoil: Spoil = lambda guard: guard) -> AsyncIterator[Ground]:
    """A ground with an embedded server of its own. Raises GuardUnavailable where there is none to start."""
    with tempfile.TemporaryDirectory(prefix="agv-") as folder:
        lease = await asyncio.to_thread(Embedded.acquire, Path(folder) / "server")
        try:
            connection = await Connection.open(lease.url)
            try:
                yield Ground(folder=Path(folder), url=lease.url, connection=connection, spoil=spoil)
            finally:
                await connection.close()
        finally:
            await asyncio.to_thread(lease.release)


def _ended(probe: ProbeTool, task: asyncio.Task[Any], judged: Judged | None) -> Observed:
    """What a call came to. Raises the fault that it ended with."""
    error = task.exception()
    if error is None:
        return Observed(probe=probe, task=task, judged=judged, shown=task.result())
    if isinstance(error, CallRefused):
        return Observed(probe=probe, task=task, judged=judged, refused=f"{error.reason}: {error}")
    raise error


def _write(policies: Path, document: Mapping[str, Json]) -> dict[str, SigningKey]:
    """Write a policy, and people for each of its approvals: those it names, and enough of each group."""
    policies.mkdir(parents=True)
    (policies / "policy.yaml").write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    people: dict[str, list[str]] = {USER: [], OUTSIDER: []}
    for approval in document.get("approvals", {}).values():
        added = [approver for step in approval.get("escalate", ()) for approver in step["to"]]
        for approver in (*approval["approvers"], *added):
            kind, _, name = approver.partition(":")
            if kind == "person":
                people.setdefault(name, [])
            for number in range(approval.get("quorum", 1) + 1) if kind == "group" else ():
                people.setdefault(member(name, number), [name])
    keys = {name: SigningKey.new() for name in people}
    written = {
        name: {"email": f"{name}@agentguard.example", "groups": groups, "key": keys[name].public}
        for name, groups in people.items()
    }
    (policies / "approvers.yaml").write_text(json.dumps({"people": written}), encoding="utf-8")
    return keys


def told_of(observed: Observed, names: Iterable[str]) -> set[str]:
    """Which places of these names a request would go to; none where nobody is asked."""
    places = [Place(name=name, id=name, where=name, notifier=_Silent()) for name in names]
    if observed.stored is None:
        return set()
    return {place.name for place in routed(observed.stored.request.notify, places)[0]}


@dataclass(frozen=True)
class _Silent:
    """A made-up place, which tells nobody."""

    def wants(self, turn: Turn) -> bool:
        """Nothing."""
        return False

    async def tell(self, turn: Turn, shown: Shown) -> None:
        """Nobody."""


def member(group: str, number: int) -> str:
    """The name of a made-up member of a group."""
    return f"v{number}-{group}"[:64]
