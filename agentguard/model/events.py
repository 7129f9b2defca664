"""What the journal records: one frozen record for each kind of line.

Rules:
- nothing in clear: masked text, keyed digests, counts, ids, and words of the policy;
- a name, never a list of names, says what kind a line is (`KINDS`);
- each says which policy was in force when it was written (`policy_version`);
- what differs from call to call stands last in the two that every call writes: all before it is written once (`audit.Stencil`);
- digests are keyed (HMAC), because a bare hash of a short value is reversed in minutes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from agentguard.errors import RefusalReason
from agentguard.model.approvals import Decision, Scope
from agentguard.model.calls import Principal
from agentguard.model.record import Record
from agentguard.model.verdicts import Effect, Risk, Said, Spoke, Verdict


class Opened(Record):
    """The first record of a writer's every segment; `previous` is the MAC of the record before, empty in segment 1."""

    cause: Literal["start", "size", "age", "fsync failed"]
    key_id: str
    pid: int
    policy_version: str
    previous: str
    segment: int


class Shadowed(Record):
    """What a verdict would have been if the clauses in shadow counted too, and all that would have spoken."""

    risk: Risk
    effect: Effect
    clauses: tuple[Spoke, ...]
    needs: tuple[str, ...]

    @classmethod
    def of(cls, said: Said) -> Shadowed:
        """What the journal keeps of it."""
        return cls(
            risk=said.risk,
            effect=said.effect,
            clauses=said.spoke,
            needs=tuple(need.name for need in said.needs),
        )


class Judged(Record):
    """Step 4: what policy said of a call, before anything else happens.

    `arguments` is JSON text of the masked arguments, `snapshot_digest` a keyed digest of the real ones. `entities`
    counts findings by type. `revealed` says which entity types were restored into which parameter: an unmasking is on
    record. `kept` is the id under which the call is kept, sealed, for `policy replay`; empty where it isn't.
    """

    principal: Principal
    tool: str
    risk: Risk
    effect: Effect
    clauses: tuple[Spoke, ...]
    needs: tuple[str, ...]
    policy_version: str
    shadow: Shadowed | None = None
    call_id: str | None
    arguments: str
    snapshot_digest: str
    entities: dict[str, int] = Field(default_factory=dict)
    revealed: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    kept: str = ""

    @classmethod
    def of(
        cls,
        verdict: Verdict,
        *,
        principal: Principal,
        call_id: str | None,
        arguments: str,
        snapshot_digest: str,
        entities: dict[str, int],
        revealed: dict[str, tuple[str, ...]],
        kept: str = "",
    ) -> Judged:
        """The record of a verdict on one call."""
        return cls(
            principal=principal,
            tool=verdict.tool,
            risk=verdict.risk,
            effect=verdict.effect,
            clauses=verdict.spoke,
            needs=tuple(need.name for need in verdict.needs),
            policy_version=verdict.policy_version,
            shadow=None if verdict.shadow is None else Shadowed.of(verdict.shadow),
            call_id=call_id,
            arguments=arguments,
            snapshot_digest=snapshot_digest,
            entities=entities,
            revealed=revealed,
            kept=kept,
        )


class Refused(Record):
    """A call that did not run. `code` is stable and holds no value (a clause id, a validation rule, ...)."""

    principal: Principal
    policy_version: str
    call_id: str | None
    tool: str
    reason: RefusalReason
    code: str = ""
    request: str | None = None


Joined = Literal["created", "found", "joined", "revised"]
"""How a call came to its request: opened, found again, joined as the very same call, or with arguments that a person changed."""


class Asked(Record):
    """A request opened, found again or joined; `deadline_ms` stands on Redis's clock."""

    principal: Principal
    policy_version: str
    call_id: str | None
    tool: str
    request: str
    revision: int
    joined: Joined
    digest: str
    card_digest: str
    needs: tuple[str, ...]
    deadline_ms: int


class Edited(Record):
    """A person's change of the arguments (their names) of a call that waits; `revision` is 0 where it was refused."""

    principal: Principal
    call_id: str | None
    tool: str
    request: str
    revision: int
    arguments: tuple[str, ...]
    person: str
    signer: str


