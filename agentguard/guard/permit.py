"""Proof that one call may run once, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, NoReturn

from agentguard.guard.budgets import NO_BILL, Bill
from agentguard.guard.snapshot import Snapshot
from agentguard.guard.tracing import UNTRACED, Trace
from agentguard.guard.undertaking import NOTHING, Undertaking
from agentguard.masking import Put
from agentguard.model.calls import Principal, Returns, ToolCall
from agentguard.model.canonical import canonical_json
from agentguard.model.record import Json
from agentguard.model.verdicts import Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A redeemed approval: the fence under which this process runs the call, and the task that renews it."""

    request_id: str
    fence: str
    renewing: Future[None]


@dataclass(kw_only=True, slots=True, weakref_slot=True)  # a frozen one is made ten times as slowly, for every call
class Permit:
    """One call that may run now. Give `arguments` to the tool, then settle; a permit is settled once.

    `bill`: what the call takes from its limits. `put`: what the tool gets in clear. `undertaking`: what it may do once.
    `changes`: what people changed of the model's arguments. `record`: the number of the record of its end, once there is one.
    `returns`: what the tool says it gives.
    """

    call: Final[ToolCall]
    principal: Final[Principal]
    verdict: Final[Verdict]
    snapshot: Final[Snapshot]
    admitted_ns: Final[int]
    claim: Final[Claim | None] = None
    bill: Final[Bill] = NO_BILL
    undertaking: Final[Undertaking] = NOTHING
    put: Final[Sequence[Put]] = ()
    changes: Final[Mapping[str, Json]] = field(default_factory=dict)
    settled: Final[list[str]] = field(default_factory=list)
    record: Final[list[int]] = field(default_factory=list)
    trace: Final[Trace] = UNTRACED
    returns: Final[Returns | None] = None

    def __reduce_ex__(self, _: object) -> NoReturn:
        """No copy and no pickle: each could be settled once, and the call would seem to have run twice."""
        raise TypeError(f"a permit can't be copied or pickled: it lets {self.call.tool} run once, here")

    @property
    def input(self) -> dict[str, Json]:
        """The arguments to run with: a fresh copy each time, tokens restored where policy reveals them."""
        return self.snapshot.input

    @property
    def arguments(self) -> Any:
        """What to call the tool with: the very values that were judged, where its parsing keeps them, else `input`."""
        return self.input if self.snapshot.ready is None else self.snapshot.ready

    @property
    def word_on_changes(self) -> str:
        """What the model is told of what people changed, not yet masked; empty where nothing."""
        if not self.changes:
            return ""
        changes = ", ".join(f"{name}={canonical_json(value)}" for name, value in sorted(self.changes.items()))
        return f"[A person changed the call before approving it: {changes}. This is the result of the changed call.]"


class Settled(NamedTuple):
    """What the model may see of a result. `word`: what people changed of its call, masked; empty where nothing."""

    value: Any
    word: str = ""

    @property
    def told(self) -> Any:
        """A result of text, behind the word; any other keeps its shape, and who makes the model's message says the word beside it."""
        return f"{self.word}\n{self.value}" if self.word and isinstance(self.value, str) else self.value


_NOTHING = Settled(None)


@dataclass(kw_only=True, slots=True)
class Outcome:
    """What a tool gave (`result`, set by whoever runs it), and what the model may see of it."""

    result: Any = None
    shown: Settled = _NOTHING
    failure: BaseException | None = None

    @property
    def settled(self) -> Settled:
        """What the model may see of the result, once the call is settled. Raises the tool's error, masked, if it raised one."""
        if self.failure is not None:
            raise self.failure
        return self.shown

    @property
    def masked(self) -> Any:
        """The same in one: see `Settled.told`."""
        return self.settled.told

    def fail(self, failure: BaseException) -> None:
        """Keep what to raise in place of the tool's error; what it was made from is no part of it."""
        failure.__context__ = None
        failure.__suppress_context__ = True
        self.failure = failure
