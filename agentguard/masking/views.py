r"""Other ways to write the same text, undone, with the way back.

A view is a text in plain form, and where each of its characters came from. Undone, each only where it occurs:
- compatibility forms (NFKC): full-width and Arabic-Indic digits, ligatures, no-break spaces;
- characters that show nothing: zero-width, soft hyphen, bidirectional marks, tags;
- letters of another alphabet inside a Latin word (homoglyphs), and dashes that are not the hyphen;
- %xx, \uXXXX and HTML entities;
- base64 and hex: each such word is a view of its own, and what is found there covers the whole word.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache
from html import unescape
from string import ascii_letters, digits
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from agentguard.masking.encodings import printable_text

_ESCAPED_AT_MOST = 3
_ODD = re.compile(r"[^\x00-\x7f\xc0-\u024f\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3]")
_FOREIGN = re.compile(r"[\u0370-\u03ff\u0400-\u04ff]")
_LATIN = re.compile(r"[A-Za-z@]")
# One class first: `re` looks for its characters fast.
_ESCAPES = re.compile(
    r"[%\\&](?:(?<=%)[0-9A-Fa-f]{2}(?:%[0-9A-Fa-f]{2})*|(?<=\\)(?:u[0-9A-Fa-f]{4}(?:\\u[0-9A-Fa-f]{4})*|x[0-9A-Fa-f]{2}(?:\\x[0-9A-Fa-f]{2})*)"
    r"|(?<=&)(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});)"
)
_HOMOGLYPHS = dict(
    zip(
        "аеорсухѕіјһԁԛԝкмтвнАВЕКМНОРСТУХЅІЈ" + "αεορνικτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
        "aeopcyxsijhdqwkmtbhABEKMHOPCTYXSIJ" + "aeopvıktuxABEZHIKMNOPTYX".replace("ı", "i"),
        strict=True,
    )
)
_DASHES = frozenset("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\ufe58\ufe63\uff0d")
_DOTS = frozenset("\u3002\uff61\u2024")


class View:
    """A text and its way back to the text it was made from, which may itself be a view."""

    def __init__(
        self, text: str, ours: list[int], theirs: list[int], parent: View | None = None, *, reads_back: bool = True
    ) -> None:
        self.text = text
        self.reads_back: bool = reads_back and (parent is None or parent.reads_back)
        self._ours, self._theirs, self._parent = ours, theirs, parent

    @classmethod
    def of(cls, text: str, changes: Iterable[tuple[int, int, str]], parent: View | None = None) -> View:
        """`text` with each (start, end, new) put in place. Changes are in order and do not overlap."""
        pieces: list[str] = []
        ours, theirs = [0], [0]
        length = done = 0
        for start, end, new in changes:
            pieces += (text[done:start], new)
            ours += (length + start - done, length + start - done + len(new))
            theirs += (start, end)
            length, done = ours[-1], end
        pieces.append(text[done:])
        ours.append(length + len(text) - done)
        theirs.append(len(text))
        return cls("".join(pieces), ours, theirs, parent)

    @classmethod
    def inside(
        cls, text: str, start: int, end: int, changes: Iterable[tuple[int, int, str]], parent: View | None
    ) -> View:
        """A view of `text[start:end]`, with changes given in offsets of that slice; the way back leads to `text`."""
        view = cls.of(text[start:end], changes, parent)
        view._theirs = [start + offset for offset in view._theirs]
        return view

    @classmethod
    def whole(cls, text: str, start: int, end: int, parent: View | None) -> View:
        """A decoded text whose every part comes from all of [start, end), and has no text of its own there."""
        padded = text + " " if len(text) == end - start else text
        return cls(padded, [0, len(padded)], [start, end], parent, reads_back=False)

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original text that [start, end) of this view stands for."""
        ours, theirs = self._ours, self._theirs
        i = bisect_right(ours, start) - 1
        j = bisect_right(ours, end - 1 if end > start else start, i) - 1
        final = len(ours) - 1
        first, last = theirs[i], theirs[j] + end - ours[j]
        if i == final or ours[i + 1] - ours[i] == theirs[i + 1] - first:
            first += start - ours[i]
        if j < final and ours[j + 1] - ours[j] != theirs[j + 1] - theirs[j]:
            last = theirs[j + 1]
        return self._parent.origin(first, last) if self._parent else (first, last)


def may_need_view(text: str) -> bool:
    """Cheap: whether any part of `text` could be written in another way."""
    return not text.isascii() or "%" in text or "\\" in text or "&" in text or "\0" in text


def plain_view(text: str, parent: View | None = None) -> View | None:
    """`text` in plain form, or None where it is so already. What was escaped several times is undone as often."""
    view = parent
    for _ in range(_ESCAPED_AT_MOST):
        changes = _escape_changes(text) if "%" in text or "\\" in text or "&" in text else []
        if not changes:
            break
        view = View.of(text, changes, view)
        text = view.text
    return _unicode_view(text, view) or (None if view is parent else view)


