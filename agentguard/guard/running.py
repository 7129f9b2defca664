"""The time in which a tool runs, by either door: what came of it is settled on the way out.

Classes and no generators: every call goes through one, and a generator ends by an exception of its own.
"""

from __future__ import annotations

from types import TracebackType

from agentguard.guard.permit import Outcome, Permit
from agentguard.guard.raising import raise_alone
from agentguard.guard.settling import Settling
from agentguard.store.doors import drive


class Running:
    """See Guard.settling."""

    __slots__ = ("_outcome", "_permit", "_settler", "_traced")

    def __init__(self, settler: Settling, permit: Permit) -> None:
        self._settler, self._permit = settler, permit
        self._outcome = Outcome()
        self._traced = permit.trace.running()

    async def __aenter__(self) -> Outcome:
        return self.begin()

    def begin(self) -> Outcome:
        """What the tool gives belongs in here."""
        self._traced.__enter__()
        return self._outcome

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._traced.__exit__(kind, error, trace)
        if error is None:
            self._outcome.shown = await self._settler.returned(self._permit, self._outcome.result)
            return False
        if isinstance(error, Exception):
            self._outcome.fail(await self._settler.raised(self._permit, error))
            return True
        stopping = await self._settler.interrupted(self._permit, error)
        if stopping is not error:
            raise_alone(stopping)
        return False


class BlockingRunning:
    """The same, for code that doesn't await."""

    __slots__ = ("_running",)

    def __init__(self, running: Running) -> None:
        self._running = running

    def __enter__(self) -> Outcome:
        return self._running.begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return drive(self._running.__aexit__(kind, error, trace))
