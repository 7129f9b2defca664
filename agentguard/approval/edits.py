"""Edits: a person changes the arguments of a call, and the changed call is asked about anew.

Rules:
- an edit is signed like a vote, and on exactly one revision of one call and its card;
- whoever may decide the request may edit it, where every approval that it needs lets them; so the requester may only what they confirm;
- it says arguments and their new values, nothing else: no tool, no call, no person can be switched by it;
- the values are sealed for the agent's side, which alone knows what the other arguments are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from agentguard.approval.roster import Roster
from agentguard.approval.signing import check_bound, check_comment, check_signature, signed
from agentguard.approval.tally import entitled_to
from agentguard.errors import DecisionRefused, NotCanonical
from agentguard.model.approvals import Edit, Request
from agentguard.model.canonical import canonical_json
from agentguard.model.record import Json
from agentguard.store.keys import SigningKey
from agentguard.store.letters import LetterBox, write_letter
from agentguard.store.seal import SealBroken

CHANGES_MAX = 65_536
"""Characters of the JSON of an edit's changes."""


def sign_edit(
    request: Request,
    changes: Mapping[str, Json],
    *,
    person: str,
    comment: str,
    card_digest: str,
    time_ms: int,
    signer: str,
    key: SigningKey,
) -> Edit:
    """A person's change of some arguments of what they were shown. Raises DecisionRefused: bad_edit, not_editable, bad_comment."""
    if not request.box:
        raise DecisionRefused("not_editable", "the agent that asks takes no edits")
    edit = Edit(
        tenant=request.principal.tenant,
        request=request.id,
        revision=request.revision,
        digest=request.digest,
        card_digest=card_digest,
        changes=write_letter(request.box, _written(changes).encode(), _context(request)),
        comment=check_comment(comment),
        person=person,
        time_ms=time_ms,
        signer=signer,
    )
    return signed(edit, key)


def check_edit(edit: Edit, request: Request, roster: Roster, *, now_ms: int) -> None:
    """Return if `edit` is a genuine edit of this very request as it stands, by somebody who may by now. Raises DecisionRefused."""
    check_bound(edit, request)
    check_signature(edit, roster)
    may_edit(edit.person, request, roster, now_ms=min(now_ms, edit.time_ms))


def may_edit(person: str, request: Request, roster: Roster, *, now_ms: int) -> None:
    """Return if a person may edit a request now. Raises DecisionRefused: not_editable, not_entitled."""
    if not all(need.edit for need in request.needs):
        raise DecisionRefused("not_editable", "policy lets nobody change the arguments of this call; reject it instead")
    elapsed = now_ms - request.opened_ms
    if not any(person in entitled_to(need, roster, request.principal, elapsed) for need in request.needs):
        raise DecisionRefused("not_entitled", f"{person} is not among those who decide this, so they can't edit it")


def changes_of(edit: Edit, request: Request, box: LetterBox) -> dict[str, Json]:
    """What an edit changes. Raises DecisionRefused ("bad_edit") for a letter that is none."""
    try:
        found = json.loads(box.open(edit.changes, _context(request)))
    except (SealBroken, ValueError, RecursionError):
        raise DecisionRefused("bad_edit", "its changes can't be read") from None
    if not isinstance(found, dict) or not found:
        raise DecisionRefused("bad_edit", "it changes nothing")
    return found


def _written(changes: Mapping[str, Json]) -> str:
    if not changes:
        raise DecisionRefused("bad_edit", "an edit changes at least one argument; say which: --set NAME=VALUE")
    try:
        written = canonical_json(dict(changes))
    except NotCanonical as error:
        raise DecisionRefused("bad_edit", f"an argument's new value is no plain JSON: {error}") from None
    if len(written) > CHANGES_MAX:
        raise DecisionRefused("bad_edit", f"the new values have {len(written)} characters; at most {CHANGES_MAX}")
    return written


def _context(request: Request) -> str:
    return f"changes of request {request.id} revision {request.revision}"
