"""What spoke for each finding, and what against it: found out by asking the detector again without it.

Rules:
- the form is what the detector says of the value alone; a key or a word speaks for as much as the score falls without it, and
  against as much as it rises;
- only words that change the score are named, and none that is part of a finding: no value is in an explanation;
- what was found and doesn't count is told too, with what it lacks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from agentguard.masking.detectors import Detector
from agentguard.masking.detectors.named_checksums import holds
from agentguard.masking.finding import Finding
from agentguard.masking.keys import NO_KEY, Key
from agentguard.masking.lists import DENIED
from agentguard.masking.page import Page
from agentguard.masking.recalled import KNOWN
from agentguard.masking.recognisers import Recognisers
from agentguard.masking.sheet import FIELD

_BEFORE, _AFTER = 56, 14
_WORD = re.compile(r"[^\W\d_][^\W_]*")
_LEAST_DOUBT = 0.15
_CHECKED = {"CREDIT_CARD": "luhn", "IBAN_CODE": "iban", "ABA_ROUTING_NUMBER": "aba", "UK_NHS": "nhs"}


class Evidence(NamedTuple):
    """What spoke: for a finding where its weight is positive, against it where it is negative; 0 where it is in the form already."""

    what: str
    weight: float

    def __str__(self) -> str:
        sign = "-" if self.weight < 0 or self.what.endswith(" fails") else "+"
        return f"{sign} {self.what} {abs(self.weight):.2f}" if self.weight else f"{sign} {self.what}"


class Explained(NamedTuple):
    """A finding in offsets of the text, what came of it, and why. `outcome`: the action that applies, or why none does."""

    finding: Finding
    outcome: str
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, kw_only=True)
class Explainer:
    """Explains what was found on one page. `hidden`: the words of all of it, which are not named."""

    page: Page
    detectors: Sequence[Detector]
    hidden: frozenset[str]

    def evidence(self, finding: Finding) -> tuple[Evidence, ...]:
        """What spoke for this finding of the page, and against it."""
        key = self.page.key_at(finding.start)
        if finding.detector == FIELD:
            said = "masking.fields names its field" if key.policy else f"its field `{key.words}`"
            return (Evidence(said, finding.score), *_checksum(self.page, finding, _CHECKED.get(finding.entity_type)))
        if finding.detector in _BY_NAME:
            return (Evidence(_BY_NAME[finding.detector], finding.score),)
        detector = next((each for each in self.detectors if _is_by(finding, each)), None)
        if detector is None:
            return ()
        checksum = _CHECKED.get(finding.entity_type)
        if isinstance(detector, Recognisers):
            checksum = detector.by_name[finding.detector].checksum
        return (*self._weighed(finding, detector, key), *_checksum(self.page, finding, checksum))

    def _weighed(self, finding: Finding, detector: Detector, key: Key) -> Iterator[Evidence]:
        text, start, end = self.page.text, finding.start, finding.end
        value = text[start:end]
        before, after = _leaf_before(text, start), _leaf_after(text, end)
        form = _score(detector, finding, "", value, "", NO_KEY)
        yield Evidence("form", form)
        whole = _score(detector, finding, before, value, after, key)
        spoken = frozenset(key.words.split())
        if spoken:
            weight = whole - _score(detector, finding, _without(before, spoken), value, _without(after, spoken), NO_KEY)
            if weight:
                yield Evidence(f"key `{key.words}`", weight)
        words = sorted(words_in([before, after]) - spoken - self.hidden)

        def without(gone: frozenset[str]) -> float:
            return _score(detector, finding, _without(before, gone), value, _without(after, gone), key)

        weights = {word: whole - without(frozenset({word})) for word in words}
        if not any(weights.values()):  # several say the same, so that none is missed: each is heard alone
            nothing = without(frozenset(words))
            weights = {word: without(frozenset(words) - {word}) - nothing for word in words} if nothing != whole else {}
        yield from (Evidence(f'word "{word}"', weight) for word, weight in weights.items() if weight)


_BY_NAME = {DENIED: "on the deny list", KNOWN: "seen under a personal field"}


def words_in(texts: Iterable[str]) -> frozenset[str]:
    """The words of some texts, in lower case."""
    return frozenset(match.group().lower() for text in texts for match in _WORD.finditer(text))


def worth_telling(doubtful: Sequence[Finding], counted: Sequence[Finding]) -> list[Finding]:
    """Of what does not count, the likeliest at each place where nothing does."""
    told: list[Finding] = []
    for finding in sorted(doubtful, key=lambda each: -each.score):
        taken = any(each.start < finding.end and finding.start < each.end for each in (*counted, *told))
        if not taken and finding.score >= _LEAST_DOUBT:
            told.append(finding)
    return told


def _is_by(finding: Finding, detector: Detector) -> bool:
    if isinstance(detector, Recognisers):
        return finding.detector in detector.by_name
    return detector.name == finding.detector


def _checksum(page: Page, finding: Finding, name: str | None) -> Iterator[Evidence]:
    """Whether the checksum of this name holds. Its weight is part of the form's."""
    if name is not None:
        held = holds(name, page.text[finding.start : finding.end])
        yield Evidence(f"checksum {name} {'holds' if held else 'fails'}", 0.0)


def _score(detector: Detector, finding: Finding, before: str, value: str, after: str, key: Key) -> float:
    """What the detector says of the same value with less around it."""
    start, end = len(before), len(before) + len(value)
    again = (
        each.score
        for each in detector.find(Page(before + value + after, (0,), (key,)))
        if each.entity_type == finding.entity_type and each.start < end and start < each.end
    )
    return round(max(again, default=0.0), 2)


def _leaf_before(text: str, start: int) -> str:
    return text[max(0, start - _BEFORE) : start].rpartition("\x1f")[2]


def _leaf_after(text: str, end: int) -> str:
    return text[end : end + _AFTER].partition("\x1f")[0]


def _without(text: str, words: frozenset[str]) -> str:
    """The text with these words left empty; lengths stay."""
    return _WORD.sub(lambda match: " " * len(match.group()) if match.group().lower() in words else match.group(), text)
