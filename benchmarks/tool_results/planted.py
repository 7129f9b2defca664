"""Values whose place in a text is known: they are written with marks around them, and the marks taken out again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

_MARK = re.compile(r'(?:\\*")?Zq(\d+)N(.*?)qZ(?:\\*")?|Zq(\d+)Q(.*?)qZ', re.DOTALL)


class Planted(NamedTuple):
    """A personal value, under Presidio's name of its type. `number`: JSON writes it without quotes."""

    entity_type: str
    text: str
    number: bool = False


class Document(NamedTuple):
    """A text of a certain shape, and the spans (start, end, entity type) of what is personal in it."""

    shape: str
    source: str
    text: str
    spans: list[tuple[int, int, str]]


@dataclass
class Ink:
    """Marks planted values, so that any writer of text carries them along."""

    types: list[str] = field(default_factory=list)

    def mark(self, value: Any) -> Any:
        """The value with a marked text for each planted one."""
        if isinstance(value, Planted):
            self.types.append(value.entity_type)
            return f"Zq{len(self.types) - 1}{'N' if value.number else 'Q'}{value.text}qZ"
        if isinstance(value, Mapping):
            return {key: self.mark(inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.mark(inner) for inner in value]
        return value

    def document(self, shape: str, source: str, marked: str) -> Document:
        """The text without marks, and where they stood."""
        pieces: list[str] = []
        spans = []
        length = done = 0
        for match in _MARK.finditer(marked):
            number, plain, index, text = match.groups()
            before = marked[done : match.start()]
            value = plain if number is not None else text
            start = length + len(before)
            spans.append((start, start + len(value), self.types[int(number or index)]))
            pieces += (before, value)
            length, done = start + len(value), match.end()
        return Document(shape, source, "".join([*pieces, marked[done:]]), spans)


def plain(marked: str) -> str:
    """A marked text as it will stand there."""
    return _MARK.sub(lambda match: match.group(2) or match.group(4) or "", marked)
