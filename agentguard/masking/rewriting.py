"""A text with its findings replaced."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace

from agentguard.masking.leaf_texts import NUMBER
from agentguard.masking.placed import Bare, Placed

Replacement = Callable[[str, str, tuple[int, ...]], str | None]
"""Gives what stands in the place of a finding, by its type, its value and the paths of actions that lead to it; None: itself."""


def rewritten(text: str, findings: Sequence[Placed], bare: Sequence[Bare], replacement: Replacement) -> str:
    """The text with each finding replaced. `bare`: the numbers and words of JSON in it."""
    if len(findings) == 1 and not bare and (only := findings[0]).end - only.start == len(text):
        new = replacement(only.entity_type, only.value or text, only.under)
        return text if new is None else new
    pieces: list[str] = []
    done = 0
    for placed in findings:
        start, end, quote = _whole_number(placed, bare) if bare else (placed.start, placed.end, "")
        if start < done:
            continue
        meant = placed.value if not quote and placed.value else text[start:end]
        new = replacement(placed.entity_type, meant, placed.under)
        if new is not None:
            if quote and (not new or NUMBER.match(new)):
                new, quote = new or "null", ""
            pieces += (text[done:start], quote, new, quote)
            done = end
    return "".join([*pieces, text[done:]])


def moved(placed: Placed, start: int) -> Placed:
    """A finding in the offsets of a text that begins later; what stood before is left out."""
    if placed.start >= start:
        return replace(placed, start=placed.start - start, end=placed.end - start)
    return replace(placed, start=0, end=placed.end - start, value="")


def _whole_number(placed: Placed, bare: Sequence[Bare]) -> tuple[int, int, str]:
    """The span to replace, and the quotes it needs: inside a JSON number it is the whole number."""
    at = bisect_right(bare, placed.start, key=lambda one: one.start) - 1
    if at >= 0 and bare[at].end > placed.start:
        return bare[at]
    return placed.start, placed.end, ""
