"""JSON in a text, wherever it stands, and what Python prints of dicts and lists. What was cut off is read as far as it goes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from operator import itemgetter

from agentguard.masking.embedded.frames import Frame, Span, resolved
from agentguard.masking.embedded.inner import Region
from agentguard.masking.fields import Fields
from agentguard.masking.keys import Said
from agentguard.masking.limits import refused

_SPACE = r"[ \t\r\n]*"
_OPEN_TEXT = r"""(?:"[^"\\]*(?:\\.[^"\\]*)*"?|'[^'\\]*(?:\\.[^'\\]*)*'?)"""
_TEXT = r"""(?:"[^"\\]*(?:\\.[^"\\]*)*"|'[^'\\]*(?:\\.[^'\\]*)*')"""
_TOKEN = re.compile(
    rf"""{_SPACE}(?:({_OPEN_TEXT})|([{{}}\[\](),:])|([^\s{{}}\[\](),:"']+(?:\((?:[^()"'\n]|'[^'\n]*')*\))?))""",
    re.DOTALL,
)
# Most of a text is values that hold no others, each with its key and the comma behind it: they are taken at once.
_VALUE = rf"(?:({_TEXT})|(-?[0-9][0-9.eE+\-]*|true|false|null|None|True|False)(?=[ \t\r\n,}}\]]))(?:{_SPACE},)?"
_ITEM = re.compile(_SPACE + _VALUE, re.DOTALL)
_ENTRY = re.compile(rf"{_SPACE}({_TEXT}){_SPACE}:{_SPACE}{_VALUE}", re.DOTALL)
_START = re.compile(r"""[{\[](?=[ \t\r\n]*(?:["'{\[(]))""")
_BARE = re.compile(
    r"-?(?:[0-9][0-9.eE+\-]*|Infinity)\Z|true\Z|false\Z|null\Z|None\Z|True\Z|False\Z|NaN\Z|nan\Z|[A-Za-z_.]+\("
)
_DEEPEST = 200
_START_OF = itemgetter(0)
_CLOSING = {"}": "{", "]": "[", ")": "("}


def json_regions(text: str, fields: Fields, said: Said) -> Iterator[Region]:
    """Every object and list of JSON in a text, in order."""
    first = len(text) - len(text.lstrip())
    found = _START.search(text)
    while found is not None:
        read = _Reading(text, found.start(), is_all=found.start() == first)
        if read.root is not None:
            parts = sorted(resolved(read.root, text, fields, said), key=_START_OF)
            yield Region(found.start(), read.end, parts, not read.closed)
        found = _START.search(text, max(read.end, found.end()))


class _Reading:
    """One object or list, read as far as it is JSON. `root` is None where it is none, `end` where reading stopped.

    `is_all`: the text begins with it, so what is too deep in it is no other form either.
    """

    def __init__(self, text: str, start: int, *, is_all: bool) -> None:
        self._stack: list[tuple[Frame, str]] = []
        self._is_all = is_all
        self.root: Frame | None = None
        self.closed = False
        self.end = start
        while not self.closed:
            if self._stack:
                self._take_plain(self._stack[-1][0], text)
            match = _TOKEN.match(text, self.end)
            if match is None or not self._took(match, text):
                break
            self.end = match.end()
        if not self.closed and self.end < len(text.rstrip()):
            self.root = None

    def _take_plain(self, frame: Frame, text: str) -> None:
        """Take as many values as stand here in a row and hold no others."""
        if frame.is_list:
            while (match := _ITEM.match(text, self.end)) is not None:
                frame.entries.append(("", _value(match, 1)))
                self.end = match.end()
        elif frame.name is None:
            while (match := _ENTRY.match(text, self.end)) is not None:
                frame.entries.append((_name(match.group(1)), _value(match, 2)))
                self.end = match.end()

    def _took(self, match: re.Match[str], text: str) -> bool:
        """Whether a token can stand here."""
        kind = match.lastindex
        token = match.group(kind or 0)
        if kind == 2:
            return self._mark(token)
        frame = self._stack[-1][0]
        quoted = kind == 1
        closed = quoted and len(token) > 1 and token[-1] == token[0]
        if not frame.is_list and frame.name is None:
            frame.name = (_name(token) if closed else "") if quoted else None
            return quoted
        if not quoted and _BARE.match(token) is None and match.end() < len(text):
            return False
        start, end = match.span(kind or 0)
        frame.enter(Span(start + 1, end - closed) if quoted else Span(start, end, bare=True))
        return True

    def _mark(self, mark: str) -> bool:
        if mark in ",:":
            return bool(self._stack)
        if mark not in _CLOSING:
            return self._opened(mark)
        if not self._stack or self._stack.pop()[1] != _CLOSING[mark]:
            return False
        self.closed = not self._stack
        return True

    def _opened(self, mark: str) -> bool:
        frame = Frame(is_list=mark != "{")
        if self._stack:
            above = self._stack[-1][0]
            if not above.is_list and above.name is None:
                return False
            above.enter(frame)
        self.root = self.root or frame
        self._stack.append((frame, mark))
        if len(self._stack) > _DEEPEST and self._is_all:
            raise refused(f"JSON text nested deeper than {_DEEPEST} levels")
        return len(self._stack) <= _DEEPEST


def _value(match: re.Match[str], text_group: int) -> Span:
    """The value that was matched: text in this group, or a number or a word in the next."""
    start, end = match.span(text_group)
    return Span(start + 1, end - 1) if start >= 0 else Span(*match.span(text_group + 1), bare=True)


def _name(token: str) -> str:
    r"""A key without its quotes and escapes: many libraries write `pr\u00e9nom`."""
    if "\\" not in token or token[0] != '"':
        return token[1:-1]
    try:
        return str(json.loads(token, strict=False))
    except ValueError:
        return token[1:-1]
