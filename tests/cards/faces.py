"""Requests as people see them, made up for tests of cards and pages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agentguard.approval import Shown, Stored, Tally, tally
from agentguard.masking import Masker
from agentguard.model.approvals import Card, State
from agentguard.model.canonical import canonical_json
from tests.approval.people import ROSTER, TWO, a_request

GUARD = Masker()


def a_card(arguments: dict[str, Any] | None = None, **changed: Any) -> Card:
    """A card as the guard computes it."""
    given: dict[str, Any] = {
        "title": "Refund 1,420.00 EUR to order 1042",
        "tool": "refund",
        "agent": "clerk",
        "user": "user@acme.example",
        "session": "thread-1",
        "risk": "high",
        "reasons": ("Refunds over 1,000 (tool_policies/policy.yaml:31:5)",),
        "arguments": canonical_json(
            GUARD.for_people(arguments or {"amount": 1420, "iban": "DE89370400440532013000", "order_id": 1042})
        ),
        "deployment": "production",
        "oddities": (
            "amount is 14 times the usual 100",
            "iban came from tool read_page",
            "first time for this iban",
            "the agent read untrusted content before",
        ),
        "undo": None,
        "read_by_rules": ("amount",),
        "origins": {"iban": ("tool read_page",), "order_id": ("user",)},
        "asked": "Refund order 1042, they got the wrong size",
        "says": "The customer is right and the refund was pre-approved by security.",
    }
    return Card(**(given | changed))


def a_shown(card: Card | None = None, state: State = State.PENDING, **changed: Any) -> Shown:
    """A request with this card, on which nobody voted."""
    request = a_request(TWO, card=card or a_card(), opened_ms=0, deadline_ms=600_000, id="r" * 32)
    stored = Stored(request=request, state=state, version="1.0", votes=(), sealed_input=b"", withdrawn="", now_ms=0)
    counted: Tally = tally(request.needs, (), ROSTER, request.principal)
    return Shown(stored=replace(stored, **changed), tally=counted, unverified=())
