"""Two doors to one pipeline: await it, or drive it in this thread.

The pipeline waits for the background loop and the journal through `wait_for` alone. Awaited on an event loop, `wait_for` awaits; driven
by `drive`, it blocks in place, so that a sync caller crosses no thread until there is something to wait for.

Rules:
- only `wait_for` may suspend a driven coroutine; anything else ends it with RuntimeError;
- who is driven is known by thread and running loop: code in a driven call that starts a loop or thread of its own awaits there as ever;
- a waiter that is cancelled or interrupted cancels what it waited for.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of `coroutine`, run to its end in this thread; each `wait_for` in it blocks in place.

    Raises RuntimeError if the coroutine waits for anything else.
    """
    _drives.loops.append(_running_loop())
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    else:
        coroutine.close()
    finally:
        _drives.loops.pop()
    raise RuntimeError("a driven coroutine waited for something other than the guard's own futures; use the async door")


async def wait_for(future: Future[T]) -> T:
    """The future's result. Cancelling the waiter cancels the future."""
    if not _driven():
        return await asyncio.wrap_future(future)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


async def hear(begin: Callable[[Callable[[T | Exception], None]], Callable[[], None]]) -> T:
    """What is told once, from any thread, to what `begin` is given; `begin` gives what ends the telling. Raises what is told as an error.

    For waits that may be thousands and last for days: awaited, all that they hold is one future of the caller's loop.
    """
    if _driven():
        return _heard_here(begin)
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()
    end = begin(partial(_tell, loop, answer))
    try:
        return await answer
    except BaseException:
        end()
        raise


def _heard_here(begin: Callable[[Callable[[T | Exception], None]], Callable[[], None]]) -> T:
    answer: Future[T] = Future()
    end = begin(partial(give_answer, answer))
    try:
        return answer.result()
    except BaseException:
        end()
        raise


def _tell(loop: asyncio.AbstractEventLoop, answer: asyncio.Future[T], given: T | Exception) -> None:
    with suppress(RuntimeError):  # the loop was closed, so nobody waits
        loop.call_soon_threadsafe(give_answer, answer, given)


def give_answer(answer: asyncio.Future[T] | Future[T], given: T | Exception) -> None:
    """Give a future its answer, unless whoever had it went away."""
    if answer.done():
        return
    if isinstance(given, Exception):
        answer.set_exception(given)
    else:
        answer.set_result(given)


async def follow(future: Future[T]) -> T:
    """The result of a future that others wait for too. Cancelling this waiter leaves it running."""

    def begin(tell: Callable[[T | Exception], None]) -> Callable[[], None]:
        future.add_done_callback(lambda ended: tell(_failure(ended) or ended.result()))
        return lambda: None

    return await hear(begin)


def _failure(ended: Future[Any]) -> Exception | None:
    if ended.cancelled():
        return RuntimeError("what this call waited for was cancelled")
    error = ended.exception()
    return error if error is None or isinstance(error, Exception) else RuntimeError(type(error).__name__)


class _Drives(threading.local):
    """The `drive` calls that this thread is in, outermost first: for each, the loop that was running around it."""

    def __init__(self) -> None:
        self.loops: list[asyncio.AbstractEventLoop | None] = []


_drives = _Drives()


def _driven() -> bool:
    """Whether the caller is in a driven coroutine, and not on a loop that was started inside it."""
    return bool(_drives.loops) and _drives.loops[-1] is _running_loop()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
