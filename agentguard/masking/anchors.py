"""One cheap pass that tells which of the rarer patterns a text may hold.

Each anchor is a short piece that every match of its pattern contains. RE2 looks for all of them at once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import re2

from agentguard.masking.marked import MARKED_FORM


class Anchor:
    """What a text may hold. Plain numbers: they are asked for with every text, and a member of an Enum is looked up for each."""

    IBAN: Final = 0
    SERVICE_KEY: Final = 1
    ENCODED: Final = 2
    MAC: Final = 3
    DIGITS: Final = 4
    COLONS: Final = 5
    BECH32: Final = 6
    ETHEREUM: Final = 7
    WEB_TOKEN: Final = 8
    PEM: Final = 9
    LOGIN: Final = 10
    SSN: Final = 11
    AT: Final = 12
    TOKEN: Final = 13
    REDACTED: Final = 14
    TOLD: Final = 15
    QUERY: Final = 16
    SCHEME: Final = 17


# Most pieces count only where a word begins. It is no part of what they mean, but what can begin at any character takes far more states of
# RE2's automaton, and making them is most of the cost of a text that nobody has seen before.
_BEGINS = rb"(?:^|[^0-9A-Za-z])"
_PREFIXES = (
    rb"AKIA|ASIA|ABIA|ACCA|gh[pousr]_|github_pat_|gl[a-z]{2,5}-|xox[abeoprs]-|xapp-|[sr]k[_-]|whsec_|npm_|pypi-|SG\.|AIza|ya29\.|GOCSPX-"
    rb"|AC[0-9a-f]{8}|SK[0-9a-f]{8}|hf_|do[opr]_v1_|shp|dapi|lin_api_|PMAK-|hooks\.slack\.com|key-[0-9a-f]{8}|sq0|ATATT|hv[sbr]\.|glsa_|NRAK-"
    rb"|dckr_|AGE-SECRET|ntn_|secret_[0-9A-Za-z]{10}|figd_|sbp_|pscale_|rubygems_|EAA|gsk_|r8_|xai-|pplx-|AKCp|EZ[AT]K|xkeysib-|ops_eyJ"
    rb"|CCIPAT_|nfp_|rnd_|fm[12]_|dp\.[a-z]{2,5}\.|sntry[su]_|pat[0-9A-Za-z]{14}|v1\.0-[0-9a-f]{8}|atlasv1\.|discord(?:app)?\.com/api/webhooks"
    rb"|eyJrIjoi|LTAI|tskey-|phc_|phx_|sgp_"
)
_TOLD = (
    "passport|reisepass|passeport|pasaporte|passaporto|born|birth|dob|d\\.o\\.b|geboren|geburtsdatum|nacid[oa]|driver|driving li"
    "|führerschein|permis de c|licencia de c|mrn|medical rec|chart num|patienten|patient (?:id|num)|ac(?:count|ct) (?:no|num|#)|kontonummer"
    "|numéro de c|número de c|(?:customer|client|member) (?:id|n)|kundennummer|employee (?:id|n)|staff (?:id|n)|personalnummer|national id"
    "|identity (?:card|num)|id card|personalausweis|carte d'id|documento de|tax (?:id|num)|taxpayer id|steuernummer|steuer-id|swift|routing"
    "|rtn|nhs|cv[vc]|card security|otp|one[- ]time|verification c|security c|passcode|login code|(?:license|licence|number) plate|plate num"
    "|kennzeichen|password|passphrase|passwort|kennwort|mot de p|contrase|passwd|pwd|(?:geb|née?|dln?|tin|bic|aba|pin|tan)[^0-9A-Za-z]"
).encode()
_PIECES = {
    Anchor.IBAN: _BEGINS + rb"[A-Za-z]{2}[0-9]{2}(?:[ -]?[0-9A-Za-z]){4}",
    Anchor.SERVICE_KEY: _BEGINS + rb"(?:" + _PREFIXES + rb")|8Q~|:AA|-us[0-9]",
    Anchor.ENCODED: rb"(?:^|[^0-9A-Za-z+/_-])[0-9A-Za-z+/_-]{15}",
    Anchor.DIGITS: rb"(?:^|[^0-9 ().\-/])[ ().\-/]*[0-9][0-9 ().\-/]{5}",
    Anchor.MAC: rb"[^0-9A-Za-z-](?:[0-9A-Fa-f]{2}-){3}",
    Anchor.COLONS: rb"::|(?::[0-9A-Fa-f]{1,4}){3}:",
    Anchor.BECH32: _BEGINS + rb"(?:bc|ltc|BC|LTC)1",
    Anchor.ETHEREUM: rb"0x[0-9A-Fa-f]",
    Anchor.WEB_TOKEN: _BEGINS + rb"eyJ",
    Anchor.PEM: rb"-----BEGIN",
    Anchor.LOGIN: rb"://",
    Anchor.SSN: rb"(?i:ssn|ocial)",
    Anchor.AT: rb"@",
    Anchor.TOKEN: MARKED_FORM,
    Anchor.REDACTED: rb" redacted\]| hmac [a-p]",
    Anchor.TOLD: _BEGINS + rb"(?i:" + _TOLD + rb")",
    Anchor.QUERY: rb"(?i:en|ig|re|et|ey|th|de|rd|wd|id|on|wt|al)=",  # by its end: `token=`, `sig=`, `code=`
    Anchor.SCHEME: _BEGINS + rb"(?i:bearer|basic|apikey|digest) ",
}


# What can begin at any character takes many states of RE2's automaton, and each of them counts once for every state of what is searched
# beside it. So the words, which begin rarely, are searched by themselves: two passes are far cheaper than one.
_WORDS = (
    Anchor.SERVICE_KEY,
    Anchor.BECH32,
    Anchor.WEB_TOKEN,
    Anchor.PEM,
    Anchor.LOGIN,
    Anchor.SSN,
    Anchor.AT,
    Anchor.REDACTED,
    Anchor.TOLD,
    Anchor.QUERY,
    Anchor.SCHEME,
)
_RUNS = tuple(anchor for anchor in _PIECES if anchor not in _WORDS)
_MEMORY = 64 * 1024 * 1024


def _compiled(anchors: tuple[int, ...]) -> re2.Set:
    options = re2.Options()
    options.max_mem = _MEMORY
    pieces = re2.Set.SearchSet(options)
    for anchor in anchors:
        pieces.Add(_PIECES[anchor])
    pieces.Compile()
    return pieces


_words_in, _runs_in = _compiled(_WORDS).Match, _compiled(_RUNS).Match


def anchors_in(text: str) -> frozenset[int]:
    """The anchors that stand in a text."""
    encoded = text.encode("utf-8", "replace")
    return _numbered(tuple(_words_in(encoded) or ()), tuple(_runs_in(encoded) or ()))


@lru_cache(maxsize=1024)
def _numbered(words: tuple[int, ...], runs: tuple[int, ...]) -> frozenset[int]:
    """The anchors that have these numbers in the two sets; the same object each time, which is looked up fast."""
    return frozenset([*(_WORDS[number] for number in words), *(_RUNS[number] for number in runs)])
