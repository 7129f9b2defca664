"""Checksums that tell a real number from any other."""

from __future__ import annotations

from hashlib import sha256

_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")
_BASE58 = {c: i for i, c in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")}
_BECH32 = {c: i for i, c in enumerate("qpzry9x8gf2tvdw0s3jn54khce6mua7l")}
_BECH32_STEPS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B: cards and many account numbers."""
    written = digits.encode()
    total = sum(written[-1::-2]) + sum(written[-2::-2].translate(_DOUBLED))
    return (total - ord("0") * len(written)) % 10 == 0


def mod97(iban: str) -> bool:
    """ISO 13616 (IBAN) without spaces, in capitals."""
    moved = iban[4:] + iban[:4]
    return int("".join(str(int(c, 36)) for c in moved)) % 97 == 1


def base58check(text: str) -> bool:
    """A Bitcoin address of the older kinds: 25 bytes, the last four a hash of the others."""
    number = 0
    for c in text:
        if c not in _BASE58:
            return False
        number = number * 58 + _BASE58[c]
    if number.bit_length() > 200:
        return False
    raw = number.to_bytes(25, "big")
    return sha256(sha256(raw[:21]).digest()).digest()[:4] == raw[21:]


def bech32(text: str) -> bool:
    """BIP-173 and BIP-350: Bitcoin addresses that start with bc1."""
    prefix, _, data = text.lower().rpartition("1")
    if not prefix or any(c not in _BECH32 for c in data):
        return False
    values = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + [_BECH32[c] for c in data]
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, step in enumerate(_BECH32_STEPS):
            check ^= step if top >> bit & 1 else 0
    return check in (1, 0x2BC830A3)
