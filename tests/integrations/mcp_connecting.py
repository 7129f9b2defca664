"""A client of the protocol in front of the proxy, and a server behind it, all in one process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp import Client
from mcp_types import CallToolResult, ElicitResult, TextContent

from agentguard.guard.pipeline import Guard
from agentguard.integrations.mcp.serving import Terms, proxied
from tests.integrations.mcp_shop import shop


@asynccontextmanager
async def proxied_shop(
    guard: Guard,
    folder: Path,
    *,
    user: str | None = "eve@acme.example",
    hold: float = 10.0,
    answer_within: float = 60.0,
    says: str = "Refund an order.",
    accept: bool = False,
    server: Any = None,
    **client: Any,
) -> AsyncIterator[tuple[Client, list[tuple[str, Any]]]]:
    """A client of the proxy of a shop (or of `server`); and the shop's note of what ran."""
    stand, ran = shop(says)
    terms = Terms(
        user=user,
        autonomous=user is None,
        hold_seconds=hold,
        answer_seconds=answer_within,
        first_sight=folder / "seen.json",
        accept_changes=accept,
    )
    async with proxied(guard, server or stand, terms) as standing_in, Client(standing_in, **client) as there:
        yield there, ran


def text(result: CallToolResult) -> str:
    """The first text of a result."""
    return next(block.text for block in result.content if isinstance(block, TextContent))


@dataclass
class Asked:
    """What a client's user is shown, and what they answer."""

    action: str = "accept"
    shown: list[str] = field(default_factory=list)

    async def __call__(self, _: Any, params: Any) -> ElicitResult:
        """Answer a question."""
        self.shown.append(params.message)
        return ElicitResult(action=self.action)  # type: ignore[arg-type]
