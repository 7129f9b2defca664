"""Checksums by name, as policies and packs write them. Each takes a value as it is written, with its spaces and marks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agentguard.masking.detectors.checksums import base58check, bech32, luhn, mod97

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"
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
_FISCAL_ODD = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", (
    1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
), strict=True))  # fmt: skip
_TAIWAN = "ABCDEFGHJKLMNPQRSTUVXYWZIO"
_HETU = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_CURP = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"


def _digits(text: str) -> list[int]:
    return [int(c) for c in text if c in "0123456789"]


def _compact(text: str) -> str:
    return "".join(filter(str.isalnum, text)).upper()


def _sum(digits: Sequence[int], weights: Sequence[int]) -> int:
    """The weighted sum of the first digits."""
    return sum(digit * weight for digit, weight in zip(digits, weights, strict=False))


def _weighted(length: int, weights: Sequence[int], modulus: int) -> Callable[[str], bool]:
    """So many digits, whose weighted sum is a multiple of the modulus; not all the same."""

    def check(text: str) -> bool:
        digits = _digits(text)
        return len(digits) == length and len(set(digits)) > 1 and _sum(digits, weights) % modulus == 0

    return check


def _luhn(text: str) -> bool:
    digits = "".join(map(str, _digits(text)))
    return len(set(digits)) > 1 and luhn(digits)


def _verhoeff(text: str) -> bool:
    check = 0
    for place, digit in enumerate(reversed(_digits(text))):
        check = _dihedral(check, _VERHOEFF_ROWS[place % 8][digit])
    return check == 0


def _dihedral(a: int, b: int) -> int:
    """The product of two elements of the group of a pentagon's symmetries."""
    if a < 5:
        return (a + b) % 5 if b < 5 else (a + b) % 5 + 5
    return (a - b) % 5 + 5 if b < 5 else (a - b) % 5


def _mod_11_10(text: str) -> bool:
    """ISO 7064, MOD 11,10: German tax ids, Croatian OIB."""
    product = 10
    *first, last = _digits(text) or [0]
    for digit in first:
        product = ((digit + product) % 10 or 10) * 2 % 11
    return len(set(first)) > 1 and (11 - product) % 10 == last


def _mod_11_2(text: str) -> bool:
    """ISO 7064, MOD 11-2, with X for ten: Chinese resident ids."""
    plain = _compact(text)
    total = 0
    for c in plain[:-1]:
        total = (total + int(c)) * 2 % 11 if c.isdigit() else total
    return "0123456789X"[(12 - total) % 11] == plain[-1:]


def _ean(text: str) -> bool:
    digits = _digits(text)
    return sum(digit * (3 if place % 2 else 1) for place, digit in enumerate(reversed(digits))) % 10 == 0


def _nhs(text: str) -> bool:
    digits = _digits(text)
    check = (11 - _sum(digits, range(10, 1, -1)) % 11) % 11
    return len(digits) == 10 and len(set(digits)) > 1 and check == digits[9]


def _cpf(text: str) -> bool:
    digits = _digits(text)
    if len(digits) != 11 or len(set(digits)) == 1:
        return False
    return all(_sum(digits, range(n + 1, 1, -1)) * 10 % 11 % 10 == digits[n] for n in (9, 10))


def _cnpj(text: str) -> bool:
    digits = _digits(text)
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    if len(digits) != 14 or len(set(digits)) == 1:
        return False
    return all(_from_eleven(_sum(digits[:n], weights[13 - n :])) == digits[n] for n in (12, 13))


def _from_eleven(total: int) -> int:
    """Eleven less the rest, and 0 for what has no digit."""
    rest = total % 11
    return 0 if rest < 2 else 11 - rest


def _dni(text: str) -> bool:
    """Spanish DNI, and NIE with its first letter for a digit."""
    plain = _compact(text)
    number = plain[:-1].translate(str.maketrans("XYZ", "012", ""))
    return number.isdecimal() and _DNI[int(number) % 23] == plain[-1]


