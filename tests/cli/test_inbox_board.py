"""What keys mean and what the screen shows, without a terminal."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len

from agentguard.approval import Shown, Stored, tally
from agentguard.cards import brief_of, face_of, turn_of
from agentguard.cli.inbox.board import GUARD_SECONDS, Act, Board, Change, Choose, Decide, Leave, Mode
from agentguard.cli.inbox.drawing import draw
from agentguard.cli.inbox.keyboard import Decoder, Key, Pasted, Special
from agentguard.model.approvals import Card, Decision, Request, State
from tests.approval.people import ROSTER, a_request

LATER = GUARD_SECONDS + 0.01
EVIL = "\x1b[2J\u202eevil\u200b[red]b[/red]\x07\r\nApproved" + " " * 90 + "表👩‍👩‍👧e\u0301" * 30


def stored(request: Request, state: State = State.PENDING) -> Stored:
    """A request as it stands."""
    return Stored(request=request, state=state, version="1", votes=(), sealed_input=b"", withdrawn="", now_ms=1)


def shown(request: Request, state: State = State.PENDING) -> Shown:
    """The same, for looking at."""
    counted = tally(request.needs, (), ROSTER, request.principal)
    return Shown(stored=stored(request, state), tally=counted, unverified=())


def a_board(*requests: Request, drawn_at: float = 0.0) -> Board:
    """A board with these requests, the first of which was drawn whole."""
    board = Board(person="ann")
    board.now_waits([brief_of(stored(one)) for one in requests])
    board.looks_at(face_of(shown(requests[0])) if requests else None)
    board.drawn(at=drawn_at, to_its_end=True)
    return board


def a_card(**changed: Any) -> Card:
    """A card with some text in it."""
    given: dict[str, Any] = {
        "title": "Run a command", "tool": "shell", "agent": "clerk", "user": None, "session": "s", "risk": "high",
        "reasons": (), "arguments": '{"command":"ls"}',
    }  # fmt: skip
    return Card(**(given | changed))


class TestKeys:
    """From bytes to keys."""

    @pytest.mark.parametrize(
        ("sent", "keys"),
        [
            pytest.param(b"a", ["a"], id="letter"),
            pytest.param("ü表".encode(), ["ü", "表"], id="letters of several bytes"),
            pytest.param(b"\x1b[A\x1bOB", [Special.UP, Special.DOWN], id="arrows"),
            pytest.param(b"\x1b[5~\x1b[6~", [Special.PAGE_UP, Special.PAGE_DOWN], id="pages"),
            pytest.param(b"\r\x7f\x03", [Special.ENTER, Special.BACKSPACE, Special.INTERRUPT], id="controls"),
            pytest.param(b"\x1b[200~a\rb\x1b[201~", [Pasted("a\rb")], id="paste"),
            pytest.param(b"\x1b\x1b[A", [Special.ESCAPE, Special.UP], id="escape before another key"),
            pytest.param(b"\x1b[1;5A\x1ba\x1b[?64;1;2c\x1b[M", [], id="unknown sequences"),
            pytest.param(b"\x00\x01\x9b\xff", [], id="bytes that are no key"),
        ],
    )
    def test_bytes_become_keys_however_they_are_cut(self, sent: bytes, keys: list[Key]) -> None:
        """At once, and byte by byte."""
        slow = Decoder()
        assert [key for key in Decoder().feed(sent) if key != "\ufffd"] == keys
        assert [key for n in range(len(sent)) for key in slow.feed(sent[n : n + 1]) if key != "\ufffd"] == keys

    def test_an_escape_alone_is_a_key_once_nothing_follows(self) -> None:
        """Nothing else that is left is one."""
        decoder = Decoder()
        assert (decoder.feed(b"\x1b"), decoder.rest(), decoder.rest()) == ([], [Special.ESCAPE], [])
        assert (decoder.feed(b"\x1b["), decoder.rest()) == ([], [])


class TestTheGuard:
    """When a key counts."""

    @pytest.mark.parametrize(("after", "counts"), [(0.0, False), (0.699, False), (0.701, True)])
    @pytest.mark.parametrize("key", ["a", "r", "e"])
    def test_within_700_ms_of_a_change_of_the_card_a_key_decides_nothing(
        self, key: str, after: float, counts: bool
    ) -> None:
        """It was meant for what stood there before."""
        board = a_board(a_request(), drawn_at=5.0)
        acted = board.press(key, at=5.0 + after) is not None or board.mode is not Mode.LIST
        assert acted is counts

    def test_drawing_the_same_card_again_starts_no_guard(self) -> None:
        """A tick of the clock, or another request in the list, changes no card."""
        board = a_board(request := a_request(), drawn_at=0.0)
        board.looks_at(face_of(shown(request)))
        board.drawn(at=LATER, to_its_end=True)
        assert isinstance(board.press("a", at=LATER), Decide)

    def test_what_was_read_but_not_drawn_yet_is_not_decided(self) -> None:
        """The person sees the old card."""
        board = a_board(request := a_request())
        changed = request.model_copy(update={"card": a_card(), "revision": 2})
        board.looks_at(face_of(shown(changed)))
        assert board.press("a", at=LATER) is None

    def test_t17_what_was_not_on_the_screen_to_its_end_is_opened_instead(self) -> None:
        """And approved once it was."""
        board = a_board(request := a_request())
        board._read.clear()
        assert (board.press("a", at=LATER), board.mode) == (None, Mode.CARD)
        board.drawn(at=LATER, to_its_end=True)
        assert board.press("a", at=LATER) == Decide(
            cards={request.id: request.card.digest()}, decision=Decision.APPROVE
        )

    @pytest.mark.parametrize(
        ("changed", "told"),
        [
            pytest.param({"trouble": "Redis is away"}, "nothing can be decided now", id="Redis away"),
            pytest.param({"is_busy": True}, "not answered yet", id="the last one waits"),
            pytest.param({"chosen": "another"}, "changed just now", id="another one chosen"),
            pytest.param({"face": None}, "nothing waits", id="nothing there"),
        ],
    )
    def test_what_keeps_a_key_from_deciding_is_told(self, changed: dict[str, Any], told: str) -> None:
        """Nothing is decided then."""
        board = a_board(a_request())
        for name, value in changed.items():
            setattr(board, name, value)
        assert board.press("a", at=LATER) is None
        assert told in board.told

    def test_what_is_over_is_decided_no_more(self) -> None:
        """While it is looked at it ended; the line says how."""
        board = a_board(request := a_request())
        board.looks_at(face_of(shown(request, State.WITHDRAWN)))
        board.drawn(at=0.0, to_its_end=True)
        assert "Did not run" in board.told
        assert board.press("a", at=LATER) is None


class TestTurns:
    """Several calls that were asked for together."""

    @pytest.fixture
    def turn(self) -> list[Shown]:
        """Three calls of one turn."""
        made = [a_request(turn="a" * 32) for _ in range(3)]
        return [replace(shown(each), beside=tuple(other.id for other in made if other is not each)) for each in made]

    def a_board(self, turn: list[Shown]) -> Board:
        """Its first call is looked at."""
        board = Board(person="ann")
        board.now_waits([brief_of(each.stored) for each in turn])
        board.looks_at(face_of(turn[0]))
        board.drawn(at=0.0, to_its_end=True)
        return board

    def test_all_are_approved_only_on_their_common_card_once_it_was_read(self, turn: list[Shown]) -> None:
        """Not by what was read of one of them; and then exactly those that wait."""
        board = self.a_board(turn)
        assert board.press("t", at=LATER) == Choose(request=turn[0].stored.request.id)
        assert (board.press("a", at=LATER), board.told) == (None, "nothing waits for a decision")
        ended = replace(turn[2], stored=replace(turn[2].stored, state=State.WITHDRAWN))
        board.looks_at(face_of(turn[0]), turn_of([*turn[:2], ended]))
        board.drawn(at=LATER, to_its_end=False)
        assert board.press("a", at=2 * LATER + 1) is None
        board.drawn(at=2 * LATER, to_its_end=True)
        assert board.press("a", at=2 * LATER + 1) == Decide(
            cards={each.stored.request.id: each.card_digest for each in turn[:2]}, decision=Decision.APPROVE
        )

    def test_a_reason_that_was_begun_there_rejects_all_and_nothing_is_edited_there(self, turn: list[Shown]) -> None:
        """One call at a time is changed."""
        board = self.a_board(turn)
        board.press("t", at=LATER)
        board.looks_at(face_of(turn[0]), turn_of(turn))
        board.drawn(at=0.0, to_its_end=True)
        assert (board.press("e", at=LATER), board.mode) == (None, Mode.TURN)
        board.press("r", at=LATER)
        assert board.shows_turn
        board.press("n", at=LATER)
        act = board.press(Special.ENTER, at=LATER)
        assert isinstance(act, Decide)
        assert (len(act.cards), act.decision, act.comment) == (3, Decision.REJECT, "n")

    def test_a_call_that_stands_alone_has_no_such_card(self) -> None:
        """The key says so."""
        board = a_board(a_request())
        assert board.press("t", at=LATER) is None
        assert "only call of its turn" in board.told


class TestWords:
    """What is typed."""

    def test_a_reason_goes_with_the_card_that_was_there_when_it_was_begun(self) -> None:
        """Whatever is on the screen by the time it is sent."""
        board = a_board(request := a_request())
        board.press("r", at=LATER)
        board.looks_at(face_of(shown(request.model_copy(update={"card": a_card()}))))
        acts = [board.press(key, at=LATER) for key in ("N", "o", Pasted("\nreally"), Special.ENTER)]
        assert acts[-1] == Decide(
            cards={request.id: request.card.digest()}, decision=Decision.REJECT, comment="Noreally"
        )

    def test_an_edit_is_a_name_and_a_value(self) -> None:
        """Anything else is asked for again."""
        board = a_board(request := a_request())
        board.press("e", at=LATER)
        assert board.typed == "limit="
        board.typed = "nothing"
        assert board.press(Special.ENTER, at=LATER) is None
        assert "NAME=VALUE" in board.told
        board.typed = "limit=5"
        assert board.press(Special.ENTER, at=LATER) == Change(
            request=request.id, card=request.card.digest(), written="limit=5"
        )

    @pytest.mark.parametrize("key", ["a", "q", "j", " "])
    def test_letters_are_letters_there(self, key: str) -> None:
        """No command hides among them."""
        board = a_board(a_request())
        board.press("r", at=LATER)
        assert board.press(key, at=LATER) is None
        assert board.typed == key


class TestChoosing:
    """The list."""

    def test_the_choice_stays_while_others_come_and_goes_to_the_next_when_it_goes(self) -> None:
        """Its place is taken by what stood after it."""
        one, two, three = a_request(), a_request(), a_request()
        board = a_board(one, two)
        assert board.press(Special.DOWN, at=LATER) == Choose(request=two.id)
        assert board.now_waits([brief_of(stored(each)) for each in (three, one, two)]) == two.id
        assert board.now_waits([brief_of(stored(each)) for each in (three, one)]) == one.id
        assert board.now_waits([]) == ""

    @pytest.mark.parametrize(("key", "act"), [("q", Leave()), (Special.INTERRUPT, Leave()), ("x", None), ("A", None)])
    def test_other_keys(self, key: Key, act: Act | None) -> None:
        """Two leave, and nothing else does anything."""
        assert a_board(a_request()).press(key, at=LATER) == act


class TestDrawing:
    """The screen in every size."""

    @pytest.mark.parametrize("mode", Mode)
    @pytest.mark.parametrize("columns", [40, 79, 200])
    @pytest.mark.parametrize("lines", [8, 40])
    def test_t16_every_line_fits_and_nothing_steers(self, columns: int, lines: int, mode: Mode) -> None:
        """Exactly as many lines as there are, none wider, no control character, whatever stands in the card."""
        # given
        card = a_card(
            title=EVIL, agent=EVIL, user=EVIL, session=EVIL, reasons=(EVIL,), oddities=(EVIL,), deployment=EVIL,
            asked=EVIL, says=EVIL, arguments=json.dumps({"command": EVIL, EVIL: 1}),
        )  # fmt: skip
        board = a_board(*[a_request(card=card) for _ in range(9)])
        board.mode, board.typed, board.told = mode, EVIL, EVIL

        # when
        rows = draw(board, columns=columns, lines=lines, now_ms=0).text.plain.split("\n")

        # then
        assert len(rows) == lines
        assert max(map(cell_len, rows)) <= columns
        assert all(character.isprintable() for row in rows for character in row)

    @pytest.mark.parametrize("columns", [40, 80, 200])
    def test_t17_scrolling_shows_every_line_of_a_long_card(self, columns: int) -> None:
        """None is left out between two pages, and the end is told."""
        # given
        board = a_board(a_request(card=a_card(arguments=json.dumps({"command": " ".join(map(str, range(3000)))}))))
        board.mode, board.top, rows, ended = Mode.CARD, 0, [], False

        # when
        while not ended:
            drawn = draw(board, columns=columns, lines=24, now_ms=0)
            rows += [row for row in drawn.text.plain.split("\n")[1:-3] if row not in rows]
            board.top, ended = drawn.top + 10, drawn.to_its_end

        # then
        written = "".join(row.removeprefix("  | ").rstrip() for row in rows).replace(" ", "")
        assert "".join(map(str, range(3000))) in written
