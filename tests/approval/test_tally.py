"""Counting: distinct people, today's groups, the requester never, one rejection ends it."""

from __future__ import annotations

from itertools import combinations, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentguard.approval import Person, Roster, tally
from agentguard.approval.matching import seat, stands_for
from agentguard.approval.roster import Agent
from agentguard.model.approvals import Decision, State, Vote
from agentguard.model.verdicts import Need
from tests.approval.people import BOARD, CONFIRMED, ONE, ROSTER, TWO, a_principal, a_request, a_vote

APPROVED, PENDING, REJECTED = State.APPROVED, State.PENDING, State.REJECTED


def yes(*people: str, approvals: tuple[str, ...] = ("stewards", "board", "confirm")) -> list[Vote]:
    """Approvals of these people, for whatever is needed."""
    return [a_vote(a_request(), person, approvals=approvals) for person in people]


def no(*people: str) -> list[Vote]:
    """Rejections of these people."""
    return [a_vote(a_request(), person, Decision.REJECT) for person in people]


def need(approvers: tuple[str, ...], quorum: int = 1, from_each: bool = False) -> Need:
    """An approval of these approvers."""
    return Need(name="stewards", approvers=approvers, quorum=quorum, from_each=from_each, deadline_seconds=60)


def refusing(count: int) -> Need:
    """Two of the stewards; so many rejections end it."""
    return TWO.model_copy(update={"reject_quorum": count})


@pytest.mark.parametrize(
    ("needs", "votes", "state"),
    [
        pytest.param([refusing(2)], no("ann"), PENDING, id="one rejection of two"),
        pytest.param([refusing(2)], no("ann", "ann"), PENDING, id="one person rejects once"),
        pytest.param([refusing(2)], no("ann", "cat"), PENDING, id="a rejection by who is not entitled is none of two"),
        pytest.param([refusing(2)], no("ann", "bob"), REJECTED, id="two rejections of two"),
        pytest.param([refusing(2)], [*yes("ann", "dan"), *no("bob")], APPROVED, id="outvoted"),
        pytest.param([refusing(2), BOARD], no("cat"), REJECTED, id="each need has its own"),
        pytest.param([refusing(0)], yes("ann"), REJECTED, id="a reject_quorum of none never passes"),
        pytest.param([ONE], [], PENDING, id="nobody yet"),
        pytest.param([ONE], yes("ann"), APPROVED, id="one of one"),
        pytest.param([TWO], yes("ann"), PENDING, id="one of two"),
        pytest.param([TWO], yes("ann", "ann"), PENDING, id="one person twice is one"),
        pytest.param([TWO], yes("ann", "dan"), APPROVED, id="two of two"),
        pytest.param([TWO], yes("ann", "dan", "bob"), APPROVED, id="more than the quorum"),
        pytest.param([TWO], yes("ann", "cat"), PENDING, id="who is not in the group does not count"),
        pytest.param([need(("group:stewards", "group:security"), 2)], yes("bob"), PENDING, id="one person in two groups is one"),
        pytest.param([ONE], yes("ann", approvals=("board",)), PENDING, id="a vote on another approval"),
        pytest.param([BOARD], yes("bob"), PENDING, id="nobody stands for two groups"),
        pytest.param([BOARD], yes("bob", "cat"), APPROVED, id="the other one makes room"),
        pytest.param([BOARD], yes("ann", "bob"), APPROVED, id="bob stands for security"),
        pytest.param([BOARD], yes("ann", "dan"), PENDING, id="one group only"),
        pytest.param([TWO, BOARD], yes("ann", "dan"), PENDING, id="every need must be met"),
        pytest.param([TWO, BOARD], yes("ann", "bob"), APPROVED, id="both needs met by the same two"),
        pytest.param([TWO], [*yes("ann", "dan"), *no("bob")], REJECTED, id="one rejection ends it"),
        pytest.param([TWO], no("ann"), REJECTED, id="only a rejection"),
        pytest.param([ONE], no("eve"), PENDING, id="a rejection by who is not entitled"),
        pytest.param([ONE], [*yes("ann"), *no("ann")], REJECTED, id="both from one person is a rejection"),
        pytest.param([], yes("ann"), PENDING, id="no need at all never passes"),
        pytest.param([need(())], yes("ann"), PENDING, id="no approvers never pass"),
        pytest.param([need(("group:ghosts",))], yes("ann"), PENDING, id="an unknown group never passes"),
        pytest.param([need(("group:stewards", "group:ghosts"))], yes("ann"), PENDING, id="nor beside a known one"),
        pytest.param([need(("group:stewards",), 0)], yes("ann"), PENDING, id="a quorum of none never passes"),
        pytest.param([need(("group:stewards",), 0)], [], PENDING, id="a quorum of none, nobody voted"),
        pytest.param([need(("group:stewards",), -1, True)], [], PENDING, id="a negative quorum from each"),
        pytest.param([need(("person:eve",))], yes("eve"), APPROVED, id="a person by name"),
        pytest.param([need(("user:EVE@acme.example",))], yes("eve"), APPROVED, id="a person by e-mail"),
    ],
)  # fmt: skip
def test_votes_give_a_state(needs: list[Need], votes: list[Vote], state: State) -> None:
    """The table of the rules."""
    assert tally(needs, votes, ROSTER, a_principal()).state is state


