"""A Teams channel that is told of requests: an Adaptive Card through a Workflows webhook, with a link to the request's page.

Rules:
- the card decides nothing: its buttons open pages, where a person logs in;
- every text is a text run, which no markdown or mention in it can steer;
- a Workflows webhook can't change a card that it posted, so what became of a request is a card of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from agentguard.approval import Shown, Turn
from agentguard.cards import Face, cut, face_of
from agentguard.server.outgoing import Outgoing

ARGUMENT_MAX = 400
"""Characters of one argument on the card; the page has it whole."""

_COLOURS = {"low": "Good", "medium": "Accent", "high": "Warning", "critical": "Attention"}


@dataclass(frozen=True, kw_only=True)
class TeamsNotifier:
    """One channel, by the URL of its workflow, which is a secret."""

    url: httpx.URL
    outgoing: Outgoing
    link: Callable[[str], str]

    def wants(self, turn: Turn) -> bool:
        """That a request opened, and how it ended."""
        return turn.kind != "request.changed"

    async def tell(self, turn: Turn, shown: Shown) -> None:
        """See Notifier."""
        body = json.dumps(message_of(face_of(shown), self.link(turn.request))).encode()
        await self.outgoing.post(self.url, body, {})


def message_of(face: Face, link: str) -> dict[str, Any]:
    """What a Workflows webhook takes: one Adaptive Card."""
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.5",
        "msteams": {"width": "Full"},
        "body": [*_head(face), *(_facts(face) if face.is_open else [])],
        "actions": [_open(_what_for(face), link), *_together(face, link)],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [attachment]}


def _what_for(face: Face) -> str:
    """What the page of a request is opened for."""
    if face.ending == "may have run":
        return "It did, it did not, or freeze the agent"
    return "Look and decide" if face.is_open else "Look"


def _together(face: Face, link: str) -> list[dict[str, Any]]:
    return [_open(f"{face.in_turn}: decide them together", f"{link}/turn")] if face.is_open and face.in_turn else []


def _open(title: str, url: str) -> dict[str, Any]:
    return {"type": "Action.OpenUrl", "title": title, "url": url}


def _head(face: Face) -> list[dict[str, Any]]:
    risk = f"{face.shape} {face.risk.upper()}"
    where = f", in {face.deployment}" if face.deployment else ""
    return [
        _text(risk, weight="Bolder", color=_COLOURS.get(face.risk, "Attention")),
        _text(face.title, size="Large", weight="Bolder"),
        _text(f"{face.agent} for {face.user or 'nobody (autonomous)'}{where}", isSubtle=True),
        _text(face.status),
    ]


def _facts(face: Face) -> list[dict[str, Any]]:
    """Why it is asked, what is unusual, and what it would do."""
    told = [_text(f"because {reason}") for reason in face.reasons]
    told += [_text(f"! {oddity}", color="Warning") for oddity in face.oddities]
    told += [_text(face.undo, isSubtle=True)]
    for argument in face.arguments:
        shown = str(cut(argument.value, ARGUMENT_MAX))
        told += [_text(argument.name, weight="Bolder"), _text(shown)]
    return [*told, *(_text(standing) for standing in face.standings), _text(face.deadline, isSubtle=True)]


def _text(text: str, **more: Any) -> dict[str, Any]:
    """A text that is shown as it is: a RichTextBlock reads no markdown."""
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **more}]}
