"""Payment cards: 12 to 19 digits, a known issuer, Luhn."""

from __future__ import annotations

import re
from typing import ClassVar

from agentguard.masking.anchors import Anchor
from agentguard.masking.choices import ending
from agentguard.masking.detectors.checksums import luhn
from agentguard.masking.finding import Finding
from agentguard.masking.page import Page

_FORMS = re.compile(
    r"[0-9](?<![0-9].)(?:[0-9]{3}([ .-])[0-9]{4}\1[0-9]{4}\1[0-9]{1,7}|(?<=3)[0-9]{3}([ .-])[0-9]{6}\2[0-9]{4,5}|[0-9]{11,18})(?![0-9])"
)
_ISSUERS = re.compile(r"4|5[0-8]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720|131|014|149)|3[0-9]|1800|6[0-9]|8[12]|9792")
_COMMON = re.compile(
    r"(?:4(?:\d{12}|\d{15})|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|09|[689]\d)\d{11}|(?:6011|65\d\d|64[4-9]\d|35[2-8]\d)\d{12}|(?:1800|2131)\d{11})\Z"
)
_FOR = re.compile(
    r"\b(?:(?:credit|debit|bank|kredit|gift)?[ _-]?(?:card|karte)s?|cc|ccn|pan|visa|master ?card|maestro|amex|american express|discover"
    r"|diners|jcb|kartennummer|carte|tarjeta)\b"
)
_AGAINST = ending(
    "id|ids|order|invoice|tracking|transaction|trace|sku|isbn|ean|gtin|imei|ref|reference|hash|seed|nonce|serial|part|batch|model",
    further="number|no|nr|id|code",
)


class Cards:
    """CREDIT_CARD. Luhn and a common issuer are enough; rarer lengths and failed checksums need a word beside them."""

    name = "cards"
    anchors: ClassVar[frozenset[int]] = frozenset({Anchor.DIGITS})

    def find(self, page: Page) -> list[Finding]:
        """Card numbers among the runs of digits."""
        text = page.text
        found: list[Finding] = []
        for start, end, digits in page.digit_runs:
            if digits < 12:
                continue
            for match in _FORMS.finditer(text, start, end):
                score = _score(page, match)
                if score:
                    found.append(Finding(match.start(), match.end(), "CREDIT_CARD", score, self.name))
        return found


def _score(page: Page, match: re.Match[str]) -> float:
    start, end = match.span()
    digits = match.group().encode().translate(None, b" .-").decode()
    if not 12 <= len(digits) <= 19 or not _ISSUERS.match(digits) or digits.count(digits[0]) == len(digits):
        return 0.0
    if _glued(page.text, start, end):
        return 0.0
    checked = luhn(digits)
    if not checked and len(digits) < 15:
        return 0.0
    key = page.key_at(start).words
    if (key and _FOR.search(key)) or _FOR.search(page.context(start, end)):
        return 0.98 if checked else 0.6
    if not checked or not _COMMON.match(digits):
        return 0.3
    grouped = len(digits) != end - start
    opposed = _AGAINST.match(page.before(start)[::-1]) or _AGAINST.match(key[::-1])
    return 0.4 if opposed else 0.9 if grouped else 0.75


def _glued(text: str, start: int, end: int) -> bool:
    """Part of a longer word or number, such as a UUID or a decimal fraction."""
    before, after = text[start - 1 : start], text[end : end + 1]
    if before.isalnum() or after.isalnum() or before == "_" or after == "_":
        return True
    further = text[start - 2 : start - 1] if start > 1 else ""
    return bool(before) and before in ".-" and further.isalnum()
