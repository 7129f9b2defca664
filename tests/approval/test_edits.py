"""Edits: the rules of edit.lua and revise.lua, and of who may edit what."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from agentguard.approval import Channel, Desk, Stored, changes_of, check_edit
from agentguard.approval.edits import CHANGES_MAX
from agentguard.approval.signing import signed
from agentguard.errors import DecisionRefused
from agentguard.model.approvals import Decision, Edit, State
from agentguard.store.letters import LetterBox
from tests.approval.people import CONFIRMED, KEYS, ONE, ROSTER, a_request, a_vote

pytestmark = pytest.mark.anyio

BOX = LetterBox([b"l" * 32])


async def opened(agent: Channel, *needs: Any, **changed: Any) -> Stored:
    """A request that takes edits."""
    return (await agent.open(a_request(*needs, **{"box": BOX.public} | changed), b"sealed")).stored


async def edited(desk: Desk, stored: Stored, person: str = "ann", **changes: Any) -> Edit:
    """An edit of ann's."""
    return await desk.edit(
        stored.request.id,
        changes or {"limit": 5},
        person=person,
        key=KEYS[person],
        card_digest=stored.request.card.digest(),
    )


async def revised(agent: Channel, stored: Stored) -> Stored:
    """The next revision."""
    before = await agent.read(stored.request.id)
    card = before.request.card.model_copy(update={"arguments": '{"limit":5}'})
    after = before.request.model_copy(
        update={"revision": before.request.revision + 1, "digest": "e" * 64, "card": card}
    )
    await agent.revise(before, after, b"new input", b"changes")
    return await agent.read(stored.request.id)


async def refusal(coroutine: Any) -> str:
    """The code with which something is refused."""
    with pytest.raises(DecisionRefused) as refused:
        await coroutine
    return refused.value.code


async def test_an_edit_waits_for_the_agents_side(agent: Channel, desk: Desk) -> None:
    """It changes nothing by itself; only the agent's side reads its values."""
    # given
    stored = await opened(agent)

    # when
    edit = await edited(desk, stored, limit=5)

    # then
    after = await agent.read(stored.request.id)
    assert (after.edit, after.edit_waits, after.state, after.request) == (edit, True, State.PENDING, stored.request)
    assert changes_of(edit, stored.request, BOX) == {"limit": 5}
    assert '"limit":5' not in edit.canonical()


async def test_what_is_still_pending_is_read_where_an_edit_waits(agent: Channel, desk: Desk) -> None:
    """So that a waiting call wakes for it, and only for it."""
    stored = await opened(agent)
    assert await agent.read_decided([stored.request.id]) == (None,)
    await edited(desk, stored)
    (found,) = await agent.read_decided([stored.request.id])
    assert isinstance(found, Stored)
    await revised(agent, stored)
    assert await agent.read_decided([stored.request.id]) == (None,)


async def test_a_revision_takes_the_place_of_what_was_and_keeps_it(agent: Channel, desk: Desk) -> None:
    """Original and edited, both with their input."""
    # given
    stored = await opened(agent)
    await edited(desk, stored)

    # when
    after = await revised(agent, stored)

    # then
    assert (after.request.revision, after.sealed_input, after.sealed_changes) == (2, b"new input", b"changes")
    assert not after.edit_waits
    kept = await agent.connection.execute("HMGET", agent.names.request(stored.request.id), "record.1", "input.1")
    assert kept == [stored.request.canonical().encode(), b"sealed"]


async def test_votes_bind_a_revision(agent: Channel, desk: Desk) -> None:
    """An approval of what was counts for nothing any more; the same person votes anew."""
    # given
    stored = await opened(agent, ONE.model_copy(update={"quorum": 2}))
    await agent.vote(a_vote(stored.request, "ann", time_ms=stored.request.opened_ms), stored.version, State.PENDING)
    await edited(desk, stored, "bob")

    # when
    after = await revised(agent, stored)

    # then
    assert after.votes == ()
    old = a_vote(stored.request, "dan", signer="inbox", time_ms=stored.request.opened_ms)
    assert await refusal(agent.vote(old, after.version, State.APPROVED)) == "changed"
    shown = await desk.show(stored.request.id)
    for person in ("ann", "bob"):
        await desk.decide(
            stored.request.id, person=person, key=KEYS[person], decision=Decision.APPROVE, card_digest=shown.card_digest
        )
    assert (await agent.read(stored.request.id)).state is State.APPROVED


async def test_t1_the_card_that_was_seen_before_the_edit_is_another_card(agent: Channel, desk: Desk) -> None:
    """Nobody approves the changed call by having seen the first one."""
    stored = await opened(agent)
    await edited(desk, stored)
    await revised(agent, stored)
    deciding = desk.decide(
        stored.request.id,
        person="bob",
        key=KEYS["bob"],
        decision=Decision.APPROVE,
        card_digest=stored.request.card.digest(),
    )
    assert await refusal(deciding) == "other_card"


async def test_a_refused_edit_says_why_and_changes_nothing(agent: Channel, desk: Desk) -> None:
    """The request waits on, as it was."""
    stored = await opened(agent)
    edit = await edited(desk, stored)
    await agent.refuse_edit(await agent.read(stored.request.id), "limit: must be an integer")
    assert await refusal(desk.answered(edit)) == "edit_refused"
    after = await agent.read(stored.request.id)
    assert (after.request, after.edit_waits, after.state) == (stored.request, False, State.PENDING)


