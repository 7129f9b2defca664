"""What people have let run before: to which recipients, and with which amounts. Shown to those who decide; nothing is decided by it.

Rules:
- only calls that people approved are learned, so a flood of refused ones makes nothing usual;
- a recipient is kept as a keyed digest; amounts are kept as numbers, the last AMOUNTS_KEPT of each argument;
- bounded: RECIPIENTS_KEPT of each tool, and all of it lapses KEPT_MS after the last approval.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from statistics import median

from agentguard.model.canonical import canonical_json
from agentguard.store.names import Names
from agentguard.store.redis import Connection, Part

RECIPIENTS_KEPT = 10_000
AMOUNTS_KEPT = 50
AMOUNTS_NEEDED = 5
"""So many earlier amounts make a usual one."""

KEPT_MS = 180 * 24 * 3600 * 1000
_NUMBER = re.compile(rb"-?[0-9]{1,40}(\.[0-9]{1,40})?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Traits:
    """What of a call is compared with earlier ones: values of recipients and amounts, by the name of their argument."""

    tool: str
    recipients: Mapping[str, tuple[str, ...]]
    amounts: Mapping[str, Decimal]


@dataclass(frozen=True, kw_only=True, slots=True)
class Usual:
    """How a call compares: whether people approved its tool before, which arguments hold a new recipient, and usual amounts."""

    is_first: bool = False
    new: frozenset[str] = frozenset()
    amounts: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Habits:
    """The habits of one tenant. Each coroutine is one round trip, and raises GuardUnavailable."""

    names: Names
    key: bytes = field(repr=False)

    async def compare(self, connection: Connection, traits: Traits) -> Usual:
        """How a call compares with those that people approved before."""
        marks = self._marks(traits)
        recipients = self.names.recipients(traits.tool)
        reads: list[Sequence[Part]] = [("EXISTS", recipients)]
        reads += [("ZMSCORE", recipients, *found) for found in marks.values()]
        reads += [("LRANGE", self.names.usual(traits.tool, name), 0, AMOUNTS_KEPT - 1) for name in traits.amounts]
        known, *rest = await connection.pipeline(reads)
        scores, amounts = rest[: len(marks)], rest[len(marks) :]
        earlier = {
            name: numbers
            for name, found in zip(traits.amounts, amounts, strict=True)
            if len(numbers := [Decimal(one.decode()) for one in found if _NUMBER.fullmatch(one)]) >= AMOUNTS_NEEDED
        }
        return Usual(
            is_first=not known,
            new=frozenset(name for name, found in zip(marks, scores, strict=True) if known and None in found),
            amounts={name: median(found) for name, found in earlier.items()},
        )

    async def learn(self, connection: Connection, traits: Traits, now_ms: int) -> None:
        """People approved this call."""
        recipients = self.names.recipients(traits.tool)
        marks = {mark for found in self._marks(traits).values() for mark in found} | {self._mark(traits.tool, "", "")}
        steps: list[Sequence[Part]] = [
            ("ZADD", recipients, *(part for mark in sorted(marks) for part in (now_ms, mark))),
            ("ZREMRANGEBYRANK", recipients, 0, -RECIPIENTS_KEPT - 1),
            ("PEXPIRE", recipients, KEPT_MS),
        ]
        for name, amount in traits.amounts.items():
            key = self.names.usual(traits.tool, name)
            steps += [("LPUSH", key, str(amount)), ("LTRIM", key, 0, AMOUNTS_KEPT - 1), ("PEXPIRE", key, KEPT_MS)]
        await connection.pipeline(steps)

    def _marks(self, traits: Traits) -> dict[str, list[bytes]]:
        return {
            name: [self._mark(traits.tool, name, value) for value in values]
            for name, values in traits.recipients.items()
            if values
        }

    def _mark(self, tool: str, name: str, value: str) -> bytes:
        text = canonical_json([tool, name, value.strip().casefold()])
        return hmac.digest(self.key, text.encode(), "sha256")[:16]
