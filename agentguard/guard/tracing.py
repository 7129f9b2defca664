"""Where the road of a call is told to whoever traces programs. Nothing of an argument or a result is told: names, kinds, counts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from agentguard.model.calls import Principal, ToolCall
from agentguard.model.verdicts import Verdict


class Trace(Protocol):
    """One call on the road."""

    def judged(self, verdict: Verdict) -> None:
        """What policy said."""
        ...

    def masked(self, entities: Mapping[str, int]) -> None:
        """How many findings of which type were in the result."""
        ...

    def running(self) -> AbstractContextManager[None]:
        """What the tool does inside is part of this call."""
        ...

    def ended(self, how: str, error: str = "") -> None:
        """`done`, `failed`, `unknown`, or why it did not run. `error`: the name of what was raised. Only the first end counts."""
        ...


class Tracing(Protocol):
    """Whoever traces programs."""

    def begun(self, call: ToolCall, principal: Principal) -> Trace:
        """A call that sets out."""
        ...


class Untraced:
    """Where nobody traces: both in one."""

    def begun(self, _call: ToolCall, _principal: Principal) -> Trace:
        """See Tracing."""
        return self

    def judged(self, verdict: Verdict) -> None:
        """See Trace."""

    def masked(self, entities: Mapping[str, int]) -> None:
        """See Trace."""

    def running(self) -> AbstractContextManager[None]:
        """See Trace."""
        return _NOTHING

    def ended(self, how: str, error: str = "") -> None:
        """See Trace."""


_NOTHING = nullcontext()
UNTRACED = Untraced()
