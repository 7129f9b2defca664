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
from dataclasses import replace
from typing import Any, NamedTuple

from agentguard.masking import words as known
from agentguard.masking.keys import NO_KEY, Key, Plan, Said, Scope, Shape, planned
from agentguard.masking.looks import plain_text
from agentguard.masking.phrases import Kind, Meaning, is_of_people, label_of, meaning_of, split, table_of


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
        self._kept = 0
        self.root = Scope(states=self._closed((index, 0) for index in range(len(globs))))

    def keys(self, scope: Scope, names: tuple[Any, ...]) -> tuple[Said, ...]:
        """For the keys of one object, in order: what each says. A key that is no text says nothing."""
        return self.shape(scope, names).said

    def shape(self, scope: Scope, names: tuple[Any, ...]) -> Shape:
        """All that the keys of one object tell."""
        found = scope.shapes.get(names)
        if found is None:
            # Keys that are equal have one shape, so only what is equal in them is read: a member of an Enum shows its own name as well.
            written = tuple([plain_text(name) if isinstance(name, str) else "" for name in names])
            personal = tuple([i for i, name in enumerate(names) if _may_be_personal(name)])
            found = Shape(
                said=self._read(scope, written),
                personal=personal,
                label=label_of(written),
                table=table_of(written),
            )
            if len(names) <= _CACHED_KEYS:
                self._make_room()
                scope.shapes[names] = found
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

    def row_plan(self, shape: Shape, kinds: tuple[type, ...]) -> Plan:
        """How to walk a row of values of these types, under the keys of this shape."""
        found = shape.rows.get(kinds)
        if found is None:
            found = planned(shape.said, kinds, tuple(range(len(kinds))))
            if len(kinds) <= _CACHED_KEYS and len(shape.rows) < _CACHED_PLANS:
                self._make_room()
                shape.rows[kinds] = found
        return found

    def dict_plan(self, scope: Scope, shape: Shape, names: tuple[str, ...], kinds: tuple[type, ...]) -> Plan:
        """How to walk a dict with these keys, all of them plain, whose values have these types. It is at `scope.plans` from now on."""
        found = shape.dicts.get(kinds)
        if found is None:
            found = planned(shape.said, kinds, names)
            if len(kinds) <= _CACHED_KEYS and len(shape.dicts) < _CACHED_PLANS:
                self._make_room()
                scope.plans[(*names, *kinds)] = shape.dicts[kinds] = found
        return found

    def _make_room(self) -> None:
        """For one more shape or plan. They hang on the scopes of shapes: where the first are let go, all are."""
        if self._kept >= _CACHED:
            self.root.shapes.clear()
            self.root.plans.clear()
            self._kept = 0
        self._kept += 1

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
        return key if key.under == under else replace(key, under=under)

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

_CACHED = 4096
"""Shapes and plans that are kept in all; a plan of many keys takes some kilobytes."""

_CACHED_PLANS = 64


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
        return replace(scope.inherited, words=f"{scope.inherited.words} {phrase}".strip())
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
