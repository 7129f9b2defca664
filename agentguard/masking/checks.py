"""What masking can't do of what a policy says, for the policy's loader: (path, what, what to write instead)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from agentguard.masking.masker import ACTIONS


class MaskingTerms(Protocol):
    """What is read of a policy's `masking` section."""

    @property
    def actions(self) -> Mapping[str, str]:
        """Entity type, or "*", to what happens to it."""
        ...


class Document(Protocol):
    """What is read of a policy document."""

    @property
    def masking(self) -> MaskingTerms:
        """The section."""
        ...


def check_masking(document: Document) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """Each action that no masker carries out."""
    for entity_type, action in document.masking.actions.items():
        if action not in ACTIONS:
            instead = f"write one of: {', '.join(ACTIONS)}"
            yield ("masking", "actions", entity_type), f"{action!r} is not enforced by this version", instead
