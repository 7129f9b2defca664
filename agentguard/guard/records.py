"""What the pipeline puts on record, and when it waits for the disk.

Rules:
- a line is written and flushed before the call goes on; it survives the process;
- an ask, a refusal, an unmasking and a permit by people are fsynced before the call goes on; an allowed call is fsynced within 50 ms;
- if the journal can't take a line, the call does not run;
- a call is kept for replay, sealed, where the deployment says for how long;
- no argument or result in clear: masked text, keyed digests, counts.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic_core import to_json

from agentguard.approval import Granted, Stored
from agentguard.audit import Journal, KeptCall, KeptCalls
from agentguard.errors import CallRefused, Fault, GuardUnavailable, InvalidArguments, OutcomeUnknown
from agentguard.guard.binding import Binding
from agentguard.guard.budgets import NOT_COUNTED, Bill, Headcount
from agentguard.guard.case import Case
from agentguard.guard.lines import Lines
from agentguard.guard.permit import Permit
from agentguard.guard.snapshot import Snapshot
from agentguard.masking import Masked
from agentguard.model.approvals import Edit, Freeze, Request, Settlement
from agentguard.model.calls import Principal, ToolCall
from agentguard.model.events import (
    Answered,
    Asked,
    Cleared,
    Confirmed,
    Counted,
    Edited,
    Ended,
    Faulted,
    FreezeSeen,
    GrantUsed,
    Joined,
    Permitted,
    Refused,
)
from agentguard.model.facts import Facts
from agentguard.model.record import Record
from agentguard.model.verdicts import Effect, Verdict
from agentguard.store.doors import wait_for

_log = logging.getLogger("agentguard.guard")
_ALLOW = Effect.ALLOW  # Python 3.11 looks a member of an Enum up in Python each time that it is named


@dataclass(frozen=True, kw_only=True)
class Records:
    """Writes the journal lines of one guard. Each method raises GuardUnavailable where the journal can't take the line."""

    journal: Journal
    binding: Binding
    kept: KeptCalls
    lines: Lines = field(default_factory=Lines)

    async def judged(
        self,
        principal: Principal,
        call: ToolCall,
        verdict: Verdict,
        snapshot: Snapshot,
        masked: Masked,
        revealed: Mapping[str, tuple[str, ...]],
        *,
        facts: Facts,
        bill: Bill,
    ) -> None:
        """Step 4: the verdict, before anything else happens."""
        differs = masked.changed or revealed or snapshot.shown_text is not None  # masked, put back, or hidden
        kept = self.kept.keep(KeptCall.of(snapshot.text, facts, bill.charges)) if self.kept.days else ""
        line = self.lines.judged(
            verdict,
            principal,
            self.binding.call_id(call.id),
            arguments=_text(masked.value) if differs else snapshot.text,
            snapshot_digest=self.binding.value(snapshot.text),
            entities=masked.entities,
            revealed=revealed,
            kept=kept,
        )
        pending = self.journal.append("judged", line, durable=verdict.effect is not _ALLOW or bool(revealed))
        if pending is not None:
            await wait_for(pending)

    async def refused(self, principal: Principal, call: ToolCall, refusal: CallRefused) -> None:
        """A call that did not run."""
        code = ",".join(sorted({rule for _, rule in refusal.problems})) if isinstance(refusal, InvalidArguments) else ""
        line = Refused(
            policy_version=self.journal.policy_version,
            principal=principal,
            call_id=self.binding.call_id(call.id),
            tool=call.tool,
            reason=refusal.reason,
            code=code[:200],
            request=refusal.request_id,
        )
        await self._write("refused", line, durable=True)

    async def asked(self, request: Request, how: Joined) -> None:
        """A request that people see, before anybody decides."""
        line = Asked(
            policy_version=self.journal.policy_version,
            principal=request.principal,
            call_id=request.call_id,
            tool=request.tool,
            request=request.id,
            revision=request.revision,
            joined=how,
            digest=request.digest,
            card_digest=request.card.digest(),
            needs=tuple(need.name for need in request.needs),
            deadline_ms=request.deadline_ms,
        )
        await self._write("asked", line, durable=True)
        if how == "created":
            _log.warning("%s waits for a decision: agentguard approvals show %s", request.tool, request.id[:8])

    async def permitted(self, principal: Principal, call: ToolCall, snapshot: Snapshot, stored: Stored) -> None:
        """Step 6: who let the call run, whose keys signed, and what those signatures are worth here."""
        line = Permitted(
            policy_version=self.journal.policy_version,
            principal=principal,
            call_id=self.binding.call_id(call.id),
            tool=call.tool,
            snapshot_digest=self.binding.value(snapshot.text),
            request=stored.request.id,
            votes=tuple(
                Counted(person=vote.person, decision=vote.decision, signer=vote.signer) for vote in stored.votes
            ),
            assurance=stored.request.assurance,
        )
        await self._write("permitted", line, durable=True)

    async def confirmed(self, case: Case, digest: str, question: str, answer: Literal["confirmed", "refused"]) -> None:
        """What the user answered about their own call, before it runs or is refused."""
        line = Confirmed(
            policy_version=self.journal.policy_version,
            principal=case.principal,
            call_id=self.binding.call_id(case.call.id),
            tool=case.tool.name,
            question=question,
            digest=digest,
            card_digest=case.card.digest(),
            answer=answer,
        )
        await self._write("confirmed", line, durable=True)

    async def settled(
        self,
        permit: Permit,
        ended: Ended,
        masked: Masked | None,
        counted: Headcount = NOT_COUNTED,
        *,
        labels: tuple[str, ...] = (),
    ) -> None:
        """Step 8: how the call ended, what its result did to limits, and the labels that it put on the session. Once a call."""
        if permit.record:
            return
        written = _digestible(masked.value) if masked is not None else b""
        line = self.lines.settled(
            permit.principal,
            self.journal.policy_version,
            self.binding.call_id(permit.call.id),
            permit.call.tool,
            ended,
            request=permit.claim.request_id if permit.claim else None,
            result_digest=self.binding.value(written) if written else "",
            result_bytes=len(written),
            entities=masked.entities if masked is not None else {},
            labels=labels,
            over=counted.withholding,
            over_in_shadow=counted.noted,
            duration_ms=(time.perf_counter_ns() - permit.admitted_ns) // 1_000_000,
        )
        durable = permit.claim is not None or bool(counted.withholding)
        pending = self.journal.append("settled", line, durable=durable, number=permit.record)
        if pending is not None:
            await wait_for(pending)

    async def answered(self, principal: Principal, shown: Mapping[str, int], kept: Mapping[str, int]) -> None:
        """What the user is shown in clear of an answer, before it is."""
        line = Answered(
            policy_version=self.journal.policy_version, principal=principal, shown=dict(shown), kept=dict(kept)
        )
        await self._write("answered", line, durable=True)

    async def edited(
        self, principal: Principal, call: ToolCall, edit: Edit, changes: Iterable[str], revision: int
    ) -> None:
        """A person's change of a call's arguments, before the changed call is asked about; revision 0: it was refused."""
        line = Edited(
            principal=principal,
            call_id=self.binding.call_id(call.id),
            tool=call.tool,
            request=edit.request,
            revision=revision,
            arguments=tuple(sorted(changes)),
            person=edit.person,
            signer=edit.signer,
        )
        await self._write("edited", line, durable=True)

    async def granted(
        self, principal: Principal, call: ToolCall, snapshot: Snapshot, granted: Granted, number: int
    ) -> None:
        """Step 6 without asking: which grant let the call run, whose votes carry it, and which use of it this is."""
        line = GrantUsed(
            principal=principal,
            call_id=self.binding.call_id(call.id),
            tool=call.tool,
            snapshot_digest=self.binding.value(snapshot.text),
            grant=granted.id,
            number=number,
            votes=tuple(
                Counted(person=vote.person, decision=vote.decision, signer=vote.signer) for vote in granted.votes
            ),
            assurance=granted.stored.request.assurance,
        )
        await self._write("granted", line, durable=True)

    async def cleared(self, principal: Principal, call: ToolCall, deed: str, word: Settlement) -> None:
        """A person's word by which a deed may be done anew."""
        line = Cleared(
            principal=principal,
            call_id=self.binding.call_id(call.id),
            tool=call.tool,
            deed=deed,
            person=word.person,
            signer=word.signer,
        )
        await self._write("cleared", line, durable=True)

    def freeze_seen(self, freeze: Freeze, what: Literal["stands", "lifted"]) -> None:
        """A freeze that this process learnt of, or that ended; the calls that it stops are on record themselves."""
        line = FreezeSeen(freeze=freeze.id, scope=freeze.scope, name=freeze.name, person=freeze.person, what=what)
        with suppress(GuardUnavailable):
            self.journal.append("freeze", line, durable=True)

    def forged(self, principal: Principal, call: ToolCall, request_id: str, code: str) -> None:
        """Somebody put into Redis what no person signed; said as loudly as a library can."""
        _log.error("request %s is forged (%s); the call does not run", request_id, code)
        line = self._faulted(principal, call, "approval", code, request_id)
        self.journal.append("faulted", line, durable=True)

    def fault(self, principal: Principal, call: ToolCall, fault: Fault) -> None:
        """What was broken, if the journal itself is not."""
        component = fault.component if isinstance(fault, GuardUnavailable) else "outcome"
        request = fault.request_id if isinstance(fault, OutcomeUnknown) else None
        line = self._faulted(principal, call, component, type(fault).__name__, request)
        with suppress(GuardUnavailable):
            self.journal.append("faulted", line, durable=True)

    def _faulted(self, principal: Principal, call: ToolCall, component: str, code: str, request: str | None) -> Faulted:
        return Faulted(
            policy_version=self.journal.policy_version,
            principal=principal,
            call_id=self.binding.call_id(call.id),
            tool=call.tool,
            component=component,
            code=code,
            request=request,
        )

    async def _write(self, kind: str, line: Record, *, durable: bool) -> None:
        pending = self.journal.append(kind, line, durable=durable)
        if pending is not None:
            await wait_for(pending)


def _digestible(masked: Any) -> bytes:
    """The masked result as JSON, or as Python writes it, for a keyed digest; never written."""
    try:
        return to_json(masked, fallback=repr)
    except (TypeError, ValueError, RecursionError):
        return repr(masked).encode(errors="surrogatepass")


def _text(masked: Any) -> str:
    """Masked values as text; what has no JSON form is named by its type, since only masked text may be written."""
    return _encoder.encode(masked)


_encoder = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), default=lambda value: f"<{type(value).__name__}>"
)