class Unmasked(Record):
    """A person looked at the real value of an argument of a request; `login` is how they had come in."""

    principal: Principal
    tool: str
    request: str
    argument: str
    person: str
    login: str


class Counted(Record):
    """A vote that counted: who, what they said, and whose key signed it."""

    person: str
    decision: Decision
    signer: str


class Permitted(Record):
    """A call that may run once. Without a request policy allowed it by itself, and nobody voted."""

    principal: Principal
    policy_version: str
    call_id: str | None
    tool: str
    snapshot_digest: str
    request: str | None = None
    votes: tuple[Counted, ...] = ()
    assurance: Literal["policy", "same-user", "separate"] = "policy"


class Confirmed(Record):
    """What its user answered about a call that nobody else must approve, where the agent's client asked them. It runs once, if confirmed.

    `question` is the question's id; `digest` that of the call it was about, and `card_digest` that of what was shown.
    """

    principal: Principal
    policy_version: str
    call_id: str | None
    tool: str
    question: str
    digest: str
    card_digest: str
    answer: Literal["confirmed", "refused"]


class GrantUsed(Record):
    """A call that may run once without being asked about: people granted it along with the request `grant`; its use number so much."""

    principal: Principal
    call_id: str | None
    tool: str
    snapshot_digest: str
    grant: str
    number: int
    votes: tuple[Counted, ...]
    assurance: Literal["same-user", "separate"]


class Ended(StrEnum):
    """How a permitted call ended."""

    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"


class Settled(Record):
    """Step 8: how a permitted call ended, and what its result brought into the session.

    `result_digest` is keyed, over the masked result; `result_bytes` is that result's length. `over`: the limits that kept the
    result back; `over_in_shadow`: those that would have.
    """

    principal: Principal
    policy_version: str
    tool: str
    outcome: Ended
    call_id: str | None
    request: str | None = None
    result_digest: str = ""
    result_bytes: int = 0
    entities: dict[str, int] = Field(default_factory=dict)
    labels_added: tuple[str, ...] = ()
    over: tuple[str, ...] = ()
    over_in_shadow: tuple[str, ...] = ()
    duration_ms: int


class Answered(Record):
    """A final answer in which values were put back for the user: how many tokens of which entity types became values, and stayed."""

    principal: Principal
    policy_version: str
    shown: dict[str, int]
    kept: dict[str, int] = Field(default_factory=dict)


class Cleared(Record):
    """A run that may have happened, of which a person signed that it did not: what it would have done may be done again."""

    principal: Principal
    call_id: str | None
    tool: str
    deed: str
    person: str
    signer: str


class FreezeSeen(Record):
    """An order to stop calls, as a process saw it come, and saw it lifted by a second person."""

    freeze: str
    scope: Scope
    name: str
    person: str
    what: Literal["stands", "lifted"]


class Erased(Record):
    """What somebody erased from the vaults: what named it, a keyed digest of that, and how much it was. Written before it is gone."""

    tenant: str
    by: str
    named_by: Literal["value", "token", "session"]
    named: str
    session: str | None = None
    tokens: int
    sessions: int
    unreadable: int


class Faulted(Record):
    """Something was broken, so a call did not run or its end is unknown. `code` holds no value."""

    policy_version: str
    principal: Principal | None = None
    call_id: str | None = None
    tool: str = ""
    component: str
    code: str
    request: str | None = None


class Reloaded(Record):
    """Policy files changed. What was taken is in force from here on; what was refused changed nothing, for these `problems`."""

    outcome: Literal["taken", "refused"]
    policy_version: str
    previous: str
    problems: tuple[str, ...] = ()


class Closed(Record):
    """The last record of a writer that ended in order."""

    policy_version: str
    records: int


KINDS: dict[str, type[Record]] = {
    "opened": Opened,
    "judged": Judged,
    "refused": Refused,
    "asked": Asked,
    "edited": Edited,
    "unmasked": Unmasked,
    "permitted": Permitted,
    "confirmed": Confirmed,
    "granted": GrantUsed,
    "settled": Settled,
    "answered": Answered,
    "erased": Erased,
    "cleared": Cleared,
    "freeze": FreezeSeen,
    "faulted": Faulted,
    "reloaded": Reloaded,
    "closed": Closed,
}
"""The record behind each kind of journal line."""
