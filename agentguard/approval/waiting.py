"""Waiting for decisions: one stream reader wakes every waiting call of a process and tenant.

Rules:
- the record is the truth: a waiter is answered with what was read of it, never with what an event said;
- a waiter misses nothing: whoever waits is read again after it began to wait, after each break of the line, and every few seconds;
- deadlines stand on Redis's clock and are kept by one local timer, so they hold while Redis is away;
- Redis may go away and come back; a waiter only learns of it if its deadline passes meanwhile: GuardUnavailable;
- while anybody waits, steps of the tenant's requests that are due are taken (see `approval.steps`);
- two connections, whatever the number of waiters; none while nobody waits; a waiter that is cancelled is forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import Any

from agentguard.approval.channel import Channel
from agentguard.approval.steps import Steps
from agentguard.approval.stored import Stored
from agentguard.errors import DecisionRefused, GuardUnavailable
from agentguard.model.approvals import State
from agentguard.store.doors import give_answer

BLOCK_MS = 4_000
"""How long one blocking read of the stream lasts at most."""

REREAD_SECONDS = 5.0
"""How often everybody's record is read again, event or not."""

_BACKOFF_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0)
_READ_MANY = 100
_FORGOTTEN_MAX = 64
"""So many waiters that were forgotten may be kept until their deadline."""


Tell = Callable[[Stored | Exception], None]
"""Takes the answer of a wait, on the reader's loop: the request as it was read, or what it ended with."""


@dataclass(eq=False, slots=True)
class Waiter:
    """One waiting call. It is told once, and then is nobody; there may be thousands, so it holds nothing else."""

    request_id: str
    deadline_ms: int
    tell: Tell | None

    def answer(self, given: Stored | Exception) -> None:
        """Tell it, unless it was told."""
        tell, self.tell = self.tell, None
        if tell is not None:
            tell(given)

    def __lt__(self, other: Waiter) -> bool:
        return self.deadline_ms < other.deadline_ms


