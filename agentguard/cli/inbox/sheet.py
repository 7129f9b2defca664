"""The card on the screen: that of a request, or of all calls of its turn."""

from __future__ import annotations

from collections.abc import Mapping

from agentguard.cards import Face, TurnFace, text_of, text_of_turn

Sheet = Face | TurnFace

Seen = tuple[object, ...]


def cards_of(sheet: Sheet) -> Mapping[str, str]:
    """What a decision on it is on: the digest of each card that waits, by request."""
    if isinstance(sheet, TurnFace):
        return sheet.cards
    return {sheet.id: sheet.card_digest} if sheet.is_open else {}


def name_of(sheet: Sheet) -> tuple[str, str]:
    """What stands for one that was read."""
    return ("turn", sheet.digest) if isinstance(sheet, TurnFace) else (sheet.id, sheet.card_digest)


def seen_of(sheet: Sheet | None) -> Seen:
    """What of it a person would notice the change of."""
    if sheet is None:
        return ()
    if isinstance(sheet, TurnFace):
        return tuple(part for face in sheet.items for part in seen_of(face))
    return (sheet.id, sheet.card_digest, sheet.status, sheet.edit, sheet.votes, sheet.obstacles)


def only_argument(sheet: Sheet) -> str:
    """The beginning of a change, where it is plain what is changed."""
    only = sheet.arguments if isinstance(sheet, Face) and len(sheet.arguments) == 1 else ()
    return f"{only[0].name}=" if only else ""


def text_on(sheet: Sheet, columns: int) -> str:
    """All of it, in so many columns."""
    if isinstance(sheet, TurnFace):
        return text_of_turn(sheet, columns=columns)
    return text_of(sheet, columns=columns)
