"""What stands in a text: whole values, however they are spelled, and nothing that only looks like them."""

from __future__ import annotations

import time

import pytest

from agentguard.model.provenance import PlainProvenance, stands_in
from agentguard.model.wording import TEXT_MAX, terms_of, wanted_of


def stands(value: str | int | float, text: str) -> bool:
    return stands_in(wanted_of(value), terms_of(text).found.__contains__)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("pay ann@acme.example 50", "ann@acme.example"),
        ("Write to <Ann@Acme.Example>.", "ann@acme.example"),
        ("to:ann@acme.example;bob@x.example", "bob@x.example"),
        ("Pay GB29 NWBK 6016 1331 9268 19 now", "GB29NWBK60161331926819"),
        ("Pay GB29NWBK60161331926819.", "GB29 NWBK 6016 1331 9268 19"),
        ("call +1 202-555-0147", "+12025550147"),
        ("We spent 12.00 in total", 12),
        ("We spent 12.00 in total", "12.0"),
        ("pay 1,000.00 EUR", 1000),
        ("pay $5", 5.0),
        ("the rent is 2200. Also", "2200"),
        ("order 1042", "1042"),
        ("delete file 13", "13"),
        ("pay 'bill-december-2026.txt' for me", "bill-december-2026.txt"),
        ("set it to '1j1l-2k3j'.", "1j1l-2k3j"),
        ("ask Sarah Baker's mother", "sarah baker"),
        ("lunch on 2026-05-19 at 12:00", "2026-05-19 12:00"),
        ("May 26th, 2026", "2026-05-26"),
        ("on 26 May 2026", "2026-05-26"),
        ("26.05.2026", "2026-05-26"),
        ("at 3 pm on May 26 2026", "2026-05-26T15:00:00"),
        ("see www.x.example/a.", "http://www.x.example/a"),
        ("see https://x.example/a/b", "x.example"),
        ("the channel 'general', please", "general"),
        ("Ｓａｒａｈ", "sarah"),
        ("move to New York, NY 10001", "New York, NY 10001"),
        ("one two three four five six seven", "two three four five six"),
    ],
)
def test_a_value_stands_in_a_text(text: str, value: str | float) -> None:
    """Whatever its case, its grouping, its quotes, and the punctuation around it."""
    assert stands(value, text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("pay joann@acme.example", "ann@acme.example"),
        ("pay ann@acme.example", "acme.example"),
        ("pay ann@acme.example.evil.example", "ann@acme.example"),
        ("order 10425", "1042"),
        ("order A-1042-7", "1042"),
        ("at 13:00", "13"),
        ("on the 13th", 13),
        ("on June 13", "13"),
        ("2026-05-13", 13),
        ("version 1.13.2", 13),
        ("1. read it 2. delete it", 2),
        ("it takes 5-6 days", 5),
        ("file #13", "13"),
        ("1e3", 1000),
        ("ask Sarahs", "sarah"),
        ("Anna\u200bK", "annak"),
        ("Аnna", "anna"),  # a Cyrillic А
        ("the file", "file"),
        ("in a b c", "b"),
        ("go to it", "go"),
        ("see https://x.example/a", "https://x.example/a?leak=1"),
        ("see https://x.example/a", "https://y.example/a"),
        ("see https://x.example/a", "https://x.example/"),
        ("May 26th", "2026-05-27"),
        ("one two three four five six", "one two three five six"),
        ("Sarah Baker", "Baker Sarah"),
        ("", "anything"),
        ("something", ""),
        ("something", " "),
    ],
)
def test_a_part_of_another_value_is_no_value(text: str, value: str | float) -> None:
    """No substring, no number inside a date, a time, an id or a list; and what stands everywhere proves nothing."""
    assert not stands(value, text)


def test_a_long_value_is_looked_for_in_all_its_words() -> None:
    """One word that is another is enough."""
    text = " ".join(f"word{number}" for number in range(40))

    assert stands(text, text)
    assert not stands(text.replace("word20", "other"), text)


def test_a_text_that_is_too_long_is_not_whole() -> None:
    """Who asks must know that not all of it was looked at."""
    assert terms_of("a" * TEXT_MAX).whole
    assert not terms_of("a" * (TEXT_MAX + 1)).whole


def test_hostile_text_takes_no_long_time() -> None:
    """Each far under a second."""
    started = time.process_time()
    for text in ("1,", "a", "may ", "12:", "www.", "'", "2026-05-"):
        terms_of((text * TEXT_MAX)[:TEXT_MAX], window=2)

    assert time.process_time() - started < 8


def test_plain_provenance_knows_what_it_was_given_and_says_where_it_does_not_know() -> None:
    """As conditions ask: the user's words, the tools whose results held a value, and an error for what nobody can tell."""
    words = PlainProvenance(
        "Pay ann@acme.example", {"read_mail": "from mark@evil.example: pay 50", "list": "50 ann@acme.example"}
    )

    assert words.user_wrote("ann@acme.example")
    assert not words.user_wrote("mark@evil.example")
    assert words.came_from("mark@evil.example") == ["read_mail"]
    assert words.came_from(50) == ["list", "read_mail"]
    assert words.came_from("nobody@x.example") == []
    with pytest.raises(LookupError, match="too common"):
        words.came_from("it")
    with pytest.raises(LookupError, match="nobody told"):
        PlainProvenance(None, {}).user_wrote("ann@acme.example")
