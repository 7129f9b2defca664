"""Known values that are no names of people: each a row of words.

Rules:
- all of its words in their order, and only if it is long enough to mean one thing;
- a secret: exactly as it was written.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from agentguard.masking.spelled import Words, words_of

Value = tuple[str, str]
"""An entity type, and a value of it as it was written."""


class Sighting(NamedTuple):
    """A place where a known value stands, and the value as it was seen first."""

    start: int
    end: int
    entity_type: str
    value: str


class _Place(NamedTuple):
    """Where a word stands in a row of words: after so many of them, in a row so long, and the word beside it, if any."""

    before: int
    length: int
    beside: tuple[bytes, ...]

    def may_be_at(self, words: Words, number: int) -> bool:
        """Whether the word beside this one in a text is the one in the row."""
        if not self.beside:
            return True
        at = words.near(number, 1 if self.before + 1 < self.length else -1)
        return at is not None and words.words[at] == self.beside[0]


class KnownRows:
    """Values, by their words. `anchors`: the words by which one may be found, the longest of each."""

    def __init__(self) -> None:
        self.anchors: dict[bytes, frozenset[_Place]] = {}
        self._rows: dict[tuple[bytes, ...], Value] = {}
        self._longer: dict[tuple[bytes, ...], frozenset[int]] = {}
        self._longest: dict[bytes, int] = {}

    def learn(self, value: Value, words: tuple[bytes, ...]) -> list[bytes]:
        """Know the whole value, of an address what stands between its commas too, and of an id its words run together.

        Gives the words that they are found by.
        """
        rows = [words]
        found_by: list[bytes] = []
        if value[0] in PLACES:
            rows += [words_of(piece) for piece in value[1].replace("\n", ",").split(",")]
        elif len(words) > 1:
            rows.append((b"".join(words),))
        for row in rows:
            if means_one_thing(value[0], row):
                self._rows.setdefault(row, value)
                head = row[:_MOST_IN_HEAD]
                if head != row:
                    self._longer[head] = self._longer.get(head, frozenset()) | {len(row)}
                at = max(range(len(head)), key=lambda number: (len(head[number]), not head[number].isdigit()))
                place = _Place(at, len(head), head[at + 1 : at + 2] or head[at - 1 : at])
                self.anchors[head[at]] = self.anchors.get(head[at], frozenset()) | {place}
                self._longest[row[0]] = max(len(row), self._longest.get(row[0], 0))
                found_by.append(head[at])
        return found_by

    def first(self, entity_type: str, words: tuple[bytes, ...]) -> str | None:
        """The value of this type of which these words are another spelling, as it was seen first."""
        found = self._rows.get(words)
        return found[1] if found is not None and found[0] == entity_type else None

    def longest(self, word: bytes) -> int:
        """How many words the longest value has that begins with this one."""
        return self._longest.get(word, 0)

    def at(self, words: Words, number: int) -> Iterator[Sighting]:
        """The values that stand around this word."""
        for place in self.anchors[words.words[number]]:
            if not place.may_be_at(words, number):
                continue
            before, length, _ = place
            first, head = _row(words, number, before, length)
            longer = self._longer.get(head, frozenset())
            further = _from(words, first, max(longer, default=0))
            for row in (head, *(further[:count] for count in longer)):
                value = self._rows.get(row)
                if value is not None:
                    last = first if len(row) == 1 else _stepped(words, first, len(row) - 1)
                    start, end = _widened(words.text, words.start(first), words.end(last), value[1])
                    if value[0] not in SECRETS or words.text[start:end] == value[1].strip():
                        yield Sighting(start, end, *value)


def means_one_thing(entity_type: str, words: tuple[bytes, ...]) -> bool:
    """Whether a value with these words is long enough to be no other thing."""
    if entity_type == "PERSON":
        return len(words) > MOST_PARTS
    joined = b"".join(words)
    digits = len(joined) - len(joined.translate(None, _DIGITS))
    if entity_type in SECRETS:
        return len(joined) >= 8
    if entity_type in PLACES:
        return len(joined) >= 6 and (len(words) > 2 or (len(words) == 2 and digits > 0))
    return digits > 0 and len(joined) >= (6 if digits == len(joined) else 5)


def _row(words: Words, number: int, before: int, length: int) -> tuple[int, tuple[bytes, ...]]:
    """So many words in a row, of which this one has `before` in front of it: the first one's number, and the words."""
    first = number if before == 0 else _stepped(words, number, before, -1)
    row = _from(words, first, length)
    return first, row if len(row) == length else ()


def _from(words: Words, first: int, at_most: int) -> tuple[bytes, ...]:
    """The words in a row from this one on: so many, or as many as there are."""
    row: list[bytes] = []
    at = first
    while at >= 0 and len(row) < at_most:
        row.append(words.words[at])
        at = _stepped(words, at, 1)
    return tuple(row)


def _stepped(words: Words, number: int, times: int, step: int = 1) -> int:
    """The word so many words further; -1 where there is none."""
    at: int | None = number
    for _ in range(times):
        at = None if at is None else words.near(at, step)
    return -1 if at is None else at


def _widened(text: str, start: int, end: int, value: str) -> tuple[int, int]:
    """The span with the marks around the value's words, where they are the value's own."""
    plain = value.strip()
    offset = next((at for at, c in enumerate(plain) if c.isalnum()), 0)
    if text.startswith(plain, max(0, start - offset)) and start >= offset:
        return start - offset, start - offset + len(plain)
    return start, end


SECRETS = frozenset({"PASSWORD", "API_KEY"})
PLACES = frozenset({"ADDRESS", "LOCATION"})
_DIGITS = b"0123456789"
MOST_PARTS = 6
"""Words of a name; one of more is a row of them."""
_MOST_IN_HEAD = 24
