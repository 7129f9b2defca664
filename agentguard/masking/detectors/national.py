"""Numbers that a state gives its people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from agentguard.masking.anchors import Anchor
from agentguard.masking.finding import CERTAIN, Finding
from agentguard.masking.page import Page

_FORM = re.compile(r"[0-9](?<![0-9].)[0-9]{2}([ .-]?)[0-9]{2}\1[0-9]{4}(?![0-9])")
_SSN = re.compile(r"s(?<!\w.)(?:sn|ocial security|ocial insurance|oc sec|s ?#|ocialsecurity)")
_ITIN = re.compile(r"\b(?:itin|taxpayer|tax id)")
_IN_SSN, _IN_ITIN = ("ss", "soc"), ("itin", "tax")
"""One of these stands in whatever those match: bare numbers are many, and words like these beside them few."""
# A letter that a scanner read for a digit, told apart from codes only by the word before it.
# Begins with one letter, and only then looks back whether a word begins: `re` looks for the first of a class fast.
_MISREAD = re.compile(
    r"[Ss\u017f](?<!\w.)(?i:sn|ocial security(?: number| no\.?)?)\b\W{0,4}(?i:is )?"
    r"((?=\S*[0-9])(?i:[0-9OSIlBZ]{3}-[0-9OSIlBZ]{2}-[0-9OSIlBZ]{4}))\b"
)
_SPELLED = re.compile(r"-(?i:(?<=[0-9OSIlBZ]{3}-)[0-9OSIlBZ]{2}-[0-9OSIlBZ]{4})")
"""What stands in each of those. Most are read right, and found already."""
_ITIN_GROUPS = frozenset([*range(50, 66), *range(70, 89), *range(90, 93), *range(94, 100)])


class UsNumbers:
    """US_SSN and US_ITIN. Dashes make the form telling; spaces, dots or bare digits need a word beside them."""

    name = "us_numbers"
    anchors: ClassVar[frozenset[int]] = frozenset({Anchor.DIGITS, Anchor.SSN})

    def find(self, page: Page) -> list[Finding]:
        """Numbers of three, two and four digits."""
        text = page.text
        found: list[Finding] = []
        for start, end, digits in page.digit_runs:
            if digits >= 9:
                for match in _FORM.finditer(text, start, end):
                    finding = self._judged(page, match)
                    if finding is not None:
                        found.append(finding)
        return found + self._misread(text, found) if Anchor.SSN in page.anchors else found

    def _misread(self, text: str, found: Sequence[Finding]) -> list[Finding]:
        """Numbers with a letter for a digit, behind their word."""
        certain = {finding.start for finding in found if finding.score >= CERTAIN}
        for spelled in _SPELLED.finditer(text):
            if spelled.start() - 3 not in certain:
                spans = [match.span(1) for match in _MISREAD.finditer(text)]
                return [Finding(*span, "US_SSN", 0.8, self.name) for span in spans if span[0] not in certain]
        return []

    def _judged(self, page: Page, match: re.Match[str]) -> Finding | None:
        start, end = match.span()
        number, between = match.group(0, 1)
        digits = number.replace(between, "") if between else number
        dashed = between == "-"
        if _glued(page.text, start, end) or digits[:3] == "000":
            return None
        words = page.context(start, end)
        if _says(words, _IN_SSN, _SSN):
            return Finding(start, end, "US_SSN", 0.95, self.name)
        if _says(words, _IN_ITIN, _ITIN):
            return Finding(start, end, "US_ITIN", 0.9, self.name)
        if digits[0] == "9" and int(digits[3:5]) in _ITIN_GROUPS:
            return Finding(start, end, "US_ITIN", 0.6 if dashed else 0.2, self.name)
        if digits[3:5] == "00" or digits[5:] == "0000" or digits[:3] == "666":
            return Finding(start, end, "US_SSN", 0.3 if dashed else 0.1, self.name)
        return Finding(start, end, "US_SSN", 0.7 if dashed else 0.2, self.name)


def _says(words: str, pieces: tuple[str, str], form: re.Pattern[str]) -> bool:
    return (pieces[0] in words or pieces[1] in words) and form.search(words) is not None


def _glued(text: str, start: int, end: int) -> bool:
    before, after = text[start - 1 : start], text[end : end + 1]
    return (
        before.isalnum()
        or after.isalnum()
        or (before != "" and before in "-._/" and text[start - 2 : start - 1].isalnum())
        or (after != "" and after in "-_/" and text[end + 1 : end + 2].isalnum())
    )