async def test_an_edit_that_nobody_answers_says_so(agent: Channel, desk: Desk) -> None:
    """The agent may be gone."""
    edit = await edited(desk, await opened(agent))
    assert await refusal(desk.answered(edit, seconds=0)) == "edit_waits"


async def test_the_same_answer_again_is_the_same_answer(agent: Channel, desk: Desk) -> None:
    """A lost reply writes no third revision."""
    # given
    stored = await opened(agent)
    await edited(desk, stored)
    before = await agent.read(stored.request.id)
    after = before.request.model_copy(update={"revision": 2, "digest": "e" * 64})

    # when
    await agent.revise(before, after, b"", b"")
    await agent.revise(before, after, b"", b"")

    # then
    assert (await agent.read(stored.request.id)).request.revision == 2


async def test_an_edit_that_another_one_replaced_is_not_answered(agent: Channel, desk: Desk) -> None:
    """The later one is."""
    stored = await opened(agent)
    await edited(desk, stored)
    before = await agent.read(stored.request.id)
    later = await edited(desk, stored, "bob", limit=7)
    revision = before.request.model_copy(update={"revision": 2, "digest": "e" * 64})
    assert await refusal(agent.revise(before, revision, b"", b"")) == "changed"
    assert (await agent.read(stored.request.id)).edit == later


async def test_t3_an_edit_after_the_decision_is_told_the_state(agent: Channel, desk: Desk) -> None:
    """And one under way when people decided is not taken."""
    # given
    stored = await opened(agent)
    await edited(desk, stored)
    before = await agent.read(stored.request.id)

    # when
    await desk.decide(
        stored.request.id,
        person="bob",
        key=KEYS["bob"],
        decision=Decision.APPROVE,
        card_digest=stored.request.card.digest(),
    )

    # then
    revision = before.request.model_copy(update={"revision": 2, "digest": "e" * 64})
    assert await refusal(agent.revise(before, revision, b"", b"")) == "ended"
    assert await refusal(edited(desk, stored, limit=9)) == "ended"


@pytest.mark.parametrize(
    ("needs", "person", "code"),
    [
        ((ONE,), "cat", "not_entitled"),
        ((ONE.model_copy(update={"edit": False}),), "ann", "not_editable"),
        ((CONFIRMED, ONE.model_copy(update={"edit": False})), "ann", "not_editable"),
    ],
)
async def test_t14_only_who_may_decide_edits_and_only_where_policy_lets_them(
    agent: Channel, desk: Desk, needs: tuple[Any, ...], person: str, code: str
) -> None:
    """Every approval that is needed must let them."""
    assert await refusal(edited(desk, await opened(agent, *needs), person)) == code


async def test_an_agent_that_takes_no_edits_gets_none(agent: Channel, desk: Desk) -> None:
    """There is nothing to seal the values for."""
    assert await refusal(edited(desk, await opened(agent, box=""))) == "not_editable"


@pytest.mark.parametrize(
    "changes", [{"limit": float("nan")}, {"limit": "x" * CHANGES_MAX}], ids=["no JSON", "too long"]
)
async def test_what_is_no_change_is_refused_before_it_is_signed(
    agent: Channel, desk: Desk, changes: dict[str, Any]
) -> None:
    """Plain JSON of a bounded size."""
    assert await refusal(edited(desk, await opened(agent), **changes)) == "bad_edit"


@pytest.mark.parametrize(
    "change",
    [
        lambda edit: edit.model_copy(update={"signature": ""}),
        lambda edit: signed(edit, KEYS["stranger"]),
        lambda edit: signed(edit.model_copy(update={"request": "0" * 32}), KEYS["ann"]),
        lambda edit: signed(edit.model_copy(update={"digest": "0" * 64}), KEYS["ann"]),
        lambda edit: signed(edit.model_copy(update={"card_digest": "0" * 64}), KEYS["ann"]),
        lambda edit: signed(edit.model_copy(update={"revision": 2}), KEYS["ann"]),
        lambda edit: signed(edit.model_copy(update={"tenant": "another"}), KEYS["ann"]),
        lambda edit: signed(edit.model_copy(update={"person": "eve", "signer": "eve"}), KEYS["eve"]),
    ],
    ids=["unsigned", "another's key", "request", "call", "card", "revision", "tenant", "not entitled"],
)
async def test_t32_an_edit_that_nobody_signed_for_this_is_none(
    agent: Channel, desk: Desk, change: Callable[[Edit], Edit]
) -> None:
    """The agent's side checks all that a vote is checked for."""
    stored = await opened(agent)
    edit = change(await edited(desk, stored))
    with pytest.raises(DecisionRefused):
        check_edit(edit, stored.request, ROSTER, now_ms=stored.now_ms)


async def test_changes_moved_to_another_request_are_not_read(agent: Channel, desk: Desk) -> None:
    """The letter is bound to its request and revision."""
    stored = await opened(agent)
    edit = await edited(desk, stored)
    elsewhere = stored.request.model_copy(update={"revision": 2})
    with pytest.raises(DecisionRefused, match="can't be read"):
        changes_of(edit, elsewhere, BOX)


async def test_t26_no_value_of_an_edit_stands_in_redis(agent: Channel, desk: Desk) -> None:
    """What a person typed is sealed as the arguments are."""
    stored = await opened(agent)
    await edited(desk, stored, to="kowalska@mail.example")
    written = await agent.connection.execute("HGETALL", agent.names.votes(stored.request.id))
    assert "kowalska" not in json.dumps([part.decode() for part in written])
