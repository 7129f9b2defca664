"""The moves of a request on a real server: each rule of each script."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from dataclasses import replace
from typing import Any

import pytest

from agentguard.approval import Channel, How, RecordMac, Stored, recount
from agentguard.approval.channel import EVENTS_MAX, RETENTION_MS
from agentguard.errors import DecisionRefused, RequestNotFound
from agentguard.model.approvals import Request, State, Vote
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from tests.approval.conftest import tenant_keys
from tests.approval.people import CONFIRMED, ONE, ROSTER, TWO, a_principal, a_request, a_vote
from tests.approval.server import Server

pytestmark = pytest.mark.anyio


async def opened(agent: Channel, *args: Any, **changed: Any) -> Stored:
    """A new request."""
    return (await agent.open(a_request(*args, **changed), b"sealed")).stored


async def voted(channel: Channel, stored: Stored, person: str = "ann", becomes: State = State.APPROVED) -> Vote:
    """A vote of `person`, put on the request."""
    vote = a_vote(stored.request, person, time_ms=stored.request.opened_ms)
    await channel.vote(vote, stored.version, becomes)
    return vote


async def approved(agent: Channel, **changed: Any) -> Stored:
    """A request that a person approved."""
    stored = await opened(agent, **changed)
    await voted(agent, stored)
    return await agent.read(stored.request.id)


async def executing(agent: Channel, fence: str = "fence", lease_ms: int = 30_000) -> Stored:
    """A request whose call runs under `fence`."""
    stored = await approved(agent)
    await agent.redeem(stored, fence, lease_ms=lease_ms)
    return await agent.read(stored.request.id)


async def hurry(agent: Channel, stored: Stored, field: str, ms_ago: int = 0) -> None:
    """Move a time of the request to now, as the clock would."""
    await agent.learn_time()
    await agent.connection.execute("HSET", agent.names.request(stored.request.id), field, agent.clock.now_ms() - ms_ago)


async def kinds(agent: Channel) -> list[str]:
    """The kinds of the events so far."""
    events = await agent.connection.read_stream(agent.names.events, "0-0", 1)
    return [event["kind"].decode() for _, event in events]


async def refusal(coroutine: Any) -> str:
    """The code with which a move is refused."""
    with pytest.raises(DecisionRefused) as refused:
        await coroutine
    return refused.value.code


class TestOpen:
    """open.lua."""

    async def test_a_new_request_is_pending_and_has_its_times(self, agent: Channel) -> None:
        """The shortest deadline of its needs counts, from Redis's time."""
        # when
        found = await agent.open(a_request(ONE, CONFIRMED), b"sealed")

        # then
        request = found.stored.request
        assert (found.how, found.stored.state, found.stored.sealed_input) == (How.CREATED, State.PENDING, b"sealed")
        assert request.deadline_ms - request.opened_ms == 300_000
        assert request.redeem_by_ms > request.deadline_ms
        assert abs(found.stored.now_ms - request.opened_ms) < 2_000
        assert await kinds(agent) == ["opened"]

    async def test_what_is_read_is_what_was_opened(self, agent: Channel) -> None:
        """The record comes back whole."""
        request = a_request()
        stored = (await agent.open(request, b"")).stored
        times = {"opened_ms": 0, "deadline_ms": 0, "redeem_by_ms": 0}
        assert stored.request.model_copy(update=times) == request.model_copy(update=times)

    async def test_a_clock_that_is_off_is_set_right(self, agent: Channel) -> None:
        """Who is an hour ahead opens with Redis's time."""
        # given
        agent.clock.set(agent.clock.now_ms() + 3_600_000)

        # when
        stored = await opened(agent)

        # then
        seconds, _ = await agent.connection.execute("TIME")
        assert abs(stored.request.opened_ms - int(seconds) * 1000) < 3_000

    async def test_t7_the_same_call_after_a_restart_finds_its_request(self, agent: Channel) -> None:
        """Same session, run, call id and arguments of the model: the same request, with its stored input."""
        # given
        first = await opened(agent)
        again = first.request.model_copy(update={"id": secrets.token_hex(16)})

        # when
        found = await agent.open(again, b"other")

        # then
        assert (found.how, found.stored.request.id, found.stored.sealed_input) == (
            How.FOUND,
            first.request.id,
            b"sealed",
        )

    async def test_t2_the_same_call_is_found_in_whatever_state_it_is(self, agent: Channel) -> None:
        """A call that ran is not asked about again."""
        # given
        stored = await executing(agent)
        await agent.finish(stored.request.id, "fence", State.DONE)

        # when
        found = await agent.open(stored.request.model_copy(update={"id": secrets.token_hex(16)}), b"")

        # then
        assert (found.how, found.stored.state) == (How.FOUND, State.DONE)

    async def test_t2_a_call_id_names_one_call(self, agent: Channel) -> None:
        """The same call id with other arguments is an error."""
        stored = await opened(agent)
        other = a_request(call_id=stored.request.call_id)
        assert await refusal(agent.open(other, b"")) == "call_id_reused"

    @pytest.mark.parametrize(
        "principal",
        [a_principal(session="thread-2"), a_principal(run="second")],
        ids=["another session", "another run"],
    )
    async def test_t2_a_call_id_is_of_its_session_and_run(self, agent: Channel, principal: Any) -> None:
        """Elsewhere, the same call id is another call."""
        stored = await opened(agent)
        other = a_request(call_id=stored.request.call_id, principal=principal)
        assert (await agent.open(other, b"")).how is How.CREATED

    @pytest.mark.parametrize("call_id", [None, "call-2"])
    async def test_another_call_with_the_same_digest_joins_while_pending(
        self, agent: Channel, call_id: str | None
    ) -> None:
        """One question for one thing, in one session."""
        # given
        first = await opened(agent)

        # when
        found = await agent.open(a_request(call_id=call_id, digest=first.request.digest), b"")

        # then
        assert (found.how, found.stored.request.id) == (How.JOINED, first.request.id)
        assert await kinds(agent) == ["opened"]

    async def test_a_call_that_joined_finds_the_request_by_its_own_id(self, agent: Channel) -> None:
        """Also once it was decided."""
        # given
        first = await opened(agent)
        joining = a_request(call_id="call-2", digest=first.request.digest)
        await agent.open(joining, b"")
        await voted(agent, first)

        # when
        found = await agent.open(joining.model_copy(update={"id": secrets.token_hex(16)}), b"")

        # then
        assert (found.how, found.stored.request.id) == (How.FOUND, first.request.id)

    async def test_t2_another_call_does_not_join_what_was_decided(self, agent: Channel) -> None:
        """An approval is for the call that asked: the next one asks anew."""
        first = await approved(agent)
        other = a_request(call_id="call-2", digest=first.request.digest)
        assert (await agent.open(other, b"")).how is How.CREATED

    async def test_t2_another_session_never_joins(self, agent: Channel) -> None:
        """The join is within the session."""
        first = await opened(agent)
        other = a_request(call_id=None, digest=first.request.digest, principal=a_principal(session="thread-2"))
        assert (await agent.open(other, b"")).how is How.CREATED

    async def test_many_at_once_get_one_request(self, agent: Channel) -> None:
        """The same call opened from everywhere at once: one created, the others found it."""
        # given
        call = a_request()
        many = [call.model_copy(update={"id": secrets.token_hex(16)}) for _ in range(16)]

        # when
        found = await asyncio.gather(*(agent.open(one, b"") for one in many))

        # then
        assert len({one.stored.request.id for one in found}) == 1
        assert sorted(one.how for one in found) == [How.CREATED] + [How.FOUND] * 15

    async def test_many_calls_of_one_thing_at_once_get_one_request(self, agent: Channel) -> None:
        """Different call ids, one digest: one created, the others joined."""
        # given
        first = a_request()
        many = [a_request(digest=first.digest, call_id=f"call-{number}") for number in range(16)]

        # when
        found = await asyncio.gather(*(agent.open(one, b"") for one in many))

        # then
        assert len({one.stored.request.id for one in found}) == 1
        assert sorted(one.how for one in found) == [How.CREATED] + [How.JOINED] * 15

    async def test_what_names_no_approval_is_not_opened(self, agent: Channel) -> None:
        """Nobody could ever approve it."""
        request = a_request()
        bare = request.model_copy(update={"verdict": request.verdict.model_copy(update={"needs": ()})})
        assert await refusal(agent.open(bare, b"")) == "no_approvals"

    async def test_an_id_in_use_is_not_taken_over(self, agent: Channel) -> None:
        """A second request under the id of a first changes nothing."""
        first = await opened(agent)
        assert await refusal(agent.open(a_request(id=first.request.id), b"")) == "taken"

    async def test_everything_that_is_kept_has_an_end(self, agent: Channel) -> None:
        """Each key but the indexes and the stream has a time to live: past the permit's expiry, by the retention."""
        # given
        stored = await executing(agent)
        await agent.finish(stored.request.id, "fence", State.DONE)
        lasting = {agent.names.pending, agent.names.ended, agent.names.events}

        # when
        keys = await tenant_keys(agent.connection)
        lives = await agent.connection.pipeline([("PTTL", key) for key in keys if key not in lasting])

        # then
        assert len(lives) == 5
        assert all(0 < life <= RETENTION_MS + 2 * 600_000 for life in lives)


