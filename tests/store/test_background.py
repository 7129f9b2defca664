"""The one loop thread: for callers on any thread or loop, and never shared with a forked child."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from agentguard.errors import GuardUnavailable
from agentguard.store.background import Background
from agentguard.store.doors import drive
from tests.store.scripts import run


@pytest.fixture
def background() -> Iterator[Background]:
    """A background of the test's own."""
    made = Background(name="of-a-test")
    yield made
    made.close()


async def where() -> int:
    """The thread that this runs on."""
    return threading.get_ident()


def test_nothing_runs_before_the_first_use(background: Background) -> None:
    """A guard that never needs Redis has no thread."""
    assert "of-a-test" not in [thread.name for thread in threading.enumerate()]


def test_sixteen_threads_at_once_share_one_loop_thread(background: Background) -> None:
    """The first use is thread-safe."""
    together = threading.Barrier(16)

    def use() -> int:
        together.wait()
        return drive(background.hop(where))

    with ThreadPoolExecutor(16) as pool:
        threads = set(pool.map(lambda _: use(), range(16)))

    assert len(threads) == 1
    assert threading.get_ident() not in threads


@pytest.mark.anyio
async def test_loops_and_threads_share_the_same_loop_thread(background: Background) -> None:
    """Awaited or driven, work runs in one place."""
    assert await background.hop(where) == await asyncio.to_thread(lambda: drive(background.hop(where)))


def test_a_hop_from_its_own_thread_raises(background: Background) -> None:
    """It would wait for itself for ever."""

    async def again() -> int:
        return await background.hop(where)

    with pytest.raises(RuntimeError, match="wait for itself"):
        drive(background.hop(again))


def test_a_close_from_its_own_thread_raises_and_changes_nothing(background: Background) -> None:
    """The loop goes on for everybody else."""
    before = drive(background.hop(where))

    async def close() -> None:
        background.close()

    with pytest.raises(RuntimeError, match="wait for itself"):
        drive(background.hop(close))
    assert drive(background.hop(where)) == before


@pytest.mark.anyio
async def test_cancelling_the_caller_cancels_the_hopped_coroutine(background: Background) -> None:
    """The work learns that nobody waits for it any more."""
    begun, ended = threading.Event(), threading.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    calling = asyncio.create_task(background.hop(work))
    await asyncio.to_thread(begun.wait, 5)
    calling.cancel()

    with pytest.raises(asyncio.CancelledError):
        await calling
    assert await asyncio.to_thread(ended.wait, 5)


@pytest.mark.anyio
async def test_an_awaiting_caller_is_told_when_the_guard_is_closed(background: Background) -> None:
    """It is a fault, and never looks like a cancellation of the caller."""
    calling = asyncio.create_task(background.hop(asyncio.Event().wait))
    await asyncio.sleep(0)

    await asyncio.to_thread(background.close)

    with pytest.raises(GuardUnavailable, match="closed"):
        await calling


def test_a_blocked_caller_is_told_when_the_guard_is_closed(background: Background) -> None:
    """So is a caller of the sync door, and no call is left hanging."""
    waiting = [background.start(asyncio.Event().wait) for _ in range(100)]

    background.close()

    assert {type(one.exception(timeout=20)) for one in waiting} == {GuardUnavailable}


def test_what_it_runs_on_is_closed_once_nothing_runs_any_more(background: Background) -> None:
    """Work that ends opens it once more; what its end begins is ended too, and an error of the last leaves no thread."""
    happened, began = list[str](), threading.Event()

    async def late() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            happened.append("ended late")

    async def working() -> None:
        background_tasks = []
        try:
            began.set()
            await asyncio.Event().wait()
        finally:
            happened.append("opened anew")
            background_tasks.append(asyncio.create_task(late()))
            await asyncio.sleep(0)

    async def last() -> None:
        happened.append("closed")
        raise OSError

    background.start(working)
    began.wait(10)
    background.close(last)

    assert happened == ["opened anew", "closed", "ended late"]
    assert "of-a-test" not in [thread.name for thread in threading.enumerate()]


def test_after_a_close_the_next_use_starts_anew(background: Background) -> None:
    """Closing is no end of use."""
    drive(background.hop(where))
    background.close()
    background.close()

    assert drive(background.hop(where)) != threading.get_ident()


def test_what_only_tidies_up_starts_no_loop(background: Background) -> None:
    """It runs where one runs."""
    happened = threading.Event()

    async def tidy_up() -> None:
        happened.set()

    background.tidy(tidy_up)
    assert "of-a-test" not in [thread.name for thread in threading.enumerate()]
    drive(background.hop(where))
    background.tidy(tidy_up)
    assert happened.wait(10)
    background.close()
    happened.clear()
    background.tidy(tidy_up)
    assert not happened.is_set()
    assert "of-a-test" not in [thread.name for thread in threading.enumerate()]


def test_a_forked_child_has_a_loop_of_its_own_and_leaves_its_parents_alone() -> None:
    """Both go on, whatever the child does, even where a thread held the lock while it forked."""
    said = run("""
        import os, threading
        from agentguard.store.background import Background
        from agentguard.store.doors import drive
        background = Background()
        async def pid():
            return os.getpid()
        assert drive(background.hop(pid)) == os.getpid()
        stop = threading.Event()
        def busy():
            while not stop.is_set():
                drive(background.hop(pid))
        thread = threading.Thread(target=busy)
        thread.start()
        for _ in range(20):
            if (child := os.fork()) == 0:
                ok = drive(background.hop(pid)) == os.getpid()
                background.close()
                os._exit(0 if ok else 1)
            print(os.waitpid(child, 0)[1], drive(background.hop(pid)) == os.getpid())
        stop.set()
        thread.join()
        background.close()
    """)

    assert said == ["0 True"] * 20


@pytest.mark.anyio
async def test_work_that_is_cancelled_by_itself_ends_its_caller_as_cancelled(background: Background) -> None:
    """Nobody is left waiting for it."""

    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await background.hop(work)


@pytest.mark.parametrize(
    "error", [LookupError("gone"), BaseExceptionGroup("several", [KeyError("a")])], ids=["one", "several"]
)
def test_what_the_work_raises_is_raised_for_its_caller(background: Background, error: BaseException) -> None:
    """As it is; and the loop goes on."""

    async def work() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        drive(background.hop(work))

    assert raised.value is error
    assert drive(background.hop(where)) != threading.get_ident()


def test_work_that_ends_as_its_caller_goes_away_says_nothing(background: Background) -> None:
    """Whoever comes first; the loop goes on, and nothing is left behind."""
    cancelled = [background.start(where).cancel() for _ in range(300)]

    assert len(cancelled) == 300
    assert drive(background.hop(where)) != threading.get_ident()
