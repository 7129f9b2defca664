"""Letters: sealed by whoever knows the box, opened by its owner alone."""

from __future__ import annotations

import base64
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentguard.errors import ConfigurationError
from agentguard.store.letters import LetterBox, write_letter
from agentguard.store.seal import SealBroken

BOX = LetterBox([b"k" * 32])


@given(st.binary(max_size=1000), st.text(max_size=50))
@settings(max_examples=50, deadline=None)
def test_a_letter_says_what_was_written(plain: bytes, context: str) -> None:
    """For the same context."""
    assert BOX.open(write_letter(BOX.public, plain, context), context) == plain


def test_nobody_reads_a_letter_by_looking_at_it() -> None:
    """Neither it nor two alike tell anything."""
    one, other = (write_letter(BOX.public, b"secret secret secret", "c") for _ in range(2))
    assert one != other
    assert b"secret" not in base64.b64decode(one)


def test_a_letter_to_another_box_or_context_does_not_open() -> None:
    """It is for one reader and one place."""
    letter = write_letter(BOX.public, b"hello", "c")
    with pytest.raises(SealBroken):
        BOX.open(letter, "d")
    with pytest.raises(SealBroken):
        LetterBox([os.urandom(32)]).open(letter, "c")


def test_an_older_key_still_opens() -> None:
    """A key takes another's place while letters are under way."""
    letter = write_letter(BOX.public, b"hello", "c")
    assert LetterBox([b"n" * 32, b"k" * 32]).open(letter, "c") == b"hello"


@pytest.mark.parametrize("index", [0, 31, 32, 33, 45, -1])
def test_a_changed_letter_does_not_open(index: int) -> None:
    """Whichever byte."""
    raw = bytearray(base64.b64decode(write_letter(BOX.public, b"hello", "c")))
    raw[index] ^= 1
    with pytest.raises(SealBroken):
        BOX.open(base64.b64encode(bytes(raw)).decode(), "c")


@pytest.mark.parametrize(
    "letter", ["", "!", "AAAA", base64.b64encode(bytes(64)).decode(), base64.b64encode(bytes(90)).decode()]
)
def test_what_is_no_letter_does_not_open(letter: str) -> None:
    """Nor does one whose key is a weak point."""
    with pytest.raises(SealBroken):
        BOX.open(letter, "c")


@pytest.mark.parametrize("box", ["", "x25519:", "x25519:AAAA", "ed25519:" + BOX.public[7:], BOX.public + "A"])
def test_to_what_is_no_box_nothing_is_written(box: str) -> None:
    """The error says so."""
    with pytest.raises(ConfigurationError, match="box"):
        write_letter(box, b"hello", "c")
