"""Checksums by name, as policies and packs write them. Each takes a value as it is written, with its spaces and marks."""

from __future__ import annotations

from collections.abc import Callable

from agentguard.masking.detectors.check_digits import compact, ean, luhn_of, mod_11_2, mod_11_10, verhoeff
from agentguard.masking.detectors.checksums import base58check, bech32, mod97
from agentguard.masking.detectors.checksums_elsewhere import ELSEWHERE
from agentguard.masking.detectors.checksums_of_europe import OF_EUROPE


def holds(name: str, text: str) -> bool:
    """Whether the checksum of this name holds. It doesn't in a text of another shape."""
    try:
        return CHECKSUMS[name](text)
    except (IndexError, ValueError, KeyError):
        return False


CHECKSUMS: dict[str, Callable[[str], bool]] = {
    "base58": lambda text: base58check(text.strip()),
    "bech32": lambda text: bech32(text.strip()),
    "ean": ean,
    "iban": lambda text: mod97(compact(text)),
    "luhn": luhn_of,
    "mod11-2": mod_11_2,
    "mod11-10": mod_11_10,
    "verhoeff": verhoeff,
    **OF_EUROPE,
    **ELSEWHERE,
}
"""Names to functions; `holds` is how to ask one."""
