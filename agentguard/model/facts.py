"""What is known about a call besides its arguments."""

from __future__ import annotations

from agentguard.model.record import Record


class Facts(Record):
    """Facts that conditions may read.

    `entities`: entity types found in the restored arguments. `origins`: tools whose results the tokens in the arguments
    came from. `labels`: the session's labels, or None where no clause that can match the tool reads them.
    """

    entities: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    labels: tuple[str, ...] | None = None
