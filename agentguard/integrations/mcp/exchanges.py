"""Calls whose server asks their user something, for clients of the newer protocol: each goes on here while its client asks.

Rules:
- the client is answered with the question, and makes the call again with what the user said; the call itself is admitted, run and settled
  once;
- an answer is for exactly the call of its question (session, tool, arguments), and counts once; what is no answer to it is none;
- a question that nobody answers in time is cancelled: the server ends the call as it likes, what it gives is settled, and nobody gets it;
- a client that drops its request, also while the server goes on after an answer, cancels the call.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from uuid import uuid4

import anyio
import mcp_types as types
from anyio.abc import TaskGroup
from mcp.server.context import ServerRequestContext

from agentguard.errors import OutcomeUnknown

T = TypeVar("T")

KEY = "ask"
"""The name of the question in an answer to a client."""

ANSWERED_WITHIN_SECONDS = 600.0
"""As long as a question of the guard's own."""

WAITING_MAX = 100
"""Questions that wait for their clients at once; one more is declined."""

_STATE = "asked-"
_STOPPED = "the guard stopped while the call ran, so it may have run. Do not repeat it."


@dataclass(kw_only=True, eq=False)
class Exchange(Generic[T]):
    """One call that goes on. `of`: which call it is, as an answer must name it. `request`: what the client waits for, while it does."""

    of: str
    within_seconds: float
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    state: str = ""
    question: types.ElicitRequestFormParams | None = None
    answer: types.ElicitResult | None = None
    ended: bool = False
    result: T | None = None
    failure: Exception | None = None
    request: ServerRequestContext[Any, Any] | None = None
    _turn: anyio.Lock = field(default_factory=anyio.Lock)
    _news: anyio.Event = field(default_factory=anyio.Event)
    _answered: anyio.Event = field(default_factory=anyio.Event)

    async def ask(self, question: types.ElicitRequestFormParams) -> types.ElicitResult:
        """What the user says, once the client came back with it."""
        async with self._turn:
            self.state, self.question, self.answer = f"{_STATE}{uuid4().hex}", question, None
            self._answered = anyio.Event()
            self._news.set()
            try:
                with anyio.move_on_after(self.within_seconds):
                    await self._answered.wait()
            finally:
                self.state, self.question = "", None
            return self._said()

    def take(self, answer: types.ElicitResult) -> None:
        """What the user said."""
        self.state, self.question, self.answer = "", None, answer
        self._answered.set()

    def _said(self) -> types.ElicitResult:
        return self.answer or types.ElicitResult(action="cancel")

    async def run(self, call: Callable[[], Awaitable[T]]) -> None:
        """Run the call, and keep what came of it."""
        try:
            with self.scope:
                self.result = await call()
        except Exception as error:  # noqa: BLE001 - raised where the client's request is answered
            self.failure = error
        finally:
            self.ended = True
            self._news.set()

    async def next(self, request: ServerRequestContext[Any, Any]) -> T | types.InputRequiredResult:
        """What the call gave, or what its user is asked before that, for this request of the client.

        Raises what the call raised, and OutcomeUnknown where nobody knows what it did.
        """
        self.request = request
        try:
            while not self.ended and self.question is None:
                self._news = anyio.Event()
                await self._news.wait()
        except BaseException:
            self.scope.cancel()
            raise
        finally:
            self.request = None
        if self.question is not None:
            asked = types.ElicitRequest(params=self.question)
            return types.InputRequiredResult(input_requests={KEY: asked}, request_state=self.state)
        if self.failure is not None:
            raise self.failure
        if self.result is None:
            raise OutcomeUnknown(_STOPPED, request_id="")
        return self.result


@dataclass(frozen=True, kw_only=True)
class Exchanges(Generic[T]):
    """The calls of one proxy that go on; `tasks` run as long as it is connected."""

    tasks: TaskGroup
    within_seconds: float = ANSWERED_WITHIN_SECONDS
    _open: list[Exchange[T]] = field(default_factory=list)

    def begin(self, of: str, call: Callable[[Exchange[T]], Awaitable[T]]) -> Exchange[T]:
        """A call that begins now, in the caller's context."""
        made: Exchange[T] = Exchange(of=of, within_seconds=self.within_seconds)

        async def going_on() -> None:
            self._open.append(made)
            try:
                await made.run(lambda: call(made))
            finally:
                self._open.remove(made)

        self.tasks.start_soon(going_on)
        return made

    async def ask(self, exchange: Exchange[T], question: types.ElicitRequestFormParams) -> types.ElicitResult:
        """What the user of a call says; where too many are asked, nobody is."""
        if sum(each.question is not None for each in self._open) >= WAITING_MAX:
            return types.ElicitResult(action="decline")
        return await exchange.ask(question)

    def answered(self, of: str, params: types.InputResponseRequestParams) -> Exchange[T] | None:
        """The call that goes on with this answer; None where it is no answer to a question that still waits, of this very call."""
        waiting = next((each for each in self._open if each.state and each.state == params.request_state), None)
        if waiting is None or waiting.of != of:
            return None
        said = (params.input_responses or {}).get(KEY)
        waiting.take(said if isinstance(said, types.ElicitResult) else types.ElicitResult(action="cancel"))
        return waiting


def is_answer(params: types.InputResponseRequestParams) -> bool:
    """Whether a client says that it answers a question that stands here, or stood."""
    return (params.request_state or "").startswith(_STATE)
