"""Rules of moves that other files don't show: defer, remember and use, and the finer points of open, begin, end, freeze and lift."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import pytest

from agentguard.approval import Attempt, Channel, Deeds, Desk, Freezes, Grants, How, Stored, granted_by
from agentguard.approval.channel import UNRESTRAINED, Cast, Restraint
from agentguard.approval.grants import Granted
from agentguard.approval.signing import signed
from agentguard.errors import DecisionRefused
from agentguard.model.approvals import Decision, Edit, Found, Freeze, Grant, Held, Lift, Offer, Scope, State
from tests.approval.conftest import tenant_keys
from tests.approval.people import KEYS, ROSTER, TENANT, a_request, a_vote

pytestmark = pytest.mark.anyio

ATTEMPT = Attempt(tool="refund", agent="clerk", user=None, session="s")
OFFER = Offer(
    seconds=600, uses=2, session=True, held=(Held(path="limit", how="same", shown="1", digest="d"),), tool_digest="t", clause="c"
)  # fmt: skip
ORDER = Freeze(
    id="order-1", scope=Scope.TENANT, name="", reason="why", tenant=TENANT, person="ann", time_ms=1, signer="ann"
)


async def opened(agent: Channel, **changed: Any) -> Stored:
    """A new request."""
    return (await agent.open(a_request(**changed), b"sealed")).stored


async def voted(agent: Channel, stored: Stored, becomes: State = State.APPROVED) -> None:
    """Ann's vote."""
    decision = Decision.REJECT if becomes is State.REJECTED else Decision.APPROVE
    vote = a_vote(stored.request, "ann", decision, time_ms=stored.request.opened_ms)
    await agent.vote(vote, stored.version, becomes)


async def granted(agent: Channel) -> Granted:
    """A grant of two uses, on a request that runs."""
    request = a_request()
    request = request.model_copy(update={"card": request.card.model_copy(update={"grant": OFFER})})
    stored = (await agent.open(request, b"")).stored
    vote = a_vote(stored.request, "ann", time_ms=stored.request.opened_ms)
    vote = signed(vote.model_copy(update={"grant": Grant(seconds=600, uses=2, session=True)}), KEYS["ann"])
    await agent.vote(vote, stored.version, State.APPROVED)
    await agent.redeem(await agent.read(stored.request.id), "fence")
    found = granted_by(await agent.read(stored.request.id))
    assert found is not None
    return found


async def refusal(coroutine: object) -> str:
    """The code with which something is refused."""
    with pytest.raises(DecisionRefused) as refused:
        await coroutine  # type: ignore[misc]
    return refused.value.code


