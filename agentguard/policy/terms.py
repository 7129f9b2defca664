"""What a policy says of a tool besides its verdict."""

from __future__ import annotations

from agentguard.model.record import Record
from agentguard.policy.document import GrantsEntry, RevealEntry, ToolEntry

UNTRUSTED = "untrusted"
"""The label of results that may hold anything."""


class Reveal(Record):
    """Which entity types a parameter gets back in place of tokens."""

    parameter: str
    entity_types: tuple[str, ...]
    inside_text: bool = False


class ToolTerms(Record):
    """The pattern that won for a tool ("" where none matched), and that pattern's knobs.

    `undo`: how a call can be undone; None where it can't, empty where nobody said.
    """

    pattern: str
    labels: tuple[str, ...] = (UNTRUSTED,)
    params: dict[str, tuple[str, ...]] = {}
    reveal: tuple[Reveal, ...] = ()
    title: str | None = None
    undo: str | None = ""
    grants: GrantsEntry | None = None


def terms_of(pattern: str, entry: ToolEntry) -> ToolTerms:
    """The terms that an entry of `tools` gives."""
    return ToolTerms(
        pattern=pattern,
        labels=(UNTRUSTED,) if entry.labels is None else tuple(sorted(set(entry.labels))),
        params=dict(entry.params),
        reveal=tuple(_reveal(parameter, written) for parameter, written in sorted(entry.reveal.items())),
        title=entry.title,
        undo=None if entry.undo is False else entry.undo or "",
        grants=entry.grants,
    )


def _reveal(parameter: str, written: RevealEntry | tuple[str, ...]) -> Reveal:
    if isinstance(written, RevealEntry):
        return Reveal(parameter=parameter, entity_types=written.types, inside_text=written.inside_text)
    return Reveal(parameter=parameter, entity_types=written)
