"""A request, or the calls of a turn, in one line of a list. From their records alone: nobody verified votes here, so they are counted."""

from __future__ import annotations

from collections.abc import Sequence

from agentguard.approval import Stored
from agentguard.cards.face import gravest, shape_of
from agentguard.cards.outcome import Ending, ending_of, sentence_of
from agentguard.cards.spelling import Line
from agentguard.cards.turn import status_of, title_of
from agentguard.model.approvals import State
from agentguard.model.record import Record
from agentguard.model.verdicts import CONFIRM


class Called(Record):
    """One call of a turn: what it is and how it stands."""

    id: Line
    title: Line
    status: Line
    ending: Ending


class Brief(Record):
    """One line. `needs`: whose approval is wanted; `votes`: how many people have said something.

    `calls`: where the line stands for several calls of one turn, each of them; then `id` is that of the first that waits.
    """

    id: Line
    turn: Line
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
    calls: tuple[Called, ...] = ()


def brief_of(stored: Stored) -> Brief:
    """The line of a request."""
    request, card = stored.request, stored.request.card
    return Brief(
        id=request.id,
        turn=request.turn,
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


def brief_of_turn(together: Sequence[Stored]) -> Brief:
    """The line of several calls of one turn: as urgent and as grave as any of those that wait."""
    briefs = list(map(brief_of, together))
    waiting = sorted(
        (brief for brief in briefs if brief.state is State.PENDING), key=lambda brief: (brief.deadline_ms, brief.id)
    )
    shown = waiting or briefs
    risk = gravest(brief.risk for brief in shown)
    calls = tuple(Called(id=each.id, title=each.title, status=each.status, ending=each.ending) for each in briefs)
    return shown[0].model_copy(
        update={
            "risk": risk,
            "shape": shape_of(risk),
            "title": title_of(len(briefs)),
            "status": status_of(len(waiting), len(briefs)),
            "needs": tuple(dict.fromkeys(need for brief in shown for need in brief.needs)),
            "votes": sum(brief.votes for brief in shown),
            "oddity": next((brief.oddity for brief in shown if brief.oddity), ""),
            "calls": calls,
        }
    )
