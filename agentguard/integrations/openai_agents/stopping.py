"""What stops a program, out of the task that the SDK gives a tool with a timeout, where the loop would raise it before it is masked."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any

from agents.tool_context import ToolContext


class Stopping(Exception):
    """Carries what is no Exception to where it is settled."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


def carrying(invoke: Callable[[ToolContext[Any], str], Awaitable[Any]]) -> Callable[[ToolContext[Any], str], Any]:
    """A tool's code, which raises Stopping in place of what stops a program. That it was cancelled passes."""

    @functools.wraps(invoke)
    async def carried(context: ToolContext[Any], text: str) -> Any:
        try:
            return await invoke(context, text)
        except (Exception, asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001 - raised again where it is settled
            stopping = Stopping(error)
        raise stopping

    return carried
