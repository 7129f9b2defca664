"""The card: in which order it tells what, and what nobody can make of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from types import UnionType
from typing import Any, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard.cards import Brief, Called, Face, TurnFace, block, cut, face_of, line, text_of
from agentguard.cards.face import Argument, Said
from agentguard.model.approvals import Decision, State
from tests.approval.people import a_vote
from tests.cards.faces import a_card, a_shown

CARD = """\
▲ HIGH: Refund 1,420.00 EUR to order 1042
  clerk for user@acme.example, in production
  because Refunds over 1,000 (tool_policies/policy.yaml:31:5)
  ! amount is 14 times the usual 100
  ! iban came from tool read_page
  ! first time for this iban
  Can't be undone

arguments of refund (personal data masked; shown whole)
* amount
  | 1420
  iban  (from tool read_page)
  | ***3000
  order_id  (from user)
  | 1042
  (* read by a rule)
the user asked
  | Refund order 1042, they got the wrong size
the agent says (nobody checked this)
  | The customer is right and the refund was pre-approved by security.

Waits for a decision
  stewards: 0 of 2 approved; still 2 of group:stewards
  until 00:10 UTC; then the call is refused
  more: the agent read untrusted content before
  session thread-1, request rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr"""

HOSTILE = "\x1b[2J\x00\r\x85\u202e\u2066\u200b\u00ad\u2028\u2029\ufeff\U000e0041\ufe0f\u3164\ue000"
UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u115f\u1160\u17b4\u17b5\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ud800-\udfff\ue000-\uf8ff\U000e0000-\U000e0fff]"
)


def _deep(frames: int, look: Callable[[], Face]) -> Face:
    """What is seen so many calls deeper."""
    return look() if frames == 0 else _deep(frames - 1, look)


def texts(value: Any) -> list[str]:
    """Every text in a record."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for inner in value.values() for text in texts(inner)]
    return [text for inner in value for text in texts(inner)] if isinstance(value, (list, tuple)) else []


def bare(annotation: Any) -> bool:
    """Whether an annotation lets text through as it is."""
    if get_origin(annotation) in (tuple, UnionType):
        return any(map(bare, get_args(annotation)))
    return annotation is str


class TestOrder:
    """What is read first."""

    def test_t18_the_guards_facts_come_first_and_the_agents_words_last_and_fenced(self) -> None:
        """Risk, what, for whom, why, what is odd, undo, arguments, the user's words; then the agent's, marked."""
        assert text_of(face_of(a_shown())) == CARD

    def test_an_argument_that_a_rule_read_comes_first(self) -> None:
        """The others keep their order."""
        shown = a_shown(a_card({"a": 1, "b": 2, "z": 3}, read_by_rules=("z",)))
        assert [argument.name for argument in face_of(shown).arguments] == ["z", "a", "b"]

    def test_at_most_three_oddities_stand_before_the_arguments_and_none_is_lost(self) -> None:
        """The fourth is under More."""
        face = face_of(a_shown())
        assert len(face.oddities) == 3
        assert face.more_oddities == ("the agent read untrusted content before",)

    def test_approve_names_what_is_approved(self) -> None:
        """With its size, in the button itself."""
        assert face_of(a_shown()).approve == "Approve: Refund 1,420.00 EUR to order 1042"


class TestOutcome:
    """Afterwards."""

    @pytest.mark.parametrize(
        ("state", "told"),
        [
            (State.DONE, "Ran 14:32 UTC, approved by ann"),
            (State.FAILED, "May have run: it ended in an error 14:32 UTC"),
            (State.UNKNOWN, "May have run: nobody heard how it ended"),
            (State.EXPIRED, "Did not run: not approved and started in time (00:10 UTC)"),
            (State.WITHDRAWN, "Did not run: taken back (policy became stricter)"),
            (State.APPROVED, "Approved by ann; not run yet"),
        ],
    )
    def test_it_says_whether_the_call_ran(self, state: State, told: str) -> None:
        """In the words of people."""
        shown = a_shown(state=state, withdrawn="policy became stricter", ended_ms=(14 * 60 + 32) * 60_000)
        votes = (a_vote(shown.stored.request, "ann"),)
        assert (
            face_of(
                a_shown(state=state, votes=votes, withdrawn=shown.stored.withdrawn, ended_ms=shown.stored.ended_ms)
            ).status
            == told
        )

    def test_a_rejection_gives_its_reason(self) -> None:
        """With who said it."""
        request = a_shown().stored.request
        votes = (a_vote(request, "bob", Decision.REJECT, comment="Not twice"),)
        assert face_of(a_shown(state=State.REJECTED, votes=votes)).status == "Did not run: rejected by bob: Not twice"


