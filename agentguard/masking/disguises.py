"""Ways to write a value that leave a text readable, or look like something else: each gives another reading of the text.

Undone, each only where it occurs:
- `[at]`, `(dot)`, `[dash]`, and ` at ` where ` dot ` follows;
- marks of markdown inside a word: `41**11**`;
- quoted-printable: `=40`, and lines that end in `=`;
- tag characters (U+E0020 to U+E007E), each of which stands for a letter that nobody sees.
"""

from __future__ import annotations

import quopri
import re
from collections.abc import Iterator

Changes = list[tuple[int, int, str]]
"""(start, end, new) of a text, in order and apart."""

_MEANT = {"at": "@", "@": "@", "dot": ".", ".": ".", "dash": "-", "minus": "-", "hyphen": "-", "space": " "}
# What a pattern begins with is one class of characters, because `re` looks for the first of them fast.
_BRACKETED = re.compile(r"[\[({]\s?(at|dot|dash|minus|hyphen|space|[@.])\s?[\])}]\s{0,2}", re.IGNORECASE)
_SPACES_BEFORE = re.compile(r"\s{1,2}\Z")
_SAID = re.compile(
    r"(?<=[\w.+-]) at (?=[\w-]{1,63}(?: dot [\w-]{1,63})+)|(?<=[\w.+-]) dot (?=[\w-]{1,63}(?: dot | at |\b))",
    re.IGNORECASE,
)
_MARKS = re.compile(r"[*`~_](?<=[\w@.\-].)(?:(?<=\*)\*{0,2}|(?<=`)`{0,2}|(?<=~)~|(?<=_)_)(?=[\w@.\-])")
_PRINTABLE = re.compile(r"=(?:[0-9A-F]{2}(?:=[0-9A-F]{2})*|\r?\n)")
_TAGS = re.compile(r"[\U000e0020-\U000e007e][\U000e0020-\U000e007e]{4,}")


def readings(text: str) -> Iterator[Changes]:
    """The other readings of a text, each as the changes that lead to it."""
    if ("]" in text or ")" in text or "}" in text) and _BRACKETED.search(text) is not None:
        yield list(_bracketed(text))
    if " dot " in text or " DOT " in text:
        yield [(match.start(), match.end(), _MEANT[match.group().strip().lower()]) for match in _SAID.finditer(text)]
    if ("*" in text or "`" in text or "~" in text) and (
        found := [(*match.span(), "") for match in _MARKS.finditer(text)]
    ):
        yield found
    if "=" in text and (found := list(_printable(text))):
        yield found


def _bracketed(text: str) -> Iterator[tuple[int, int, str]]:
    done = 0
    for match in _BRACKETED.finditer(text):
        first = max(done, match.start() - 2)
        before = _SPACES_BEFORE.search(text[first : match.start()])
        start, done = first + before.start() if before else match.start(), match.end()
        yield start, done, _MEANT[match.group(1).lower()]


def _printable(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _PRINTABLE.finditer(text):
        new = quopri.decodestring(match.group().encode()).decode("utf-8", "replace")
        yield match.start(), match.end(), new.replace("\x1f", " ")


def tagged(text: str) -> Iterator[tuple[int, int, str]]:
    """Stretches of tag characters, and what they stand for."""
    for match in _TAGS.finditer(text) if not text.isascii() else ():
        yield match.start(), match.end(), "".join(chr(ord(c) - 0xE0000) for c in match.group())
