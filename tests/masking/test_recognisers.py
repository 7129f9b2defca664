"""Recognisers that are written down: what their evidence adds up to, what can't be built, and what a broken search does."""

from __future__ import annotations

import time
from typing import Any

import pytest

from agentguard.errors import GuardUnavailable
from agentguard.masking import DEFAULT_DETECTORS, AllowList, BadPattern, DenyList, Masker, Recogniser, Recognisers
from tests.masking.samples import IDS


def masker(**written: Any) -> Masker:
    """A masker with one recogniser besides the default detectors."""
    recogniser = Recogniser(**{"name": "ticket", "entity_type": "TICKET", "pattern": r"\bTCK-[0-9]{6}\b"} | written)
    return Masker([*DEFAULT_DETECTORS, Recognisers([recogniser])])


def score(text: str, **written: Any) -> float:
    """What the recogniser says of the only match in a text."""
    found = [finding for finding in masker(**written).find(text) if finding.detector == "ticket"]
    return found[0].score if found else 0.0


EVIDENCE: dict[str, tuple[dict[str, Any], str, float]] = {
    "form-alone": ({}, "see TCK-123456", 0.6),
    "own-score": ({"score": 0.8}, "see TCK-123456", 0.8),
    "too-little": ({"score": 0.3}, "see TCK-123456", 0.0),
    "needs-context": ({"context": ("ticket",)}, "see TCK-123456", 0.0),
    "context-before": ({"context": ("ticket",)}, "Ticket: TCK-123456", 0.65),
    "context-after": ({"context": ("ticket",)}, "TCK-123456 (ticket)", 0.65),
    "context-plural": ({"context": ("ticket",)}, "tickets TCK-123456", 0.65),
    "context-no-part-of-a-word": ({"context": ("tick",)}, "ticket TCK-123456", 0.0),
    "context-phrase": ({"context": ("support case",)}, "support_case=TCK-123456", 0.65),
    "context-key": ({"context": ("ticket",)}, '{"ticketRef": "TCK-123456"}', 0.65),
    "context-accents": ({"context": ("número",)}, "NÚMERO TCK-123456", 0.65),
    "checksum-holds": ({"checksum": "luhn"}, "see TCK-123455", 0.65),
    "checksum-fails": ({"checksum": "luhn"}, "see TCK-123456", 0.0),
    "checksum-fails-context-holds": (
        {"checksum": "luhn", "context": ("ticket",), "score": 0.6},
        "ticket TCK-123456",
        0.6,
    ),
    "both": ({"checksum": "luhn", "context": ("ticket",)}, "ticket TCK-123455", 0.98),
    "case": ({"pattern": r"(?i)\btck-[0-9]{6}\b"}, "see Tck-123456", 0.6),
    "bytes": ({}, "Grüße 😀 TCK-123456", 0.6),
}


@pytest.mark.parametrize(("written", "text", "expected"), EVIDENCE.values(), ids=EVIDENCE.keys())
def test_evidence_adds_up(written: dict[str, Any], text: str, expected: float) -> None:
    """Form, checksum and context each count, and only from the threshold on something is found."""
    assert score(text, **written) == pytest.approx(expected)


def test_words_of_another_leaf_are_no_context() -> None:
    """What stands beside a value, in another field, says nothing of it."""
    value = {"a": "ticket", "b": "TCK-123456"}
    assert masker(context=("ticket",)).mask(value, IDS).value is value


def test_offsets_count_characters_behind_characters_of_several_bytes() -> None:
    """RE2 counts bytes; findings count characters, for each of several matches."""
    text = "ä TCK-111111 😀😀 TCK-222222 ß TCK-333333"
    found = [text[finding.start : finding.end] for finding in masker().find(text)]
    assert found == ["TCK-111111", "TCK-222222", "TCK-333333"]


def test_the_first_group_is_the_value() -> None:
    """RE2 has no look-behind: what stands in a group is masked, and what stands around it stays."""
    assert masker(pattern=r"badge ([0-9]{5})").mask("badge 12345 lost", IDS).value.startswith("badge [TICKET_")


REFUSED = {
    "look-ahead": ({"pattern": r"a(?=b)"}, "pattern", "RE2 refuses this pattern"),
    "back-reference": ({"pattern": r"(a)\1"}, "pattern", "RE2 refuses this pattern"),
    "bracket": ({"pattern": r"(a"}, "pattern", r"missing \): \(a"),
    "huge": ({"pattern": r"((a{100}){100}){100}"}, "pattern", "RE2 refuses this pattern"),
    "empty": ({"pattern": r"a*"}, "pattern", "matches the empty text"),
    "checksum": ({"checksum": "crc32"}, "checksum", "there is no checksum 'crc32'"),
}


