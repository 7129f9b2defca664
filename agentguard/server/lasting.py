"""Work that goes on as long as the server, also while Redis is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from agentguard.errors import GuardUnavailable

_BACKOFF_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)
_log = logging.getLogger("agentguard.server")


async def lasting(name: str, one_round: Callable[[], Awaitable[None]]) -> None:
    """Do one round after the other; where Redis is away, wait a little longer each time. Ends by cancellation alone."""
    failures = 0
    while True:
        stop_if_cancelled()
        try:
            await one_round()
            failures = 0
        except GuardUnavailable as error:
            if failures == 0:
                _log.warning("%s waits: %s", name, error)
            await pause(_BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)])
            failures += 1


async def pause(seconds: float, wake: asyncio.Event | None = None) -> None:
    """Wait so long, or until `wake` is set."""
    stop_if_cancelled()
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await (wake or asyncio.Event()).wait()


def stop_if_cancelled() -> None:
    """Raise the cancellation that came together with a reply of Redis: before Python 3.12, asyncio.wait_for drops such a one."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
