"""What schedules are played on: a policy, its people and their keys, and the tools' names; shared by all schedules of a run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from agentguard.approval import Brake, Channel, Desk, Roster
from agentguard.config import Settings, open_guard
from agentguard.config.files import read_roster
from agentguard.guard.pipeline import Guard
from agentguard.store.keys import Keyring, SigningKey
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from tests.faults.checker import Law

POLICY = """\
version: 1
risk: {low: allow, medium: allow, high: {ask: one}, critical: {ask: two}}
tools:
  note: {risk: low, labels: []}
  pay: {risk: low, labels: [], once: args.order}
  refund: {risk: high, labels: []}
  wire: {risk: critical, labels: [], once: args.order}
approvals:
  one: {approvers: [group:ops], deadline: 60s}
  two: {approvers: [group:ops], quorum: 2, deadline: 60s}
"""
QUORUM = {"note": 0, "pay": 0, "refund": 1, "wire": 2}
EFFECTS = frozenset({"pay", "wire"})
AGENT = "clerk"
EDITED_BY = 100
"""By how much an edit raises the number of an order, so that what runs tells which revision it is."""

LOOK_SECONDS = 0.02
"""How often everybody looks for what there is to do."""

REQUESTER, STRANGER = "ann", "zoe"
APPROVERS = ("bob", "cem", "dan")
GROUPS = {REQUESTER: "ops", STRANGER: "others"} | dict.fromkeys(APPROVERS, "ops")


def law(*, clock_jumps: bool = False) -> Law:
    """What holds on this stage, for the checker."""
    return Law(quorum=QUORUM, approvers=frozenset(APPROVERS), requester=REQUESTER, clock_jumps=clock_jumps)


@dataclass(frozen=True)
class Stage:
    """Policies, approvers and keys in a folder."""

    folder: Path

    @classmethod
    def set(cls, folder: Path) -> Stage:
        """A new one."""
        policies, keys = folder / "policies", {person: SigningKey.new() for person in GROUPS}
        policies.mkdir()
        (policies / "policy.yaml").write_text(POLICY)
        people = [
            f'  {name}: {{email: {name}@acme.example, groups: [{group}], key: "{keys[name].public}"}}'
            for name, group in GROUPS.items()
        ]
        (policies / "approvers.yaml").write_text("people:\n" + "\n".join(people) + "\n")
        for person, key in keys.items():
            key.save(folder / "keys" / person)
        Keyring.load_or_create(folder / "keyring.json")
        return cls(folder)

    @cached_property
    def keys(self) -> Mapping[str, SigningKey]:
        """Everybody's key."""
        return {person: SigningKey.load(self.folder / "keys" / person) for person in GROUPS}

    @cached_property
    def roster(self) -> Roster:
        """Everybody, as approvers.yaml has them."""
        return read_roster(self.folder / "policies")

    def guard(self, url: str, tenant: str, machine: Path) -> Guard:
        """A guard as a process on that machine opens it."""
        settings = Settings(
            redis_url=url, state_dir=machine, config_dir=self.folder / "config", keys=self.folder / "keyring.json"
        )
        return open_guard(self.folder / "policies", agent=AGENT, tenant=tenant, settings=settings)

    @asynccontextmanager
    async def desk(self, url: str, tenant: str) -> AsyncIterator[Desk]:
        """The approvers' side."""
        connection = await Connection.open(url)
        try:
            yield Desk(channel=Channel(connection=connection, names=Names(tenant)), roster=self.roster)
        finally:
            await connection.close()

    @asynccontextmanager
    async def brake(self, url: str, tenant: str) -> AsyncIterator[Brake]:
        """Where people stop calls."""
        async with self.desk(url, tenant) as desk:
            yield Brake(channel=desk.channel, roster=self.roster)
