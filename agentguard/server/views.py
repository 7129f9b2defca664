"""What the API takes and gives. All of a request that people may see, masked as its card is; nothing sealed, no signature."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from agentguard.approval import Shown, Standing, Stored, Uncounted
from agentguard.approval.signing import COMMENT_MAX
from agentguard.model.approvals import Assurance, Card, Decision, State
from agentguard.model.record import Record
from agentguard.model.verdicts import Need

LISTED_MAX = 200


class DecideBody(Record):
    """A decision. `card_digest` is the one that came with the card which the caller saw: the decision is on that card alone."""

    card_digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    comment: str = Field(default="", max_length=COMMENT_MAX)


class ListQuery(BaseModel):
    """Which requests are listed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: list[State] = Field(default=[State.PENDING], max_length=len(State))
    limit: int = Field(default=50, ge=1, le=LISTED_MAX)
    cursor: str | None = Field(default=None, max_length=400)


class Summary(Record):
    """One line of the list. Requests with the same `turn` come from one message of the model's; it is empty where nobody knows."""

    id: str
    state: State
    title: str
    tool: str
    risk: str
    agent: str
    user: str | None
    turn: str
    opened_ms: int
    deadline_ms: int


class Listing(Record):
    """Requests, the most urgent first. `next`: the cursor of the next page, None after the last."""

    requests: tuple[Summary, ...]
    next: str | None = None


class VoteView(Record):
    """A person's decision. `verified`: its signature is genuine; one that is not counts for nothing."""

    person: str
    decision: Decision
    comment: str
    time_ms: int
    verified: bool


class RequestView(Record):
    """A request whole. `now_ms` is the clock that `deadline_ms` stands on; `obstacles` say why nobody could approve it now.

    Requests with the same `turn` come from one message of the model's; each is decided on its own.
    """

    id: str
    revision: int
    turn: str
    state: State
    card: Card
    card_digest: str
    needs: tuple[Need, ...]
    standings: tuple[Standing, ...]
    votes: tuple[VoteView, ...]
    uncounted: tuple[Uncounted, ...]
    obstacles: tuple[str, ...]
    assurance: Assurance
    opened_ms: int
    deadline_ms: int
    now_ms: int


def summary_of(stored: Stored) -> Summary:
    """A request in one line."""
    request, card = stored.request, stored.request.card
    return Summary(
        id=request.id,
        state=stored.state,
        title=card.title,
        tool=card.tool,
        risk=card.risk,
        agent=card.agent,
        user=card.user,
        turn=request.turn,
        opened_ms=request.opened_ms,
        deadline_ms=request.deadline_ms,
    )


def view_of(shown: Shown) -> RequestView:
    """A request whole."""
    stored, request = shown.stored, shown.stored.request
    unverified = {vote.person for vote in shown.unverified}
    return RequestView(
        id=request.id,
        revision=request.revision,
        turn=request.turn,
        state=stored.state,
        card=request.card,
        card_digest=shown.card_digest,
        needs=request.needs,
        standings=shown.tally.standings,
        votes=tuple(
            VoteView(
                person=vote.person,
                decision=vote.decision,
                comment=vote.comment,
                time_ms=vote.time_ms,
                verified=vote.person not in unverified,
            )
            for vote in stored.votes
        ),
        uncounted=(*shown.tally.uncounted, *shown.unverified),
        obstacles=shown.tally.obstacles,
        assurance=request.assurance,
        opened_ms=request.opened_ms,
        deadline_ms=request.deadline_ms,
        now_ms=stored.now_ms,
    )
