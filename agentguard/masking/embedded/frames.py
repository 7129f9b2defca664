"""Objects and lists that stand in a text, and what the keys in them say of each value.

Rules:
- an object's keys say what its values are;
- `{"key": "phone", "value": ...}`: the label beside it says what a value is;
- `{"columns": [...], "rows": [[...], ...]}`: the names of the columns say it for each row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from agentguard.masking.embedded.inner import Inner, Spelling
from agentguard.masking.fields import Fields
from agentguard.masking.keys import Said, Scope
from agentguard.masking.phrases import ROWS, label_of, table_of


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
                inherited = rows if rows and name.lower() in ROWS else columns if frame.is_list else ()
                pending.append((entry, its, inherited))
            else:
                (start, end, bare), (key, scope) = entry, its
                yield Inner(start, end, key, scope, bare, spelling)


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
    return fields.labelled(within[1], said, at, text[label.start : label.end])


def _columns(frame: Frame, text: str, fields: Fields, scope: Scope) -> tuple[Said, ...]:
    """What the names of the columns say, where an object holds columns and rows."""
    if sum(type(entry) is Frame for _, entry in frame.entries) < 2:
        return ()
    at = table_of(tuple([name for name, entry in frame.entries if isinstance(entry, Frame)]))
    lists = [entry for _, entry in frame.entries if isinstance(entry, Frame)]
    if at is None:
        return ()
    listed = lists[at[0]]
    names = [_column_name(entry, text) for _, entry in listed.entries]
    return fields.keys(scope, tuple(names)) if all(names) else ()


def _column_name(entry: Span | Frame, text: str) -> str:
    if isinstance(entry, Span):
        return text[entry.start : entry.end][:_LONGEST_LABEL]
    named = next((one for name, one in entry.entries if name.lower() in ("name", "field", "label")), None)
    return text[named.start : named.end][:_LONGEST_LABEL] if isinstance(named, Span) else ""


_LONGEST_LABEL = 60