class TestOpen:
    """open.lua."""

    async def test_the_same_record_under_the_same_id_is_one_opening(self, agent: Channel) -> None:
        """A reply that was lost costs nothing: no second request, no second event."""
        # given
        await agent.learn_time()
        request = agent._timed(a_request())

        # when
        words = [await agent._try_open(request, b"", "", UNRESTRAINED) for _ in range(2)]

        # then
        assert words == [("created", request.id)] * 2
        assert await agent.connection.execute("XLEN", agent.names.events) == 1

    async def test_t8_what_is_late_already_is_not_opened(self, agent: Channel) -> None:
        """Nor what could never be redeemed; nothing is written."""
        await agent.learn_time()
        timed = agent._timed(a_request())
        for late in ({"deadline_ms": timed.opened_ms}, {"redeem_by_ms": timed.deadline_ms - 1}):
            assert (await agent._try_open(timed.model_copy(update=late), b"", "", UNRESTRAINED))[0] == "clock"
        assert await tenant_keys(agent.connection) == []

    @pytest.mark.parametrize(
        ("becomes", "how"),
        [(State.PENDING, How.JOINED), (State.APPROVED, How.JOINED), (State.REJECTED, How.FOUND)],
    )
    async def test_the_call_comes_back_to_what_was_deferred(self, agent: Channel, becomes: State, how: How) -> None:
        """Whether it waits, was approved, or was rejected; it is not asked about anew."""
        # given
        stored = await opened(agent)
        await agent.defer(stored.request.id)
        await voted(agent, stored, becomes)

        # when
        found = await agent.open(a_request(call_id="call-2", digest=stored.request.digest), b"")

        # then
        assert (found.how, found.stored.request.id) == (how, stored.request.id)

    async def test_t7_a_deferred_call_that_runs_or_may_have_run_is_found(self, agent: Channel) -> None:
        """Never asked about anew; once it is done, the next one is."""
        # given
        stored = await opened(agent)
        await agent.defer(stored.request.id)
        await voted(agent, stored)
        await agent.redeem(await agent.read(stored.request.id), "fence")
        again = [a_request(call_id=f"call-{number}", digest=stored.request.digest) for number in range(3)]

        # when
        running = await agent.open(again[0], b"")
        await agent.finish(stored.request.id, "fence", State.UNKNOWN)
        unknown = await agent.open(again[1], b"")

        # then
        assert (running.how, unknown.how) == (How.FOUND, How.FOUND)
        assert unknown.stored.request.id == stored.request.id

    async def test_a_deferred_call_that_was_withdrawn_is_asked_about_anew(self, agent: Channel) -> None:
        """Its request ended without an answer."""
        stored = await opened(agent)
        await agent.defer(stored.request.id)
        await agent.withdraw(stored.request.id, "")
        found = await agent.open(a_request(call_id="call-2", digest=stored.request.digest), b"")
        assert found.how is How.CREATED

    async def test_only_a_rejection_is_the_answer_for_a_while(self, agent: Channel) -> None:
        """What ended in another way is asked about anew."""
        stored = await opened(agent)
        await agent.withdraw(stored.request.id, "")
        restraint = Restraint(after_rejection_ms=600_000)
        found = await agent.open(a_request(call_id="call-2", digest=stored.request.digest), b"", restraint)
        assert found.how is How.CREATED


class TestVote:
    """vote.lua."""

    async def test_t38_of_votes_of_which_one_can_not_be_put_none_is(self, agent: Channel) -> None:
        """Whether it ended, or changed since it was tallied."""
        # given
        good, ended = await opened(agent), await opened(agent)
        await agent.withdraw(ended.request.id, "")
        casts = [_cast(stored) for stored in (good, ended)]

        # when
        codes = [
            await refusal(agent.vote_together(casts)),
            await refusal(agent.vote_together([casts[0], replace(_cast(await opened(agent)), version="1.7")])),
        ]

        # then
        assert codes == ["ended", "changed"]
        assert (await agent.read(good.request.id)).votes == ()


def _cast(stored: Stored) -> Cast:
    vote = a_vote(stored.request, "ann", time_ms=stored.request.opened_ms)
    return Cast(vote=vote, version=stored.version, becomes=State.APPROVED)


class TestEdit:
    """edit.lua."""

    async def test_t3_an_edit_that_comes_too_late_or_is_of_another_call_is_not_put(self, agent: Channel) -> None:
        """The script looks again: what the person looked at may be over."""
        # given
        stored = await opened(agent)

        # when
        of_another = [
            await refusal(agent.edit(_edit(stored, **wrong))) for wrong in ({"revision": 2}, {"digest": "f" * 64})
        ]
        await voted(agent, stored)
        late = await refusal(agent.edit(_edit(stored)))

        # then
        assert (of_another, late) == (["changed", "changed"], "ended")
        assert (await agent.read(stored.request.id)).edit is None


def _edit(stored: Stored, **changed: Any) -> Edit:
    request = stored.request
    given = {"revision": request.revision, "digest": request.digest, "changes": "sealed", "person": "ann"} | changed
    return Edit(tenant=TENANT, request=request.id, card_digest="c", time_ms=1, signer="ann", **given)


class TestDefer:
    """defer.lua."""

    async def test_what_is_pending_is_deferred_and_stays_so(self, agent: Channel) -> None:
        """Again changes nothing, and it is still decided like any other."""
        stored = await opened(agent)
        states = [await agent.defer(stored.request.id) for _ in range(2)]
        assert states == [State.PENDING, State.PENDING]
        assert await _deferred(agent, stored) == b"1"
        await voted(agent, stored)
        assert (await agent.read(stored.request.id)).state is State.APPROVED

    async def test_what_was_decided_meanwhile_is_left_alone(self, agent: Channel) -> None:
        """Its caller is there and gets the state; nobody comes back for it."""
        stored = await opened(agent)
        await voted(agent, stored)
        assert await agent.defer(stored.request.id) is State.APPROVED
        assert await _deferred(agent, stored) is None


