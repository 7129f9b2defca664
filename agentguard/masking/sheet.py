"""All text of one value on one page, with the way back to the leaf that each part came from."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from agentguard.masking.anchors import Anchor
from agentguard.masking.embedded import Inner, json_fields, pair_fields, table_fields
from agentguard.masking.fields import NO_KEY, Fields, Key, Scope, masks_whole
from agentguard.masking.finding import CERTAIN, Finding
from agentguard.masking.limits import refused
from agentguard.masking.page import SEPARATOR, Page
from agentguard.masking.views import View, encoded_words, may_need_view, plain_view

_DEEPEST_TEXT = 4
_DEEPEST_ENCODING = 2
FIELD = "field"


class Leaf(NamedTuple):
    """A text of a value: what its key says, and what the keys above it said."""

    text: str
    key: Key
    scope: Scope


class Placed(NamedTuple):
    """A finding in the offsets of its leaf, and the value in plain form; empty where it has no plain form of its own."""

    start: int
    end: int
    entity_type: str
    score: float
    detector: str
    value: str


class Bare(NamedTuple):
    """A JSON number or word inside a text: what takes its place goes between these quotes."""

    start: int
    end: int
    quote: str


class Sheet:
    """Leaves laid out on one page.

    `page` is what detectors search, `found` what the names of fields already say, and `place` takes a finding back to its leaf.
    """

    def __init__(self, leaves: Sequence[Leaf], fields: Fields) -> None:
        self._fields = fields
        self._texts: list[str] = []
        self._starts: list[int] = []
        self._leaf_of: list[int] = []
        self._views: list[View | None] = []
        self._part_starts: list[int] = []
        self._part_keys: list[Key] = []
        self._length = 0
        self.found: list[Finding] = []
        self.bare: dict[int, list[Bare]] = {}
        self._lay_all(leaves)
        self.page = self._joined()
        if Anchor.ENCODED in self.page.anchors:
            laid = len(self._texts)
            self._lay_encoded(leaves)
            self.page = self._joined() if len(self._texts) > laid else self.page

    def _joined(self) -> Page:
        return Page(SEPARATOR.join(self._texts), self._part_starts or (0,), self._part_keys or (NO_KEY,))

    def place(self, finding: Finding) -> Iterator[tuple[int, Placed]]:
        """The leaf and the finding in its offsets; one for each leaf that the finding touches."""
        at = bisect_right(self._starts, finding.start) - 1
        while at < len(self._starts) and self._starts[at] < finding.end:
            first, text, view = self._starts[at], self._texts[at], self._views[at]
            start, end = max(finding.start - first, 0), min(finding.end - first, len(text))
            if start < end:
                value = text[start:end]
                if view is not None:
                    start, end = view.origin(start, end)
                    value = value if view.reads_back else ""
                yield self._leaf_of[at], Placed(start, end, *finding[2:], value)
            at += 1

    def _lay_all(self, leaves: Sequence[Leaf]) -> None:
        """Most leaves are short, plain and under a key that says nothing: for those there is only their text to lay down."""
        for index, (text, key, scope) in enumerate(leaves):
            if _is_special(text):
                self._lay(index, text, key, scope, None, 0)
                continue
            self._part_starts.append(self._length)
            self._part_keys.append(key)
            if key.entity is not None and masks_whole(key, text):
                self._find(self._length, self._length + len(text), key)
            self._append(index, text, None)

    def _lay(self, index: int, text: str, key: Key, scope: Scope, view: View | None, depth: int) -> None:
        """Put a text on the page, and after it the texts inside it that are escaped."""
        inner = self._structured(text, key, scope)
        if inner is None and may_need_view(text):
            seen = plain_view(text, view)
            if seen is not None:
                text, view = seen.text, seen
                inner = self._structured(text, key, scope)
        self._part_starts.append(self._length)
        self._part_keys.append(key)
        if inner is None:
            self._find_running(text, key, scope)
            self._append(index, text, view)
        else:
            self._lay_structured(index, text, inner, view, depth)

    def _lay_structured(self, index: int, text: str, inner: Sequence[Inner], view: View | None, depth: int) -> None:
        deeper = []
        for part in inner:
            value = text[part.start : part.end]
            self._part_starts.append(self._length + part.start)
            self._part_keys.append(part.key)
            if part.bare and (view is None or view.reads_back):
                self._note_bare(index, part, view, depth)
            if not part.bare and (value[:1] in _OPENING or "\\" in value):
                deeper.append(part)
            elif part.key.entity is not None and masks_whole(part.key, value):
                self._find(self._length + part.start, self._length + part.end, part.key)
        self._append(index, _blanked(text, deeper), view)
        for part in deeper:
            self._lay_escaped(index, text, part, view, depth + 1)

    def _structured(self, text: str, key: Key, scope: Scope) -> list[Inner] | None:
        found = json_fields(text, self._fields, key, scope) if text[:1] in _OPENING_OR_SPACE else None
        return table_fields(text, self._fields, scope) if found is None and "\n" in text else found

    def _find_running(self, text: str, key: Key, scope: Scope) -> None:
        if key.entity is not None and masks_whole(key, text):
            self._find(self._length, self._length + len(text), key)
        elif ":" in text or "=" in text:
            for part in pair_fields(text, self._fields, scope):
                if masks_whole(part.key, text[part.start : part.end]):
                    self._find(self._length + part.start, self._length + part.end, part.key)

    def _lay_escaped(self, index: int, text: str, part: Inner, view: View | None, depth: int) -> None:
        if depth > _DEEPEST_TEXT:
            raise refused(f"text inside text deeper than {_DEEPEST_TEXT} levels")
        inside = View.inside(text, part.start, part.end, _json_escapes(text[part.start : part.end]), view)
        self._lay(index, inside.text, part.key, part.scope, inside, depth)

    def _lay_encoded(self, leaves: Sequence[Leaf]) -> None:
        """Words in base64 or hex, once more where they hold another: each is laid down decoded."""
        first = 0
        for _ in range(_DEEPEST_ENCODING):
            last = len(self._texts)
            for at in range(first, last):
                for word in encoded_words(self._texts[at]):
                    index = self._leaf_of[at]
                    view = View.whole(word.text, word.start, word.end, self._views[at])
                    self._lay(index, view.text, leaves[index].key, leaves[index].scope, view, 1)
            first = last

    def _append(self, index: int, text: str, view: View | None) -> None:
        self._texts.append(text)
        self._starts.append(self._length)
        self._leaf_of.append(index)
        self._views.append(view)
        self._length += len(text) + 1

    def _find(self, start: int, end: int, key: Key) -> None:
        if key.entity is not None:
            self.found.append(Finding(start, end, key.entity, CERTAIN, FIELD))

    def _note_bare(self, index: int, part: Inner, view: View | None, depth: int) -> None:
        start, end = (part.start, part.end) if view is None else view.origin(part.start, part.end)
        self.bare.setdefault(index, []).append(Bare(start, end, _QUOTES[min(depth, len(_QUOTES) - 1)]))


def _is_special(text: str) -> bool:
    """Whether a text may hold fields, or be written in another way."""
    if len(text) < _SHORT:
        return _SPECIAL.search(text) is not None
    return not text.isascii() or any(mark in text for mark in _MARKS)


def _blanked(text: str, parts: Sequence[Inner]) -> str:
    """The text without parts that are laid down elsewhere; lengths stay."""
    if not parts:
        return text
    pieces: list[str] = []
    done = 0
    for part in parts:
        pieces += (text[done : part.start], SEPARATOR * (part.end - part.start))
        done = part.end
    return "".join([*pieces, text[done:]])


def _json_escapes(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _ESCAPE.finditer(text):
        yield match.start(), match.end(), _unescaped(match.group())


def _unescaped(written: str) -> str:
    if written[1] == "u":
        return bytes.fromhex(written.replace("\\u", "")).decode("utf-16-be", "replace")
    return _SHORT_ESCAPES.get(written[1], written[1])


_OPENING = frozenset("{[")
_OPENING_OR_SPACE = frozenset("{[ \n\t\r")
_MARKS = "\n%&\\:={["
_SPECIAL = re.compile(r"[^ -~]|[%&\\:={\[]")
_SHORT = 48
_ESCAPE = re.compile(r"(?:\\u[0-9A-Fa-f]{4})+|\\.", re.DOTALL)
_SHORT_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_QUOTES = ('"', '\\"', '\\\\\\"', "\\" * 7 + '"', "\\" * 15 + '"')
