"""What parts of a text mean that are written with escapes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote_plus

from agentguard.masking.embedded.inner import Spelling


def is_escaped(text: str, start: int, end: int, spelling: Spelling) -> bool:
    """Whether a part of a text, written so, holds an escape."""
    if spelling is _JSON:
        return text.find("\\", start, end) != -1
    one, other = ("%", "+") if spelling is _QUERY else ("''", "\\")
    return text.find(one, start, end) != -1 or text.find(other, start, end) != -1


def escapes(text: str, spelling: Spelling) -> Iterator[tuple[int, int, str]]:
    """The escapes in a text that is written so, in order: where each begins and ends, and what it means."""
    if spelling is _JSON:
        return _json_escapes(text)
    return _query_escapes(text) if spelling is _QUERY else _sql_escapes(text)


def plain(written: str) -> str:
    """What a part of a query means."""
    return unquote_plus(written) if "%" in written or "+" in written else written


def _query_escapes(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _QUERY_ESCAPE.finditer(text):
        written = match.group()
        yield match.start(), match.end(), " " if written == "+" else unquote_plus(written)


def _sql_escapes(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _SQL_ESCAPE.finditer(text):
        yield match.start(), match.end(), match.group()[-1]


def _json_escapes(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _ESCAPE.finditer(text):
        yield match.start(), match.end(), _unescaped(match.group())


def _unescaped(written: str) -> str:
    if written[1] == "x" and len(written) == 4:
        return chr(int(written[2:], 16))
    if written[1] == "u" and len(written) > 2:
        return bytes.fromhex(written.replace("\\u", "")).decode("utf-16-be", "replace")
    return _SHORT_ESCAPES.get(written[1], written[1])


_ESCAPE = re.compile(r"(?:\\u[0-9A-Fa-f]{4})+|\\x[0-9A-Fa-f]{2}|\\.", re.DOTALL)
_QUERY_ESCAPE = re.compile(r"\+|(?:%[0-9A-Fa-f]{2})+")
_SQL_ESCAPE = re.compile(r"''|\\.", re.DOTALL)
_JSON, _QUERY = Spelling.JSON, Spelling.QUERY
_SHORT_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
