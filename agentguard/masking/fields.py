"""What the name of a field says about its value, given the keys above it and beside it.

Rules:
- Some names are enough (`full_name`, `iban`). A role (`assignee`) needs a value that looks like a name.
- A bare `name` is a person's if the key above it is a person's or the keys beside it are what people have; not where they are what
  files, tools, products or companies have.
- City and postal code count only where a person or an address is told of; parts of a name or an address where the key above says so.
- A `value` is what the key above it says, or the label beside it.
- What policy names, by path, comes first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from agentguard.masking import words as known
from agentguard.masking.phrases import Kind, Meaning, is_of_people, label_of, meaning_of, split, table_of


class Key(NamedTuple):
    """What a field's name says: `entity` of the whole value (None: nothing), and its words as context.

    `shaped`: only where the value looks like it: a person's name, a secret drawn at random. `policy`: named by the operator, no
    questions asked.
    `under`: which of the paths of actions lead here, by number.
    """

    entity: str | None = None
    words: str = ""
    shaped: bool = False
    policy: bool = False
    under: tuple[int, ...] = ()


NO_KEY = Key()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scope:
    """Where in a value a key stands: what the keys above it said, and how far the policy's paths are matched.

    `shapes`: the objects that were seen here, by their keys.
    """

    above: str = ""
    inherited: Key = NO_KEY
    states: frozenset[tuple[int, int]] = frozenset()
    personal: bool = False
    shapes: dict[tuple[Any, ...], Shape] = field(default_factory=dict, repr=False)


Said = tuple[Key, Scope]
"""What a key says, and the scope of what lies under it."""


class Shape(NamedTuple):
    """The keys of an object, in order: what each says, and by number those that may themselves be personal.

    `plans`: how to walk such an object, by the types of its values. `label`: where the label of another value stands, and that value.
    `table`: where the names of columns stand, and their rows.
    """

    said: tuple[Said, ...]
    personal: tuple[int, ...]
    plans: dict[tuple[type, ...], Plan]
    label: tuple[int, int] | None = None
    table: tuple[int, int] | None = None


class Plan(NamedTuple):
    """Which values of an object are text, which are numbers, and which may hold more, so that nobody asks each of them again.

    `texts` says it for every value, `slots` counts the texts, `said` is theirs, and `telling` are those whose key says what
    they are.
    """

    texts: tuple[bool, ...]
    slots: tuple[int, ...]
    said: tuple[Said, ...]
    telling: tuple[int, ...]
    numbers: tuple[int, ...]
    deeper: tuple[int, ...]


class _Around(NamedTuple):
    """What an object as a whole tells."""

    personal: bool
    located: bool
    named: bool


class Fields:
    """Reads keys.

    `paths`: globs of dotted paths to entity types, as in the policy's `masking.fields`. `marked`: more globs; a key says which of them
    lead to it. `*` is one key, `**` any number; list indexes are no part of a path; keys are compared as they are written.
    """

    def __init__(self, paths: Mapping[str, str] | None = None, marked: Sequence[str] = ()) -> None:
        named = [(tuple(path.split(".")), entity) for path, entity in (paths or {}).items()]
        globs = [*named, *((tuple(path.split(".")), None) for path in marked)]
        self._globs: list[tuple[tuple[str, ...], str | None]] = globs
        self._named = len(named)
        self._shapes = 0
        self.root = Scope(states=self._closed((index, 0) for index in range(len(globs))))

    def keys(self, scope: Scope, names: tuple[Any, ...]) -> tuple[Said, ...]:
        """For the keys of one object, in order: what each says. A key that is no text says nothing."""
        return self.shape(scope, names).said

    def shape(self, scope: Scope, names: tuple[Any, ...]) -> Shape:
        """All that the keys of one object tell."""
        found = scope.shapes.get(names)
        if found is None:
            said = self._read(scope, tuple([str(name) if isinstance(name, str) else "" for name in names]))
            personal = tuple([i for i, name in enumerate(names) if _may_be_personal(name)])
            written = names if all(type(name) is str for name in names) else ()
            found = Shape(said, personal, {}, label_of(written), table_of(written))
            if len(names) <= _CACHED_KEYS:
                self._keep(scope, names, found)
        return found

    def labelled(self, scope: Scope, said: tuple[Said, ...], at: tuple[int, int], label: str) -> tuple[Said, ...]:
        """What an object's keys say, where the value at `at[1]` is what the label at `at[0]` calls it."""
        [its] = self.keys(scope, (label,))
        if its[0].entity is None or said[at[1]][0].policy:
            return said
        changed = list(said)
        changed[at[1]] = its
        changed[at[0]] = (NO_KEY, said[at[0]][1])
        return tuple(changed)

    def plan(self, shape: Shape, kinds: tuple[type, ...]) -> Plan:
        """How to walk an object of this shape whose values have these types."""
        found = shape.plans.get(kinds)
        if found is None:
            found = _planned(shape.said, kinds)
            if len(kinds) <= _CACHED_KEYS and len(shape.plans) < _CACHED_PLANS:
                shape.plans[kinds] = found
        return found

    def _keep(self, scope: Scope, names: tuple[Any, ...], shape: Shape) -> None:
        """Shapes hang on the scopes of shapes: where the first are let go, all are."""
        if self._shapes >= _CACHED_SHAPES:
            self.root.shapes.clear()
            self._shapes = 0
        self._shapes += 1
        scope.shapes[names] = shape

    def unsettled(self, scope: Scope, name: str) -> Key | None:
        """What a key says among keys of people, where it would say something else among those of things; else None."""
        most, least = self.keys(scope, (name, *_OF_PEOPLE))[0][0], self.keys(scope, (name, *_OF_THINGS))[0][0]
        return most if most != least else None

    def _read(self, scope: Scope, names: tuple[str, ...]) -> tuple[Said, ...]:
        phrases = [split(name) for name in names]
        meanings = [meaning_of(phrase) for phrase in phrases]
        around = _around(scope, phrases, meanings)
        said: dict[str, Said] = {}  # in lines of `key=value` the same few names come again and again
        for name, phrase, meaning in zip(names, phrases, meanings, strict=True):
            if name not in said:
                said[name] = self._said(scope, name, phrase, meaning, around)
        return tuple([said[name] for name in names])

    def _said(self, scope: Scope, name: str, phrase: str, meaning: Meaning, around: _Around) -> Said:
        key, states = _key(scope, phrase, meaning, around), scope.states
        if states:
            states = self._stepped(states, name)
            key = self._ruled(key, phrase, states)
        above = phrase if meaning.kind is not Kind.VALUE else scope.above
        personal = around.personal or (scope.personal and scope.inherited.entity == "ADDRESS")
        return key, Scope(above=above, inherited=key, states=states, personal=personal)

    def _ruled(self, key: Key, phrase: str, states: frozenset[tuple[int, int]]) -> Key:
        """The key as policy's paths have it that end here."""
        ends = [index for index, at in sorted(states) if at == len(self._globs[index][0])]
        entity = next((self._globs[index][1] for index in ends if index < self._named), None)
        key = key if entity is None else Key(entity, phrase, policy=True)
        under = tuple([index - self._named for index in ends if index >= self._named])
        return key if key.under == under else key._replace(under=under)

    def _closed(self, states: Iterable[tuple[int, int]]) -> frozenset[tuple[int, int]]:
        """States with those that follow without a key: `**` may stand for nothing."""
        closed = set(states)
        pending = list(closed)
        while pending:
            index, at = pending.pop()
            glob = self._globs[index][0]
            if at < len(glob) and glob[at] == "**" and (index, at + 1) not in closed:
                closed.add((index, at + 1))
                pending.append((index, at + 1))
        return frozenset(closed)

    def _stepped(self, states: frozenset[tuple[int, int]], name: str) -> frozenset[tuple[int, int]]:
        following: list[tuple[int, int]] = []
        for index, at in states:
            glob = self._globs[index][0]
            if at == len(glob):
                continue
            if glob[at] == "**":
                following.append((index, at))
            elif glob[at] in ("*", name):
                following.append((index, at + 1))
        return self._closed(following)


