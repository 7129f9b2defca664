"""The checker of histories sees what it is there for: each rule is broken by forged histories, and a good one breaks none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.faults.checker import RULES, WAKES_WITHIN_SECONDS, Law, violations
from tests.faults.history import NEVER, Event, Recorder

LAW = Law(quorum={"wire": 2, "pay": 0}, approvers=frozenset({"ann", "bob", "cem"}), requester="ann")


def at(kind: str, began: float, ended: float | None = None, result: str = "ok", **given: Any) -> Event:
    """Something that somebody did."""
    about = (
        {"agent": "clerk", "tool": "wire", "request": "r1", "revision": 1, "call": "c1"} if kind in ABOUT_A_CALL else {}
    )
    return Event(
        kind=kind, began=began, ended=began + 0.1 if ended is None else ended, result=result, **(about | given)
    )


ABOUT_A_CALL = {"call", "permit", "run", "vote", "stored"}
CALL = at("call", 0, 5, "ran", who="p1")
BOB = at("vote", 1, result="pending", who="bob", decision="approve")
CEM = at("vote", 2, result="approved", who="cem", decision="approve")
PERMIT = at("permit", 3, result="redeemed", fence="f1")
RUN = at("run", 4, effect="order 7")
STORED = at("stored", 9, result="done", people=("bob", "cem"))
GOOD = [CALL, BOB, CEM, PERMIT, RUN, STORED]
FREEZE = at("freeze", 2.5, scope="tool", name="wire", who="dan")


def test_a_good_history_breaks_no_rule() -> None:
    """Nor does one with a freeze that was lifted, a lost reply, a death and a settled effect."""
    lifted = [FREEZE, at("lift", 2.7, scope="tool", name="wire", who="bob")]
    lost = [
        at("vote", 1.5, NEVER, "", who="cem", decision="approve"),
        at("vote", 1.6, result="fault", who="bob", decision="approve"),
    ]
    died = [at("call", 0, NEVER, "", call="c2", who="p2"), Event(kind="death", began=1, ended=1, who="p2")]
    again = [at("settle", 6, result="did-not", effect="order 7"), replace(RUN, began=7, request="r2", call="c3")]
    second = [replace(vote, request="r2", began=6.5, ended=6.6) for vote in (BOB, CEM)] + [
        replace(STORED, request="r2")
    ]
    assert violations([*GOOD, *lifted, *lost, *died, *again, *second], LAW) == []


@pytest.mark.parametrize(
    ("rule", "history"),
    [
        pytest.param("one_permit_a_request", [*GOOD, replace(PERMIT, fence="f2")], id="a second fence got the permit"),
        pytest.param("one_permit_a_request", [*GOOD, replace(RUN, effect="")], id="it ran twice"),
        pytest.param("no_run_without_a_quorum", [CALL, BOB, PERMIT, RUN], id="one of two approved"),
        pytest.param("no_run_without_a_quorum", [BOB, replace(BOB, result="approved"), RUN], id="one person twice"),
        pytest.param("no_run_without_a_quorum", [BOB, replace(CEM, began=4.5), RUN], id="approved after it ran"),
        pytest.param("no_run_without_a_quorum", [BOB, replace(CEM, revision=2), RUN], id="another revision"),
        pytest.param("no_run_without_a_quorum", [BOB, replace(CEM, request="r2"), RUN], id="another request"),
        pytest.param("no_run_without_a_quorum", [BOB, replace(CEM, who="eve"), RUN], id="a stranger"),
        pytest.param("no_run_without_a_quorum", [BOB, replace(CEM, who="ann"), RUN], id="the requester"),
        pytest.param("no_run_without_a_quorum", [BOB, replace(CEM, result="refused: late"), RUN], id="a refused vote"),
        pytest.param("no_run_without_a_quorum", [BOB, replace(CEM, decision="reject"), RUN], id="a rejection"),
        pytest.param("no_run_without_a_quorum", [replace(RUN, request="")], id="nobody was asked"),
        pytest.param(
            "no_run_without_a_quorum", [*GOOD, replace(CEM, result="rejected", decision="reject", ended=3)], id="rejected before it ran"
        ),
        pytest.param("no_lost_decision", [BOB, CEM], id="the request is gone"),
        pytest.param("no_lost_decision", [BOB, CEM, replace(STORED, result="pending")], id="an approval undone"),
        pytest.param("no_lost_decision", [BOB, CEM, replace(STORED, result="rejected")], id="an approval flipped"),
        pytest.param("no_lost_decision", [BOB, CEM, replace(STORED, result="expired")], id="an approval forgotten"),
        pytest.param("no_lost_decision", [replace(CEM, result="rejected"), STORED], id="a rejection flipped"),
        pytest.param("no_lost_decision", [BOB, replace(STORED, result="pending", people=("cem",))], id="a vote gone"),
        pytest.param("no_forgotten_waiter", [replace(CALL, result="stuck")], id="no answer in time"),
        pytest.param("no_forgotten_waiter", [replace(CALL, ended=NEVER)], id="no answer, and nobody died"),
        pytest.param(
            "no_forgotten_waiter", [replace(CALL, ended=NEVER), Event(kind="death", began=1, ended=1, who="p2")], id="somebody else died"
        ),
        pytest.param("no_forgotten_waiter", [CALL, BOB, CEM, replace(RUN, began=2.2 + WAKES_WITHIN_SECONDS)], id="it woke too late"),
        pytest.param("no_vote_counts_twice", [*GOOD[:-1], replace(STORED, people=("bob", "bob", "cem"))], id="twice in one tally"),
        pytest.param("no_vote_counts_twice", [BOB, replace(STORED, people=("bob",))], id="one of two was enough"),
        pytest.param("no_vote_counts_twice", [BOB, STORED], id="who never voted"),
        pytest.param("one_run_an_effect", [RUN, replace(RUN, began=8, request="r2")], id="again under another call"),
        pytest.param(
            "one_run_an_effect", [RUN, at("settle", 5, result="happened", effect="order 7"), replace(RUN, began=8)], id="it had happened"
        ),
        pytest.param(
            "one_run_an_effect", [RUN, at("settle", 9, result="did-not", effect="order 7"), replace(RUN, began=8)], id="settled afterwards"
        ),
        pytest.param("no_self_approval", [replace(CEM, who="ann")], id="the requester's vote was taken"),
        pytest.param("no_self_approval", [replace(STORED, people=("ann", "bob"))], id="the requester counts"),
        pytest.param("nothing_while_frozen", [FREEZE, PERMIT], id="a tool"),
        pytest.param("nothing_while_frozen", [replace(FREEZE, scope="agent", name="clerk"), PERMIT], id="an agent"),
        pytest.param("nothing_while_frozen", [replace(FREEZE, scope="tenant", name=""), PERMIT], id="a tenant"),
        pytest.param(
            "nothing_while_frozen",
            [replace(FREEZE, scope="all", name="", began=0, ended=0), replace(CALL, began=1.5), RUN],
            id="a call that began long after",
        ),
        pytest.param(
            "nothing_while_frozen",
            [FREEZE, PERMIT, at("lift", 3.5, scope="tool", name="wire", who="bob")],
            id="lifted too late",
        ),
    ],
)  # fmt: skip
def test_a_forged_history_is_caught(rule: str, history: list[Event]) -> None:
    """By its rule, whatever other rules say."""
    assert any(found.startswith(f"{rule}:") for found in violations(history, LAW))


def test_every_rule_has_forged_histories() -> None:
    """A rule that nothing breaks checks nothing."""
    marks = test_a_forged_history_is_caught.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert {rule.__name__ for rule in RULES} == {case.values[0] for case in marks}


def test_what_is_written_is_read_again(tmp_path: Any) -> None:
    """Also what never ended."""
    recorder = Recorder(tmp_path / "history")
    recorder.end(recorder.begin("vote", who="ann", decision="approve"), "approved")
    recorder.begin("call", who="p1", call="c1")
    recorder.at_once("stored", "done", request="r1", people=["ann"])
    vote, call, stored = recorder.read()
    assert (vote.result, vote.decision, vote.ended >= vote.began) == ("approved", "approve", True)
    assert (call.ended, call.result) == (NEVER, "")
    assert stored.people == ("ann",)
