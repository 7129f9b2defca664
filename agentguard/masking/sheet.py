"""All text of one value on one page, with the way back to the leaf that each part came from."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from agentguard.masking.anchors import Anchor
from agentguard.masking.disguises import readings, tagged
from agentguard.masking.embedded import Inner, escapes, fields_in, is_escaped
from agentguard.masking.fields import Fields
from agentguard.masking.finding import CERTAIN, Finding
from agentguard.masking.fitting import is_just, masks_whole
from agentguard.masking.keys import NO_KEY, Key, Scope
from agentguard.masking.limits import refused
from agentguard.masking.page import SEPARATOR, Page, these
from agentguard.masking.phrases import half_of
from agentguard.masking.placed import Bare, Placed
from agentguard.masking.special import special_among
from agentguard.masking.views import BASE64, SHORTEST, View, encoded_words, may_need_view, plain_view
from agentguard.masking.windows import plain_views, views_of

_DEEPEST_TEXT = 4
_DEEPEST_ENCODING = 2
FIELD = "field"


class Sheet:
    """Leaves laid out on one page: each text in its place, and after them all the texts that were found inside texts.

    `page` is what detectors search, `found` what the names of fields already say, and `place` takes a finding back to its leaf.
    `telling`: the leaves whose key says what they are, in order. `settled`: those of them whose key says all there is to say, as their
    types and values; they are not on the page.
    `plain`: every leaf stands on the page as it is, and nothing else does.
    """

    def __init__(
        self, texts: Sequence[str], keys: Sequence[Key], scopes: Sequence[Scope], telling: Sequence[int], fields: Fields
    ) -> None:
        self._fields, self._scopes = fields, scopes
        self._texts, self._keys = list(texts), list(keys)
        self._leaves = len(texts)
        self._behind: list[int] = []
        self._views: dict[int, View] = {}
        self._inner: dict[int, tuple[list[int], list[Key]]] = {}
        self._named: list[tuple[int, int, int, str]] = []
        self.bare: dict[int, list[Bare]] = {}
        self.settled: dict[int, tuple[str, str]] = {}
        unsettled = self._settle(telling) if telling else telling
        joined = self._join()
        special = special_among(self._texts, joined, self._starts)
        if special or unsettled:
            self._lay_all(special, unsettled)
            if self._views or self._inner:
                joined = self._join()
        self.page = self._page(joined)
        if Anchor.ENCODED in self.page.anchors:
            self._lay_encoded()
        self.found = self._of_fields() if self._named else []
        self.plain = not (self._views or self._behind)

    @classmethod
    def of_text(cls, text: str, fields: Fields) -> Sheet:
        """A text that stands under no key."""
        return cls((text,), (NO_KEY,), (fields.root,), (), fields)

    def _of_fields(self) -> list[Finding]:
        starts = self._starts
        return [
            Finding(starts[at] + start, starts[at] + end, entity, CERTAIN, FIELD)
            for at, start, end, entity in self._named
        ]

    def over(self, leaf: int) -> tuple[int, ...]:
        """The paths of actions that lead to a leaf."""
        return self._keys[leaf].under

    def placed_whole(self, leaf: int) -> Placed:
        """What is settled, as a finding in its leaf."""
        entity_type, text = self.settled[leaf]
        return Placed(0, len(text), entity_type, CERTAIN, FIELD, text, self._keys[leaf].under)

    def under(self, leaf: int, finding: Finding) -> tuple[int, ...]:
        """The paths of actions that lead to a finding: those of its leaf, and those of the field in it."""
        return tuple(sorted({*self._keys[leaf].under, *self.page.key_at(finding.start).under}))

    def halves(self) -> list[tuple[int, str, str]]:
        """The given and the family names that stand under a key of their own, in order: offset on the page, which half, and value."""
        found = []
        for its in self.found:
            if its.entity_type == "PERSON" and (half := half_of(self.page.key_at(its.start).words)):
                found.append((its.start, half, self.page.text[its.start : its.end].strip()))
        for at, (entity_type, value) in self.settled.items():
            if entity_type == "PERSON" and (half := half_of(self._keys[at].words)):
                found.append((self._starts[at], half, value))
        found.sort()
        return found

    def place(self, finding: Finding) -> Sequence[tuple[int, Placed]]:
        """The leaf and the finding in its offsets; one for each leaf that the finding touches."""
        start, end, entity_type, score, detector = finding
        at = bisect_right(self._starts, start) - 1
        first, text, view = self._starts[at], self._texts[at], self._views.get(at)
        if end > first + len(text) or (start == end and view is not None):
            return list(self._placed_apart(finding, at))
        start, end = start - first, end - first
        value = text[start:end]
        if view is not None:
            start, end = view.origin(start, end)
            value = value if view.reads_back else ""
        leaf = at if at < self._leaves else self._leaf_of(at)
        return ((leaf, Placed(start, end, entity_type, score, detector, value)),)

    def _placed_apart(self, finding: Finding, at: int) -> Iterator[tuple[int, Placed]]:
        while at < len(self._starts) and self._starts[at] < finding.end:
            first, text, view = self._starts[at], self._texts[at], self._views.get(at)
            start, end = max(finding.start - first, 0), min(finding.end - first, len(text))
            if start < end:
                value = text[start:end]
                if view is not None:
                    start, end = view.origin(start, end)
                    value = value if view.reads_back else ""
                yield self._leaf_of(at), Placed(start, end, *finding[2:], value)
            at += 1

    def _leaf_of(self, at: int) -> int:
        """The leaf that a text stands in."""
        return at if at < self._leaves else self._behind[at - self._leaves]

    def _join(self) -> str:
        """The text of the page, with the texts as they are now."""
        texts = self._texts
        if len(texts) == 1:
            self._starts = [0]
            return texts[0]
        self._starts = starts = []
        start = 0
        for text in texts:
            starts.append(start)
            start += len(text) + 1
        return SEPARATOR.join(texts)

    def _page(self, joined: str, anchors: frozenset[int] | None = None) -> Page:
        if not self._inner:
            return Page(joined, self._starts, self._keys, anchors)
        starts: list[int] = []
        keys: list[Key] = []
        done = 0
        for at in sorted(self._inner):
            bounds, said = self._inner[at]
            first = self._starts[at]
            starts += self._starts[done : at + 1]
            starts += [first + bound for bound in bounds]
            keys += self._keys[done : at + 1]
            keys += said
            done = at + 1
        return Page(joined, starts + self._starts[done:], keys + self._keys[done:], anchors)

    def _settle(self, telling: Sequence[int]) -> list[int]:
        """Take the leaves off the page that are what their key promises and plainly nothing else; gives the others."""
        unsettled = []
        keys, texts, settled = self._keys, self._texts, self.settled
        for at in telling:
            key, text = keys[at], texts[at]
            if is_just(key, text):
                settled[at] = key.entity or "", text
                texts[at] = ""
            else:
                unsettled.append(at)
        return unsettled

    def _lay_all(self, special: Sequence[int], telling: Sequence[int]) -> None:
        """Most leaves are short, plain and under a key that says nothing: their text on the page is all there is to do."""
        for at in special:
            self._lay(at, self._texts[at], self._keys[at], self._scopes[at], None, 0)
        for at in telling:
            if at not in special:
                self._find(at, 0, len(self._texts[at]), self._keys[at])

    def _lay(self, at: int, text: str, key: Key, scope: Scope, view: View | None, depth: int) -> None:
        """Put a text in its place, and behind all others the texts inside it that are written in another way."""
        for start, end, hidden in () if text.isascii() else tagged(text):
            self._lay_behind(self._leaf_of(at), [View.whole(hidden, start, end, view)])
        inner = fields_in(text, self._fields, (key, scope))
        if may_need_view(text):
            if inner:
                self._lay_behind(self._leaf_of(at), plain_views(text, view))
            elif (seen := plain_view(text, view)) is not None:
                text, view = seen.text, seen
                inner = fields_in(text, self._fields, (key, scope))
        for changes in readings(text):
            self._lay_behind(self._leaf_of(at), views_of(text, changes, view))
        if view is not None:
            self._views[at] = view
        self._texts[at] = text
        if not inner or text.lstrip()[:1] not in _OPENING:
            self._find(at, 0, len(text), key)
        if inner:
            self._lay_parts(at, text, inner, view, depth)

    def _lay_parts(self, at: int, text: str, inner: Sequence[Inner], view: View | None, depth: int) -> None:
        deeper = []
        bounds: list[int] = []
        keys: list[Key] = []
        for part in inner:
            start, end, key, _, bare, spelling = part
            bounds += (start, end)
            keys += (key, NO_KEY)
            if bare and (view is None or view.reads_back):
                self._note_bare(self._leaf_of(at), part, view, depth)
            if not bare and (text[start : start + 1] in _OPENING or is_escaped(text, start, end, spelling)):
                deeper.append(part)
            elif key.entity is not None:
                self._find(at, start, end, key)
        self._inner[at] = bounds, keys
        self._texts[at] = _blanked(text, deeper)
        for part in deeper:
            self._lay_escaped(self._leaf_of(at), text, part, view, depth + 1)

    def _lay_escaped(self, leaf: int, text: str, part: Inner, view: View | None, depth: int) -> None:
        if depth > _DEEPEST_TEXT:
            raise refused(f"text inside text deeper than {_DEEPEST_TEXT} levels")
        changes = escapes(text[part.start : part.end], part.spelling)
        self._lay_further(leaf, View.inside(text, part.start, part.end, changes, view), part.key, part.scope, depth)

    def _lay_behind(self, leaf: int, views: Iterable[View]) -> None:
        """Lay down other ways to read a text whose fields are read as it is written."""
        for view in views:
            self._views[len(self._texts)] = view
            self._texts.append(view.text)
            self._keys.append(NO_KEY)
            self._behind.append(leaf)

    def _lay_encoded(self) -> None:
        """Words in base64 or hex, once more where they hold another: each is laid down decoded."""
        first, searched = 0, self.page
        for _ in range(_DEEPEST_ENCODING):
            last, starts, offset = len(self._texts), self._starts, self._starts[first]
            for word in encoded_words(searched.text, searched.runs(_ENCODED, SHORTEST)):
                start, end = offset + word.start, offset + word.end
                at = bisect_right(starts, start) - 1
                view = View.whole(word.text, start - starts[at], end - starts[at], self._views.get(at))
                leaf = self._leaf_of(at)
                self._lay_further(leaf, view, self._keys[leaf], self._scopes[leaf], 1)
            if len(self._texts) == last:
                return
            joined = self._join()
            searched = Page(joined[self._starts[last] :])
            self.page = self._page(joined, self.page.anchors | searched.anchors)
            first = last

    def _lay_further(self, leaf: int, view: View, key: Key, scope: Scope, depth: int) -> None:
        """Lay down a text that stands inside a leaf, behind all others."""
        self._texts.append("")
        self._keys.append(key)
        self._behind.append(leaf)
        self._lay(len(self._texts) - 1, view.text, key, scope, view, depth)

    def _find(self, at: int, start: int, end: int, key: Key) -> bool:
        """Note what the key says of a value, where it may be that; whether it may."""
        fits = key.entity is not None and masks_whole(key, self._texts[at][start:end])
        if fits:
            self._named.append((at, start, end, key.entity or ""))
        return fits

    def _note_bare(self, index: int, part: Inner, view: View | None, depth: int) -> None:
        start, end = (part.start, part.end) if view is None else view.origin(part.start, part.end)
        self.bare.setdefault(index, []).append(Bare(start, end, _QUOTES[min(depth, len(_QUOTES) - 1)]))


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


_OPENING = frozenset("{[")
_ENCODED = these(BASE64)
_QUOTES = ('"', '\\"', '\\\\\\"', "\\" * 7 + '"', "\\" * 15 + '"')