_CACHED_KEYS = 64
"""Objects with more keys than this are read anew each time."""

_CACHED_SHAPES = 2048
_CACHED_PLANS = 64
_NEVER_DEEPER = frozenset({str, int, float, bool, type(None)})


def _planned(said: tuple[Said, ...], kinds: tuple[type, ...]) -> Plan:
    slots = tuple(slot for slot, kind in enumerate(kinds) if kind is str)
    theirs = tuple(said[slot] for slot in slots)
    numbers = tuple(slot for slot, kind in enumerate(kinds) if kind is int or kind is float)
    return Plan(
        texts=tuple(kind is str for kind in kinds),
        slots=slots,
        said=theirs,
        telling=tuple(at for at, (key, _) in enumerate(theirs) if key.entity is not None),
        numbers=numbers,
        deeper=tuple(slot for slot, kind in enumerate(kinds) if kind not in _NEVER_DEEPER),
    )


def _may_be_personal(name: Any) -> bool:
    """Most keys are names of fields: only those with a mark or a digit in them can hold what a pattern finds."""
    return type(name) is not str or _PLAIN_NAME.match(name) is None


_PLAIN_NAME = re.compile(r"[^\W\d]{1,30}\Z")


_OF_PEOPLE = ("ssn", "address", "first name", "last name")
_OF_THINGS = ("commit", "branch", "schema")


