"""A request on the terminal: the card's text, whole, in a frame of its risk's colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from agentguard.approval import Run, Shown, Stored
from agentguard.cards import TurnFace, brief_of, face_of, line, text_of, text_of_turn
from agentguard.cards.outcome import clock
from agentguard.cli.screen import out, say, say_json

STYLES = {"low": "green", "medium": "cyan", "high": "yellow", "critical": "bold red"}


def print_line(stored: Stored) -> None:
    """One request in one line."""
    brief = brief_of(stored)
    said = f"{brief.id}  {brief.state.value:9} {brief.shape} {brief.risk:8} {brief.title}"
    say(f"{said}  by {brief.agent} for {brief.user or 'nobody (autonomous)'}, until {clock(brief.deadline_ms)}")


def print_card(shown: Shown, *, console: Console = out) -> None:
    """The whole card, its votes and its state."""
    face = face_of(shown)
    style = STYLES.get(face.risk, "bold")
    text = Text(text_of(face, columns=console.width - 4), overflow="fold")
    panel = Panel(text, border_style=style)
    console.print(panel, soft_wrap=False)  # folded into the panel; soft wrapping would cut what is longer than a line


def print_turn(turn: TurnFace, *, console: Console = out) -> None:
    """The cards of the calls of one turn, whole."""
    text = Text(text_of_turn(turn, columns=console.width - 4), overflow="fold")
    console.print(Panel(text, border_style=STYLES.get(turn.risk, "bold")), soft_wrap=False)


def request_json(stored: Stored) -> dict[str, Any]:
    """One request for programs; nothing in it that the card doesn't show."""
    request = stored.request
    return {
        "id": request.id,
        "state": stored.state.value,
        "card": request.card.model_dump(mode="json"),
        "card_digest": request.card.digest(),
        "needs": [need.model_dump(mode="json") for need in request.needs],
        "votes": [
            {"person": vote.person, "decision": vote.decision.value, "comment": vote.comment} for vote in stored.votes
        ],
        "opened_ms": request.opened_ms,
        "deadline_ms": request.deadline_ms,
        "assurance": request.assurance,
    }


def print_runs(runs: Sequence[Run], *, as_json: bool = False) -> None:
    """Attempts at what may happen once that are not known to have ended well, one in a line."""
    for run in runs:
        how = run.outcome or "running, or its process is gone"
        attempt = run.attempt
        if as_json:
            told = None if attempt is None else attempt.model_dump(mode="json")
            say_json({"id": run.subject, "outcome": run.outcome, "attempt": told})
        elif attempt is not None:
            whom = attempt.user or "nobody (autonomous)"
            say(line(f"{run.subject}  {how}  {attempt.tool}  by {attempt.agent} for {whom}"))
        else:
            say(line(f"{run.subject}  {how}"))
    if not runs and not as_json:
        say("nothing may have happened that a person must find out")
