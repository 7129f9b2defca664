"""Signed votes: how one is made, and whether one may be counted.

Rules:
- a vote binds tenant, request, revision, digest of the call, digest of the card that was shown, approvals, person, groups,
  decision, comment and time; the signature covers all of them (see `signing`);
- a grant along with it is within what the card offered;
- a vote for another tenant, request, revision, call or card, or of a time after the deadline, is refused, whoever signed it;
- a vote that nobody's key here verifies is refused; whether its person may decide this is the tally's to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agentguard.approval.roster import Roster
from agentguard.approval.signing import check_bound, check_comment, check_signature, signed
from agentguard.approval.tally import NEVER, Tally, tally
from agentguard.errors import DecisionRefused
from agentguard.model.approvals import Decision, Grant, Request, Vote
from agentguard.store.keys import SigningKey


def sign_vote(
    request: Request,
    *,
    person: str,
    groups: Sequence[str],
    approvals: Sequence[str],
    decision: Decision,
    comment: str,
    card_digest: str,
    time_ms: int,
    signer: str,
    key: SigningKey,
    grant: Grant | None = None,
) -> Vote:
    """One person's vote on what they were shown, signed by `signer` (the person, or a server of `signers:`)."""
    vote = Vote(
        tenant=request.principal.tenant,
        request=request.id,
        revision=request.revision,
        digest=request.digest,
        card_digest=card_digest,
        approvals=tuple(approvals),
        person=person,
        groups=tuple(groups),
        decision=decision,
        comment=check_comment(comment),
        grant=grant,
        time_ms=time_ms,
        signer=signer,
    )
    return signed(vote, key)


def check_vote(vote: Vote, request: Request, roster: Roster) -> None:
    """Return if `vote` is a genuine vote on this very request as it stands. Raises DecisionRefused."""
    check_bound(vote, request)
    if vote.time_ms >= request.deadline_ms:
        raise DecisionRefused("late", "the vote was signed after the deadline")
    check_grant(vote.grant, vote.decision, request)
    check_signature(vote, roster)


def check_grant(grant: Grant | None, decision: Decision, request: Request) -> None:
    """Return if a decision may carry this grant: an approval, within what its card offered. Raises DecisionRefused ("bad_grant")."""
    if grant is None:
        return
    offer = request.card.grant
    if offer is None or decision is not Decision.APPROVE:
        raise DecisionRefused("bad_grant", "policy offers no grant with this; decide this call alone")
    if not (1 <= grant.uses <= offer.uses and 1 <= grant.seconds <= offer.seconds and grant.session >= offer.session):
        where = ", in the same session" if offer.session else ""
        told = f"policy offers at most {offer.uses} more within {offer.seconds} s{where}"
        raise DecisionRefused("bad_grant", told)


def recount(request: Request, votes: Iterable[Vote], roster: Roster, *, now_ms: int = NEVER) -> Tally:
    """Check every vote on a request, then count them as of now. Raises DecisionRefused where one is not genuine."""
    checked = tuple(votes)
    for vote in checked:
        check_vote(vote, request, roster)
    return tally(request.needs, checked, roster, request.principal, opened_ms=request.opened_ms, now_ms=now_ms)
