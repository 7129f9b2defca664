"""What is known about a call besides its arguments."""

from __future__ import annotations

from enum import StrEnum

from agentguard.model.record import Record


class PinState(StrEnum):
    """How a tool compares with what was pinned of it."""

    SAME = "same"
    """As it was pinned, or nothing is pinned here."""
    CHANGED = "changed"
    """Its description or schema is another."""
    UNPINNED = "unpinned"
    """Others are pinned, and it isn't."""
    ALIKE = "alike"
    """It isn't pinned, and its name could be taken for one that is."""


class Facts(Record):
    """Facts that conditions may read.

    `entities`: entity types found in the restored arguments. `origins`: tools whose results the tokens in the arguments
    came from; `origin_labels`: the labels of those results. `labels`: the session's labels, `counts`: how often each tool was
    called in it, this call included; None where no clause that can match the tool reads them. `time_ms`: when the call is judged, or
    None where no clause reads it. `deployment`: the name of this one. `pin`: whether the tool is what was pinned. `over`: the
    limits that the call would go over, or None where nobody counted.
    """

    entities: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    origin_labels: tuple[str, ...] = ()
    labels: tuple[str, ...] | None = None
    counts: dict[str, int] | None = None
    time_ms: int | None = None
    deployment: str = ""
    pin: PinState = PinState.SAME
    over: tuple[str, ...] | None = None
