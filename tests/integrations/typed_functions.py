"""What type checkers know of functions behind `@guard.tool`: no less than of the bare ones. Checked by mypy, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

from agentguard import Guard


def check(guard: Guard) -> None:
    """Sync, with and without parentheses."""

    @guard.tool
    def refund(order_id: int, amount: float = 10.0) -> str:
        return f"{order_id} {amount}"

    @guard.tool(name="refund_order", description="Refund an order.")
    def named(*, order_id: int) -> str:
        return str(order_id)

    assert_type(refund(1), str)
    assert_type(refund(1, amount=2.0), str)
    assert_type(named(order_id=1), str)
    refund("1")  # type: ignore[arg-type]
    refund()  # type: ignore[call-arg]
    refund(1, note="x")  # type: ignore[call-arg]
    named(1)  # type: ignore[call-arg]
    guard.tool(1)  # type: ignore[call-overload]


async def check_async(guard: Guard) -> None:
    """Async, and generators of both kinds."""

    @guard.tool
    async def send(to: str) -> bool:
        return bool(to)

    @guard.tool
    def lines(path: str) -> Iterator[str]:
        yield path

    @guard.tool
    async def words(path: str) -> AsyncIterator[str]:
        yield path

    assert_type(await send("a"), bool)
    assert_type(lines("a"), Iterator[str])
    assert_type(words("a"), AsyncIterator[str])
    await send(1)  # type: ignore[arg-type]
    words(1)  # type: ignore[arg-type]
