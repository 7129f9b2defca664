"""Access rules of Redis: two users, one for each side, who can't write what the other one says.

Rules:
- the agent's user reads votes, settlements, freezes, lifts and revocations, and writes none of them, by no command and no script;
- the approvers' user reads requests and claims, and writes none of them; it sees no vault;
- neither trims, deletes from or removes a stream, or has an administrator's commands. (XADD can trim as it appends, and no rule of Redis
  forbids that: events are hints, and the records are the truth.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agentguard.store.names import ANY_TENANT, EVERYBODY, Names

_AGENT_WRITES = (
    "request:* claim:* call:* join:* turn:* deed:* grants grants:* uses:* vault:* labels:* limit:* subjects:* withheld:* "
    "recipients:* usual:* asking:* erasures said:* brought:* sources:* counts:* running:*"
).split()
_APPROVERS_WRITE = (
    "votes:* settled:* freezes lift:* revoked:* repeat:* pace:* logged-out:* posted:* press:* events:webhooks:*"
).split()
_BOTH_WRITE = "pending steps ended undone events".split()
_AGENT_READS = "votes:* settled:* freezes lift:* revoked:*".split()
_APPROVERS_READ = "request:* claim:* turn:* deed:* grants grants:* uses:* labels:* asking:* running:*".split()

_COMMANDS = (
    "-@all +@read +@write +@connection +eval +evalsha +time +wait "
    "-@dangerous -@geo -@bitmap -@hyperloglog -del -unlink -xtrim -xdel -rename -renamenx -move -copy"
)
"""What a command may touch is for the rules on keys to say. Taken away are those that administer, remove, carry a value from one key to
another, and kinds of values that nothing here uses (of which PFMERGE with one key writes where it may only read)."""

_AGENT_DELETES = ("vault:*", "subjects:*", "said:*", "brought:*", "sources:*", "counts:*")
_APPROVERS_DELETE = ("repeat:*", "posted:*")


@dataclass(frozen=True, kw_only=True, slots=True)
class AclUser:
    """One user of Redis, as a line of an ACL file has it."""

    name: str
    writes: Sequence[str]
    reads: Sequence[str]
    deletes: Sequence[str]
    more: str = ""

    def line(self, password: str, prefixes: Iterable[str]) -> str:
        """The line; the password stands in it as its hash. `prefixes`: what the keys of the tenants begin with."""
        known = list(prefixes)
        keys = [f"%RW~{prefix}{name}" for prefix in known for name in self.writes]
        keys += [f"%R~{prefix}{name}" for prefix in known for name in self.reads]
        deleted = " ".join(f"%W~{prefix}{name}" for prefix in known for name in self.deletes)
        digest = hashlib.sha256(password.encode()).hexdigest()
        rules = f"{_COMMANDS}{self.more} (+del {deleted})"
        return f"user {self.name} on #{digest} resetchannels {' '.join(keys)} {rules}"


AGENT = AclUser(
    name="agentguard-agent",
    writes=(*_AGENT_WRITES, *_BOTH_WRITE),
    reads=_AGENT_READS,
    deletes=_AGENT_DELETES,
    more=" +scan",
)
APPROVERS = AclUser(
    name="agentguard-approvers",
    writes=(*_APPROVERS_WRITE, *_BOTH_WRITE),
    reads=_APPROVERS_READ,
    deletes=_APPROVERS_DELETE,
    more=" -scan",
)


def prefixes_of(tenants: Sequence[str]) -> tuple[str, ...]:
    """What the keys of these tenants begin with, and those of everybody's freezes; no tenants: of all."""
    if not tenants:
        return (ANY_TENANT,)
    return tuple(Names(tenant).prefix for tenant in (*tenants, EVERYBODY))
