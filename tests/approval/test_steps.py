"""Reminders and escalation ladders: told once, whoever looks, and counted from their time on."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from agentguard.approval import Channel, Desk, RecordMac, Roster, Steps, Stored, Waiters, recount, tally
from agentguard.approval.edits import check_edit, sign_edit
from agentguard.approval.schedule import escalates, next_step_ms
from agentguard.errors import DecisionRefused
from agentguard.model.approvals import Decision, Request, State
from agentguard.model.verdicts import Need, Step
from agentguard.store.letters import LetterBox
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from tests.approval.conftest import MAC_KEY
from tests.approval.people import KEYS, ONE, ROSTER, TWO, a_principal, a_request, a_vote

pytestmark = pytest.mark.anyio

MINUTE = 60_000
LADDER = (Step(after_seconds=120, to=("group:security",)), Step(after_seconds=300, to=("person:eve",)))
ESCALATING = Need(name="stewards", approvers=("person:dan",), deadline_seconds=600, escalate=LADDER)
REMINDING = Need(name="stewards", approvers=("person:dan",), deadline_seconds=600, remind_seconds=120)
BOTH = ESCALATING.model_copy(update={"remind_seconds": 60})
MAC = RecordMac(keys=[MAC_KEY])
BOX = LetterBox((b"letters of this test, 32 bytes..",))


@pytest.fixture
def agent(connection: Connection, tenant: str) -> Channel:
    """The agent's side, in a tenant of this test's own."""
    return Channel(connection=connection, names=Names(tenant), mac=MAC)


@pytest.fixture
def desk(connection: Connection, tenant: str) -> Desk:
    """The approvers' side, where Dan has a key too."""
    return Desk(channel=Channel(connection=connection, names=Names(tenant)), roster=ROSTER)


async def opened(agent: Channel, need: Need, *, ago_ms: int = 0) -> Stored:
    """A request that has been open for so long, by a record that its agent wrote."""
    made = (
        await agent.open(a_request(need, principal=a_principal(tenant=agent.names.tenant), box=BOX.public), b"")
    ).stored.request
    times = {each: getattr(made, each) - ago_ms for each in ("opened_ms", "deadline_ms", "redeem_by_ms")}
    earlier = made.model_copy(update=times)
    record = earlier.canonical().encode()
    key, steps = agent.names.request(made.id), agent.names.steps
    await agent.connection.execute("HSET", key, "record", record, "mac", MAC.of(record))
    if await agent.connection.execute("ZSCORE", steps, made.id):
        first = next_step_ms(earlier, earlier.opened_ms)
        await agent.connection.execute("ZADD", steps, str(first), made.id)
    return await agent.read(made.id)


async def said(agent: Channel) -> Counter[str]:
    """What was told so far, and how often."""
    events = await agent.connection.read_stream(agent.names.events, "0-0", 1)
    return Counter(event["kind"].decode() for _, event in events)


async def next_due(agent: Channel, stored: Stored) -> int | None:
    """When the request's next step is due, since it opened."""
    found = await agent.connection.execute("ZSCORE", agent.names.steps, stored.request.id)
    return None if found is None else int(float(found)) - stored.request.opened_ms


def at(request: Request, minutes: float) -> int:
    """So long after a request opened."""
    return request.opened_ms + int(minutes * MINUTE)


class TestSchedule:
    """What is due follows from the record."""

    @pytest.mark.parametrize(
        ("need", "after", "due"),
        [
            (ONE, 0, None),
            (REMINDING, 0, 2),
            (REMINDING, 2, 4),
            (REMINDING, 3.5, 4),
            (REMINDING, 8, None),
            (ESCALATING, 0, 2),
            (ESCALATING, 2, 5),
            (ESCALATING, 5, None),
            (BOTH, 1, 2),
            (BOTH, 4.5, 5),
        ],
    )
    def test_the_next_step_is_the_first_of_all_that_come(self, need: Need, after: float, due: float | None) -> None:
        """Reminders at each multiple, steps at their time, none at the deadline or later."""
        request = a_request(need, opened_ms=5_000, deadline_ms=5_000 + 600_000)
        found = next_step_ms(request, at(request, after))
        assert found == (None if due is None else at(request, due))

    def test_of_several_needs_each_has_its_own(self) -> None:
        """The shortest deadline ends all of them."""
        other = REMINDING.model_copy(update={"name": "board", "remind_seconds": 90, "deadline_seconds": 100})
        request = a_request(BOTH, other, opened_ms=0, deadline_ms=100_000)
        assert [next_step_ms(request, after) for after in (0, 60_000, 90_000)] == [60_000, 90_000, None]

    def test_whether_somebody_was_added_looks_at_both_ends(self) -> None:
        """A step at the very beginning or end of the time counts."""
        request = a_request(ESCALATING, opened_ms=0, deadline_ms=600_000)
        assert escalates(request, 120_000, 120_000)
        assert escalates(request, 0, 120_000)
        assert not escalates(request, 120_001, 299_999)


