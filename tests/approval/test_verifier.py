"""What verifies on the agent's side is watched: each check that is dropped or weakened makes a test of it fail.

A mutation changes the text of one function; the function runs with the changed code while its tests run, once, in this process.

Some checks stand twice on purpose, so that dropping one changes no answer, and no mutation drops them:
- approved without votes: `Asking._check_votes` says forged; the tally of no votes is no approval anyway;
- a state other than approved: `Asking._must_be_approved` says why; the script gives no permit anyway;
- a request that needs nothing: `_state` wants a need; `obstacles` names one anyway;
- a rejection beside an approval of the same person: `_approves` skips it; the tally looks at rejections first anyway.
"""

from __future__ import annotations

import asyncio
import inspect
import tempfile
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any
from uuid import uuid4

import pytest

from agentguard.approval import edits, freezes, signing, stored, votes
from agentguard.approval.deeds import Deeds, _is_on
from agentguard.approval.freezes import Freezes
from agentguard.approval.stored import RecordMac
from agentguard.approval.tally import (
    Since,
    _approves,
    _enough_to_reject,
    _rejects,
    _standing,
    _state,
    barred,
    entitled_to,
)
from agentguard.errors import CallPending, CallRefused, DecisionRefused
from agentguard.guard import asking
from agentguard.guard.asking import Asking
from agentguard.guard.freezing import Freezing
from agentguard.guard.once import Once
from agentguard.guard.pipeline import Guard
from agentguard.guard.spent import Spent
from agentguard.integrations.functions import FunctionTool
from agentguard.model.approvals import Card, Decision, Grant, Offer, Scope
from agentguard.model.calls import ToolCall
from agentguard.store.redis import Connection
from tests.approval import test_channel, test_deeds, test_edits, test_freezes, test_steps, test_tally, test_votes
from tests.approval.batteries import Test, first_that_fails, sides
from tests.approval.people import a_request, a_vote
from tests.guard import test_attacks, test_freeze, test_once, test_waiting
from tests.guard.world import World

pytestmark = pytest.mark.anyio

ANN = "ann@acme.example"


def a_grant_beyond_the_offer_is_refused() -> None:
    """More uses, longer, further, without an offer, or along with a rejection."""
    offer = Offer(seconds=60, uses=2, session=True, held=(), tool_digest="t", clause="c")
    request = a_request()
    offering = request.model_copy(update={"card": request.card.model_copy(update={"grant": offer})})
    good = Grant(seconds=60, uses=2, session=True)
    votes.check_grant(good, Decision.APPROVE, offering)
    wrong: list[tuple[Grant, Decision, Card]] = [
        (good, Decision.APPROVE, request.card),
        (good, Decision.REJECT, offering.card),
        *((good.model_copy(update=more), Decision.APPROVE, offering.card) for more in (
            {"uses": 3}, {"uses": 0}, {"seconds": 61}, {"seconds": 0}, {"session": False},
        )),
    ]  # fmt: skip
    for grant, decision, card in wrong:
        with pytest.raises(DecisionRefused):
            votes.check_grant(grant, decision, request.model_copy(update={"card": card}))


def a_vote_carries_no_grant_that_was_not_offered() -> None:
    """Checked with the rest of the vote."""
    request = a_request()
    vote = a_vote(request, "ann").model_copy(update={"grant": Grant(seconds=60, uses=1, session=True)})
    with pytest.raises(DecisionRefused) as refused:
        votes.check_vote(vote, request, test_votes.ROSTER)
    assert refused.value.code == "bad_grant"


async def a_tool_that_changed_since_people_approved_does_not_run(world: World, guard: Guard) -> None:
    """The digest binds what the tool says of itself and takes: another tool of that name was approved."""
    changed = FunctionTool.of(world.tools.refund, description="Refund an order, and close the account.")
    call = ToolCall(tool="refund", arguments={"order_id": 1}, id="c1")
    with guard.session(user=ANN, id="thread"):
        with pytest.raises(CallPending):
            await guard.admit(call, world.tools.tool("refund"), hold_seconds=0)
        await world.decide((await world.waiting())[0], "bob")
        with pytest.raises(CallRefused):
            await guard.admit(call, changed, hold_seconds=0)


