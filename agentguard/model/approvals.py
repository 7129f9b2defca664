"""A request for approval, the votes on it, and how it ended."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import ClassVar, Literal

from agentguard.model.calls import Principal
from agentguard.model.canonical import canonical_json
from agentguard.model.facts import Facts
from agentguard.model.record import Json, Record
from agentguard.model.verdicts import Need, Verdict

Assurance = Literal["same-user", "separate"]
"""Whether the agent runs as the very user who approves (then a signature stops nobody who controls that user), or apart."""


REQUEST_ID = r"[A-Za-z0-9_-]{1,64}"
"""The form of a request's id, as a regular expression."""

CARD_DIGEST = r"[0-9a-f]{64}"
"""The form of a card's digest."""

BESIDE = "*"
"""Among the names of places that a request is sent to: every place without a name, too."""


class State(StrEnum):
    """The life of a request: pending, then approved or an end; approved, then executing, then an end."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    EXECUTING = "executing"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to the request by itself."""
        return self not in _OPEN


_OPEN = frozenset({State.PENDING, State.APPROVED, State.EXECUTING})


class Held(Record):
    """An argument that every call under a grant keeps: the `same` value, or a number of `at_most` that.

    `shown` is the value as people see it; `digest` is keyed, over the real one; `most` is the number as text, and `count` how many
    numbers there were.
    """

    path: str
    how: Literal["same", "at_most"]
    shown: str
    digest: str = ""
    most: str = ""
    count: int = 1


class Offer(Record):
    """What people may grant along with an approval, at most: further calls of the same tool by the same agent for the same user.

    `tool_digest` is over the tool as it describes itself and `clause` over the policy's words: where either changes, a grant is void.
    """

    seconds: int
    uses: int
    session: bool
    held: tuple[Held, ...]
    tool_digest: str
    clause: str

    def words(self, tool: str) -> str:
        """What a grant covers, in the words that people are shown before they give one."""
        where = "in this session only" if self.session else "in any session of this agent and user"
        return f"{self.calls(tool)}; {where}"

    def calls(self, tool: str) -> str:
        """Which calls a grant covers, wherever."""
        kept = [f"{each.path} {'is' if each.how == 'same' else 'is at most'} {each.shown}" for each in self.held]
        return f"{tool} where {' and '.join(kept)}, whatever its other arguments are"


