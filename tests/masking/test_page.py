"""What a page tells detectors of its text."""

from __future__ import annotations

import re

import pytest

from agentguard.masking.page import Page, these

LETTERS = these("abcdefgh")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("abc abcd", ["abcd"]),
        ("abcdefgh", ["abcdefgh"]),
        ("abc1abcd1abcde", ["abcd", "abcde"]),
        ("é€😀 abcd é abcdé", ["abcd", "abcd"]),
        ("\ud800abcd", ["abcd"]),
        ("a b c d", []),
        ("", []),
    ],
)
def test_runs_are_found_whole_and_in_characters(text: str, found: list[str]) -> None:
    """Each run is told from its first character to its last, whatever stands around it."""
    assert [text[start:end] for start, end in Page(text).runs(LETTERS, 4)] == found


def test_runs_are_those_of_a_pattern() -> None:
    """The quick way finds what a pattern of the same characters finds."""
    text = "ab-abcd é abcdefgh,hgfe😀dcba a" * 50

    found = list(Page(text).runs(LETTERS, 4))

    assert found == [match.span() for match in re.finditer("[a-h]{4,}", text)]
    assert len(found) == 200


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("card 4111 1111 1111 1111.", [("4111 1111 1111 1111", 16)]),
        ("call (202) 555-0147, or 12", [("202) 555-0147", 10)]),
        ("room 12 345 and 1234 567)", [("12 345", 5), ("1234 567)", 7)]),
        ("on 2026-03-12, then", []),
        ("on 2026-03-12 10:30", [("2026-03-12 10", 10)]),
        ("on 2026-13-12, then", [("2026-13-12", 8)]),
        ("é 123456 €654321", [("123456", 6), ("654321", 6)]),
        ("\u0661\u0662\u0663456789", [("456789", 6)]),
        ("1 2 3 \x1f456", []),
        ("12345", []),
        ("1" * 50, [("1" * 45, 45)]),
    ],
)
def test_runs_of_digits_end_in_a_digit_or_bracket_and_are_no_bare_date(text: str, runs: list[tuple[str, int]]) -> None:
    """Digits with what people write between them, and how many digits there are; at least six characters, at most 45."""
    assert [(text[start:end], digits) for start, end, digits in Page(text).digit_runs] == runs
