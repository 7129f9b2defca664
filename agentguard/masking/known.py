"""Known values: what was seen under a personal field is found again in running text.

Rules:
- a person's name: two of its words side by side, in either order, in any case, with accents or without; or `A. Kowalska`;
- a name of more words than names have: all of them, in their order;
- one word of it alone only where it stands like a name (capital, not beside another capitalised word) and is no ordinary word, or
  follows a title; where two people share it, it stands for itself and for neither of them;
- anything else (addresses, account ids, ...): all of its words in their order, and only if it is long enough to mean one thing;
- a secret: exactly as it was written;
- linear in the text; so many values are kept, and one more is refused: what can't be known can't be hidden.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations, permutations
from threading import Lock
from typing import NamedTuple

from agentguard.masking.limits import refused
from agentguard.masking.ordinary import BEFORE_PEOPLE, MINOR, ORDINARY, TITLES
from agentguard.masking.spelled import Words, spelled_out, words_of
from agentguard.masking.tokens import canonical_value

VALUES_KEPT = 20_000
"""How many values one session may know."""

Value = tuple[str, str]
"""An entity type, and a value of it as it was written."""


def same_value(one: Value, text: str) -> bool:
    """Whether a text is another spelling of a value: of a name in either order, of all else its words in their order; in any case."""
    entity_type, value = one
    if canonical_value(entity_type, value) == canonical_value(entity_type, text):
        return True
    words, others = words_of(spelled_out(value)), words_of(spelled_out(text))
    if entity_type == "PERSON":
        words, others = tuple(sorted(_parts(words))), tuple(sorted(_parts(others)))
    return bool(words) and words == others and entity_type not in SECRETS


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


class _Name(NamedTuple):
    """A person's name, and the words that tell people apart. Without a value: several people's."""

    value: str
    parts: tuple[bytes, ...] = ()


_SEVERAL = _Name("")


class KnownValues:
    """The values that one session has seen, ready to be found. Serves many threads."""

    def __init__(self, limit: int = VALUES_KEPT) -> None:
        self._limit = limit
        self._lock = Lock()
        self._seen: dict[Value, str] = {}
        self._wanted: set[bytes] = set()
        self._pairs: dict[tuple[bytes, bytes], _Name] = {}
        self._initials: set[tuple[bytes, bytes]] = set()
        self._alone: dict[bytes, _Name] = {}
        self._anchors: dict[bytes, frozenset[_Place]] = {}
        self._rows: dict[tuple[bytes, ...], Value] = {}
        self._longer: dict[tuple[bytes, ...], frozenset[int]] = {}
        self._longest_row: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def meant(self, value: Value) -> str:
        """The value as it was seen first: another spelling of a known one is that one."""
        found = self._seen.get(value)
        if found is None and is_findable(value[0]):
            return self._first(value, words_of(value[1]))
        return found or value[1]

    def learn(self, values: Iterable[Value]) -> None:
        """Know these from now on, those that can be found again. Raises GuardUnavailable where they are too many."""
        new = [value for value in values if value not in self._seen and is_findable(value[0])]
        if new:
            with self._lock:
                for value in new:
                    self._learn(value)

    def find(self, text: str) -> list[Sighting]:
        """Where known values stand in a text, in order of place. Some may overlap."""
        if not self._wanted:
            return []
        if len(text) <= _BLOCK:
            return self._found(text)
        found: list[Sighting] = []
        for first in range(0, len(text), _BLOCK):
            block = text[first : first + _BLOCK + _OVERLAP]
            found += [
                seen._replace(start=seen.start + first, end=seen.end + first)
                for seen in self._found(block)
                if seen.start < _BLOCK
            ]
        return found

    def unfinished(self, text: str) -> int:
        """Where a known value may begin that more text could complete; the length of the text where there is none."""
        if not self._wanted:
            return len(text)
        offset = max(0, len(text) - _UNFINISHED_REACH)
        words = Words(text[offset:])
        numbers = [number for number, word in enumerate(words.words) if word]
        found = len(words.text)
        for place, number in enumerate(numbers):
            after = [words.words[later] for later in numbers[place + 1 :]]
            if self._may_go_on(words.words[number], after):
                found = min(found, words.start(_with_initial(words, number)))
        return found + offset

    def _may_go_on(self, word: bytes, after: list[bytes]) -> bool:
        """Whether a known value may begin with this word, and with those after it not have ended yet."""
        if len(after) < self._longest_row.get(word, 0):
            return True
        if word not in self._alone and len(word) > 1:
            return False
        return all(one in self._alone or one in MINOR or len(one) == 1 for one in after[:-1])

    def _learn(self, value: Value) -> None:
        entity_type, text = value
        words = words_of(text)
        if value in self._seen or not 0 < len(words) <= _MOST_WORDS:
            return
        if len(self._seen) >= self._limit:
            raise refused(
                f"more than {self._limit} known values in one session; begin a new session, or return fewer rows"
            )
        self._seen[value] = self._first(value, words)
        if self._seen[value] != text:
            return
        for spelling in (words,) if text.isascii() else {words, words_of(spelled_out(text))}:
            if entity_type == "PERSON":
                self._learn_name(text, spelling)
            else:
                self._learn_rows(value, spelling)

    def _first(self, value: Value, words: tuple[bytes, ...]) -> str:
        """The value of which this one is another spelling, or itself. `words`: its own."""
        entity_type, text = value
        if entity_type != "PERSON":
            found = self._rows.get(words)
            return found[1] if found is not None and found[0] == entity_type else text
        parts = sorted(_parts(words))
        name = self._pairs.get((parts[0], parts[1])) if len(parts) > 1 else None
        return name.value if name is not None and sorted(name.parts) == parts else text

    def _learn_name(self, text: str, words: tuple[bytes, ...]) -> None:
        parts = _parts(words)
        if len(parts) > _MOST_PARTS:
            self._learn_rows(("PERSON", text), words)
            return
        name = _Name(text, parts)
        for pair in combinations(sorted(parts), 2):
            self._pairs[pair] = _nearer(self._pairs.get(pair), name, 2)
        self._initials.update((one[:1], other) for one, other in permutations(parts, 2))
        for part in parts:
            self._alone[part] = _nearer(self._alone.get(part), name, 1)
        self._wanted.update(parts)

    def _learn_rows(self, value: Value, words: tuple[bytes, ...]) -> None:
        """The whole value, of an address what stands between its commas too, and of an id its words run together."""
        rows = [words]
        if value[0] in _PLACES:
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
                self._anchors[head[at]] = self._anchors.get(head[at], frozenset()) | {place}
                self._wanted.add(head[at])
                self._longest_row[row[0]] = max(len(row), self._longest_row.get(row[0], 0))

    def _found(self, text: str) -> list[Sighting]:
        words = Words(text)
        if self._wanted.isdisjoint(words.words):
            return []
        found: list[Sighting] = []
        done = -1
        numbers = words.among(self._wanted)
        lower = words.uncapitalised(numbers)
        for number in numbers:
            if words.words[number] in self._anchors:
                found += self._rows_at(words, number)
            if number > done and words.words[number] in self._alone:
                seen = self._name_at(words, number, lower)
                if seen is not None:
                    first, done, name = seen
                    start, end = words.start(first), words.end(done)
                    found.append(Sighting(start, end, "PERSON", name.value or text[start:end]))
        return found

    def _rows_at(self, words: Words, number: int) -> Iterator[Sighting]:
        for place in self._anchors[words.words[number]]:
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

    def _name_at(self, words: Words, number: int, lower: set[bytes]) -> tuple[int, int, _Name] | None:
        """The name that begins with this word: its first and its last word."""
        following = _after_minor(words, number)
        name = self._pair(words, number, following)
        if name is None or following is None:
            return self._alone_at(words, number, lower)
        last, parts = following, {words.words[number], words.words[following]}
        while (further := _after_minor(words, last)) is not None:
            if words.words[further] not in name.parts or words.words[further] in parts:
                break
            parts.add(words.words[further])
            last = further
        return _with_initial(words, number), last, name

    def _pair(self, words: Words, one: int, other: int | None) -> _Name | None:
        if other is None:
            return None
        first, second = words.words[one], words.words[other]
        name = self._pairs.get((first, second) if first < second else (second, first))
        if name is None or (first in ORDINARY and second in ORDINARY and not _both_capital(words, one, other)):
            return None
        return name

    def _alone_at(self, words: Words, number: int, lower: set[bytes]) -> tuple[int, int, _Name] | None:
        name, word = self._alone[words.words[number]], words.words[number]
        if not words.is_capital(number):
            return None
        first = _with_minor(words, _with_initial(words, number), name)
        before = words.next(first, -1)
        if before is not None and words.words[before] in TITLES:
            return first, number, name
        if (initial := self._initial_at(words, first, number)) is not None:
            return min(initial, first), max(initial, number), name
        is_ordinary = word in ORDINARY and first == number and not _is_spoken_of(words, before)
        if is_ordinary or word in lower or len(word) < _SHORTEST_ALONE:
            return None
        return None if _is_of_another_name(words, first, number) else (first, number, name)

    def _initial_at(self, words: Words, first: int, number: int) -> int | None:
        """`A. Kowalska`, `Kowalska, A.`: where an initial of another part of such a name stands, with its full stop."""
        for at in (words.next(first, -1), words.next(number)):
            if (
                at is not None
                and (words.words[at], words.words[number]) in self._initials
                and words.is_capital(at)
                and words.text[words.end(at) :][:1] == "."
            ):
                return at
        return None


def _parts(words: Iterable[bytes]) -> tuple[bytes, ...]:
    """The words of a name that tell one person from another."""
    telling = [word for word in words if len(word) > 1 and word not in MINOR and word not in TITLES]
    return tuple(dict.fromkeys([word for word in telling if len(word.translate(None, _DIGITS)) == len(word)]))


def is_findable(entity_type: str) -> bool:
    """Whether values of this type are worth knowing: not where their form gives them away, or many things share one."""
    return entity_type not in _NOT_KEPT


def means_one_thing(entity_type: str, words: tuple[bytes, ...]) -> bool:
    """Whether a value with these words is long enough to be no other thing."""
    if entity_type == "PERSON":
        return len(words) > _MOST_PARTS
    joined = b"".join(words)
    digits = len(joined) - len(joined.translate(None, _DIGITS))
    if entity_type in SECRETS:
        return len(joined) >= 8
    if entity_type in _PLACES:
        return len(joined) >= 6 and (len(words) > 2 or (len(words) == 2 and digits > 0))
    return digits > 0 and len(joined) >= (6 if digits == len(joined) else 5)


SECRETS = frozenset({"PASSWORD", "API_KEY"})
_NOT_KEPT = frozenset(
    "EMAIL_ADDRESS URL IP_ADDRESS JWT PRIVATE_KEY CRYPTO CITY STATE COUNTRY ZIP_CODE CVV BIC NRP ORGANIZATION".split()
)
_PLACES = frozenset({"ADDRESS", "LOCATION"})
_DIGITS = b"0123456789"
_MOST_WORDS = 80
_MOST_IN_HEAD = 24
_MOST_PARTS = 6
_SHORTEST_ALONE = 3
_BLOCK, _OVERLAP = 262_144, 1_024
_UNFINISHED_REACH = 512


def _nearer(held: _Name | None, new: _Name, parts: int) -> _Name:
    """Whose name a word or a pair of words is: that of which it is all; else the only one."""
    if held is None or held.parts == new.parts or len(held.parts) == parts:
        return held or new
    return new if len(new.parts) == parts else _SEVERAL


def _both_capital(words: Words, one: int, other: int) -> bool:
    return words.is_capital(one) and words.is_capital(other)


def _after_minor(words: Words, number: int) -> int | None:
    """The next word that tells something: past single letters and words like `van`, as many as names have."""
    at = words.next(number)
    for _ in range(3):
        if at is None or not (len(words.words[at]) == 1 or words.words[at] in MINOR):
            return at
        at = words.next(at)
    return at


def _with_initial(words: Words, number: int) -> int:
    """Where a name begins: with `O` in `O'Brien`."""
    before = words.next(number, -1)
    if before is not None and len(words.words[before]) == 1 and words.text[words.end(before)] in "'’":
        return before
    return number


def _with_minor(words: Words, number: int, name: _Name) -> int:
    """Where a name begins: with `van` in `van der Berg`, where that is how the name was seen."""
    minor = set(words_of(name.value)) & MINOR
    before = words.next(number, -1) if minor else None
    while before is not None and words.words[before] in minor:
        number, before = before, words.next(before, -1)
    return number


def _is_spoken_of(words: Words, before: int | None) -> bool:
    """Whether the word before is one that people stand behind: `ask Walker`."""
    return before is not None and words.words[before] in BEFORE_PEOPLE


def _is_of_another_name(words: Words, first: int, number: int) -> bool:
    """Whether a word beside it begins with a capital letter, so that the two may be somebody else's name."""
    before, after = words.beside(first, -1), words.beside(number)
    if after is not None and words.is_capital(after) and len(words.words[after]) > 1:
        return True
    return before is not None and words.is_capital(before) and not words.begins(before)


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
