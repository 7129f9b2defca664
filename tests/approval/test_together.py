"""A decision on several calls of one turn: on all of them, or on none."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from agentguard.approval import Channel, Desk
from agentguard.approval.reading import TURN_MAX
from agentguard.errors import DecisionRefused, RequestNotFound
from agentguard.model.approvals import Decision, Request, State
from agentguard.model.verdicts import Need
from tests.approval.people import KEYS, ONE, TWO, a_principal, a_request, a_vote

pytestmark = pytest.mark.anyio

TURN = "a" * 32


async def turn(agent: Channel, *needs: Need, of: str = TURN, **changed: Any) -> list[Request]:
    """The calls of a turn, each with one need."""
    requests = [a_request(need, turn=of, **changed) for need in needs]
    return [(await agent.open(request, b"sealed")).stored.request for request in requests]


def shown(requests: Sequence[Request]) -> dict[str, str]:
    """The digests of the cards that somebody saw."""
    return {request.id: request.card.digest() for request in requests}


async def together(
    desk: Desk, cards: dict[str, str], decision: Decision = Decision.APPROVE, person: str = "ann"
) -> Any:
    """One person's decision on all of them."""
    return await desk.decide_together(cards, person=person, key=KEYS[person], decision=decision, comment="read all")


async def states(agent: Channel, requests: Sequence[Request]) -> list[State]:
    """How they stand."""
    return [(await agent.read(request.id)).state for request in requests]


async def refused(desk: Desk, cards: dict[str, str], **more: Any) -> str:
    """Why nothing was decided."""
    with pytest.raises(DecisionRefused) as error:
        await together(desk, cards, **more)
    return error.value.code


@pytest.mark.parametrize(("decision", "state"), [(Decision.APPROVE, State.APPROVED), (Decision.REJECT, State.REJECTED)])
async def test_all_are_decided_each_by_a_vote_of_its_own(
    agent: Channel, desk: Desk, decision: Decision, state: State
) -> None:
    """Bound to its call and card, so that each verifies by itself."""
    requests = await turn(agent, ONE, ONE, ONE)
    resolutions = await together(desk, shown(requests), decision)
    stored = [await agent.read(request.id) for request in requests]
    assert [resolution.state for resolution in resolutions] == [state] * 3
    assert [each.votes[0].card_digest for each in stored] == [request.card.digest() for request in requests]
    assert {each.votes[0].digest for each in stored} == {request.digest for request in requests}


async def test_no_more_are_decided_than_a_turn_can_have(desk: Desk) -> None:
    """Before any of them is read; and none at all are no calls of one turn."""
    assert await refused(desk, {f"{number:032x}": "0" * 64 for number in range(TURN_MAX + 1)}) == "other_turn"
    assert await refused(desk, {}) == "other_turn"


async def test_a_quorum_of_two_wants_a_second_person_on_each(agent: Channel, desk: Desk) -> None:
    """One press of one person is one vote on each."""
    requests = await turn(agent, ONE, TWO)
    await together(desk, shown(requests))
    assert await states(agent, requests) == [State.APPROVED, State.PENDING]


async def test_t38_where_one_ended_in_between_nothing_is_decided(agent: Channel, desk: Desk) -> None:
    """Whatever ended it."""
    requests = await turn(agent, ONE, ONE, ONE)
    await agent.withdraw(requests[1].id, "the agent gave up")
    assert await refused(desk, shown(requests)) == "ended"
    assert await states(agent, requests) == [State.PENDING, State.WITHDRAWN, State.PENDING]
    assert not (await agent.read(requests[0].id)).votes


async def test_t1_where_one_card_is_another_than_was_shown_nothing_is_decided(agent: Channel, desk: Desk) -> None:
    """Its digest is part of the decision."""
    requests = await turn(agent, ONE, ONE)
    assert await refused(desk, shown(requests) | {requests[1].id: "0" * 64}) == "other_card"
    assert await states(agent, requests) == [State.PENDING] * 2


async def test_t14_where_one_is_not_theirs_to_decide_nothing_is_decided(agent: Channel, desk: Desk) -> None:
    """Though the others are."""
    board = Need(name="board", approvers=("group:security",), deadline_seconds=600)
    requests = await turn(agent, ONE, board)
    assert await refused(desk, shown(requests)) == "not_entitled"
    assert await states(agent, requests) == [State.PENDING] * 2


