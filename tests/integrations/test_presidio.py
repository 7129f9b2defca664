"""Presidio's analyzers and recognisers as detectors, with a real spaCy pipeline whose names stand in a list."""

from __future__ import annotations

from typing import Any

import pytest
import spacy
from presidio_analyzer import (
    AnalyzerEngine,
    EntityRecognizer,
    Pattern,
    PatternRecognizer,
    RecognizerRegistry,
    RecognizerResult,
)
from presidio_analyzer.nlp_engine import SpacyNlpEngine
from presidio_analyzer.predefined_recognizers import SpacyRecognizer

from agentguard.errors import ConfigurationError, GuardUnavailable
from agentguard.integrations.functions import FunctionTool
from agentguard.integrations.presidio import PresidioDetector, from_analyzer, from_recognizer
from agentguard.masking import DEFAULT_DETECTORS, Masker, TokenIds
from agentguard.model.calls import ToolCall
from tests.guard.world import World

pytestmark = [pytest.mark.slow, pytest.mark.anyio]  # spaCy takes a second to import
NAMES = ["Zofia Wymyslona", "Ole Opdigtet", "Zofia"]


class _NamesFromAList(SpacyNlpEngine):
    """A blank English model that knows made-up people."""

    def __init__(self) -> None:
        super().__init__()
        model = spacy.blank("en")
        ruler = model.add_pipe("entity_ruler")
        ruler.add_patterns([{"label": "PERSON", "pattern": name} for name in NAMES])
        self.nlp = {"en": model}


class _Raising(EntityRecognizer):
    def load(self) -> None:
        pass

    def analyze(self, text: str, entities: Any, nlp_artifacts: Any = None) -> list[RecognizerResult]:
        raise RuntimeError(text)


@pytest.fixture(scope="module")
def analyzer() -> AnalyzerEngine:
    """An analyzer with that model."""
    engine = _NamesFromAList()
    registry = RecognizerRegistry(supported_languages=["en"])
    registry.add_recognizer(SpacyRecognizer(supported_language="en"))
    registry.add_recognizer(_badges())
    return AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])


@pytest.fixture
def ids() -> TokenIds:
    """The tokens of one session."""
    return TokenIds([b"k" * 32], tenant="t", session="s")


@pytest.fixture(scope="module")
def names(analyzer: AnalyzerEngine) -> PresidioDetector:
    """A detector of names in prose."""
    return from_analyzer(analyzer, entities=["PERSON"])


def read_page(url: str) -> str:
    """Read a page."""
    return f"{url}: Zofia Wymyslona, zofia@mail.example"


def _badges() -> PatternRecognizer:
    return PatternRecognizer("BADGE", name="badges", patterns=[Pattern("badge", r"\bBDG-[0-9]{5}\b", 0.7)])


def _found(detector: PresidioDetector, text: str) -> list[tuple[str, str]]:
    return [(f.entity_type, text[f.start : f.end]) for f in Masker([detector]).find(text)]


def test_names_in_prose_are_found_by_an_analyzer(names: PresidioDetector) -> None:
    """What the model knows is a finding, under Presidio's type."""
    assert _found(names, "Dear Zofia Wymyslona, Ole Opdigtet wrote.") == [
        ("PERSON", "Zofia Wymyslona"),
        ("PERSON", "Ole Opdigtet"),
    ]


def test_only_the_entity_types_that_were_asked_for_are_found(names: PresidioDetector) -> None:
    """An analyzer's other recognisers stay silent."""
    assert _found(names, "BDG-12345") == []


def test_a_recogniser_stands_alone() -> None:
    """A pattern recogniser needs no analyzer and no model."""
    detector = from_recognizer(_badges())
    assert detector.name == "PatternRecognizer"
    assert _found(detector, "badge BDG-12345, not BDG-1") == [("BADGE", "BDG-12345")]


def test_a_recogniser_without_its_model_is_refused() -> None:
    """It would find nothing, in silence."""
    with pytest.raises(ConfigurationError, match="put it into an AnalyzerEngine and use from_analyzer"):
        from_recognizer(SpacyRecognizer(supported_language="en"))


@pytest.mark.parametrize(
    ("entities", "said"), [(["PASSWORD"], "finds no PASSWORD"), ([], "no entity types")], ids=["unknown", "none"]
)
def test_entity_types_that_nothing_finds_are_refused(analyzer: AnalyzerEngine, entities: list[str], said: str) -> None:
    """A type that is declared and never found would be worse than none."""
    with pytest.raises(ConfigurationError, match=rf"{said}.*write entities that it knows: BADGE, .*PERSON"):
        from_analyzer(analyzer, entities=entities)


def test_a_language_that_the_analyzer_lacks_is_refused(analyzer: AnalyzerEngine) -> None:
    """Nothing would be found in it."""
    with pytest.raises(ConfigurationError):
        from_analyzer(analyzer, entities=["PERSON"], language="pl")


def test_leaves_are_analysed_apart_from_each_other(names: PresidioDetector, ids: TokenIds) -> None:
    """A name does not begin in one field and end in the next; each field is masked for itself."""
    masked = Masker([names]).mask({"a": "by Zofia", "b": "Wymyslona", "c": ["Ole Opdigtet"]}, ids)
    assert masked.entities == {"PERSON": 2}
    assert masked.value["b"] == "Wymyslona"
    assert masked.value["a"].startswith("by [PERSON_")


@pytest.mark.parametrize(
    "filler", ["x" * 299_990 + " ", "word " * 60_000, "line\n" * 60_000], ids=["one word", "words", "lines"]
)
def test_a_text_longer_than_a_piece_is_analysed_to_its_end(names: PresidioDetector, filler: str) -> None:
    """Findings behind the first piece have their true place."""
    text = f"{filler}Zofia Wymyslona {filler}Ole Opdigtet"
    assert [value for _, value in _found(names, text)] == ["Zofia Wymyslona", "Ole Opdigtet"]


def test_t25_a_recogniser_that_fails_blocks_the_value(ids: TokenIds) -> None:
    """Nothing passes unmasked, and the error holds nothing of the text."""
    detector = from_recognizer(_Raising(supported_entities=["X"]))
    with pytest.raises(GuardUnavailable, match="detector _Raising failed") as raised:
        Masker([detector]).mask("some text", ids)
    assert "some text" not in str(raised.value)


async def test_a_guard_masks_names_in_prose_with_it(world: World, names: PresidioDetector) -> None:
    """The detectors given to open_guard stand beside the default ones."""
    tool = FunctionTool.of(read_page)
    with world.open(detectors=[names]) as guard, guard.session(user="uma@acme.example", id="s"):
        result = await guard.run(ToolCall(tool="read_page", arguments={"url": "https://a.example"}, id="1"), tool)
    assert "Zofia" not in result
    assert "[PERSON_" in result
    assert "[EMAIL_" in result


def test_default_detectors_stay_the_same() -> None:
    """Presidio is no part of them."""
    assert not any(isinstance(detector, PresidioDetector) for detector in DEFAULT_DETECTORS)
