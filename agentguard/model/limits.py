"""What one call takes from a limit."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from math import ceil
from typing import NamedTuple

NANO = 10**9
LARGEST = 10**15
"""More than any limit allows; a larger amount counts as this much."""


class IfOver(StrEnum):
    """What becomes of a call that would go over a limit."""

    REFUSE = "refuse"
    """It never runs, so no limit is charged."""

    ASK = "ask"
    """People are asked; what it takes from the other limits is held meanwhile."""

    TAKE = "take"
    """It is charged all the same: people agreed."""

    NOTE = "note"
    """It is charged all the same, and nothing follows: the limit is in shadow."""


class Amount(NamedTuple):
    """An exact amount: whole units, and billionths of one."""

    whole: int
    nano: int

    @classmethod
    def of(cls, *numbers: int | Decimal) -> Amount:
        """The sum of finite numbers of 0 or more, each rounded up to a billionth."""
        whole, nano = divmod(sum(ceil(Fraction(min(number, LARGEST)) * NANO) for number in numbers), NANO)
        return cls(whole, nano) if whole < LARGEST else cls(LARGEST, 0)


class Charge(NamedTuple):
    """What a call takes from one limit.

    `scope`: whose calls count together. `window_ms`: how far back is counted; 0 as long as the session goes on. `subjects`: the
    entity type whose distinct values in results are counted; empty where `amount` is.
    """

    limit: str
    scope: tuple[str, ...]
    amount: Amount
    most: Amount
    window_ms: int
    if_over: IfOver
    subjects: str = ""