@pytest.mark.parametrize(("written", "key", "what"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cant_be_built_says_why(written: dict[str, Any], key: str, what: str) -> None:
    """A pattern that RE2 refuses, or that matches nothing, is an error before any text is searched."""
    with pytest.raises(BadPattern, match=what) as bad:
        masker(**written)
    assert bad.value.key == key
    assert bad.value.instead


def test_patterns_that_are_too_large_together_cant_be_built() -> None:
    """Each of them can be, and all at once would be searched for nothing."""
    several = [Recogniser(name=f"t{n}", entity_type="T", pattern=rf"{n}[a-z]{{1,200}}x") for n in range(100)]
    with pytest.raises(BadPattern, match="all patterns together are too large"):
        Recognisers(several, memory=100_000)


def test_a_deny_list_that_is_too_long_cant_be_built() -> None:
    """What can't be searched for is an error, and not a list of which nothing is found."""
    with pytest.raises(ValueError, match="too long to be searched"):
        DenyList({"PROJECT": [f"{n * n:x} falcon" for n in range(5_000, 6_000)]}, memory=100_000)


def test_a_search_that_fails_blocks_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where RE2 gives no answer, nothing passes unmasked."""
    many = Recognisers([Recogniser(name="t", entity_type="T", pattern="abc")])

    class Silent:
        def Match(self, _: bytes) -> None:  # noqa: N802 - RE2's name
            return None

    monkeypatch.setattr(many, "_set", Silent())
    with pytest.raises(GuardUnavailable, match="masking"):
        Masker([many]).find("anything")


def test_t28_patterns_that_hang_others_take_linear_time() -> None:
    """The classic bombs of backtracking engines, as custom patterns, over a text made for them."""
    bombs = [r"(a|aa)+\$", r"(a+)+\$", r"(.*a){20}\$", r"(x+x+)+y", r"([a-zA-Z]+)*\$"]
    several = Recognisers([Recogniser(name=f"b{n}", entity_type="T", pattern=bomb) for n, bomb in enumerate(bombs)])
    started = time.process_time()
    Masker([several]).find("a" * 100_000 + "x" * 100_000)
    assert time.process_time() - started < 5


ALLOWED = {
    "exact": ({"EMAIL_ADDRESS": ["help@acme.example"]}, "help@acme.example", True),
    "case": ({"EMAIL_ADDRESS": ["help@acme.example"]}, "Help@ACME.example", True),
    "other": ({"EMAIL_ADDRESS": ["help@acme.example"]}, "ann@acme.example", False),
    "glob": ({"EMAIL_ADDRESS": ["*@acme.example"]}, "ann@acme.example", True),
    "glob-is-whole": ({"EMAIL_ADDRESS": ["*@acme.example"]}, "ann@acme.example.evil.example", False),
    "other-type": ({"PERSON": ["help@acme.example"]}, "help@acme.example", False),
    "any-type": ({"*": ["help@acme.example"]}, "help@acme.example", True),
    "spelling": ({"PHONE_NUMBER": ["+1 202 555 0147"]}, "+1-202-555-0147", True),
    "dot-is-no-wildcard": ({"EMAIL_ADDRESS": ["help@acme.example"]}, "help@acmeXexample.example", False),
}


@pytest.mark.parametrize(("allowed", "value", "stays"), ALLOWED.values(), ids=ALLOWED.keys())
def test_the_allow_list_leaves_values_in_clear(allowed: dict[str, list[str]], value: str, stays: bool) -> None:
    """In prose and under a field that names it, and it is counted as no finding."""
    its = Masker(allowed=AllowList(allowed))
    told = {"contact_email" if "@" in value else "phone": value, "note": f"write to {value} now"}
    masked = its.mask(told, IDS)
    assert (masked.value == told) is stays
    assert bool(masked.entities) is not stays


DENIED = {
    "plain": ("about Blue Falcon today", "Blue Falcon"),
    "case": ("BLUE FALCON", "BLUE FALCON"),
    "spaces": ("blue\n  falcon", "blue\n  falcon"),
    "longest": ("Blue Falcon Two", "Blue Falcon Two"),
    "unicode": ("das Große Los", "Große Los"),
    "marks": ("(C++ team)", "C++ team"),
}


@pytest.mark.parametrize(("text", "value"), DENIED.values(), ids=DENIED.keys())
def test_the_deny_list_finds_its_values(text: str, value: str) -> None:
    """Whole words in any case, whatever spaces stand between."""
    denied = DenyList({"PROJECT": ["Blue Falcon", "Blue Falcon Two", "Große Los", "C++ team"]})
    [finding] = Masker([denied]).find(text)
    assert (finding.entity_type, text[finding.start : finding.end], finding.score) == ("PROJECT", value, 1.0)


@pytest.mark.parametrize("text", ["Blue Falcons", "skyBlue Falcon", "blue-falcon-9x", "Blue, Falcon"])
def test_the_deny_list_finds_no_parts_of_words(text: str) -> None:
    """What only holds a value of the list is not it."""
    assert Masker([DenyList({"PROJECT": ["Blue Falcon"]})]).find(text) == []


def test_thresholds_are_per_type() -> None:
    """A higher one drops what is likely only, a lower one takes what is doubtful; certain findings always count."""
    text = "reach 202-555-0147 or 202.555.0148 x, card 4111 1111 1111 1112"
    types = [
        {finding.entity_type for finding in Masker(thresholds=thresholds).find(text)}
        for thresholds in ({}, {"PHONE_NUMBER": 0.9, "*": 0.5}, {"*": 0.6}, {"CREDIT_CARD": 0.61})
    ]
    assert types == [
        {"PHONE_NUMBER", "CREDIT_CARD"},
        {"CREDIT_CARD", "PHONE_NUMBER"},
        {"PHONE_NUMBER", "CREDIT_CARD"},
        {"PHONE_NUMBER"},
    ]
