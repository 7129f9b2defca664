"""Patterns over tool names: exact names, and globs with `*` and `?` that match the whole name.

Rules:
- a tool name is 1 to 64 of letters, digits, '_' and '-'; case counts;
- matching is linear in the name for each `*`: nothing backtracks further than the last one;
- the most specific pattern wins: most literal characters, a tie takes the higher risk.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from functools import lru_cache

NAME_LENGTH_MAX = 64
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_PATTERN = re.compile(r"[a-zA-Z0-9_*?-]{1,64}")


def is_tool_name(name: str) -> bool:
    """Whether a tool may be called this. Asked several times for each call, so the last names are remembered."""
    return len(name) <= NAME_LENGTH_MAX and _is_tool_name(name)


@lru_cache(maxsize=1024)
def _is_tool_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def check_pattern(pattern: str) -> tuple[str, str] | None:
    """Why no tool name can match a pattern and what to write instead, or None for a pattern that can."""
    if _PATTERN.fullmatch(pattern) is None:
        what = f"{pattern[:80]!r} can never match a tool's name"
        return what, "names are 1 to 64 of letters, digits, '_' and '-'; '*' and '?' stand for any of them"
    if "**" in pattern:
        return f"{pattern!r} says '*' twice", f"write {re.sub('[*]+', '*', pattern)!r}"
    return None


def is_exact(pattern: str) -> bool:
    """Whether a pattern is one name."""
    return "*" not in pattern and "?" not in pattern


def literals(pattern: str) -> int:
    """How many characters of a pattern stand for themselves."""
    return len(pattern) - pattern.count("*") - pattern.count("?")


def sample(pattern: str, filler: str) -> str:
    """A name that a pattern matches: `filler` stands for each `*`, and x for each `?`."""
    return pattern.replace("*", filler).replace("?", "x")


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern matches the whole name."""
    at = name_at = 0
    star = retry = -1
    while name_at < len(name):
        if at < len(pattern) and pattern[at] == "*":
            star, retry = at, name_at
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", name[name_at]):
            at += 1
            name_at += 1
        elif star >= 0:
            retry += 1
            at, name_at = star + 1, retry
        else:
            return False
    return not pattern[at:].strip("*")


class Overlapping:
    """Which of many patterns could match a name that another one matches, without trying all of them.

    Two patterns can only meet where what stands before the first star or question mark of one is how that of the other begins; and the
    same behind the last one.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        many = list(patterns)
        self._by_head = _Heads((_head(pattern), pattern) for pattern in many)
        self._by_tail = _Heads((_tail(pattern), pattern) for pattern in many)
        self._found: dict[str, tuple[str, ...]] = {}

    def of(self, pattern: str) -> tuple[str, ...]:
        """Those that overlap with this one; itself too, if it is one of them."""
        found = self._found.get(pattern)
        if found is None:
            near = min(self._by_head.near(_head(pattern)), self._by_tail.near(_tail(pattern)), key=len)
            found = self._found[pattern] = tuple(each for each in near if overlap(pattern, each))
        return found


class _Heads:
    """Patterns by how they begin."""

    def __init__(self, headed: Iterable[tuple[str, str]]) -> None:
        self._sorted = sorted(headed)
        self._by_head: dict[str, list[str]] = {}
        for head, pattern in self._sorted:
            self._by_head.setdefault(head, []).append(pattern)

    def near(self, head: str) -> list[str]:
        """Those that begin as `head` begins, or as which it begins."""
        shorter = [pattern for length in range(len(head)) for pattern in self._by_head.get(head[:length], ())]
        first, end = bisect_left(self._sorted, (head, "")), bisect_left(self._sorted, (head + _LAST, ""))
        return shorter + [pattern for _, pattern in self._sorted[first:end]]


_LAST = "\U0010ffff"
"""Comes after every character of a name."""


def _head(pattern: str) -> str:
    """What stands before the first `*` or `?`."""
    return re.split(r"[*?]", pattern, maxsplit=1)[0]


def _tail(pattern: str) -> str:
    """What stands behind the last one, written backwards."""
    return _head(pattern[::-1])


def overlap(one: str, other: str) -> bool:
    """Whether some name could match both patterns."""
    if "*" in one and "*" in other:
        # What stands between stars finds room in those of the other: only the ends are in each other's way.
        return _agree(_before_star(one), _before_star(other)) and _agree(
            _before_star(one[::-1]), _before_star(other[::-1])
        )
    if "*" in one:
        return _compiled(one).fullmatch(other) is not None
    if "*" in other:
        return _compiled(other).fullmatch(one) is not None
    return len(one) == len(other) and _agree(one, other)


def _agree(one: str, other: str) -> bool:
    """Whether two beginnings, as far as both go, could be of one name."""
    if "?" not in one and "?" not in other:
        return one.startswith(other) or other.startswith(one)
    return all(left == right or "?" in (left, right) for left, right in zip(one, other, strict=False))


def _before_star(pattern: str) -> str:
    return pattern.partition("*")[0]


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    """What matches the names, and the patterns without a star, that overlap with a pattern that has one.

    Each part between stars stands as early as it can, and is never looked for again: that takes linear time.
    """
    first, *between, last = map(_written, pattern.split("*"))
    return re.compile("".join([first, *(f"(?>.*?{part})" for part in between if part), ".*", last]))


def _written(part: str) -> str:
    return "".join("." if each == "?" else f"[{each}?]" for each in part)
