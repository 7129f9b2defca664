"""How a request stands, in the words that people use: waits, ran, did not run, may have run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, assert_never

from agentguard.approval import Stored
from agentguard.model.approvals import Found, Settlement, State

_YEAR_3000_MS = 32_503_680_000_000

Ending = Literal["waits", "runs", "ran", "did not run", "may have run"]


def ending_of(stored: Stored, word: Settlement | None = None) -> Ending:
    """Which of the few ways a request stands in. `word`: what a person found out of a run that may have happened."""
    if word is not None:
        return "ran" if word.found is Found.HAPPENED else "did not run"
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


def sentence_of(stored: Stored, word: Settlement | None = None) -> str:
    """How a request stands, in a sentence."""
    return _sentence(stored) if word is None else _settled(word)


def clock(time_ms: int, form: str = "%H:%M UTC") -> str:
    """A time of day in UTC; a number that is no time, as a record that no guard wrote may hold, says so."""
    if not 0 <= time_ms < _YEAR_3000_MS:
        return "at no time"
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime(form)


def _sentence(stored: Stored) -> str:
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
            return f"Ran{_at(stored)}, approved by {by}"
        case State.REJECTED:
            return f"Did not run: rejected by {by}{_words(resolution.comment)}"
        case State.EXPIRED:
            return f"Did not run: {_too_late(stored)} ({clock(stored.request.deadline_ms)})"
        case State.WITHDRAWN:
            return f"Did not run: taken back ({stored.withdrawn})"
        case State.FAILED:
            return f"May have run: it ended in an error{_at(stored)}"
        case State.UNKNOWN:
            return "May have run: nobody heard how it ended"
        case _:
            assert_never(stored.state)


def _at(stored: Stored) -> str:
    return f" {clock(stored.ended_ms)}" if stored.ended_ms else ""


def _too_late(stored: Stored) -> str:
    """Expired is derived from the times, so with votes on it it may have been approved, or not."""
    return "not approved and started in time" if stored.votes else "nobody decided in time"


def _settled(word: Settlement) -> str:
    told = "Ran" if word.found is Found.HAPPENED else "Did not run"
    return f"{told}, says {word.person}{_words(word.comment)}"


def _words(comment: str) -> str:
    return f": {comment}" if comment else ""