async def _deferred(agent: Channel, stored: Stored) -> object:
    return await agent.connection.execute("HGET", agent.names.request(stored.request.id), "deferred")


class TestRead:
    """read.lua."""

    async def test_reading_writes_nothing(self, agent: Channel) -> None:
        """Not even of what expired, or is not there."""
        # given
        stored = await opened(agent)
        await agent.connection.execute("HSET", agent.names.request(stored.request.id), "deadline_ms", 1)
        before = await _everything(agent)

        # when
        await agent.read_all([stored.request.id, "nothing"])
        await agent.read_decided([stored.request.id])

        # then
        assert await _everything(agent) == before

    async def test_all_stand_as_at_one_time(self, agent: Channel) -> None:
        """One clock for all that is read at once."""
        ids = [(await opened(agent)).request.id for _ in range(3)]
        found = [each for each in await agent.read_all(ids) if isinstance(each, Stored)]
        assert len({each.now_ms for each in found}) == 1
        assert [each.state for each in found] == [State.PENDING] * 3


async def _everything(agent: Channel) -> dict[str, object]:
    keys = await tenant_keys(agent.connection)
    return dict(zip(keys, await agent.connection.pipeline([("DUMP", key) for key in keys]), strict=True))


class TestDeeds:
    """begin.lua and end.lua."""

    async def test_the_same_fence_again_renews_the_lease(self, agent: Channel) -> None:
        """As the process of a call that runs says that it still does."""
        deeds = Deeds(channel=agent)
        await deeds.begin(["d1"], "first", ATTEMPT)
        await agent.connection.execute("HSET", agent.names.deed("d1"), "until_ms", 1)
        await deeds.begin(["d1"], "first", ATTEMPT)
        assert (await deeds.run_of("d1")).until_ms > 1

    async def test_t7_only_the_attempt_that_did_not_happen_gives_way(self, agent: Channel) -> None:
        """A word on another attempt, or on one that is done, is none."""
        # given
        deeds = Deeds(channel=agent)
        await deeds.begin(["d1"], "first", ATTEMPT)
        run = await deeds.run_of("d1")
        other = replace(run, fence="other")

        # when
        by_other = await deeds.begin(["d1"], "second", ATTEMPT, gone=[other])
        await deeds.end(["d1"], "first", State.DONE)
        of_done = await deeds.begin(["d1"], "second", ATTEMPT, gone=[run])

        # then
        assert by_other is not None
        assert of_done is not None

    async def test_t7_an_attempt_that_takes_the_place_of_another_begins_afresh(self, agent: Channel) -> None:
        """How the one ended that did not happen says nothing of it."""
        deeds = Deeds(channel=agent)
        await deeds.begin(["d1"], "first", ATTEMPT)
        await deeds.end(["d1"], "first", State.FAILED)
        await deeds.begin(["d1"], "second", ATTEMPT, gone=[await deeds.run_of("d1")])
        now = await deeds.run_of("d1")
        assert (now.fence, now.outcome) == ("second", "")

    async def test_t7_what_failed_stays_listed_until_somebody_found_out(self, agent: Channel) -> None:
        """What is done, or did not run, does not."""
        deeds = Deeds(channel=agent)
        for deed, outcome in (("d1", State.FAILED), ("d2", State.DONE), ("d3", None), ("d4", State.UNKNOWN)):
            await deeds.begin([deed], deed, ATTEMPT)
            await deeds.end([deed], deed, outcome)
        assert set(await agent.connection.execute("ZRANGE", agent.names.undone, 0, -1)) == {b"d1", b"d4"}

    async def test_what_was_settled_is_listed_no_more(self, agent: Channel, desk: Desk) -> None:
        """Nobody has to find out about it again."""
        deeds = Deeds(channel=agent)
        await deeds.begin(["d1"], "first", ATTEMPT)
        await deeds.end(["d1"], "first", State.FAILED)
        await desk.settle("d1", Found.HAPPENED, person="ann", key=KEYS["ann"])
        assert await agent.connection.execute("ZCARD", agent.names.undone) == 0