class TestVote:
    """vote.lua."""

    async def test_a_vote_is_kept_and_counts(self, agent: Channel) -> None:
        """The vote comes back as it was signed, and the state is the tally's."""
        # given
        stored = await opened(agent)

        # when
        vote = await voted(agent, stored)

        # then
        now = await agent.read(stored.request.id)
        assert (now.state, now.votes) == (State.APPROVED, (vote,))
        assert now.version != stored.version
        assert (now.resolution.by, now.resolution.state) == (("ann",), State.APPROVED)
        assert await kinds(agent) == ["opened", "voted"]

    async def test_t3_the_same_vote_again_is_the_same_vote(self, agent: Channel) -> None:
        """A retry after a lost reply succeeds, and writes nothing."""
        # given
        stored = await opened(agent)
        vote = await voted(agent, stored)

        # when
        state = await agent.vote(vote, stored.version, State.APPROVED)

        # then
        assert state is State.APPROVED
        assert await kinds(agent) == ["opened", "voted"]

    async def test_t3_an_opposite_late_vote_gets_the_state(self, agent: Channel) -> None:
        """What was decided stays decided."""
        stored = await approved(agent)
        with pytest.raises(DecisionRefused, match="already approved") as refused:
            await voted(agent, stored, "bob", State.REJECTED)
        assert refused.value.code == "ended"

    async def test_a_vote_that_was_tallied_on_something_else_is_refused(self, agent: Channel) -> None:
        """Another version means tally again; nothing is written."""
        # given
        stored = await opened(agent, TWO)
        await voted(agent, stored, "bob", State.PENDING)

        # when
        code = await refusal(voted(agent, stored, "ann", State.PENDING))

        # then
        assert code == "changed"
        assert [vote.person for vote in (await agent.read(stored.request.id)).votes] == ["bob"]

    @pytest.mark.parametrize("change", [{"revision": 2}, {"digest": "0" * 64}], ids=["revision", "digest"])
    async def test_t1_a_vote_on_another_call_is_refused(self, agent: Channel, change: dict[str, Any]) -> None:
        """The script checks what the vote says it is for."""
        stored = await opened(agent)
        vote = a_vote(stored.request.model_copy(update=change), "ann")
        assert await refusal(agent.vote(vote, stored.version, State.APPROVED)) == "changed"

    async def test_t8_a_vote_at_the_deadline_is_refused(self, agent: Channel) -> None:
        """By Redis's clock, in the script."""
        stored = await opened(agent)
        await hurry(agent, stored, "deadline_ms")
        with pytest.raises(DecisionRefused, match="already expired"):
            await voted(agent, stored)

    async def test_a_vote_on_nothing_is_not_found(self, agent: Channel) -> None:
        """And leaves nothing behind."""
        with pytest.raises(RequestNotFound):
            await agent.vote(a_vote(a_request(), "ann"), "1.0", State.APPROVED)
        assert await tenant_keys(agent.connection) == []

    async def test_a_person_has_one_vote(self, agent: Channel) -> None:
        """A later vote takes the earlier one's place."""
        # given
        stored = await opened(agent, TWO)
        await voted(agent, stored, "ann", State.PENDING)
        now = await agent.read(stored.request.id)

        # when
        again = a_vote(stored.request, "ann", comment="on second thoughts", time_ms=stored.request.opened_ms)
        await agent.vote(again, now.version, State.PENDING)

        # then
        assert [vote.comment for vote in (await agent.read(stored.request.id)).votes] == ["on second thoughts"]

    @pytest.mark.parametrize("becomes", [State.DONE, State.EXECUTING, State.WITHDRAWN])
    async def test_a_vote_makes_nothing_but_an_answer(self, agent: Channel, becomes: State) -> None:
        """No vote starts or ends a run."""
        stored = await opened(agent)
        with pytest.raises(Exception, match="redis"):
            await voted(agent, stored, "ann", becomes)
        assert (await agent.read(stored.request.id)).state is State.PENDING


