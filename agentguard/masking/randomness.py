"""Whether a text looks drawn at random, as keys and tokens are, rather than written by a person."""

from __future__ import annotations

import re
from collections import Counter
from math import log2

SHORTEST = 16
_LONGEST = 4096
_LEAST_BITS = 3.0
_LEAST_BITS_OF_LETTERS = 3.6
_FORM = re.compile(r"[0-9A-Za-z+/=_.~%:!@$*\-]+\Z")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_PART = re.compile(r"[0-9A-Za-z]+")
_WORD = re.compile(r"[A-Z]?[a-z]{2,}|[A-Z]{2,}|[0-9]{1,4}|[a-zA-Z][0-9]{0,2}|[A-Z]?[a-z]+[0-9]{1,3}")
_TURN = re.compile(r"[0-9][A-Za-z]|[A-Za-z][0-9]|[a-z][A-Z]")


def looks_random(text: str, least: int = SHORTEST) -> bool:
    """Whether letters and digits are mixed as nobody writes them. A UUID, a date, a path and words with dashes are not random."""
    if not least <= len(text) <= _LONGEST or _FORM.match(text) is None or _UUID.match(text):
        return False
    parts = _PART.findall(text)
    if all(_WORD.fullmatch(part) for part in parts):
        return False
    has_digit = any(map(str.isdigit, text))
    if not any(map(str.isalpha, text)) or len(_TURN.findall(text)) < (3 if has_digit else len(text) // 5):
        return False
    return _bits(text) >= (_LEAST_BITS if has_digit else _LEAST_BITS_OF_LETTERS)


def _bits(text: str) -> float:
    """Shannon's entropy of a character."""
    return -sum(count / len(text) * log2(count / len(text)) for count in Counter(text).values())
