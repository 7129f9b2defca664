"""The card of the calls of one turn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agentguard.approval import Shown
from agentguard.cards import brief_of_turn, digest_of, text_of_turn, turn_of
from agentguard.model.approvals import State
from tests.cards.faces import a_card, a_shown
from tests.cards.test_face import HOSTILE, UNSEEN, texts


def call(number: int, state: State = State.PENDING, **changed: Any) -> Shown:
    """One call of a turn of two or more."""
    shown = a_shown(a_card(title=f"Refund order {number}", **changed), state, withdrawn="the agent gave up")
    request = shown.stored.request.model_copy(update={"id": str(number) * 32, "turn": "t" * 32})
    return replace(shown, stored=replace(shown.stored, request=request))


def test_what_all_calls_share_is_said_once_and_what_differs_stands_with_each() -> None:
    """What the user asked is the turn's; what the agent says of each call is the call's."""
    turn = turn_of([call(1, says="the first"), call(2, says="the second")])
    assert turn.asked == "Refund order 1042, they got the wrong size"
    assert turn.says == ""
    assert [item.says for item in turn.items] == ["the first", "the second"]


def test_a_decision_on_all_is_on_what_still_waits() -> None:
    """Its digest changes with each card, and with each call that ends."""
    both, one = turn_of([call(1), call(2)]), turn_of([call(1), call(2, State.WITHDRAWN)])
    changed = turn_of([call(1), call(2, undo="reverse it")])
    assert set(both.cards) == {"1" * 32, "2" * 32}
    assert set(one.cards) == {"1" * 32}
    assert len({both.digest, one.digest, changed.digest}) == 3
    assert both.digest == digest_of(dict(reversed(list(both.cards.items()))))


@pytest.mark.parametrize(
    ("ended", "told"),
    [(0, "All 3 wait for a decision"), (1, "2 of 3 wait for a decision"), (2, "1 of 3 waits for a decision"), (3, "All are decided")],
)  # fmt: skip
def test_it_says_how_many_wait(ended: int, told: str) -> None:
    """In the row of a list too."""
    calls = [call(number, State.WITHDRAWN if number < ended else State.PENDING) for number in range(3)]
    assert turn_of(calls).status == told
    assert brief_of_turn([each.stored for each in calls]).status == told


def test_it_is_as_grave_as_its_gravest_call_that_waits() -> None:
    """A call that ended counts no more; a risk that no guard writes is above all."""
    low, high = call(1, risk="low"), call(2, risk="high")
    assert turn_of([low, high]).risk == "high"
    assert turn_of([low, call(2, State.WITHDRAWN, risk="high")]).risk == "low"
    assert turn_of([low, call(3, risk="odd"), high]).risk == "odd"


def test_t17_it_is_longer_than_its_longest_call_that_waits() -> None:
    """Then all are approved only after all was shown."""
    long = a_card({"command": "x" * 900}).arguments
    assert turn_of([call(1), call(2, arguments=long)]).is_longer_than(800)
    assert not turn_of([call(1), call(2, State.WITHDRAWN, arguments=long)]).is_longer_than(800)


def test_the_terminal_shows_each_call_whole() -> None:
    """Numbered, under what they share."""
    text = text_of_turn(turn_of([call(1), call(2, State.WITHDRAWN)]))
    lines = text.split("\n")
    assert lines[:3] == [
        "▲ HIGH: 2 calls in one turn",
        "  clerk for user@acme.example, in production",
        "  1 of 2 waits for a decision; each is decided by its id",
    ]
    assert [lines[lines.index(f"{number} of 2") + 1] for number in (1, 2)] == [
        "▲ HIGH: Refund order 1",
        "▲ HIGH: Refund order 2",
    ]
    assert "Did not run: taken back (the agent gave up)" in text


def test_t16_no_text_gets_into_a_turn_unescaped() -> None:
    """Nor into its line of a list, whoever wrote it."""
    evil = dict.fromkeys(("agent", "user", "deployment", "asked", "says", "session"), HOSTILE)
    turn = turn_of([call(1, **evil), call(2, **evil)])
    assert not UNSEEN.search("".join(texts(turn.model_dump())))
    assert not UNSEEN.search("".join(texts(brief_of_turn([call(1, **evil).stored]).model_dump())))
