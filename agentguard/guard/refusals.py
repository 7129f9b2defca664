"""What a refused model is told: what happened, why, and what it can do. Never a value of an argument."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from agentguard.approval import Run, Stored
from agentguard.errors import (
    AskedTooMuch,
    CallPending,
    CallRefused,
    CallUnconfirmed,
    InvalidArguments,
    RefusalReason,
    ResultRefused,
)
from agentguard.masking import Left, Why
from agentguard.model.approvals import Found, Freeze, Request, Resolution, Scope, State
from agentguard.model.paths import told_path
from agentguard.model.verdicts import Clause, Effect, Verdict
from agentguard.policy import NoDeed


def denied(verdict: Verdict) -> CallRefused:
    """Policy says no."""
    denying = [clause for clause in verdict.clauses if clause.effect is Effect.DENY]
    said = "; ".join(clause.reason or _why(clause) for clause in denying)
    return CallRefused(
        RefusalReason.DENIED,
        f"denied by policy: {said}. The call did not run. Do not try it again in another form; tell the user.",
        tool=verdict.tool,
    )


def _why(clause: Clause) -> str:
    """Why a clause without a reason of its own denies."""
    if clause.kind != "limit":
        return f"{clause.kind} {clause.id} denies it"
    if clause.met == "error":
        return f"there is no amount that limit {clause.id} could count ({clause.error})"
    return f"it would go over limit {clause.id}"


def not_restored(tool: str, left: Sequence[Left]) -> CallRefused:
    """A token stands where only a value can, and this tool does not get the value there, or nobody has it any more."""
    stopping = [each for each in left if each.stops] or left
    unknown = [each for each in stopping if each.why is Why.UNKNOWN]
    if unknown:
        told = (
            f"unknown token: {_places(unknown)} holds a token or stand-in that stands for nothing here: it was erased, has lapsed or was "
            "never given. The call did not run. Look the value up again, or tell the user."
        )
        return CallRefused(RefusalReason.UNKNOWN_TOKEN, told, tool=tool)
    told = (
        f"not revealed: {_places(stopping)} holds what stands for a masked value, and policy does not give {tool} the value there. "
        "The call did not run. Leave it out, use a tool that may have it, or tell the user."
    )
    return CallRefused(RefusalReason.NOT_REVEALED, told, tool=tool)


def explained(invalid: InvalidArguments, left: Sequence[Left]) -> CallRefused:
    """The tool's own refusal of its arguments, or the reason behind it: what it refused is a token that was not restored."""
    refused = {path for path, _ in invalid.problems}
    behind = [each for each in left if any(_is_in(path, ".".join(map(str, each.path))) for path in refused)]
    return not_restored(invalid.tool, behind) if behind else invalid


def _is_in(path: str, place: str) -> bool:
    """Whether a problem's path is a place, or in one of the alternatives there."""
    return path == place or path.startswith(f"{place}.")


def _places(left: Sequence[Left]) -> str:
    """Where; a key that does not look like a name may be a value."""
    return ", ".join(dict.fromkeys(told_path(each.path) for each in left))


def impossible(verdict: Verdict, missing: Sequence[str]) -> CallRefused:
    """Policy wants people to decide, and there is nobody who could."""
    told = (
        f"denied by policy: nobody could approve this call ({'; '.join(missing)}). The call did not run; tell the user."
    )
    return CallRefused(RefusalReason.DENIED, told, tool=verdict.tool)


def ended(tool: str, resolution: Resolution, *, until_ms: int = 0) -> CallRefused:
    """A request ended without a permit. `until_ms`: how long a person's no is the answer to the same call."""
    reason, told = _ENDS[resolution.state]
    if resolution.state is State.REJECTED and resolution.by:
        told += f" Who rejected it: {', '.join(resolution.by)}."
    words = f' They said: "{resolution.comment}".' if resolution.comment else ""
    again = f" Until {_time(until_ms)} the same call is refused without asking anybody." if until_ms else ""
    return CallRefused(reason, told + words + again, tool=tool, request_id=resolution.request)


_BOUNDS = {"crowded": "asking.pending", "paused": "asking.per_minute"}
"""The keys of a policy behind the reasons of `AskedTooMuch`."""


def asked_too_much(tool: str, refused: AskedTooMuch) -> CallRefused:
    """Nobody is asked, since the agent has asked too much already."""
    then = (
        f"Nobody is asked until {_time(refused.until_ms)}"
        if refused.until_ms
        else "Nobody is asked until people are done with some of them"
    )
    told = (
        f"asked too much: {refused}. {then}. The call did not run. Do not try it in another form; tell the user, and ask for less. "
        f"What bounds it is {_BOUNDS[refused.code]} in policy.yaml."
    )
    return CallRefused(RefusalReason.ASKED_TOO_MUCH, told, tool=tool)


def pending(stored: Stored, missing: Sequence[str]) -> CallPending:
    """People are asked, and the call comes back for their answer."""
    request = stored.request
    until = _time(request.deadline_ms)
    told = (
        f"pending: request {request.id} waits for {'; '.join(missing)}, until {until}. The call has not run yet. Do not try it in "
        "another form. Tell the user; then call the tool again with exactly the same arguments to come back for the answer."
    )
    return CallPending(told, tool=request.tool, request_id=request.id, until_ms=request.deadline_ms)


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def unconfirmed(tool: str, question_id: str, until_ms: int, question: str) -> CallUnconfirmed:
    """The user is where the agent is, and is asked there."""
    told = "pending: the user is asked to confirm this call. It has not run yet. Call the tool again with exactly the same arguments."
    return CallUnconfirmed(told, tool=tool, request_id=question_id, until_ms=until_ms, question=question)


