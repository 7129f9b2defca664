"""A request on the terminal: the card's text, whole, in a frame of its risk's colour."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from agentguard.approval import Shown, Stored
from agentguard.cards import face_of, line, text_of
from agentguard.cards.face import shape_of
from agentguard.cards.outcome import clock
from agentguard.cli.screen import out, say

_STYLES = {"low": "green", "medium": "cyan", "high": "yellow", "critical": "bold red"}


def print_line(stored: Stored) -> None:
    """One request in one line."""
    request, card = stored.request, stored.request.card
    said = f"{request.id}  {stored.state.value:9} {shape_of(card.risk)} {card.risk:8} {card.title}"
    who = f"by {card.agent} for {card.user or 'nobody (autonomous)'}, until {clock(request.deadline_ms)}"
    say(line(f"{said}  {who}"))


def print_card(shown: Shown, *, console: Console = out) -> None:
    """The whole card, its votes and its state."""
    face = face_of(shown)
    style = _STYLES.get(face.risk, "bold")
    text = Text(text_of(face, columns=console.width - 4), overflow="fold")
    panel = Panel(text, border_style=style)
    console.print(panel, soft_wrap=False)  # folded into the panel; soft wrapping would cut what is longer than a line


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
