"""Tables in a text: CSV, markdown, and what psql and mysql print. The header says what the cells of its columns are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from agentguard.masking.embedded.inner import Inner, Region, is_header, lines_of
from agentguard.masking.fields import Fields
from agentguard.masking.keys import Said, Scope

Line = tuple[int, str]

_RULER = re.compile(r"[|+]?[ :\-|+=]{2,}[|+]?\Z")
_RECORD = re.compile(r"-\[ RECORD [0-9]+ \]")
_IDENTIFIER = re.compile(r"[A-Za-z_][\w.\-]*\Z")
_MARKS = "|\t;,"
_STOPS = {mark: re.compile(f'["{mark}]') for mark in _MARKS}
_MOST_LINES_IN_A_CELL = 20
_LONGEST_CELL = 8_192


def table_regions(text: str, fields: Fields, said: Said) -> Iterator[Region]:
    """Every table in a text, in order."""
    lines = list(lines_of(text))
    at = 0
    while at < len(lines):
        mark = _mark(lines, at)
        found = None
        if mark is not None:
            found = _table(text, lines, at, mark, fields, said[1])
        elif lines[at][1].startswith("-[") and _RECORD.match(lines[at][1]):
            found = _record(lines, at, fields, said[1])
        if found is None:
            at += 1
        else:
            at, region = found
            yield region


def _mark(lines: Sequence[Line], at: int) -> str | None:
    """What stands between the cells of the header in this line; None where it is none."""
    line = lines[at][1]
    for mark in _MARKS:
        if mark in line:
            return mark if not _RULER.match(line.strip()) and mark in _row_after(lines, at, mark) else None
    return None


def _row_after(lines: Sequence[Line], at: int, mark: str) -> str:
    """The line after this one, or the next one where that is a ruler."""
    for _, line in lines[at + 1 : at + 3]:
        if not _is_ruler(line, mark):
            return line
    return ""


def may_become_header(line: str) -> bool:
    """Whether a line that goes on may become the header of a table."""
    return not line.strip() or any(
        all(is_header(line[start:end]) for start, end in _cells(0, line, mark) if start < end) for mark in _MARKS
    )


def is_header_line(line: str) -> bool:
    """Whether a line that has ended may be the header of a table."""
    return any(mark in line for mark in _MARKS) and not _RULER.match(line.strip()) and may_become_header(line)


def _begins(lines: Sequence[Line], at: int) -> bool:
    """Whether a line begins something: in the middle of a paragraph a comma mostly stands between words."""
    return at == 0 or lines[at - 1][1].strip()[-1:] in ("", ":")


def _is_ruler(line: str, mark: str) -> bool:
    return mark == "|" and _RULER.match(line.strip()) is not None


def _table(
    text: str, lines: Sequence[Line], at: int, mark: str, fields: Fields, scope: Scope
) -> tuple[int, Region] | None:
    names = tuple(text[start:end] for start, end in _cells(*lines[at], mark))
    if not all(is_header(name) for name in names if name) or sum(map(bool, names)) < 2:
        return None
    if mark in ",;" and not _begins(lines, at) and not all(map(_IDENTIFIER.match, names)):
        return None
    said = fields.keys(scope, names)
    start, end = lines[at][0], -1
    parts: list[Inner] = []
    rows: tuple[int, int] | None = None
    following = at + 1
    while following < len(lines):
        first, line = lines[following]
        if not _is_ruler(line, mark):
            following, line = _whole_row(lines, following, mark)
            row = list(_cells(first, line, mark)) if mark in line else []
            if len(row) != len(names):
                break
            rows = (rows[0] if rows else first, first)
            parts += [Inner(left, right, *its) for (left, right), its in zip(row, said, strict=True) if left < right]
            end = first + len(line)
        following += 1
    if not parts or rows is None:
        return None
    if len(names) == 2 and (upright := _upright(text, lines, at, following, mark, fields, scope)):
        return following, Region(start, end, upright, following >= len(lines) - 1)
    ended = text.find("\n", end) + 1
    goes_on = following >= len(lines) - 1 or _opens_a_cell(text, ended, mark)
    return following, Region(start, end, parts, goes_on, rows=(rows[0], ended or rows[1]))


def _upright(
    text: str, lines: Sequence[Line], at: int, end: int, mark: str, fields: Fields, scope: Scope
) -> list[Inner]:
    """The values of a table of names and values, one pair in each row; empty where it is none."""
    rows = [list(_cells(*line, mark)) for line in lines[at:end] if not _is_ruler(line[1], mark)]
    pairs = [(text[slice(*row[0])], row[1]) for row in rows if len(row) == 2]
    said = fields.keys(scope, tuple(name for name, _ in pairs))
    telling = sum(key.entity is not None for key, _ in said)
    if telling < 2 or fields.keys(scope, (text[slice(*rows[0][1])],))[0][0].entity is not None:
        return []
    return [Inner(*span, *its) for (_, span), its in zip(pairs, said, strict=True) if span[0] < span[1]]


def _whole_row(lines: Sequence[Line], at: int, mark: str) -> tuple[int, str]:
    """A row with the lines that its quoted cells go on in, and the number of its last line."""
    line = lines[at][1]
    if mark != "|":
        for further in range(at + 1, min(len(lines), at + _MOST_LINES_IN_A_CELL)):
            if line.count('"') % 2 == 0:
                return further - 1, line
            line = (
                line
                + "\n" * (lines[further][0] - lines[further - 1][0] - len(lines[further - 1][1]))
                + lines[further][1]
            )
        if line.count('"') % 2:
            return at, lines[at][1]
    return at, line


def _opens_a_cell(text: str, start: int, mark: str) -> bool:
    """Whether a row begins here whose quoted cell has not ended yet."""
    rest = text[start : start + _LONGEST_CELL + 1]
    return (
        mark != "|"
        and len(rest) <= _LONGEST_CELL
        and rest.count("\n") < _MOST_LINES_IN_A_CELL
        and rest.count('"') % 2 == 1
    )


def _cells(start: int, line: str, mark: str) -> Iterator[tuple[int, int]]:
    """The spans of a row's cells, without their quotes and the spaces around them."""
    first, length = 0, len(line)
    if mark == "|" and line.lstrip().startswith("|"):
        first = line.index("|") + 1
        length = len(line.rstrip()) - 1 if line.rstrip().endswith("|") and len(line.strip()) > 1 else length
    if '"' not in line or mark == "|":
        while first <= length:
            end = line.find(mark, first, length)
            end = length if end == -1 else end
            yield _trimmed(start, line, first, end)
            first = end + 1
        return
    quoted = False
    for stop in _STOPS[mark].finditer(line, first, length):
        at = stop.start()
        if line[at] == '"':
            quoted = not quoted
        elif not quoted:
            yield _trimmed(start, line, first, at)
            first = at + 1
    if first <= length:
        yield _trimmed(start, line, first, length)


