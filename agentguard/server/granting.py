"""The part of Approve's form that grants further calls: what it offers, word for word, and what it says when it is sent.

Rules:
- this call alone is what is chosen, unless somebody chooses otherwise;
- what can be chosen is within what the card offers, in number, time and sessions; what is sent is checked when the vote is put.
"""

from __future__ import annotations

from collections.abc import Mapping

from agentguard.cards import Line
from agentguard.errors import DecisionRefused
from agentguard.model.approvals import Card, Grant
from agentguard.model.record import Record

_USUAL_SECONDS = (600, 1800, 3600, 4 * 3600, 24 * 3600, 7 * 24 * 3600)
_UNITS = ((24 * 3600, "d"), (3600, "h"), (60, "min"), (1, "s"))


class Choice(Record):
    """What a person may grant. `calls`: which further calls; `lasting`: for how long, each in seconds and in words, the longest last."""

    calls: Line
    uses: int
    lasting: tuple[tuple[int, str], ...]
    any_session: bool


def choice_of(card: Card) -> Choice | None:
    """What the card offers; None where it offers nothing."""
    offer = card.grant
    if offer is None:
        return None
    shorter = [seconds for seconds in _USUAL_SECONDS if seconds < offer.seconds]
    return Choice(
        calls=offer.calls(card.tool),
        uses=offer.uses,
        lasting=tuple((seconds, _written(seconds)) for seconds in (*shorter, offer.seconds)),
        any_session=not offer.session,
    )


def chosen(fields: Mapping[str, str]) -> Grant | None:
    """What a form grants along with an approval; None for this call alone. Raises DecisionRefused ("bad_grant")."""
    match fields.get("scope", "once"):
        case "once":
            return None
        case "session" | "any" as scope:
            return Grant(seconds=_number(fields, "seconds"), uses=_number(fields, "uses"), session=scope == "session")
        case _:
            raise _not_offered()


def _number(fields: Mapping[str, str], name: str) -> int:
    text = fields.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 8):
        raise _not_offered()
    return int(text)


def _not_offered() -> DecisionRefused:
    return DecisionRefused("bad_grant", "that is no grant that the card offers; decide this call alone")


def _written(seconds: int) -> str:
    """A time in its largest whole unit."""
    return next(f"{seconds // size} {unit}" for size, unit in _UNITS if seconds % size == 0)
