"""Values that know where they stand in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agentguard.model.problems import Place
from agentguard.model.record import Json

Path = tuple[str | int, ...]
"""The keys and indexes that lead to a value."""


@dataclass(frozen=True, kw_only=True)
class Marked:
    """A YAML document as JSON values, and where each of them stands."""

    value: Json
    file: str
    keys: dict[Path, tuple[int, int]] = field(repr=False)
    values: dict[Path, tuple[int, int]] = field(repr=False)

    def place(self, path: Sequence[str | int]) -> Place:
        """Where the entry at `path` begins (its key, in a mapping), or the nearest thing around it."""
        return self._nearest(self.keys, path)

    def value_place(self, path: Sequence[str | int]) -> Place:
        """Where the value at `path` begins, or the nearest value around it."""
        return self._nearest(self.values, path)

    def _nearest(self, marks: dict[Path, tuple[int, int]], path: Sequence[str | int]) -> Place:
        steps = tuple(path)
        while steps and steps not in marks:
            steps = steps[:-1]
        line, column = marks.get(steps, (1, 1))
        return Place(file=self.file, line=line, column=column)