def not_confirmed(tool: str, question_id: str | None) -> CallRefused:
    """The user said no, or closed the question."""
    told = "not confirmed: the user did not confirm this call. It did not run. Do not try it again in another form; ask the user."
    return CallRefused(RefusalReason.REJECTED, told, tool=tool, request_id=question_id)


def confirmed_too_late(tool: str) -> CallRefused:
    """An answer to no question that is open: answered before, lapsed, or never asked."""
    told = "expired: the question that the user answered is not open any more. The call did not run. Call the tool again to ask anew."
    return CallRefused(RefusalReason.EXPIRED, told, tool=tool)


def come_back(request: Request) -> str:
    """People approved a call that is not there any more."""
    return f"approved: call {request.tool} again now, with exactly the same arguments; then it runs."


def twin(tool: str, request_id: str) -> CallRefused:
    """The same call, made twice at once, was asked about once and got its one permit elsewhere."""
    told = "already done: the very same call was made beside this one, and it runs or ran there. This one did not run; do not repeat it."
    return CallRefused(RefusalReason.ALREADY_DONE, told, tool=tool, request_id=request_id)


def over_limit(tool: str, over: Sequence[str], asks: bool) -> ResultRefused:
    """The tool ran, and its result would show more people or things than a limit leaves room for."""
    named = ", ".join(over)
    then = "Call it again to have people asked first, or ask for less." if asks else "Ask for less, or tell the user."
    return ResultRefused(
        f"over a limit: {tool} ran, and its result would go over {named}, so it is not handed out. {then}", tool=tool
    )


def no_deed(tool: str, missing: NoDeed) -> CallRefused:
    """A call may happen once, and says nothing by which a second one could be known."""
    told = f"denied by policy: {missing.clause.kind} {missing.clause.id} says once: {missing.written}, and the call has no value there"
    return CallRefused(RefusalReason.DENIED, f"{told}. The call did not run. Give that value.", tool=tool)


def done_before(tool: str, run: Run, is_known: bool) -> CallRefused:
    """A deed that may happen once was done, or may have been."""
    if is_known:
        told = "already done: policy lets this happen once, and it happened. It did not run again; do not repeat it."
        return CallRefused(RefusalReason.ALREADY_DONE, told, tool=tool)
    told = (
        "may have run: policy lets this happen once, and an earlier call that would do it runs now, failed, or never reported back. "
        f"This one did not run; do not repeat it. A person finds out, then: agentguard approvals settle {run.subject}"
    )
    return CallRefused(RefusalReason.MAY_HAVE_RUN, told, tool=tool)


def settled(tool: str, request_id: str, found: Found) -> CallRefused:
    """This very call may have run, and a person found out."""
    what = "it happened" if found is Found.HAPPENED else "it did not happen; call the tool anew if it is still wanted"
    told = f"already done: this very call was permitted before, and a person found that {what}. It did not run again."
    return CallRefused(RefusalReason.ALREADY_DONE, told, tool=tool, request_id=request_id)


def frozen(tool: str, freeze: Freeze, reason: str) -> CallRefused:
    """People stopped such calls; `reason` is what the model may read of their words."""
    told = f'frozen: a person stopped calls of this {freeze.scope}, and said: "{reason}".'
    if freeze.scope is Scope.ALL:
        told = f'frozen: a person stopped all calls, and said: "{reason}".'
    return CallRefused(
        RefusalReason.FROZEN, f"{told} The call did not run. Do not try another way; tell the user.", tool=tool
    )


def stale(tool: str, request_id: str | None, what: str) -> CallRefused:
    """The approval no longer fits what would run."""
    told = f"stale: {what} since people were asked. The call did not run. Call the tool again to ask anew."
    return CallRefused(RefusalReason.STALE, told, tool=tool, request_id=request_id)


def forged(tool: str, request_id: str) -> CallRefused:
    """The record of the approval does not verify."""
    told = "forged: the approval on record does not verify. The call did not run. Tell the user to alert security."
    return CallRefused(RefusalReason.FORGED, told, tool=tool, request_id=request_id)


def reused(tool: str) -> CallRefused:
    """One call id, two calls."""
    told = "call id reused: this call id was used before for another call, or by somebody else. The call did not run."
    return CallRefused(RefusalReason.CALL_ID_REUSED, told, tool=tool)


_ENDS: dict[State, tuple[RefusalReason, str]] = {
    State.REJECTED: (
        RefusalReason.REJECTED,
        "rejected by a person. The call did not run. Do not try it again in another form; tell the user.",
    ),
    State.EXPIRED: (
        RefusalReason.EXPIRED,
        "expired: nobody approved it in time. The call did not run; tell the user.",
    ),
    State.WITHDRAWN: (RefusalReason.WITHDRAWN, "withdrawn: the request was taken back. The call did not run."),
    State.DONE: (
        RefusalReason.ALREADY_DONE,
        "already done: this very call ran before. It did not run again; do not repeat it.",
    ),
    State.FAILED: (
        RefusalReason.ALREADY_DONE,
        "already done: this very call ran before, and failed. It did not run again.",
    ),
}