class TestWithdraw:
    """withdraw.lua."""

    @pytest.mark.parametrize("make", [opened, approved], ids=["pending", "approved"])
    async def test_what_did_not_run_can_be_taken_back(self, agent: Channel, make: Any) -> None:
        """Pending, or approved and not redeemed; again is the same."""
        # given
        stored = await make(agent)

        # when
        first = await agent.withdraw(stored.request.id, "the run was cancelled")
        again = await agent.withdraw(stored.request.id, "another reason")

        # then
        now = await agent.read(stored.request.id)
        assert (first, again, now.state, now.withdrawn) == (
            State.WITHDRAWN, State.WITHDRAWN, State.WITHDRAWN, "the run was cancelled",
        )  # fmt: skip

    async def test_a_vote_after_the_withdrawal_is_refused(self, agent: Channel) -> None:
        """Nothing runs that was taken back."""
        stored = await opened(agent)
        await agent.withdraw(stored.request.id, "")
        with pytest.raises(DecisionRefused, match="already withdrawn"):
            await voted(agent, stored)

    async def test_a_permit_after_the_withdrawal_is_refused(self, agent: Channel) -> None:
        """An approval that was taken back gives none."""
        stored = await approved(agent)
        await agent.withdraw(stored.request.id, "")
        with pytest.raises(DecisionRefused, match="already withdrawn"):
            await agent.redeem(stored, "fence")

    async def test_what_runs_cannot_be_taken_back(self, agent: Channel) -> None:
        """It may have run."""
        stored = await executing(agent)
        with pytest.raises(DecisionRefused, match="already executing"):
            await agent.withdraw(stored.request.id, "")