def _nir(text: str) -> bool:
    """French NIR: thirteen digits (2A and 2B for Corsica) and a key of two."""
    plain = _compact(text)
    number = plain[:-2].replace("2A", "19").replace("2B", "18")
    return (
        len(plain) == 15 and number.isdecimal() and plain[-2:].isdecimal() and 97 - int(number) % 97 == int(plain[-2:])
    )


def _steuer_id(text: str) -> bool:
    """German tax id: of ten digits one stands two or three times, then ISO 7064."""
    digits = _digits(text)
    counts = sorted(digits[:10].count(digit) for digit in set(digits[:10]))
    return len(digits) == 11 and counts[-1] in (2, 3) and counts.count(counts[-1]) == 1 and _mod_11_10(text)


def _fiscal_code(text: str) -> bool:
    """Italian codice fiscale, also with letters for digits where two people share one."""
    plain = _compact(text)
    if len(plain) != 16 or not plain.isascii():
        return False
    total = sum(_FISCAL_ODD[c] for c in plain[0:15:2]) + sum(
        int(c) if c.isdigit() else ord(c) - 65 for c in plain[1:15:2]
    )
    return _LETTERS[total % 26] == plain[15]


def _pesel(text: str) -> bool:
    digits = _digits(text)
    return (
        len(digits) == 11 and _sum(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0 and _is_birth(digits[2:6], 20)
    )


def _is_birth(digits: Sequence[int], century: int) -> bool:
    """Month and day, where the century is told by multiples of `century` on the month."""
    return 1 <= (digits[0] * 10 + digits[1]) % century <= 12 and 1 <= digits[2] * 10 + digits[3] <= 31


def _turkish(text: str) -> bool:
    digits = _digits(text)
    if len(digits) != 11 or digits[0] == 0:
        return False
    tenth = (sum(digits[0:9:2]) * 7 - sum(digits[1:8:2])) % 10
    return digits[9] == tenth and digits[10] == sum(digits[:10]) % 10


def _finnish(text: str) -> bool:
    plain = text.strip().upper()
    number = "".join(filter(str.isdecimal, plain[:-1]))
    return len(number) == 9 and _HETU[int(number) % 31] == plain[-1]


def _norwegian(text: str) -> bool:
    digits = _digits(text)
    first = (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)
    second = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)
    return len(digits) == 11 and _sum(digits, first) % 11 == 0 and _sum(digits, second) % 11 == 0


def _swedish(text: str) -> bool:
    digits = _digits(text)[-10:]
    return (
        len(digits) == 10
        and _is_birth([*digits[2:4], digits[4] % 6, digits[5]], 20)
        and _luhn("".join(map(str, digits)))
    )


def _danish(text: str) -> bool:
    digits = _digits(text)
    return len(digits) == 10 and _is_birth([*digits[2:4], *digits[0:2]], 20)


