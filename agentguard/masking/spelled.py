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
        self._has_accents = has_accents
        self._spelled = ""
        self._starts: dict[int, int] = {}

    def _placed(self) -> dict[int, int]:
        """Where all words begin.

        `_spelled` is all the words with a space for each mark, character by character as the text.
        """
        self._spelled = self._spelled or self._written.decode()
        pieces = self._spelled.split(" ")
        starts = compress(accumulate(map(add, map(len, pieces), repeat(1)), initial=0), pieces)
        self._starts = dict(enumerate(starts))
        return self._starts

    def among(self, wanted: Set[bytes]) -> list[int]:
        """The numbers of the words that are wanted, in order. Where they begin is known from now on."""
        words = self.words
        numbers = list(compress(range(len(words)), map(wanted.__contains__, words)))
        if not self._has_accents:
            self._spelled = self._written.decode()
            padded, at, starts = f" {self._spelled} ", 0, self._starts
            for number in numbers:
                word = words[number]
                at = starts[number] = padded.index(f" {word.decode()} ", at)
                at += len(word.decode()) + 1
        return numbers

    def uncapitalised(self, numbers: Iterable[int]) -> set[bytes]:
        """Those of these words that stand somewhere without a capital letter."""
        return {self.words[number] for number in numbers if not self.is_capital(number)}

    def start(self, number: int) -> int:
        """Where a word begins in the text."""
        start = self._starts.get(number)
        return self._placed()[number] if start is None else start

    def end(self, number: int) -> int:
        """Where a word ends in the text."""
        start = self.start(number)
        end = self._spelled.find(" ", start)
        return end if end != -1 else len(self._spelled)

    def is_capital(self, number: int) -> bool:
        """Whether a word begins with a capital letter."""
        return self.text[self.start(number)].isupper()

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
        if not 0 <= number + step < len(self.words):
            return None
        end = start = self.end(number) if step > 0 else self.start(number)
        spelled = self._spelled
        if step > 0:
            while spelled[start] == " " and start - end <= _LONGEST_GAP:
                start += 1
        else:
            while spelled[end - 1] == " " and start - end <= _LONGEST_GAP:
                end -= 1
        if start - end > _LONGEST_GAP:
            return None
        self._starts[number + step] = start if step > 0 else spelled.rfind(" ", 0, end) + 1
        gap = self.text[end:start]
        return None if SEPARATOR in gap else gap

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
