"""The templates of cards: one set, Jinja2, over a `Face`. Markup is escaped by the surface's own environment."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from shlex import quote
from unicodedata import combining, east_asian_width

from jinja2 import BaseLoader, Environment, PackageLoader, StrictUndefined

from agentguard.cards.cutting import cut
from agentguard.cards.face import Face
from agentguard.cards.outcome import clock
from agentguard.cards.turn import TurnFace

BAR = "  | "
"""Before each line of somebody else's."""

_INDENT = "      "


def environment(loader: BaseLoader | None = None, *, is_html: bool) -> Environment:
    """What templates of cards are read with; `loader` beside it finds a surface's own."""
    made = Environment(
        loader=loader or PackageLoader("agentguard.cards"),
        autoescape=is_html,  # noqa: S701 - plain text has no markup to escape
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    made.filters |= {"cut": cut, "gutter": gutter, "clock": _clock, "placed": _placed, "quoted": quote}
    return made


def text_of(face: Face, *, columns: int | None = None) -> str:
    """The card as plain text, whole: for the terminal, mail and logs.

    In `columns`, what goes on in the next line is indented, behind its bar where it is somebody else's.
    """
    return _fit(_text().get_template("card.txt.j2").render(face=face), columns)


def text_of_turn(turn: TurnFace, *, columns: int | None = None) -> str:
    """The calls of one turn as plain text, each card whole."""
    return _fit(_text().get_template("turn.txt.j2").render(turn=turn), columns)


def _fit(text: str, columns: int | None) -> str:
    return text if columns is None else "\n".join(part for each in text.split("\n") for part in _folded(each, columns))


@cache
def _text() -> Environment:
    return environment(is_html=False)


def gutter(text: str) -> str:
    """Lines of somebody else's, each behind a bar, so that none can pass for one of ours."""
    return "\n".join(BAR + each for each in text.split("\n"))


def _folded(text: str, columns: int) -> Iterator[str]:
    """A line in parts of at most so many columns."""
    indent = BAR if text.startswith(BAR) else _INDENT
    part, used = "", 0
    for c in text:
        wide = 2 if east_asian_width(c) in "WF" else 0 if combining(c) else 1
        if used + wide > columns:
            yield part
            part, used = indent, len(indent)
        part, used = part + c, used + wide
    yield part


def _placed(reason: str) -> tuple[str, str]:
    """A sentence of the policy, and the file:line where it stands."""
    sentence, bracket, place = reason.rpartition(" (")
    return (sentence, place.removesuffix(")")) if bracket and place.endswith(")") else (reason, "")


def _clock(time_ms: int) -> str:
    return clock(time_ms, "%H:%M:%S UTC")
