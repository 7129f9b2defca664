"""The sync door: the same road, driven in the caller's own thread.

A call that needs neither Redis nor an fsync crosses no thread; one that does blocks in place until it is done. On the guard's
own loop thread it raises, since it would wait for itself.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from agentguard.guard.answering import Answering
from agentguard.guard.permit import Permit, Settled
from agentguard.guard.running import BlockingRunning
from agentguard.guard.streaming import TextMasking
from agentguard.model.calls import Tool, ToolCall
from agentguard.store.doors import drive

if TYPE_CHECKING:
    from agentguard.guard.pipeline import Guard
    from agentguard.guard.tools import StreamingTool


class BlockingTool(Tool, Protocol):
    """A tool that is run without awaiting."""

    def call(self, arguments: Any, /) -> Any:
        """Run with what its parsing kept (`Parsed.ready`), or with a dict to parse, in this thread."""
        ...


@dataclass(frozen=True)
class BlockingAnswering:
    """What `Answering` does, for code that doesn't await."""

    answering: Answering

    def feed(self, piece: str) -> str:
        """See Answering.feed."""
        return drive(self.answering.feed(piece))

    def finish(self, piece: str = "") -> str:
        """See Answering.finish."""
        return drive(self.answering.finish(piece))


@dataclass(frozen=True)
class BlockingMasking:
    """What `TextMasking` does, for code that doesn't await."""

    masking: TextMasking

    def feed(self, piece: str) -> str:
        """See TextMasking.feed."""
        return drive(self.masking.feed(piece))

    def finish(self, piece: str = "") -> str:
        """See TextMasking.finish."""
        return drive(self.masking.finish(piece))


@dataclass(frozen=True)
class BlockingGuard:
    """What `Guard` does, for code that doesn't await."""

    guard: Guard

    def run(self, call: ToolCall, tool: BlockingTool) -> Any:
        """Admit the call, run the tool in this thread, mask what comes back."""
        permit = self.admit(call, tool)
        with self.settling(permit) as outcome:
            outcome.result = tool.call(permit.arguments)
        return outcome.masked

    def user_said(self, text: str) -> None:
        """See Guard.user_said."""
        drive(self.guard.user_said(text))

    def admit(self, call: ToolCall, tool: Tool, *, hold_seconds: float | None = None) -> Permit:
        """See Guard.admit."""
        return drive(self.guard.admit(call, tool, hold_seconds=hold_seconds))

    def settle(self, permit: Permit, result: Any) -> Any:
        """See Guard.settle."""
        return drive(self.guard.settle(permit, result))

    def settled(self, permit: Permit, result: Any) -> Settled:
        """See Guard.settled."""
        return drive(self.guard.settled(permit, result))

    def settle_error(self, permit: Permit, error: BaseException) -> BaseException:
        """See Guard.settle_error."""
        return drive(self.guard.settle_error(permit, error))

    def masked(self, value: Any, *, origin: str) -> Any:
        """See Guard.masked."""
        return drive(self.guard.masked(value, origin=origin))

    def standing(self, request_id: str, *, hold_seconds: float = 0.0) -> str:
        """See Guard.standing."""
        return drive(self.guard.standing(request_id, hold_seconds=hold_seconds))

    def stream(self, call: ToolCall, tool: StreamingTool) -> Generator[str, None, None]:
        """See Guard.stream."""
        parts = self.guard.stream(call, tool)

        async def part() -> str | None:
            return await anext(parts, None)

        try:
            while (shown := drive(part())) is not None:
                yield shown
        finally:
            drive(parts.aclose())  # whoever stops reading leaves a call that is not settled

    def masking(self, *, origin: str) -> BlockingMasking:
        """See Guard.masking."""
        return BlockingMasking(self.guard.masking(origin=origin))

    def answer(self, text: str) -> str:
        """See Guard.answer."""
        return drive(self.guard.answer(text))

    def answering(self) -> BlockingAnswering:
        """See Guard.answering."""
        return BlockingAnswering(self.guard.answering())

    def settling(self, permit: Permit) -> BlockingRunning:
        """See Guard.settling."""
        return BlockingRunning(self.guard.settling(permit))
