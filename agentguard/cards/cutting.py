"""Text that is too long for a place: its beginning, its end, and exactly what lies between. Nothing is cut without saying so."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

TAIL_PART = 3
"""One part in so many of what is shown is the end: what hides in a long text mostly stands there."""


class Cut(NamedTuple):
    """`head` and `tail` of a text, how many characters lie between (0: it is whole), and a digest of all of it."""

    head: str
    tail: str
    hidden: int
    length: int
    digest: str

    def __str__(self) -> str:
        if not self.hidden:
            return self.head
        told = f"[{self.hidden:,} of {self.length:,} characters hidden here; sha256 {self.digest}]"
        return f"{self.head}\n{told}\n{self.tail}"


def cut(text: str, most: int | None) -> Cut:
    """`text`, with at most `most` characters of it shown; None for all."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    if most is None or len(text) <= most:
        return Cut(text, "", 0, len(text), digest)
    tail = most // TAIL_PART
    return Cut(text[: most - tail], text[len(text) - tail :], len(text) - most, len(text), digest)
