"""Telephone numbers.

Candidates are stretches of digits; what speaks for a telephone is added up:
- a plus sign and a country code whose numbers have this length (facts of `phonenumbers`);
- the way a number is written: (202) 555-0147, 0496 46 46 70, 202-555-0147 x12;
- a word beside it, or the key it stands under.
Digits without any of these (an epoch, an order id, an amount, a date) are not a telephone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

from agentguard.masking.finding import Finding
from agentguard.masking.page import Page

_NAMED = (
    r"tele?(?:ph|f)\w*|tel|phones?|cell(?:ular|phone)?|mobil\w*|fax|handy\w*|mob|hotline|msisdn|whatsapp|movil|celular|rufnummer|durchwahl"
    r"|voicemail|landline|festnetz"
)
_KEYED = re.compile(rf"\b(?:{_NAMED})\b")
_SAID = re.compile(
    rf"\b(?:{_NAMED}|call(?:ed|ing)?|dial(?:ed|ing)?|sms|(?:text(?:ed)?|ring|rang) (?:me|us|him|her|them|at|on)|signal|reach(?:ed)?"
    r"|answering|messages? (?:to|on|at)|registered|contact(?:ed|s)?|(?:my|his|her|their) number is|appeler|appelez|rufen|anrufen|llame|llamar)\b"
)
_JUST_BEFORE = re.compile(r"\b(?:desk|office|home|work|extension)[\W_]*\Z")
_JUST_AFTER = re.compile(r"\W{0,3}(?:desk|office|home|work|mobile|cell|fax|landline)\b")
_AGAINST = re.compile(
    r"\b(?:id|ids|uuid|order|invoice|ticket|case|ref|reference|isbn|issn|ean|gtin|sku|imei|timestamp|epoch|time|date|ts|tracking|serial"
    r"|version|build|amount|total|price|sum|balance|size|bytes|count|seed|port|code|zip|account|acct|card|iban|bic|number of|nr of|range|pid"
    r"|batch|page|row|line|part|model|coordinates|lat|lon|lng|usd|eur|gbp|barcode|commit|hash|volume|issue|section)"
    r"(?: (?:number|no|nr|num|id|code))?[\W_]*\Z"
)
_NORTH_AMERICAN = re.compile(
    r"(?:(?:\+|00)?1[ .\-]{0,2})?(?:\([2-9][0-9]{2}\)[ .\-]{0,2}|[2-9][0-9]{2}[ .\-])[0-9]{3}[ .\-][0-9]{4}(?![0-9])"
)
_INTERNATIONAL = re.compile(r"(?:\+|00) ?\(?[1-9][0-9]{0,3}\)?(?:[ .\-/]{0,2}\(?[0-9]{1,12}\)?){1,7}")
_EXTENSION = re.compile(r"[ ,;]{0,2}(?:x|ext\.?|extension|#)[ .:]{0,2}[0-9]{1,6}(?![0-9A-Za-z])", re.IGNORECASE)
_DATE = re.compile(
    r"(?:(?:19|20)[0-9]{2}[-./ ](?:0?[1-9]|1[0-2])[-./ ][0-3]?[0-9]|[0-3]?[0-9][-./ ][0-3]?[0-9][-./ ](?:19|20)[0-9]{2}|(?:19|20)[0-9]{2}[ ]?[-/][ ]?(?:19|20)[0-9]{2})(?![0-9])"
)
_GROUPS = re.compile(r"[0-9]+")
_NEAR_BEFORE = 24
_WRITTEN = 0.2
_BARE_LEAST, _LEAST, _MOST = 9, 7, 15


class Phones:
    """PHONE_NUMBER, of any country."""

    name = "phone"

    def find(self, page: Page) -> Iterator[Finding]:
        text = page.text
        for start, end in page.digit_runs:
            digits = end - start if text[start:end].isdigit() else sum(map(len, _GROUPS.findall(text, start, end)))
            if digits >= _LEAST:
                yield from self._in_run(page, start, end)

    def _in_run(self, page: Page, start: int, end: int) -> Iterator[Finding]:
        text = page.text
        while end - start >= _LEAST:
            date = _DATE.match(text, start, end)
            span = _whole(text, start, end) if date is None else (start, date.end(), 0.0)
            first, last, form = span
            score = _score(page, first, last, form) if form else 0.0
            if score >= _REPORTED:
                extension = _EXTENSION.match(text, last)
                yield Finding(first, extension.end() if extension else last, "PHONE_NUMBER", score, self.name)
            following = _GROUPS.search(text, max(last, start + 1), end)
            if following is None:
                return
            start = following.start()


_REPORTED = 0.3


def _whole(text: str, start: int, end: int) -> tuple[int, int, float]:
    """The longest telephone number that starts here: its span, and what its form alone is worth (0: none)."""
    first = start
    while first and text[first - 1] in "+(" and start - first < 3:
        first -= 1
    if first and text[first - 1] == "+":
        first -= 1
    if _glued_before(text, first):
        return start, end if _is_one_number(text, start, end) else _first_group(text, start, end), 0.0
    written = _NORTH_AMERICAN.match(text, first, end + 1)
    if written and not text[written.end() : written.end() + 1].isalnum():
        return first, written.end(), 0.7
    written = _NORTH_AMERICAN.match(text, first, end + 1)
    if written and text[written.end() : written.end() + 1] in "xX":
        return first, written.end(), 0.7
    abroad = _INTERNATIONAL.match(text, first, end)
    if abroad:
        last = _international_end(text, first, abroad.end())
        if last is not None:
            grouped = text[first] == "+" or not text[first:last].isdigit()
            return first, last, (0.75 if text[first] == "+" else 0.6) if grouped else 0.15
    return _national(text, first, start, end)


def _national(text: str, first: int, start: int, end: int) -> tuple[int, int, float]:
    groups = _GROUPS.findall(text, start, end)
    while sum(map(len, groups)) > 13 and len(groups) > 1:
        groups.pop()
        end = _last_groups_end(text, start, end)
    digits = sum(map(len, groups))
    if text[first] == "+":
        first += 1 if text[first : first + 1] == "+" else 0
    if (
        not _LEAST <= digits <= 13
        or text[end : end + 1].isalnum()
        and text[end] not in "xX"
        or text[end : end + 1] == "%"
    ):
        return start, end, 0.0
    if len(groups) == 1:
        return start, end, 0.15 if digits >= _BARE_LEAST or digits == 7 else 0.1
    opened = text[first] == "(" and ")" in text[start:end]
    separators = [c for c in text[start:end] if not c.isdigit()]
    if not opened and (min(map(len, groups)) < 2 or (set(separators) == {"."} and len(groups) == 2) or len(groups) > 6):
        return start, end, 0.0
    if not opened and max(map(len, groups)) > 8:
        return start, end, 0.0
    if opened:
        return first, end, 0.55
    if text[start] == "0" and text[start + 1] != "0" and 9 <= digits <= 12:
        return start, end, 0.55
    return start, end, 0.2


def _score(page: Page, start: int, end: int, form: float) -> float:
    before, words = page.before(start), page.key_at(start).words
    opposed = _AGAINST.search(before) or (words and _AGAINST.search(words))
    if words and _KEYED.search(words):
        return min(0.95, form + 0.45)
    near = before[-_NEAR_BEFORE:]
    if _KEYED.search(near) or (form >= _WRITTEN and _JUST_BEFORE.search(near)):
        return min(0.95, form + 0.45)
    if not opposed and (_SAID.search(before) or _JUST_AFTER.match(page.after(end))):
        return min(0.95, form + 0.4)
    return form - 0.3 if opposed else form


def _international_end(text: str, first: int, end: int) -> int | None:
    """Where a number of this country code may end: groups are left off until the country has numbers of that length."""
    while True:
        digits = "".join(_GROUPS.findall(text, first, end))
        digits = digits[2:] if text[first] != "+" else digits
        if len(digits) < _LEAST:
            return None
        if _is_possible(digits) or (len(digits) > 10 and _is_possible(digits.replace("0", "", 1))):
            return end
        shorter = _last_groups_end(text, first, end)
        if shorter <= first:
            return None
        end = shorter


def _last_groups_end(text: str, start: int, end: int) -> int:
    """The end of the group before the last one."""
    at = end
    while at > start and text[at - 1].isdigit():
        at -= 1
    while at > start and not text[at - 1].isdigit():
        at -= 1
    return at


def _is_possible(digits: str) -> bool:
    for width in (1, 2, 3):
        lengths = _lengths(int(digits[:width]))
        if lengths:
            return len(digits) - width in lengths
    return False


@lru_cache(maxsize=1024)
def _lengths(country_code: int) -> frozenset[int]:
    """How many digits may follow this country code; empty where there is no such code."""
    regions = COUNTRY_CODE_TO_REGION_CODE.get(country_code, ())
    found: set[int] = set()
    for region in regions[:1]:
        metadata = PhoneMetadata.metadata_for_region_or_calling_code(country_code, region)
        if metadata is not None and metadata.general_desc is not None:
            found.update(metadata.general_desc.possible_length)
    return frozenset(found)


def _glued_before(text: str, first: int) -> bool:
    before = text[first - 1 : first] if first else ""
    if not before:
        return False
    if before.isalnum() or before in "_#$€£¥.@":
        return True
    return (
        before in "-/:,"
        and text[first - 2 : first - 1].isdigit()
        or before == "-"
        and text[first - 2 : first - 1].isalnum()
    )


def _is_one_number(text: str, start: int, end: int) -> bool:
    return text[start:end].isdigit()


def _first_group(text: str, start: int, end: int) -> int:
    match = _GROUPS.match(text, start, end)
    return match.end() if match else end