class TestExpire:
    """expire.lua."""

    async def test_the_end_is_announced_once(self, agent: Channel) -> None:
        """Whoever calls it, and however often."""
        # given
        stored = await opened(agent)
        await hurry(agent, stored, "deadline_ms")

        # when
        states = await asyncio.gather(*(agent.expire(stored.request.id) for _ in range(8)))

        # then
        assert set(states) == {State.EXPIRED}
        assert await kinds(agent) == ["opened", "expired"]

    async def test_nothing_expires_early(self, agent: Channel) -> None:
        """Before the deadline it says how the request stands, and that is all."""
        stored = await opened(agent)
        assert await agent.expire(stored.request.id) is State.PENDING
        assert await kinds(agent) == ["opened"]

    async def test_whoever_lives_says_it_for_who_is_gone(self, agent: Channel) -> None:
        """Overdue requests are announced by any process; the others stay."""
        # given
        late, _ = await opened(agent), await opened(agent)
        await hurry(agent, late, "deadline_ms")
        await agent.connection.execute("ZADD", agent.names.pending, agent.clock.now_ms() - 1, late.request.id)

        # when
        first = await agent.expire_overdue()
        again = await agent.expire_overdue()

        # then
        assert (first, again) == (1, 0)
        assert await kinds(agent) == ["opened", "opened", "expired"]

    async def test_an_id_that_is_gone_leaves_the_index(self, agent: Channel) -> None:
        """Nothing stays listed without a record."""
        # given
        stored = await opened(agent)
        await agent.connection.execute("DEL", agent.names.request(stored.request.id))

        # when
        with pytest.raises(RequestNotFound):
            await agent.expire(stored.request.id)

        # then
        assert await agent.connection.execute("ZCARD", agent.names.pending) == 0


