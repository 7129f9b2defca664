"""Two doors: a pipeline is awaited on a loop, or driven in the caller's thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from typing import Any

import pytest

from agentguard.errors import GuardUnavailable
from agentguard.store.doors import drive, follow, hear, wait_for
from tests.store.scripts import run


def later(value: str) -> Future[str]:
    """A future that another thread answers a moment later."""
    future: Future[str] = Future()
    threading.Timer(0.02, future.set_result, [value]).start()
    return future


async def answered_by_the_loop() -> str:
    """What only a loop that goes on while `wait_for` waits can give."""
    future: Future[str] = Future()
    waiting = asyncio.create_task(wait_for(future))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(future.set_result, "answered")
    return await asyncio.wait_for(waiting, timeout=5)


class Never:
    """What no loop and no door knows how to wait for."""

    def __await__(self) -> Generator[Any, None, None]:
        yield self


async def forever() -> None:
    """Wait for that."""
    await Never()


def test_drive_gives_the_result_of_a_coroutine_that_never_waits() -> None:
    """A call that needs nothing from elsewhere simply runs."""

    async def work() -> tuple[str, int]:
        return "done", threading.get_ident()

    assert drive(work()) == ("done", threading.get_ident())


def test_drive_blocks_in_place_until_the_future_is_answered() -> None:
    """The coroutine goes on in the caller's own thread."""

    async def work() -> tuple[str, int]:
        return await wait_for(later("answer")), threading.get_ident()

    assert drive(work()) == ("answer", threading.get_ident())


def test_drive_raises_what_the_coroutine_raises() -> None:
    """An error of the future or the coroutine comes out as it is."""
    future: Future[None] = Future()
    future.set_exception(LookupError("gone"))

    with pytest.raises(LookupError, match="gone"):
        drive(wait_for(future))


@pytest.mark.anyio
async def test_an_awaited_wait_lets_the_loop_go_on() -> None:
    """On the async door the loop is never blocked."""
    assert await answered_by_the_loop() == "answered"


@pytest.mark.anyio
async def test_drive_blocks_even_on_a_thread_with_a_running_loop() -> None:
    """In a notebook the sync door works, since it never needs the loop that runs there."""
    assert drive(wait_for(later("answer"))) == "answer"


@pytest.mark.parametrize(
    "wait",
    [
        pytest.param(lambda: asyncio.sleep(0), id="a turn of the loop"),
        pytest.param(forever, id="something of another library"),
    ],
)
def test_a_driven_coroutine_that_waits_for_anything_else_is_ended_with_an_error(
    wait: Callable[[], Awaitable[None]],
) -> None:
    """It is closed, so its clean-up runs, and the error says what to use instead."""
    cleaned: list[str] = []

    async def work() -> None:
        try:
            await wait()
        finally:
            cleaned.append(await wait_for(later("cleaned")))

    with pytest.raises(RuntimeError, match="use the async door"):
        drive(work())

    assert cleaned == ["cleaned"]


def test_a_loop_started_inside_a_driven_call_is_not_blocked() -> None:
    """A tool may run a loop of its own; there, waiting is awaiting."""

    async def work() -> str:
        return asyncio.run(answered_by_the_loop())

    assert drive(work()) == "answered"


def test_a_thread_with_a_copied_context_inside_a_driven_call_is_not_driven() -> None:
    """Being driven is a matter of the thread and is not inherited with a context."""
    got: list[str] = []

    async def work() -> None:
        thread = threading.Thread(
            target=copy_context().run, args=[lambda: got.append(asyncio.run(answered_by_the_loop()))]
        )
        thread.start()
        thread.join()

    drive(work())

    assert got == ["answered"]


def test_a_driven_call_inside_a_driven_call_blocks_too() -> None:
    """A tool that calls the sync door again gets its answer, and the outer call goes on driven."""

    async def outer() -> list[str]:
        return [drive(wait_for(later("inner"))), await wait_for(later("outer"))]

    assert drive(outer()) == ["inner", "outer"]


