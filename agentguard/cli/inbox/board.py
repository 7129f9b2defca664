"""What the screen is about: the requests, the one that is looked at, and what a key means now. No I/O, no clock.

Rules:
- a decision is on the card that is on the screen, by its digest;
- within GUARD_SECONDS of a change of that card, `a`, `r` and `e` do nothing: they were meant for what stood there before;
- what doesn't fit the screen is approved only after its end was on it;
- the calls of one turn are decided one by one, or on their common card all or none;
- a paste decides nothing, and the choice stays on its request while others come and go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import assert_never

from agentguard.cards import Brief, Face, TurnFace, line
from agentguard.cli.inbox.keyboard import Key, Pasted, Special
from agentguard.cli.inbox.sheet import Seen, Sheet, cards_of, name_of, only_argument, seen_of
from agentguard.model.approvals import Decision

GUARD_SECONDS = 0.7
TYPED_MAX = 2_000
LISTED_MAX = 200
"""So many requests are listed, the most urgent."""

READING = "reading what waits"
"""What is in the way at first."""


class Mode(Enum):
    """What the screen shows, and what is typed."""

    LIST = "list"
    CARD = "card"
    TURN = "turn"
    REASON = "reason"
    CHANGE = "change"


@dataclass(frozen=True, kw_only=True, slots=True)
class Choose:
    """Look at another request, or at all of its turn."""

    request: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Decide:
    """Decide on these cards, by request: on all of them or none."""

    cards: Mapping[str, str]
    decision: Decision
    comment: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """Change an argument of the card with this digest: NAME=VALUE."""

    request: str
    card: str
    written: str


@dataclass(frozen=True, slots=True)
class Leave:
    """Close the screen."""


Act = Choose | Decide | Change | Leave


@dataclass(kw_only=True)
class Board:
    """The state of one screen. `told` is a line for the person; `trouble` says what keeps it from being up to date."""

    person: str
    briefs: tuple[Brief, ...] = ()
    chosen: str = ""
    face: Face | None = None
    turn: TurnFace | None = None
    mode: Mode = Mode.LIST
    top: int = 0
    typed: str = ""
    told: str = ""
    trouble: str = READING
    is_busy: bool = False
    _behind: Mode = Mode.LIST
    _meant: Sheet | None = None
    _drawn: Seen = ()
    _changed_at: float = 0.0
    _read: set[tuple[str, str]] = field(default_factory=set)

    def now_waits(self, briefs: Sequence[Brief]) -> str:
        """Take in what waits; gives the id of the request to look at, empty for none."""
        before, self.briefs = self.briefs, tuple(briefs)
        ids = [brief.id for brief in self.briefs]
        if self.chosen in ids or (self.mode is not Mode.LIST and self.face is not None):
            return self.chosen
        place = next((at for at, brief in enumerate(before) if brief.id == self.chosen), 0)
        self.chosen = ids[min(place, len(ids) - 1)] if ids else ""
        return self.chosen

    @property
    def shows_turn(self) -> bool:
        """Whether the card of a whole turn is on the screen."""
        return Mode.TURN in (self.mode, self._behind if self.mode in (Mode.REASON, Mode.CHANGE) else self.mode)

    @property
    def sheet(self) -> Sheet | None:
        """The card that is on the screen."""
        return self.turn if self.shows_turn else self.face

    def looks_at(self, face: Face | None, turn: TurnFace | None = None) -> None:
        """Take in the chosen request as it stands, and its turn; nothing is in the way of deciding it."""
        before, self.face, self.turn, self.trouble = self.face, face, turn, ""
        if before is None or face is None or before.id != face.id or self.told:
            return
        if before.is_open and not face.is_open:
            self.told = f"{face.title}: {face.status}"

    def drawn(self, *, at: float, to_its_end: bool) -> None:
        """The screen was drawn, and whether the end of the card was on it. `at` is in seconds on some steady clock."""
        seen = seen_of(self.sheet)
        if seen != self._drawn:
            self._drawn, self._changed_at = seen, at
        if to_its_end and self.sheet is not None:
            self._read.add(name_of(self.sheet))

    def press(self, key: Key, *, at: float) -> Act | None:
        """What a key comes to."""
        if key is Special.INTERRUPT:
            return Leave()
        match self.mode:
            case Mode.LIST:
                return self._in_list(key, at)
            case Mode.CARD | Mode.TURN:
                return self._in_card(key, at)
            case Mode.REASON | Mode.CHANGE:
                return self._in_words(key)
            case _:
                assert_never(self.mode)

    def _in_list(self, key: Key, at: float) -> Act | None:
        match key:
            case Special.UP | "k":
                return self._move(-1)
            case Special.DOWN | "j":
                return self._move(1)
            case Special.HOME | Special.PAGE_UP:
                return self._move(-len(self.briefs))
            case Special.END | Special.PAGE_DOWN:
                return self._move(len(self.briefs))
            case Special.ENTER:
                self._open(Mode.CARD)
            case "t":
                return self._open_turn()
            case "q":
                return Leave()
            case "a" | "r" | "e":
                return self._begin(key, at)
        return None

    def _in_card(self, key: Key, at: float) -> Act | None:
        match key:
            case Special.UP | "k":
                self.top -= 1
            case Special.DOWN | "j":
                self.top += 1
            case Special.PAGE_UP:
                self.top -= 10
            case Special.PAGE_DOWN | " ":
                self.top += 10
            case Special.HOME:
                self.top = 0
            case Special.END:
                self.top = 10**9
            case Special.ESCAPE | Special.ENTER | "q":
                self.mode, self.told = Mode.LIST, ""
                return Choose(request=self.now_waits(self.briefs))
            case "t":
                return self._open_turn()
            case "a" | "r" | "e":
                return self._begin(key, at)
        return None

    def _in_words(self, key: Key) -> Act | None:
        match key:
            case Special.ENTER:
                return self._said()
            case Special.ESCAPE:
                self._back("nothing was decided")
            case Special.BACKSPACE:
                self.typed = self.typed[:-1]
            case Pasted():
                self.typed = (self.typed + " ".join(key.text.split()))[:TYPED_MAX]
            case str():
                self.typed = (self.typed + key)[:TYPED_MAX]
        return None

    def _move(self, steps: int) -> Act | None:
        if not self.briefs:
            return None
        self.told = ""
        at = next((at for at, brief in enumerate(self.briefs) if brief.id == self.chosen), 0)
        self.chosen = self.briefs[max(0, min(at + steps, len(self.briefs) - 1))].id
        return Choose(request=self.chosen)

    def _open(self, mode: Mode) -> None:
        if self.face is not None:
            self.mode, self.top, self.told = mode, 0, ""

    def _open_turn(self) -> Act | None:
        if self.face is None or not self.face.beside:
            self.told = "it is the only call of its turn"
            return None
        self._open(Mode.TURN)
        return Choose(request=self.face.id)

    def _begin(self, key: Key, at: float) -> Act | None:
        """Begin to decide what is on the screen, if that may be."""
        sheet = self.sheet
        self.told = self._why_not(sheet, at)
        if sheet is None or self.told:
            return None
        if key == "a":
            return self._approve(sheet)
        if key == "e" and isinstance(sheet, TurnFace):
            self.told = "one call at a time is changed: go back to it"
            return None
        self.mode, self._behind, self._meant = (Mode.REASON if key == "r" else Mode.CHANGE), self.mode, sheet
        self.typed = only_argument(sheet) if key == "e" else ""
        return None

    def _why_not(self, sheet: Sheet | None, at: float) -> str:
        if self.trouble:
            return "nothing can be decided now"
        if self.face is None or sheet is None:
            return "nothing waits for a decision"
        if self.is_busy:
            return "the last decision is not answered yet"
        if not cards_of(sheet):
            return "that is over; there is nothing to decide"
        if self.face.id != self.chosen or seen_of(sheet) != self._drawn or at - self._changed_at < GUARD_SECONDS:
            return "the card changed just now: look at it, then press again"
        return ""

    def _approve(self, sheet: Sheet) -> Act | None:
        if name_of(sheet) in self._read:
            return Decide(cards=cards_of(sheet), decision=Decision.APPROVE)
        if self.mode is Mode.LIST:
            self._open(Mode.CARD)
        self.told = "read all of it first: `a` approves once its end was on the screen"
        return None

    def _said(self) -> Act | None:
        meant, typed, is_reason = self._meant, self.typed.strip(), self.mode is Mode.REASON
        if meant is None:
            return None
        if not is_reason and "=" not in typed:
            self.told = "write NAME=VALUE, such as amount=50"
            return None
        self._back("")
        if is_reason or isinstance(meant, TurnFace):
            return Decide(cards=cards_of(meant), decision=Decision.REJECT, comment=typed)
        return Change(request=meant.id, card=meant.card_digest, written=typed)

    def _back(self, told: str) -> None:
        self.mode, self.typed, self.told, self._meant = self._behind, "", told, None

    @property
    def answers(self) -> str:
        """What is typed, for showing."""
        return line(self.typed)