class Card(Record):
    """What a person is shown before deciding, computed by the guard, masked for people, and never cut silently.

    `arguments` is JSON text of the masked snapshot; `reasons` are the sentences of the clauses that spoke, with file:line.
    `oddities`: what is unusual about the call, the gravest first. `undo`: how it can be undone, in the policy's words; None where
    it can't, empty where the policy doesn't say. `read_by_rules`: arguments that a rule or limit read. `origins`: where the value of
    an argument stood before (`user`, or `tool NAME`); the model wrote the others. `asked` is the user's own words, `says` the agent's,
    which nobody checked.
    """

    title: str
    tool: str
    agent: str
    user: str | None
    session: str
    risk: str
    reasons: tuple[str, ...]
    arguments: str
    deployment: str = ""
    grant: Offer | None = None
    oddities: tuple[str, ...] = ()
    undo: str | None = ""
    read_by_rules: tuple[str, ...] = ()
    origins: dict[str, tuple[str, ...]] = {}
    asked: str = ""
    says: str = ""

    def digest(self) -> str:
        """SHA-256 of the canonical card, in hex: a vote says which card its person saw."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()


class Request(Record):
    """A call that waits for people. Written once by the agent's side, with a MAC over this record.

    `digest` binds the exact call (see guard.binding); `model_digest` is over the model's own arguments, so that the same call after
    a restart is recognised. The three times stand on Redis's clock and are set by the channel when it opens the request:
    votes count before `deadline_ms`, a permit must be redeemed before `redeem_by_ms`. `may_defer`: its caller may leave, and the same call
    come back for the answer. `notify`: the places that policy sends it to, empty for all that are told of everything.
    `box`: what letters to the agent's side are written to; empty where arguments can't be edited. `turn`: what requests of one message of
    the model's share; each is still decided on its own.
    """

    id: str
    revision: int = 1
    principal: Principal
    call_id: str | None
    tool: str
    digest: str
    model_digest: str
    card: Card
    verdict: Verdict
    facts: Facts
    opened_ms: int = 0
    deadline_ms: int = 0
    redeem_by_ms: int = 0
    may_defer: bool = False
    assurance: Assurance
    notify: tuple[str, ...] = ()
    box: str = ""
    turn: str = ""

    @property
    def needs(self) -> tuple[Need, ...]:
        """The approvals that this request must get, all of them."""
        return self.verdict.needs


class Decision(StrEnum):
    """What a person says."""

    APPROVE = "approve"
    REJECT = "reject"


class Because(StrEnum):
    """Usual reasons of a rejection, each a sentence that the model reads."""

    WRONG_TARGET = "The call is about the wrong person or thing; check whom or what it concerns."
    TOO_MUCH = "It is too much; ask for less."
    NOT_ASKED_FOR = "Nobody asked for this; do only what the user asked for."
    NOT_NOW = "Not now; it may be asked again later."
    ASK_THE_USER = "Ask the user first, and call again with what they said."

    @property
    def word(self) -> str:
        """What chooses it on a command line."""
        return self.name.lower().replace("_", "-")


class Signed(Record):
    """What a person says in a tenant, signed. `time_ms` stands on Redis's clock.

    `signer` is the name of the person or of the server in `signers:`; `signature` is Ed25519 over `signed_text()`, base64.
    """

    purpose: ClassVar[str]

    tenant: str
    person: str
    time_ms: int
    signer: str
    signature: str = ""

    def signed_text(self) -> bytes:
        """What the signature covers: what kind of statement it is, and all of it but the signature itself."""
        fields: dict[str, Json] = self.model_dump(mode="json", exclude={"signature"})
        return f"agentguard {self.purpose} 1\n{canonical_json(fields)}".encode()


class Grant(Record):
    """So many further calls like this one, for so long: within what the card offers. `session`: in this session alone."""

    seconds: int
    uses: int
    session: bool

    def __str__(self) -> str:
        """In words, for people."""
        where = ", in this session" if self.session else ""
        return f"{self.uses} more within {self.seconds} s{where}"


class Vote(Signed):
    """One person's signed decision on one revision of one request, and what they grant along with it.

    `approvals` are the needs that the person speaks to; `groups` the groups they were in.
    """

    purpose = "vote"

    request: str
    revision: int
    digest: str
    card_digest: str
    approvals: tuple[str, ...]
    groups: tuple[str, ...]
    decision: Decision
    comment: str = ""
    grant: Grant | None = None


class Edit(Signed):
    """One person's change of the arguments of one revision, before anybody approves it.

    `changes`: JSON of the arguments that get another value, sealed for the agent's side (see `store.letters`).
    """

    purpose = "edit"

    request: str
    revision: int
    digest: str
    card_digest: str
    changes: str
    comment: str = ""


class Found(StrEnum):
    """What a person found out about a run that may have happened."""

    HAPPENED = "happened"
    DID_NOT = "did-not"


class Settlement(Signed):
    """One person's word on a run that may have happened: that of request or deed `subject`, under this fence."""

    purpose = "settlement"

    subject: str
    fence: str
    found: Found
    comment: str = ""


class Revocation(Signed):
    """A person's word that a grant ends: that of the request `grant`."""

    purpose = "revocation"

    grant: str
    reason: str = ""


class Scope(StrEnum):
    """What a freeze stops: the calls of an agent, of a tool, of a tenant, or of everybody on this server."""

    AGENT = "agent"
    TOOL = "tool"
    TENANT = "tenant"
    ALL = "all"


class Freeze(Signed):
    """A person's order that nothing runs until a second person lifts it. `name` is the agent's or the tool's, else empty."""

    purpose = "freeze"

    id: str
    scope: Scope
    name: str = ""
    reason: str

    def stops(self, tenant: str, agent: str, tool: str) -> bool:
        """Whether a call of this agent with this tool may not run."""
        if self.scope is Scope.ALL:
            return True
        wanted = {Scope.AGENT: agent, Scope.TOOL: tool, Scope.TENANT: ""}[self.scope]
        return self.tenant == tenant and self.name == wanted

    def digest(self) -> str:
        """SHA-256 of the freeze, signature and all: a lift says which order it ends."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()

    def __str__(self) -> str:
        """In words, for people."""
        return f"{self.scope} {self.name}".strip()


class Lift(Signed):
    """A second person's word that a freeze ends."""

    purpose = "lift"

    freeze: str
    freeze_digest: str
    reason: str = ""


class Resolution(Record):
    """How a request stands: its state, who decided and what they said. `by` is empty while nobody has."""

    request: str
    state: State
    by: tuple[str, ...] = ()
    comment: str = ""
