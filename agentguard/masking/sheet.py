"""All text of one value on one page, with the way back to the leaf that each part came from."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from agentguard.masking.embedded import Inner, json_fields, pair_fields, table_fields
from agentguard.masking.fields import Fields, Key, Scope, masks_whole
from agentguard.masking.finding import CERTAIN, Finding
from agentguard.masking.limits import refused
from agentguard.masking.page import SEPARATOR, Page, Part
from agentguard.masking.views import View, encoded_words, may_need_view, plain_view

_DEEPEST_TEXT = 4
_DEEPEST_ENCODING = 2
_SHORTEST_ENCODED = 12
FIELD = "field"


class Leaf(NamedTuple):
    """A text of a value: what its key says, and what the keys above it said."""

    text: str
    key: Key
    scope: Scope


class Bare(NamedTuple):
    """A JSON number or word inside a text: what takes its place goes between these quotes."""

    start: int
    end: int
    quote: str


class _Chunk(NamedTuple):
    """A stretch of the page that came from one leaf, and the way back to it (None: as it stands)."""

    start: int
    leaf: int
    view: View | None


class Sheet:
    """Leaves laid out on one page. `page` is what detectors search, `found` what the names of fields already say,
    and `place` takes a finding back to its leaf.
    """

    def __init__(self, leaves: Sequence[Leaf], fields: Fields) -> None:
        self._fields = fields
        self._texts: list[str] = []
        self._chunks: list[_Chunk] = []
        self._parts: list[Part] = []
        self._length = 0
        self.found: list[Finding] = []
        self.bare: dict[int, list[Bare]] = {}
        for index, leaf in enumerate(leaves):
            self._lay(index, leaf.text, leaf.key, leaf.scope, None, 0)
        self._lay_encoded(leaves)
        self.page = Page(SEPARATOR.join(self._texts), self._parts)
        self._starts = [chunk.start for chunk in self._chunks]

    def place(self, finding: Finding) -> Iterator[tuple[int, Finding]]:
        """The leaf and the finding in its offsets; one for each leaf that the finding touches."""
        at = bisect_right(self._starts, finding.start) - 1
        while at < len(self._chunks) and self._chunks[at].start < finding.end:
            chunk = self._chunks[at]
            start = max(finding.start - chunk.start, 0)
            end = min(finding.end - chunk.start, len(self._texts[at]))
            at += 1
            if start < end:
                if chunk.view is not None:
                    start, end = chunk.view.origin(start, end)
                yield chunk.leaf, finding._replace(start=start, end=end)

    def _lay(self, index: int, text: str, key: Key, scope: Scope, view: View | None, depth: int) -> None:
        """Put a text on the page, and after it the texts inside it that are escaped."""
        inner = self._structured(text, key, scope)
        if inner is None and may_need_view(text):
            seen = plain_view(text, view)
            if seen is not None:
                text, view = seen.text, seen
                inner = self._structured(text, key, scope)
        base = self._length
        if inner is None:
            self._append(index, text, view)
            self._lay_running(base, text, key, scope)
            return
        deeper = [part for part in inner if _is_escaped(text, part)]
        self._append(index, _blanked(text, deeper), view)
        for part in inner:
            if part.start < part.end:
                self._parts.append(Part(base + part.start, base + part.end, part.key))
            if part.bare:
                self._note_bare(index, part, view, depth)
            if masks_whole(part.key, text[part.start : part.end]) and part not in deeper:
                self._find(base + part.start, base + part.end, part.key)
        for part in deeper:
            self._lay_escaped(index, text, part, view, depth + 1)

    def _structured(self, text: str, key: Key, scope: Scope) -> list[Inner] | None:
        if len(text) < 8:
            return None
        found = json_fields(text, self._fields, key, scope) if text[0] in _OPENING else None
        return table_fields(text, self._fields, scope) if found is None and "\n" in text else found

    def _lay_running(self, base: int, text: str, key: Key, scope: Scope) -> None:
        self._parts.append(Part(base, base + len(text), key))
        if key.entity is not None and masks_whole(key, text):
            self._find(base, base + len(text), key)
        elif ":" in text or "=" in text:
            for part in pair_fields(text, self._fields, scope):
                if masks_whole(part.key, text[part.start : part.end]):
                    self._find(base + part.start, base + part.end, part.key)

    def _lay_escaped(self, index: int, text: str, part: Inner, view: View | None, depth: int) -> None:
        if depth > _DEEPEST_TEXT:
            raise refused(f"text inside text deeper than {_DEEPEST_TEXT} levels")
        inside = View.inside(text, part.start, part.end, _json_escapes(text[part.start : part.end]), view)
        self._lay(index, inside.text, part.key, part.scope, inside, depth)

    def _lay_encoded(self, leaves: Sequence[Leaf]) -> None:
        """Words in base64 or hex, once more where they hold another: each is laid down decoded."""
        first = 0
        for _ in range(_DEEPEST_ENCODING):
            last = len(self._chunks)
            for at in range(first, last):
                chunk, text = self._chunks[at], self._texts[at]
                for word in encoded_words(text) if len(text) >= _SHORTEST_ENCODED else ():
                    leaf = leaves[chunk.leaf]
                    view = View.whole(word.text, word.start, word.end, chunk.view)
                    self._lay(chunk.leaf, view.text, leaf.key, leaf.scope, view, _DEEPEST_TEXT - 1)
            first = last

    def _append(self, index: int, text: str, view: View | None) -> None:
        self._texts.append(text)
        self._chunks.append(_Chunk(self._length, index, view))
        self._length += len(text) + 1

    def _find(self, start: int, end: int, key: Key) -> None:
        if key.entity is not None:
            self.found.append(Finding(start, end, key.entity, CERTAIN, FIELD))

    def _note_bare(self, index: int, part: Inner, view: View | None, depth: int) -> None:
        start, end = (part.start, part.end) if view is None else view.origin(part.start, part.end)
        self.bare.setdefault(index, []).append(Bare(start, end, _QUOTES[min(depth, len(_QUOTES) - 1)]))


def _is_escaped(text: str, part: Inner) -> bool:
    return not part.bare and (
        text[part.start : part.start + 1] in _OPENING_OR_NONE or text.find("\\", part.start, part.end) != -1
    )


def _blanked(text: str, parts: Sequence[Inner]) -> str:
    """The text without parts that are laid down elsewhere; lengths stay."""
    if not parts:
        return text
    pieces, done = [], 0
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


_OPENING = frozenset("{[ \n\t\r")
_OPENING_OR_NONE = frozenset("{[")
_ESCAPE = re.compile(r"(?:\\u[0-9A-Fa-f]{4})+|\\.", re.DOTALL)
_SHORT_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_QUOTES = ('"', '\\"', '\\\\\\"', "\\" * 7 + '"', "\\" * 15 + '"')
