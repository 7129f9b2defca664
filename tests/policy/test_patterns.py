"""Patterns over tool names."""

from __future__ import annotations

import time
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard.policy.patterns import check_pattern, literals, matches, overlap
from tests.policy.reference import meet

globs = st.text("ab*?", min_size=1, max_size=8)
names = st.text("ab", min_size=1, max_size=8)


@given(globs, names)
def test_matching_is_that_of_globs(pattern: str, name: str) -> None:
    """`*` is any text, `?` one character, and the whole name must match."""
    assert matches(pattern, name) == fnmatchcase(name, pattern)


@given(globs, globs, names)
def test_patterns_that_match_one_name_overlap(one: str, other: str, name: str) -> None:
    """No overlap is missed."""
    assert overlap(one, other) or not (matches(one, name) and matches(other, name))


@given(globs, globs)
def test_overlap_is_what_reading_both_in_every_way_finds(one: str, other: str) -> None:
    """No more and no less, and in either order."""
    assert overlap(one, other) == overlap(other, one) == meet(one, other)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a*", "*a", True),
        ("a*", "b*", False),
        ("a?", "ab", True),
        ("a?", "abc", False),
        ("*", "x", True),
        ("a", "A", False),
    ],
)
def test_overlap_is_exact(one: str, other: str, expected: bool) -> None:
    """Patterns without a common name do not overlap."""
    assert overlap(one, other) is expected


def test_t28_a_hostile_pattern_and_name_take_no_time() -> None:
    """Many stars against a name that nearly matches: linear, not exponential."""
    started = time.process_time()

    assert not matches("*a" * 31 + "*b", "a" * 64)
    assert not overlap("*a" * 31 + "*b", "a" * 64)
    assert not overlap("*?" * 31 + "*b", "?" * 63 + "a")
    assert overlap("*a" * 31 + "*", "?" * 64)

    assert time.process_time() - started < 0.1


@pytest.mark.parametrize("pattern", ["a", "send_*", "*", "?x-9_*", "a" * 64])
def test_a_pattern_that_can_match_is_fine(pattern: str) -> None:
    """Letters, digits, '_', '-', '*' and '?', up to 64."""
    assert check_pattern(pattern) is None


@pytest.mark.parametrize("pattern", ["", "a b", "a.b", "a/*", "[ab]", "é", "a\n", "a**", "a" * 65])
def test_a_pattern_that_can_never_match_is_told(pattern: str) -> None:
    """Anything else matches no tool's name."""
    assert check_pattern(pattern) is not None


def test_literals_are_what_stands_for_itself() -> None:
    """Stars and question marks don't count."""
    assert [literals(each) for each in ("*", "a?c*", "abc")] == [0, 2, 3]
