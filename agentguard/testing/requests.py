"""Requests that nobody made, as notifiers are told of them."""

from __future__ import annotations

from typing import Any

from agentguard.approval import Kind, Person, Roster, Shown, Stored, Turn, tally
from agentguard.model.approvals import Card, Request, State
from agentguard.model.calls import Principal
from agentguard.model.facts import Facts
from agentguard.model.verdicts import Effect, Need, Risk, Verdict

REQUEST_ID = "0123456789abcdef0123456789abcdef"
OPENED_MS = 1_772_000_000_000


def a_shown(state: State = State.PENDING, **card: Any) -> Shown:
    """A request in a state, as people see it; `card` replaces what stands on its card."""
    need = Need(name="stewards", approvers=("person:ann",), deadline_seconds=600)
    principal = Principal(tenant="default", agent="clerk", user="user@acme.example", session="thread-1")
    given: dict[str, Any] = {
        "title": "Export 500 customers",
        "tool": "export_customers",
        "agent": "clerk",
        "user": "u***@acme.example",
        "session": "thread-1",
        "risk": "high",
        "reasons": ("Bulk export of customer records (policy.yaml:12:3)",),
        "arguments": '{"limit":500}',
    }
    verdict = Verdict(
        tool="export_customers", risk=Risk.HIGH, effect=Effect.ASK, clauses=(), needs=(need,), policy_version="sha256:0"
    )
    request = Request(
        id=REQUEST_ID,
        principal=principal,
        call_id="call-1",
        tool="export_customers",
        digest="d" * 64,
        model_digest="m" * 64,
        card=Card(**(given | card)),
        verdict=verdict,
        facts=Facts(),
        opened_ms=OPENED_MS,
        deadline_ms=OPENED_MS + 600_000,
        redeem_by_ms=OPENED_MS + 900_000,
        assurance="separate",
    )
    stored = Stored(
        request=request,
        state=state,
        version="1",
        votes=(),
        sealed_input=b"",
        withdrawn="the agent gave up" if state is State.WITHDRAWN else "",
        now_ms=OPENED_MS,
    )
    roster = Roster(people={"ann": Person(email="ann@acme.example")})
    return Shown(stored=stored, tally=tally(request.needs, (), roster, principal), unverified=())


def a_turn(shown: Shown, kind: Kind = "request.opened") -> Turn:
    """What happened to it."""
    stored = shown.stored
    return Turn(kind=kind, request=stored.request.id, state=stored.state, time_ms=stored.now_ms)