def _trimmed(start: int, line: str, left: int, right: int) -> tuple[int, int]:
    while left < right and line[left] in ' "':
        left += 1
    while right > left and line[right - 1] in ' "':
        right -= 1
    return start + left, start + right


def _ends_record(line: str, has_begun: bool) -> bool:
    """Whether a line is no part of the record that it follows."""
    return "|" not in line and (not has_begun or not line.strip() or _RECORD.match(line) is not None)


def _record(lines: Sequence[Line], at: int, fields: Fields, scope: Scope) -> tuple[int, Region]:
    """One record of psql's expanded output: a name and a value in each line, or in several where the value has line breaks."""
    pairs: list[tuple[str, tuple[int, int]]] = []
    last = at + 1
    while last < len(lines) and not _ends_record(lines[last][1], bool(pairs)):
        start, line = lines[last]
        name, mark, _ = line.partition("|")
        if mark:
            pairs.append((name.strip(), _trimmed(start, line, len(name) + 1, len(line))))
        else:
            pairs[-1] = pairs[-1][0], (pairs[-1][1][0], start + len(line))
        last += 1
    said = fields.keys(scope, tuple(name for name, _ in pairs))
    parts = [Inner(*span, *its) for (_, span), its in zip(pairs, said, strict=True) if span[0] < span[1]]
    end = lines[last - 1][0] + len(lines[last - 1][1])
    return last, Region(lines[at][0], end, parts, last == len(lines))
