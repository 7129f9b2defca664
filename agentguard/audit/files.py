"""The files of a journal, by name.

A directory holds, for each writing process, segments `TIME-WRITER-SEGMENT.jsonl` (names sort by time) and one
`WRITER.head`; and one chained list of all writers, `writers.jsonl`, with its own `writers.head`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

INDEX = "writers"
"""The name of the chain that lists the writers."""

_SEGMENT = re.compile(r"(\d{13})-([0-9a-f]{16})-(\d{6})\.jsonl")


class SegmentFile(NamedTuple):
    """A segment by its name: when it began, whose it is, and which of that writer's it is (from 1)."""

    started_ms: int
    writer: str
    number: int
    path: Path


def segment_path(directory: Path, *, started_ms: int, writer: str, number: int) -> Path:
    """Where a segment lies."""
    return directory / f"{started_ms:013d}-{writer}-{number:06d}.jsonl"


def head_path(directory: Path, name: str) -> Path:
    """Where the head of a writer, or of the list of writers, lies."""
    return directory / f"{name}.head"


def index_path(directory: Path) -> Path:
    """Where the list of writers lies."""
    return directory / f"{INDEX}.jsonl"


def segments(directory: Path) -> dict[str, list[SegmentFile]]:
    """Every writer's segments, in order, by writer."""
    found: dict[str, list[SegmentFile]] = {}
    for file in _named(directory, "*.jsonl"):
        found.setdefault(file.writer, []).append(file)
    return found


def segments_of(directory: Path, writer: str) -> list[SegmentFile]:
    """One writer's segments, in order."""
    return _named(directory, f"*-{writer}-*.jsonl")


def _named(directory: Path, pattern: str) -> list[SegmentFile]:
    matches = ((path, _SEGMENT.fullmatch(path.name)) for path in directory.glob(pattern))
    files = [SegmentFile(int(match[1]), match[2], int(match[3]), path) for path, match in matches if match]
    return sorted(files, key=lambda file: (file.number, file.started_ms))