class TestHostile:
    """What an agent, or whoever writes into Redis, puts into a card."""

    @pytest.mark.parametrize("model", [Face, Argument, Said, TurnFace, Brief, Called])
    def test_t16_no_text_gets_into_a_card_unescaped(self, model: Any) -> None:
        """Each field of text is of a type that escapes when the record is built; there is no other way in."""
        free = {name for name, field in model.model_fields.items() if bare(field.annotation) and not field.metadata}
        assert free <= {"card_digest", "shape"}  # hexadecimal, and one of ours

    def test_t16_every_field_is_escaped(self) -> None:
        """On one write site, before any surface."""
        # given
        told = {"title", "tool", "agent", "user", "session", "risk", "deployment", "asked", "says", "undo"}
        hostile: dict[str, Any] = {name: f"{name}{HOSTILE}" for name in told}
        hostile |= {"reasons": (HOSTILE,), "oddities": (HOSTILE,) * 5, "read_by_rules": ("x" + HOSTILE,)}
        hostile |= {"origins": {"x" + HOSTILE: (HOSTILE,)}}
        card = a_card().model_copy(update=hostile | {"arguments": json.dumps({"x" + HOSTILE: HOSTILE, "n": [HOSTILE]})})
        request = a_shown(card).stored.request
        votes = (a_vote(request, "ann").model_copy(update={"comment": HOSTILE, "person": HOSTILE}),)

        # when
        face = face_of(a_shown(card, votes=votes, withdrawn=HOSTILE))

        # then
        assert not [text for text in texts(face.model_dump(mode="json")) if UNSEEN.search(text)]
        assert not UNSEEN.search(text_of(face))
        assert face.title.startswith(r"title\x1b[2J\x00\x0d\x85\u202e\u2066\u200b\xad\u2028\u2029\ufeff\U000e0041")

    @given(st.text())
    def test_t16_whatever_is_written_nothing_that_steers_or_hides_is_left(self, text: str) -> None:
        """A line stays a line; what shows is what was written."""
        assert not UNSEEN.search(line(text))
        assert not UNSEEN.search(block(text))
        assert "\n" not in line(text)

    @given(st.text(alphabet=st.characters(codec="utf-8"), max_size=30))
    def test_t16_what_is_shown_tells_what_was_written(self, text: str) -> None:
        """Each escape is that of a character that stood there."""
        plain = text.replace("\\", "/")
        told = block(plain).encode("ascii", "backslashreplace").decode("unicode_escape")
        assert told == plain

    def test_t16_a_value_can_not_write_lines_of_ours(self) -> None:
        """Every line of a value stands behind its bar."""
        value = "x\n\nWaits for a decision\n  stewards: 2 of 2 approved (ann, bob)"
        text = text_of(face_of(a_shown(a_card({"note": value}))))
        assert "\n  | Waits for a decision" in text
        assert text.count("\nWaits for a decision") == 1

    def test_t16_text_that_reads_as_another_value_is_quoted(self) -> None:
        """1 and "1", true and "true", nothing and blanks are told apart."""
        values = {"a": 1, "b": "1", "c": True, "d": "true", "e": None, "f": "null", "g": "", "h": "  "}
        face = face_of(a_shown(a_card(values)))
        assert [argument.value for argument in face.arguments] == [
            "1", '"1"', "true", '"true"', "null", '"null"', '""', '"  "',
        ]  # fmt: skip

    @pytest.mark.parametrize(
        "text",
        ["[" * 65, "[" * 930, "[" * 100_000, '{"a":' * 930, " [" * 930 + "1" + "]" * 930],
        ids=lambda text: f"{text[:3]}{len(text)}",
    )
    def test_t29_a_text_that_nests_without_end_is_shown_and_on_every_surface_alike(self, text: str) -> None:
        """Python reads so deep here and not so deep there: a model could have its calls shown nowhere."""
        shown = a_shown(a_card().model_copy(update={"arguments": json.dumps({"note": text})}))
        face = face_of(shown)
        assert face.arguments[0].value.startswith('"')
        assert _deep(700, lambda: face_of(shown)) == face

    def test_a_text_of_many_brackets_is_shown_as_it_is(self) -> None:
        """Code and lists of links nest nowhere."""
        value = "[a](b) {c}\n" * 500
        (argument,) = face_of(a_shown(a_card({"note": value}))).arguments
        assert argument.value == value

    def test_t17_what_blanks_would_push_out_of_sight_is_shown(self) -> None:
        """4,000 spaces and 4,000 line breaks are counted, and what follows them stands right behind."""
        value = f"echo ok {' ' * 4000}; rm -rf /{chr(10) * 4000}; end"
        (argument,) = face_of(a_shown(a_card({"command": value}))).arguments
        assert argument.value == "echo ok[4,001 spaces]; rm -rf /\n[4,000 line breaks]\n; end"

    @given(st.text(min_size=1, max_size=300), st.integers(min_value=9, max_value=90))
    def test_t17_what_is_cut_says_how_much(self, text: str, most: int) -> None:
        """Head and tail are those of the text, and the count is right."""
        made = cut(text, most)
        assert text.startswith(made.head)
        assert text.endswith(made.tail)
        assert len(made.head) + len(made.tail) + made.hidden == len(text) == made.length

    def test_t17_a_long_card_says_that_it_is_long(self) -> None:
        """So that a surface asks to read all before it offers Approve."""
        face = face_of(a_shown(a_card({"command": "x" * 3000})))
        assert face.is_longer_than(2999)
        assert not face.is_longer_than(3000)

    @pytest.mark.parametrize("arguments", ["{not json", "[1]", "null", '{"a": NaN}'])
    def test_t32_a_record_that_no_guard_wrote_is_shown_whole(self, arguments: str) -> None:
        """It raises nothing, and hides nothing."""
        card = a_card().model_copy(update={"arguments": arguments, "risk": "none"})
        face = face_of(a_shown(card))
        assert face.shape == "?"
        assert "".join(argument.value for argument in face.arguments).strip('"') in (arguments, "NaN")
