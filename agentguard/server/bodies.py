"""What the API takes: each body strict, so that nothing in it is taken for something else."""

from __future__ import annotations

import json
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel

from agentguard.approval.reading import TURN_MAX
from agentguard.approval.signing import COMMENT_MAX
from agentguard.errors import NotCanonical
from agentguard.model.approvals import CARD_DIGEST, REQUEST_ID, Decision, Grant, State, Vote
from agentguard.model.canonical import canonical_json
from agentguard.model.record import Json, Record

LISTED_MAX = 200
TWICE = "a key stands twice in an object of the body; say each thing once"

CardDigest = Annotated[str, Field(pattern=f"^{CARD_DIGEST}$")]
RequestName = Annotated[str, Field(pattern=f"^{REQUEST_ID}$")]
Comment = Annotated[str, Field(max_length=COMMENT_MAX)]


T = TypeVar("T")


def _plain_json(value: T) -> T:
    """The value, if it can be written down: no lone surrogates, no NaN, not too deep."""
    try:
        canonical_json(value)
    except NotCanonical:
        raise ValueError("must be plain JSON: no NaN, no lone surrogates, at most 64 levels deep") from None
    return value


def says_twice(body: bytes) -> bool:
    """Whether a JSON text gives one key of an object two values: two readers could take one each. False also for what is no JSON."""
    try:
        json.loads(body, object_pairs_hook=_once_each)
    except _Twice:
        return True
    except (ValueError, RecursionError):
        return False
    return False


class _Twice(Exception):
    """A key stands twice."""


def _once_each(pairs: list[tuple[str, Json]]) -> None:
    if len({key for key, _ in pairs}) < len(pairs):
        raise _Twice


class DecideBody(Record):
    """A decision. `card_digest` is the one that came with the card which the caller saw: the decision is on that card alone."""

    card_digest: CardDigest
    comment: Comment = ""


class ApproveBody(DecideBody):
    """An approval. `grant`: further calls like this one, within what the card offers; null for this call alone."""

    grant: Grant | None = None


class TogetherBody(Record):
    """One decision on several calls of one turn, for all or for none. `cards`: the digest of the card that was shown, by request."""

    decision: Literal["approve", "reject"]
    cards: dict[RequestName, CardDigest] = Field(min_length=1, max_length=TURN_MAX)
    comment: Comment = ""


class SignedDecision(Record):
    """A decision of an outside system, on the card that its person saw; this server signs the vote in their name."""

    request: RequestName
    decision: Decision
    card_digest: CardDigest
    comment: Comment = ""
    grant: Grant | None = None

    @property
    def about(self) -> str:
        """The request that is decided."""
        return self.request


class SignedVote(Record):
    """A whole vote, which its person signed with their own key."""

    vote: Vote

    @property
    def about(self) -> str:
        """The request that is decided."""
        return self.vote.request


class SignedBody(RootModel[SignedDecision | SignedVote]):
    """What an outside system sends: a decision, or a vote that is signed already."""


class EditBody(Record):
    """New values of some arguments, on the card that the caller saw."""

    card_digest: CardDigest
    changes: Annotated[dict[str, Json], AfterValidator(_plain_json)] = Field(min_length=1, max_length=100)
    comment: Comment = ""


class SettleBody(Record):
    """What the caller found out about a run that may have happened, and how."""

    found: Literal["happened", "did-not"]
    comment: Comment = ""


class FreezeBody(Record):
    """What is to stop, and why; people and the model read it. `name`: the agent's or the tool's; empty for the tenant."""

    scope: Literal["agent", "tool", "tenant"]
    name: Annotated[str, AfterValidator(_plain_json)] = Field(default="", max_length=200)
    reason: str = Field(min_length=1, max_length=COMMENT_MAX)


class ReasonBody(Record):
    """Why a freeze is lifted, or a grant revoked; for people."""

    reason: Comment = ""


class ListQuery(BaseModel):
    """Which requests are listed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: list[State] = Field(default=[State.PENDING], max_length=len(State))
    limit: int = Field(default=50, ge=1, le=LISTED_MAX)
    cursor: str | None = Field(default=None, max_length=400)