def changed_in(text: str) -> list[tuple[int, int]]:
    """Where a text is not in plain form, in order. What is escaped twice stands where it is escaped once."""
    changes = _escape_changes(text)
    if not text.isascii() or "\0" in text:
        changes += _character_changes(text)
        changes += _homoglyph_changes(text) if _FOREIGN.search(text) else ()
    return sorted(change[:2] for change in changes)


def _unicode_view(text: str, parent: View | None) -> View | None:
    if "\0" not in text and (text.isascii() or (_ODD.search(text) is None and unicodedata.is_normalized("NFKC", text))):
        return None
    changes = _character_changes(text)
    if _FOREIGN.search(text):
        changes = sorted({*changes, *_homoglyph_changes(text)})
    return View.of(text, changes, parent) if changes else None


def _character_changes(text: str) -> list[tuple[int, int, str]]:
    return [
        (match.start(), match.end(), plain)
        for match in _ODD_OR_COMPOSED.finditer(text)
        if (plain := _plain_character(match.group())) is not None
    ]


_ODD_OR_COMPOSED = re.compile(r"[^\x01-\x7f]")


@lru_cache(maxsize=4096)
def _plain_character(c: str) -> str | None:
    """What stands for a character in plain text; None: itself."""
    if c in _DASHES:
        return "-"
    if c in _DOTS:
        return "."
    if (
        unicodedata.category(c) in ("Cf", "Cc")
        or c in "\u115f\u1160\u3164\u034f\u17b4\u17b5"
        or 0xFE00 <= ord(c) <= 0xFE0F
    ):
        return ""
    if unicodedata.category(c) == "Nd":
        return str(unicodedata.digit(c))
    plain = unicodedata.normalize("NFKC", c)
    return None if plain == c else plain


def _homoglyph_changes(text: str) -> Iterator[tuple[int, int, str]]:
    at = 0
    for word in text.split():
        if not word.isascii() and _FOREIGN.search(word) and _LATIN.search(word):
            at = text.index(word, at)  # no word before it holds it: that one would have been found as well
            for offset, c in enumerate(word, at):
                if c in _HOMOGLYPHS:
                    yield offset, offset + 1, _HOMOGLYPHS[c]
            at += len(word)


def _escape_changes(text: str) -> list[tuple[int, int, str]]:
    changes = []
    for match in _ESCAPES.finditer(text):
        written = match.group()
        plain = _unescaped(written)
        if plain != written:
            changes.append((match.start(), match.end(), plain))
    return changes


def _unescaped(written: str) -> str:
    if written[0] == "%":
        return unquote_to_bytes(written).decode("utf-8", "replace").replace("\x1f", " ")
    if written[0] == "&":
        return unescape(written)
    code = (
        bytes(int(written[i + 2 : i + 6], 16).to_bytes(2, "big")[k] for i in range(0, len(written), 6) for k in (0, 1))
        if written[1] == "u"
        else b""
    )
    return (
        code.decode("utf-16-be", "replace")
        if code
        else bytes.fromhex(written.replace("\\x", "")).decode("utf-8", "replace")
    )


class Encoded(NamedTuple):
    """A word that is text in base64 or hex, and that text."""

    start: int
    end: int
    text: str


BASE64 = ascii_letters + digits + "+/_-"
"""What words in base64, base64url and hex are written with."""

SHORTEST = 15
"""How long such a word is at least."""

_HEX = re.compile(r"(?:0x)?(?:[0-9A-Fa-f]{2}){8,}\Z")
_MIXED = re.compile(r"[0-9]|[a-z][A-Z]|=\Z")


def encoded_words(text: str, spans: Iterable[tuple[int, int]]) -> Iterator[Encoded]:
    """Those words that are printable text in base64, base64url or hex. `spans`: where BASE64 stands in the text, without padding."""
    for start, last in spans:
        end = last + len(text[last : last + 2]) - len(text[last : last + 2].lstrip("="))
        word = text[start:end]
        if _MIXED.search(word) is None:
            continue
        plain = _from_hex(word) if _HEX.match(word) else _from_base64(word)
        if plain is not None:
            yield Encoded(start, end, plain)


def _from_hex(word: str) -> str | None:
    return printable_text(bytes.fromhex(word.removeprefix("0x")))


def _from_base64(word: str) -> str | None:
    bare = word.rstrip("=").replace("-", "+").replace("_", "/")
    if len(bare) % 4 == 1:
        return None
    try:
        return printable_text(base64.b64decode(bare + "=" * (-len(bare) % 4)))
    except (binascii.Error, ValueError):
        return None
