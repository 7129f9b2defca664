"""How a request stands, in the words that people use: waits, ran, did not run, may have run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, assert_never

from agentguard.approval import Stored
from agentguard.model.approvals import State

Ending = Literal["waits", "runs", "ran", "did not run", "may have run"]


def ending_of(stored: Stored) -> Ending:
    """Which of the few ways a request stands in."""
    match stored.state:
        case State.PENDING:
            return "waits"
        case State.APPROVED | State.EXECUTING:
            return "runs"
        case State.DONE:
            return "ran"
        case State.REJECTED | State.EXPIRED | State.WITHDRAWN:
            return "did not run"
        case State.FAILED | State.UNKNOWN:
            return "may have run"
        case _:
            assert_never(stored.state)


def sentence_of(stored: Stored) -> str:
    """How a request stands, in a sentence."""
    resolution = stored.resolution
    by = ", ".join(resolution.by) or "people"
    match stored.state:
        case State.PENDING:
            return "Waits for a decision"
        case State.APPROVED:
            return f"Approved by {by}; not run yet"
        case State.EXECUTING:
            return f"Approved by {by}; runs now"
        case State.DONE:
            return f"Ran {clock(stored.ended_ms)}, approved by {by}" if stored.ended_ms else f"Ran, approved by {by}"
        case State.REJECTED:
            words = f": {resolution.comment}" if resolution.comment else ""
            return f"Did not run: rejected by {by}{words}"
        case State.EXPIRED:
            return (
                f"Did not run: nobody decided in time ({clock(stored.request.deadline_ms)})"
                if not _approved(stored)
                else f"Did not run: approved by {', '.join(_approved(stored))}, and not started in time"
            )
        case State.WITHDRAWN:
            return f"Did not run: taken back ({stored.withdrawn})"
        case State.FAILED:
            return (
                f"May have run: it ended in an error {clock(stored.ended_ms)}"
                if stored.ended_ms
                else "May have run: it ended in an error"
            )
        case State.UNKNOWN:
            return "May have run: nobody heard how it ended"
        case _:
            assert_never(stored.state)


def clock(time_ms: int) -> str:
    """A time of day in UTC."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%H:%M UTC")


def _approved(stored: Stored) -> tuple[str, ...]:
    return tuple(vote.person for vote in stored.votes if vote.decision.value == "approve")
