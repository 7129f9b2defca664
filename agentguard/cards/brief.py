"""A request in one line of a list, from its record alone: votes are told by number, since nobody verified them here."""

from __future__ import annotations

from agentguard.approval import Stored
from agentguard.cards.face import shape_of
from agentguard.cards.outcome import Ending, ending_of, sentence_of
from agentguard.cards.spelling import Line
from agentguard.model.approvals import State
from agentguard.model.record import Record
from agentguard.model.verdicts import CONFIRM


class Brief(Record):
    """One line. `needs`: whose approval is wanted; `votes`: how many people have said something."""

    id: Line
    state: State
    ending: Ending
    status: Line
    shape: str
    risk: Line
    title: Line
    tool: Line
    agent: Line
    user: Line | None
    deployment: Line
    needs: tuple[Line, ...]
    votes: int
    oddity: Line
    opened_ms: int
    deadline_ms: int


def brief_of(stored: Stored) -> Brief:
    """The line of a request."""
    request, card = stored.request, stored.request.card
    return Brief(
        id=request.id,
        state=stored.state,
        ending=ending_of(stored),
        status=sentence_of(stored),
        shape=shape_of(card.risk),
        risk=card.risk,
        title=card.title,
        tool=card.tool,
        agent=card.agent,
        user=card.user,
        deployment=card.deployment,
        needs=tuple("the user" if need.name == CONFIRM else need.name for need in request.needs),
        votes=len(stored.votes),
        oddity=card.oddities[0] if card.oddities else "",
        opened_ms=request.opened_ms,
        deadline_ms=request.deadline_ms,
    )