class TestTaking:
    """step.lua, and who calls it."""

    async def test_nothing_is_told_before_its_time(self, agent: Channel) -> None:
        """A look too early changes nothing."""
        stored = await opened(agent, REMINDING)
        assert await Steps(channel=agent).take_due() == 0
        assert await said(agent) == {"opened": 1}
        assert await next_due(agent, stored) == 2 * MINUTE

    async def test_a_reminder_is_told_once_by_whichever_of_many_comes_first(self, agent: Channel, desk: Desk) -> None:
        """No leader: agents and servers look at the same moment, and one of them says it."""
        stored = await opened(agent, REMINDING, ago_ms=int(2.5 * MINUTE))
        await asyncio.gather(*(Steps(channel=side).take_due() for side in (agent, desk.channel) * 10))
        assert await said(agent) == {"opened": 1, "reminded": 1}
        assert await next_due(agent, stored) == 4 * MINUTE

    async def test_what_fell_due_while_nobody_looked_is_told_as_one(self, agent: Channel) -> None:
        """Four reminders and a step: one message, which is the step's."""
        stored = await opened(agent, BOTH, ago_ms=int(4.5 * MINUTE))
        for _ in range(3):
            await Steps(channel=agent).take_due()
        assert await said(agent) == {"opened": 1, "escalated": 1}
        assert await next_due(agent, stored) == 5 * MINUTE

    async def test_an_agent_that_waits_takes_the_steps_of_its_tenant(self, agent: Channel) -> None:
        """Also of requests that are not its own: whoever lives, looks."""
        mine, other = await opened(agent, ONE), await opened(agent, REMINDING, ago_ms=3 * MINUTE)
        waiters = Waiters(channel=agent, reread_seconds=0.02)
        waiting = asyncio.create_task(waiters.wait(mine.request.id, mine.request.deadline_ms))
        async with asyncio.timeout(10):
            while not (await said(agent))["reminded"]:
                await asyncio.sleep(0.02)
        waiting.cancel()
        await waiters.close()
        assert await next_due(agent, other) == 4 * MINUTE
        assert (await said(agent))["reminded"] == 1

    async def test_after_the_last_step_nothing_is_due(self, agent: Channel) -> None:
        """The request leaves the index, and still waits."""
        stored = await opened(agent, ESCALATING, ago_ms=6 * MINUTE)
        await Steps(channel=agent).take_due()
        assert await next_due(agent, stored) is None
        assert (await agent.read(stored.request.id)).state is State.PENDING

    @pytest.mark.parametrize("end", ["withdrawn", "gone", "forged"])
    async def test_what_no_longer_waits_is_not_urged(self, agent: Channel, end: str) -> None:
        """Ended, gone or forged: nothing is told, and it leaves the index or is passed over."""
        stored = await opened(agent, REMINDING, ago_ms=3 * MINUTE)
        key = agent.names.request(stored.request.id)
        match end:
            case "withdrawn":
                await agent.withdraw(stored.request.id, "")
            case "gone":
                await agent.connection.execute("DEL", key)
            case _:
                await agent.connection.execute("HSET", key, "mac", "0" * 64)
        await Steps(channel=agent).take_due()
        await Steps(channel=agent).take_due()
        assert (await said(agent))["reminded"] == 0
        assert await next_due(agent, stored) is None

    async def test_t8_a_clock_that_is_ahead_tells_nothing_early(self, agent: Channel) -> None:
        """Redis's time decides, whatever the process that looks believes."""
        stored = await opened(agent, REMINDING)
        with pytest.raises(DecisionRefused) as refused:
            await agent.step(stored.request.id, at(stored.request, 2), at(stored.request, 4), "reminded")
        assert refused.value.code == "changed"
        assert await said(agent) == {"opened": 1}

    async def test_an_edit_that_brings_another_ladder_is_kept_by(self, agent: Channel, desk: Desk) -> None:
        """The next revision's needs say what is due."""
        stored = await opened(agent, REMINDING)
        await put_edit(desk, stored)
        before = await agent.read(stored.request.id)
        verdict = stored.request.verdict.model_copy(update={"needs": (ONE,)})
        revised = stored.request.model_copy(update={"revision": 2, "digest": "e" * 64, "verdict": verdict})
        await agent.revise(before, revised, b"", b"")
        assert await next_due(agent, stored) is None

    async def test_redis_that_holds_nonsense_stops_nobody(self, agent: Channel) -> None:
        """A member that is no id of ours is passed over; the one beside it is told."""
        await opened(agent, REMINDING, ago_ms=3 * MINUTE)
        await agent.connection.execute("ZADD", agent.names.steps, 1, "no id, \x00 and no request")
        await Steps(channel=agent).take_due()
        assert (await said(agent))["reminded"] == 1


