"""Objects and lists that stand in a text, and what the keys in them say of each value.

Rules:
- an object's keys say what its values are;
- `{"key": "phone", "value": ...}`: the label beside it says what a value is;
- `{"columns": [...], "rows": [[...], ...]}`: the names of the columns say it for each row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from agentguard.masking import words as known
from agentguard.masking.embedded.inner import Inner, Spelling
from agentguard.masking.fields import NO_KEY, Fields, Said, Scope
from agentguard.masking.phrases import split


class Span(NamedTuple):
    """A value that holds no others."""

    start: int
    end: int
    bare: bool = False


class Frame:
    """An object or a list: keys (of a list: empty), and for each a span or a frame."""

    __slots__ = ("entries", "is_list", "name")

    def __init__(self, *, is_list: bool) -> None:
        self.is_list = is_list
        self.entries: list[tuple[str, Span | Frame]] = []
        self.name: str | None = None

    def enter(self, entry: Span | Frame) -> None:
        """Put a value under the name that was read last."""
        self.entries.append((self.name or "", entry))
        self.name = None


def resolved(root: Frame, text: str, fields: Fields, said: Said, spelling: Spelling = Spelling.JSON) -> Iterator[Inner]:
    """Every value in a frame, in no order, with what is said of it."""
    pending: list[tuple[Frame, Said, tuple[Said, ...]]] = [(root, said, ())]
    while pending:
        frame, within, columns = pending.pop()
        each = _said_in(frame, text, fields, within, columns)
        rows = () if frame.is_list else _columns(frame, text, fields, within[1])
        for (name, entry), its in zip(frame.entries, each, strict=True):
            if isinstance(entry, Frame):
                inherited = rows if rows and name.lower() in _ROWS else columns if frame.is_list else ()
                pending.append((entry, its, inherited))
            else:
                yield Inner(entry.start, entry.end, *its, entry.bare, spelling)


def _said_in(frame: Frame, text: str, fields: Fields, within: Said, columns: tuple[Said, ...]) -> Sequence[Said]:
    if frame.is_list:
        if (
            columns
            and len(columns) == len(frame.entries)
            and not any(isinstance(one, Frame) for _, one in frame.entries)
        ):
            return columns
        return (within,) * len(frame.entries)
    names = tuple([name for name, _ in frame.entries])
    said = fields.keys(within[1], names)
    at = label_of(names)
    if at is None:
        return said
    label = frame.entries[at[0]][1]
    if isinstance(label, Frame) or label.end - label.start > _LONGEST_LABEL:
        return said
    return labelled(fields, within[1], said, at, text[label.start : label.end])


def labelled(fields: Fields, scope: Scope, said: tuple[Said, ...], at: tuple[int, int], label: str) -> tuple[Said, ...]:
    """What an object's keys say, where the value at `at[1]` is what the label at `at[0]` calls it."""
    [its] = fields.keys(scope, (label,))
    if its[0].entity is None or said[at[1]][0].policy:
        return said
    changed = list(said)
    changed[at[1]] = its
    changed[at[0]] = (NO_KEY, said[at[0]][1])
    return tuple(changed)


@lru_cache(maxsize=4096)
def label_of(names: tuple[str, ...]) -> tuple[int, int] | None:
    """In an object with these keys: where the label stands, and the value that it is the label of."""
    if not 2 <= len(names) <= _MOST_BESIDE_A_LABEL:
        return None
    phrases = [split(name) for name in names]
    values = [at for at, phrase in enumerate(phrases) if phrase in known.LABELLED]
    labels = [at for at, phrase in enumerate(phrases) if phrase in known.LABELS and at not in values]
    return (labels[0], values[0]) if labels and len(values) == 1 else None


def _columns(frame: Frame, text: str, fields: Fields, scope: Scope) -> tuple[Said, ...]:
    """What the names of the columns say, where an object holds columns and rows."""
    if sum(type(entry) is Frame for _, entry in frame.entries) < 2:
        return ()
    entries = {name.lower(): entry for name, entry in reversed(frame.entries)}
    listed = next((entries[name] for name in _COLUMNS if isinstance(entries.get(name), Frame)), None)
    if not isinstance(listed, Frame) or not any(isinstance(entries.get(name), Frame) for name in _ROWS):
        return ()
    names = [_column_name(entry, text) for _, entry in listed.entries]
    return fields.keys(scope, tuple(names)) if all(names) else ()


def _column_name(entry: Span | Frame, text: str) -> str:
    if isinstance(entry, Span):
        return text[entry.start : entry.end][:_LONGEST_LABEL]
    named = next((one for name, one in entry.entries if name.lower() in ("name", "field", "label")), None)
    return text[named.start : named.end][:_LONGEST_LABEL] if isinstance(named, Span) else ""


_COLUMNS = ("columns", "headers", "header", "fields", "column_names", "columnnames", "cols")
_ROWS = frozenset({"rows", "data", "values", "records", "results", "datarows"})
_LONGEST_LABEL = 60
_MOST_BESIDE_A_LABEL = 8
