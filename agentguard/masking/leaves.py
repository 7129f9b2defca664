"""Any value as a list of text leaves, and back.

Rules:
- Walked: dict with its keys, list, tuple, set, deque and their subclasses, dataclasses, pydantic models, text, bytes, numbers,
  Decimal, date and time, UUID, Enum, paths, network addresses, exceptions. Anything else is refused: what can't be read can't
  be masked.
- Nothing recurses; depth and number of nodes are bounded, so a value that holds itself is refused, not followed.
- Put back, only containers around a changed leaf are new; all else is the very object that came in. Order and types stay.
- What an object shows of itself that none of its parts is (see `looks`) is searched too, and becomes text where it has to be masked.
- A number, a date or an Enum that was masked becomes text: the token has no other form. A number that became another stays one, and one
  that was taken out is None.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import ipaddress
import pathlib
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agentguard.masking.encodings import Reading, readings
from agentguard.masking.fields import Fields
from agentguard.masking.keys import NO_KEY, Key, Plan, Said, Scope, Shape
from agentguard.masking.leaf_texts import LONGEST_LABEL, column_name, number_or_text
from agentguard.masking.limits import Limits, refused
from agentguard.masking.looks import looks, plain_text, said_besides, shows_more
from agentguard.masking.raised import told_error
from agentguard.masking.remaking import Node, Place, put_back

_LISTS = frozenset({list, tuple})
_BYTES = frozenset({bytes, bytearray, memoryview})
_CONTAINERS = (Mapping, list, tuple, set, frozenset, deque)
_PASSED = (bool, type(None), complex, datetime.timedelta, datetime.tzinfo, type(Ellipsis), range)
_WRITTEN = (
    decimal.Decimal,
    uuid.UUID,
    pathlib.PurePath,
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    datetime.date,
    datetime.time,
)
_LONGEST_NUMBER = 4000
_TOO_SHORT = 1_000_000


class Walk:
    """The leaves of one value: `texts[i]` stands under `keys[i]`; `rebuilt({i: new text})` is the value with those in place.

    `scopes`: where stands what lies inside each text. `telling`: the leaves whose key says what they are. `shows_more`: something in it
    shows more of itself than its parts; walked `by_looks`, all that such an object shows stands in its place, and becomes text where
    it is changed.
    """

    def __init__(self, value: Any, fields: Fields, limits: Limits, *, by_looks: bool = False) -> None:
        self._value, self._fields, self._limits, self._by_looks = value, fields, limits, by_looks
        self._nodes: list[Node] = []
        self._places: list[Place] = []
        self._made: dict[int, Callable[[str], Any]] = {}
        self._pending: list[tuple[Any, int, int, int, Said]] = []
        self._characters = 0
        self._count = 1
        self.texts: list[str] = []
        self.keys: list[Key] = []
        self.scopes: list[Scope] = []
        self.telling: list[int] = []
        self.shows_more = False
        self._part(value, -1, 0, 0, (NO_KEY, fields.root))
        self._walk()
        characters = sum(map(len, self.texts))
        if characters > limits.characters:
            self._check_characters(characters)

    def rebuilt(self, texts: Mapping[int, str]) -> Any:
        """The value with the text of some leaves replaced; the same object where there are none."""
        return put_back(texts, self._places, self._nodes, self._made) if texts else self._value

    def _walk(self) -> None:
        pending, nodes = self._pending, self._nodes
        deepest, most = self._limits.depth, self._limits.nodes
        while pending:
            part, node, slot, depth, said = pending.pop()
            if type(part) is not dict:
                self._visit(part, node, slot, depth, said)
                continue
            plan = said[1].plans.get((*part, *map(type, part.values())))
            count = self._count + len(part)
            if plan is None or depth >= deepest or count > most:
                self._mapping(part, node, slot, depth, said[1])
                continue
            self._count = count
            nodes.append((part, node, slot, plan.names))
            self._planned(part, plan, len(nodes) - 1, depth + 1)

    def _visit(self, value: Any, node: int, slot: int, depth: int, said: Said) -> None:
        kind = type(value)
        if kind is str:
            self._leaf(value, node, slot, said)
        elif kind in _LISTS:
            self._sequence(value, node, slot, depth, said)
        elif kind is int or kind is float:
            self._number(value, node, slot, said)
        elif isinstance(value, _CONTAINERS):
            if not self._is_looked_at(value, node, slot, said):
                if isinstance(value, Mapping):
                    self._mapping(value, node, slot, depth, said[1])
                else:
                    self._sequence(value, node, slot, depth, said)
        elif not isinstance(value, _PASSED):
            self._rarer(value, node, slot, depth, said)

    def _rarer(self, value: Any, node: int, slot: int, depth: int, said: Said) -> None:
        if isinstance(value, enum.Enum):
            self._member(value, node, slot, said)
        elif isinstance(value, str):
            self._besides(value, plain_text(value), node, slot, said)
            self._leaf(plain_text(value), node, slot, said)
        elif isinstance(value, (int, float)):
            number = int.__pos__(value) if isinstance(value, int) else float.__pos__(value)
            self._besides(value, number, node, slot, said)
            self._number(number, node, slot, said)
        elif isinstance(value, (bytes, bytearray, memoryview)):
            self._bytes(value, node, slot, said)
        elif isinstance(value, _WRITTEN):
            if isinstance(value, pathlib.PurePath):
                self._made[len(self.texts)] = type(value)
            self._leaf(str(value), node, slot, said)
        elif isinstance(value, BaseException):
            self._leaf(told_error(value), node, slot, said)
        else:
            self._record(value, node, slot, depth, said)

    def _member(self, value: enum.Enum, node: int, slot: int, said: Said) -> None:
        """A member of an Enum: what it holds, and the text that it shows in its place."""
        held, shown = value.value, plain_text(str(value))
        if shown != str(held) and not shown.replace(".", "").isidentifier():
            self._leaf(shown, node, slot, said)
        if type(held) is int or type(held) is float:
            self._number(held, node, slot, said)
        elif not isinstance(held, _PASSED):
            self._leaf(plain_text(held) if isinstance(held, str) else repr(held), node, slot, said)

    def _bytes(self, value: bytes | bytearray | memoryview, node: int, slot: int, said: Said) -> None:
        raw = bytes(memoryview(value))
        if type(value) not in _BYTES:
            self._besides(value, raw, node, slot, said)
        made = bytearray if isinstance(value, bytearray) else bytes
        for reading in readings(raw):
            self._made[len(self.texts)] = _encoder(made, reading)
            self._leaf(reading.text, node, slot, said)

    def _besides(self, value: Any, plain: Any, node: int, slot: int, said: Said) -> None:
        """What an object shows in place of its content, which becomes text where that is changed."""
        for text in said_besides(value, plain):
            self._leaf(text, node, slot, (NO_KEY, said[1]))

    def _is_looked_at(self, value: Any, node: int, slot: int, said: Said) -> bool:
        """Whether an object that shows more than its parts is taken by its looks."""
        kind: type = type(value)
        if not shows_more(kind):
            return False
        self.shows_more = True
        if self._by_looks:
            for text in looks(value):
                self._leaf(text, node, slot, (NO_KEY, said[1]))
        return self._by_looks

    def _leaf(self, text: str, node: int, slot: int, said: Said) -> None:
        self._characters += len(text)
        self._check_characters(self._characters)
        first = len(self.texts)
        if said[0].entity is not None:
            self.telling.append(first)
        self._places.append((first, node, (slot,)))
        self.texts.append(text)
        self.keys.append(said[0])
        self.scopes.append(said[1])

    def _check_characters(self, characters: int) -> None:
        if characters > self._limits.characters:
            raise refused(f"more than {self._limits.characters} characters in one value")

    def _number(self, value: int | float, node: int, slot: int, said: Said) -> None:
        """Numbers too short to be anything are left out, unless their field says what they are."""
        if said[0].entity is None and -_TOO_SHORT < value < _TOO_SHORT:
            return
        if isinstance(value, int) and value.bit_length() > _LONGEST_NUMBER:
            raise refused("an integer of more than a thousand digits")
        self._made[len(self.texts)] = number_or_text
        self._leaf(repr(value), node, slot, said)

    def _opened(self, value: Any, node: int, slot: int, depth: int, parts: tuple[Any, ...]) -> int:
        """The number of a container whose parts are looked at next; they count before they are touched."""
        self._count += len(parts)
        if depth >= self._limits.depth:
            raise refused(f"nested deeper than {self._limits.depth} levels, or holding itself")
        if self._count > self._limits.nodes:
            raise refused(f"more than {self._limits.nodes} values in one, or one that holds itself")
        nodes = self._nodes
        nodes.append((value, node, slot, parts))
        return len(nodes) - 1

    def _mapping(self, value: Mapping[Any, Any], node: int, slot: int, depth: int, scope: Scope) -> None:
        """Slots of a mapping: the value of key i is at i, the key itself at -1 - i."""
        names = tuple(value)
        at = self._opened(value, node, slot, depth, names)
        shape = self._fields.shape(scope, names)
        parts = tuple(value.values())
        if shape.plain and type(value) is dict:
            self._planned(value, self._fields.dict_plan(scope, shape, names, tuple(map(type, parts))), at, depth + 1)
            return
        if shape.label is not None:
            shape = self._labelled(shape, parts, scope)
        if shape.table is not None:
            parts = self._table(parts, shape.table, at, depth + 1, scope)
        self._row(parts, shape, at, depth + 1)
        for i in shape.personal:
            self._part(names[i], at, -1 - i, depth + 1, (NO_KEY, scope))

    def _labelled(self, shape: Shape, parts: tuple[Any, ...], scope: Scope) -> Shape:
        """The shape of `{"key": "phone", "value": ...}`: the label says what the value is."""
        at = shape.label
        label = parts[at[0]] if at is not None else None
        if at is None or not isinstance(label, str) or len(label) > LONGEST_LABEL:
            return shape
        said = self._fields.labelled(scope, shape.said, at, plain_text(label))
        return shape if said is shape.said else Shape(said=said, personal=shape.personal)

    def _table(
        self, parts: tuple[Any, ...], at: tuple[int, int], node: int, depth: int, scope: Scope
    ) -> tuple[Any, ...]:
        """Walk the rows of a table under the names of its columns; the parts without them."""
        columns, rows = parts[at[0]], parts[at[1]]
        if type(columns) not in _LISTS or type(rows) not in _LISTS:
            return parts
        names = tuple([column_name(column) for column in columns])
        if not all(names) or not names:
            return parts
        shape = self._fields.shape(scope, names)
        under = self._opened(rows, node, at[1], depth, tuple(rows))
        for i, row in enumerate(rows):
            if type(row) in _LISTS and len(row) == len(names):
                self._row(tuple(row), shape, self._opened(row, under, i, depth + 1, tuple(row)), depth + 2)
            else:
                self._part(row, under, i, depth + 1, (NO_KEY, scope))
        return (*parts[: at[1]], None, *parts[at[1] + 1 :])

    def _sequence(self, value: Iterable[Any], node: int, slot: int, depth: int, said: Said) -> None:
        parts = tuple(value)
        at = self._opened(value, node, slot, depth, parts)
        names = None if type(value) is list else getattr(type(value), "_fields", None)
        if names is not None and isinstance(value, tuple):
            self._row(parts, self._fields.shape(said[1], names), at, depth + 1)
            return
        pending = self._pending
        for i, inner in enumerate(parts):
            if type(inner) is str:
                self._leaf(inner, at, i, said)
            else:
                pending.append((inner, at, i, depth + 1, said))

    def _record(self, value: Any, node: int, slot: int, depth: int, said: Said) -> None:
        """A dataclass or a pydantic model: its fields are keys."""
        names = record_fields(value)
        if names is None:
            raise refused(
                f"a value of type {type(value).__name__} can't be read; return text, numbers, lists, dicts or models"
            )
        if self._is_looked_at(value, node, slot, said):
            return
        at = self._opened(value, node, slot, depth, names)
        parts = tuple([getattr(value, name) for name in names])
        self._row(parts, self._fields.shape(said[1], names), at, depth + 1)

    def _row(self, parts: tuple[Any, ...], shape: Shape, node: int, depth: int) -> None:
        self._planned(parts, self._fields.row_plan(shape, tuple(map(type, parts))), node, depth)

    def _planned(self, container: Any, plan: Plan, node: int, depth: int) -> None:
        """Text is a leaf at once, what says nothing is passed over, and whatever may hold more waits its turn."""
        if plan.slots:
            texts = self.texts
            first = len(texts)
            for at in plan.telling:
                self.telling.append(first + at)
            self._places.append((first, node, plan.slots))
            texts += plan.texts(container)
            self.keys += plan.keys
            self.scopes += plan.scopes
        for slot, name, said in plan.numbers:
            if plan.tells or not -_TOO_SHORT < container[name] < _TOO_SHORT:
                self._number(container[name], node, slot, said)
        for slot, name, said in plan.deeper:
            self._pending.append((container[name], node, slot, depth, said))

    def _part(self, value: Any, node: int, slot: int, depth: int, said: Said) -> None:
        if type(value) is str:
            self._leaf(value, node, slot, said)
        else:
            self._pending.append((value, node, slot, depth, said))


def _encoder(made: type[bytes] | type[bytearray], reading: Reading) -> Callable[[str], bytes | bytearray]:
    return lambda new: made(reading.encoded(new))


def record_fields(value: Any) -> tuple[str, ...] | None:
    """The names of the fields of a dataclass or a pydantic model; None for anything else."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return tuple(field.name for field in dataclasses.fields(value) if hasattr(value, field.name))
    if isinstance(getattr(type(value), "model_fields", None), dict):
        return (*type(value).model_fields, *(getattr(value, "model_extra", None) or ()))
    return None