@pytest.mark.parametrize("user", ["ann", "ann@acme.example", "ANN@ACME.EXAMPLE", " Ann ", "\uff41nn@acme.example"])
def test_t13_t15_the_requester_never_counts(user: str) -> None:
    """Under none of their spellings does the requester stand in the quorum; others still do."""
    # given
    asker = a_principal(user=user)

    # when
    alone = tally([ONE], yes("ann"), ROSTER, asker)
    together = tally([TWO], yes("ann", "dan"), ROSTER, asker)
    others = tally([TWO], yes("ann", "bob", "dan"), ROSTER, asker)

    # then
    assert (alone.state, together.state, others.state) == (PENDING, PENDING, APPROVED)
    assert [(vote.person, vote.why) for vote in alone.uncounted] == [
        ("ann", "is the requester, who never approves their own call")
    ]


def test_t13_the_requester_does_not_reject_either() -> None:
    """Who is no approver ends nothing; the requester can take the call back instead."""
    assert tally([ONE], no("ann"), ROSTER, a_principal(user="ann")).state is PENDING


@pytest.mark.parametrize(
    ("user", "votes", "state"),
    [
        pytest.param("ann", yes("ann"), APPROVED, id="the user confirms"),
        pytest.param("ann", yes("bob"), PENDING, id="nobody else does"),
        pytest.param("ann", no("ann"), REJECTED, id="the user declines"),
        pytest.param("ann", no("bob"), PENDING, id="nobody else declines"),
        pytest.param("zoe@acme.example", yes("ann"), PENDING, id="a user nobody knows"),
        pytest.param(None, yes("ann"), PENDING, id="no user at all"),
    ],
)
def test_confirming_is_the_users_own(user: str | None, votes: list[Vote], state: State) -> None:
    """Only the user on whose behalf the agent acts confirms."""
    assert tally([CONFIRMED], votes, ROSTER, a_principal(user=user)).state is state


def test_confirming_counts_in_no_quorum() -> None:
    """A confirmation beside an approval meets only the confirmation."""
    # given
    needs = [CONFIRMED, ONE]

    # when
    confirmed = tally(needs, yes("ann"), ROSTER, a_principal(user="ann"))
    both = tally(needs, yes("ann", "dan"), ROSTER, a_principal(user="ann"))

    # then
    assert (confirmed.state, [one.met for one in confirmed.standings]) == (PENDING, [True, False])
    assert both.state is APPROVED


@pytest.mark.parametrize(
    ("needs", "user", "said"),
    [
        pytest.param([CONFIRMED], None, "autonomous", id="nobody to confirm"),
        pytest.param([CONFIRMED], "zoe", "not in approvers.yaml", id="unknown user to confirm"),
        pytest.param([need(("group:ghosts",))], "zoe", "group:ghosts means nobody", id="unknown group"),
        pytest.param([need(())], "zoe", "nobody is named", id="no approvers"),
        pytest.param([need(("group:stewards",), 3)], "ann", "needs 3 besides the requester, and there are 2", id="too few"),
        pytest.param([BOARD, need(("group:security",), 2)], "cat", "there are 1", id="requester leaves too few"),
        pytest.param([need(("group:stewards",), 0)], "zoe", "a quorum of 0", id="no quorum"),
        pytest.param([need(("person:bob", "group:security"), 1, True)], "cat", "too few people", id="one for two groups"),
        pytest.param([], "zoe", "no approval is named", id="no needs"),
    ],
)  # fmt: skip
def test_what_can_never_be_approved_says_so(needs: list[Need], user: str | None, said: str) -> None:
    """An obstacle is a sentence that names what is missing."""
    assert any(said in obstacle for obstacle in tally(needs, [], ROSTER, a_principal(user=user)).obstacles)


