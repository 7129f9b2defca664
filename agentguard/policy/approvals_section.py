"""The form of `approvals` and `asking`: who decides, how long there is, and how much may be asked of them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from agentguard.model.durations import Duration, seconds_of
from agentguard.model.record import Record
from agentguard.policy.forms import Approver, Notified


class EscalateEntry(Record):
    """A step of an escalation ladder: after so long, these may decide too, and are told."""

    after: Duration
    to: Annotated[tuple[Approver, ...], Field(min_length=1)]

    @property
    def after_seconds(self) -> int:
        """The time of the step, in seconds after the request opened."""
        return seconds_of(self.after)


class ApprovalEntry(Record):
    """Who approves, how many of them, and how long there is; how often they are reminded, and who may decide too after a while.

    `notify`: which places are told; none: all that have no name.
    """

    approvers: tuple[Approver, ...]
    quorum: Annotated[int, Field(ge=1, le=1000)] = 1
    reject_quorum: Annotated[int, Field(ge=1, le=1000)] = 1
    from_each: bool = False
    edit: bool = True
    notify: Notified | None = None
    deadline: Duration
    remind: Duration | None = None
    escalate: tuple[EscalateEntry, ...] = ()

    @property
    def deadline_seconds(self) -> int:
        """The deadline in seconds."""
        return seconds_of(self.deadline)

    @property
    def remind_seconds(self) -> int:
        """How often people are reminded, in seconds; 0: never."""
        return 0 if self.remind is None else seconds_of(self.remind)


class AskingSection(Record):
    """How much one agent may ask of people: requests that wait at once, and new ones in a minute.

    `pause`: for how long an agent that asked too often asks nobody. `after_rejection`: for how long a call that a person rejected is
    refused without asking when it is made again.
    """

    pending: Annotated[int, Field(ge=1, le=100_000)] = 100
    per_minute: Annotated[int, Field(ge=1, le=100_000)] = 60
    pause: Duration = "5m"
    after_rejection: Duration = "10m"

    @property
    def pause_ms(self) -> int:
        """The pause in milliseconds."""
        return seconds_of(self.pause) * 1000

    @property
    def after_rejection_ms(self) -> int:
        """How long a rejection is the answer, in milliseconds."""
        return seconds_of(self.after_rejection) * 1000
