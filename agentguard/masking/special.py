"""Which texts need more than a search: most are short, plain, and hold no field."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

_MARKS = (*"\0\n%&\\:={[<", "**", "(at)", "(AT)", " dot ", " DOT ", "alues", "ALUES")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+\-][0-9]{2}:[0-9]{2})?\Z"
)


def special_among(texts: Sequence[str], joined: str, starts: Sequence[int]) -> list[int]:
    """Which texts may hold fields, or be written in another way: each mark is looked for in all of them at once.

    A point in time has colons as well, and stands in most results; it holds no field.
    """
    if len(texts) == 1:
        return [0] if _holds_a_mark(joined) and not _TIME.match(joined) else []
    found = set() if joined.isascii() else {at for at, text in enumerate(texts) if not text.isascii()}
    for mark in _MARKS:
        offset = joined.find(mark)
        while offset != -1:
            at = bisect_right(starts, offset)
            found.add(at - 1)
            offset = joined.find(mark, starts[at]) if at < len(starts) else -1
    return [at for at in sorted(found) if not _TIME.match(texts[at])]


def _holds_a_mark(text: str) -> bool:
    if ":" in text or not text.isascii():
        return True
    if text.isalnum():  # a single word, as many results are
        return False
    for mark in _MARKS:  # noqa: SIM110 - any() takes several times as long, and a short text is asked nothing else
        if mark in text:
            return True
    return False
