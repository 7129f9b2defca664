"""JSON as people write it, with the place of every value in the text, so that one value can be exchanged and all else stays.

Rules:
- comments (`//`, `/* */`) and a comma after the last member are read over, as editors do in their settings;
- a key that stands twice in an object is refused: readers differ in which one counts;
- what can't be read is refused with its line and column, and no text of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

DEPTH_MAX = 64

_BETWEEN = re.compile(r"(?:[ \t\r\n\ufeff]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_WORD = re.compile(r"true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")


class NotReadable(ValueError):
    """The text is no JSON; says where and what."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """A value, and where in the text it stands: `text[start:end]`. `members` are those of an object."""

    value: Any
    start: int
    end: int
    members: Mapping[str, Written] = field(default_factory=dict)

    def at(self, path: tuple[str, ...]) -> Written | None:
        """What stands at a path of keys; None where nothing does."""
        found: Written | None = self
        for key in path:
            found = None if found is None else found.members.get(key)
        return found


def read(text: str) -> Written:
    """The one value of a text. Raises NotReadable."""
    reading = _Reading(text)
    value = reading.value(reading.after(0), 0)
    end = reading.after(value.end)
    if end != len(text):
        raise reading.wrong(end, "something follows the value")
    return value


def exchanged(text: str, values: Mapping[tuple[int, int], str]) -> str:
    """The text with other text at some of its places."""
    for (start, end), instead in sorted(values.items(), reverse=True):
        text = text[:start] + instead + text[end:]
    return text


def written_like(value: Any, text: str, start: int) -> str:
    """A value as JSON, indented and broken as the text is where it would stand."""
    line = text[text.rfind("\n", 0, start) + 1 : start]
    margin = line[: len(line) - len(line.lstrip())]
    unit = "\t" if "\t" in margin else margin[: len(margin) // 2] or "  "
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = json.dumps(value, indent=unit, ensure_ascii=False).split("\n")
    return newline.join([lines[0], *(margin + each for each in lines[1:])])


@dataclass(frozen=True)
class _Reading:
    text: str

    def value(self, start: int, depth: int) -> Written:
        if depth > DEPTH_MAX:
            raise self.wrong(start, f"nested deeper than {DEPTH_MAX}")
        match self.text[start : start + 1]:
            case "{":
                return self._object(start, depth)
            case "[":
                return self._list(start, depth)
            case '"':
                found, end = self._string(start)
                return Written(value=found, start=start, end=end)
        word = _WORD.match(self.text, start)
        if word is None:
            raise self.wrong(start, "no JSON value")
        return Written(value=json.loads(word[0]), start=start, end=word.end())

    def after(self, start: int) -> int:
        """Where the next thing begins that is neither space nor comment."""
        found = _BETWEEN.match(self.text, start)
        return start if found is None else found.end()

    def wrong(self, at: int, what: str) -> NotReadable:
        line = self.text.count("\n", 0, at) + 1
        return NotReadable(f"line {line}, column {at - self.text.rfind(chr(10), 0, at)}: {what}")

    def _object(self, start: int, depth: int) -> Written:
        members: dict[str, Written] = {}
        at = self.after(start + 1)
        while self.text[at : at + 1] != "}":
            if self.text[at : at + 1] != '"':
                raise self.wrong(at, "a key in double quotes is missing")
            key, end = self._string(at)
            if key in members:
                raise self.wrong(at, "this key stands twice in its object")
            colon = self.after(end)
            if self.text[colon : colon + 1] != ":":
                raise self.wrong(colon, "a ':' is missing")
            members[key] = self.value(self.after(colon + 1), depth + 1)
            at = self._next(members[key].end, "}")
        value = {key: each.value for key, each in members.items()}
        return Written(value=value, start=start, end=at + 1, members=members)

    def _list(self, start: int, depth: int) -> Written:
        values = []
        at = self.after(start + 1)
        while self.text[at : at + 1] != "]":
            each = self.value(at, depth + 1)
            values.append(each.value)
            at = self._next(each.end, "]")
        return Written(value=values, start=start, end=at + 1)

    def _next(self, end: int, closing: str) -> int:
        """Where the next member begins, or the closing bracket is."""
        at = self.after(end)
        if self.text[at : at + 1] == ",":
            return self.after(at + 1)
        if self.text[at : at + 1] != closing:
            raise self.wrong(at, f"a ',' or '{closing}' is missing")
        return at

    def _string(self, start: int) -> tuple[str, int]:
        found = _STRING.match(self.text, start)
        try:
            if found is not None:
                return str(json.loads(found[0])), found.end()
        except ValueError:
            pass
        raise self.wrong(start, "a text that does not end, or holds what texts of JSON can't")
