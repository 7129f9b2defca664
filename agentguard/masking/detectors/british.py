"""The British national insurance number."""

from __future__ import annotations

import re
from typing import ClassVar

from agentguard.masking.anchors import Anchor
from agentguard.masking.finding import Finding
from agentguard.masking.page import Page

# Two letters (some are never given), six digits, and a letter from A to D.
_FORM = re.compile(
    r"(?<![0-9A-Za-z_\-])(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]([ \-]?)[0-9]{2}\1?[0-9]{2}\1?[0-9]{2}\1[A-D]"
    r"(?![0-9A-Za-z_])(?!-[0-9A-Za-z])",
    re.IGNORECASE,
)
_FOR = re.compile(r"\b(?:nino|ni|n\.i\.|national insurance|insurance|hmrc|paye)\b")
_AGAINST = re.compile(
    r"\b(?:sku|part|serial|model|order|invoice|ref|reference|lot|batch|item|product|asset|tag|code|license|version)\b"
)
_BEFORE = 3


class InsuranceNumbers:
    """UK_NINO: the form is telling, most of all with spaces in it; a word for another number beside it speaks against it."""

    name = "uk_nino"
    anchors: ClassVar[frozenset[int]] = frozenset({Anchor.DIGITS})

    def find(self, page: Page) -> list[Finding]:
        """National insurance numbers around the runs of six digits."""
        text = page.text
        found: list[Finding] = []
        for start, _, digits in page.digit_runs:
            if digits == 6:
                match = _FORM.search(text, max(0, start - _BEFORE), start + 12)
                if match is not None:
                    found.append(Finding(*match.span(), "UK_NINO", _score(page, match), self.name))
        return found


def _score(page: Page, match: re.Match[str]) -> float:
    words = page.context(*match.span())
    if _FOR.search(words):
        return 0.95
    if match.group() != match.group().upper() or _AGAINST.search(words):
        return 0.3
    return 0.8 if match.group(1) else 0.55
