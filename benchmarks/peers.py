"""What others would take, where it is installed: each as text -> spans, with default settings and no language model.

Packages: presidio-analyzer (with spacy), cpex-pii-filter, langchain, scrubadub, datafog. Each stands beside a figure; none is needed.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

Span = tuple[int, int, str]
Find = Callable[[str], Sequence[Span]]


def cpex() -> Find:
    """IBM's filter in Rust. It counts in bytes."""
    detector: Any = import_module("cpex_pii_filter").PIIDetectorRust({})

    def find(text: str) -> list[Span]:
        hits = [(hit["start"], hit["end"], kind) for kind, found in detector.detect(text).items() for hit in found]
        if text.isascii():
            return hits
        encoded = text.encode()
        return [(_characters(encoded[:start]), _characters(encoded[:end]), kind) for start, end, kind in hits]

    return find


def _characters(encoded: bytes) -> int:
    return len(encoded.decode(errors="ignore"))


def langchain() -> Find:
    """The detectors of LangChain's PIIMiddleware."""
    detectors: Any = import_module("langchain.agents.middleware._redaction").BUILTIN_DETECTORS
    return lambda text: [(hit["start"], hit["end"], kind) for kind, detect in detectors.items() for hit in detect(text)]


def scrubadub() -> Find:
    """The default scrubber."""
    scrubber: Any = import_module("scrubadub").Scrubber(locale="en_US")
    return lambda text: [(filth.beg, filth.end, filth.type) for filth in scrubber.iter_filth(text)]


def datafog() -> Find:
    """The annotator by regular expressions."""
    annotator: Any = import_module(
        "datafog.processing.text_processing.regex_annotator.regex_annotator"
    ).RegexAnnotator()
    return lambda text: [
        (span.start, span.end, span.label)
        for span in annotator.annotate_with_spans(text)[1].spans
        if span.start < span.end
    ]


def presidio() -> Find:
    """All predefined recognisers that need no model, over a blank English pipeline."""
    spacy: Any = import_module("spacy")
    analyzer: Any = import_module("presidio_analyzer")
    engines: Any = import_module("presidio_analyzer.nlp_engine")

    class Blank(engines.SpacyNlpEngine):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.nlp = {"en": spacy.blank("en")}

        def load(self) -> None:
            """Nothing to load."""

    engine = Blank()
    registry = analyzer.RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"], nlp_engine=engine)
    registry.recognizers = [one for one in registry.recognizers if "Spacy" not in type(one).__name__]
    analyse = analyzer.AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"]).analyze
    return lambda text: [(found.start, found.end, found.entity_type) for found in analyse(text, language="en")]


PEERS: dict[str, Callable[[], Find]] = {
    "presidio": presidio,
    "cpex (Rust)": cpex,
    "scrubadub": scrubadub,
    "datafog": datafog,
    "langchain": langchain,
}


def installed() -> Iterator[tuple[str, Find]]:
    """The peers that are there, each finding once."""
    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
    for name, made in PEERS.items():
        with suppress(ImportError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield name, _one_per_place(made())


def _one_per_place(find: Find) -> Find:
    """The longest of findings that overlap, so that none of them counts twice."""

    def apart(text: str) -> list[Span]:
        kept: list[Span] = []
        for span in sorted(set(find(text)), key=lambda one: (one[0], -one[1])):
            if not kept or span[0] >= kept[-1][1]:
                kept.append(span)
        return kept

    return apart