class TestOrders:
    """freeze.lua and lift.lua."""

    async def test_the_same_order_again_is_the_same_order(self, agent: Channel) -> None:
        """A lost reply costs nothing."""
        freezes = Freezes(connection=agent.connection, names=agent.names)
        assert [await freezes.freeze(ORDER) for _ in range(2)] == [ORDER, ORDER]

    async def test_a_lift_ends_the_very_order_that_it_is_on(self, agent: Channel) -> None:
        """Not a later one of the same scope; the same word again is the same word."""
        # given
        freezes = Freezes(connection=agent.connection, names=agent.names)
        await freezes.freeze(ORDER)
        other = ORDER.model_copy(update={"id": "order-2"})

        # when
        on_other = await refusal(freezes.lift(other, _lift(other)))
        await freezes.lift(ORDER, _lift(ORDER))
        await freezes.lift(ORDER, _lift(ORDER))

        # then
        assert on_other == "not_frozen"
        assert await freezes.standing() == {}
        assert await freezes.lifted([ORDER], ROSTER) == {ORDER.id}


def _lift(order: Freeze) -> Lift:
    about = {"freeze": order.id, "freeze_digest": order.digest()}
    return signed(Lift(tenant=TENANT, person="bob", time_ms=2, signer="bob", **about), KEYS["bob"])


class TestGrants:
    """remember.lua and use.lua."""

    async def test_a_grant_is_found_where_later_calls_look_and_what_is_over_is_forgotten(self, agent: Channel) -> None:
        """The index says where to look, and nothing else."""
        # given
        grants, found = Grants(channel=agent), await granted(agent)
        principal, key = found.stored.request.principal, agent.names.grants
        await agent.connection.execute("ZADD", key, 1, "long over")

        # when
        await grants.remember(found)

        # then
        (listed,) = await grants.of(principal, "export_customers", None)
        assert listed.id == found.id
        assert await agent.connection.execute("ZRANGE", key, 0, -1) == [found.id.encode()]
        assert 0 < await agent.connection.execute("PTTL", key) <= 600_000

    async def test_t2_no_more_uses_than_granted_and_no_call_twice(self, agent: Channel) -> None:
        """Counted by the script."""
        grants, found = Grants(channel=agent), await granted(agent)
        assert [await grants.use(found, call) for call in ("c1", "c2")] == [1, 2]
        assert await refusal(grants.use(found, "c3")) == "used_up"
        assert await refusal(grants.use(found, "c1")) == "again"

    async def test_t8_a_grant_that_is_over_or_was_revoked_or_is_frozen_gives_no_permit(
        self, agent: Channel, desk: Desk
    ) -> None:
        """By Redis's clock; by anybody; and by any order that stops the call."""
        # given
        grants, found = Grants(channel=agent), await granted(agent)
        late = replace(found, votes=tuple(vote.model_copy(update={"time_ms": 1}) for vote in found.votes))

        # when
        over = await refusal(grants.use(late, "c1"))
        frozen = []
        for scope, name in ((Scope.TENANT, ""), (Scope.AGENT, "clerk"), (Scope.TOOL, "export_customers")):
            await agent.connection.execute("HSET", agent.names.freezes, f"{scope.value}:{name}", "x")
            frozen.append(await refusal(grants.use(found, "c1")))
            await agent.connection.execute("DEL", agent.names.freezes)
        await grants.revoke(found.id, ROSTER, person="eve", key=KEYS["eve"])

        # then
        assert (over, frozen) == ("over", ["frozen"] * 3)
        assert await refusal(grants.use(found, "c1")) == "revoked"


class TestRedeem:
    """redeem.lua."""

    @pytest.mark.parametrize("field", ["tenant:", "agent:clerk", "tool:export_customers"])
    async def test_t32_an_order_that_anybody_wrote_stops_the_permit(self, agent: Channel, field: str) -> None:
        """The script asks whether there is one, not who gave it; the request stays as it is."""
        stored = await opened(agent)
        await voted(agent, stored)
        stored = await agent.read(stored.request.id)
        await agent.connection.execute("HSET", agent.names.freezes, field, secrets.token_hex(4))
        assert await refusal(agent.redeem(stored, "fence")) == "frozen"
        assert (await agent.read(stored.request.id)).state is State.APPROVED
