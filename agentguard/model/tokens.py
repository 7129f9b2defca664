"""What stands for personal data towards the model."""

from __future__ import annotations

from typing import NamedTuple


class Token(NamedTuple):
    """A token: `text` is what the model sees, `value` what it stands for, as it was written first.

    `canonical` is the one text for all spellings of the value, where there are several: two tokens with the same text stand for the
    same thing if these are equal.
    """

    text: str
    entity_type: str
    value: str
    canonical: str = ""

    @property
    def identity(self) -> tuple[str, str]:
        """What the token stands for, however it is spelled."""
        return self.entity_type, self.canonical or self.value


class Known(NamedTuple):
    """A token of a session, the tools whose results it came from, and the labels of those results (both sorted)."""

    token: Token
    origins: tuple[str, ...]
    labels: tuple[str, ...] = ()
