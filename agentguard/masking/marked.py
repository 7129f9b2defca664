"""Tokens that masking leaves alone: those with a mark that no name, address or number has.

A model may write `EMAIL k3q7xz2m4c` for a token, and it is read as one. But so would `Anna Wisniewska` be: where nobody can look the
token up, or only its check tells it from a name, it counts only with a bracket before it or an underscore in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import re2

from agentguard.masking.tokens import BETWEEN, BODY, CLOSE, as_made

_OPEN = "(?:\\[|\\\\\\[|%5[Bb]|&#91;|&lbrack;|<|\\{|\u3010|\uff3b)"
# The same for `re`, which looks for the first of a class of characters fast.
_OPENED = "[\\[\\\\%&<{\u3010\uff3b](?:(?<=[\\[<{\u3010\uff3b])|(?<=\\\\)\\[|(?<=%)5[Bb]|(?<=&)(?:#91|lbrack);)"
_BRACKETED = re.compile(rf"{_OPENED}{BODY}(?![0-9A-Za-z]){CLOSE}")
_UNDERSCORED = re.compile(rf"[_%](?:(?<=_)|(?<=%)5[Ff])(?:{BETWEEN}){{0,2}}([0-9A-Za-z]{{10}})(?![0-9A-Za-z])")
_WORD_BEFORE = re.compile(rf"(?<![0-9A-Za-z])([A-Za-z][A-Za-z0-9]{{0,23}})\\?(?:{BETWEEN}){{0,2}}\Z")
_MARK = re.compile("[\\[_%&<{\u3010\uff3b]")
"""What each of them begins with, and hardly any value that is found holds."""
_REACH = 36

MARKED_FORM = (
    rf"{_OPEN}[A-Za-z][0-9A-Za-z]{{0,23}}(?:{BETWEEN}){{1,3}}[0-9A-Za-z]{{10}}"
    rf"|(?:_|%5[Ff])(?:{BETWEEN}){{0,2}}[0-9A-Za-z]{{10}}(?:[^0-9A-Za-z]|$)"
).encode()
"""For RE2: what every such token holds."""

_GATE = re2.compile(MARKED_FORM)


def marked_tokens(text: str) -> list[tuple[int, int, str]]:
    """What has the form of a token and its mark, its check not looked at: (start, end, text in the form it is made)."""
    if _MARK.search(text) is None or _GATE.search(text.encode("utf-8", "replace")) is None:
        return []
    found = [(match.start(), match.end(), as_made(*match.groups())) for match in _BRACKETED.finditer(text)]
    taken = {end for _, end, _ in found}
    found += [one for one in _underscored(text) if one[1] not in taken and one[1] + 1 not in taken]
    return sorted(found)


def _underscored(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _UNDERSCORED.finditer(text):
        first = max(0, match.start() - _REACH)
        word = _WORD_BEFORE.search(text[first : match.start()])
        if word is not None:
            yield first + word.start(), match.end(), as_made(word.group(1), match.group(1))