@dataclass(kw_only=True)
class Waiters:
    """The waiting calls of one event loop."""

    channel: Channel
    block_ms: int = BLOCK_MS
    reread_seconds: float = REREAD_SECONDS
    _waiting: dict[str, list[Waiter]] = field(default_factory=dict)
    _deadlines: list[Waiter] = field(default_factory=list)
    _timer: asyncio.TimerHandle | None = None
    _ending: set[asyncio.Task[None]] = field(default_factory=set)
    _due: set[str] = field(default_factory=set)
    _work: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def wait(self, request_id: str, deadline_ms: int) -> Stored:
        """The request once it is no longer pending; at its deadline it is expired.

        Raises GuardUnavailable where Redis could not be read at the deadline, RequestNotFound, DecisionRefused ("forged").
        """
        answer: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        waiter = Waiter(request_id, deadline_ms, partial(give_answer, answer))
        self.begin(waiter)
        try:
            return await answer
        finally:
            self.forget(waiter)

    def begin(self, waiter: Waiter) -> None:
        """Tell it once, when there is something to tell; `forget` it where nobody waits any more."""
        if waiter.tell is None:
            return
        self._waiting.setdefault(waiter.request_id, []).append(waiter)
        heappush(self._deadlines, waiter)
        self._start()
        self._read_soon(waiter.request_id)
        if self._deadlines[0] is waiter:
            self._set_timer()

    def forget(self, waiter: Waiter) -> None:
        """Tell it nothing any more."""
        waiter.tell = None
        beside = self._waiting.get(waiter.request_id, [])
        if waiter in beside:
            beside.remove(waiter)
        if not beside:
            self._waiting.pop(waiter.request_id, None)
        if len(self._deadlines) > _FORGOTTEN_MAX and len(self._deadlines) > 2 * len(self._waiting):
            self._deadlines = [each for each in self._deadlines if each.tell is not None]
            heapify(self._deadlines)

    async def close(self) -> None:
        """Stop reading. Who still waits is told that the line is closed."""
        tasks, self._tasks = [*self._tasks, *self._ending], []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._fail_all(GuardUnavailable("redis", "the guard was closed while a call waited for its approval"))
        if self._timer is not None:
            self._timer.cancel()

    def _start(self) -> None:
        """Start the two readers, unless they run."""
        if not self._tasks:
            self._tasks = [self._reader(self._listen()), self._reader(self._read_due())]

    def _reader(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(self._ended)
        return task

    def _runs(self) -> bool:
        """Whether the reader that asks is still one of ours: a cancellation that got lost below must not keep it alive."""
        return asyncio.current_task() in self._tasks

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A reader that broke leaves nobody waiting for it, and the next waiter starts anew."""
        if task.cancelled() or task.exception() is None:
            return
        for other in self._tasks:
            other.cancel()
        self._tasks = []
        self._fail_all(task.exception())

    async def _listen(self) -> None:
        """Mark as due whom the tenant's events name, from the last id that was seen."""
        last: str | None = None
        failures = 0
        while self._waiting and self._runs():
            try:
                if last is None:
                    last = await self.channel.connection.newest(self.channel.names.events)
                    self._everybody_soon()
                last = await self._hear(last)
                failures = 0
                await asyncio.sleep(0)  # who was named is read first, and only then what comes next
            except GuardUnavailable:
                await asyncio.sleep(_backoff(failures))
                failures += 1
                last = None
        if self._runs():
            self._stop()

    async def _hear(self, last: str) -> str:
        """The id of the last event after one blocking read."""
        events = await self.channel.connection.read_stream(self.channel.names.events, last, self.block_ms)
        for _, event in events:
            self._read_soon(event.get("request", b"").decode(errors="replace"))
        return events[-1][0] if events else last

    async def _read_due(self) -> None:
        """Read who is due, many at once; everybody every few seconds."""
        clock = asyncio.get_running_loop().time
        everybody_at = clock() + self.reread_seconds
        failures = 0
        while self._runs():
            await self._work_until(everybody_at)
            is_time = clock() >= everybody_at
            if is_time:
                self._everybody_soon()
                everybody_at = clock() + self.reread_seconds
            due = self._take_due()
            try:
                await self._answer(due)
                if is_time:
                    await Steps(channel=self.channel).take_due()
                failures = 0
            except GuardUnavailable:
                self._due.update(due)
                await asyncio.sleep(_backoff(failures))
                failures += 1

    async def _work_until(self, when: float) -> None:
        if self._due:
            return
        self._work.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(when):
                await self._work.wait()

    def _take_due(self) -> list[str]:
        due = list(islice(self._due, _READ_MANY))
        self._due.difference_update(due)
        return [request_id for request_id in due if request_id in self._waiting]

    async def _answer(self, request_ids: list[str]) -> None:
        """Tell the waiters of these requests, where something happened to them."""
        found = await self.channel.read_decided(request_ids)
        for request_id, stored in zip(request_ids, found, strict=True):
            if stored is not None:
                self._tell_all(request_id, stored)

    def _tell_all(self, request_id: str, answer: Stored | Exception) -> None:
        for waiter in list(self._waiting.get(request_id, ())):
            self._tell(waiter, answer)

    def _tell(self, waiter: Waiter, answer: Stored | Exception) -> None:
        waiter.answer(answer)
        self.forget(waiter)

    def _set_timer(self) -> None:
        """Look again when the first deadline is there."""
        while self._deadlines and self._deadlines[0].tell is None:
            heappop(self._deadlines)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._deadlines:
            seconds = self._seconds_to(self._deadlines[0].deadline_ms)
            self._timer = asyncio.get_running_loop().call_later(seconds, self._meet_deadlines)

    def _meet_deadlines(self) -> None:
        """End the waits whose deadline is there, each in a task of its own."""
        self._timer = None
        while self._deadlines and self._seconds_to(self._deadlines[0].deadline_ms) <= 0:
            waiter = heappop(self._deadlines)
            if waiter.tell is not None:
                task = asyncio.get_running_loop().create_task(self._end(waiter))
                self._ending.add(task)
                task.add_done_callback(self._ending.discard)
        self._set_timer()

    async def _end(self, waiter: Waiter) -> None:
        answer: Stored | Exception
        try:
            answer = await self._at_deadline(waiter.request_id, waiter.deadline_ms)
        except (GuardUnavailable, DecisionRefused) as error:
            answer = error
        self._tell(waiter, answer)

    async def _at_deadline(self, request_id: str, deadline_ms: int) -> Stored:
        """The request at its deadline, which this machine's timer may reach a moment before Redis does."""
        while True:
            await self.channel.expire(request_id)
            stored = await self.channel.read(request_id)
            if stored.state is not State.PENDING:
                return stored
            await asyncio.sleep(max(0.001, self._seconds_to(deadline_ms)))

    def _seconds_to(self, deadline_ms: int) -> float:
        return max(0.0, (deadline_ms - self.channel.clock.now_ms()) / 1000)

    def _read_soon(self, request_id: str) -> None:
        if request_id in self._waiting:
            self._due.add(request_id)
            self._work.set()

    def _everybody_soon(self) -> None:
        self._due.update(self._waiting)
        if self._due:
            self._work.set()

    def _stop(self) -> None:
        """Nobody waits: end both readers."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()

    def _fail_all(self, error: BaseException | None) -> None:
        told = error if isinstance(error, Exception) else GuardUnavailable("redis", "the reader of events ended")
        for request_id in list(self._waiting):
            self._tell_all(request_id, told)


def _backoff(failures: int) -> float:
    return _BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)]
