"""Work beside the API."""

from __future__ import annotations

import asyncio

import pytest

from agentguard.errors import GuardUnavailable
from agentguard.server.lasting import lasting, pause

pytestmark = pytest.mark.anyio


async def test_t5_it_goes_on_when_redis_is_back() -> None:
    """However often it was away."""
    # given
    left = [1, 1]
    back = asyncio.Event()

    async def one_round() -> None:
        if left:
            left.pop()
            raise GuardUnavailable("redis", "away")
        back.set()
        await asyncio.sleep(0)

    # when
    task = asyncio.create_task(lasting("this", one_round))
    await asyncio.wait_for(back.wait(), 20)

    # then
    task.cancel()
    assert await asyncio.gather(task, return_exceptions=True)


async def test_a_cancellation_that_a_reply_dropped_still_ends_it() -> None:
    """As asyncio.wait_for drops one before Python 3.12."""
    # given
    began = asyncio.Event()

    async def one_round() -> None:
        began.set()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.Event().wait()

    task = asyncio.create_task(lasting("this", one_round))
    await began.wait()

    # when
    task.cancel()

    # then
    done, _ = await asyncio.wait({task}, timeout=5)
    assert done
    assert task.cancelled()


async def test_a_pause_ends_when_it_is_woken() -> None:
    """Or after its time."""
    wake = asyncio.Event()
    wake.set()
    await asyncio.wait_for(pause(60, wake), 20)
    await asyncio.wait_for(pause(0.01), 20)


async def test_anything_else_ends_it() -> None:
    """Something broke, and is not hidden."""

    async def one_round() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await lasting("this", one_round)
