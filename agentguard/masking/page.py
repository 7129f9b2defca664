"""A text to search, with what is known about its parts.

One page holds all text of one value: its leaves are joined by SEPARATOR, which no pattern of ours matches. Each part may
have a key (the field it stands under), whose words count as context for what is found in the part.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

from agentguard.masking.fields import NO_KEY, Key

SEPARATOR = "\x1f"
"""Stands between two leaves. A leaf that holds it itself is only cut in two for the search."""

_DIGITS = re.compile(r"[0-9][0-9 ().\-/]{5,44}(?<=[0-9)])")
_REACH_BEFORE = 56
_REACH_AFTER = 14


class Part(NamedTuple):
    """A stretch of a page under one key. Parts are in order and do not overlap."""

    start: int
    end: int
    key: Key


class Page:
    """What detectors search: `text`, its `parts`, and questions that several of them ask."""

    def __init__(self, text: str, parts: Sequence[Part] = ()) -> None:
        self.text = text
        self.parts = parts
        self._starts = [part.start for part in parts]

    @cached_property
    def digit_runs(self) -> list[tuple[int, int]]:
        """Stretches of digits and the marks that people write between them, at least seven characters long."""
        return [match.span() for match in _DIGITS.finditer(self.text)]

    def key_at(self, offset: int) -> Key:
        """The key of the part that holds this offset."""
        if not self._starts:
            return NO_KEY
        part = self.parts[bisect_right(self._starts, offset) - 1]
        return part.key if part.start <= offset < part.end else NO_KEY

    def context(self, start: int, end: int) -> str:
        """The words around a span, in lower case: its key's, then a few before it and after it in the same leaf."""
        return f"{self.key_at(start).words} {self.before(start)} | {self.after(end)}"

    def before(self, start: int) -> str:
        """The text just before `start`, in the same leaf, in lower case."""
        return self.text[max(0, start - _REACH_BEFORE) : start].rpartition(SEPARATOR)[2].lower()

    def after(self, end: int) -> str:
        """The text just after `end`, in the same leaf, in lower case."""
        return self.text[end : end + _REACH_AFTER].partition(SEPARATOR)[0].lower()
