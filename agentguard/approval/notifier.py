"""Who is told what happens to requests: the form that every channel has, and which places a request goes to.

Rules that each notifier keeps (`agentguard.testing.NotifierContract` tries them):
- `tell` makes the place say what the request is *now*: told twice, or late, it says the same;
- it raises NotDelivered where it should be tried again, and nothing else for what happens outside this process;
- of a request it tells what its face shows (`agentguard.cards.face_of`), which is masked and escaped, and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from agentguard.model.approvals import BESIDE, State
from agentguard.model.record import Record

if TYPE_CHECKING:
    from agentguard.approval.showing import Shown  # which needs Redis

Kind = Literal[
    "request.opened",
    "request.undelivered",
    "request.reminded",
    "request.escalated",
    "request.changed",
    "request.ended",
    "request.finished",
]
"""`undelivered`: a place that was to be told could not be, so others are. `changed` is for places that show a request as it is now."""

CALLS_PEOPLE: frozenset[Kind] = frozenset({"request.opened", "request.undelivered", "request.escalated"})
"""Turns by which a place first hears of a request; it is then told of the others."""


class Turn(Record):
    """Something that happened to a request and that others are told."""

    kind: Kind
    request: str
    state: State
    time_ms: int

    @property
    def urges(self) -> bool:
        """Whether it only asks people to decide: of a request that is decided by now it tells nothing."""
        return self.kind in _URGING

    @property
    def message_id(self) -> str:
        """The same for every attempt, and for every other server that tells it."""
        of = f"_{self.kind.removeprefix('request.')}_{self.time_ms}" if self.kind in _SEVERAL else ""
        return f"msg_{self.request}_{self.state}{of}"


_URGING: frozenset[Kind] = frozenset({"request.undelivered", "request.reminded", "request.escalated"})
_SEVERAL: frozenset[Kind] = _URGING | {"request.changed"}
"""Turns of which one request in one state may have several."""


class NotDelivered(Exception):
    """An attempt failed. The message says how, without an address or a byte of the reply. `gone`: trying again is useless."""

    def __init__(self, message: str, *, gone: bool = False) -> None:
        super().__init__(message)
        self.gone = gone


@runtime_checkable
class Notifier(Protocol):
    """A channel that is told."""

    def wants(self, turn: Turn) -> bool:
        """Whether it is told of this turn."""
        ...

    async def tell(self, turn: Turn, shown: Shown) -> None:
        """Tell it. Raises NotDelivered."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A notifier, and what it is called.

    `name` is policy's: the kind, and behind a colon the name of one among several (`slack`, `webhook:ops`). `id` is the same on every
    server that tells this place, and stands for it in Redis. `where` is for people. None of them holds a secret.
    """

    name: str
    id: str
    where: str
    notifier: Notifier

    @property
    def is_named(self) -> bool:
        """Whether it is told only of what policy sends there by name."""
        return ":" in self.name


def routed(names: Collection[str], places: Sequence[Place]) -> tuple[Sequence[Place], frozenset[str]]:
    """The places that a request goes to, and the names for which there is none. `names`: policy's; empty for those without a name.

    A request that would go nowhere, or to fewer places than policy says, goes to those without a name too.
    """
    missing = frozenset(names) - {BESIDE} - {place.name for place in places}
    beside = not names or BESIDE in names or bool(missing)
    return [place for place in places if place.name in names or (beside and not place.is_named)], missing
