"""How much is looked at before masking refuses to go on."""

from __future__ import annotations

from typing import NamedTuple

from agentguard.errors import GuardUnavailable


class Limits(NamedTuple):
    """Over any of these a value is refused, never passed unmasked. `characters` counts all text of one value.

    `held`: how much of a stream is kept back; a candidate that is longer is masked whole.
    """

    characters: int = 50_000_000
    nodes: int = 1_000_000
    depth: int = 200
    held: int = 1_000_000


def refused(why: str) -> GuardUnavailable:
    """The error that blocks a value that can't be masked. `why` never holds a part of the value."""
    return GuardUnavailable("masking", why)
