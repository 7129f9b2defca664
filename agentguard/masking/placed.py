"""Where a finding stands in a leaf."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from agentguard.masking.finding import Finding


@dataclass(slots=True)
class Placed:
    """A finding in the offsets of its leaf, and the value in plain form; empty where it has no plain form of its own.

    `under`: the paths of actions that lead to it.
    """

    start: int
    end: int
    entity_type: str
    score: float
    detector: str
    value: str
    under: tuple[int, ...] = ()

    @property
    def finding(self) -> Finding:
        """The finding alone."""
        return Finding(self.start, self.end, self.entity_type, self.score, self.detector)

    @property
    def identity(self) -> tuple[int, int, str, str]:
        """What tells it from other findings of its leaf."""
        return self.start, self.end, self.entity_type, self.detector


class Bare(NamedTuple):
    """A JSON number or word inside a text: what takes its place goes between these quotes."""

    start: int
    end: int
    quote: str


def are_trimmed(placed: Iterable[Iterable[Placed]]) -> bool:
    """Whether no value begins or ends with a space."""
    for several in placed:
        for one in several:
            if one.value.strip() != one.value:
                return False
    return True
