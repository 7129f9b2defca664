"""What a command runs besides itself: another command, text with commands in it, or nobody can tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from agentguard.policy.shell_words import Word


class Script(NamedTuple):
    """Text that is run as shell commands."""

    text: str


class Unparsed(NamedTuple):
    """Something runs here, and its words don't tell what."""


Inner = list[Word] | Script | Unparsed

UNPARSED = Unparsed()


def put_together(words: Sequence[Word]) -> Inner:
    """Words that are put together and run as text."""
    return UNPARSED if any(word.open for word in words) else Script(" ".join(word.text for word in words))
