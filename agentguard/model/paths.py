"""Where something stands in arguments, as it may be told."""

from __future__ import annotations

from collections.abc import Iterable


def told_step(step: str | int) -> str:
    """A step of a path; a key that does not look like a name may be a value, and is not told."""
    return str(step) if isinstance(step, int) or (step.isidentifier() and len(step) <= 64) else "?"


def told_path(steps: Iterable[str | int]) -> str:
    """The steps of a path, with dots between them."""
    return ".".join(map(told_step, steps))
