"""What stands for personal data towards the model."""

from __future__ import annotations

from typing import NamedTuple


class Token(NamedTuple):
    """A token: `text` is what the model sees, `value` the canonical text that it stands for."""

    text: str
    entity_type: str
    value: str


class Known(NamedTuple):
    """A token of a session, and the tools whose results it came from (sorted)."""

    token: Token
    origins: tuple[str, ...]