async def a_freeze_of_everybody_stops_an_approved_call(world: World, guard: Guard) -> None:
    """The script sees its tenant's orders alone; everybody's are looked at before."""
    with guard.session(user=ANN, id="thread"):
        call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1))
        (request,) = await world.waiting()
        order = await test_freeze.freeze(world, Scope.ALL)
        try:
            guard.freezing._read_at = float("-inf")  # as after a second
            await world.decide(request, "bob")
            with pytest.raises(CallRefused, match="frozen"):
                await call
        finally:
            await test_freeze.lift(world, order)


async def a_frozen_call_that_is_allowed_does_not_run(world: World, guard: Guard) -> None:
    """Though it needs nothing of Redis."""
    await test_freeze.freeze(world, Scope.TENANT)
    with guard.session(user=ANN), pytest.raises(CallRefused, match="frozen"):
        await world.call(guard, "echo", value=1)


async def a_frozen_call_that_may_happen_once_does_not_run(world: World, guard: Guard) -> None:
    """Though policy allows it."""
    await test_freeze.freeze(world, Scope.TENANT)
    with guard.session(user=ANN), pytest.raises(CallRefused, match="frozen"):
        await world.call(guard, "refund", order_id=1)


@dataclass(frozen=True)
class Mutation:
    """What is changed in a function, and the tests that must notice; `policy` is the one of tests with a guard."""

    name: str
    function: Callable[..., Any]
    old: str
    new: str
    tests: tuple[Test, ...]
    policy: str = ""


_reading = test_channel.TestReading()
_bound = (test_votes.test_t2_a_vote_counts_for_nothing_else,)
_signature = (
    test_votes.test_t14_a_signature_that_may_not_speak_for_the_person_is_refused,
    test_votes.test_t32_every_field_of_a_vote_is_signed,
)
_tally = (
    test_tally.test_votes_give_a_state, test_tally.test_t13_t15_the_requester_never_counts,
    test_tally.test_t13_the_requester_does_not_reject_either, test_tally.test_confirming_is_the_users_own,
    test_tally.test_t13_neither_the_agent_nor_who_made_its_credentials_approves, test_tally.test_what_can_never_be_approved_says_so,
    test_tally.test_t14_where_only_listed_users_ask_a_stranger_gets_no_approval,
)  # fmt: skip
_lift = (test_freezes.test_t32_a_lift_that_no_second_person_signed_ends_nothing,)
_edit = (test_edits.test_t32_an_edit_that_nobody_signed_for_this_is_none,)
_ladder = (
    test_steps.TestCounting().test_a_vote_counts_if_its_step_was_reached_when_it_was_signed_and_is_now,
    test_steps.TestCounting().test_so_does_a_rejection,
)
_word = (test_deeds.test_t32_a_word_that_nobody_signed_counts_for_nothing,)

BINDINGS = {
    "tenant": "(said.tenant, request.principal.tenant)",
    "request": "(said.request, request.id)",
    "revision": "(str(said.revision), str(request.revision))",
    "digest": "(said.digest, request.digest)",
    "card": "(said.card_digest, request.card.digest())",
}
"""What a vote and an edit are bound to."""

