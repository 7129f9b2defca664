"""Cards on every surface, of every kind: what they said when somebody looked at them last."""

from __future__ import annotations

import pytest

from tests.cards.test_face import UNSEEN
from tests.server.surfaces import KINDS, SNAPSHOTS, SURFACES, all_written, snapshot

ALL = all_written()
OUTCOMES = {
    "ran": "Ran 14:32 UTC, approved by ann",
    "did not run: rejected": "Did not run: rejected by bob: Not twice",
    "did not run: expired": "Did not run: nobody decided in time (00:10 UTC)",
    "did not run: withdrawn": "Did not run: taken back (policy became stricter)",
    "may have run: failed": "May have run: it ended in an error 14:32 UTC",
    "may have run: unknown": "May have run: nobody heard how it ended",
    "may have run: it did": "Ran, says bob: I looked",
    "may have run: it did not": "Did not run, says bob: I looked",
}
FURTHER = {
    "terminal": ("--happened", "--did-not", "agentguard freeze --agent clerk"),
    "web": ('value="happened">It did happen<', 'value="did-not">It did not<', "Freeze the agent"),
    "slack": ("It did, it did not, or freeze the agent",),
    "teams": ("It did, it did not, or freeze the agent",),
}
"""How each surface lets people go on where nobody knows whether a call ran."""


@pytest.mark.parametrize("surface", ALL)
def test_cards_are_as_they_were_looked_at(surface: str) -> None:
    """`python -m tests.server.surfaces` writes them anew."""
    assert snapshot(ALL[surface]) == (SNAPSHOTS / f"{surface}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize(("kind", "told"), OUTCOMES.items(), ids=str)
def test_every_surface_says_how_it_ended_and_offers_no_decision_then(surface: str, kind: str, told: str) -> None:
    """In the same words."""
    text = ALL[surface][kind]
    assert told in text
    assert not any(word in text for word in ("Approve", "agentguard_approve", "Reject", "Look and decide"))


@pytest.mark.parametrize("surface", SURFACES)
def test_where_it_may_have_run_people_can_say_what_happened_or_stop_the_agent(surface: str) -> None:
    """And nowhere else, nor once somebody said it."""
    unknown = ("may have run: failed", "may have run: unknown")
    assert all(word in ALL[surface][kind] for word in FURTHER[surface] for kind in unknown)
    known = [text for kind, text in ALL[surface].items() if kind not in unknown]
    assert not [text for text in known if FURTHER[surface][0] in text]


@pytest.mark.parametrize("surface", ["terminal", "slack", "teams", "web"])
def test_t16_a_hostile_card_hides_and_steers_nothing(surface: str) -> None:
    """On any surface, and it decides nothing differently."""
    assert not UNSEEN.search(ALL[surface]["waits, hostile"].replace("\n", ""))
    assert "<script>" not in ALL["web"]["waits, hostile"]
    assert '"type":"mrkdwn"' not in ALL["slack"]["waits, hostile"]
    assert '"type":"TextBlock"' not in ALL["teams"]["waits, hostile"]


@pytest.mark.parametrize(
    ("surface", "mark"), [("terminal", "nobody checked this"), ("web", "not checked"), ("slack", "nobody checked this")]
)
def test_t18_the_agents_words_stand_below_the_guards_facts_and_marked(surface: str, mark: str) -> None:
    """On every surface that shows them; Teams shows none."""
    text = ALL[surface]["waits"]
    words = text.index("pre-approved by security")
    assert (
        max(
            text.index(fact)
            for fact in (
                "14 times the usual",
                "undone",
                "1420",
                "The user asked" if surface != "terminal" else "the user asked",
            )
        )
        < words
    )
    assert text.index(mark) < words
    assert "pre-approved" not in ALL["teams"]["waits"]


def test_t17_a_card_that_is_cut_offers_no_approval_where_it_is_cut() -> None:
    """The terminal shows it whole; elsewhere all of it is read first."""
    long = {surface: ALL[surface]["waits, too long"] for surface in SURFACES}
    assert "x" * 90 in long["terminal"]
    assert "hidden" not in long["terminal"]
    assert "read all, then decide" in long["web"]
    assert "/approve" not in long["web"]
    assert "Read all, then approve" in long["slack"]
    assert "agentguard_approve" not in long["slack"].partition("reject modal")[0]
    assert all("characters hidden here" in long[surface] for surface in ("web", "slack", "teams"))


def test_every_kind_of_ending_is_among_them() -> None:
    """So that a new one is looked at."""
    assert {kind.partition(":")[0].partition(",")[0] for kind in KINDS} == {
        "waits", "approved", "runs", "ran", "did not run", "may have run",
    }  # fmt: skip
