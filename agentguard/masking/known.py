"""Known values: what was seen under a personal field is found again in running text.

Rules:
- a person's name is found as `KnownNames` says; one of more words than names have, and anything else (addresses, account ids, ...), as a
  row of words (`KnownRows`);
- linear in the text; so many values are kept, and one more is refused: what can't be known can't be hidden.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from threading import Lock

from agentguard.masking.known_names import KnownNames, parts_of, with_initial
from agentguard.masking.known_rows import MOST_PARTS, PLACES, SECRETS, KnownRows, Sighting, Value
from agentguard.masking.limits import refused
from agentguard.masking.ordinary import MINOR
from agentguard.masking.page import without
from agentguard.masking.spelled import Words, spelled_out, words_of
from agentguard.masking.tokens import canonical_value

VALUES_KEPT = 20_000
"""How many values one session may know."""


def same_value(one: Value, text: str) -> bool:
    """Whether a text is another spelling of a value: of a name in either order, of all else its words in their order; in any case."""
    entity_type, value = one
    if canonical_value(entity_type, value) == canonical_value(entity_type, text):
        return True
    words, others = words_of(spelled_out(value)), words_of(spelled_out(text))
    if entity_type == "PERSON":
        words, others = tuple(sorted(parts_of(words))), tuple(sorted(parts_of(others)))
    return bool(words) and words == others and entity_type not in SECRETS


class KnownValues:
    """The values that one session has seen, ready to be found. Serves many threads.

    `seen`: each, and the one that it is a spelling of.
    """

    def __init__(self, limit: int = VALUES_KEPT) -> None:
        self._limit = limit
        self._lock = Lock()
        self.seen: dict[Value, str] = {}
        self._wanted: set[bytes] = set()
        self._few: tuple[str, ...] = ()
        self._names = KnownNames()
        self._rows = KnownRows()

    def __len__(self) -> int:
        return len(self.seen)

    def meant(self, value: Value) -> str:
        """The value as it was seen first: another spelling of a known one is that one."""
        found = self.seen.get(value)
        if found is None and value[0] not in _NOT_KEPT:
            return self._first(value, words_of(value[1]))
        return found or value[1]

    def learn(self, values: Iterable[Value]) -> None:
        """Know these from now on, those that can be found again. Raises GuardUnavailable where they are too many."""
        seen, new = self.seen, []
        for value in values:
            if value not in seen and value[0] not in _NOT_KEPT:
                new.append(value)
        if new:
            with self._lock:
                for value in new:
                    self._learn(value)

    def find(self, text: str, apart: Sequence[tuple[int, int]] = ()) -> list[Sighting]:
        """Where known values stand in a text, in order of place. Some may overlap. What stands in the spans `apart` is not looked at."""
        if not self._wanted:
            return []
        text = without(text, apart)
        few = self._few
        if few and len(few) * _LETTERS_A_WORD <= len(text) and text.isascii():
            lower = text.lower()
            for word in few:
                if word in lower:
                    break
            else:
                return []
        if len(text) <= _BLOCK:
            return self._found(Words(text))
        found: list[Sighting] = []
        for first in range(0, len(text), _BLOCK):
            block = text[first : first + _BLOCK + _OVERLAP]
            found += [
                seen._replace(start=seen.start + first, end=seen.end + first)
                for seen in self._found(Words(block))
                if seen.start < _BLOCK
            ]
        return found

    @classmethod
    def again(cls, values: Iterable[Value], text: str) -> list[Sighting]:
        """Where these values stand in a text, as `find` of one who knows nothing else. What does not stand there is not learned."""
        known = cls()
        if len(text) > _BLOCK:
            known.learn(values)
            return known.find(text)
        words = Words(text)
        there = set(words.words)
        known.learn([value for value in dict.fromkeys(values) if is_findable(value[0]) and _may_stand(value, there)])
        return known._found(words)

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
                found = min(found, words.start(with_initial(words, number)))
        return found + offset

    def _may_go_on(self, word: bytes, after: list[bytes]) -> bool:
        """Whether a known value may begin with this word, and with those after it not have ended yet."""
        if len(after) < self._rows.longest(word):
            return True
        alone = self._names.alone
        if word not in alone and len(word) > 1:
            return False
        return all(one in alone or one in MINOR or len(one) == 1 for one in after[:-1])

    def _learn(self, value: Value) -> None:
        entity_type, text = value
        words = words_of(text)
        if value in self.seen or not 0 < len(words) <= _MOST_WORDS:
            return
        if len(self.seen) >= self._limit:
            raise refused(
                f"more than {self._limit} known values in one session; begin a new session, or return fewer rows"
            )
        self.seen[value] = self._first(value, words)
        if self.seen[value] != text:
            return
        for spelling in (words,) if text.isascii() else {words, words_of(spelled_out(text))}:
            parts = parts_of(spelling) if entity_type == "PERSON" else None
            if parts is not None and len(parts) <= MOST_PARTS:
                self._names.learn(text, parts)
                self._wanted.update(parts)
            else:
                self._wanted.update(self._rows.learn(value, spelling))
        self._few = tuple([word.decode() for word in self._wanted]) if len(self._wanted) <= _FEW else ()

    def _first(self, value: Value, words: tuple[bytes, ...]) -> str:
        """The value of which this one is another spelling, or itself. `words`: its own."""
        entity_type, text = value
        found = self._names.first(words) if entity_type == "PERSON" else self._rows.first(entity_type, words)
        return text if found is None else found

    def _found(self, words: Words) -> list[Sighting]:
        if self._wanted.isdisjoint(words.words):
            return []
        text = words.text
        found: list[Sighting] = []
        done = -1
        numbers = words.among(self._wanted)
        lower = words.uncapitalised(numbers)
        anchors, alone = self._rows.anchors, self._names.alone
        for number in numbers:
            if words.words[number] in anchors:
                found += self._rows.at(words, number)
            if number > done and words.words[number] in alone:
                seen = self._names.at(words, number, lower)
                if seen is not None:
                    first, done, name = seen
                    start, end = words.start(first), words.end(done)
                    found.append(Sighting(start, end, "PERSON", name or text[start:end]))
        return found


def _may_stand(value: Value, there: Set[bytes]) -> bool:
    """Whether a value may be found among these words: a name or a place by any word of it, a number by its longest one."""
    entity_type, text = value
    words = words_of(text)
    if not text.isascii():
        return not (there.isdisjoint(words) and there.isdisjoint(words_of(spelled_out(text))))
    if entity_type in _BY_ANY_WORD or len(words) > MOST_PARTS:
        return not there.isdisjoint(words)
    longest = max(map(len, words), default=0)
    return b"".join(words) in there or any(word in there for word in words if len(word) == longest)


_BY_ANY_WORD = PLACES | {"PERSON"}


def is_findable(entity_type: str) -> bool:
    """Whether values of this type are worth knowing: not where their form gives them away, or many things share one."""
    return entity_type not in _NOT_KEPT


_NOT_KEPT = frozenset(
    "EMAIL_ADDRESS URL IP_ADDRESS JWT PRIVATE_KEY CRYPTO CITY STATE COUNTRY ZIP_CODE CVV BIC NRP ORGANIZATION".split()
)
_MOST_WORDS = 80
_FEW, _LETTERS_A_WORD = 12, 32
"""So few words, one for so many letters of a text, are looked for one by one: in less time than it takes to tell its words apart."""
_BLOCK, _OVERLAP = 262_144, 1_024
_UNFINISHED_REACH = 512