def test_what_can_be_approved_has_no_obstacle() -> None:
    """Nothing is said where enough people could vote."""
    assert tally([TWO, BOARD, CONFIRMED], [], ROSTER, a_principal(user="eve")).obstacles == ()


@pytest.mark.parametrize(
    ("vote", "why"),
    [
        pytest.param(yes("eve"), "in none of the groups", id="not entitled"),
        pytest.param(yes("zoe"), "not in approvers.yaml", id="not listed"),
        pytest.param(yes("ann", approvals=()), "did not vote on", id="on nothing"),
    ],
)
def test_a_vote_that_does_not_count_is_listed_with_its_reason(vote: list[Vote], why: str) -> None:
    """Nothing is dropped in silence."""
    (uncounted,) = tally([ONE], vote, ROSTER, a_principal()).uncounted
    assert why in uncounted.why


def test_membership_is_todays_and_not_what_the_vote_claims() -> None:
    """A vote signed as a steward does not count once its person is none."""
    # given
    votes = yes("ann")
    today = Roster(
        people={"ann": Person(email="ann@acme.example"), "dan": Person(email="d@acme.example", groups=("stewards",))}
    )

    # when
    counted = tally([ONE], votes, today, a_principal())

    # then
    assert votes[0].groups == ("stewards",)
    assert counted.state is PENDING


def test_the_standing_says_who_is_wanted() -> None:
    """What is missing is said by approver."""
    # given / when
    (board,) = tally([BOARD], yes("ann"), ROSTER, a_principal()).standings

    # then
    assert (board.people, board.missing) == (("ann",), "1 of group:security")


PEOPLE = ("a", "b", "c", "d", "e")
GROUPS = ("g", "h", "i")
memberships = st.fixed_dictionaries({person: st.sets(st.sampled_from(GROUPS)) for person in PEOPLE})


def _a_roster(groups: dict[str, set[str]]) -> Roster:
    return Roster(
        people={name: Person(email=f"{name}@acme.example", groups=tuple(sorted(of))) for name, of in groups.items()}
    )


def _can_seat(groups: list[set[str]], seats: int) -> bool:
    """By trying every way to fill the seats."""
    everybody = sorted(set().union(*groups))
    wanted = [group for group in groups for _ in range(seats)]
    return any(
        all(person in group for person, group in zip(chosen, wanted, strict=True))
        for chosen in permutations(everybody, len(wanted))
    )


@given(groups=st.lists(st.sets(st.sampled_from(PEOPLE)), min_size=1, max_size=3), seats=st.integers(1, 2))
@settings(max_examples=300, deadline=None)
def test_distinct_representatives_are_found_where_there_are_any(groups: list[set[str]], seats: int) -> None:
    """The matching agrees with trying every way, and seats nobody twice or in a group that is not theirs."""
    # when
    found = stands_for(groups, seats)
    seated = seat(groups, seats)

    # then
    assert (found is not None) == _can_seat(groups, seats)
    assert all(people <= group for people, group in zip(seated, groups, strict=True))
    assert all(not (one & other) for one, other in combinations(seated, 2))


@given(
    groups=memberships,
    voters=st.sets(st.sampled_from(PEOPLE)),
    quorum=st.integers(1, 4),
    asker=st.sampled_from((*PEOPLE, None)),
)
@settings(max_examples=300, deadline=None)
def test_t15_k_of_n_counts_humans(
    groups: dict[str, set[str]], voters: set[str], quorum: int, asker: str | None
) -> None:
    """A quorum over several groups is met exactly by enough distinct members besides the requester."""
    # given
    roster = _a_roster(groups)
    wanted = need(("group:g", "group:h"), quorum)
    votes = [vote for person in sorted(voters) for vote in yes(person, person)]

    # when
    counted = tally([wanted], votes, roster, a_principal(user=asker))

    # then
    members = {person for person in voters if groups[person] & {"g", "h"}} - {asker}
    both_exist = all(any(group in of for of in groups.values()) for group in ("g", "h"))
    assert (counted.state is APPROVED) == (len(members) >= quorum and both_exist)


@given(
    groups=memberships,
    voters=st.sets(st.sampled_from(PEOPLE)),
    quorum=st.integers(1, 2),
    asker=st.sampled_from((*PEOPLE, None)),
)
@settings(max_examples=300, deadline=None)
def test_t15_one_from_each_agrees_with_trying_every_way(
    groups: dict[str, set[str]], voters: set[str], quorum: int, asker: str | None
) -> None:
    """With from_each, every group gets its own people, none of them the requester."""
    # given
    roster = _a_roster(groups)

    # when
    counted = tally(
        [need(("group:g", "group:h", "group:i"), quorum, True)], yes(*sorted(voters)), roster, a_principal(user=asker)
    )

    # then
    panels = [{person for person in voters if group in groups[person]} - {asker} for group in GROUPS]
    assert (counted.state is APPROVED) == _can_seat(panels, quorum)


