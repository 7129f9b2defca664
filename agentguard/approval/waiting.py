"""Waiting for decisions: one stream reader wakes every waiting call of a process and tenant.

Rules:
- the record is the truth: a waiter is answered with what was read of it, never with what an event said;
- a waiter misses nothing: whoever waits is read again after it began to wait, after each break of the line, and every few seconds;
- the deadline stands on Redis's clock and is kept by a local timer, so it holds while Redis is away;
- Redis may go away and come back; a waiter only learns of it if its deadline passes meanwhile: GuardUnavailable;
- while anybody waits, steps of the tenant's requests that are due are taken (see `approval.steps`);
- two connections, whatever the number of waiters; none while nobody waits; a waiter that is cancelled is forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from agentguard.approval.channel import Channel
from agentguard.approval.steps import Steps
from agentguard.approval.stored import Stored
from agentguard.errors import DecisionRefused, GuardUnavailable
from agentguard.model.approvals import State

BLOCK_MS = 4_000
"""How long one blocking read of the stream lasts at most."""

REREAD_SECONDS = 5.0
"""How often everybody's record is read again, event or not."""

_BACKOFF_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0)
_READ_MANY = 100


@dataclass(kw_only=True)
class Waiters:
    """The waiting calls of one event loop."""

    channel: Channel
    block_ms: int = BLOCK_MS
    reread_seconds: float = REREAD_SECONDS
    _waiting: dict[str, set[asyncio.Future[Stored]]] = field(default_factory=dict)
    _due: set[str] = field(default_factory=set)
    _work: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def wait(self, request_id: str, deadline_ms: int) -> Stored:
        """The request once it is no longer pending; at its deadline it is expired.

        Raises GuardUnavailable where Redis could not be read at the deadline, RequestNotFound, DecisionRefused ("forged").
        """
        answer: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(request_id, set()).add(answer)
        try:
            self._start()
            self._read_soon(request_id)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._seconds_to(deadline_ms)):
                    return await answer
            return await self._at_deadline(request_id, deadline_ms)
        finally:
            self._forget(request_id, answer)

    async def close(self) -> None:
        """Stop reading. Who still waits is told that the line is closed."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._fail_all(GuardUnavailable("redis", "the guard was closed while a call waited for its approval"))

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
                    last = await self._last_event()
                    self._everybody_soon()
                last = await self._hear(last)
                failures = 0
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

    async def _last_event(self) -> str:
        newest = await self.channel.connection.execute("XREVRANGE", self.channel.names.events, "+", "-", "COUNT", 1)
        return newest[0][0].decode() if newest else "0-0"

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
        self._due.intersection_update(self._waiting)
        due = list(islice(self._due, _READ_MANY))
        self._due.difference_update(due)
        return due

    async def _answer(self, request_ids: list[str]) -> None:
        """Tell the waiters of these requests, where something happened to them."""
        found = await self.channel.read_decided(request_ids)
        for request_id, stored in zip(request_ids, found, strict=True):
            for answer in self._open_answers(request_id):
                if isinstance(stored, DecisionRefused):
                    answer.set_exception(stored)
                elif stored is not None:
                    answer.set_result(stored)

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

    def _open_answers(self, request_id: str) -> list[asyncio.Future[Stored]]:
        return [answer for answer in self._waiting.get(request_id, ()) if not answer.done()]

    def _read_soon(self, request_id: str) -> None:
        if request_id in self._waiting:
            self._due.add(request_id)
            self._work.set()

    def _everybody_soon(self) -> None:
        self._due.update(self._waiting)
        if self._due:
            self._work.set()

    def _forget(self, request_id: str, answer: asyncio.Future[Stored]) -> None:
        answers = self._waiting.get(request_id, set())
        answers.discard(answer)
        if not answers:
            self._waiting.pop(request_id, None)
        if answer.done() and not answer.cancelled():
            answer.exception()

    def _stop(self) -> None:
        """Nobody waits: end both readers."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()

    def _fail_all(self, error: BaseException | None) -> None:
        for request_id in list(self._waiting):
            for answer in self._open_answers(request_id):
                answer.set_exception(error or GuardUnavailable("redis", "the reader of events ended"))


def _backoff(failures: int) -> float:
    return _BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)]
