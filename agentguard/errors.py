"""Every error that agentguard raises.

    AgentGuardError
    ├── CallRefused             an answer: the model may read it and act on it
    │   ├── CallPending         people are being asked, and nobody holds the line: call again later
    │   │   └── CallUnconfirmed its user can be asked right here: call again with their answer
    │   ├── InvalidArguments    the tool would not take these arguments
    │   └── ResultRefused       it ran, and policy keeps its result back
    ├── Fault                   not an answer: something is broken
    │   ├── GuardUnavailable    Redis, the journal, a detector or the embedded server; the call did not run
    │   ├── OutcomeUnknown      an earlier attempt may have run; nobody knows
    │   └── ResultWithheld      the tool ran, and what it gave can't be shown
    ├── ToolFailed              a tool's own error, masked, where its type could not carry the masked text
    ├── NoSession               a call outside `with guard.session(...)`
    ├── NotCanonical            a value that has no canonical JSON form
    ├── ConfigurationError      a file or a setting is wrong
    │   └── PolicyError         policy or approvers: a list of problems with file:line:column
    └── DecisionRefused         a vote that does not count: unknown request, ended, not entitled, ...
        ├── RequestNotFound
        └── AskedTooMuch        an agent would ask people more than policy lets it

A refusal and a fault are two branches on purpose: a model may answer a refusal, and nothing but a person may
answer a fault. No message here carries a value of an argument or a result.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentguard.model.problems import Problem


class AgentGuardError(Exception):
    """The root of the tree."""


class RefusalReason(StrEnum):
    """Why a call did not run, in words that are the same in the journal, in errors and to the model."""

    DENIED = "denied by policy"
    INVALID_ARGUMENTS = "invalid arguments"
    NOT_REVEALED = "not revealed"
    UNKNOWN_TOKEN = "unknown token"  # noqa: S105 - a reason, no secret
    REJECTED = "rejected by a person"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    STALE = "stale"
    FORGED = "forged"
    CALL_ID_REUSED = "call id reused"
    ALREADY_DONE = "already done"
    OVER_LIMIT = "over a limit"
    PENDING = "pending"
    MAY_HAVE_RUN = "may have run"
    FROZEN = "frozen"
    ASKED_TOO_MUCH = "asked too much"


class CallRefused(AgentGuardError):
    """The call did not run, and the model may be told why.

    `reason` is for programs, `str(error)` for the model: it says what happened and what can be done, and holds
    no value of an argument.
    """

    def __init__(self, reason: RefusalReason, message: str, *, tool: str = "", request_id: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.tool = tool
        self.request_id = request_id


class CallPending(CallRefused):
    """The call has not run *yet*: people are asked, and the same call, made again, comes back for their answer until `until_ms` (epoch)."""

    def __init__(self, message: str, *, tool: str, request_id: str, until_ms: int) -> None:
        super().__init__(RefusalReason.PENDING, message, tool=tool, request_id=request_id)
        self.until_ms = until_ms


class CallUnconfirmed(CallPending):
    """The call has not run *yet*: its user can confirm it. Show them `question`, and make the same call again with their answer.

    `request_id` is the question's id.
    """

    def __init__(self, message: str, *, tool: str, request_id: str, until_ms: int, question: str) -> None:
        super().__init__(message, tool=tool, request_id=request_id, until_ms=until_ms)
        self.question = question


class InvalidArguments(CallRefused):
    """The tool's own validation refused the arguments; `problems` are (path, rule), never a value."""

    def __init__(self, problems: Sequence[tuple[str, str]], *, tool: str = "") -> None:
        told = "; ".join(f"{path or 'arguments'}: {rule}" for path, rule in problems)
        super().__init__(RefusalReason.INVALID_ARGUMENTS, f"invalid arguments: {told}", tool=tool)
        self.problems = tuple(problems)


class ResultRefused(CallRefused):
    """The tool *ran*, and its result would show more subjects than a limit of the policy has room for; nothing of it is shown."""

    def __init__(self, message: str, *, tool: str = "") -> None:
        super().__init__(RefusalReason.OVER_LIMIT, message, tool=tool)


class Fault(AgentGuardError):
    """Something is broken. The subclass says whether the call ran: it did not, nobody knows, or it did."""


class GuardUnavailable(Fault):
    """A part that the guard needs is broken, late or full, so the call did not run.

    `component` is one of: redis, journal, masking, vault, embedded server, keys, approvers, MCP server.
    """

    def __init__(self, component: str, message: str) -> None:
        super().__init__(f"{component}: {message}")
        self.component = component


class OutcomeUnknown(Fault):
    """An earlier attempt at this very call was permitted and never reported back: it may have run."""

    def __init__(self, message: str, *, request_id: str) -> None:
        super().__init__(message)
        self.request_id = request_id


class ResultWithheld(Fault):
    """The tool ran, and its result can't be shown, because masking, Redis or the journal failed. Calling again runs it again."""

    def __init__(self, tool: str, fault: GuardUnavailable) -> None:
        super().__init__(f"{tool} ran, and what it gave can't be shown: {fault}. Calling it again runs it again.")
        self.tool = tool
        self.component = fault.component


class ToolFailed(AgentGuardError):
    """Stands for a tool's exception whose own type could not carry the masked text. `kind` is that type's name."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


class NoSession(AgentGuardError):
    """A guarded call outside a session: nobody said on whose behalf the agent acts."""


class NotCanonical(AgentGuardError):
    """A value has no canonical form. `path` is where (`$.a[2]`), `rule` is what it breaks."""

    def __init__(self, path: str, rule: str) -> None:
        super().__init__(f"{path}: {rule}")
        self.path = path
        self.rule = rule


class ConfigurationError(AgentGuardError):
    """A setting, a key or a file is wrong; the message says which and what to write instead."""


class PolicyError(ConfigurationError):
    """What is wrong in policy or approvers files, each problem with file:line:column."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class DecisionRefused(AgentGuardError):
    """A vote that was not counted. `code` is stable: ended, not_entitled, self_approval, changed, bad_signature, ..."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RequestNotFound(DecisionRefused):
    """No request with this id in this tenant (one answer for absent and forbidden)."""

    def __init__(self, request_id: str) -> None:
        super().__init__(
            "not_found", f"no request {request_id!r} here; `agentguard approvals list` shows the open ones"
        )


class AskedTooMuch(DecisionRefused):
    """An agent would ask people more than policy lets it. `until_ms` (epoch): when it may ask again, where the time says so; else 0."""

    def __init__(self, code: str, message: str, *, until_ms: int = 0) -> None:
        super().__init__(code, message)
        self.until_ms = until_ms
