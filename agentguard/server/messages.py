"""What a webhook says: that a request opened, that people are done with it, or how its call ended.

Rules:
- facts of the card only, masked and escaped as the card is; no argument, no result, no comment, no signature;
- one message for each turn of a request: the same id however often it is sent, so that a receiver can tell repeats;
- that people approved or rejected is told only if their verified votes say so today.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from agentguard.approval import Kind, Shown, Turn
from agentguard.cards import Line
from agentguard.model.approvals import Request, State
from agentguard.model.record import Record

_ENDED = frozenset({State.APPROVED, State.REJECTED, State.EXPIRED, State.WITHDRAWN})
_CHANGES = frozenset({"voted", "edited", "revised", "redeemed", "settled"})
_CALLING: Mapping[str, Kind] = {
    "opened": "request.opened",
    "undelivered": "request.undelivered",
    "reminded": "request.reminded",
    "escalated": "request.escalated",
}
_FINISHED = frozenset({State.DONE, State.FAILED, State.UNKNOWN})


class Facts(Record):
    """The request in a message. `by` are the people whose votes made the state; `url` is where it can be read.

    `approvers` are those who may decide by the time of the message: `group:NAME`, `person:NAME`.
    """

    request: str
    tenant: str
    state: State
    title: Line
    tool: Line
    risk: Line
    agent: Line
    user: Line | None
    deployment: Line
    reasons: tuple[Line, ...]
    approvers: tuple[str, ...]
    by: tuple[str, ...]
    opened_ms: int
    deadline_ms: int
    url: str


class Message(Record):
    """The body: type, time and data, as Standard Webhooks recommends."""

    type: Kind
    timestamp: str
    data: Facts


def turn_of(request: str, event: str, state: str, time_ms: int) -> Turn | None:
    """What one event of the tenant's stream tells others; None where it tells them nothing, or is none of ours."""
    try:
        reached = State(state)
    except ValueError:
        return None
    kind = _kind(event, reached)
    return None if kind is None else Turn(kind=kind, request=request, state=reached, time_ms=time_ms)


def message_of(turn: Turn, shown: Shown, url: str) -> Message:
    """What is told about a turn of a request."""
    request, card = shown.stored.request, shown.stored.request.card
    return Message(
        type=turn.kind,
        timestamp=datetime.fromtimestamp(turn.time_ms / 1000, UTC).isoformat(timespec="milliseconds"),
        data=Facts(
            request=request.id,
            tenant=request.principal.tenant,
            state=turn.state,
            title=card.title,
            tool=card.tool,
            risk=card.risk,
            agent=card.agent,
            user=card.user,
            deployment=card.deployment,
            reasons=card.reasons,
            approvers=_approvers(turn, request),
            by=_by(turn, shown),
            opened_ms=request.opened_ms,
            deadline_ms=request.deadline_ms,
            url=url,
        ),
    )


def supported(turn: Turn, shown: Shown) -> bool:
    """Whether what the turn says of people's decision is what their verified votes say."""
    said = {State.APPROVED, State.REJECTED}
    return turn.state not in said or shown.tally.state is turn.state


def _kind(event: str, state: State) -> Kind | None:
    if event in _CALLING:
        return _CALLING[event]
    if event == "finished" and state in _FINISHED:
        return "request.finished"
    if state in _ENDED:
        return "request.ended"
    return "request.changed" if event in _CHANGES else None


def _approvers(turn: Turn, request: Request) -> tuple[str, ...]:
    elapsed = turn.time_ms - request.opened_ms
    return tuple(sorted({approver for need in request.needs for approver in need.approvers_at(elapsed)}))


def _by(turn: Turn, shown: Shown) -> tuple[str, ...]:
    match turn.state:
        case State.REJECTED:
            return shown.tally.rejected_by
        case State.APPROVED:
            return tuple(sorted({person for standing in shown.tally.standings for person in standing.people}))
        case _:
            return ()
