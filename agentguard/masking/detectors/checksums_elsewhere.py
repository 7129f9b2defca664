"""Checksums of numbers that countries outside Europe give. Each takes a value as it is written, with its spaces and marks."""

from __future__ import annotations

from collections.abc import Callable

from agentguard.masking.detectors.check_digits import compact, digits_of, from_eleven, is_birth, weighted, weighted_sum
from agentguard.masking.detectors.checksums import luhn

_TAIWAN = "ABCDEFGHJKLMNPQRSTUVXYWZIO"
_CURP = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"


def _cpf(text: str) -> bool:
    digits = digits_of(text)
    if len(digits) != 11 or len(set(digits)) == 1:
        return False
    return all(weighted_sum(digits, range(n + 1, 1, -1)) * 10 % 11 % 10 == digits[n] for n in (9, 10))


def _cnpj(text: str) -> bool:
    digits = digits_of(text)
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    if len(digits) != 14 or len(set(digits)) == 1:
        return False
    return all(from_eleven(weighted_sum(digits[:n], weights[13 - n :])) == digits[n] for n in (12, 13))


def _singapore(text: str) -> bool:
    plain = compact(text)
    digits = digits_of(plain)
    if len(plain) != 9 or len(digits) != 7:
        return False
    total = weighted_sum(digits, (2, 7, 6, 5, 4, 3, 2)) + {"T": 4, "G": 4, "M": 3}.get(plain[0], 0)
    letters = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "F": "XWUTRQPNMLK", "G": "XWUTRQPNMLK", "M": "KLJNPQRTUWX"}
    rest = 10 - total % 11 if plain[0] == "M" else total % 11
    return letters.get(plain[0], " " * 11)[rest] == plain[8]


def _hong_kong(text: str) -> bool:
    plain = compact(text)
    body = plain[:-1].rjust(8)
    values = [36 if c == " " else int(c) if c.isdigit() else ord(c) - 55 for c in body]
    check = (11 - weighted_sum(values, range(9, 1, -1)) % 11) % 11
    return "0123456789A"[check] == plain[-1]


def _taiwanese(text: str) -> bool:
    plain = compact(text)
    letter = _TAIWAN.find(plain[0]) + 10
    return (
        len(plain) == 10
        and (letter // 10 + letter % 10 * 9 + weighted_sum(digits_of(plain[1:]), (8, 7, 6, 5, 4, 3, 2, 1, 1))) % 10 == 0
    )


def _korean(text: str) -> bool:
    """Resident numbers as they were given until 2020; later ones have no checksum."""
    digits = digits_of(text)
    check = (11 - weighted_sum(digits, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11) % 10
    return len(digits) == 13 and is_birth(digits[2:6], 20) and check == digits[12]


def _japanese(text: str) -> bool:
    digits = digits_of(text)
    return len(digits) == 12 and from_eleven(weighted_sum(digits, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2))) == digits[11]


def _thai(text: str) -> bool:
    digits = digits_of(text)
    return len(digits) == 13 and (11 - weighted_sum(digits, range(13, 1, -1)) % 11) % 10 == digits[12]


def _mexican(text: str) -> bool:
    plain = compact(text)
    if len(plain) != 18 or any(c not in _CURP for c in plain):
        return False
    total = weighted_sum([_CURP.index(c) for c in plain], range(18, 1, -1))
    return str((10 - total % 10) % 10) == plain[17]


def _chilean(text: str) -> bool:
    plain = compact(text)
    digits = digits_of(plain[:-1])[::-1]
    rest = 11 - weighted_sum(digits, (2, 3, 4, 5, 6, 7, 2, 3, 4)) % 11
    return plain[-1:] == {10: "K", 11: "0"}.get(rest, str(rest))


def _argentinian(text: str) -> bool:
    digits = digits_of(text)
    check = (11 - weighted_sum(digits, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11) % 11
    return len(digits) == 11 and check == digits[10]


def _npi(text: str) -> bool:
    digits = "".join(map(str, digits_of(text)))
    return len(digits) == 10 and luhn("80840" + digits)


def _dea(text: str) -> bool:
    digits = digits_of(text)
    return len(digits) == 7 and (sum(digits[0:6:2]) + 2 * sum(digits[1:6:2])) % 10 == digits[6]


def _gstin(text: str) -> bool:
    plain = compact(text)
    values = [int(c, 36) * (place % 2 + 1) for place, c in enumerate(plain[:14])]
    check = (36 - sum(value // 36 + value % 36 for value in values) % 36) % 36
    return len(plain) == 15 and int(plain[14], 36) == check


def _abn(text: str) -> bool:
    digits = digits_of(text)
    weights = (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)
    return len(digits) == 11 and weighted_sum([digits[0] - 1, *digits[1:]], weights) % 89 == 0


def _medicare(text: str) -> bool:
    digits = digits_of(text)
    return (
        len(digits) in (10, 11)
        and 2 <= digits[0] <= 6
        and weighted_sum(digits, (1, 3, 7, 9, 1, 3, 7, 9)) % 10 == digits[8]
    )


def _ird(text: str) -> bool:
    digits = [0] * (9 - len(digits_of(text))) + digits_of(text)
    if len(digits) != 9:
        return False
    for weights in ((3, 2, 7, 6, 5, 4, 3, 2), (7, 4, 3, 2, 5, 2, 7, 6)):
        check = -weighted_sum(digits, weights) % 11
        if check < 10:
            return check == digits[8]
    return False


ELSEWHERE: dict[str, Callable[[str], bool]] = {
    "aba": weighted(9, (3, 7, 1, 3, 7, 1, 3, 7, 1), 10),
    "abn": _abn,
    "cnpj": _cnpj,
    "cpf": _cpf,
    "cuit": _argentinian,
    "curp": _mexican,
    "dea": _dea,
    "gstin": _gstin,
    "hkid": _hong_kong,
    "ird": _ird,
    "medicare": _medicare,
    "my-number": _japanese,
    "npi": _npi,
    "nric": _singapore,
    "rrn": _korean,
    "rut": _chilean,
    "tfn": weighted(9, (1, 4, 3, 7, 5, 8, 6, 9, 10), 11),
    "thai-id": _thai,
    "twid": _taiwanese,
}
"""Names to functions."""
