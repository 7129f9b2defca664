"""When people are reminded of a request, and when more of them may decide: from its record alone. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from agentguard.model.approvals import Request


def next_step_ms(request: Request, after_ms: int) -> int | None:
    """When the first step after this time is due; None where none is."""
    return min((when for when in _candidates(request, after_ms) if after_ms < when < request.deadline_ms), default=None)


def escalates(request: Request, from_ms: int, until_ms: int) -> bool:
    """Whether somebody was added in this time, both ends included."""
    return any(from_ms <= when <= until_ms for when in _escalations(request))


def _candidates(request: Request, after_ms: int) -> Iterator[int]:
    yield from _escalations(request)
    for need in request.needs:
        if need.remind_seconds > 0:
            every = need.remind_seconds * 1000
            yield request.opened_ms + max(1, (after_ms - request.opened_ms) // every + 1) * every


def _escalations(request: Request) -> Iterator[int]:
    for need in request.needs:
        for step in need.escalate:
            yield request.opened_ms + step.after_seconds * 1000
