"""What may happen once: the rules of begin.lua, end.lua and settle.lua, on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from agentguard.approval import Attempt, Channel, Deeds, Desk, InTheWay, Run
from agentguard.approval.signing import signed
from agentguard.errors import DecisionRefused, RequestNotFound
from agentguard.model.approvals import Found, Settlement, State
from tests.approval.people import KEYS, ROSTER, TENANT

pytestmark = pytest.mark.anyio

ATTEMPT = Attempt(tool="refund", agent="clerk", user="user@acme.example", session="thread-1")


@pytest.fixture
def deeds(agent: Channel) -> Deeds:
    """The agent's side."""
    return Deeds(channel=agent)


async def begun(deeds: Deeds, *ids: str, fence: str = "first", gone: tuple[Run, ...] = ()) -> InTheWay | None:
    """An attempt at these."""
    return await deeds.begin(ids, fence, ATTEMPT, gone=gone)


async def lapse(deeds: Deeds, deed: str) -> None:
    """Let the lease of an attempt run out, as that of a dead process does."""
    await deeds.channel.connection.execute("HSET", deeds.channel.names.deed(deed), "until_ms", 1)


async def refusal(coroutine: object) -> str:
    """The code with which something is refused."""
    with pytest.raises(DecisionRefused) as refused:
        await coroutine  # type: ignore[misc]
    return refused.value.code


async def test_a_deed_begins_once(deeds: Deeds) -> None:
    """The second attempt is told of the first."""
    assert await begun(deeds, "d1") is None
    found = await begun(deeds, "d1", fence="second")
    assert found is not None
    assert (found.run.fence, found.run.attempt, found.run.outcome) == ("first", ATTEMPT, "")


async def test_t7_of_fifty_attempts_at_once_one_begins(deeds: Deeds) -> None:
    """One script decides."""
    found = await asyncio.gather(*(begun(deeds, "d1", fence=f"f{number}") for number in range(50)))
    assert found.count(None) == 1


async def test_t7_a_lost_reply_does_not_stand_in_its_own_way(deeds: Deeds) -> None:
    """The same fence again is the same beginning."""
    await begun(deeds, "d1")
    assert await begun(deeds, "d1") is None


async def test_all_deeds_of_a_call_begin_or_none(deeds: Deeds) -> None:
    """The first that is taken keeps the others from beginning."""
    await begun(deeds, "d2")
    found = await begun(deeds, "d1", "d2", fence="second")
    assert found is not None
    assert found.index == 1
    assert await begun(deeds, "d1", fence="third") is None


@pytest.mark.parametrize("state", [State.DONE, State.FAILED, State.UNKNOWN])
async def test_however_an_attempt_ended_it_stands_in_the_way(deeds: Deeds, state: State) -> None:
    """What failed may have happened all the same."""
    await begun(deeds, "d1")
    await deeds.end(["d1"], "first", state)
    found = await begun(deeds, "d1", fence="second")
    assert found is not None
    assert found.run.outcome == state


async def test_what_did_not_run_leaves_no_trace(deeds: Deeds) -> None:
    """The next attempt begins, and nobody has anything to find out."""
    await begun(deeds, "d1")
    await deeds.end(["d1"], "first", None)
    assert await deeds.undone() == ()
    assert await begun(deeds, "d1", fence="second") is None


async def test_only_its_fence_ends_an_attempt_and_once(deeds: Deeds) -> None:
    """Another one, or a later word, changes nothing."""
    await begun(deeds, "d1")
    await deeds.end(["d1"], "second", None)
    await deeds.end(["d1"], "first", State.DONE)
    await deeds.end(["d1"], "first", None)
    assert (await deeds.run_of("d1")).outcome == "done"


async def test_a_late_renewal_does_not_bring_an_ended_attempt_back(deeds: Deeds) -> None:
    """How it ended stays."""
    await begun(deeds, "d1")
    await deeds.end(["d1"], "first", State.DONE)
    await begun(deeds, "d1")
    assert (await deeds.run_of("d1")).outcome == "done"


async def test_what_is_not_known_to_be_done_is_listed(deeds: Deeds) -> None:
    """Until it is done, or a person settled it."""
    await begun(deeds, "d1")
    await begun(deeds, "d2", fence="second")
    await deeds.end(["d2"], "second", State.DONE)
    assert [run.subject for run in await deeds.undone()] == ["d1"]