class TestRedeem:
    """redeem.lua."""

    async def test_t2_fifty_at_once_get_exactly_one_permit(self, agent: Channel) -> None:
        """One fence wins; the others learn that it runs."""
        # given
        stored = await approved(agent)

        # when
        tries = (agent.redeem(stored, f"fence-{number}") for number in range(50))
        got = await asyncio.gather(*tries, return_exceptions=True)

        # then
        lost = [one.code for one in got if isinstance(one, DecisionRefused)]
        assert (got.count(None), lost) == (1, ["ended"] * 49)
        assert (await kinds(agent)).count("redeemed") == 1

    async def test_t7_a_lost_reply_does_not_lose_the_permit(self, agent: Channel) -> None:
        """The same fence again gets it again, and only once in the events."""
        stored = await executing(agent)
        await agent.redeem(stored, "fence")
        assert (await kinds(agent)).count("redeemed") == 1

    async def test_t7_the_same_fence_gets_nothing_once_its_lease_ran_out(self, agent: Channel) -> None:
        """By then others were told that it may have run."""
        stored = await executing(agent, lease_ms=0)
        with pytest.raises(DecisionRefused, match="already unknown"):
            await agent.redeem(stored, "fence")

    async def test_t7_the_same_fence_gets_nothing_once_it_finished(self, agent: Channel) -> None:
        """A permit is for one run."""
        stored = await executing(agent)
        await agent.finish(stored.request.id, "fence", State.FAILED)
        with pytest.raises(DecisionRefused, match="already failed"):
            await agent.redeem(stored, "fence")

    @pytest.mark.parametrize("version", ["1.0", "1.2", "2.1", ""])
    async def test_only_the_votes_that_were_verified_give_a_permit(self, agent: Channel, version: str) -> None:
        """Another version is refused."""
        stored = await approved(agent)
        assert await refusal(agent.redeem(replace(stored, version=version), "fence")) == "changed"

    async def test_t7_taking_back_and_redeeming_at_once_has_one_winner(self, agent: Channel) -> None:
        """Either it runs or it was taken back."""
        # given
        stored = await approved(agent)

        # when
        got = await asyncio.gather(
            agent.redeem(stored, "fence"),
            agent.withdraw(stored.request.id, ""),
            return_exceptions=True,
        )

        # then
        assert len([one for one in got if isinstance(one, DecisionRefused)]) == 1
        assert (await agent.read(stored.request.id)).state in (State.EXECUTING, State.WITHDRAWN)

    async def test_a_pending_request_gives_no_permit(self, agent: Channel) -> None:
        """Nobody approved it."""
        stored = await opened(agent)
        with pytest.raises(DecisionRefused, match="already pending"):
            await agent.redeem(stored, "fence")

    async def test_t8_a_permit_expires_on_its_own(self, agent: Channel) -> None:
        """From redeem_by_ms on, an approval gives none."""
        stored = await approved(agent)
        await hurry(agent, stored, "redeem_by_ms")
        with pytest.raises(DecisionRefused, match="already expired"):
            await agent.redeem(stored, "fence")


class TestRunning:
    """renew.lua and finish.lua."""

    @pytest.mark.parametrize("outcome", [State.DONE, State.FAILED, State.UNKNOWN])
    async def test_the_right_fence_says_how_it_ended(self, agent: Channel, outcome: State) -> None:
        """Again is the same end."""
        stored = await executing(agent)
        await agent.finish(stored.request.id, "fence", outcome)
        await agent.finish(stored.request.id, "fence", outcome)
        assert (await agent.read(stored.request.id)).state is outcome
        assert (await kinds(agent)).count("finished") == 1

    async def test_another_outcome_later_is_refused(self, agent: Channel) -> None:
        """An end stays."""
        stored = await executing(agent)
        await agent.finish(stored.request.id, "fence", State.DONE)
        with pytest.raises(DecisionRefused, match="already done"):
            await agent.finish(stored.request.id, "fence", State.FAILED)

    async def test_t7_the_wrong_fence_says_nothing(self, agent: Channel) -> None:
        """Neither that it runs nor how it ended."""
        stored = await executing(agent)
        assert await refusal(agent.finish(stored.request.id, "other", State.DONE)) == "ended"
        assert await refusal(agent.renew(stored.request.id, "other")) == "ended"
        assert (await agent.read(stored.request.id)).state is State.EXECUTING

    async def test_t7_who_dies_while_running_leaves_unknown(self, agent: Channel) -> None:
        """A lease that ran out is unknown, and never approved again."""
        stored = await executing(agent, lease_ms=0)
        assert stored.state is State.UNKNOWN

    async def test_t7_who_was_only_slow_wins_over_unknown(self, agent: Channel) -> None:
        """The right fence renews and finishes after its lease ran out."""
        # given
        stored = await executing(agent, lease_ms=0)

        # when
        await agent.renew(stored.request.id, "fence")
        renewed = (await agent.read(stored.request.id)).state
        await agent.finish(stored.request.id, "fence", State.DONE)

        # then
        assert (renewed, (await agent.read(stored.request.id)).state) == (State.EXECUTING, State.DONE)

    async def test_nothing_is_renewed_after_the_end(self, agent: Channel) -> None:
        """A late renewal does not bring it back."""
        stored = await executing(agent)
        await agent.finish(stored.request.id, "fence", State.DONE)
        assert await refusal(agent.renew(stored.request.id, "fence")) == "ended"


