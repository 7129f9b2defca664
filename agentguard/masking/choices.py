"""Patterns of many words, in the form in which `re` is fast.

Rules:
- words that begin with the same letter stand together: `re` tries one alternative after the other;
- what a text ends with is read from its end, in one attempt, where a search would make one at every character.
"""

from __future__ import annotations

import re
from itertools import groupby


def one_of(words: str) -> str:
    """A group that matches where one of these does, with `|` between them. A word may hold a pattern, but begins with a letter."""
    pieces: list[str] = []
    for first, several in groupby(sorted(_alternatives(words)), key=lambda word: word[0]):
        rests = [word[1:] for word in several]
        pieces.append(first + (rests[0] if len(rests) == 1 else f"(?:{'|'.join(rests)})"))
    return f"(?:{'|'.join(pieces)})"


def ending(words: str, *, further: str = "", marks: str = r"\W") -> re.Pattern[str]:
    r"""`\b(?:words)(?: (?:further))?[marks]*\Z`, for a text that is turned round: `match(text[::-1])`. The words are plain."""
    last = f"(?:{one_of(_turned(further))} )?" if further else ""
    return re.compile(rf"[{marks}]*{last}{one_of(_turned(words))}\b")


def _alternatives(words: str) -> list[str]:
    """What stands between the `|` that are in no brackets."""
    found, depth = [""], 0
    for c in words:
        depth += (c == "(") - (c == ")")
        if c == "|" and not depth:
            found.append("")
        else:
            found[-1] += c
    return found


def _turned(words: str) -> str:
    return "|".join(word[::-1] for word in words.split("|"))
