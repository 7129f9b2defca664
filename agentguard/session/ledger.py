"""What calls have used of their limits: amounts and calls in a window, and the subjects that results have shown.

Rules:
- each move is one script over all limits of a call, on Redis's clock, so calls at the same time can't use more together than there is;
- what a call would take is held before people are asked, and lapses LEASE_MS after its last renewal; what is spent stays spent;
- subjects are told apart by keyed digests, which are alike in every session of the tenant.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from agentguard.errors import GuardUnavailable
from agentguard.model.canonical import canonical_json
from agentguard.model.limits import Charge, IfOver
from agentguard.model.tokens import Token
from agentguard.session.sessions import TTL_MS
from agentguard.store.names import Names
from agentguard.store.redis import Connection, Part
from agentguard.store.scripts import script_of

LEASE_MS = 30_000
"""How long what a call holds counts without being renewed."""

BUCKETS = 60
"""In how many parts a window is counted: what was spent counts up to a sixtieth of the window longer."""

_DIGEST_BYTES = 16


_CHARGE, _COUNT = script_of("agentguard.session", "charge"), script_of("agentguard.session", "count")


class Goal(StrEnum):
    """What a charge is to become."""

    HOLD = "hold"
    SPEND = "spend"


class Charged(NamedTuple):
    """What became of a call's charges, and the limits that it would go over."""

    word: str
    over: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """The limits of one tenant. `key` is for the digests of subjects. Each coroutine is one round trip, and raises GuardUnavailable."""

    names: Names
    key: bytes = field(repr=False)
    lease_ms: int = LEASE_MS
    session_ms: int = TTL_MS

    async def charge(
        self, connection: Connection, goal: Goal, charges: Sequence[Charge], *, hold: str, call: str
    ) -> Charged:
        """Spend or hold what a call takes. `hold` names what is held for it; `call` is a digest of the call.

        The word is "spent", "held" (all that has room) or "refused" (nothing is).
        """
        arguments: list[Part] = [hold, goal.value, self.lease_ms]
        for each in charges:
            what = "subjects" if each.subjects else "amounts"
            arguments += [
                what,
                _if_over(each),
                *each.amount,
                *each.most,
                each.window_ms,
                _bucket_ms(each),
                self._keep_ms(each),
            ]
        reply = await connection.run(_CHARGE, self._keys(charges, call), arguments)
        return _read(reply, charges)

    async def count(
        self, connection: Connection, charges: Sequence[Charge], tokens: Iterable[Token], *, call: str
    ) -> Charged:
        """Count the subjects among a result's tokens, for limits on subjects. The word is "counted" or "withheld" (none was)."""
        found = list(tokens)
        arguments: list[Part] = []
        for each in charges:
            subjects = self._subjects(found, each.subjects)[: each.most.whole + 1]  # one too many is enough to know
            arguments += [
                _if_over(each),
                each.most.whole,
                each.window_ms,
                self._keep_ms(each),
                len(subjects),
                *subjects,
            ]
        reply = await connection.run(_COUNT, self._keys(charges, call), arguments)
        return _read(reply, charges)

    async def give_back(self, connection: Connection, charges: Sequence[Charge], *, hold: str) -> None:
        """Let go of what is held."""
        await connection.pipeline([["HDEL", self._counter(each), f"h:{hold}"] for each in charges if not each.subjects])

    def subject(self, identity: tuple[str, str]) -> bytes:
        """The digest by which limits know a value."""
        named = "\n".join(identity).encode(errors="surrogatepass")
        return hmac.digest(self.key, named, "sha256")[:_DIGEST_BYTES]

    def _keep_ms(self, charge: Charge) -> int:
        """How long a counter that nothing touches must stay: past its window, or as long as the session may."""
        return charge.window_ms + _bucket_ms(charge) + LEASE_MS if charge.window_ms else self.session_ms

    def _subjects(self, tokens: Sequence[Token], entity_type: str) -> list[bytes]:
        """The digests of the distinct values of one type."""
        return sorted({self.subject(token.identity) for token in tokens if token.entity_type == entity_type})

    def _keys(self, charges: Sequence[Charge], call: str) -> list[str]:
        scoped = [(each, canonical_json(each.scope)) for each in charges]
        return [
            key for each, scope in scoped for key in (self._counter(each), self.names.withheld(each.limit, scope, call))
        ]

    def _counter(self, charge: Charge) -> str:
        name = self.names.subjects if charge.subjects else self.names.amounts
        return name(charge.limit, canonical_json(charge.scope))


def _if_over(charge: Charge) -> str:
    """The script's word: what is only noted is charged like what people agreed to."""
    return (IfOver.TAKE if charge.if_over is IfOver.NOTE else charge.if_over).value


def _bucket_ms(charge: Charge) -> int:
    return -(-charge.window_ms // BUCKETS)


def _read(reply: Sequence[bytes | int], charges: Sequence[Charge]) -> Charged:
    word, *over = reply
    if not isinstance(word, bytes):
        raise GuardUnavailable("redis", "the limits gave an answer that is none")
    return Charged(word.decode(), tuple(charges[int(index) - 1].limit for index in over))
