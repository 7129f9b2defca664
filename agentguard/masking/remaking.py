"""Containers with some of their parts replaced: of the same type, in the same order, and all other parts the same objects."""

from __future__ import annotations

import copy
import dataclasses
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Node = tuple[Any, int, int, tuple[Any, ...]]
"""A container, its own container's number and the slot there, and its parts in order (a dict's keys, for a dict)."""

Place = tuple[int, int, tuple[int, ...]]
"""The number of the first leaf of some that stand in one container, the container's number, and their slots there."""


def put_back(
    texts: Mapping[int, str],
    places: Sequence[Place],
    nodes: Sequence[Node],
    made: Mapping[int, Callable[[str], Any]],
) -> Any:
    """The outermost container with the texts of some leaves replaced, at least one. `made`: what the text of a leaf is made into."""
    changes: dict[int, dict[int, Any]] = {}
    first = end = 0
    slots: tuple[int, ...] = ()
    inside: dict[int, Any] = {}
    for index, text in texts.items():
        if not first <= index < end:
            first, node, slots = places[bisect_left(places, (index + 1,)) - 1]
            end = first + len(slots)
            inside = changes.setdefault(node, {})
        inside[slots[index - first]] = made[index](text) if index in made else text
    for number in range(max(changes), -1, -1):
        if number in changes:
            value, parent, slot, parts = nodes[number]
            changes.setdefault(parent, {})[slot] = remade(value, parts, changes[number])
    return changes[-1][0]


def remade(value: Any, parts: tuple[Any, ...], changes: dict[int, Any]) -> Any:
    """A copy of a container with new parts by slot. `parts`: its items; the keys of a mapping, the field names of a record.

    The value of a mapping's key i has slot i, the key itself slot -1 - i.
    """
    if type(value) is dict and min(changes) >= 0:
        made = value.copy()
        for slot, new in changes.items():
            made[parts[slot]] = new
        return made
    if isinstance(value, Mapping):
        return _remade_mapping(value, parts, changes)
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        items = list(parts)
        for slot, new in changes.items():
            items[slot] = new
        return _remade_sequence(value, items)
    return _remade_record(value, {parts[slot]: new for slot, new in changes.items()})


def _remade_mapping(value: Mapping[Any, Any], names: tuple[Any, ...], changes: dict[int, Any]) -> Any:
    made: dict[Any, Any] = {}
    for i, (name, inner) in enumerate(zip(names, value.values(), strict=True)):
        new_name = changes.get(-1 - i, name)
        made[_free(new_name, made) if new_name is not name else name] = changes.get(i, inner)
    if type(value) is dict or not hasattr(value, "clear"):
        return made
    emptied: Any = copy.copy(value)
    emptied.clear()
    emptied.update(made)
    return emptied


def _free(name: Any, made: Mapping[Any, Any]) -> Any:
    """Two keys that were masked to one text keep apart."""
    number, free = 2, name
    while free in made:
        free, number = f"{name} ({number})", number + 1
    return free


def _remade_sequence(value: Any, parts: list[Any]) -> Any:
    if type(value) is list:
        return parts
    if hasattr(value, "_make"):
        return value._make(parts)
    if isinstance(value, deque):
        return type(value)(parts, value.maxlen)
    return type(value)(parts)


def _remade_record(value: Any, changes: dict[str, Any]) -> Any:
    if dataclasses.is_dataclass(value):
        made = copy.copy(value)
        for name, new in changes.items():
            object.__setattr__(made, name, new)
        return made
    return value.model_copy(update=changes)
