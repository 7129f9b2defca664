"""What the API gives: all of a request that people may see, masked as its card is; nothing sealed, no signature."""

from __future__ import annotations

from collections.abc import Sequence

from agentguard.approval import Kind, Listed, Shown, Standing, Stored
from agentguard.cards import Block, Brief, Line, Said, face_of
from agentguard.cards.outcome import Ending
from agentguard.model.approvals import Assurance, Card, Found, Freeze, Resolution, Scope, Settlement, State, Vote
from agentguard.model.record import Record
from agentguard.model.verdicts import Need
from agentguard.server.outbox import Delivery


class Listing(Record):
    """Requests, the most urgent first. `next`: the cursor of the next page, None after the last.

    Requests with the same `turn` come from one message of the model's; it is empty where nobody knows.
    """

    requests: tuple[Brief, ...]
    next: str | None = None


class EditView(Record):
    """The last edit of a request: `waits` while the agent's side has not answered it, `refused` why it refused it."""

    person: Line
    comment: Block
    waits: bool
    refused: Line


class BallotView(Record):
    """A vote without its decision, comment, grant and signature. `digest` is keyed, over the call; `time_ms` is Redis's clock now."""

    tenant: str
    person: str
    time_ms: int
    signer: str
    request: str
    revision: int
    digest: str
    card_digest: str
    approvals: tuple[str, ...]
    groups: tuple[str, ...]


class Untold(Record):
    """A place that could not be told of a request so far: of what, how often it was tried, and how that failed."""

    where: Line
    kind: Kind
    attempts: int
    trouble: Line


class RequestView(Record):
    """A request whole. `now_ms` is the clock that `deadline_ms` stands on; `obstacles` say why nobody could approve it now.

    Requests with the same `turn` come from one message of the model's; each is decided on its own.
    """

    id: str
    revision: int
    turn: str
    state: State
    ending: Ending
    status: Line
    card: Card
    card_digest: str
    needs: tuple[Need, ...]
    standings: tuple[Standing, ...]
    votes: tuple[Said, ...]
    edit: EditView | None
    obstacles: tuple[Line, ...]
    untold: tuple[Untold, ...]
    assurance: Assurance
    opened_ms: int
    deadline_ms: int
    now_ms: int


class SettlementView(Record):
    """What a person said of a run that may have happened."""

    subject: str
    found: Found
    comment: Block
    person: Line
    time_ms: int


class FreezeView(Record):
    """One freeze as people see it. `name`: the agent's or the tool's, else empty. `is_own`: the viewer gave it; somebody else lifts it."""

    id: Line
    scope: Scope
    name: Line
    reason: Block
    person: Line
    time_ms: int
    is_own: bool

    @property
    def what(self) -> str:
        """What is frozen, in words."""
        return f"{self.scope} {self.name}".strip()


class Freezes(Record):
    """What is frozen, the oldest first."""

    freezes: tuple[FreezeView, ...]


class GrantView(Record):
    """What people granted along with an approval. `id`: its request; `covers`: the words that they were shown before."""

    id: Line
    agent: Line
    user: Line | None
    covers: Line
    by: tuple[Line, ...]
    uses: int
    used: int
    until_ms: int
    revoked: bool


class Granting(Record):
    """The grants that are not over, the one that ends first first."""

    grants: tuple[GrantView, ...]


class Resolutions(Record):
    """How each of several requests stands after one decision on all of them."""

    resolutions: tuple[Resolution, ...]


def ballot_of(vote: Vote) -> BallotView:
    """What of a vote is there before its person decides."""
    given = {name: getattr(vote, name) for name in BallotView.model_fields}
    return BallotView(**given)


def untold_of(undelivered: Sequence[Delivery]) -> tuple[Untold, ...]:
    """The places that could not be told."""
    return tuple(
        Untold(where=each.where, kind=each.turn.kind, attempts=each.attempts, trouble=each.trouble)
        for each in undelivered
    )


def view_of(shown: Shown, undelivered: Sequence[Delivery] = ()) -> RequestView:
    """A request whole, and what of it could not be told."""
    stored, request, face = shown.stored, shown.stored.request, face_of(shown)
    return RequestView(
        id=request.id,
        revision=request.revision,
        turn=request.turn,
        state=stored.state,
        ending=face.ending,
        status=face.status,
        card=request.card,
        card_digest=shown.card_digest,
        needs=request.needs,
        standings=shown.tally.standings,
        votes=face.votes,
        edit=_edit_of(stored),
        obstacles=shown.tally.obstacles,
        untold=untold_of(undelivered),
        assurance=request.assurance,
        opened_ms=request.opened_ms,
        deadline_ms=request.deadline_ms,
        now_ms=stored.now_ms,
    )


def _edit_of(stored: Stored) -> EditView | None:
    edit = stored.edit
    if edit is None:
        return None
    return EditView(person=edit.person, comment=edit.comment, waits=stored.edit_waits, refused=stored.edit_refused)


def settlement_of(settlement: Settlement) -> SettlementView:
    """A person's word on a run."""
    return SettlementView(
        subject=settlement.subject,
        found=settlement.found,
        comment=settlement.comment,
        person=settlement.person,
        time_ms=settlement.time_ms,
    )


def freeze_of(freeze: Freeze, viewer: str) -> FreezeView:
    """A freeze as this person sees it."""
    return FreezeView(
        id=freeze.id,
        scope=freeze.scope,
        name=freeze.name,
        reason=freeze.reason,
        person=freeze.person or "nobody known",
        time_ms=freeze.time_ms,
        is_own=freeze.person == viewer,
    )


def grant_of(listed: Listed) -> GrantView:
    """A grant for people."""
    granted, card = listed.granted, listed.granted.stored.request.card
    return GrantView(
        id=granted.id,
        agent=card.agent,
        user=card.user,
        covers=granted.offer.words(card.tool),
        by=tuple(vote.person for vote in granted.votes),
        uses=granted.terms.uses,
        used=listed.used,
        until_ms=granted.until_ms,
        revoked=listed.revoked,
    )