@pytest.mark.anyio
async def test_cancelling_an_awaited_wait_cancels_the_future() -> None:
    """Nobody works on for a caller that is gone."""
    future: Future[None] = Future()
    waiting = asyncio.create_task(wait_for(future))
    await asyncio.sleep(0)

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert future.cancelled()


def test_an_interrupt_while_blocked_cancels_the_future() -> None:
    """Control-C in the sync door ends the wait and what was waited for."""
    said = run("""
        import signal, threading
        from concurrent.futures import Future
        from agentguard.store.doors import drive, follow, wait_for
        # Where these tests run in a shell's background, SIGINT is ignored, and Python leaves that as it is.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        future = Future()
        main = threading.get_ident()
        threading.Timer(0.2, signal.pthread_kill, [main, signal.SIGINT]).start()
        try:
            drive(wait_for(future))
        except KeyboardInterrupt:
            print("interrupted", future.cancelled())
    """)

    assert said == ["interrupted True"]


class Line:
    """Somewhere that tells once: what it was begun with, and whether it was ended."""

    def __init__(self) -> None:
        self.tell: Callable[[str | Exception], None] | None = None
        self.ended = 0

    def begin(self, tell: Callable[[str | Exception], None]) -> Callable[[], None]:
        self.tell = tell
        return self.end

    def end(self) -> None:
        self.ended += 1

    def say_later(self, answer: str | Exception) -> None:
        """Tell from another thread."""
        assert self.tell is not None
        threading.Thread(target=self.tell, args=(answer,)).start()


@pytest.mark.anyio
@pytest.mark.parametrize("driven", [False, True], ids=["awaited", "driven"])
async def test_what_is_told_from_another_thread_is_heard_through_both_doors(driven: bool) -> None:
    """A value is given, an error is raised, and what was heard is not ended."""
    line = Line()

    def begin(tell: Callable[[str | Exception], None], answer: str | Exception) -> Callable[[], None]:
        end = line.begin(tell)
        line.say_later(answer)
        return end

    def heard(answer: str | Exception) -> Coroutine[Any, Any, str]:
        return hear(partial(begin, answer=answer))

    value = await asyncio.to_thread(drive, heard("hello")) if driven else await heard("hello")
    with pytest.raises(GuardUnavailable):
        await (
            asyncio.to_thread(drive, heard(GuardUnavailable("redis", "gone")))
            if driven
            else heard(GuardUnavailable("redis", "gone"))
        )
    assert value == "hello"


@pytest.mark.anyio
async def test_who_stops_hearing_ends_what_was_begun_and_what_comes_later_harms_nobody() -> None:
    """Cancelled: the end is called once, and a late answer is dropped."""
    line = Line()
    hearing = asyncio.create_task(hear(line.begin))
    await asyncio.sleep(0)
    hearing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hearing
    assert line.tell is not None
    line.tell("too late")
    await asyncio.sleep(0)

    assert line.ended == 1


def test_an_answer_for_a_loop_that_is_closed_is_dropped() -> None:
    """The caller's loop ended before its answer came."""
    line = Line()

    async def begin() -> None:
        hearing = asyncio.create_task(hear(line.begin))
        await asyncio.sleep(0)
        hearing.cancel()

    asyncio.run(begin())
    assert line.tell is not None
    line.tell("nobody is there")


@pytest.mark.anyio
async def test_many_follow_one_future_and_one_that_is_cancelled_leaves_it_to_the_others() -> None:
    """On both doors; an error comes to each."""
    shared = later("answered")
    cancelled, waiting = asyncio.create_task(follow(shared)), asyncio.create_task(follow(shared))
    await asyncio.sleep(0)
    cancelled.cancel()

    assert drive(follow(shared)) == "answered"
    assert await waiting == "answered"
    assert await asyncio.gather(cancelled, return_exceptions=True) != ["answered"]
    broken: Future[str] = Future()
    broken.set_exception(ValueError("broken"))
    with pytest.raises(ValueError, match="broken"):
        await follow(broken)
    with pytest.raises(ValueError, match="broken"):
        drive(follow(broken))
