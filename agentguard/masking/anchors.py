"""One cheap pass that tells which of the rarer patterns a text may hold.

Each anchor is a short piece that every match of its pattern contains. RE2 looks for all of them at once.
"""

from __future__ import annotations

from enum import IntEnum

import re2

from agentguard.masking.marked import MARKED_FORM


class Anchor(IntEnum):
    """What a text may hold."""

    __hash__ = int.__hash__  # that of an Enum is written in Python, and these are looked up for every page

    IBAN = 0
    BASE58 = 1
    SERVICE_KEY = 2
    ENCODED = 3
    MAC = 4
    DIGITS = 5
    COLONS = 6
    BECH32 = 7
    ETHEREUM = 8
    WEB_TOKEN = 9
    PEM = 10
    LOGIN = 11
    SSN = 12
    AT = 13
    TOKEN = 14
    REDACTED = 15


_PREFIXES = (
    rb"AKIA|ASIA|ABIA|ACCA|gh[pousr]_|github_pat_|gl[a-z]{2,4}-|xox[abeoprs]-|xapp-|[sr]k_|whsec_|sk-|npm_|pypi-|SG\.|AIza|ya29\."
    rb"|GOCSPX-|AC[0-9a-f]{8}|SK[0-9a-f]{8}|hf_|do[opr]_v1_|shp|dapi|lin_api_|PMAK-"
)
# Where a match of a piece may begin in the middle of another, RE2 follows all of them at once, and on a long text it makes new states
# for most of the time. So the long pieces are runs of one class, which are counted once.
_PIECES = {
    Anchor.IBAN: rb"[A-Za-z]{2}[0-9]{2}[ -]?[0-9A-Za-z]{4}",
    Anchor.BASE58: rb"[0-9A-Za-z]{26}",
    Anchor.SERVICE_KEY: _PREFIXES,
    Anchor.ENCODED: rb"[0-9A-Za-z+/_-]{15}",
    Anchor.DIGITS: rb"[0-9][0-9 ().\-/]{5}",
    Anchor.MAC: rb"-[0-9A-Fa-f]{2}-[0-9A-Fa-f]{2}-",
    Anchor.COLONS: rb"::|(?::[0-9A-Fa-f]{1,4}){3}:",
    Anchor.BECH32: rb"bc1|BC1",
    Anchor.ETHEREUM: rb"0x[0-9A-Fa-f]{8}",
    Anchor.WEB_TOKEN: rb"eyJ",
    Anchor.PEM: rb"-----BEGIN",
    Anchor.LOGIN: rb"://",
    Anchor.SSN: rb"SSN|ssn|ocial",
    Anchor.AT: rb"@",
    Anchor.TOKEN: MARKED_FORM,
    Anchor.REDACTED: rb" redacted\]| hmac [a-p]",
}


def _compiled() -> re2.Set:
    pieces = re2.Set.SearchSet()
    for anchor in Anchor:
        pieces.Add(_PIECES[anchor])
    pieces.Compile()
    return pieces


_SET = _compiled()


def anchors_in(text: str) -> frozenset[int]:
    """The anchors that stand in a text."""
    return frozenset(_SET.Match(text.encode("utf-8", "replace")) or ())