PURE = (
    *(
        Mutation(f"skip the {what} of a vote", signing.check_bound, pair, "('', '')", _bound)
        for what, pair in BINDINGS.items()
    ),
    Mutation(
        "drop the compare of a vote",
        signing.check_bound,
        "if not hmac.compare_digest(of_it.encode(), of_this.encode()):",
        "if False:",
        _bound,
    ),
    Mutation(
        "skip the deadline of a vote", votes.check_vote, "if vote.time_ms >= request.deadline_ms:", "if False:", _bound
    ),
    Mutation(
        "take a vote at the deadline", votes.check_vote, "vote.time_ms >= request", "vote.time_ms > request", _bound
    ),
    Mutation("skip what a vote is bound to", votes.check_vote, "check_bound(vote, request)", "pass", _bound),
    Mutation("skip the signature of a vote", votes.check_vote, "check_signature(vote, roster)", "pass", _signature),
    Mutation(
        "skip the grant of a vote",
        votes.check_vote,
        "check_grant(vote.grant, vote.decision, request)",
        "pass",
        (a_vote_carries_no_grant_that_was_not_offered,),
    ),
    Mutation(
        "count without verifying",
        votes.recount,
        "check_vote(vote, request, roster)",
        "pass",
        (test_votes.test_t32_one_forged_vote_spoils_the_count,),
    ),
    *(
        Mutation(f"a grant: {old}", votes.check_grant, old, new, (a_grant_beyond_the_offer_is_refused,))
        for old, new in (
            ("offer is None or ", ""),
            (" or decision is not Decision.APPROVE", ""),
            ("1 <= grant.uses <= offer.uses", "1 <= grant.uses"),
            ("1 <= grant.uses <=", "grant.uses <="),
            ("1 <= grant.seconds <= offer.seconds", "1 <= grant.seconds"),
            ("1 <= grant.seconds <=", "grant.seconds <="),
            (" and grant.session >= offer.session", ""),
        )
    ),
    Mutation("take any signature", signing.check_signature, "if not any(", "if False and not any(", _signature),
    Mutation(
        "take a signature of any person",
        signing._keys_of,
        "return person.keys",
        "return tuple(key for each in roster.people.values() for key in each.keys)",
        _signature,
    ),
    Mutation(
        "take a person's word for another's",
        signing._keys_of,
        "if statement.signer == statement.person:",
        "if statement.signer in roster.people:",
        _signature,
    ),
    Mutation(
        "count groups instead of people",
        _standing,
        "len(yes) >= quorum",
        "sum(len(cast[0].groups) for person, cast in by_person.items() if person in yes) >= quorum",
        _tally,
    ),
    Mutation(
        "count votes instead of people",
        _standing,
        "len(yes) >= quorum",
        "sum(len(cast) for person, cast in by_person.items() if person in yes) >= quorum",
        _tally,
    ),
    Mutation("one less than the quorum", _standing, "len(yes) >= quorum", "len(yes) >= quorum - 1", _tally),
    Mutation("count who is not entitled", _standing, "person in entitled and ", "", _tally),
    Mutation("one group stands for all", _standing, "if need.from_each:", "if False:", _tally),
    Mutation(
        "count a vote for any approval", _approves, "any(need in vote.approvals for vote in cast)", "True", _tally
    ),
    Mutation("forget rejections", _rejects, "any(vote.decision is Decision.REJECT for vote in cast)", "False", _tally),
    Mutation("one rejection more", _enough_to_reject, "need.reject_quorum", "need.reject_quorum + 1", _tally),
    Mutation("any need is enough", _state, "all(standing.met", "any(standing.met", _tally),
    Mutation("approve what can never be", _state, "not blocked and ", "", _tally),
    Mutation(
        "a step counts for a vote before it", Since.elapsed_ms, ", *(vote.time_ms for vote in votes)", ",", _ladder
    ),
    Mutation(
        "a step counts by signed times alone",
        Since.elapsed_ms,
        "self.now_ms, ",
        "*(() if votes else (self.now_ms,)), ",
        _ladder,
    ),
    Mutation("let the requester approve", barred, "own = (requester_of(requester, roster), ", "own = (None, ", _tally),
    Mutation("let the agent approve", barred, "roster.find(requester.agent))", "None)", _tally),
    Mutation("let who made its credentials approve", barred, "*minted, ", "", _tally),
    Mutation(
        "anybody confirms",
        entitled_to,
        "frozenset() if asker is None else frozenset({asker})",
        "frozenset(roster.people)",
        _tally,
    ),
)

