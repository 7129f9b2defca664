"""Signed statements of people: how one is signed, and whether one is genuine.

Rules:
- the signature covers the whole statement, and what kind of statement it is, so that none passes for another;
- it is made with a key of the person's own, or of a signer of approvers.yaml that speaks for everyone;
- the keys are today's; of several (rotation) any may have signed;
- what is said of a request binds its tenant, the request, its revision, the digest of the call and that of the card that was shown;
- what people write along is plain text: nothing in it steers a terminal or hides.
"""

from __future__ import annotations

import hmac
import unicodedata
from typing import TypeVar

from agentguard.approval.roster import Roster
from agentguard.errors import DecisionRefused
from agentguard.model.approvals import Edit, Request, Signed, Vote
from agentguard.store.keys import SigningKey, verify

S = TypeVar("S", bound=Signed)

COMMENT_MAX = 2000
"""Characters of a comment."""

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories of characters that steer a terminal or hide from a reader."""


def signed(statement: S, key: SigningKey) -> S:
    """The statement with its signature."""
    return statement.model_copy(update={"signature": key.sign(statement.signed_text())})


def check_signature(statement: Signed, roster: Roster) -> None:
    """Return if the statement is its person's. Raises DecisionRefused: no_key, unknown_signer, bad_signature."""
    text = statement.signed_text()
    if not any(verify(key, text, statement.signature) for key in _keys_of(statement, roster)):
        raise DecisionRefused("bad_signature", f"the signature of {statement.signer!r} does not verify")


def check_bound(said: Vote | Edit, request: Request) -> None:
    """Return if it was said of this very request, call and card as they stand, whoever said it. Raises DecisionRefused (`other_...`)."""
    bound = {
        "tenant": (said.tenant, request.principal.tenant),
        "request": (said.request, request.id),
        "revision": (str(said.revision), str(request.revision)),
        "call": (said.digest, request.digest),
        "card": (said.card_digest, request.card.digest()),
    }
    for what, (of_it, of_this) in bound.items():
        if not hmac.compare_digest(of_it.encode(), of_this.encode()):
            kind = type(said).__name__.lower()
            raise DecisionRefused(f"other_{what}", f"the {kind} is of another {what} than the one that waits here")


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


def _keys_of(statement: Signed, roster: Roster) -> tuple[str, ...]:
    """The public keys of which one must verify it. A signer's name is never a person's: the roster sees to it."""
    person = roster.people.get(statement.person)
    if person is None:
        raise DecisionRefused("no_key", f"{statement.person!r} is not in approvers.yaml")
    if statement.signer == statement.person:
        if not person.keys:
            raise DecisionRefused("no_key", f"{statement.person!r} has no key in approvers.yaml")
        return person.keys
    signer = roster.signers.get(statement.signer)
    if signer is None or signer.speaks_for != "everyone":
        raise DecisionRefused("unknown_signer", f"{statement.signer!r} may not sign for {statement.person}")
    return signer.keys
