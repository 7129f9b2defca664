"""Objects that several tests of masking use. All people are made up."""

from __future__ import annotations

from typing import Any

from agentguard.masking import Masker, TokenIds

MASKER = Masker()
IDS = TokenIds([b"test key that is long enough, 32"], "acme", "session-1")


def found(text: str) -> list[tuple[str, str]]:
    """(entity type, text) of what the default detectors find."""
    return [(finding.entity_type, text[finding.start : finding.end]) for finding in MASKER.find(text)]


def masked(value: Any) -> Any:
    """The value with tokens in place."""
    return MASKER.mask(value, IDS).value


def token(entity_type: str, value: str) -> str:
    """The text of a token in the tests' session."""
    return IDS.token(entity_type, value).text
