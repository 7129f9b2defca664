"""The guard's one background loop, for Redis only.

Rules:
- it is started at first use, in a daemon thread, and closed with the guard;
- a forked child drops it and starts its own;
- nothing on it may wait for it: a hop from its own thread raises.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from agentguard.store.doors import wait_for

T = TypeVar("T")


@dataclass(kw_only=True)
class Background:
    """Runs coroutines on its own loop, for callers on any thread or loop."""

    name: str = "agentguard"
    _loop: asyncio.AbstractEventLoop | None = None
    _thread: threading.Thread | None = None
    _pid: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    async def hop(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of the coroutine that `make` gives, run on the loop. Cancelled with its caller."""
        if self.on_this_thread():
            raise RuntimeError("the guard was called on its own loop; it would wait for itself")
        return await wait_for(self.start(make))

    def start(self, make: Callable[[], Coroutine[Any, Any, T]]) -> Future[T]:
        """Run the coroutine that `make` gives on the loop, without waiting."""
        return asyncio.run_coroutine_threadsafe(make(), self._running())

    def on_this_thread(self) -> bool:
        """Whether the caller is on the loop's own thread."""
        return self._thread is threading.current_thread()

    def close(self) -> None:
        """Stop the loop and its thread; the next use starts anew."""
        with self._lock:
            loop, thread, mine = self._loop, self._thread, self._pid == os.getpid()
            self._loop = self._thread = None
        if mine and loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is not None and self._pid == os.getpid():
            return self._loop
        if self._pid != os.getpid():
            self._lock = threading.Lock()
        with self._lock:
            if self._loop is None or self._pid != os.getpid():
                self._pid = os.getpid()
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_serve, args=(self._loop,), name=self.name, daemon=True)
                self._thread.start()
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        _cancel_all(loop)
    finally:
        loop.close()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
