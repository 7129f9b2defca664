"""A text to search, with what is known about its parts.

One page holds all text of one value: its leaves are joined by SEPARATOR, which no pattern of ours matches. Each part may
have a key (the field it stands under), whose words count as context for what is found in the part.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

from agentguard.masking.anchors import Anchor, anchors_in
from agentguard.masking.keys import NO_KEY, Key

SEPARATOR = "\x1f"
"""Stands between two leaves. A leaf that holds it itself is only cut in two for the search."""

# For a text in which each digit is 0, and each mark between digits a space: `re` looks for one character much faster than for ten.
_RUN = re.compile(rb"0[0 )]{5,44}(?<=[0)])")
_CLASSES = bytes(
    b"0 )x"[0 if 48 <= byte < 58 else 1 if byte in b" (.-/" else 2 if byte == 41 else 3] for byte in range(256)
)
# A bare ISO date, which most results hold, is no run: nobody finds anything in it.
_ISO_DATE = re.compile(r"(?:19|20)[0-9]{2}-(?:0[1-9]|1[0-2])-[0-3][0-9](?! *[0-9().\-/])")
_ISO_DATE_LENGTH = 10
_FURTHER = bytes(0x80 <= byte < 0xC0 for byte in range(256))
_REACH_BEFORE = 56
_REACH_AFTER = 14


DigitRun = tuple[int, int, int]
"""A stretch of a text: its start, its end, and how many digits it holds."""


def these(characters: str) -> bytes:
    """Characters of ASCII in the form in which `Page.runs` takes them."""
    return bytes(_THESE[0] if chr(byte) in characters else _OTHERS[0] for byte in range(256))


_THESE, _OTHERS = b"x", b" "


class Page:
    """What detectors search: `text`, `anchors` (which rarer patterns it may hold at all), and questions that several of them ask.

    `starts` are the offsets where a part begins, in order, and `keys` what is said of each part; it ends at the next one.
    """

    def __init__(
        self,
        text: str,
        starts: Sequence[int] = (0,),
        keys: Sequence[Key] = (NO_KEY,),
        anchors: frozenset[int] | None = None,
    ) -> None:
        self.text = text
        self.anchors = anchors_in(text) if anchors is None else anchors
        self._starts, self._keys = starts, keys
        self._digit_runs: list[DigitRun] | None = None
        self._encoded: bytes | None = None
        self._further: list[int] | None = None

    @property
    def digit_runs(self) -> list[DigitRun]:
        """Stretches of digits and the marks that people write between them, at least seven characters long."""
        runs = self._digit_runs
        if runs is None:
            self._digit_runs = runs = []
            if Anchor.DIGITS in self.anchors:
                written = self.text.encode("ascii", "replace").translate(_CLASSES)  # a byte for each character
                for match in _RUN.finditer(written):
                    start, end = match.span()
                    if end - start != _ISO_DATE_LENGTH or not _ISO_DATE.match(self.text, start):
                        runs.append((start, end, written.count(b"0", start, end)))
        return runs

    @property
    def encoded(self) -> bytes:
        """The text as RE2 reads it."""
        if self._encoded is None:
            self._encoded = self.text.encode("utf-8", "replace")
        return self._encoded

    def spans(self, pattern: Any) -> Iterator[tuple[int, int]]:
        """Where a pattern of RE2 matches, in characters: its first group where it has one. Empty matches are none."""
        group = min(1, pattern.groups)
        spans = (match.span(group) for match in pattern.finditer(self.encoded))
        found = ((start, end) for start, end in spans if 0 <= start < end)
        if len(self.encoded) == len(self.text):
            return found
        further = self._further_bytes()
        return ((start - bisect_left(further, start), end - bisect_left(further, end)) for start, end in found)

    def runs(self, characters: bytes, least: int) -> Iterator[tuple[int, int]]:
        """Where at least so many of these characters of ASCII stand in a row. `characters`: as `these` makes it."""
        inside, wanted = self.encoded.translate(characters), _THESE * least
        further = self._further_bytes() if len(inside) != len(self.text) else []
        start = inside.find(wanted)
        while start != -1:
            end = inside.find(_OTHERS, start)
            end = len(inside) if end == -1 else end
            yield start - bisect_left(further, start), end - bisect_left(further, end)
            start = inside.find(wanted, end)

    def places(self, classes: bytes, row: bytes) -> Iterator[int]:
        """Where characters of these classes stand in this row. `classes`: for each character of ASCII the one that stands for its class."""
        inside = self.encoded.translate(classes)
        further = self._further_bytes() if len(inside) != len(self.text) else []
        at = inside.find(row)
        while at != -1:
            yield at - bisect_left(further, at)
            at = inside.find(row, at + 1)

    def _further_bytes(self) -> list[int]:
        """Where the bytes stand that begin no character."""
        if self._further is None:
            self._further = []
            further = self.encoded.translate(_FURTHER)
            at = further.find(1)
            while at != -1:
                self._further.append(at)
                at = further.find(1, at + 1)
        return self._further

    def key_at(self, offset: int) -> Key:
        """The key of the part that holds this offset."""
        return self._keys[bisect_right(self._starts, offset) - 1]

    def context(self, start: int, end: int) -> str:
        """The words around a span, in lower case: its key's, then a few before it and after it in the same leaf."""
        return f"{self.key_at(start).words} {self.before(start)} | {self.after(end)}"

    def before(self, start: int) -> str:
        """The text just before `start`, in the same leaf, in lower case."""
        return self.text[max(0, start - _REACH_BEFORE) : start].rpartition(SEPARATOR)[2].lower()

    def after(self, end: int) -> str:
        """The text just after `end`, in the same leaf, in lower case."""
        return self.text[end : end + _REACH_AFTER].partition(SEPARATOR)[0].lower()


def without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """The text with these spans left empty; lengths stay."""
    pieces: list[str] = []
    done = 0
    for start, end in spans:
        if end > done:
            first = start if start > done else done
            pieces.append(text[done:first])
            pieces.append(SEPARATOR * (end - first))
            done = end
    if not pieces:
        return text
    pieces.append(text[done:])
    return "".join(pieces)
