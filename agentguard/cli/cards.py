"""A request on the terminal: the guard's own facts first, everything in full, nothing that steers the terminal.

The guard escaped what hides or steers in every field of the card. It is escaped once more here, because the approvers' side has no key
to tell a record of the guard from one that somebody else wrote into Redis.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from agentguard.approval import Stored, Tally
from agentguard.cli.screen import out, say
from agentguard.masking import visible
from agentguard.model.approvals import Card, Request

_STYLES = {"low": "green", "medium": "cyan", "high": "yellow", "critical": "bold red"}
_SHAPES = {"low": "-", "medium": "o", "high": "^", "critical": "!"}


def print_line(stored: Stored) -> None:
    """One request in one line."""
    request = stored.request
    said = f"{request.id}  {stored.state.value:9} {request.card.risk:8} {request.card.title}"
    say(
        _line(
            f"{said}  by {request.card.agent} for {request.card.user or 'nobody (autonomous)'}, until {_clock(request.deadline_ms)}"
        )
    )


def print_card(stored: Stored, counted: Tally, *, console: Console = out) -> None:
    """The whole card, its votes and its state."""
    card = stored.request.card
    body = Text("\n", overflow="fold").join(
        [*_facts(stored, counted), Text(""), *_arguments(card), Text(""), *_votes(stored)]
    )
    title = Text(
        _line(f" {_SHAPES.get(card.risk, '?')} {card.risk.upper()}: {card.title} "),
        style=_STYLES.get(card.risk, "bold"),
    )
    panel = Panel(body, title=title, title_align="left", border_style=_STYLES.get(card.risk, "bold"))
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


def _facts(stored: Stored, counted: Tally) -> list[Text]:
    request, card = stored.request, stored.request.card
    rows = [
        ("tool", card.tool),
        ("agent", card.agent + (f" in {card.deployment}" if card.deployment else "")),
        ("for", card.user or "nobody: the agent is autonomous"),
        ("session", card.session),
        *(("because", reason) for reason in card.reasons),
        *(("needs", _need(request, index)) for index in range(len(request.needs))),
        ("until", f"{_clock(request.deadline_ms)}; after that the call is refused"),
        ("state", stored.state.value),
        *(("missing", f"{standing.need}: {standing.missing}") for standing in counted.standings if standing.missing),
        *(("obstacle", obstacle) for obstacle in counted.obstacles),
    ]
    return [Text.assemble((f"{name:>8}  ", "dim"), _line(value)) for name, value in rows]


def _need(request: Request, index: int) -> str:
    need = request.needs[index]
    if not need.approvers:
        return f"{need.name}: the user's own confirmation"
    each = " from each of" if need.from_each else " of"
    return f"{need.name}: {need.quorum}{each} {', '.join(need.approvers)}"


def _arguments(card: Card) -> list[Text]:
    """The arguments whole, one a line where they are an object; masked for people, values escaped by the guard."""
    try:
        written = json.dumps(json.loads(card.arguments), indent=2, ensure_ascii=False)
    except ValueError:
        written = card.arguments
    return [Text("arguments (personal data masked; shown whole)", style="dim"), Text(visible(written))]


def _votes(stored: Stored) -> list[Text]:
    if not stored.votes:
        return [Text("no votes yet", style="dim")]
    return [
        Text(_line(f"{vote.person}: {vote.decision.value}" + (f', "{vote.comment}"' if vote.comment else "")))
        for vote in stored.votes
    ]


def _line(text: str) -> str:
    """One line: nothing that steers or hides, and no break that could pass for a line of ours."""
    return visible(text).replace("\n", "\\n")


def _clock(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%H:%M:%S UTC")
