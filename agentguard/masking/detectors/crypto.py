"""Addresses of crypto wallets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from string import ascii_letters, digits
from typing import ClassVar

from agentguard.masking.anchors import Anchor
from agentguard.masking.detectors.checksums import base58check, bech32
from agentguard.masking.finding import Finding
from agentguard.masking.page import Page, these

# Bitcoin (1, 3), Litecoin (L, M), Dogecoin (D, A), Dash (X, 7), Tron (T), Zcash (t): all end in a hash of what stands before it.
_BASE58 = re.compile(r"[13LMDAXT7t][1-9A-HJ-NP-Za-km-z]{25,34}")
_SHORTEST = 26
_WORDS = these(ascii_letters + digits)
_BECH32 = re.compile(
    r"(?<![0-9A-Za-z])(?:(?:bc|ltc)1[02-9ac-hj-np-z]{8,87}|(?:BC|LTC)1[02-9AC-HJ-NP-Z]{8,87})(?![0-9A-Za-z])"
)
_ETHEREUM = re.compile(r"0x[0-9A-Fa-f]{40}(?![0-9A-Za-z])")


class Wallets:
    """CRYPTO: Bitcoin and those that write addresses like it, with their checksum; Ethereum by its form."""

    name = "crypto"
    anchors: ClassVar[frozenset[int]] = frozenset({Anchor.ENCODED, Anchor.BECH32, Anchor.ETHEREUM})

    def find(self, page: Page) -> Iterator[Finding]:
        """Wallet addresses."""
        text = page.text
        for start, end in page.runs(_WORDS, _SHORTEST) if Anchor.ENCODED in page.anchors else ():
            if _BASE58.fullmatch(text, start, end) and base58check(text[start:end]):
                yield Finding(start, end, "CRYPTO", 0.95, self.name)
        if Anchor.BECH32 in page.anchors:
            for match in _BECH32.finditer(text):
                if bech32(match.group()):
                    yield Finding(*match.span(), "CRYPTO", 0.95, self.name)
        if Anchor.ETHEREUM in page.anchors:
            for match in _ETHEREUM.finditer(text):
                yield Finding(*match.span(), "CRYPTO", 0.8, self.name)
