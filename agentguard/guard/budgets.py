"""What a call takes from its limits, as the pipeline needs it: charged before the tool runs, from either door.

Rules:
- an allowed call is charged in one move, before its permit; one over a limit is not;
- what an asked call takes is held while people think, renewed by its process alone, and spent after its permit is redeemed, before
  the tool runs: a crash before that gives it back, a crash after does not;
- what people agreed to run over a limit is charged all the same.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass

from agentguard.errors import GuardUnavailable
from agentguard.guard.binding import Binding
from agentguard.guard.link import Link
from agentguard.guard.requests import RENEW_SECONDS
from agentguard.model.limits import Charge, IfOver
from agentguard.model.tokens import Token
from agentguard.session import Charged, Goal, Ledger
from agentguard.store.background import Background


@dataclass(frozen=True, kw_only=True, slots=True)
class Bill:
    """What one call takes from each limit. `hold` names what is held for it, `call` is a digest of the call."""

    hold: str
    call: str
    charges: tuple[Charge, ...]

    def agreed(self, over: Collection[str]) -> Bill:
        """The bill of a call that people agreed goes over these limits; over any other it does not run."""

        def settled(charge: Charge) -> Charge:
            if charge.if_over is IfOver.NOTE:
                return charge
            return charge._replace(if_over=IfOver.TAKE if charge.limit in over else IfOver.REFUSE)

        return Bill(hold=self.hold, call=self.call, charges=tuple(map(settled, self.charges)))

    @property
    def in_shadow(self) -> bool:
        """Whether nothing follows from any of it."""
        return all(each.if_over is IfOver.NOTE for each in self.charges)

    @property
    def subjects(self) -> tuple[Charge, ...]:
        """What is counted in the result."""
        return tuple(each for each in self.charges if each.subjects)


@dataclass(frozen=True, kw_only=True, slots=True)
class Headcount:
    """Whether a result may be handed out.

    `withholding`: the limits for which it must not be, and so nobody in it was counted. `noted`: those in shadow that it goes over.
    """

    withholding: tuple[str, ...] = ()
    noted: tuple[str, ...] = ()


NOT_COUNTED = Headcount()

NO_BILL = Bill(hold="", call="", charges=())
"""That of a call which no limit concerns."""


@dataclass(frozen=True, kw_only=True)
class Budgets:
    """Charges calls to their limits. Each coroutine is one round trip, and raises GuardUnavailable."""

    background: Background
    link: Link
    ledger: Ledger
    binding: Binding

    def bill(self, tool: str, snapshot: str, charges: Sequence[Charge]) -> Bill:
        """The bill of a call; `snapshot` is the text of its arguments."""
        call = self.binding.value(f"{tool}\n{snapshot}")
        return Bill(hold=secrets.token_hex(16), call=call, charges=tuple(charges))

    async def charge(self, bill: Bill, goal: Goal) -> tuple[str, ...]:
        """Spend, or hold; the limits that the call would go over. With one of them nothing is spent."""
        return (await self._charged(bill, goal)).over if bill.charges else ()

    async def spend(self, bill: Bill) -> tuple[str, ...]:
        """Spend all or nothing: the limits that left no room, or none of them."""
        if not bill.charges:
            return ()
        charged = await self._charged(bill, Goal.SPEND)
        return () if charged.word == "spent" else charged.over

    async def counted(self, bill: Bill, tokens: Sequence[Token]) -> Headcount:
        """Count the subjects that a result shows."""
        if not (bill.charges and bill.subjects):
            return NOT_COUNTED
        try:
            counted = await self.background.hop(lambda: self._count(bill, tokens))
        except GuardUnavailable:
            if not bill.in_shadow:
                raise
            return NOT_COUNTED
        noted = {each.limit for each in bill.subjects if each.if_over is IfOver.NOTE}
        over = tuple(limit for limit in counted.over if limit not in noted)
        return Headcount(
            withholding=over if counted.word == "withheld" else (),
            noted=tuple(limit for limit in counted.over if limit in noted),
        )

    def held(self, bill: Bill) -> AbstractContextManager[None]:
        """Keep what is held while inside; on the way out what was not spent is given back."""
        return self._held(bill) if bill.charges else nullcontext()

    @contextmanager
    def _held(self, bill: Bill) -> Iterator[None]:
        renewing = self.background.start(lambda: self._renew(bill))
        try:
            yield
        finally:
            renewing.cancel()
            self.background.tidy(lambda: self._give_back(bill))

    async def _charged(self, bill: Bill, goal: Goal) -> Charged:
        return await self.background.hop(lambda: self._charge(bill, goal))

    async def _charge(self, bill: Bill, goal: Goal) -> Charged:
        async with self.link.using() as there:
            return await self.ledger.charge(there.connection, goal, bill.charges, hold=bill.hold, call=bill.call)

    async def _count(self, bill: Bill, tokens: Sequence[Token]) -> Charged:
        async with self.link.using() as there:
            return await self.ledger.count(there.connection, bill.subjects, tokens, call=bill.call)

    async def _renew(self, bill: Bill) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            with suppress(GuardUnavailable):
                await self._charge(bill, Goal.HOLD)

    async def _give_back(self, bill: Bill) -> None:
        with suppress(GuardUnavailable):
            async with self.link.using() as there:
                await self.ledger.give_back(there.connection, bill.charges, hold=bill.hold)
