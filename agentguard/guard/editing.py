"""The agent's side of edit-then-approve: an edit becomes the next revision of its request, or is refused.

Rules:
- an edit that does not verify ends its request as forged; one by somebody who may not edit is refused;
- the changed call walks the road like any other: restored, validated by its tool, judged; what is refused there is no revision;
- the next revision has its own digest, card, facts and verdict, and nobody has approved it yet; what was before is kept beside it;
- who comes to an edited request later (a restart, a call that joined) works the same changes out again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from agentguard.approval import Roster, Stored, changes_of, check_edit, obstacles
from agentguard.errors import CallRefused, DecisionRefused
from agentguard.guard.binding import Binding
from agentguard.guard.case import Case
from agentguard.guard.cases import Cases
from agentguard.guard.records import Records
from agentguard.guard.requests import Requests
from agentguard.model.approvals import Edit, Request
from agentguard.model.canonical import canonical_json
from agentguard.model.record import Json
from agentguard.model.verdicts import Effect
from agentguard.store.letters import LetterBox
from agentguard.store.seal import Sealer

_REFUSED_EDITS = frozenset({"not_editable", "not_entitled", "bad_edit", "no_key", "unknown_signer"})
"""Why an edit is refused though nobody forged it."""


@dataclass(frozen=True, kw_only=True)
class Editing:
    """Answers edits. `box` opens what people wrote."""

    requests: Requests
    binding: Binding
    sealer: Sealer
    box: LetterBox
    people: Callable[[], Roster]
    records: Records
    cases: Cases

    async def answer(self, case: Case, stored: Stored) -> Stored:
        """Answer the edit that waits; the request as it stands then. Raises DecisionRefused where it is forged."""
        if stored.edit is None:
            return stored
        try:
            await self._answer(case, stored, stored.edit)
        except DecisionRefused as refused:
            if refused.code not in ("changed", "ended"):
                raise
        return await self.requests.read(stored.request.id)

    async def as_edited(self, case: Case, stored: Stored) -> Case:
        """The case with all changes that people made so far. Raises CallRefused, SealBroken."""
        changes = self._changes(stored)
        return case if changes == case.changes else await self.cases.changed(case, changes)

    async def _answer(self, case: Case, stored: Stored, edit: Edit) -> None:
        request = stored.request
        try:
            check_edit(edit, request, self.people(), now_ms=stored.now_ms)
            changes = {**self._changes(stored), **changes_of(edit, request, self.box)}
        except DecisionRefused as refused:
            if refused.code not in _REFUSED_EDITS:
                raise
            await self._refuse(case, stored, edit, str(refused))
            return
        try:
            edited = await self.cases.changed(case, changes)
        except CallRefused as refused:
            await self._refuse(case, stored, edit, f"the changed call would not run: {refused}")
            return
        missing = [*obstacles(edited.verdict.needs, self.people(), case.principal)]
        if edited.verdict.effect is not Effect.ASK or missing:
            await self._refuse(case, stored, edit, f"nobody could approve it: {'; '.join(missing)}")
            return
        await self._revise(case, stored, edit, edited)

    async def _revise(self, case: Case, stored: Stored, edit: Edit, edited: Case) -> None:
        revised = self._next(stored.request, edited)
        await self.records.edited(case.principal, case.call, edit, edited.changes, revised.revision)
        await self.requests.revise(
            stored,
            revised,
            self.sealer.seal(edited.snapshot.input_text.encode(), input_context(revised.id)),
            self.sealer.seal(canonical_json(dict(edited.changes)).encode(), _changes_context(revised.id)),
        )
        await self.records.asked(revised, "revised")

    async def _refuse(self, case: Case, stored: Stored, edit: Edit, why: str) -> None:
        await self.records.edited(case.principal, case.call, edit, {}, 0)
        await self.requests.refuse_edit(stored, why)

    def _next(self, request: Request, edited: Case) -> Request:
        digest = self.binding.digest(edited.tool, edited.principal, edited.snapshot.text, edited.tokens)
        return request.model_copy(
            update={
                "revision": request.revision + 1,
                "digest": digest,
                "card": edited.card,
                "verdict": edited.verdict,
                "facts": edited.facts,
                "notify": edited.notify,
            }
        )

    def _changes(self, stored: Stored) -> dict[str, Json]:
        """What people changed so far."""
        if not stored.sealed_changes:
            return {}
        found: dict[str, Json] = json.loads(
            self.sealer.open(stored.sealed_changes, _changes_context(stored.request.id))
        )
        return found


def input_context(request_id: str) -> str:
    """What the sealed input of a request is bound to."""
    return f"input of request {request_id}"


def _changes_context(request_id: str) -> str:
    return f"changes of request {request_id}"
