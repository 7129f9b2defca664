"""Patterns of JSON Schemas that somebody else wrote, in time linear in the text: in RE2, whatever they are.

RE2 has no look-around. What most patterns with one do, look ahead from the beginning (`^(?=.*[0-9])(?!admin)...`), is said by several
patterns, so those are searched for instead. The rest can't be checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import re2

_BYTES_MAX = 1 << 20
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|.)", re.DOTALL)
_AHEAD = {"(?=": True, "(?!": False}
_REPEATS = frozenset("*+?{")
_PIECE = re.compile(r"\\.|\[(?!\^?\])(?:\\.|[^\]\\])*\]|[()|]|[^\\\[()|]+", re.DOTALL)
"""An escape, a class of characters, what groups and divides, or plain text; a class that begins with `]` is none of these."""


class NotLinear(ValueError):
    """RE2 has no such pattern."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LinearPattern:
    """A pattern: what it is, what must stand at the beginning as well, and what must not."""

    searched: Any
    wanted: tuple[Any, ...]
    unwanted: tuple[Any, ...]

    def is_in(self, text: str) -> bool:
        """Whether the text has it somewhere."""
        return (
            self.searched.search(text) is not None
            and all(each.search(text) is not None for each in self.wanted)
            and all(each.search(text) is None for each in self.unwanted)
        )


@lru_cache(maxsize=256)
def linear_pattern(pattern: str) -> LinearPattern:
    """What searches for a pattern. Raises NotLinear."""
    rest, ahead = _split(_ESCAPE.sub(_escape, pattern))
    return LinearPattern(
        searched=_compiled(rest),
        wanted=tuple(_compiled(inner) for inner, must in ahead if must),
        unwanted=tuple(_compiled(inner) for inner, must in ahead if not must),
    )


def _split(pattern: str) -> tuple[str, list[tuple[str, bool]]]:
    """A pattern without what it looks ahead to from the beginning, and that; where it can't be told apart, the pattern as it is."""
    rest, ahead = pattern.removeprefix("^"), list[tuple[str, bool]]()
    if rest == pattern or rest[:3] not in _AHEAD or _top(rest, "|") is not None:
        return pattern, []
    while rest[:3] in _AHEAD:
        end = _top(rest[1:], ")")
        if end is None or rest[end + 2 : end + 3] in _REPEATS:
            return pattern, []
        ahead.append((f"^(?:{rest[3 : end + 1]})", _AHEAD[rest[:3]]))
        rest = rest[end + 2 :]
    return f"^{rest}", ahead


def _top(pattern: str, sign: str) -> int | None:
    """Where the sign stands outside of every group, first; None where it does not."""
    depth = 0
    for piece, start in _pieces(pattern):
        if piece == sign and depth == 0:
            return start
        depth += {"(": 1, ")": -1}.get(piece, 0)
    return None


def _pieces(pattern: str) -> Iterator[tuple[str, int]]:
    at = 0
    while at < len(pattern):
        piece = _PIECE.match(pattern, at)
        if piece is None:
            raise NotLinear
        yield piece[0], at
        at = piece.end()


def _escape(found: re.Match[str]) -> str:
    """RE2's way to write a character by its number."""
    return found[0] if found[1] is None else f"\\x{{{found[1]}}}"


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _BYTES_MAX
    try:
        return re2.compile(pattern, options)
    except re2.error:
        raise NotLinear from None
