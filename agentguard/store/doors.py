"""Two doors to one pipeline: await it, or drive it in this thread.

The pipeline waits for the background loop and the journal through `wait_for` alone. Awaited on an event loop, `wait_for` awaits; driven by
`drive`, it blocks in place, so that a sync caller crosses no thread until there is something to wait for.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class _Driven(threading.local):
    """How many `drive` calls of this thread are inside their coroutine right now."""

    depth = 0


_driven = _Driven()


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of `coroutine`, run to its end in this thread; each `wait_for` in it blocks in place.

    Raises RuntimeError if the coroutine waits for anything else.
    """
    _driven.depth += 1
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        _driven.depth -= 1
    coroutine.close()
    raise RuntimeError("a driven coroutine waited for something other than the guard's own futures; use the async door")


async def wait_for(future: Future[T]) -> T:
    """The future's result. Cancelling the waiter cancels the future."""
    if _driven.depth == 0:
        return await asyncio.wrap_future(future)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise
