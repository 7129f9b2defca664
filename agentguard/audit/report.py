"""What verifying a journal finds."""

from __future__ import annotations

from enum import StrEnum

from agentguard.model.record import Record


class What(StrEnum):
    """What is wrong with a record."""

    CHANGED = "changed"
    REMOVED = "removed"
    REORDERED = "reordered"
    CUT = "cut"
    TORN = "torn"
    UNKNOWN_KEY = "unknown key"


class Bad(Record):
    """The first bad record of a chain.

    `seq` is the record that should stand there; `line` counts from 1, and is 0 where a whole file is meant.
    """

    file: str
    line: int
    seq: int
    what: What
    detail: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: record {self.seq} {self.what}: {self.detail}"


class WriterReport(Record):
    """One writer: how many of its records are good, and the first bad one. `closed`: it ended in order."""

    writer: str
    records: int
    segments: int
    closed: bool
    bad: Bad | None

    @property
    def ok(self) -> bool:
        """Whether nobody tampered with it: a line that a crash tore is reported, and is no alarm."""
        return self.bad is None or self.bad.what is What.TORN


class Report(Record):
    """The whole folder; `index` is the list of writers."""

    index: WriterReport
    writers: tuple[WriterReport, ...]

    @property
    def ok(self) -> bool:
        """Whether nobody tampered with the journal."""
        return self.index.ok and all(writer.ok for writer in self.writers)

    @property
    def records(self) -> int:
        """How many records are good."""
        return sum(writer.records for writer in self.writers)
