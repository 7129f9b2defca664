"""The screen as lines of text, as many and as wide as the terminal: what waits, the card of the chosen one, and what keys do.

Every text of a request is one of `cards`, in which nothing steers or hides. Lines of the list are cut to the width; the card's are
folded, never cut, and how many lines of it are off the screen is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.text import Text

from agentguard.cards import Brief, line
from agentguard.cards.rendering import BAR
from agentguard.cli.cards import STYLES
from agentguard.cli.inbox.board import LISTED_MAX, READING, Board, Mode
from agentguard.cli.inbox.sheet import Sheet, text_on

LIST_LINES_MIN = 3
_FOOT_LINES = 2
_NOTHING = "Nothing waits for a decision. What comes shows up here by itself."
_WHOLE = frozenset({Mode.CARD, Mode.TURN})


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """A whole screen, whether the end of the card is on it, and where the card's first line on it stands."""

    text: Text
    to_its_end: bool
    top: int


def draw(board: Board, *, columns: int, lines: int, now_ms: int) -> Drawn:
    """The screen of a board."""
    head = [_head(board, columns)]
    if board.mode not in _WHOLE and board.face is not None:
        head += _list(board, columns, max(LIST_LINES_MIN, (lines - _FOOT_LINES) // 3), now_ms)
    room = max(1, lines - len(head) - _FOOT_LINES)
    card, to_its_end, top = _card(board, columns, room)
    shown = [*head, *card, *[Text("")] * (room - len(card)), *_foot(board, columns)]
    return Drawn(text=Text("\n").join(shown[:lines]), to_its_end=to_its_end, top=top)


def _head(board: Board, columns: int) -> Text:
    number = len(board.briefs)
    many = f"{number}{' or more' if number >= LISTED_MAX else ''} {'waits' if number == 1 else 'wait'}"
    waits = many if board.trouble != READING else "..."
    return _row(f"agentguard inbox · {board.person} · {waits}", columns, "bold reverse")


def _list(board: Board, columns: int, most: int, now_ms: int) -> Iterator[Text]:
    """So many lines around the chosen one, then a rule."""
    at = next((at for at, brief in enumerate(board.briefs) if brief.id == board.chosen), 0)
    first = max(0, min(at - most // 2, len(board.briefs) - most))
    for brief in board.briefs[first : first + most]:
        chosen = brief.id == board.chosen
        style = f"{STYLES.get(brief.risk, 'bold')}{' reverse' if chosen else ''}"
        yield _row(f"{'>' if chosen else ' '} {_brief(brief, now_ms)}", columns, style)
    yield _row("─" * columns, columns, "dim")


def _brief(brief: Brief, now_ms: int) -> str:
    whom = f"{brief.agent} for {brief.user or 'nobody (autonomous)'}"
    return f"{_left(brief.deadline_ms - now_ms):>4} {brief.shape} {brief.risk:8} {brief.title}  {whom}"


def _left(milliseconds: int) -> str:
    """The time that is left, in its greatest unit."""
    seconds = max(0, milliseconds // 1000)
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _card(board: Board, columns: int, room: int) -> tuple[list[Text], bool, int]:
    """The part of the card that is on the screen, whether its end is, and its first line."""
    if board.sheet is None:
        is_known = board.trouble != READING and board.face is None
        nothing = chop_cells(_NOTHING, columns) if is_known else ["..."]
        return [_row(each, columns, "") for each in nothing], False, 0
    written = _folded(board.sheet, columns)
    if len(written) <= room:
        return _styled(written, board.sheet), True, 0
    room -= 1
    top = max(0, min(board.top, len(written) - room)) if board.mode in _WHOLE else 0
    below = len(written) - top - room
    more = f"{below:,} more lines below" if below else "this is the end of it"
    told = _row(f"[{more}{'' if board.mode in _WHOLE else '; enter shows all'}]", columns, "bold yellow")
    return [*_styled(written[top : top + room], board.sheet, first=top == 0), told], not below, top


@lru_cache(maxsize=8)
def _folded(sheet: Sheet, columns: int) -> tuple[str, ...]:
    return tuple(part for each in text_on(sheet, columns).split("\n") for part in _fitting(each, columns))


def _fitting(text: str, columns: int) -> Sequence[str]:
    """A line in parts that the terminal finds narrow enough, should it count otherwise than the card does."""
    return [text] if cell_len(text) <= columns else chop_cells(text, columns)


def _styled(written: Sequence[str], sheet: Sheet, *, first: bool = True) -> list[Text]:
    told = [Text(each, style="" if each.startswith(BAR) else "default") for each in written]
    if first and told:
        told[0].stylize(f"bold {STYLES.get(sheet.risk, '')}")
    return told


def _foot(board: Board, columns: int) -> list[Text]:
    match board.mode:
        case Mode.REASON:
            return _asked("Reason, which the agent is told (enter rejects, escape doesn't)", board, columns)
        case Mode.CHANGE:
            return _asked("Change an argument, as NAME=VALUE (enter sends, escape doesn't)", board, columns)
        case Mode.CARD:
            keys = ("a approve  r reject  e edit  arrows scroll  esc back", "a approve  r reject  e edit  esc back")
        case Mode.TURN:
            keys = ("a approve all  r reject all  arrows scroll  esc back", "a approve all  r reject all  esc")
        case _:
            turn = "  t its turn" if board.face is not None and board.face.beside else ""
            keys = (
                f"a approve  r reject  e edit{turn}  enter whole card  q quit",
                "a approve  r reject  e edit  q quit",
            )
    told = board.trouble or board.told
    return [
        _row(line(told), columns, "bold red" if board.trouble else "bold"),
        _row(next((each for each in keys if cell_len(each) <= columns), keys[-1]), columns, "dim"),
    ]


def _asked(what: str, board: Board, columns: int) -> list[Text]:
    """A question, and the end of what is typed as its answer."""
    answer = board.answers
    while cell_len(answer) > columns - 3:
        answer = answer[1:]
    return [_row(line(board.told or what), columns, "bold"), _row(f"> {answer}▏", columns, "")]


def _row(text: str, columns: int, style: str) -> Text:
    """One line, cut to the width and filled to it."""
    told = text if cell_len(text) <= columns else set_cell_size(text, columns - 1) + "…"
    return Text(set_cell_size(told, columns), style=style)