class TestReading:
    """read.lua, the MAC, and what somebody wrote by hand."""

    @pytest.mark.parametrize("request_id", ["", "nobody", "a" * 65, "../x", "a:b", "a}b", "a\n", "é"])
    async def test_an_id_that_is_none_is_not_found(self, agent: Channel, request_id: str) -> None:
        """Malformed and absent ids get one answer, from every move."""
        with pytest.raises(RequestNotFound):
            await agent.read(request_id)
        with pytest.raises(RequestNotFound):
            await agent.withdraw(request_id, "")

    async def test_t35_another_tenant_sees_nothing(self, agent: Channel) -> None:
        """Its ids are not found, its list is empty."""
        stored = await opened(agent)
        other = replace(agent, names=type(agent.names)("other"))
        with pytest.raises(RequestNotFound):
            await other.read(stored.request.id)
        assert list(await other.list([State.PENDING])) == []

    async def test_requests_are_listed_by_state(self, agent: Channel) -> None:
        """Pending by deadline; others newest first; expired ones too before anybody said so."""
        # given
        slow = await opened(agent, TWO.model_copy(update={"deadline_seconds": 900}))
        soon = await opened(agent)
        done = await approved(agent)
        late = await opened(agent)
        await hurry(agent, late, "deadline_ms")

        # when
        pending = await agent.list([State.PENDING])
        others = await agent.list([State.APPROVED, State.EXPIRED])

        # then
        assert [one.request.id for one in pending] == [soon.request.id, slow.request.id]
        assert {one.request.id for one in others} == {done.request.id, late.request.id}

    @pytest.mark.parametrize("field", ["record", "mac"])
    async def test_t32_a_record_changed_by_hand_is_forged(self, agent: Channel, field: str) -> None:
        """The agent's side reads nothing whose MAC does not verify, and lists it nowhere."""
        # given
        stored = await opened(agent)
        key = agent.names.request(stored.request.id)
        record = (await agent.connection.execute("HGET", key, "record")).decode()
        changed = {"record": record.replace("500", "501"), "mac": "0" * 64}
        await agent.connection.execute("HSET", key, field, changed[field])

        # when / then
        assert await refusal(agent.read(stored.request.id)) == "forged"
        assert list(await agent.list([State.PENDING])) == []

    async def test_t32_a_record_of_another_request_is_forged(self, agent: Channel) -> None:
        """A genuine record with its MAC, copied under another id."""
        # given
        one, other = await opened(agent), await opened(agent)
        await agent.connection.execute(
            "COPY", agent.names.request(one.request.id), agent.names.request(other.request.id), "REPLACE"
        )

        # when / then
        assert await refusal(agent.read(other.request.id)) == "forged"

    async def test_t32_a_vote_written_by_hand_gives_no_permit(self, agent: Channel) -> None:
        """Writing the votes' hash makes the state approved, but the vote does not verify."""
        # given
        stored = await opened(agent)
        vote = a_vote(stored.request, "ann", key=None, signer=None).model_copy(update={"signature": "AAAA"})
        await agent.connection.execute(
            "HSET", agent.names.votes(stored.request.id), "vote:ann", vote.canonical(), "resolution", "approved", "version", 1
        )  # fmt: skip

        # when
        now = await agent.read(stored.request.id)

        # then
        assert now.state is State.APPROVED
        with pytest.raises(DecisionRefused) as refused:
            recount(now.request, now.votes, ROSTER)
        assert refused.value.code == "bad_signature"

    async def test_t32_a_state_written_by_hand_has_no_votes(self, agent: Channel) -> None:
        """A resolution without votes is approved by nobody."""
        stored = await opened(agent)
        await agent.connection.execute("HSET", agent.names.votes(stored.request.id), "resolution", "approved")
        now = await agent.read(stored.request.id)
        assert recount(now.request, now.votes, ROSTER).state is State.PENDING

    @pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"person":"ann"}', "\x00"])
    async def test_t32_what_is_no_vote_is_forged(self, agent: Channel, text: str) -> None:
        """A field that agentguard does not write."""
        stored = await opened(agent)
        await agent.connection.execute("HSET", agent.names.votes(stored.request.id), "vote:ann", text)
        assert await refusal(agent.read(stored.request.id)) == "forged"

    async def test_t15_a_vote_under_another_name_is_forged(self, agent: Channel) -> None:
        """One person's genuine vote, copied to a second name, is not a second vote."""
        # given
        stored = await opened(agent, TWO)
        vote = await voted(agent, stored, "ann", State.PENDING)
        await agent.connection.execute("HSET", agent.names.votes(stored.request.id), "vote:bob", vote.canonical())

        # when / then
        assert await refusal(agent.read(stored.request.id)) == "forged"

    async def test_the_approvers_side_has_no_key_for_records(self, agent: Channel) -> None:
        """It reads without one, and opens nothing."""
        stored = await opened(agent)
        approvers = replace(agent, mac=None)
        assert (await approvers.read(stored.request.id)).request == stored.request
        assert await refusal(approvers.open(a_request(), b"")) == "not_the_agent"

    async def test_an_older_mac_key_still_verifies(self, agent: Channel) -> None:
        """Keys are rotated: the newest signs, all verify; without the old one the record is forged."""
        # given
        stored = await opened(agent)
        assert agent.mac is not None

        # when
        both = replace(agent, mac=RecordMac(keys=[b"n" * 32, *agent.mac.keys]))
        only_new = replace(agent, mac=RecordMac(keys=[b"n" * 32]))

        # then
        assert (await both.read(stored.request.id)).request == stored.request
        assert await refusal(only_new.read(stored.request.id)) == "forged"


