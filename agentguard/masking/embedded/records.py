"""Lines of `key: value` or `key = value` that stand together: YAML, INI, TOML, properties, headers, and records as people write them.

A value ends where its line does, so it is read as a value of an object; lines that are indented stand under the key above them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from agentguard.masking.embedded.frames import Frame, Span, resolved
from agentguard.masking.embedded.inner import Region, lines_of
from agentguard.masking.fields import Fields
from agentguard.masking.fitting import looks_like_a_name, masks_whole
from agentguard.masking.keys import Key, Said

_LINE = re.compile(
    r"(?P<indent>[ \t]*)(?P<item>(?:[-*•][ \t]+)*)(?:[*_`]{1,3}|[\"'])?(?P<name>[^\W\d][\w .\-/\[\]()]{0,47})[\"'*_`]{0,3}"
    r"[ \t]*[:=][*_`]{0,3}(?:[ \t]+|$|(?<==))[ \t]*(?P<value>.*)"
)
_ITEM = re.compile(r"(?P<indent>[ \t]*)(?P<item>[-*•][ \t]+)(?P<value>.*)")
_SECTION = re.compile(r"[ \t]*\[{1,2}[^\[\]]{1,64}\]{1,2}[ \t]*$")
_RULE = re.compile(r"[=\-_*#~]{3,}[ \t]*$")
_MOST_WORDS = 4
_QUOTES = "\"'`"
_DEEPEST = 64


class _Line(NamedTuple):
    """One line: how far it is indented, whether an item of a list begins, the key (empty: none), and where the value stands."""

    start: int
    indent: int
    item: bool
    name: str
    value: Span


def record_regions(text: str, fields: Fields, said: Said) -> Iterator[Region]:
    """The values of records in a text, each a region of its own, from the mark before it."""
    block: list[_Line] = []
    for start, written in lines_of(text):
        line = _read(start, written)
        if line is not None and (line.name or block):
            block.append(line)
        elif not _RULE.match(written):
            yield from _of_block(text, block, fields, said)
            block = []
    yield from _of_block(text, block, fields, said)


def is_record_line(line: str) -> bool:
    """Whether a line is `key: value`."""
    read = _read(0, line)
    return read is not None and read.name != ""


def _read(start: int, written: str) -> _Line | None:
    match = _LINE.match(written) if ":" in written or "=" in written else None
    name = match["name"].strip() if match else ""
    ending = " \t,;" if match else " \t"
    match = match or _ITEM.match(written)
    if match is None or name.count(" ") >= _MOST_WORDS:
        return None
    left, right = match.start("value"), match.start("value") + len(match["value"].rstrip(ending))
    if right - left > 1 and written[left] in _QUOTES and written[right - 1] == written[left]:
        left, right = left + 1, right - 1
    while right > left and written[right - 1] in "*_`":
        right -= 1
    indent = len(match["indent"]) + len(match["item"])
    return _Line(start, indent, bool(match["item"]), name, Span(start + left, start + right))


def _of_block(text: str, block: list[_Line], fields: Fields, said: Said) -> Iterator[Region]:
    if len(block) < 2:
        return
    for part in sorted(resolved(_frames(block), text, fields, said), key=lambda part: part.start):
        if part.start < part.end and _is_value(part.key, text[part.start : part.end]):
            yield Region(part.start - 1, part.end, [part])


def _frames(block: list[_Line]) -> Frame:
    """The lines as objects in objects, by how far they are indented. Each item of a list is an object of its own."""
    root = Frame(is_list=True)
    stack: list[tuple[int, Frame]] = []
    listed = ""
    for line in block:
        while stack and line.name and (line.indent < stack[-1][0] or (line.item and line.indent == stack[-1][0])):
            stack.pop()
        if not stack or (line.name and line.indent > stack[-1][0]):
            fresh = Frame(is_list=False)
            (stack[-1][1] if stack else root).enter(fresh)
            if len(stack) < _DEEPEST:
                stack.append((line.indent, fresh))
        frame = stack[-1][1]
        frame.name = line.name or listed
        if line.value.start < line.value.end:
            frame.enter(line.value)
        elif line.name:
            listed = line.name
    return root


def _is_value(key: Key, value: str) -> bool:
    """Whether the rest of a line is what its key promises, and no sentence about it."""
    if not masks_whole(key, value):
        return False
    if key.policy:
        return True
    if key.entity == "PERSON":
        return looks_like_a_name(value) or (
            value.count(" ") < _MOST_WORDS and value[:1].isupper() and value[-1] not in ".:"
        )
    if key.entity == "ADDRESS":
        return any(map(str.isdigit, value))
    if key.entity in _ONE_WORD:
        return " " not in value and "://" not in value[:12]
    return True


_ONE_WORD = frozenset({"PASSWORD", "API_KEY", "CVV"})