async def test_a_person_settles_what_may_have_happened(deeds: Deeds, desk: Desk) -> None:
    """Their signed word is read back, and the attempt that it is on gives way."""
    # given
    await begun(deeds, "d1")
    await deeds.end(["d1"], "first", State.FAILED)

    # when
    await desk.settle("d1", Found.DID_NOT, person="ann", key=KEYS["ann"], comment="no such booking")

    # then
    run = await deeds.run_of("d1")
    word = await deeds.word_on(run, ROSTER)
    assert word is not None
    assert (word.person, word.found) == ("ann", Found.DID_NOT)
    assert await deeds.undone() == ()
    assert await begun(deeds, "d1", fence="second", gone=(run,)) is None
    assert await begun(deeds, "d1", fence="third", gone=(run,)) is not None


async def test_what_still_runs_is_not_settled(deeds: Deeds, desk: Desk) -> None:
    """A did-not while it runs would let it happen twice."""
    await begun(deeds, "d1")
    settling = desk.settle("d1", Found.DID_NOT, person="ann", key=KEYS["ann"])
    assert await refusal(settling) == "still_runs"


async def test_what_is_known_to_be_done_is_not_settled(deeds: Deeds, desk: Desk) -> None:
    """Nothing is left to find out."""
    await begun(deeds, "d1")
    await deeds.end(["d1"], "first", State.DONE)
    assert await refusal(desk.settle("d1", Found.DID_NOT, person="ann", key=KEYS["ann"])) == "ended"


async def test_a_run_is_settled_once(deeds: Deeds, desk: Desk) -> None:
    """Another word on it is refused."""
    await begun(deeds, "d1")
    await lapse(deeds, "d1")
    await desk.settle("d1", Found.HAPPENED, person="ann", key=KEYS["ann"])
    settling = desk.settle("d1", Found.DID_NOT, person="bob", key=KEYS["bob"])
    assert await refusal(settling) == "settled_otherwise"


async def test_nothing_is_settled_that_never_began(desk: Desk) -> None:
    """No such request or deed."""
    with pytest.raises(RequestNotFound):
        await desk.settle("d1", Found.DID_NOT, person="ann", key=KEYS["ann"])


@pytest.mark.parametrize(
    ("person", "signer", "code"),
    [("nobody", None, "unknown_person"), ("ann", "stranger", "unknown_signer"), ("dan", None, "no_key")],
)
async def test_t14_only_a_listed_person_settles(
    deeds: Deeds, desk: Desk, person: str, signer: str | None, code: str
) -> None:
    """With their own key, or through a signer of approvers.yaml."""
    await begun(deeds, "d1")
    await lapse(deeds, "d1")
    settling = desk.settle("d1", Found.DID_NOT, person=person, key=KEYS["stranger"], signer=signer)
    assert await refusal(settling) == code


@pytest.mark.parametrize(
    "change",
    [
        lambda word: word.model_copy(update={"signature": ""}),
        lambda word: word.model_copy(update={"found": Found.DID_NOT}),
        lambda word: signed(word, KEYS["stranger"]),
        lambda word: signed(word.model_copy(update={"fence": "another"}), KEYS["ann"]),
        lambda word: signed(word.model_copy(update={"tenant": "another"}), KEYS["ann"]),
    ],
    ids=["unsigned", "changed", "another's key", "another run", "another tenant"],
)
async def test_t32_a_word_that_nobody_signed_counts_for_nothing(
    deeds: Deeds, change: Callable[[Settlement], Settlement]
) -> None:
    """Written into Redis by hand, it is no word at all."""
    # given
    await begun(deeds, "d1")
    run = await deeds.run_of("d1")
    word = Settlement(
        tenant=TENANT, subject="d1", fence="first", found=Found.HAPPENED, person="ann", time_ms=1, signer="ann"
    )

    # when
    written = change(signed(word, KEYS["ann"])).canonical()
    await deeds.channel.connection.execute("SET", deeds.channel.names.settled("first"), written)

    # then
    assert await deeds.word_on(run, ROSTER) is None