ON_REDIS = (
    Mutation(
        "skip the MAC of a record",
        stored.read_stored,
        "mac.check(record, record_mac)",
        "pass",
        (_reading.test_t32_a_record_changed_by_hand_is_forged,),
    ),
    Mutation(
        "take any MAC",
        RecordMac.check,
        "if not any(",
        "if False and not any(",
        (_reading.test_t32_a_record_changed_by_hand_is_forged,),
    ),
    Mutation(
        "take a record of another request",
        stored.read_stored,
        "if (request.id, request.principal.tenant) != (request_id, tenant):",
        "if False:",
        (_reading.test_t32_a_record_of_another_request_is_forged,),
    ),
    Mutation(
        "take a vote under another name",
        stored.read_stored,
        "if [vote.person.encode() for vote in read_votes] != sorted(person for person, _ in votes):",
        "if False:",
        (_reading.test_t15_a_vote_under_another_name_is_forged,),
    ),
    Mutation(
        "count votes on earlier revisions",
        stored.read_stored,
        " if vote.revision == request.revision",
        "",
        (test_edits.test_votes_bind_a_revision,),
    ),
    Mutation(
        "skip the order that a lift is on",
        freezes.check_lift,
        "not hmac.compare_digest(lift.freeze_digest.encode(), freeze.digest().encode()) or ",
        "",
        _lift,
    ),
    Mutation("skip the tenant of a lift", freezes.check_lift, " or lift.tenant != freeze.tenant", "", _lift),
    Mutation("who froze lifts", freezes.check_lift, "if lift.person == freeze.person:", "if False:", _lift),
    Mutation("skip the signature of a lift", freezes.check_lift, "check_signature(lift, roster)", "pass", _lift),
    Mutation(
        "an order that can't be read is none",
        freezes._read,
        "return UNREADABLE",
        "return Freeze(**{**dict(UNREADABLE), 'id': 'x', 'scope': 'tool', 'name': 'other'})",
        (test_freezes.test_t32_an_order_that_can_not_be_read_stops_everything,),
    ),
    Mutation(
        "what is gone was lifted",
        Freezes.lifted,
        "written is not None and _ends(written, freeze, roster)",
        "written is None or _ends(written, freeze, roster)",
        (*_lift, test_freezes.test_an_order_that_was_lifted_can_be_given_again),
    ),
    Mutation("skip the tenant of a settlement", _is_on, "settlement.tenant == tenant and ", "", _word),
    Mutation(
        "skip the run of a settlement",
        _is_on,
        " and hmac.compare_digest(settlement.fence.encode(), run.fence.encode())",
        "",
        _word,
    ),
    Mutation("skip the signature of a settlement", Deeds.word_on, "check_signature(settlement, roster)", "pass", _word),
    *(
        Mutation(f"skip the {what} of an edit", signing.check_bound, pair, "('', '')", _edit)
        for what, pair in BINDINGS.items()
    ),
    Mutation("skip what an edit is bound to", edits.check_edit, "check_bound(edit, request)", "pass", _edit),
    Mutation("skip the signature of an edit", edits.check_edit, "check_signature(edit, roster)", "pass", _edit),
    Mutation(
        "anybody edits",
        edits.check_edit,
        "may_edit(edit.person, request, roster, now_ms=min(now_ms, edit.time_ms))",
        "pass",
        _edit,
    ),
)

GUARDED = (
    Mutation(
        "skip the votes' signatures at the permit",
        Asking._check_votes,
        "check_vote(vote, stored.request, roster)",
        "pass",
        (test_waiting.test_t32_a_vote_written_into_redis_by_hand_gives_no_permit,),
    ),
    Mutation(
        "skip the count at the permit",
        Asking._check_votes,
        "if self._tally(stored, roster).state is not State.APPROVED:",
        "if False:",
        (test_attacks.test_t13_t15_a_genuine_signature_of_somebody_not_entitled_gives_no_permit,),
    ),
    Mutation(
        "skip the digest at the permit",
        Asking._adopt,
        "if not hmac.compare_digest(digest, stored.request.digest):",
        "if False:",
        (a_tool_that_changed_since_people_approved_does_not_run,),
    ),
    Mutation(
        "skip the freeze at the permit",
        Asking._permit,
        "await self.freezing.check(case.principal, case.tool.name)",
        "pass",
        (a_freeze_of_everybody_stops_an_approved_call,),
    ),
    Mutation(
        "skip the freeze of allowed calls",
        Freezing.begin,
        "await self.check(permit.principal, permit.call.tool)",
        "pass",
        (a_frozen_call_that_is_allowed_does_not_run,),
    ),
    Mutation(
        "skip the freeze of what may happen once",
        Guard._judged,
        "await self.freezing.check(principal, tool.name)",
        "pass",
        (a_frozen_call_that_may_happen_once_does_not_run,),
        policy=test_once.ONCE,
    ),
    Mutation(
        "forget an order that vanished",
        Freezing._read,
        " for freeze in before.values() if freeze.id not in lifted",
        " for freeze in ()",
        (test_freeze.test_t32_an_order_that_just_vanishes_from_redis_still_stands,),
    ),
    Mutation(
        "take any request that Redis names",
        asking._is_same_call,
        "return same and (mine.principal, mine.tool) == (found.principal, found.tool)",
        "return True",
        (test_attacks.test_t32_a_call_id_pointed_at_another_approved_request_runs_nothing,),
    ),
    Mutation(
        "give a permit whose traces were wiped",
        Spent.take,
        "if not is_new:",
        "if False:",
        (test_attacks.test_t2_t32_a_permit_whose_traces_are_wiped_from_redis_is_not_given_again,),
    ),
    Mutation(
        "begin no deed",
        Once.begin,
        "if not deeds:",
        "if deeds:",
        (test_once.test_the_same_deed_again_is_refused_and_another_one_runs,),
        policy=test_once.ONCE,
    ),
)


