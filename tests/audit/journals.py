"""Journals for the tests: a small one on a real disk, and a disk that fails when told to."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from agentguard.audit import Disk, Journal
from agentguard.model.calls import Principal
from agentguard.model.events import Faulted, Judged
from agentguard.model.verdicts import Effect, Risk

KEY = b"k" * 32
OTHER_KEY = b"o" * 32
ANN = Principal(tenant="acme", agent="support", user="ann@acme.example", session="thread-1")


@dataclass
class Clock:
    """A clock that a test sets."""

    ms: int = 1_790_000_000_000

    def __call__(self) -> int:
        return self.ms


@dataclass
class FailingDisk(Disk):
    """A real disk whose moves fail with the errors that a test put in place of them."""

    errors: dict[str, int] = field(default_factory=dict)
    taken: int | None = None
    syncs: int = 0

    def write(self, fd: int, data: bytes) -> int:
        self._may_fail("write")
        return super().write(fd, data if self.taken is None else data[: self.taken])

    def rewrite(self, fd: int, data: bytes) -> int:
        self._may_fail("rewrite")
        return super().rewrite(fd, data)

    def cut(self, fd: int, size: int) -> None:
        self._may_fail("cut")
        super().cut(fd, size)

    def sync(self, fd: int) -> None:
        self.syncs += 1
        self._may_fail("sync")
        super().sync(fd)

    def _may_fail(self, move: str) -> None:
        if move in self.errors:
            raise OSError(self.errors[move], errno.errorcode[self.errors[move]])


def journal(directory: Path, **options: object) -> Journal:
    """A journal with the tests' key."""
    return Journal(directory, **{"keys": [KEY], "policy_version": "sha256:0", "now_ms": Clock(), **options})  # type: ignore[arg-type]


def note(number: int) -> Faulted:
    """A small record."""
    return Faulted(policy_version="sha256:0", component="redis", code=f"code-{number}")


def judged(**changes: object) -> Judged:
    """The record of a call that policy allowed."""
    fields: dict[str, object] = {
        "principal": ANN,
        "call_id": "call_1",
        "tool": "get_customer",
        "risk": Risk.LOW,
        "effect": Effect.ALLOW,
        "clauses": (),
        "needs": (),
        "policy_version": "sha256:0",
        "arguments": '{"email":"[EMAIL_k3q7xz2m4c]"}',
        "snapshot_digest": "ab" * 32,
    }
    return Judged.model_validate(fields | changes)


def written(directory: Path, count: int, **options: object) -> Path:
    """A closed journal with `count` notes between its opening and its closing record; gives its (first) segment."""
    with_notes(directory, range(count), **options)
    return segment(directory)


def with_notes(directory: Path, numbers: range, **options: object) -> None:
    """Write one note for each number, and close."""
    writing = journal(directory, **options)
    for number in numbers:
        writing.append("faulted", note(number), durable=False)
    writing.close()


def segment(directory: Path, position: int = 0) -> Path:
    """The segment at this position in the order of names."""
    return sorted(directory.glob("[0-9]*-*.jsonl"))[position]


def edit(path: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """Change the lines of a file."""
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))
