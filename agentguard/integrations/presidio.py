"""Presidio's recognisers as detectors: names in prose by spaCy, GLiNER or transformers, and any recogniser of one's own.

Off unless given to `open_guard(detectors=[...])` or `Masker([...])`. Needs the extra `presidio`, and a model of the user's choice.

Rules:
- The text of all leaves is analysed in pieces that end between two leaves; where one leaf is longer than a piece, they overlap.
- A finding that reaches over the border of two leaves counts in each of them.
- What fails, fails the masking: the value is blocked, never passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from agentguard.errors import ConfigurationError
from agentguard.integrations.extras import needed_from
from agentguard.masking.finding import Finding
from agentguard.masking.page import SEPARATOR, Page

with needed_from("presidio"):
    from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerResult
    from presidio_analyzer.predefined_recognizers import SpacyRecognizer

_LONGEST_PIECE = 100_000
_OVERLAP = 500
_NO_ARTIFACTS: Any = None
"""What recognisers that bring their own model, or need none, are given; Presidio's signature does not say so."""
_Analyse = Callable[[str], Iterable[RecognizerResult]]


class PresidioDetector:
    """A detector over an analyzer or a recogniser of Presidio; made by `from_analyzer` and `from_recognizer`."""

    def __init__(self, name: str, analyse: _Analyse) -> None:
        self.name = name
        self._analyse = analyse

    def find(self, page: Page) -> Iterator[Finding]:
        """What Presidio finds, under its own entity types and scores."""
        for start, end in _pieces(page.text):
            for found in self._analyse(page.text[start:end].replace(SEPARATOR, "\n")):
                yield from self._in_leaves(page.text, start + found.start, start + found.end, found)

    def _in_leaves(self, text: str, start: int, end: int, found: RecognizerResult) -> Iterator[Finding]:
        for part in text[start:end].split(SEPARATOR):
            if part.strip():
                yield Finding(start, start + len(part), found.entity_type, float(found.score), self.name)
            start += len(part) + 1


def from_analyzer(analyzer: AnalyzerEngine, *, entities: Sequence[str], language: str = "en") -> PresidioDetector:
    """A detector of these entity types. Raises ConfigurationError for one that the analyzer can't find in this language."""
    if language not in analyzer.supported_languages:
        languages = ", ".join(sorted(analyzer.supported_languages))
        raise ConfigurationError(f"the analyzer knows no language {language!r}; write one that it knows: {languages}")
    known = analyzer.get_supported_entities(language=language)
    unknown = sorted(set(entities) - set(known))
    if not entities or unknown:
        what = f"the analyzer finds no {unknown[0]}" if unknown else "no entity types are given"
        raise ConfigurationError(f"{what}; write entities that it knows: {', '.join(sorted(known))}")
    wanted = list(entities)
    return PresidioDetector("presidio", lambda text: analyzer.analyze(text, language, entities=wanted))


def from_recognizer(recognizer: EntityRecognizer) -> PresidioDetector:
    """A detector of all that one recogniser supports. Raises ConfigurationError for one that reads an analyzer's language model."""
    kind = type(recognizer).__name__
    if isinstance(recognizer, SpacyRecognizer):
        what = f"{kind} finds nothing without its language model"
        raise ConfigurationError(f"{what}; put it into an AnalyzerEngine and use from_analyzer")
    wanted = list(recognizer.supported_entities)
    return PresidioDetector(kind, lambda text: recognizer.analyze(text, wanted, _NO_ARTIFACTS) or ())


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Spans that together are the text, none longer than a language model takes at once; each begins a little before the last one's end."""
    start = 0
    while start < len(text):
        end = start + _LONGEST_PIECE
        if end >= len(text):
            yield start, len(text)
            return
        borders = (text.rfind(mark, start + _OVERLAP, end) + 1 for mark in (SEPARATOR, "\n", " "))
        end = next((border for border in borders if border), end)
        yield start, end
        start = end - (0 if text[end - 1] == SEPARATOR else _OVERLAP)
