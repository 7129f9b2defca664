"""Patterns of many words find what the plain ones find."""

from __future__ import annotations

import re
from itertools import product

from agentguard.masking.choices import ending, one_of

WORDS = "id|ids|order|of a|number of|tele?(?:ph|f)\\w*|text(?:ed)? (?:me|us)|o"
PLAIN = "id|ids|order|number of"
PIECES = ("id", "ids", "order", "number of", "no", "code", " ", "_", ": ", "x", "telefon", "texted us", "o", "", "(?")


TEXTS = {"".join(three) for three in product(PIECES, repeat=3)}


def test_words_of_one_letter_stand_together_and_find_the_same() -> None:
    """Whatever order the words are tried in, a text holds one of them or it does not."""
    plain, together = re.compile(rf"\b(?:{WORDS})\b"), re.compile(rf"\b{one_of(WORDS)}\b")

    found = set(filter(together.search, TEXTS))

    assert found == set(filter(plain.search, TEXTS))
    assert TEXTS > found > set()


def test_the_end_of_a_text_is_read_from_behind() -> None:
    """One attempt at the turned text finds what a search finds before the end of it."""
    plain, turned = (
        re.compile(rf"\b(?:{PLAIN})(?: (?:no|code))?[\W_]*\Z"),
        ending(PLAIN, further="no|code", marks=r"\W_"),
    )

    found = {text for text in TEXTS if turned.match(text[::-1])}

    assert found == set(filter(plain.search, TEXTS))
    assert TEXTS > found > set()


def test_a_group_keeps_what_stands_in_brackets() -> None:
    """A choice inside a word is no word of its own."""
    assert one_of("ab(?:c|d)|ae|f") == "(?:a(?:b(?:c|d)|e)|f)"