async def put_edit(desk: Desk, stored: Stored, person: str = "ann") -> None:
    """Somebody's change, written without asking whether they may."""
    edit = sign_edit(
        stored.request, {"limit": 1}, person=person, comment="", card_digest=stored.request.card.digest(),
        time_ms=stored.now_ms, signer=person, key=KEYS[person],
    )  # fmt: skip
    await desk.channel.edit(edit)


class TestCounting:
    """Whom a ladder adds counts from then on, and no sooner."""

    @pytest.mark.parametrize(
        ("person", "signed", "now", "state"),
        [
            ("cat", 1.9, 1.9, State.PENDING),
            ("cat", 1.9, 9, State.PENDING),
            ("cat", 2, 2, State.APPROVED),
            ("cat", 9, 1.9, State.PENDING),
            ("cat", 9, 2, State.APPROVED),
            ("eve", 4.9, 9, State.PENDING),
            ("eve", 5, 5, State.APPROVED),
            ("ann", 9, 9, State.PENDING),
        ],
        ids=["early", "counted late", "at its time", "from the future", "put late", "a step too early", "second step", "on no step"],
    )  # fmt: skip
    def test_a_vote_counts_if_its_step_was_reached_when_it_was_signed_and_is_now(
        self, person: str, signed: float, now: float, state: State
    ) -> None:
        """The agent's side counts by the signed times within Redis's, so no key moves a step."""
        request = a_request(ESCALATING, opened_ms=10_000, deadline_ms=610_000)
        vote = a_vote(request, person, time_ms=at(request, signed))
        assert recount(request, [vote], ROSTER, now_ms=at(request, now)).state is state

    @pytest.mark.parametrize(("signed", "state"), [(1.9, State.PENDING), (2, State.REJECTED)])
    def test_so_does_a_rejection(self, signed: float, state: State) -> None:
        """Who may not approve yet does not reject yet."""
        request = a_request(ESCALATING, opened_ms=10_000, deadline_ms=610_000)
        vote = a_vote(request, "cat", Decision.REJECT, time_ms=at(request, signed))
        assert recount(request, [vote], ROSTER, now_ms=at(request, 9)).state is state

    def test_t13_the_requester_is_no_approver_on_any_step(self) -> None:
        """A ladder adds approvers, and nobody who is barred."""
        request = a_request(ESCALATING, opened_ms=0, deadline_ms=600_000, principal=a_principal(user="cat"))
        vote = a_vote(request, "cat", time_ms=at(request, 3))
        assert recount(request, [vote], ROSTER, now_ms=at(request, 9)).state is State.PENDING

    def test_t15_a_quorum_counts_people_of_both(self) -> None:
        """One named from the start and one added make two, and the same person twice does not."""
        need = TWO.model_copy(update={"escalate": (Step(after_seconds=60, to=("group:security",)),)})
        request = a_request(need, opened_ms=0, deadline_ms=600_000)
        votes = [a_vote(request, person, time_ms=at(request, 2)) for person in ("bob", "cat")]
        assert recount(request, votes, ROSTER, now_ms=at(request, 3)).state is State.APPROVED
        assert recount(request, votes[:1], ROSTER, now_ms=at(request, 3)).state is State.PENDING

    def test_without_a_time_no_step_is_reached(self) -> None:
        """Who counts without saying what time it is counts those named from the start."""
        request = a_request(ESCALATING, opened_ms=0, deadline_ms=600_000)
        vote = a_vote(request, "cat", time_ms=at(request, 9))
        assert tally(request.needs, [vote], ROSTER, request.principal).state is State.PENDING

    def test_a_ladder_makes_a_call_possible_that_those_named_first_could_not_decide(self) -> None:
        """Two of one person is no obstacle where more come; it is one where nobody does."""
        alone = ESCALATING.model_copy(update={"quorum": 2, "escalate": ()})
        request = a_request(alone, opened_ms=0, deadline_ms=600_000)
        assert tally(request.needs, [], ROSTER, request.principal).obstacles
        joined = (ESCALATING.model_copy(update={"quorum": 2}),)
        assert not tally(joined, [], ROSTER, request.principal).obstacles


