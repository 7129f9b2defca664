"""The scripts against a model of them in Python, move by move, under a clock that jumps.

Random moves are made on a real server, right ones and wrong ones, repeated ones and late ones; after each, its answer, how every request
stands and which events there are must be what the model says. `--hypothesis-profile=thorough` tries many more.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from agentguard.approval import Attempt, Channel, Deeds, Freezes, RecordMac, Stored
from agentguard.approval.channel import DEFERRED_PERMIT_MS, PERMIT_MS
from agentguard.approval.signing import signed
from agentguard.errors import DecisionRefused, RequestNotFound
from agentguard.model.approvals import Decision, Edit, Freeze, Lift, Request, Scope, State, Vote
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from tests.approval.people import KEYS, ONE, a_principal, a_request, a_vote
from tests.faults.jumping import jump, jumping_moves

DEADLINE_MS = 1000 * ONE.deadline_seconds
LEASE_MS = 60_000
JUMPS_MS = (40_000, 310_000, 610_000)
"""No sum of these comes within ten seconds below a time that counts, so the milliseconds that really pass matter to nothing."""

ATTEMPT = Attempt(tool="refund", agent="clerk", user=None, session="thread-1")
ENDS = (State.DONE, State.FAILED, State.UNKNOWN)

index, flag = st.integers(0, 3), st.booleans()
person, fence = st.sampled_from(["ann", "bob", "cat"]), st.sampled_from(["f1", "f2"])


@dataclass
class Known:
    """A request as the model knows it."""

    request: Request
    deadline: int
    redeem_by: int
    revision: int = 1
    votes: dict[str, Vote] = field(default_factory=dict)
    writes: int = 0
    resolution: str = ""
    withdrawn: bool = False
    deferred: bool = False
    told_expired: bool = False
    edit: Edit | None = None
    answered: Edit | None = None
    fence: str = ""
    until: int = 0
    outcome: str = ""

    def state(self, now: int) -> State:
        """How it stands."""
        if self.outcome:
            return State(self.outcome)
        if self.fence:
            return State.EXECUTING if now < self.until else State.UNKNOWN
        if self.withdrawn:
            return State.WITHDRAWN
        if self.resolution == "rejected":
            return State.REJECTED
        if self.resolution == "approved":
            return State.APPROVED if now < self.redeem_by else State.EXPIRED
        return State.PENDING if now < self.deadline else State.EXPIRED

    @property
    def version(self) -> str:
        """Which revision and votes there are."""
        return f"{self.revision}.{self.writes}"


@dataclass
class Deed:
    """A deed as the model knows it: the fence of its last attempt, and how that ended."""

    fence: str = ""
    outcome: str = ""


class Moves(RuleBasedStateMachine):
    """Random moves on the requests, deeds and freezes of a tenant, each also made on the model."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.line = self.run(Connection.open(url))
        names = Names(f"model-{uuid4().hex[:12]}")
        self.channel = Channel(connection=self.line, names=names, mac=RecordMac(keys=[b"k" * 32]))
        self.deeds, self.freezes = Deeds(channel=self.channel), Freezes(connection=self.line, names=names)
        self.now, self.serial = 0, itertools.count(1)
        self.known: dict[str, Known] = {}
        self.calls: dict[str, tuple[str, str]] = {}
        self.joins: dict[str, str] = {}
        self.orders: dict[str, Freeze] = {}
        self.begun = {"d1": Deed(), "d2": Deed()}
        self.events: Counter[str] = Counter()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """What a coroutine gives, or the code with which it is refused."""
        try:
            return self.loop.run_until_complete(work)
        except RequestNotFound:
            return "missing"
        except DecisionRefused as refused:
            return refused.code

    def teardown(self) -> None:
        """Leave nothing behind."""
        keys = self.run(self.line.execute("KEYS", f"{self.channel.names.prefix}*"))
        self.run(self.line.pipeline([("DEL", key) for key in [*keys, f"off:{self.channel.names.events}"]]))
        self.run(self.line.close())
        self.loop.close()

    def one(self, index: int) -> Known:
        """One of the last requests."""
        return list(self.known.values())[-1 - index % len(self.known)]

    @rule(by=st.sampled_from(JUMPS_MS))
    def time_passes(self, by: int) -> None:
        self.now += by
        self.run(jump(self.line, self.channel.names, self.now))

    @initialize()
    def begin(self) -> None:
        self.open(call="c1", digest="a", model="m1", defers=False)

    @rule(
        call=st.sampled_from(["", "c1", "c2", "c3"]),
        digest=st.sampled_from("ab"),
        model=st.sampled_from(["m1", "m2"]),
        defers=flag,
    )
    def open(self, call: str, digest: str, model: str, defers: bool) -> None:
        request = a_request(
            id=f"r{next(self.serial)}", call_id=call or None, digest=digest * 64, model_digest=model * 32,
            principal=a_principal(tenant=self.channel.names.tenant), may_defer=defers, box="b",
        )  # fmt: skip
        found = self.run(self.channel.open(request, b"sealed"))
        expected, held = self._opened(request, call, model)
        if expected in ("created", "found", "joined"):
            assert (found.how.value, found.stored.request.id) == (expected, held)
        else:
            assert found == expected

    def _opened(self, request: Request, call: str, model: str) -> tuple[str, str]:
        if call in self.calls:
            held, before = self.calls[call]
            return ("found" if before == model else "call_id_reused"), held
        word, held = self._joined(request.digest)
        if word == "created":
            held = request.id
            permit_ms = DEFERRED_PERMIT_MS if request.may_defer else PERMIT_MS
            deadline = self.now + DEADLINE_MS
            self.known[held] = Known(request, deadline, deadline + permit_ms)
            self.joins[request.digest] = held
            self.events["opened"] += 1
        if call:
            self.calls[call] = (held, model)
        return word, held

    def _joined(self, digest: str) -> tuple[str, str]:
        held = self.joins.get(digest, "")
        if held:
            known = self.known[held]
            state = known.state(self.now)
            if state is State.PENDING or (known.deferred and state is State.APPROVED):
                return "joined", held
            if known.deferred and state in (State.REJECTED, State.EXECUTING, State.UNKNOWN):
                return "found", held
        return "created", ""

    @rule(at=index, person=person, decision=st.sampled_from(list(Decision)), becomes=st.sampled_from(["pending", "approved", "rejected"]),
          stale=st.integers(0, 9), old=st.integers(0, 9))  # fmt: skip
    def vote(self, at: int, person: str, decision: Decision, becomes: str, stale: int, old: int) -> None:
        known = self.one(at)
        request = known.request if old else known.request.model_copy(update={"digest": "f" * 64})
        vote = a_vote(request, person, decision, time_ms=next(self.serial))
        version = known.version if stale else "0.0"
        said = self.run(self.channel.vote(vote, version, State(becomes)))
        if known.state(self.now) is not State.PENDING:
            assert said == "ended"
        elif not old or not stale:
            assert said == "changed"
        else:
            assert said == becomes
            known.votes[person], known.writes = vote, known.writes + 1
            known.resolution = "" if becomes == "pending" else becomes
            self.events["voted"] += 1

    @rule(at=index, person=person)
    def vote_again(self, at: int, person: str) -> None:
        known = self.one(at)
        if person in known.votes:
            assert self.run(self.channel.vote(known.votes[person], "9.9", State.REJECTED)) == known.state(self.now)

    @rule(at=index)
    def withdraw(self, at: int) -> None:
        known = self.one(at)
        state = known.state(self.now)
        said = self.run(self.channel.withdraw(known.request.id, "why"))
        if state in (State.PENDING, State.APPROVED):
            known.withdrawn = True
            self.events["withdrawn"] += 1
        assert said == (State.WITHDRAWN if known.state(self.now) is State.WITHDRAWN else "ended")

    @rule(at=index)
    def defer(self, at: int) -> None:
        known = self.one(at)
        state = known.state(self.now)
        assert self.run(self.channel.defer(known.request.id)) == state
        known.deferred = known.deferred or state is State.PENDING

    @rule(at=index)
    def expire(self, at: int) -> None:
        known = self.one(at)
        assert self.run(self.channel.expire(known.request.id)) == known.state(self.now)
        still_listed = not known.resolution and not known.told_expired
        if known.state(self.now) is State.EXPIRED and still_listed:
            known.told_expired = True
            self.events["expired"] += 1

    @rule(at=index, person=person, old=st.integers(0, 9))
    def edit(self, at: int, person: str, old: int) -> None:
        known = self.one(at)
        digest = known.request.digest if old else "f" * 64
        edit = Edit(
            tenant=self.channel.names.tenant, request=known.request.id, revision=known.revision, digest=digest, card_digest="c",
            changes=str(next(self.serial)), person=person, time_ms=1, signer=person,
        )  # fmt: skip
        said = self.run(self.channel.edit(edit))
        if known.state(self.now) is not State.PENDING:
            assert said == "ended"
        elif not old:
            assert said == "changed"
        else:
            assert said is None
            known.edit = edit
            self.events["edited"] += 1

    @rule(at=index, refuses=flag, again=flag)
    def answer_the_edit(self, at: int, refuses: bool, again: bool) -> None:
        known = self.one(at)
        if known.edit is None:
            return
        before = self.run(self.channel.read(known.request.id))
        revised = before.request.model_copy(
            update={"revision": known.revision + 1, "digest": f"{next(self.serial):064d}"}
        )
        answers = known.edit != known.answered and known.state(self.now) is State.PENDING
        for _ in range(1 + again):
            move = self.channel.refuse_edit(before, "no") if refuses else self.channel.revise(before, revised, b"", b"")
            said = self.run(move)
            assert said is None if answers or known.edit == known.answered else said == "ended"
        if answers:
            known.answered = known.edit
            self.events["revised"] += 1
            if not refuses:
                known.request, known.revision = revised, known.revision + 1

    @rule(at=index, fence=fence, stale=st.integers(0, 9))
    def redeem(self, at: int, fence: str, stale: int) -> None:
        known = self.one(at)
        stored = self.run(self.channel.read(known.request.id))
        assert isinstance(stored, Stored)
        seen = stored if stale else self._as_before(stored)
        said = self.run(self.channel.redeem(seen, fence, lease_ms=LEASE_MS))
        state = known.state(self.now)
        if state is State.EXECUTING and known.fence == fence:
            assert said is None
        elif state is not State.APPROVED:
            assert said == "ended"
        elif not stale:
            assert said == "changed"
        elif self.orders:
            assert said == "frozen"
        else:
            assert said is None
            known.fence, known.until = fence, self.now + LEASE_MS
            self.events["redeemed"] += 1

    @staticmethod
    def _as_before(stored: Stored) -> Stored:
        fields = {name: getattr(stored, name) for name in Stored.__slots__}
        return Stored(**{**fields, "version": "0.0"})

    @rule(at=index, fence=fence)
    def get_a_permit(self, at: int, fence: str) -> None:
        """What chance would seldom bring about: an approval, and its permit right after it."""
        self.vote(at=at, person="ann", decision=Decision.APPROVE, becomes="approved", stale=1, old=1)
        self.redeem(at=at, fence=fence, stale=1)

    @rule(at=index, fence=fence)
    def renew(self, at: int, fence: str) -> None:
        known = self.one(at)
        said = self.run(self.channel.renew(known.request.id, fence, lease_ms=LEASE_MS))
        if known.fence == fence and not known.outcome:
            known.until = self.now + LEASE_MS
            assert said is None
        else:
            assert said == "ended"

    @rule(at=index, fence=fence, outcome=st.sampled_from(ENDS))
    def finish(self, at: int, fence: str, outcome: State) -> None:
        known = self.one(at)
        said = self.run(self.channel.finish(known.request.id, fence, outcome))
        if known.fence == fence and not known.outcome:
            known.outcome = outcome.value
            self.events["finished"] += 1
        assert said is None if (known.fence, known.outcome) == (fence, outcome) else said == "ended"

    @rule(scope=st.sampled_from([(Scope.TENANT, ""), (Scope.AGENT, "clerk"), (Scope.TOOL, "export_customers")]))
    def freeze(self, scope: tuple[Scope, str]) -> None:
        order = Freeze(
            id=f"o{next(self.serial)}", scope=scope[0], name=scope[1], reason="why", tenant=self.channel.names.tenant,
            person="ann", time_ms=1, signer="ann",
        )  # fmt: skip
        standing = self.orders.setdefault(f"{scope[0]}:{scope[1]}", order)
        assert self.run(self.freezes.freeze(order)) == standing

    @precondition(lambda self: self.orders)
    @rule(at=index)
    def lift(self, at: int) -> None:
        scope = list(self.orders)[at % len(self.orders)]
        order = self.orders.pop(scope)
        about = {"freeze": order.id, "freeze_digest": order.digest()}
        lift = signed(Lift(tenant=order.tenant, person="bob", time_ms=2, signer="bob", **about), KEYS["bob"])
        assert self.run(self.freezes.lift(order, lift)) is None
        assert self.run(self.freezes.lift(order, lift)) is None
        again = lift.model_copy(update={"reason": "another"})
        assert self.run(self.freezes.lift(order, again)) == "not_frozen"

    @rule(deeds=st.sampled_from([["d1"], ["d2"], ["d1", "d2"]]), fence=fence, settled=flag)
    def begin_deeds(self, deeds: list[str], fence: str, settled: bool) -> None:
        """`settled`: a person said of the attempts that stand in the way that they did not happen."""
        others = [deed for deed in deeds if self.begun[deed].fence not in ("", fence)]
        held = next((deed for deed in others if not settled or self.begun[deed].outcome == "done"), None)
        gone = [self.run(self.deeds.run_of(deed)) for deed in others] if settled else []
        found = self.run(self.deeds.begin(deeds, fence, ATTEMPT, gone=gone))
        if held is not None:
            known = self.begun[held]
            assert (found.run.subject, found.run.fence, found.run.outcome) == (held, known.fence, known.outcome)
            return
        assert found is None
        for deed in deeds:
            self.begun[deed] = Deed(fence) if deed in others else Deed(fence, self.begun[deed].outcome)

    @rule(deeds=st.sampled_from([["d1"], ["d2"], ["d1", "d2"]]), fence=fence, outcome=st.sampled_from([*ENDS, None]))
    def end_deeds(self, deeds: list[str], fence: str, outcome: State | None) -> None:
        self.run(self.deeds.end(deeds, fence, outcome))
        for deed in deeds:
            known = self.begun[deed]
            if known.fence == fence and not known.outcome:
                known.fence, known.outcome = ("", "") if outcome is None else (fence, outcome.value)

    @invariant()
    def everything_stands_as_the_model_says(self) -> None:
        found = self.run(self.channel.read_all(list(self.known)))
        for stored, known in zip(found, self.known.values(), strict=True):
            assert isinstance(stored, Stored)
            votes = {vote.person: vote for vote in known.votes.values() if vote.revision == known.revision}
            assert (stored.state, stored.version) == (known.state(self.now), known.version)
            assert (stored.request.revision, stored.request.digest) == (known.revision, known.request.digest)
            assert ({vote.person: vote for vote in stored.votes}, stored.edit) == (votes, known.edit)
            assert stored.edit_waits == (known.edit != known.answered)

    @invariant()
    def the_events_and_deeds_are_those_of_the_model(self) -> None:
        told = self.run(self.line.read_stream(self.channel.names.events, "0-0", 1)) if self.events else []
        assert Counter(event["kind"].decode() for _, event in told) == self.events
        undone = {run.subject for run in self.run(self.deeds.undone())}
        assert undone == {name for name, deed in self.begun.items() if deed.fence and deed.outcome != "done"}
        outcomes = self.run(
            self.line.pipeline([("HGET", self.channel.names.deed(name), "outcome") for name in self.begun])
        )
        assert [(each or b"").decode() for each in outcomes] == [deed.outcome for deed in self.begun.values()]


def test_t2_t3_t7_t8_the_scripts_do_what_the_model_says(valkey_url: str) -> None:
    """Opening, joining, voting, changing, withdrawing, editing, redeeming, renewing, finishing, freezing, lifting, deferring, deeds."""
    chosen = settings(
        max_examples=settings().max_examples // 6,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    with jumping_moves():
        run_state_machine_as_test(partial(Moves, valkey_url), settings=chosen)
