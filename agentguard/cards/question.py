"""The question that a user is asked about their own agent's call, where the agent's client shows it: the card as plain text, whole."""

from __future__ import annotations

from collections.abc import Iterator

from agentguard.cards.face import arguments_of, shape_of, undo_of
from agentguard.cards.rendering import gutter
from agentguard.cards.spelling import block, line
from agentguard.model.approvals import Card

LONGEST = 4000
"""Characters that a client's dialog can be trusted to show; a longer question is no question, since its end may be out of sight."""


def question_of(card: Card) -> str | None:
    """What the user reads before they confirm; None where it is longer than a client's dialog shows."""
    text = "\n".join(_lines(card))
    return text if len(text) <= LONGEST else None


def _lines(card: Card) -> Iterator[str]:
    yield f"Confirm exactly this call: {line(card.title)}"
    yield f"{shape_of(card.risk)} {line(card.risk)} risk: {line(card.tool)}, by {line(card.agent)}"
    yield from (f"Why you are asked: {line(reason)}" for reason in card.reasons)
    yield from (f"Unusual: {line(oddity)}" for oddity in card.oddities)
    yield undo_of(card)
    for argument in arguments_of(card):
        came = f" (from {', '.join(argument.origins)})" if argument.origins else ""
        yield f"{argument.name}{came}:"
        yield gutter(argument.value)
    if card.says:
        yield "The agent says (nobody checked it):"
        yield gutter(block(card.says))
