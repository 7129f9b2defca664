"""In which encodings bytes are text: UTF-8; UTF-16 and UTF-32, which say so by a mark or by their zeros; or one byte a letter."""

from __future__ import annotations

import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

_MARKS = (
    (BOM_UTF32_LE, "utf-32-le"),
    (BOM_UTF32_BE, "utf-32-be"),
    (BOM_UTF16_LE, "utf-16-le"),
    (BOM_UTF16_BE, "utf-16-be"),
)
_ZEROS = {"utf-16-le": (1, 3), "utf-16-be": (0, 2), "utf-32-le": (1, 2, 3), "utf-32-be": (0, 1, 2)}
"""Which of four bytes are zeros where the letters are those of Europe."""

_LOOKED_AT, _MOSTLY = 10_000, 4  # a few characters that show nothing are no reason to look away
_LINE_MARKS = re.compile(r"[\n\r\t]+")
_NEARLY_ALL, _HARDLY_ANY = 0.7, 0.1
_MOST_ASCII = 0.7


def wide_encoding(raw: bytes) -> str | None:
    """The encoding of two or four bytes a letter in which bytes seem to be written; None where they don't."""
    marked = next((encoding for mark, encoding in _MARKS if raw.startswith(mark)), None)
    if marked is not None or b"\0" not in raw[:_LOOKED_AT]:
        return marked
    head = raw[: min(len(raw), _LOOKED_AT) // 4 * 4]
    shares = [head[at::4].count(0) * 4 / len(head) for at in range(4)] if head else []
    for encoding, places in _ZEROS.items():
        if shares and all(
            (share >= _NEARLY_ALL) if at in places else (share <= _HARDLY_ANY) for at, share in enumerate(shares)
        ):
            return encoding
    return None


class Reading(NamedTuple):
    """Bytes as text. `rest`: those at the end that are no letter in that encoding."""

    text: str
    encoding: str
    rest: bytes = b""

    def encoded(self, text: str) -> bytes:
        """Another text in their place."""
        return text.encode(self.encoding, "surrogatepass" if "utf" in self.encoding else "strict") + self.rest


def readings(raw: bytes) -> Iterator[Reading]:
    """Bytes as text, in each encoding that they may be in, the likeliest last."""
    try:
        yield Reading(raw.decode(), "utf-8")
    except UnicodeDecodeError:
        yield Reading(raw.decode("latin-1"), "latin-1")
    wide = wide_encoding(raw)
    if wide is not None:
        whole = len(raw) - len(raw) % (2 if "16" in wide else 4)
        with suppress(UnicodeDecodeError):
            yield Reading(raw[:whole].decode(wide, "surrogatepass"), wide, raw[whole:])


def printable_text(raw: bytes) -> str | None:
    """The text that bytes are, in whichever encoding a reader would take them for text; None for what is none."""
    text, encoding, _ = list(readings(raw))[-1]
    shown = _LINE_MARKS.sub("", text)
    if encoding == "latin-1" and sum(map(str.isascii, shown)) < _MOST_ASCII * len(shown):
        return None
    if shown.isprintable():
        return text or None
    odd = sum(not c.isprintable() for c in shown[:_LOOKED_AT])
    is_text = encoding != "latin-1" and odd * _MOSTLY <= min(len(shown), _LOOKED_AT)
    return text if is_text else None


def is_text(raw: bytes) -> bool:
    """Whether anybody may read bytes as text: they are UTF-8, or look like text in another encoding."""
    return next(readings(raw)).encoding == "utf-8" or printable_text(raw) is not None
