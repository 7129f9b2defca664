"""What is wrong in a file, and where."""

from __future__ import annotations

from agentguard.model.record import Record


class Place(Record):
    """Where something stands in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Problem(Record):
    """One thing that is wrong: where, what, and what to write instead."""

    place: Place
    what: str
    instead: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.what}" + (f"; {self.instead}" if self.instead else "")