class TestDesk:
    """What people may do."""

    async def decide(self, desk: Desk, stored: Stored, person: str) -> State:
        """One person's approval, with their own key."""
        digest = stored.request.card.digest()
        done = await desk.decide(
            stored.request.id, person=person, key=KEYS[person], decision=Decision.APPROVE, card_digest=digest
        )
        return done.state

    async def test_who_is_added_later_may_not_decide_or_edit_yet(self, agent: Channel, desk: Desk) -> None:
        """Refused, and nothing is written."""
        stored = await opened(agent, ESCALATING, ago_ms=MINUTE)
        with pytest.raises(DecisionRefused) as vote:
            await self.decide(desk, stored, "cat")
        with pytest.raises(DecisionRefused) as edit:
            await desk.edit(
                stored.request.id, {"limit": 1}, person="cat", key=KEYS["cat"], card_digest=stored.request.card.digest()
            )
        assert (vote.value.code, edit.value.code) == ("not_entitled", "not_entitled")
        assert (await agent.read(stored.request.id)).votes == ()

    async def test_who_was_added_decides_though_nobody_announced_it(self, agent: Channel, desk: Desk) -> None:
        """Time alone makes them an approver."""
        stored = await opened(agent, ESCALATING, ago_ms=3 * MINUTE)
        assert await self.decide(desk, stored, "cat") is State.APPROVED
        now = await agent.read(stored.request.id)
        assert recount(now.request, now.votes, ROSTER, now_ms=now.now_ms).state is State.APPROVED

    async def test_a_login_that_does_not_confirm_the_added_group_decides_nothing(
        self, agent: Channel, desk: Desk
    ) -> None:
        """A step's group is confirmed like any other."""
        stored = await opened(agent, ESCALATING, ago_ms=3 * MINUTE)
        assert list(desk.may_decide(stored, "cat", {"security"})) == ["stewards"]
        with pytest.raises(DecisionRefused):
            desk.may_decide(stored, "cat", {"stewards"})

    async def test_t32_an_edit_signed_before_its_step_is_refused_by_the_agents_side(
        self, agent: Channel, desk: Desk
    ) -> None:
        """Whoever writes it into Redis past the desk gains nothing."""
        stored = await opened(agent, ESCALATING, ago_ms=3 * MINUTE)
        early = sign_edit(
            stored.request, {"limit": 1}, person="cat", comment="", card_digest=stored.request.card.digest(),
            time_ms=at(stored.request, 1), signer="cat", key=KEYS["cat"],
        )  # fmt: skip
        with pytest.raises(DecisionRefused) as refused:
            check_edit(early, stored.request, ROSTER, now_ms=stored.now_ms)
        assert refused.value.code == "not_entitled"


def test_whom_a_step_names_must_be_in_the_roster() -> None:
    """An empty group on a ladder adds nobody, and never passes for somebody."""
    request = a_request(ESCALATING, opened_ms=0, deadline_ms=600_000)
    vote = a_vote(request, "cat", time_ms=at(request, 3))
    lonely = Roster(people={name: person for name, person in ROSTER.people.items() if name != "cat"})
    with pytest.raises(DecisionRefused):
        recount(request, [vote], lonely, now_ms=at(request, 9))
