"""Which texts need more than a search: most are short, plain, and hold no field."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

_CHARACTERS = "\0\n%&\\:={[<"
_PIECES = (" dot ", " DOT ", "alues", "ALUES")
_RARER = (("*", "**"), ("(", "(at)"), ("(", "(AT)"))
"""Each with its first character, which is looked for much faster."""
_MARKS = (*_CHARACTERS, *(mark for _, mark in _RARER), *_PIECES)
_MARK = b"x"
_MARKED = bytes(_MARK[0] if chr(byte) in _CHARACTERS else ord(" ") for byte in range(256))
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+\-][0-9]{2}:[0-9]{2})?\Z"
)


def special_among(texts: Sequence[str], joined: str, starts: Sequence[int]) -> list[int]:
    """Which texts may hold fields, or be written in another way: each mark is looked for in all of them at once.

    A point in time has colons as well, and stands in most results; it holds no field.
    """
    if len(texts) == 1:
        return [0] if _holds_a_mark(joined) and not _TIME.match(joined) else []
    found: list[int] = []
    marked = joined.encode("ascii", "replace").translate(_MARKED)  # a byte for each character, so that places stay
    offset = marked.find(_MARK)
    while offset != -1:
        following = bisect_right(starts, offset)
        if not _TIME.match(texts[following - 1]):
            found.append(following - 1)
        offset = marked.find(_MARK, starts[following]) if following < len(starts) else -1
    others = [] if joined.isascii() else [at for at, text in enumerate(texts) if not text.isascii()]
    for piece in _PIECES:
        if piece in joined:
            others += _holding(piece, texts)
    for first, piece in _RARER:
        if first in joined and piece in joined:
            others += _holding(piece, texts)
    return sorted({*found, *others}) if others else found


def _holding(piece: str, texts: Sequence[str]) -> list[int]:
    return [at for at, text in enumerate(texts) if piece in text]


def _holds_a_mark(text: str) -> bool:
    if ":" in text or not text.isascii():
        return True
    if text.isalnum():  # a single word, as many results are
        return False
    for mark in _MARKS:  # noqa: SIM110 - any() takes several times as long, and a short text is asked nothing else
        if mark in text:
            return True
    return False
