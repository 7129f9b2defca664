"""Rows of values in brackets whose columns are named before them: `INSERT INTO t (a, b) VALUES (1, 'x')`, and printed tuples."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agentguard.masking.embedded.inner import Inner, Region, Spelling
from agentguard.masking.fields import Fields
from agentguard.masking.keys import Said

# Begins with one class of letters, and only then looks back whether a word begins: `re` looks for the first of a class fast.
_HEADER = re.compile(
    r"""[IiRrCcFfHh](?<!\w.)(?i:(?:(?<=i)nsert|(?<=r)eplace)\s+(?:ignore\s+)?into\s+[^\s()]{1,128}\s*\(([^()]{1,4000})\)\s*values\s*(?=\()"""
    r"""|(?:(?<=c)olumns?|(?<=f)ields|(?<=h)eader)\s*[:=]\s*[\[(]?([^\[\]()\n]{3,4000})[\])]?[ \t]*\r?\n"""
    r"""(?:\s*(?:rows?|data|results?)\s*[:=])?\s*(?=\[?\())"""
)
_VALUE = re.compile(
    r"""\s*(?:('(?:[^'\\]|''|\\.)*'|"(?:[^"\\]|\\.)*")|([(),\[\];])|([^\s(),\[\];'"]+(?:\([^()]*\))?))""", re.DOTALL
)


def row_regions(text: str, fields: Fields, said: Said) -> Iterator[Region]:
    """Every list of rows under the names of its columns."""
    found = _HEADER.search(text)
    while found is not None:
        names = [name.strip(" \t\r\n`'\"[]") for name in (found.group(1) or found.group(2)).split(",")]
        columns = fields.keys(said[1], tuple(names))
        spelling = Spelling.SQL if found.group(1) else Spelling.JSON
        parts, end = _rows(text, found.end(), columns, spelling)
        if parts:
            yield Region(found.start(), end, parts, end >= len(text.rstrip()))
        found = _HEADER.search(text, max(end, found.end()))


def _rows(text: str, start: int, columns: tuple[Said, ...], spelling: Spelling) -> tuple[list[Inner], int]:
    parts: list[Inner] = []
    row: list[tuple[int, int, bool]] | None = None
    end = start
    while (match := _VALUE.match(text, end)) is not None:
        mark = match.group(2)
        if mark == ";" or (mark in ("(", "[") and row is not None):
            break
        if mark == "(":
            row = []
        elif mark in (")", "]"):
            if row is not None and len(row) == len(columns):
                parts += [Inner(*span[:2], *its, span[2], spelling) for span, its in zip(row, columns, strict=True)]
            row = None
        elif mark is None and row is not None:
            quoted = match.group(1) is not None
            left, right = match.span(1 if quoted else 3)
            row.append((left + quoted, right - quoted, not quoted))
        elif mark is None:
            break
        end = match.end()
    return parts, end
