"""Checksums of numbers that European countries give. Each takes a value as it is written, with its spaces and marks."""

from __future__ import annotations

from collections.abc import Callable

from agentguard.masking.detectors.check_digits import (
    compact,
    digits_of,
    ean,
    from_eleven,
    is_birth,
    luhn_of,
    mod_11_10,
    weighted,
    weighted_sum,
)

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"
_FISCAL_ODD = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", (
    1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
), strict=True))  # fmt: skip
_HETU = "0123456789ABCDEFHJKLMNPRSTUVWXY"


def _nhs(text: str) -> bool:
    digits = digits_of(text)
    check = (11 - weighted_sum(digits, range(10, 1, -1)) % 11) % 11
    return len(digits) == 10 and len(set(digits)) > 1 and check == digits[9]


def _dni(text: str) -> bool:
    """Spanish DNI, and NIE with its first letter for a digit."""
    plain = compact(text)
    number = plain[:-1].translate(str.maketrans("XYZ", "012", ""))
    return number.isdecimal() and _DNI[int(number) % 23] == plain[-1]


def _nir(text: str) -> bool:
    """French NIR: thirteen digits (2A and 2B for Corsica) and a key of two."""
    plain = compact(text)
    number = plain[:-2].replace("2A", "19").replace("2B", "18")
    return (
        len(plain) == 15 and number.isdecimal() and plain[-2:].isdecimal() and 97 - int(number) % 97 == int(plain[-2:])
    )


def _steuer_id(text: str) -> bool:
    """German tax id: of ten digits one stands two or three times, then ISO 7064."""
    digits = digits_of(text)
    counts = sorted(digits[:10].count(digit) for digit in set(digits[:10]))
    return len(digits) == 11 and counts[-1] in (2, 3) and counts.count(counts[-1]) == 1 and mod_11_10(text)


def _fiscal_code(text: str) -> bool:
    """Italian codice fiscale, also with letters for digits where two people share one."""
    plain = compact(text)
    if len(plain) != 16 or not plain.isascii():
        return False
    total = sum(_FISCAL_ODD[c] for c in plain[0:15:2]) + sum(
        int(c) if c.isdigit() else ord(c) - 65 for c in plain[1:15:2]
    )
    return _LETTERS[total % 26] == plain[15]


def _pesel(text: str) -> bool:
    digits = digits_of(text)
    return (
        len(digits) == 11
        and weighted_sum(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0
        and is_birth(digits[2:6], 20)
    )


def _turkish(text: str) -> bool:
    digits = digits_of(text)
    if len(digits) != 11 or digits[0] == 0:
        return False
    tenth = (sum(digits[0:9:2]) * 7 - sum(digits[1:8:2])) % 10
    return digits[9] == tenth and digits[10] == sum(digits[:10]) % 10


def _finnish(text: str) -> bool:
    plain = text.strip().upper()
    number = "".join(filter(str.isdecimal, plain[:-1]))
    return len(number) == 9 and _HETU[int(number) % 31] == plain[-1]


def _norwegian(text: str) -> bool:
    digits = digits_of(text)
    first = (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)
    second = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)
    return len(digits) == 11 and weighted_sum(digits, first) % 11 == 0 and weighted_sum(digits, second) % 11 == 0


def _swedish(text: str) -> bool:
    digits = digits_of(text)[-10:]
    return (
        len(digits) == 10
        and is_birth([*digits[2:4], digits[4] % 6, digits[5]], 20)
        and luhn_of("".join(map(str, digits)))
    )


def _danish(text: str) -> bool:
    digits = digits_of(text)
    return len(digits) == 10 and is_birth([*digits[2:4], *digits[0:2]], 20)


def _baltic(text: str) -> bool:
    """Estonia and Lithuania: two rounds of weights."""
    digits = digits_of(text)
    if len(digits) != 11:
        return False
    rest = weighted_sum(digits, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    rest = weighted_sum(digits, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 if rest == 10 else rest
    return digits[10] == rest % 10


def _bulgarian(text: str) -> bool:
    digits = digits_of(text)
    rest = weighted_sum(digits, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10
    return len(digits) == 10 and is_birth(digits[2:6], 20) and rest == digits[9]


def _romanian(text: str) -> bool:
    digits = digits_of(text)
    rest = weighted_sum(digits, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return len(digits) == 13 and is_birth(digits[3:7], 20) and digits[12] == (1 if rest == 10 else rest)


def _czech(text: str) -> bool:
    """Czech and Slovak birth numbers of ten digits."""
    digits = digits_of(text)
    number = int("".join(map(str, digits)) or "0")
    rest = number // 10 % 11
    return len(digits) == 10 and (number % 11 == 0 or (rest == 10 and digits[9] == 0))


def _austrian(text: str) -> bool:
    digits = digits_of(text)
    return len(digits) == 10 and weighted_sum(digits, (3, 7, 9, 0, 5, 8, 4, 2, 1, 6)) % 11 == digits[3]


def _portuguese(text: str) -> bool:
    digits = digits_of(text)
    return len(digits) == 9 and from_eleven(weighted_sum(digits[:8], range(9, 1, -1))) == digits[8]


def _irish(text: str) -> bool:
    plain = compact(text)
    second = plain[8:9]
    total = weighted_sum(digits_of(plain[:7]), range(8, 1, -1)) + (
        9 * (ord(second) - 64) if second and second != "W" else 0
    )
    return plain[:7].isdecimal() and "WABCDEFGHIJKLMNOPQRSTUV"[total % 23] == plain[7:8]


def _belgian(text: str) -> bool:
    digits = "".join(map(str, digits_of(text)))
    return len(digits) == 11 and int(digits[9:]) in (97 - int(digits[:9]) % 97, 97 - int("2" + digits[:9]) % 97)


def _snils(text: str) -> bool:
    digits = digits_of(text)
    return len(digits) == 11 and weighted_sum(digits[:9], range(9, 0, -1)) % 101 % 100 == digits[9] * 10 + digits[10]


def _inn(text: str) -> bool:
    """Tax numbers of Russian people, of twelve digits."""
    digits = digits_of(text)
    weights = (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)
    return len(digits) == 12 and all(
        weighted_sum(digits[:n], weights[11 - n :]) % 11 % 10 == digits[n] for n in (10, 11)
    )


OF_EUROPE: dict[str, Callable[[str], bool]] = {
    "ahv": ean,
    "bsn": weighted(9, (9, 8, 7, 6, 5, 4, 3, 2, -1), 11),
    "cnp": _romanian,
    "codice-fiscale": _fiscal_code,
    "cpr": _danish,
    "dni": _dni,
    "egn": _bulgarian,
    "fodselsnummer": _norwegian,
    "hetu": _finnish,
    "inn": _inn,
    "isikukood": _baltic,
    "nhs": _nhs,
    "nif-pt": _portuguese,
    "nir": _nir,
    "personnummer": _swedish,
    "pesel": _pesel,
    "pps": _irish,
    "rijksregister": _belgian,
    "rodne-cislo": _czech,
    "snils": _snils,
    "steuer-id": _steuer_id,
    "svnr": _austrian,
    "tckn": _turkish,
}
"""Names to functions."""