def _baltic(text: str) -> bool:
    """Estonia and Lithuania: two rounds of weights."""
    digits = _digits(text)
    if len(digits) != 11:
        return False
    rest = _sum(digits, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    rest = _sum(digits, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 if rest == 10 else rest
    return digits[10] == rest % 10


def _bulgarian(text: str) -> bool:
    digits = _digits(text)
    rest = _sum(digits, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10
    return len(digits) == 10 and _is_birth(digits[2:6], 20) and rest == digits[9]


def _romanian(text: str) -> bool:
    digits = _digits(text)
    rest = _sum(digits, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return len(digits) == 13 and _is_birth(digits[3:7], 20) and digits[12] == (1 if rest == 10 else rest)


def _czech(text: str) -> bool:
    """Czech and Slovak birth numbers of ten digits."""
    digits = _digits(text)
    number = int("".join(map(str, digits)) or "0")
    rest = number // 10 % 11
    return len(digits) == 10 and (number % 11 == 0 or (rest == 10 and digits[9] == 0))


def _austrian(text: str) -> bool:
    digits = _digits(text)
    return len(digits) == 10 and _sum(digits, (3, 7, 9, 0, 5, 8, 4, 2, 1, 6)) % 11 == digits[3]


def _portuguese(text: str) -> bool:
    digits = _digits(text)
    return len(digits) == 9 and _from_eleven(_sum(digits[:8], range(9, 1, -1))) == digits[8]


def _irish(text: str) -> bool:
    plain = _compact(text)
    second = plain[8:9]
    total = _sum(_digits(plain[:7]), range(8, 1, -1)) + (9 * (ord(second) - 64) if second and second != "W" else 0)
    return plain[:7].isdecimal() and "WABCDEFGHIJKLMNOPQRSTUV"[total % 23] == plain[7:8]


def _belgian(text: str) -> bool:
    digits = "".join(map(str, _digits(text)))
    return len(digits) == 11 and int(digits[9:]) in (97 - int(digits[:9]) % 97, 97 - int("2" + digits[:9]) % 97)


def _singapore(text: str) -> bool:
    plain = _compact(text)
    digits = _digits(plain)
    if len(plain) != 9 or len(digits) != 7:
        return False
    total = _sum(digits, (2, 7, 6, 5, 4, 3, 2)) + {"T": 4, "G": 4, "M": 3}.get(plain[0], 0)
    letters = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "F": "XWUTRQPNMLK", "G": "XWUTRQPNMLK", "M": "KLJNPQRTUWX"}
    rest = 10 - total % 11 if plain[0] == "M" else total % 11
    return letters.get(plain[0], " " * 11)[rest] == plain[8]


def _hong_kong(text: str) -> bool:
    plain = _compact(text)
    body = plain[:-1].rjust(8)
    values = [36 if c == " " else int(c) if c.isdigit() else ord(c) - 55 for c in body]
    check = (11 - _sum(values, range(9, 1, -1)) % 11) % 11
    return "0123456789A"[check] == plain[-1]


def _taiwanese(text: str) -> bool:
    plain = _compact(text)
    letter = _TAIWAN.find(plain[0]) + 10
    return (
        len(plain) == 10
        and (letter // 10 + letter % 10 * 9 + _sum(_digits(plain[1:]), (8, 7, 6, 5, 4, 3, 2, 1, 1))) % 10 == 0
    )


def _korean(text: str) -> bool:
    """Resident numbers as they were given until 2020; later ones have no checksum."""
    digits = _digits(text)
    check = (11 - _sum(digits, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11) % 10
    return len(digits) == 13 and _is_birth(digits[2:6], 20) and check == digits[12]


def _japanese(text: str) -> bool:
    digits = _digits(text)
    return len(digits) == 12 and _from_eleven(_sum(digits, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2))) == digits[11]


def _thai(text: str) -> bool:
    digits = _digits(text)
    return len(digits) == 13 and (11 - _sum(digits, range(13, 1, -1)) % 11) % 10 == digits[12]


def _mexican(text: str) -> bool:
    plain = _compact(text)
    if len(plain) != 18 or any(c not in _CURP for c in plain):
        return False
    total = _sum([_CURP.index(c) for c in plain], range(18, 1, -1))
    return str((10 - total % 10) % 10) == plain[17]


def _chilean(text: str) -> bool:
    plain = _compact(text)
    digits = _digits(plain[:-1])[::-1]
    rest = 11 - _sum(digits, (2, 3, 4, 5, 6, 7, 2, 3, 4)) % 11
    return plain[-1:] == {10: "K", 11: "0"}.get(rest, str(rest))


def _argentinian(text: str) -> bool:
    digits = _digits(text)
    check = (11 - _sum(digits, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11) % 11
    return len(digits) == 11 and check == digits[10]


def _snils(text: str) -> bool:
    digits = _digits(text)
    return len(digits) == 11 and _sum(digits[:9], range(9, 0, -1)) % 101 % 100 == digits[9] * 10 + digits[10]


def _inn(text: str) -> bool:
    """Tax numbers of Russian people, of twelve digits."""
    digits = _digits(text)
    weights = (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)
    return len(digits) == 12 and all(_sum(digits[:n], weights[11 - n :]) % 11 % 10 == digits[n] for n in (10, 11))


def _npi(text: str) -> bool:
    digits = "".join(map(str, _digits(text)))
    return len(digits) == 10 and luhn("80840" + digits)


def _dea(text: str) -> bool:
    digits = _digits(text)
    return len(digits) == 7 and (sum(digits[0:6:2]) + 2 * sum(digits[1:6:2])) % 10 == digits[6]


def _gstin(text: str) -> bool:
    plain = _compact(text)
    values = [int(c, 36) * (place % 2 + 1) for place, c in enumerate(plain[:14])]
    check = (36 - sum(value // 36 + value % 36 for value in values) % 36) % 36
    return len(plain) == 15 and int(plain[14], 36) == check


def _abn(text: str) -> bool:
    digits = _digits(text)
    weights = (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)
    return len(digits) == 11 and _sum([digits[0] - 1, *digits[1:]], weights) % 89 == 0


def _medicare(text: str) -> bool:
    digits = _digits(text)
    return len(digits) in (10, 11) and 2 <= digits[0] <= 6 and _sum(digits, (1, 3, 7, 9, 1, 3, 7, 9)) % 10 == digits[8]


def _ird(text: str) -> bool:
    digits = [0] * (9 - len(_digits(text))) + _digits(text)
    if len(digits) != 9:
        return False
    for weights in ((3, 2, 7, 6, 5, 4, 3, 2), (7, 4, 3, 2, 5, 2, 7, 6)):
        check = -_sum(digits, weights) % 11
        if check < 10:
            return check == digits[8]
    return False


def holds(name: str, text: str) -> bool:
    """Whether the checksum of this name holds. It doesn't in a text of another shape."""
    try:
        return CHECKSUMS[name](text)
    except (IndexError, ValueError, KeyError):
        return False


CHECKSUMS: dict[str, Callable[[str], bool]] = {
    "aba": _weighted(9, (3, 7, 1, 3, 7, 1, 3, 7, 1), 10),
    "abn": _abn,
    "ahv": _ean,
    "base58": lambda text: base58check(text.strip()),
    "bech32": lambda text: bech32(text.strip()),
    "bsn": _weighted(9, (9, 8, 7, 6, 5, 4, 3, 2, -1), 11),
    "cnp": _romanian,
    "cnpj": _cnpj,
    "codice-fiscale": _fiscal_code,
    "cpf": _cpf,
    "cpr": _danish,
    "cuit": _argentinian,
    "curp": _mexican,
    "dea": _dea,
    "dni": _dni,
    "ean": _ean,
    "egn": _bulgarian,
    "fodselsnummer": _norwegian,
    "gstin": _gstin,
    "hetu": _finnish,
    "hkid": _hong_kong,
    "iban": lambda text: mod97(_compact(text)),
    "inn": _inn,
    "ird": _ird,
    "isikukood": _baltic,
    "luhn": _luhn,
    "medicare": _medicare,
    "mod11-2": _mod_11_2,
    "mod11-10": _mod_11_10,
    "my-number": _japanese,
    "nhs": _nhs,
    "nif-pt": _portuguese,
    "nir": _nir,
    "npi": _npi,
    "nric": _singapore,
    "personnummer": _swedish,
    "pesel": _pesel,
    "pps": _irish,
    "rijksregister": _belgian,
    "rodne-cislo": _czech,
    "rrn": _korean,
    "rut": _chilean,
    "snils": _snils,
    "steuer-id": _steuer_id,
    "svnr": _austrian,
    "tckn": _turkish,
    "tfn": _weighted(9, (1, 4, 3, 7, 5, 8, 6, 9, 10), 11),
    "thai-id": _thai,
    "twid": _taiwanese,
    "verhoeff": _verhoeff,
}
"""Names to functions; `holds` is how to ask one."""
