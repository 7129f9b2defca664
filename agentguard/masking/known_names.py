"""Known names of people.

Rules:
- two of its words side by side, in either order, in any case, with accents or without; or `A. Kowalska`;
- one word of it alone only where it stands like a name (capital, not beside another capitalised word) and is no ordinary word, or
  follows a title; where two people share it, it stands for itself and for neither of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations, permutations
from typing import NamedTuple

from agentguard.masking.ordinary import BEFORE_PEOPLE, MINOR, ORDINARY, TITLES
from agentguard.masking.spelled import Words, words_of


class _Name(NamedTuple):
    """A person's name, and the words that tell people apart. Without a value: several people's."""

    value: str
    parts: tuple[bytes, ...] = ()


_SEVERAL = _Name("")


class KnownNames:
    """Names of people, by their words. `alone`: the words by which one may be found."""

    def __init__(self) -> None:
        self.alone: dict[bytes, _Name] = {}
        self._pairs: dict[tuple[bytes, bytes], _Name] = {}
        self._initials: set[tuple[bytes, bytes]] = set()

    def learn(self, text: str, parts: tuple[bytes, ...]) -> None:
        """Know a name from now on, by its parts (`parts_of`)."""
        name = _Name(text, parts)
        for pair in combinations(sorted(parts), 2):
            self._pairs[pair] = _nearer(self._pairs.get(pair), name, 2)
        self._initials.update((one[:1], other) for one, other in permutations(parts, 2))
        for part in parts:
            self.alone[part] = _nearer(self.alone.get(part), name, 1)

    def first(self, words: tuple[bytes, ...]) -> str | None:
        """The name of which these words are another spelling, as it was seen first."""
        parts = sorted(parts_of(words))
        name = self._pairs.get((parts[0], parts[1])) if len(parts) > 1 else None
        return name.value if name is not None and sorted(name.parts) == parts else None

    def at(self, words: Words, number: int, lower: set[bytes]) -> tuple[int, int, str] | None:
        """The name that begins with this word: its first and its last word, and the name as it was seen; empty: several people's."""
        following = _after_minor(words, number)
        name = self._pair(words, number, following)
        if name is None or following is None:
            alone = self._alone_at(words, number, lower)
            return None if alone is None else (alone[0], alone[1], alone[2].value)
        last, parts = following, {words.words[number], words.words[following]}
        while (further := _after_minor(words, last)) is not None:
            if words.words[further] not in name.parts or words.words[further] in parts:
                break
            parts.add(words.words[further])
            last = further
        return with_initial(words, number), last, name.value

    def _pair(self, words: Words, one: int, other: int | None) -> _Name | None:
        if other is None:
            return None
        first, second = words.words[one], words.words[other]
        name = self._pairs.get((first, second) if first < second else (second, first))
        if name is None or (first in ORDINARY and second in ORDINARY and not _both_capital(words, one, other)):
            return None
        return name

    def _alone_at(self, words: Words, number: int, lower: set[bytes]) -> tuple[int, int, _Name] | None:
        name, word = self.alone[words.words[number]], words.words[number]
        if not words.is_capital(number):
            return None
        first = _with_minor(words, with_initial(words, number), name)
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


def parts_of(words: Iterable[bytes]) -> tuple[bytes, ...]:
    """The words of a name that tell one person from another."""
    telling = [word for word in words if len(word) > 1 and word not in MINOR and word not in TITLES]
    return tuple(dict.fromkeys([word for word in telling if len(word.translate(None, _DIGITS)) == len(word)]))


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


def with_initial(words: Words, number: int) -> int:
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


_DIGITS = b"0123456789"
_SHORTEST_ALONE = 3
