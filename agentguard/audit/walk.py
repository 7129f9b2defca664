"""Walking one chain through its files, up to the first record that is not as it was written."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentguard.audit.chain import START, Head, Parts, fields, key_named, link, parts
from agentguard.audit.index import KIND
from agentguard.audit.report import Bad, What
from agentguard.model.record import Json

FIRST_KIND = "opened"
"""The kind that begins every segment, and stands nowhere else."""

_NAMES_A_KEY = (FIRST_KIND, KIND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A file of a chain; of a segment, also which one its name says it is."""

    path: Path
    number: int | None = None
    started_ms: int | None = None


@dataclass(kw_only=True)
class Walk:
    """Where a walk stands: the last good record. `bad` is what stopped it.

    `head` is what the chain's head said before the walk; `at_head` is the MAC of the record that the head names.
    """

    name: str
    keys: Sequence[bytes]
    head: Head | None
    seq: int = 0
    mac: bytes = START
    kind: str = ""
    key: bytes | None = None
    number: int = 0
    at_head: bytes = START
    bad: Bad | None = None

    def through(self, files: Sequence[Part]) -> Iterator[dict[str, Json]]:
        """The good records, in order."""
        for index, file in enumerate(files):
            self.number = file.number or 0
            for line_number, raw in _lines(file.path):
                said = self._step(raw, file, line_number, files[index:])
                if said is None:
                    return
                yield said

    def _step(self, raw: bytes, file: Part, line_number: int, ahead: Sequence[Part]) -> dict[str, Json] | None:
        """Take one line: its members, or None where it is bad."""
        taken = parts(raw[:-1]) if raw.endswith(b"\n") else None
        said = fields(taken.unsigned) if taken is not None else None
        if taken is None or said is None:
            self._stop(file, line_number, *self._unreadable(raw, ahead))
            return None
        wrong = self._wrong(taken, said, file, line_number, ahead)
        if wrong is not None:
            self._stop(file, line_number, *wrong)
            return None
        self.seq, self.mac, self.kind = self.seq + 1, taken.mac, said["kind"]
        if self.head is not None and self.seq == self.head.seq:
            self.at_head = self.mac
        return said

    def _stop(self, file: Part, line_number: int, what: What, detail: str) -> None:
        self.bad = Bad(file=file.path.name, line=line_number, seq=self.seq + 1, what=what, detail=detail)

    def _unreadable(self, raw: bytes, ahead: Sequence[Part]) -> tuple[What, str]:
        """A line without the form of one: left by a crash, if the head says that the chain ends before it."""
        last = not raw.endswith(b"\n") and len(ahead) == 1
        if last and self.head is not None and self.head.seq == self.seq:
            return What.TORN, "the last line was never finished: a crash while it was written"
        if last and self.head is not None and self.head.seq > self.seq:
            return What.CUT, "the file ends in the middle of a record that was written whole"
        return What.CHANGED, "this is not a journal line"

    def _wrong(
        self, taken: Parts, said: dict[str, Json], file: Part, line_number: int, ahead: Sequence[Part]
    ) -> tuple[What, str] | None:
        """What is wrong with a line that has the form of one."""
        if said["kind"] in _NAMES_A_KEY:
            self.key = key_named(self.keys, str(said["body"].get("key_id")))
            if self.key is None:
                return What.UNKNOWN_KEY, "none of the keys given is the one that it names"
        good = self.key is not None and hmac.compare_digest(link(self.key, self.mac, taken.unsigned), taken.mac)
        if not good:
            return self._misplaced(said, ahead)
        if said["writer"] != self.name or said["seq"] != self.seq + 1 or not _in_its_file(said, file, line_number):
            return What.CHANGED, "the record is whole, and its file is not the one that it was written to"
        return None

    def _misplaced(self, said: dict[str, Json], ahead: Sequence[Part]) -> tuple[What, str]:
        """Why the chain does not hold at a line, from the number that it claims to have."""
        expected, claimed = self.seq + 1, said["seq"]
        if said["writer"] != self.name:
            return What.CHANGED, "a record of another writer stands here"
        if claimed == expected:
            return What.CHANGED, "its content is not what was written"
        if claimed < expected or self._later(expected, ahead):
            return What.REORDERED, f"record {claimed} stands here"
        return What.REMOVED, f"the next record here is {claimed}"

    def _later(self, seq: int, files: Sequence[Part]) -> bool:
        """Whether a record with this number stands anywhere from here on."""
        mark = b',"seq":%d,' % seq
        return any(mark in raw for file in files for _, raw in _lines(file.path))


def _in_its_file(said: dict[str, Json], file: Part, line_number: int) -> bool:
    if file.number is None:
        return True
    if (said["kind"] == FIRST_KIND) != (line_number == 1):
        return False
    return line_number != 1 or (said["body"]["segment"] == file.number and said["time_ms"] == file.started_ms)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        yield from enumerate(file, start=1)
