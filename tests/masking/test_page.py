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
