"""International bank account numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from agentguard.masking.anchors import Anchor
from agentguard.masking.detectors.checksums import mod97
from agentguard.masking.finding import Finding
from agentguard.masking.page import Page

_CLASSES = (
    bytes(ord("a" if chr(byte).isalpha() else "0" if chr(byte).isdigit() else " ") for byte in range(128)) + b" " * 128
)
_BEGINS = b"aa00"
_FORM = re.compile(r"[A-Za-z]{2}[0-9]{2}(?:[ \-]?[A-Za-z0-9]){11,32}(?![A-Za-z0-9])")
_FOR = re.compile(r"\b(?:iban|bank|account|konto|compte|cuenta|transfer|wire)\b")
_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HN": 28, "HR": 21, "HU": 28,
    "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28,
    "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24,
    "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26,
    "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}  # fmt: skip


class Ibans:
    """IBAN_CODE: the country's length and mod 97; with one of them wrong it needs a word beside it."""

    name = "iban"
    anchors: ClassVar[frozenset[int]] = frozenset({Anchor.IBAN})

    def find(self, page: Page) -> Iterator[Finding]:
        """IBANs, with or without spaces."""
        text, done = page.text, 0
        for start in page.places(_CLASSES, _BEGINS):
            match = _FORM.match(text, start) if start + 2 >= done else None
            if match is None:
                continue
            done = match.end()
            length = _LENGTHS.get(text[start : start + 2].upper())
            if length is None or text[start - 1 : start].isalnum():
                continue
            end = _end(text, start, match.end(), length)
            if end is None:
                continue
            whole = "".join(c for c in text[start:end] if c.isalnum()).upper()
            if len(whole) == length and mod97(whole):
                yield Finding(start, end, "IBAN_CODE", 0.98, self.name)
            elif abs(len(whole) - length) <= 2 and _FOR.search(page.context(start, end)):
                yield Finding(start, end, "IBAN_CODE", 0.55, self.name)


def _end(text: str, start: int, end: int, length: int) -> int | None:
    """Where the country's number of characters is reached, if a word ends there; else where the candidate ends."""
    seen = 0
    for offset in range(start, end):
        seen += text[offset].isalnum()
        if seen == length:
            return offset + 1 if not text[offset + 1 : offset + 2].isalnum() else None
    return end
