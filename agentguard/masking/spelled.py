"""A text as a row of plain words: lower case, without accents, each with its place.

Rules:
- one character of the text is one character here, so that places stay;
- a word is a run of letters and digits; everything else, `_` too, stands between words;
- the cost is linear, and no object is made for a word unless somebody looks for it.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Set
from functools import cached_property, lru_cache
from itertools import accumulate
from operator import add

from agentguard.masking.ordinary import TITLES
from agentguard.masking.page import SEPARATOR

_PLAIN = bytes(
    ord(chr(byte).lower()) if byte >= 0x7F or chr(byte).isalnum() else ord(" ") for byte in range(128)
) + bytes(range(128, 256))
_ACCENT = "\x7f"  # stands for an accent that is a character of its own
_FURTHER = re.compile(rb"[\x80-\xbf]")
_FOREIGN = re.compile(r"[^\x00-\x7f]+")
_NO_DECOMPOSITION = dict(zip("ßøØłŁđĐæÆœŒıðÐþÞ", "soollddaaooiddtt", strict=True))
_WIDE = str.maketrans(
    {
        "ä": "ae",
        "ö": "oe",
        "ü": "ue",
        "Ä": "Ae",
        "Ö": "Oe",
        "Ü": "Ue",
        "ß": "ss",
        "ø": "oe",
        "å": "aa",
        "æ": "ae",
        "œ": "oe",
    }
)
_LONGEST_GAP = 4
_JOINING = frozenset({"", ",", "-", "_", ".", "+", "'", "’", "·", "/", "|", ";"})


class Words:
    """The words of a text, by number. Empty ones stand where two marks follow each other."""

    def __init__(self, text: str) -> None:
        self.text = text
        plain = text if text.isascii() else _FOREIGN.sub(_plain_run, text)
        self._ascii = plain.isascii()
        self._written = plain.encode("utf-8", "replace").translate(_PLAIN).split(b" ")
        self.words = self._written
        if not text.isascii() and _ACCENT in plain:
            self.words = b" ".join(self._written).replace(_ACCENT.encode(), b"").split(b" ")

    @cached_property
    def _starts(self) -> list[int]:
        """Where each word begins, in bytes."""
        lengths = accumulate(map(len, self._written), initial=0)
        return list(map(add, lengths, range(len(self._written) + 1)))

    @cached_property
    def _further(self) -> list[int]:
        """Where bytes stand that are not the first of their character."""
        return [] if self._ascii else [match.start() for match in _FURTHER.finditer(b" ".join(self._written))]

    def among(self, wanted: Set[bytes]) -> list[int]:
        """The numbers of the words that are wanted."""
        return [number for number, word in enumerate(self.words) if word in wanted]

    def start(self, number: int) -> int:
        """Where a word begins in the text."""
        at = self._starts[number]
        return at if self._ascii else at - bisect_left(self._further, at)

    def end(self, number: int) -> int:
        """Where a word ends in the text."""
        at = self._starts[number + 1] - 1
        return at if self._ascii else at - bisect_left(self._further, at)

    def is_capital(self, number: int) -> bool:
        """Whether a word begins with a capital letter."""
        return self.text[self.start(number)].isupper()

    def near(self, number: int, step: int = 1) -> int | None:
        """The word after this one (before it, with step -1), of the same leaf and at most a few marks away."""
        at = number + step
        while 0 <= at < len(self.words) and not self.words[at] and abs(at - number) <= _LONGEST_GAP:
            at += step
        if not 0 <= at < len(self.words) or not self.words[at]:
            return None
        return None if SEPARATOR in self._gap(min(at, number), max(at, number)) else at

    def next(self, number: int, step: int = 1) -> int | None:
        """The word near this one that could be of the same name: nothing between them ends a sentence."""
        at = self.near(number, step)
        return at if at is not None and self._is_joined(min(at, number), max(at, number)) else None

    def beside(self, number: int, step: int = 1) -> int | None:
        """The word after this one (before it, with step -1), where nothing but a space or a hyphen is between."""
        at = self.next(number, step)
        return at if at is not None and self._gap(min(at, number), max(at, number)) in (" ", "-") else None

    def begins(self, number: int) -> bool:
        """Whether a word stands after a mark or at the beginning: its capital letter says little."""
        before = self.text[max(0, self.start(number) - 3) : self.start(number)].rstrip(" \"'*(")
        return not before or not before[-1].isalnum()

    def _gap(self, first: int, last: int) -> str:
        return self.text[self.end(first) : self.start(last)]

    def _is_joined(self, first: int, last: int) -> bool:
        gap = self._gap(first, last)
        mark = gap.strip(' \t\r\n\u00a0*`"')
        if gap.count("\n") > 1 or mark not in _JOINING:
            return False
        return mark != "." or len(gap) == 1 or len(self.words[first]) == 1 or self.words[first] in TITLES


def words_of(value: str) -> tuple[bytes, ...]:
    """The plain words of a short text."""
    return tuple(word for word in Words(unicodedata.normalize("NFC", value)).words if word)


def spelled_out(value: str) -> str:
    """The text with the two letters that people write for one of theirs: `Mueller` for `Müller`."""
    return value if value.isascii() else unicodedata.normalize("NFC", value).translate(_WIDE)


def _plain_run(match: re.Match[str]) -> str:
    return "".join(map(_plain_letter, match.group()))


@lru_cache(maxsize=8192)
def _plain_letter(c: str) -> str:
    """One letter or digit for a character, lower case, without its accents; a space for a mark."""
    if unicodedata.combining(c):
        return _ACCENT
    base = _NO_DECOMPOSITION.get(c) or unicodedata.normalize("NFKD", c)[0]
    lower = base.lower()
    if not base.isalnum():
        return " "
    return lower if len(lower) == 1 else base
