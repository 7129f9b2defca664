"""What a webhook says: that a request opened, that people are done with it, or how its call ended.

Rules:
- facts of the card only, masked as the card is; no argument, no result, no comment, no signature;
- one message for each turn of a request: the same id however often it is sent, so that a receiver can tell repeats;
- that people approved or rejected is told only if their verified votes say so today.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from agentguard.approval import Shown
from agentguard.model.approvals import Request, State
from agentguard.model.record import Record

Kind = Literal[
    "request.opened", "request.reminded", "request.escalated", "request.changed", "request.ended", "request.finished"
]
"""`changed` is for places that show a request as it is now; no webhook is told of it."""

_ENDED = frozenset({State.APPROVED, State.REJECTED, State.EXPIRED, State.WITHDRAWN})
_CHANGES = frozenset({"voted", "edited", "revised", "redeemed", "settled"})
_SEVERAL = frozenset({"request.reminded", "request.escalated", "request.changed"})
_URGING = frozenset({"request.reminded", "request.escalated"})
_FINISHED = frozenset({State.DONE, State.FAILED, State.UNKNOWN})


class Turn(Record):
    """Something that happened to a request and that others are told."""

    kind: Kind
    request: str
    state: State
    time_ms: int

    @property
    def urges(self) -> bool:
        """Whether it only asks people to decide: of a request that is decided by now it tells nothing."""
        return self.kind in _URGING

    @property
    def message_id(self) -> str:
        """The same for every attempt, and for every other server that tells it."""
        of = f"_{self.time_ms}" if self.kind in _SEVERAL else ""
        return f"msg_{self.request}_{self.state}{of}"


class Facts(Record):
    """The request in a message. `by` are the people whose votes made the state; `url` is where it can be read.

    `approvers` are those who may decide by the time of the message: `group:NAME`, `person:NAME`.
    """

    request: str
    tenant: str
    state: State
    title: str
    tool: str
    risk: str
    agent: str
    user: str | None
    deployment: str
    reasons: tuple[str, ...]
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
    if event == "opened":
        return "request.opened"
    if event in ("reminded", "escalated"):
        return "request.reminded" if event == "reminded" else "request.escalated"
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
