"""What a verifier gives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What two calls showed: that the clause `holds` for one that it is about, and `spares` one that it is not about."""

    holds: bool
    spares: bool
    told: str


class NotApplicable(Exception):
    """There is nothing to try; the text says why."""