@pytest.mark.parametrize(
    "others",
    [
        pytest.param({"of": "b" * 32}, id="of another turn"),
        pytest.param({"of": ""}, id="of no turn"),
        pytest.param({"principal": a_principal(session="thread-2")}, id="of another session"),
    ],
)
async def test_t2_only_calls_of_one_turn_are_decided_together(
    agent: Channel, desk: Desk, others: dict[str, Any]
) -> None:
    """A list put together by hand is refused whole."""
    requests = [*await turn(agent, ONE), *await turn(agent, ONE, **others)]
    assert await refused(desk, shown(requests)) == "other_turn"
    assert await states(agent, requests) == [State.PENDING] * 2


async def test_calls_without_a_turn_are_not_decided_together(agent: Channel, desk: Desk) -> None:
    """Nobody was shown them as one."""
    requests = await turn(agent, ONE, ONE, of="")
    assert await refused(desk, shown(requests)) == "other_turn"
    assert await refused(desk, {}) == "other_turn"


async def test_t35_a_request_that_is_not_here_is_one_answer_for_all(agent: Channel, desk: Desk) -> None:
    """And nothing is decided."""
    requests = await turn(agent, ONE)
    with pytest.raises(RequestNotFound):
        await together(desk, shown(requests) | {"f" * 32: "0" * 64})
    assert await states(agent, requests) == [State.PENDING]


async def test_t10_the_same_press_again_changes_nothing(agent: Channel, desk: Desk) -> None:
    """Also after all of it ended."""
    requests = await turn(agent, ONE, ONE)
    first = await together(desk, shown(requests))
    votes = [(await agent.read(request.id)).votes for request in requests]
    assert await together(desk, shown(requests)) == first
    assert [(await agent.read(request.id)).votes for request in requests] == votes


async def test_t3_of_two_who_decide_all_at_once_one_decides_all(agent: Channel, desk: Desk) -> None:
    """No turn ends up half approved and half rejected."""
    for _ in range(5):
        requests = await turn(agent, ONE, ONE, ONE)
        cards = shown(requests)
        await asyncio.gather(
            together(desk, cards, Decision.APPROVE, "ann"),
            together(desk, cards, Decision.REJECT, "bob"),
            return_exceptions=True,
        )
        assert len(set(await states(agent, requests))) == 1


async def test_t3_a_vote_of_another_in_between_is_counted_and_all_is_still_decided(agent: Channel, desk: Desk) -> None:
    """The tally is made anew; the card is still the one that was shown."""
    requests = await turn(agent, TWO, TWO)
    stored = await agent.read(requests[0].id)
    await agent.vote(a_vote(requests[0], "bob", time_ms=requests[0].opened_ms), stored.version, State.PENDING)
    await together(desk, shown(requests))
    assert await states(agent, requests) == [State.APPROVED, State.PENDING]


async def test_t32_a_turn_in_redis_is_a_hint(agent: Channel, desk: Desk) -> None:
    """Who writes a foreign request, or nonsense, into the list of a turn shows nobody a call of another turn."""
    requests = await turn(agent, ONE, ONE)
    foreign = await turn(agent, ONE, of="b" * 32)
    name = agent.names.turn(TURN)
    await agent.connection.execute("ZADD", name, 1, foreign[0].id, 2, "nonsense", 3, "\x1b[2J")
    seen = await desk.show_turn(requests[1].id)
    assert [each.stored.request.id for each in seen] == [request.id for request in requests]


async def test_a_request_that_its_turn_does_not_name_stands_alone(agent: Channel, desk: Desk) -> None:
    """Nothing is lost where the list is."""
    requests = await turn(agent, ONE, ONE)
    await agent.connection.execute("DEL", agent.names.turn(TURN))
    assert [each.stored.request.id for each in await desk.show_turn(requests[1].id)] == [requests[1].id]


async def test_a_turn_is_kept_as_long_as_its_requests(agent: Channel) -> None:
    """Not longer, so that memory is bounded."""
    (request,) = await turn(agent, ONE)
    times = [
        await agent.connection.execute("PEXPIRETIME", key)
        for key in (agent.names.turn(TURN), agent.names.request(request.id))
    ]
    assert times[0] == times[1] > 0
