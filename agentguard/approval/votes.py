"""Signed votes: how one is made, and whether one may be counted.

Rules:
- a vote binds tenant, request, revision, digest of the call, digest of the card that was shown, approvals, person, groups,
  decision, comment and time; the signature covers all of them;
- it is signed by the person's own key, or by a signer of approvers.yaml that speaks for everyone;
- a vote for another tenant, request, revision, call or card, or of a time after the deadline, is refused, whoever signed it;
- a vote that nobody's key here verifies is refused; whether its person may decide this is the tally's to say.
"""

from __future__ import annotations

import hmac
import unicodedata
from collections.abc import Iterable, Sequence

from agentguard.approval.roster import Roster
from agentguard.approval.tally import Tally, tally
from agentguard.errors import DecisionRefused
from agentguard.model.approvals import Decision, Request, Vote
from agentguard.store.keys import SigningKey, verify

COMMENT_MAX = 2000
"""Characters of a comment."""

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories of characters that steer a terminal or hide from a reader."""


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
        time_ms=time_ms,
        signer=signer,
    )
    return vote.model_copy(update={"signature": key.sign(vote.signed_text())})


def check_vote(vote: Vote, request: Request, roster: Roster) -> None:
    """Return if `vote` is a genuine vote on this very request as it stands. Raises DecisionRefused."""
    _check_bound(vote, request)
    if not verify(_key_of(vote, roster), vote.signed_text(), vote.signature):
        raise DecisionRefused("bad_signature", f"the signature of {vote.signer!r} on this vote does not verify")


def recount(request: Request, votes: Iterable[Vote], roster: Roster) -> Tally:
    """Check every vote on a request, then count them. Raises DecisionRefused where one is not genuine."""
    checked = tuple(votes)
    for vote in checked:
        check_vote(vote, request, roster)
    return tally(request.needs, checked, roster, request.principal)


def check_comment(comment: str) -> str:
    """The comment, if it may be stored and shown: not too long, and nothing in it that steers a terminal or hides."""
    if len(comment) > COMMENT_MAX:
        told = f"the comment has {len(comment)} characters; write at most {COMMENT_MAX}"
        raise DecisionRefused("bad_comment", told)
    for character in comment:
        if character != "\n" and unicodedata.category(character) in _UNSEEN:
            told = f"the comment holds the unprintable character U+{ord(character):04X}; write plain text"
            raise DecisionRefused("bad_comment", told)
    return comment


def _check_bound(vote: Vote, request: Request) -> None:
    bound = {
        "tenant": (vote.tenant, request.principal.tenant),
        "request": (vote.request, request.id),
        "revision": (str(vote.revision), str(request.revision)),
        "call": (vote.digest, request.digest),
        "card": (vote.card_digest, request.card.digest()),
    }
    for what, (voted, waiting) in bound.items():
        if not hmac.compare_digest(voted.encode(), waiting.encode()):
            raise DecisionRefused(f"other_{what}", f"the vote is on another {what} than the one that waits here")
    if vote.time_ms >= request.deadline_ms:
        raise DecisionRefused("late", "the vote was signed after the deadline")


def _key_of(vote: Vote, roster: Roster) -> str:
    """The public key that this vote must verify with. A signer's name is never a person's: the roster sees to it."""
    if vote.signer == vote.person:
        person = roster.people.get(vote.person)
        if person is None or person.key is None:
            raise DecisionRefused("no_key", f"{vote.person!r} has no key in approvers.yaml")
        return person.key
    signer = roster.signers.get(vote.signer)
    if signer is None or signer.speaks_for != "everyone":
        raise DecisionRefused("unknown_signer", f"{vote.signer!r} may not sign for {vote.person}")
    return signer.key