async def test_the_stream_does_not_grow_for_ever(agent: Channel) -> None:
    """Old events go; records stay."""
    # given
    short = replace(agent, events_max=10)

    # when
    for _ in range(30):
        await asyncio.gather(*(opened(short) for _ in range(10)))

    # then
    assert await agent.connection.execute("XLEN", agent.names.events) < 300 < EVENTS_MAX
    assert await agent.connection.execute("ZCARD", agent.names.pending) == 300


async def test_t26_no_argument_lies_in_redis_but_sealed(agent: Channel) -> None:
    """Redis holds the sealed input as bytes, and otherwise what the record says."""
    stored = (await agent.open(a_request(), hashlib.sha256(b"input").digest())).stored
    held = await agent.connection.execute("HGETALL", agent.names.request(stored.request.id))
    names = held.keys() if isinstance(held, dict) else held[::2]
    assert {name.decode() for name in names} == {
        "record", "mac", "input", "revision", "digest", "deadline_ms", "redeem_by_ms",
    }  # fmt: skip
    assert json.loads(Request.canonical(stored.request))["card"]["arguments"] == '{"limit":500}'


@pytest.mark.slow
async def test_every_move_is_legal_in_a_cluster() -> None:
    """All keys of a move are passed and lie in one slot, whatever the names from outside look like."""
    # given
    server = Server("--cluster-enabled", "yes")
    server.start_cluster()
    connection = await Connection.open(server.url)
    principal = a_principal(tenant="a}{b:c", session="s}x", run="{r}")
    agent = Channel(connection=connection, names=Names("a}{b:c"), mac=RecordMac(keys=[b"k" * 32]))

    # when
    first = await opened(agent, TWO, principal=principal)
    joined = await agent.open(a_request(digest=first.request.digest, principal=principal), b"")
    await voted(agent, first)
    now = await agent.read(first.request.id)
    await agent.redeem(now, "fence")
    await agent.renew(first.request.id, "fence")
    await agent.finish(first.request.id, "fence", State.DONE)
    other = await opened(agent, principal=principal)
    await agent.withdraw(other.request.id, "")
    await agent.expire(other.request.id)

    # then
    states = [stored.state for stored in await agent.list([State.DONE, State.WITHDRAWN])]
    assert (joined.how, states) == (How.JOINED, [State.WITHDRAWN, State.DONE])
    await connection.close()
    server.remove()
