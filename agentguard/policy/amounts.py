"""Amounts: the function `amount(x)` of conditions.

Rules:
- a number, or text that is one as JSON writes it: `12`, `-0.5`, `1e3`; anything else is an error, and a condition that fails counts as met;
- true and false are no numbers, nor are `1,000`, `$5`, `0x10`, digits of other scripts, infinities and NaN;
- a negative amount is a number: a rule that is about the sign can see it.
"""

from __future__ import annotations

import math
import re

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,29})(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,3})?")

_NONE = "not an amount"


def amount(value: object) -> float:
    """The number in a value. Raises ValueError, without the value."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number and not (isinstance(value, str) and _NUMBER.fullmatch(value)):
        raise ValueError(_NONE)
    number = float(value)  # type: ignore[arg-type]
    if not math.isfinite(number):
        raise ValueError(_NONE)
    return number
