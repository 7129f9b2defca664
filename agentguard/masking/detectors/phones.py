"""Telephone numbers.

Candidates are stretches of digits; what speaks for a telephone is added up:
- a plus sign and a country code whose numbers have this length (facts of `phonenumbers`);
- the way a number is written: (202) 555-0147, 0496 46 46 70, 202-555-0147 x12;
- a word beside it, or the key it stands under.
Digits without any of these (an epoch, an order id, an amount, a date) are not a telephone.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import ClassVar

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

from agentguard.masking.anchors import Anchor
from agentguard.masking.choices import ending, one_of
from agentguard.masking.detectors.checksums import luhn
from agentguard.masking.finding import Finding
from agentguard.masking.page import Page

_NAMED = (
    r"tele?(?:ph|f)\w*|tel|phones?|cell(?:ular|phone)?|mobil\w*|fax|handy\w*|mob|hotline|msisdn|whatsapp|movil|celular|rufnummer"
    r"|durchwahl|voicemail|landline|festnetz"
)
_TO = "(?:me|us|him|her|them|at|on)"
_KEYED = re.compile(rf"\b{one_of(_NAMED)}\b")
_SAYING = one_of(
    rf"{_NAMED}|call(?:ed|ing)?|dial(?:ed|ing)?|sms|text(?:ed)? {_TO}|ring {_TO}|rang {_TO}|signal|reach(?:ed)?|answering"
    r"|messages? (?:to|on|at)|registered|contact(?:ed|s)?|my number is|his number is|her number is|their number is"
    r"|appeler|appelez|rufen|anrufen|llame|llamar"
)
_SAID = re.compile(rf"\b{_SAYING}\b")
_JUST_BEFORE = ending("desk|office|home|work|extension", marks=r"\W_")
_JUST_AFTER = re.compile(r"\W{0,3}(?:desk|office|home|work|mobile|cell|fax|landline)\b")
_AGAINST = ending(
    "id|ids|uuid|order|invoice|ticket|case|ref|reference|isbn|issn|ean|gtin|sku|imei|timestamp|epoch|time|date|ts|tracking"
    "|serial|version|build|amount|total|price|sum|balance|size|bytes|count|seed|port|code|zip|account|acct|card|iban|bic"
    "|number of|nr of|range|pid|batch|page|row|line|part|model|coordinates|lat|lon|lng|usd|eur|gbp|barcode|commit|hash|volume"
    "|issue|section",
    further="number|no|nr|num|id|code",
    marks=r"\W_",
)
_NORTH_AMERICAN = re.compile(
    r"(?:(?:\+|00)?1[ .\-]{0,2})?(?:\([2-9][0-9]{2}\)[ .\-]{0,2}|[2-9][0-9]{2}[ .\-])[0-9]{3}[ .\-][0-9]{4}(?![0-9])"
)
_INTERNATIONAL = re.compile(r"(?:\+|00) ?\(?[1-9][0-9]{0,3}\)?(?:[ .\-/]{0,2}\(?[0-9]{1,12}\)?){1,7}")
_EXTENSION = re.compile(r"[ ,;]{0,2}(?:x|ext\.?|extension|#)[ .:]{0,2}[0-9]{1,6}(?![0-9A-Za-z])", re.IGNORECASE)
_BEFORE_EXTENSION = frozenset(" ,;xXeE#")
_DATE = re.compile(
    r"(?:(?:19|20)[0-9]{2}[-./ ](?:0?[1-9]|1[0-2])[-./ ][0-3]?[0-9]|[0-3]?[0-9][-./ ][0-3]?[0-9][-./ ](?:19|20)[0-9]{2}"
    r"|(?:19|20)[0-9]{2} ?[-/] ?(?:19|20)[0-9]{2})(?![0-9])"
)
_CARD = re.compile(r"([0-9]{4})([ \-])([0-9]{4})\2([0-9]{4})\2([0-9]{4})(?![0-9])")
_CARD_LENGTH = 19
_DIGITS, _BETWEEN = "0123456789", " ().-/+"
_GROUPS = re.compile(r"[0-9]+")
_MARKS_BEFORE = ("+", "(")
_GLUE, _LOOSE_GLUE = frozenset("_#$€£¥.@"), frozenset("-/:,")
_NEAR_BEFORE = 24
_LEAST, _MOST = 7, 13
_CLEAR, _LIKELY, _ABROAD, _TRUNK, _WRITTEN, _BARE = 0.75, 0.7, 0.6, 0.55, 0.2, 0.15


_Form = tuple[int, int, float]
"""A stretch that may be a number: its start, its end, and what the way it is written is worth by itself (0: it is none)."""


class Phones:
    """PHONE_NUMBER, of any country."""

    name = "phone"
    anchors: ClassVar[frozenset[int]] = frozenset({Anchor.DIGITS})

    def find(self, page: Page) -> list[Finding]:
        """Telephone numbers among the runs of digits."""
        text = page.text
        found: list[Finding] = []
        for begin, end, digits in page.digit_runs:
            if digits < _LEAST:
                continue
            start = begin
            while end - start >= _LEAST:
                form = _form(text, start, end)
                first, last, worth = form
                score = _score(page, form) if worth else 0.0
                if score > 0:
                    extension = _EXTENSION.match(text, last) if text[last : last + 1] in _BEFORE_EXTENSION else None
                    found.append(
                        Finding(first, extension.end() if extension else last, "PHONE_NUMBER", score, self.name)
                    )
                following = _GROUPS.search(text, max(last, start + 1), end) if last < end else None
                start = following.start() if following else end
        return found


def _form(text: str, start: int, end: int) -> _Form:
    """The longest number that starts at this digit, or what else stands there."""
    other = _other_end(text, start, end)
    if other is not None:
        return (start, other, 0.0)
    first = _with_marks(text, start) if text[start - 1 : start] in _MARKS_BEFORE else start
    if _is_glued(text, first):
        group = _GROUPS.match(text, start, end)
        return (start, group.end() if group else end, 0.0)
    written = _NORTH_AMERICAN.match(text, first, end + 1)
    if written and _ends_a_word(text, written.end()):
        return (first, written.end(), _CLEAR if text[first] == "+" else _LIKELY)
    abroad = _INTERNATIONAL.match(text, first, end) if text[first] in "+0" else None
    last = _international_end(text, first, abroad.end()) if abroad else None
    if last is not None:
        return (first, last, _CLEAR if text[first] == "+" else _BARE if text[first:last].isdigit() else _ABROAD)
    return _national(text, first, start, end)


def _other_end(text: str, start: int, end: int) -> int | None:
    """Where the date or the payment card ends that stands here."""
    found = _DATE.match(text, start, end)
    if found is None and end - start >= _CARD_LENGTH:
        found = _CARD.match(text, start, end)
        if found is not None and not luhn("".join(found.group(1, 3, 4, 5))):
            return None
    return found.end() if found is not None else None


def _with_marks(text: str, start: int) -> int:
    """Where the plus sign and the bracket before a first digit begin."""
    first = start
    while first and text[first - 1] in _MARKS_BEFORE and start - first < 2:
        first -= 1
    return first


def _national(text: str, first: int, start: int, end: int) -> _Form:
    groups = _GROUPS.findall(text, start, end)
    if len(groups) == 1 and len(groups[0]) == end - start:
        is_bare = _LEAST <= end - start <= _MOST and _ends_a_word(text, end)
        return (start, end, _BARE if is_bare else 0.0)
    widths = list(map(len, groups))
    digits = sum(widths)
    while digits > _MOST and len(widths) > 1:
        digits -= widths.pop()
        end = _last_groups_end(text, start, end)
    if not _LEAST <= digits <= _MOST or not _ends_a_word(text, end):
        return (start, end, 0.0)
    if len(widths) == 1:
        return (start, end, _BARE)
    if text[first] == "(" and ")" in text[start:end]:
        return (first, end, _TRUNK)
    is_decimal = len(widths) == 2 and not text[start + widths[0] : end - widths[1]].strip(".")
    if min(widths) < 2 or max(widths) > 8 or len(widths) > 6 or is_decimal:
        return (start, end, 0.0)
    trunk = text[start] == "0" and text[start + 1] != "0" and 9 <= digits <= 12
    return (start, end, _TRUNK if trunk else _WRITTEN)


def _score(page: Page, form: _Form) -> float:
    """What the way of writing is worth, with what stands around it."""
    start, end, worth = form
    before, words = page.before(start), page.key_at(start).words
    turned = before[::-1]
    if (
        (words and _is_telling(words))
        or _KEYED.search(before[-_NEAR_BEFORE:])
        or (worth >= _WRITTEN and _JUST_BEFORE.match(turned, 0, _NEAR_BEFORE))
    ):
        return min(0.95, worth + 0.45)
    opposed = _AGAINST.match(turned) or (words and _is_opposed(words))
    if not opposed and (_SAID.search(before) or _JUST_AFTER.match(page.after(end))):
        return min(0.95, worth + 0.4)
    return worth - (0.2 if worth == _CLEAR else 0.3) if opposed else worth


@lru_cache(maxsize=4096)
def _is_telling(words: str) -> bool:
    """Whether a key's words name a telephone."""
    return _KEYED.search(words) is not None


@lru_cache(maxsize=4096)
def _is_opposed(words: str) -> bool:
    """Whether a key's words name another number."""
    return _AGAINST.match(words[::-1]) is not None


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
    before = text[start:end].rstrip(_DIGITS)
    return start + len(before.rstrip(_BETWEEN))


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


def _is_glued(text: str, first: int) -> bool:
    """Part of a word, an amount, a longer number or a code with dashes."""
    before = text[first - 1] if first else " "
    if before == " ":
        return False
    further = text[first - 2] if first > 1 else ""
    return (
        before.isalnum()
        or before in _GLUE
        or (before in _LOOSE_GLUE and (further.isdigit() or (before == "-" and further.isalnum())))
    )


def _ends_a_word(text: str, end: int) -> bool:
    after = text[end : end + 1]
    return after in ("", "x", "X") or not (after.isalnum() or after in "_%")
