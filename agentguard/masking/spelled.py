"""A text as a row of plain words: lower case, without accents, each with its place.

Rules:
- one character of the text is one character here, so that places stay;
- a word is a run of letters and digits; everything else, `_` too, stands between words;
- the cost is linear, and no object is made for a word unless somebody looks for it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Set
from functools import lru_cache
from itertools import accumulate, compress, repeat
from operator import add

from agentguard.masking.ordinary import TITLES
from agentguard.masking.page import SEPARATOR

_PLAIN = bytes(
    ord(chr(byte).lower()) if byte >= 0x7F or chr(byte).isalnum() else ord(" ") for byte in range(128)
) + bytes(range(128, 256))
_ACCENT = "\x7f"  # stands for an accent that is a character of its own
_LONE_ACCENTS = re.compile(rb"(?<![^ ])\x7f+(?![^ ])")
_FOREIGN = re.compile(r"[^\x00-\x7f][^\x00-\x7f]*")
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
_LONGEST_GAP = 5
_BESIDE = (" ", "-")
_JOINING = frozenset({"", ",", "-", "_", ".", "+", "'", "’", "·", "/", "|", ";"})


class Words:
    """The words of a text, by number."""

    def __init__(self, text: str) -> None:
        self.text = text
        plain = text if text.isascii() else _FOREIGN.sub(_plain_run, text)
        self._written = plain.encode("utf-8", "replace").translate(_PLAIN)
        has_accents = plain is not text and _ACCENT in plain
        if has_accents:
            self._written = _LONE_ACCENTS.sub(lambda lone: b" " * len(lone.group()), self._written)
        self.words = self._written.split()
        if has_accents:
            self.words = [word.replace(_ACCENT.encode(), b"") for word in self.words]
        self._spelled = ""
        self._starts: list[int] = []

    def _placed(self) -> list[int]:
        """Where words begin, once somebody asks.

        `_spelled` is all the words with a space for each mark, character by character as the text. No span is kept for each word: so
        many small tuples are what a collection of garbage walks through.
        """
        self._spelled = self._written.decode()
        pieces = self._spelled.split(" ")
        self._starts = list(compress(accumulate(map(add, map(len, pieces), repeat(1)), initial=0), pieces))
        return self._starts

    def among(self, wanted: Set[bytes]) -> list[int]:
        """The numbers of the words that are wanted."""
        return list(compress(range(len(self.words)), map(wanted.__contains__, self.words)))

    def uncapitalised(self, numbers: Iterable[int]) -> set[bytes]:
        """Those of these words that stand somewhere without a capital letter."""
        text, starts, words = self.text, self._starts or self._placed(), self.words
        return {words[number] for number in numbers if not text[starts[number]].isupper()}

    def start(self, number: int) -> int:
        """Where a word begins in the text."""
        return (self._starts or self._placed())[number]

    def end(self, number: int) -> int:
        """Where a word ends in the text."""
        start = (self._starts or self._placed())[number]
        end = self._spelled.find(" ", start)
        return end if end != -1 else len(self._spelled)

    def is_capital(self, number: int) -> bool:
        """Whether a word begins with a capital letter."""
        return self.text[(self._starts or self._placed())[number]].isupper()

    def near(self, number: int, step: int = 1) -> int | None:
        """The word after this one (before it, with step -1), of the same leaf and at most a few marks away."""
        return None if self._gap(number, step) is None else number + step

    def next(self, number: int, step: int = 1) -> int | None:
        """The word near this one that could be of the same name: nothing between them ends a sentence."""
        gap = self._gap(number, step)
        return number + step if gap is not None and self._joins(gap, min(number, number + step)) else None

    def beside(self, number: int, step: int = 1) -> int | None:
        """The word after this one (before it, with step -1), where nothing but a space or a hyphen is between."""
        gap = self._gap(number, step)
        return number + step if gap in _BESIDE and self._joins(gap, min(number, number + step)) else None

    def begins(self, number: int) -> bool:
        """Whether a word stands after a mark or at the beginning: its capital letter says little."""
        before = self.text[max(0, self.start(number) - 3) : self.start(number)].rstrip(" \"'*(")
        return not before or not before[-1].isalnum()

    def _gap(self, number: int, step: int) -> str | None:
        """What stands between a word and the one after it (before it); None where that is too much, or the end of a leaf."""
        first = number if step > 0 else number + step
        if not 0 <= first < len(self.words) - 1:
            return None
        starts = self._starts or self._placed()
        gap = self.text[self._spelled.find(" ", starts[first]) : starts[first + 1]]
        return gap if len(gap) <= _LONGEST_GAP and SEPARATOR not in gap else None

    def _joins(self, gap: str, first: int) -> bool:
        """Whether what stands behind this word joins it to the next."""
        mark = gap.strip(' \t\r\n\u00a0*`"')
        if gap.count("\n") > 1 or mark not in _JOINING:
            return False
        return mark != "." or len(gap) == 1 or len(self.words[first]) == 1 or self.words[first] in TITLES


def words_of(value: str) -> tuple[bytes, ...]:
    """The plain words of a short text."""
    if value.isascii():
        return tuple(value.encode().translate(_PLAIN).split())
    return tuple(filter(None, Words(unicodedata.normalize("NFC", value)).words))


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