@given(order=st.permutations(["ann", "bob", "cat", "dan", "ann"]), rejecting=st.sets(st.sampled_from(("ann", "cat"))))
@settings(max_examples=100, deadline=None)
def test_the_order_of_votes_never_matters(order: list[str], rejecting: set[str]) -> None:
    """Any order of the same votes gives the same tally."""
    # given
    cast = {person: no(person)[0] if person in rejecting else yes(person)[0] for person in order}

    # when
    counted = tally([TWO, BOARD], [cast[person] for person in order], ROSTER, a_principal())

    # then
    assert counted == tally([TWO, BOARD], [cast[person] for person in sorted(order)], ROSTER, a_principal())


@pytest.mark.parametrize("person", ["bob", "clerk"])
def test_t13_neither_the_agent_nor_who_made_its_credentials_approves(person: str) -> None:
    """Whatever groups they are in."""
    people = ROSTER.people | {"clerk": Person(email="clerk@acme.example", groups=("stewards",))}
    roster = Roster(people=people, agents={"clerk": Agent(minted_by=("bob",))})
    found = tally([ONE], [a_vote(a_request(), person)], roster, a_principal())
    assert found.state is PENDING
    assert [each.person for each in found.uncounted] == [person]
    assert tally([ONE], yes("ann"), roster, a_principal()).state is APPROVED


def test_t13_who_made_another_agents_credentials_does() -> None:
    """They could not act as this one."""
    roster = Roster(people=ROSTER.people, agents={"other": Agent(minted_by=("ann",))})
    assert tally([ONE], yes("ann"), roster, a_principal()).state is APPROVED


@pytest.mark.parametrize(
    ("user", "state"), [("stranger@mail.example", PENDING), ("dan@acme.example", APPROVED), (None, APPROVED)]
)
def test_t14_where_only_listed_users_ask_a_stranger_gets_no_approval(user: str | None, state: State) -> None:
    """Nobody can tell who must not approve it. An autonomous agent has no user to be told."""
    roster = Roster(people=ROSTER.people, users="listed")
    found = tally([ONE], yes("ann"), roster, a_principal(user))
    assert found.state is state
    assert ("only listed users may ask" in " ".join(found.obstacles)) is (state is PENDING)


_HUMANS = ("h0", "h1", "h2", "h3", "h4")


@st.composite
def _alias_graphs(draw: st.DrawFn) -> Roster:
    """Humans with any number of names each; no name is two humans'."""
    counts = draw(st.lists(st.integers(0, 3), min_size=5, max_size=5))
    return Roster(
        people={
            human: Person(
                email=f"{human}@acme.example",
                slack=f"U{human}",
                aliases=tuple(f"{human}-alias-{number}" for number in range(count)),
                groups=tuple(group for group in ("a", "b") if draw(st.booleans())),
            )
            for human, count in zip(_HUMANS, counts, strict=True)
        }
    )


def _any_name(draw: st.DrawFn, roster: Roster, human: str) -> str:
    person = roster.people[human]
    name = draw(st.sampled_from([human, person.email, f"U{human}", *person.aliases]))
    return draw(st.sampled_from([name, name.upper(), f"  {name} "]))


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_t15_k_of_n_counts_humans_over_any_graph_of_names(data: st.DataObject) -> None:
    """Whatever names they come under, the requester's human counts for nothing and each other one once."""
    # given
    roster = data.draw(_alias_graphs())
    asker = data.draw(st.sampled_from(_HUMANS))
    voters = data.draw(st.lists(st.sampled_from(_HUMANS), max_size=10))
    quorum = data.draw(st.integers(1, 4))
    wanted = need(tuple(f"person:{human}" for human in _HUMANS if roster.people[human].groups), quorum)

    # when
    named = [_any_name(data.draw, roster, voter) for voter in voters]
    votes = [a_vote(a_request(), roster.person(name), approvals=("stewards",)) for name in named]
    found = tally([wanted], votes, roster, a_principal(_any_name(data.draw, roster, asker)))

    # then
    entitled = {human for human in _HUMANS if roster.people[human].groups} - {asker}
    counted = set(voters) & entitled
    assert set(found.standings[0].people) == counted
    assert (found.state is APPROVED) is (len(counted) >= quorum)
