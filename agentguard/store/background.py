"""The guard's one background loop, for Redis only.

Rules:
- it is started at first use, in a daemon thread, and closed with the guard;
- a forked child drops it and starts its own at first use;
- nothing on it may wait for it: a hop from its own thread raises;
- what still runs when it is closed ends with GuardUnavailable, so that nobody takes that for a cancellation of their own;
- what it runs on is closed after that, on the loop: closed before, the last of what runs would open it anew.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from agentguard.errors import GuardUnavailable
from agentguard.store.doors import follow, wait_for
from agentguard.store.inherited import keep

T = TypeVar("T")

_log = logging.getLogger("agentguard.store")

CLOSE_SECONDS = 5.0
"""How long work that is cancelled by `close` may take to end."""


@dataclass(kw_only=True, eq=False)
class Background:
    """Runs coroutines on its own loop, for callers on any thread or loop. Thread-safe."""

    name: str = "agentguard"
    _line: _LoopThread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        _alive.add(self)

    async def hop(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of the coroutine that `make` gives, run on the loop. Cancelled with its caller."""
        self._must_not_wait_for_itself()
        return await wait_for(self.start(make))

    async def follow(self, started: Future[T]) -> T:
        """The result of what `start` gave, for one of many that wait for it. Cancelling this waiter leaves it running."""
        self._must_not_wait_for_itself()
        return await follow(started)

    def start(self, make: Callable[[], Coroutine[Any, Any, T]]) -> Future[T]:
        """Run the coroutine that `make` gives on the loop, without waiting."""
        with self._lock:
            if self._line is None:
                self._line = _LoopThread(self.name)
            return self._line.submit(make)

    def tidy(self, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run on the loop what only tidies up early, and what would lapse by itself: not where that would start the loop anew."""
        with self._lock:
            if self._line is not None:
                self._line.submit(make)

    def on_this_thread(self) -> bool:
        """Whether the caller is on the loop's own thread."""
        return self._line is not None and self._line.thread is threading.current_thread()

    def _must_not_wait_for_itself(self) -> None:
        if self.on_this_thread():
            raise RuntimeError("the guard was called on its own loop; it would wait for itself")

    def close(self, last: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """Stop the loop and its thread, after `last` on it (what it raises is left); the next use starts anew."""
        if self.on_this_thread():
            raise RuntimeError("the guard's loop can't be closed from its own thread; it would wait for itself")
        with self._lock:
            line, self._line = self._line, None
        if line is not None:
            line.close(last)

    def forget(self) -> None:
        """In a forked child: the parent's loop, and a lock that one of its threads may have held, are not ours."""
        keep(self._line)
        self._line = None
        self._lock = threading.Lock()


class _LoopThread:
    """A loop and the daemon thread that it runs in."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.SelectorEventLoop()
        self._closing = False
        self.thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self.thread.start()

    def submit(self, make: Callable[[], Coroutine[Any, Any, T]]) -> Future[T]:
        """What `asyncio.run_coroutine_threadsafe` does, a turn of the loop sooner: the work gives its answer itself."""
        answer: Future[T] = Future()
        self._loop.call_soon_threadsafe(self._begin, make, answer)
        return answer

    def _begin(self, make: Callable[[], Coroutine[Any, Any, T]], answer: Future[T]) -> None:
        task = self._loop.create_task(self._run(make, answer))
        answer.add_done_callback(partial(self._end, task))

    async def _run(self, make: Callable[[], Coroutine[Any, Any, T]], answer: Future[T]) -> None:
        try:
            result = await make()
        except asyncio.CancelledError:
            if not self._closing:
                answer.cancel()
            elif answer.set_running_or_notify_cancel():  # the caller's own cancellation stays one
                answer.set_exception(GuardUnavailable("redis", "the guard was closed while a call was waiting"))
        except BaseException as error:
            if answer.set_running_or_notify_cancel():
                answer.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            if answer.set_running_or_notify_cancel():
                answer.set_result(result)

    def _end(self, task: asyncio.Task[None], answer: Future[Any]) -> None:
        """End the work for an answer that nobody waits for any more."""
        if answer.cancelled() and not task.done():
            with suppress(RuntimeError):  # the loop is closed, and the work with it
                self._loop.call_soon_threadsafe(task.cancel)

    def close(self, last: Callable[[], Coroutine[Any, Any, None]] | None) -> None:
        """Everything submitted before this has begun by the time it is cancelled, so everything gets its answer."""
        self._closing = True
        asyncio.run_coroutine_threadsafe(self._wind_up(last), self._loop)
        self.thread.join()

    async def _wind_up(self, last: Callable[[], Coroutine[Any, Any, None]] | None) -> None:
        try:
            await _end_all()
            if last is not None:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await last()
        except Exception as error:  # noqa: BLE001 - the loop ends whatever its last work came to
            _log.debug("what the guard's loop runs on did not close: %s", type(error).__name__)
        finally:
            await _end_all()  # what began as others ended
            self._loop.stop()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()


async def _end_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=CLOSE_SECONDS)


_alive: weakref.WeakSet[Background] = weakref.WeakSet()


def _forget_all() -> None:
    for background in list(_alive):
        background.forget()


os.register_at_fork(after_in_child=_forget_all)
