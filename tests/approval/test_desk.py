"""People decide at the desk, on what they saw, once, and only who may."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agentguard.approval import Channel, Desk, Person, Roster, Stored
from agentguard.errors import DecisionRefused, RequestNotFound
from agentguard.model.approvals import Decision, Resolution, State
from agentguard.model.verdicts import Need
from tests.approval.people import (
    BOARD,
    CONFIRMED,
    KEYS,
    ONE,
    TWO,
    a_principal,
    a_request,
    a_vote,
)

pytestmark = pytest.mark.anyio

APPROVE, REJECT = Decision.APPROVE, Decision.REJECT


async def opened(agent: Channel, *needs: Need, user: str | None = "user@acme.example") -> Stored:
    """A new request, made for `user`."""
    return (await agent.open(a_request(*needs, principal=a_principal(user=user)), b"sealed")).stored


async def decide(desk: Desk, stored: Stored, person: str, decision: Decision = APPROVE, **given: Any) -> Resolution:
    """`person` decides with their own key on the card that they saw."""
    seen: dict[str, Any] = {
        "key": KEYS.get(person, KEYS["stranger"]),
        "card_digest": stored.request.card.digest(),
    } | given
    return await desk.decide(stored.request.id, person=person, decision=decision, **seen)


async def refusal(coroutine: Any) -> tuple[str, str]:
    """The code and the words with which a decision is refused."""
    with pytest.raises(DecisionRefused) as refused:
        await coroutine
    return refused.value.code, str(refused.value)


async def test_one_approval_approves(agent: Channel, desk: Desk) -> None:
    """The resolution says who and in which words."""
    # given
    stored = await opened(agent)

    # when
    resolution = await decide(desk, stored, "ann", comment="fine, this once")

    # then
    assert (resolution.state, resolution.by, resolution.comment) == (State.APPROVED, ("ann",), "fine, this once")


async def test_two_of_two_approve(agent: Channel, desk: Desk) -> None:
    """The first leaves it pending, the second decides it."""
    stored = await opened(agent, TWO)
    assert (await decide(desk, stored, "ann")).state is State.PENDING
    assert (await decide(desk, stored, "bob")).by == ("ann", "bob")


async def test_one_rejection_ends_it_with_its_words(agent: Channel, desk: Desk) -> None:
    """After an approval of somebody else, too."""
    stored = await opened(agent, TWO)
    await decide(desk, stored, "ann", comment="why not")
    resolution = await decide(desk, stored, "bob", REJECT, comment="too many customers")
    assert (resolution.state, resolution.by, resolution.comment) == (State.REJECTED, ("bob",), "too many customers")


async def test_a_server_signs_for_whom_it_authenticated(agent: Channel, desk: Desk) -> None:
    """Dan has no key; the inbox speaks for everyone, and is named in the vote."""
    stored = await opened(agent)
    await decide(desk, stored, "DAN@acme.example", signer="inbox", key=KEYS["inbox"])
    (vote,) = (await desk.show(stored.request.id)).stored.votes
    assert (vote.person, vote.signer) == ("dan", "inbox")


@pytest.mark.parametrize(
    ("person", "given_", "code", "said"),
    [
        pytest.param("eve", {}, "not_entitled", "those who can: ann, bob, dan", id="not in the group"),
        pytest.param("zoe", {}, "unknown_person", "not in approvers.yaml", id="nobody knows them"),
        pytest.param("", {}, "unknown_person", "not in approvers.yaml", id="empty name"),
        pytest.param("inbox", {}, "unknown_person", "not in approvers.yaml", id="a server is no person"),
        pytest.param("ann", {"key": KEYS["bob"]}, "bad_signature", "does not verify", id="another's key"),
        pytest.param("dan", {}, "no_key", "no key in approvers.yaml", id="no key"),
        pytest.param("ann", {"signer": "bob", "key": KEYS["bob"]}, "unknown_signer", "may not sign", id="a person signs for another"),
        pytest.param("ann", {"card_digest": "0" * 64}, "other_card", "look at it again", id="another card was shown"),
        pytest.param("ann", {"card_digest": "é"}, "other_card", "look at it again", id="no digest at all"),
        pytest.param("ann", {"comment": "x" * 2001}, "bad_comment", "at most 2000", id="huge comment"),
        pytest.param("ann", {"comment": "\x1b[31m"}, "bad_comment", "U+001B", id="control character"),
    ],
)  # fmt: skip
async def test_t14_who_or_what_is_wrong_is_said_and_nothing_changes(
    agent: Channel, desk: Desk, person: str, given_: dict[str, Any], code: str, said: str
) -> None:
    """One check for every surface; each fault has its code."""
    # given
    stored = await opened(agent)

    # when
    refused = await refusal(decide(desk, stored, person, **given_))

    # then
    assert (refused[0], said in refused[1]) == (code, True), refused
    now = await agent.read(stored.request.id)
    assert (now.state, now.votes, now.version) == (State.PENDING, (), stored.version)


@pytest.mark.parametrize("user", ["ann", "Ann@ACME.example"])
async def test_t13_nobody_approves_their_own_call(agent: Channel, desk: Desk, user: str) -> None:
    """Not with their own key, nor through a server; the refusal names the way out."""
    # given
    stored = await opened(agent, user=user)

    # when
    own = await refusal(decide(desk, stored, "ann"))
    through = await refusal(decide(desk, stored, "ann", signer="inbox", key=KEYS["inbox"]))

    # then
    assert own[0] == through[0] == "self_approval"
    assert "bob, dan" in own[1]
    assert "ask: confirm" in own[1]


async def test_the_user_confirms_their_own_call(agent: Channel, desk: Desk) -> None:
    """Where policy asks for no more than that; nobody else can."""
    stored = await opened(agent, CONFIRMED, user="eve@acme.example")
    assert (await refusal(decide(desk, stored, "ann")))[0] == "not_entitled"
    assert (await decide(desk, stored, "eve")).state is State.APPROVED


async def test_nobody_stands_for_two_groups(agent: Channel, desk: Desk) -> None:
    """Bob is in both; it takes another."""
    stored = await opened(agent, BOARD)
    assert (await decide(desk, stored, "bob")).state is State.PENDING
    assert (await decide(desk, stored, "ann")).state is State.APPROVED


async def test_t3_the_same_decision_again_is_the_same_vote(agent: Channel, desk: Desk) -> None:
    """Pending or decided, with another comment or not."""
    # given
    stored = await opened(agent, TWO)
    await decide(desk, stored, "ann")

    # when
    again = await decide(desk, stored, "ann", comment="once more")
    await decide(desk, stored, "bob")
    late = await decide(desk, stored, "ann")

    # then
    assert (again.state, late.state) == (State.PENDING, State.APPROVED)
    assert [vote.comment for vote in (await agent.read(stored.request.id)).votes] == ["", ""]


async def test_a_vote_may_turn_into_a_rejection_while_pending(agent: Channel, desk: Desk) -> None:
    """And ends the request then."""
    stored = await opened(agent, TWO)
    await decide(desk, stored, "ann")
    assert (await decide(desk, stored, "ann", REJECT)).state is State.REJECTED


@pytest.mark.parametrize(("first", "second", "state"), [(APPROVE, REJECT, "approved"), (REJECT, APPROVE, "rejected")])
async def test_t3_an_opposite_late_vote_gets_a_conflict_with_the_state(
    agent: Channel, desk: Desk, first: Decision, second: Decision, state: str
) -> None:
    """From somebody else, or from the same person."""
    stored = await opened(agent)
    await decide(desk, stored, "ann", first)
    assert await refusal(decide(desk, stored, "bob", second)) == await refusal(decide(desk, stored, "ann", second))
    assert (await refusal(decide(desk, stored, "bob", second)))[0] == "ended"
    assert f"already {state}" in (await refusal(decide(desk, stored, "bob", second)))[1]


async def test_a_decision_on_nothing_is_not_found(desk: Desk) -> None:
    """Unknown and malformed ids get one answer."""
    for_nothing: dict[str, Any] = {"person": "ann", "key": KEYS["ann"], "decision": APPROVE, "card_digest": ""}
    with pytest.raises(RequestNotFound):
        await desk.decide("nobody", **for_nothing)
    with pytest.raises(RequestNotFound):
        await desk.decide("\x1b[31m" * 50, **for_nothing)


async def test_t8_nobody_decides_after_the_deadline(agent: Channel, desk: Desk) -> None:
    """Expired is a state like others."""
    # given
    stored = await opened(agent)
    await agent.connection.execute("HSET", agent.names.request(stored.request.id), "deadline_ms", agent.clock.now_ms())

    # when / then
    assert "already expired" in (await refusal(decide(desk, stored, "ann")))[1]


@pytest.mark.parametrize("needs", [(ONE,), (TWO,)], ids=["quorum 1", "quorum 2"])
async def test_t3_sixteen_deciders_race_and_one_answer_stands(
    agent: Channel, desk: Desk, needs: tuple[Need, ...]
) -> None:
    """However many approve and reject at once, everybody ends with the same state, and the votes give it."""
    # given
    stored = await opened(agent, *needs)
    deciding = [
        decide(desk, stored, person, decision, signer="inbox", key=KEYS["inbox"])
        for person in ("ann", "bob", "dan", "ann")
        for decision in (APPROVE, REJECT)
        for _ in range(2)
    ]

    # when
    answers = await asyncio.gather(*deciding, return_exceptions=True)

    # then
    end = await desk.show(stored.request.id)
    assert len(answers) == 16
    assert {answer.code for answer in answers if isinstance(answer, DecisionRefused)} <= {"ended"}
    assert end.stored.state in (State.APPROVED, State.REJECTED)
    assert end.tally.state is end.stored.state
    assert {answer.state for answer in answers if isinstance(answer, Resolution)} <= {State.PENDING, end.stored.state}


async def test_t3_many_who_approve_at_once_are_all_counted(agent: Channel, desk: Desk) -> None:
    """No vote is lost to another that was put at the same time."""
    # given
    people = [f"p{number}" for number in range(12)]
    crowd = Desk(
        channel=desk.channel,
        roster=Roster(
            people={name: Person(email=f"{name}@acme.example", groups=("stewards",)) for name in people},
            signers=desk.roster.signers,
        ),
    )
    stored = await opened(agent, TWO.model_copy(update={"quorum": 12}))

    # when
    await asyncio.gather(*(decide(crowd, stored, name, signer="inbox", key=KEYS["inbox"]) for name in people))

    # then
    end = await crowd.show(stored.request.id)
    assert (end.stored.state, end.tally.standings[0].people) == (State.APPROVED, tuple(sorted(people)))


async def test_t32_beside_a_forged_vote_nobody_decides(agent: Channel, desk: Desk) -> None:
    """Also not who stands under the forged vote: they never said so. It is shown as what it is."""
    # given
    stored = await opened(agent, TWO)
    forged = a_vote(stored.request, "ann", key=KEYS["stranger"])
    await agent.connection.execute("HSET", agent.names.votes(stored.request.id), "vote:ann", forged.canonical())

    # when / then
    assert (await refusal(decide(desk, stored, "bob")))[0] == "forged"
    assert (await refusal(decide(desk, stored, "ann")))[0] == "forged"
    shown = await desk.show(stored.request.id)
    assert [one.person for one in shown.unverified] == ["ann"]
    assert shown.tally.standings[0].people == ()


async def test_the_desk_lists_what_is_pending_and_shows_how_it_stands(agent: Channel, desk: Desk) -> None:
    """What is missing is said, and the digest of the card goes with it."""
    # given
    stored = await opened(agent, BOARD)
    await decide(desk, stored, "bob")

    # when
    listed = await desk.list()
    shown = await desk.show(stored.request.id)

    # then
    assert [one.request.id for one in listed] == [stored.request.id]
    assert shown.card_digest == stored.request.card.digest()
    assert (shown.tally.state, shown.unverified, bool(shown.tally.standings[0].missing)) == (State.PENDING, (), True)
