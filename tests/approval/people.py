"""The people, keys, requests and votes that tests of approvals are about."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from agentguard.approval import Person, Roster, Signer, sign_vote
from agentguard.model.approvals import Card, Decision, Request, Vote
from agentguard.model.calls import Principal
from agentguard.model.facts import Facts
from agentguard.model.verdicts import CONFIRM, Effect, Need, Risk, Verdict
from agentguard.store.keys import SigningKey

TENANT = "approvals-under-test"
NAMES = ("ann", "bob", "cat", "dan", "eve")
KEYS = {name: SigningKey.new() for name in (*NAMES, "inbox", "stranger")}

ROSTER = Roster(
    people={
        "ann": Person(email="ann@acme.example", groups=("stewards",), key=KEYS["ann"].public),
        "bob": Person(email="bob@acme.example", groups=("stewards", "security"), key=KEYS["bob"].public),
        "cat": Person(email="cat@acme.example", groups=("security",), key=KEYS["cat"].public),
        "dan": Person(email="dan@acme.example", groups=("stewards",)),
        "eve": Person(email="eve@acme.example", key=KEYS["eve"].public),
    },
    signers={"inbox": Signer(key=KEYS["inbox"].public, speaks_for="everyone")},
)

ONE = Need(name="stewards", approvers=("group:stewards",), deadline_seconds=600)
TWO = Need(name="stewards", approvers=("group:stewards",), quorum=2, deadline_seconds=600)
BOARD = Need(name="board", approvers=("group:stewards", "group:security"), from_each=True, deadline_seconds=900)
CONFIRMED = Need(name=CONFIRM, deadline_seconds=300)


def a_principal(user: str | None = "user@acme.example", **changed: str) -> Principal:
    """On whose behalf the agent acts."""
    given = {"tenant": TENANT, "agent": "clerk", "session": "thread-1"} | changed
    return Principal(user=user, **given)


def a_request(*needs: Need, principal: Principal | None = None, **changed: Any) -> Request:
    """A request for an export, with the needs given (one steward, where none is)."""
    verdict = Verdict(
        tool="export_customers", risk=Risk.CRITICAL, effect=Effect.ASK, clauses=(), needs=needs or (ONE,), policy_version="sha256:0"
    )  # fmt: skip
    card = Card(
        title="Export 500 customers", tool="export_customers", agent="clerk", user="u***@acme.example", session="thread-1",
        risk="critical", reasons=(), arguments='{"limit":500}',
    )  # fmt: skip
    given: dict[str, Any] = {
        "id": secrets.token_hex(16),
        "principal": principal or a_principal(),
        "call_id": secrets.token_hex(4),
        "tool": "export_customers",
        "digest": secrets.token_hex(32),
        "model_digest": secrets.token_hex(32),
        "card": card,
        "verdict": verdict,
        "facts": Facts(),
        "opened_ms": 1_000,
        "deadline_ms": 10_000,
        "redeem_by_ms": 20_000,
        "assurance": "separate",
    }
    return Request(**(given | changed))


def a_vote(
    request: Request,
    person: str,
    decision: Decision = Decision.APPROVE,
    *,
    approvals: Sequence[str] | None = None,
    signer: str | None = None,
    key: SigningKey | None = None,
    comment: str = "",
    card_digest: str | None = None,
    time_ms: int = 2_000,
) -> Vote:
    """A vote on `request`, signed by the person's own key unless said otherwise."""
    return sign_vote(
        request,
        person=person,
        groups=ROSTER.groups_of(person),
        approvals=[need.name for need in request.needs] if approvals is None else approvals,
        decision=decision,
        comment=comment,
        card_digest=card_digest or request.card.digest(),
        time_ms=time_ms,
        signer=signer or person,
        key=key or KEYS.get(signer or person, KEYS["stranger"]),
    )
