"""A request as it stands in Redis, read from the reply of read.lua, with the MAC of its record."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from agentguard.errors import DecisionRefused
from agentguard.model.approvals import Decision, Edit, Request, Resolution, State, Vote


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """A request, its votes (by person, their signatures not yet verified) and its state, all read at one moment.

    `version` names exactly this revision and these votes; `now_ms` is Redis's clock at that moment; `ended_ms` is when the run of an
    approved call ended, 0 while it has not. Votes on earlier revisions are left out: they count for nothing.

    `edit`: the last one, if there was any; `edit_waits` while the agent's side has not answered it, `edit_refused` why it was refused.
    """

    request: Request
    state: State
    version: str
    votes: tuple[Vote, ...]
    sealed_input: bytes
    withdrawn: str
    now_ms: int
    ended_ms: int = 0
    edit: Edit | None = None
    edit_waits: bool = False
    edit_refused: str = ""
    sealed_changes: bytes = b""

    @property
    def resolution(self) -> Resolution:
        """How it stands, who said so and in which words: of a rejection those who rejected, else those who approved."""
        said = Decision.REJECT if self.state is State.REJECTED else Decision.APPROVE
        speaking = [vote for vote in self.votes if vote.decision is said] if self.state in _DECIDED else []
        return Resolution(
            request=self.request.id,
            state=self.state,
            by=tuple(vote.person for vote in speaking),
            comment=" / ".join(vote.comment for vote in speaking if vote.comment),
        )


_DECIDED = frozenset(State) - {State.PENDING, State.EXPIRED, State.WITHDRAWN}


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordMac:
    """Vouches for records of the agent's side: HMAC-SHA256 with the newest key, verified with any (for rotation)."""

    keys: Sequence[bytes] = field(repr=False)

    def of(self, record: bytes) -> bytes:
        """The MAC of a record's text, in hex."""
        return self._with(self.keys[0], record)

    def check(self, record: bytes, mac: bytes) -> None:
        """Return if one of the keys made `mac` over `record`. Raises DecisionRefused."""
        if not any(hmac.compare_digest(self._with(key, record), mac) for key in self.keys):
            raise forged("its record was changed by somebody who is not the agent's side")

    @staticmethod
    def _with(key: bytes, record: bytes) -> bytes:
        return hmac.new(key, b"agentguard request 1\n" + record, hashlib.sha256).hexdigest().encode()


def read_stored(request_id: str, tenant: str, reply: Sequence[Any], *, now_ms: int, mac: RecordMac | None) -> Stored:
    """The request in one entry of read.lua's reply. Raises DecisionRefused ("forged") where it is not what was written."""
    state, version, record, record_mac, sealed_input, withdrawn, votes, ended_ms, edit, waits, why, changes = reply
    if mac is not None:
        mac.check(record, record_mac)
    try:
        request = Request.read(record)
        read_votes = tuple(Vote.read(text) for _, text in sorted(votes))
        last_edit = Edit.read(edit) if edit else None
    except ValidationError:
        raise forged("its record or a vote on it is not one that agentguard writes") from None
    if (request.id, request.principal.tenant) != (request_id, tenant):
        raise forged("its record is that of another request")
    if [vote.person.encode() for vote in read_votes] != sorted(person for person, _ in votes):
        raise forged("a vote on it stands under another person's name")
    return Stored(
        request=request,
        state=_state(state, request, now_ms),
        version=version.decode(errors="replace"),
        votes=tuple(vote for vote in read_votes if vote.revision == request.revision),
        sealed_input=sealed_input,
        withdrawn=withdrawn.decode(errors="replace"),
        now_ms=now_ms,
        ended_ms=int(ended_ms) if ended_ms.isdigit() else 0,
        edit=last_edit,
        edit_waits=bool(waits),
        edit_refused=why.decode(errors="replace"),
        sealed_changes=changes,
    )


def _state(word: bytes, request: Request, now_ms: int) -> State:
    """The state that Lua derived, within the times of the record: those that Lua reads carry no MAC."""
    state = State(word.decode())
    late = {State.PENDING: request.deadline_ms, State.APPROVED: request.redeem_by_ms}.get(state, now_ms + 1) <= now_ms
    return State.EXPIRED if late else state


def forged(why: str) -> DecisionRefused:
    """A request that somebody tampered with."""
    return DecisionRefused("forged", f"this request is forged: {why}; it will not run, and security should know")
