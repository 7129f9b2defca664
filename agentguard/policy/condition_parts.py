"""The parts of a condition that `&&` or `||` join, so that people are told which of them made it met."""

from __future__ import annotations

import re
from collections.abc import Iterator

_PIECE = re.compile(
    r"""[rRbB]{0,2}(?:'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")"""
    r"""|(?P<mark>&&|\|\||[()\[\]{}?])|.""",
    re.DOTALL,
)
"""A quoted text, what brackets, joins or chooses, or any other character."""
_STEP = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


def parts_of(condition: str) -> list[str]:
    """The parts that `||` joins, or else those that `&&` joins; the whole condition where nothing joins, or `? :` chooses."""
    marks = list(_marks_outside(condition))
    if any(mark == "?" for mark, _ in marks):
        return [condition.strip()]
    for joining in ("||", "&&"):
        at = [start for mark, start in marks if mark == joining]
        if at:
            starts, ends = [0, *(start + 2 for start in at)], [*at, len(condition)]
            return [" ".join(condition[start:end].split()) for start, end in zip(starts, ends, strict=True)]
    return [condition.strip()]


def _marks_outside(condition: str) -> Iterator[tuple[str, int]]:
    """What joins or chooses outside of all brackets and quotes, with where it stands."""
    depth = 0
    for found in _PIECE.finditer(condition):
        mark = found["mark"]
        if mark in _STEP:
            depth += _STEP[mark]
        elif mark and depth == 0:
            yield mark, found.start()
