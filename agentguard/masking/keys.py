"""What is said of a value by the name it stands under, and how to walk an object of which the same is said each time.

These are slotted classes and no tuples: they are read with every value, and to read a named tuple takes several times as long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any


@dataclass(frozen=True, slots=True)
class Key:
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

    `shapes`: the objects that were seen here, by their keys. `plans`: how to walk those that are a plain dict, by the keys and then
    the types of the values.
    """

    above: str = ""
    inherited: Key = NO_KEY
    states: frozenset[tuple[int, int]] = frozenset()
    personal: bool = False
    shapes: dict[tuple[Any, ...], Shape] = field(default_factory=dict, repr=False)
    plans: dict[tuple[Any, ...], Plan] = field(default_factory=dict, repr=False)


Said = tuple[Key, Scope]
"""What a key says, and the scope of what lies under it."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Shape:
    """The keys of an object, in order: what each says, and by number those that may themselves be personal.

    `label`: where the label of another value stands, and that value. `table`: where the names of columns stand, and their rows. `plain`:
    it has none of these. `rows`: how to walk its values in order, by their types; `dicts`: how to walk such a dict.
    """

    said: tuple[Said, ...]
    personal: tuple[int, ...]
    label: tuple[int, int] | None = None
    table: tuple[int, int] | None = None
    plain: bool = field(init=False)
    rows: dict[tuple[type, ...], Plan] = field(default_factory=dict)
    dicts: dict[tuple[type, ...], Plan] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "plain", not (self.personal or self.label or self.table))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Plan:
    """Which values of an object are text, which are numbers, and which may hold more, so that nobody asks each of them again.

    `names`: what the object is indexed with for each value. `slots` counts the texts, `texts` takes them out, `keys` and `scopes` are
    theirs, and `telling` are those whose key says what they are. Of a number and of what may hold more: its slot, its name, and what its
    key says. `tells`: whether a number's key says what it is.
    """

    names: tuple[Any, ...]
    slots: tuple[int, ...]
    texts: Callable[[Any], tuple[str, ...]]
    keys: tuple[Key, ...]
    scopes: tuple[Scope, ...]
    telling: tuple[int, ...]
    numbers: tuple[tuple[int, Any, Said], ...]
    tells: bool
    deeper: tuple[tuple[int, Any, Said], ...]


def planned(said: tuple[Said, ...], kinds: tuple[type, ...], names: tuple[Any, ...]) -> Plan:
    """How to walk an object whose keys say this and whose values are of these types."""
    every = list(zip(range(len(kinds)), names, said, kinds, strict=True))
    slots = tuple([slot for slot, _, _, kind in every if kind is str])
    numbers = tuple([(slot, name, its) for slot, name, its, kind in every if kind is int or kind is float])
    return Plan(
        names=names,
        slots=slots,
        texts=_taking([names[slot] for slot in slots]),
        keys=tuple([said[slot][0] for slot in slots]),
        scopes=tuple([said[slot][1] for slot in slots]),
        telling=tuple([at for at, slot in enumerate(slots) if said[slot][0].entity is not None]),
        numbers=numbers,
        tells=any(its[0].entity is not None for _, _, its in numbers),
        deeper=tuple([(slot, name, its) for slot, name, its, kind in every if kind not in _NEVER_DEEPER]),
    )


def _taking(names: Sequence[Any]) -> Callable[[Any], tuple[str, ...]]:
    """What takes the values with these names out of an object."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda container: tuple([container[name] for name in names])


_NEVER_DEEPER = frozenset({str, int, float, bool, type(None)})