def _key(scope: Scope, phrase: str, meaning: Meaning, around: _Around) -> Key:
    """The one place where a field's own words and what stands around it come together."""
    kind, entity = meaning
    inherited = scope.inherited.entity
    if kind is Kind.VALUE:
        return scope.inherited._replace(words=f"{scope.inherited.words} {phrase}".strip())
    if kind is Kind.NOTHING:
        return Key(None, phrase)
    counts, shaped = True, False
    match kind:
        case Kind.SURE:
            counts = around.personal or entity not in _ONLY_OF_PEOPLE or (entity == "GPS" and scope.personal)
        case Kind.ROLE | Kind.SECRET:
            shaped = True
        case Kind.TITLE:
            shaped = not around.personal
        case Kind.NAME:
            shaped = not around.personal and inherited == "ADDRESS"
            over = scope.above.rpartition(" ")[2]
            counts = around.personal or (inherited in ("PERSON", "ADDRESS") and over not in known.ALSO_THINGS)
        case Kind.PLACE:
            counts = around.located
        case Kind.NAME_PART:
            counts = around.named
        case Kind.ADDRESS_PART:
            entity = entity if inherited == "ADDRESS" else _number_of(scope.above, phrase)
            counts = entity is not None
    return Key(entity, phrase, shaped=shaped) if counts else Key(None, phrase)


def _number_of(above: str, phrase: str) -> str | None:
    """What a `number` is under a key: `{"account": {"number": ...}}` has an account number."""
    whole = meaning_of(f"{above} number") if above and phrase in known.NUMBERS else None
    return whole.entity if whole is not None and whole.kind is Kind.SURE else None


_ONLY_OF_PEOPLE = frozenset({"GPS", "TAX_ID", "BIC"})
"""What companies and places have as well."""


def _around(scope: Scope, phrases: Sequence[str], meanings: Sequence[Meaning]) -> _Around:
    personal = _is_personal(scope.above, phrases, meanings)
    located = personal or scope.inherited.entity == "ADDRESS" or any(one == _ADDRESS for one in meanings)
    parts = sum(one.kind is Kind.NAME_PART for one in meanings)
    over = scope.inherited.entity == "PERSON" or scope.above.rpartition(" ")[2] in known.NAMES
    return _Around(personal, located, over or parts >= 2 or (parts > 0 and personal))


_ADDRESS = Meaning(Kind.SURE, "ADDRESS")


_SERIES = frozenset({"metric", "metrics", "label", "labels", "tags"})
"""What names of jobs and instances stand under."""


def _is_personal(above: str, phrases: Sequence[str], meanings: Sequence[Meaning]) -> bool:
    """Whether an object with these keys, under that key, tells of a person."""
    sure = [entity for kind, entity in meanings if kind is Kind.SURE]
    if any(entity in known.STRONG for entity in sure):
        return True
    things = sum(phrase in known.THINGS for phrase in phrases) + (above.rpartition(" ")[2] in _SERIES)
    people = sum(entity in known.PERSONAL for entity in sure)
    people += sum(phrase in known.PERSONAL_WORDS for phrase in phrases)
    over = above.rpartition(" ")[2]
    things += 2 if over in known.OBJECTS or over.removesuffix("s") in known.OBJECTS else 0
    if above != "" and is_of_people(above.split(" ")):
        return over not in known.ALSO_THINGS or people >= things
    return people > things