@pytest.mark.parametrize("mutation", PURE, ids=lambda each: each.name)
async def test_a_weaker_check_of_votes_is_noticed(monkeypatch: pytest.MonkeyPatch, mutation: Mutation) -> None:
    """The digest, the deadline, the signature, people and not groups."""
    _mutate(monkeypatch, mutation)
    assert await first_that_fails(mutation.tests, lambda: _with({})) is not None


@pytest.mark.parametrize("mutation", ON_REDIS, ids=lambda each: each.name)
async def test_a_weaker_check_of_what_redis_holds_is_noticed(
    monkeypatch: pytest.MonkeyPatch, connection: Connection, mutation: Mutation
) -> None:
    """Records, lifts, settlements and edits."""
    _mutate(monkeypatch, mutation)
    assert await first_that_fails(mutation.tests, lambda: sides(connection)) is not None


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a test that fails leaves its line open
@pytest.mark.parametrize("mutation", GUARDED, ids=lambda each: each.name)
async def test_a_weaker_check_before_the_permit_is_noticed(
    monkeypatch: pytest.MonkeyPatch, connection: Connection, valkey_url: str, mutation: Mutation
) -> None:
    """The last line: what the guard itself looks at before a call runs."""
    _mutate(monkeypatch, mutation)
    assert await first_that_fails(mutation.tests, lambda: _guarded(valkey_url, connection, mutation.policy)) is not None


async def test_as_the_checks_are_none_of_these_tests_fails(connection: Connection) -> None:
    """Else those above would show nothing; the tests with a guard run where they stand."""
    tests = dict.fromkeys(test for mutation in (*PURE, *ON_REDIS) for test in mutation.tests)
    assert await first_that_fails(tests, lambda: sides(connection)) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("check", "policy"),
    [
        (a_tool_that_changed_since_people_approved_does_not_run, ""),
        (a_freeze_of_everybody_stops_an_approved_call, ""),
        (a_frozen_call_that_is_allowed_does_not_run, ""),
        (a_frozen_call_that_may_happen_once_does_not_run, test_once.ONCE),
    ],
)
async def test_t1_t23_what_changed_or_is_frozen_does_not_run(
    connection: Connection, valkey_url: str, check: Test, policy: str
) -> None:
    """The checks that stand here."""
    assert await first_that_fails([check], lambda: _guarded(valkey_url, connection, policy)) is None


def _mutate(monkeypatch: pytest.MonkeyPatch, mutation: Mutation) -> None:
    function = mutation.function
    assert isinstance(function, FunctionType)
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(mutation.old) == 1, f"{function.__qualname__} has it {source.count(mutation.old)} times"
    made: dict[str, Any] = {}
    code = compile(
        "from __future__ import annotations\n" + source.replace(mutation.old, mutation.new), "mutation", "exec"
    )
    exec(code, dict(function.__globals__), made)
    monkeypatch.setattr(function, "__code__", made[function.__name__].__code__)


@asynccontextmanager
async def _with(there: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    yield there


@asynccontextmanager
async def _guarded(url: str, connection: Connection, policy: str) -> AsyncIterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="ag-") as folder:
        world = World(folder=Path(folder), redis_url=url, tenant=f"tenant-{uuid4().hex[:12]}")
        if policy:
            (world.policies / "policy.yaml").write_text(policy)
        with world.open() as guard, guard.session(user=ANN):
            yield {"world": world, "guard": guard, "connection": connection}
