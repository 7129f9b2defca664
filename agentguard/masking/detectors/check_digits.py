"""What checksums have in common, and check digits that numbers of many kinds have. Each takes a value as it is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agentguard.masking.detectors.checksums import luhn

_VERHOEFF_ROWS = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 5, 7, 6, 2, 8, 3, 0, 9, 4),
    (5, 8, 0, 3, 7, 9, 6, 1, 4, 2),
    (8, 9, 1, 6, 0, 4, 3, 5, 2, 7),
    (9, 4, 5, 3, 1, 2, 6, 8, 7, 0),
    (4, 2, 8, 6, 5, 7, 3, 9, 0, 1),
    (2, 7, 9, 3, 8, 0, 6, 4, 1, 5),
    (7, 0, 4, 6, 9, 1, 3, 2, 5, 8),
)


def digits_of(text: str) -> list[int]:
    """The decimal digits of a text, without its other characters."""
    return [int(c) for c in text if c in "0123456789"]


def compact(text: str) -> str:
    """The letters and digits of a text, in capitals."""
    return "".join(filter(str.isalnum, text)).upper()


def weighted_sum(digits: Sequence[int], weights: Sequence[int]) -> int:
    """The weighted sum of the first digits."""
    return sum(digit * weight for digit, weight in zip(digits, weights, strict=False))


def weighted(length: int, weights: Sequence[int], modulus: int) -> Callable[[str], bool]:
    """So many digits, whose weighted sum is a multiple of the modulus; not all the same."""

    def check(text: str) -> bool:
        digits = digits_of(text)
        return len(digits) == length and len(set(digits)) > 1 and weighted_sum(digits, weights) % modulus == 0

    return check


def is_birth(digits: Sequence[int], century: int) -> bool:
    """Month and day, where the century is told by multiples of `century` on the month."""
    return 1 <= (digits[0] * 10 + digits[1]) % century <= 12 and 1 <= digits[2] * 10 + digits[3] <= 31


def from_eleven(total: int) -> int:
    """Eleven less the rest, and 0 for what has no digit."""
    rest = total % 11
    return 0 if rest < 2 else 11 - rest


def luhn_of(text: str) -> bool:
    """Luhn's check digit; not where all digits are the same."""
    digits = "".join(map(str, digits_of(text)))
    return len(set(digits)) > 1 and luhn(digits)


def verhoeff(text: str) -> bool:
    """Verhoeff's check digit: Aadhaar numbers."""
    check = 0
    for place, digit in enumerate(reversed(digits_of(text))):
        check = _dihedral(check, _VERHOEFF_ROWS[place % 8][digit])
    return check == 0


def _dihedral(a: int, b: int) -> int:
    """The product of two elements of the group of a pentagon's symmetries."""
    if a < 5:
        return (a + b) % 5 if b < 5 else (a + b) % 5 + 5
    return (a - b) % 5 + 5 if b < 5 else (a - b) % 5


def mod_11_10(text: str) -> bool:
    """ISO 7064, MOD 11,10: German tax ids, Croatian OIB."""
    product = 10
    *first, last = digits_of(text) or [0]
    for digit in first:
        product = ((digit + product) % 10 or 10) * 2 % 11
    return len(set(first)) > 1 and (11 - product) % 10 == last


def mod_11_2(text: str) -> bool:
    """ISO 7064, MOD 11-2, with X for ten: Chinese resident ids."""
    plain = compact(text)
    total = 0
    for c in plain[:-1]:
        total = (total + int(c)) * 2 % 11 if c.isdigit() else total
    return "0123456789X"[(12 - total) % 11] == plain[-1:]


def ean(text: str) -> bool:
    """The check digit of a GTIN: every second digit counts three times."""
    digits = digits_of(text)
    return sum(digit * (3 if place % 2 else 1) for place, digit in enumerate(reversed(digits))) % 10 == 0
