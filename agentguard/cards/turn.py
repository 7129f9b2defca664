"""The calls of one turn as one card: what they share once, and each of them with a face of its own, decided by its id.

Rules:
- what is approved all at once is exactly what is shown here and still waits: `digest` is over the ids and cards of those;
- a call that ended stays, with how it ended, so that nothing is missing from the turn that was asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from agentguard.approval import Shown
from agentguard.cards.face import Face, face_of, gravest, shape_of
from agentguard.cards.spelling import Block, Line
from agentguard.model.canonical import canonical_json
from agentguard.model.record import Record


class TurnFace(Record):
    """A turn as people see it. `asked` and `says` are empty where its calls differ in them: then each has its own."""

    shape: str
    risk: Line
    title: Line
    agent: Line
    user: Line | None
    session: Line
    deployment: Line
    asked: Block
    says: Block
    items: tuple[Face, ...]
    status: Line
    approve: Line
    reject: Line

    @property
    def waiting(self) -> tuple[Face, ...]:
        """The calls that can still be decided."""
        return tuple(item for item in self.items if item.is_open)

    @property
    def cards(self) -> dict[str, str]:
        """What a decision on all of them is on: the digest of each card that waits, by request."""
        return {item.id: item.card_digest for item in self.waiting}

    @property
    def digest(self) -> str:
        """The digest of exactly these cards."""
        return digest_of(self.cards)

    def is_longer_than(self, most: int) -> bool:
        """Whether a surface that shows `most` characters of each text hides some of what waits."""
        return any(item.is_longer_than(most) for item in self.waiting)


def turn_of(together: Sequence[Shown]) -> TurnFace:
    """The card of calls that were asked for in one turn; there is at least one."""
    items = tuple(map(face_of, together))
    first, waiting = items[0], sum(item.is_open for item in items)
    risk = gravest([item.risk for item in items if item.is_open] or [item.risk for item in items])
    return TurnFace(
        shape=shape_of(risk),
        risk=risk,
        title=title_of(len(items)),
        agent=first.agent,
        user=first.user,
        session=first.session,
        deployment=first.deployment,
        asked=_common([item.asked for item in items]),
        says=_common([item.says for item in items]),
        items=items,
        status=status_of(waiting, len(items)),
        approve=f"Approve all {waiting}",
        reject=f"Reject all {waiting}",
    )


def title_of(calls: int) -> str:
    """What a turn of so many calls is called."""
    return f"{calls} calls in one turn" if calls > 1 else "1 call"


def status_of(waiting: int, calls: int) -> str:
    """How a turn stands, in a sentence."""
    if not waiting:
        return "All are decided"
    if waiting == calls:
        return f"All {calls} wait for a decision" if calls > 1 else "Waits for a decision"
    return f"{waiting} of {calls} {'waits' if waiting == 1 else 'wait'} for a decision"


def digest_of(cards: Mapping[str, str]) -> str:
    """SHA-256 over requests and the digests of their cards, in hex: the order doesn't matter."""
    return hashlib.sha256(canonical_json(dict(cards)).encode()).hexdigest()


def _common(texts: Sequence[str]) -> str:
    return texts[0] if len(set(texts)) == 1 else ""
