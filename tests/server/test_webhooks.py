"""What other systems are told, from a real server to real receivers, verified by the reference implementation."""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import anyio
import httpx
import pytest
from standardwebhooks import Webhook

from agentguard.approval import Channel, Steps
from agentguard.model.approvals import Card, Request, State
from agentguard.model.verdicts import Step
from agentguard.server.outbox import Delivery, Outbox
from agentguard.server.signatures import WebhookSecret
from agentguard.server.webhooks import Endpoint, Webhooks
from agentguard.store.redis import Connection
from tests.approval.people import KEYS, ONE, TWO, a_vote
from tests.server.receiver import Received, Receiver, receiving
from tests.server.serving import agents_side, caller, opened, parts, serving

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

OLD, NEW = WebhookSecret.new(), WebhookSecret.new()
Serve = Callable[..., AbstractContextManager[str]]


@pytest.fixture
def tenant() -> str:
    """A tenant of one test's own: what was told is kept from one server to the next."""
    return f"tenant-{secrets.token_hex(6)}"


@pytest.fixture
def serve(valkey_url: str, tenant: str) -> Serve:
    """Runs a server that tells these receivers; call it again for a restart."""

    def serve(
        *receivers: Receiver, retry_seconds: Sequence[float] = (0.01, 0.02, 0.03), **changed: Any
    ) -> AbstractContextManager[str]:
        given: dict[str, Any] = {
            "endpoints": [Endpoint(url=httpx.URL(receiver.url)) for receiver in receivers],
            "secrets": [NEW, OLD],
            "public_url": "https://approvals.acme.example/",
            "allowed_hosts": {"127.0.0.1"},
            "lease_ms": 400,
        }
        made = Webhooks(**(given | changed))
        return serving(parts(valkey_url, tenant, webhooks=made, retry_seconds=retry_seconds))

    return serve


@pytest.fixture
async def outbox(connection: Connection, agent: Channel) -> Outbox:
    """What is still to be told, read from outside; the cursor stands at the beginning."""
    kept = Outbox(connection=connection, names=agent.names)
    await kept.cursor()
    return kept


async def next_of(receiver: Receiver) -> Received:
    """The next message, waited for without holding up the test's own loop."""
    return await anyio.to_thread.run_sync(receiver.next)


def verified(received: Received, secret: WebhookSecret = NEW) -> dict[str, Any]:
    """The body, if the reference implementation finds the signature good."""
    body: dict[str, Any] = Webhook(secret.text).verify(received.body, received.headers)
    return body


async def approve(base: str, request: Request, person: str = "ann", verb: str = "approve") -> None:
    """A decision over the API."""
    async with caller(base, person) as client:
        body = {"card_digest": request.card.digest(), "comment": "canary comment"}
        (await client.post(f"/api/v1/requests/{request.id}/{verb}", json=body)).raise_for_status()


async def dead(outbox: Outbox) -> Delivery:
    """The first dead letter, waited for."""
    with anyio.fail_after(10):
        while not (letters := await outbox.dead_letters()):  # another process's work
            await anyio.sleep(0.01)
    return letters[0]


async def rejected(base: str, agent: Channel, request: Request, receiver: Receiver) -> None:
    """Bob says no."""
    await approve(base, request, "bob", "reject")


async def withdrawn(base: str, agent: Channel, request: Request, receiver: Receiver) -> None:
    """The agent takes it back."""
    await agent.withdraw(request.id, "canary reason")


async def done(base: str, agent: Channel, request: Request, receiver: Receiver) -> None:
    """Ann approves, which is told, and the call runs."""
    await approve(base, request)
    await next_of(receiver)
    await agent.redeem(await agent.read(request.id), "fence")
    await agent.finish(request.id, "fence", State.DONE)


END = {State.REJECTED: rejected, State.WITHDRAWN: withdrawn, State.DONE: done}


class TestWhatIsTold:
    """Messages and their form."""

    async def test_opening_and_end_are_told_and_verify(self, serve: Serve, agent: Channel, outbox: Outbox) -> None:
        """With the old secret and the new; the link leads to the request."""
        # given
        with receiving() as receiver, serve(receiver) as base:
            # when
            request = await opened(agent, ONE)
            first = await next_of(receiver)
            await approve(base, request)
            second = await next_of(receiver)

        # then
        opening, end = verified(first), verified(second)
        assert verified(first, OLD) == opening
        assert (opening["type"], opening["data"]["state"], opening["data"]["by"]) == ("request.opened", "pending", [])
        assert (end["type"], end["data"]["state"], end["data"]["by"]) == ("request.ended", "approved", ["ann"])
        assert opening["data"]["url"] == f"https://approvals.acme.example/requests/{request.id}"
        assert opening["data"]["title"] == request.card.title
        assert opening["data"]["risk"] == "critical"
        assert first.headers["webhook-id"] != second.headers["webhook-id"]

    @pytest.mark.parametrize("end", [State.REJECTED, State.WITHDRAWN, State.DONE])
    async def test_every_end_is_told(self, serve: Serve, agent: Channel, outbox: Outbox, end: State) -> None:
        """Rejected with by whom, withdrawn, and how the call of an approved one ended."""
        # given
        with receiving() as receiver, serve(receiver) as base:
            request = await opened(agent, ONE)
            await next_of(receiver)

            # when
            await END[end](base, agent, request, receiver)

            # then
            told = verified(await next_of(receiver))
        kinds = {State.DONE: "request.finished"}
        by = {State.REJECTED: ["bob"]}
        assert (told["type"], told["data"]["state"]) == (kinds.get(end, "request.ended"), end.value)
        assert told["data"]["by"] == by.get(end, [])

    async def test_a_deadline_that_passes_is_told_though_the_agent_is_gone(
        self, serve: Serve, agent: Channel, outbox: Outbox
    ) -> None:
        """The server says it, once."""
        # given
        request = await opened(agent)
        names = agent.names
        await agent.connection.execute("HSET", names.request(request.id), "deadline_ms", request.opened_ms - 1)
        await agent.connection.execute("ZADD", names.pending, request.opened_ms - 1, request.id)

        # when
        with receiving() as receiver, serve(receiver):
            told = [verified(await next_of(receiver)) for _ in range(2)]

        # then
        assert {(one["type"], one["data"]["state"]) for one in told} == {
            ("request.opened", "pending"),
            ("request.ended", "expired"),
        }
        assert await agent.connection.execute("ZCARD", names.pending) == 0

    async def test_steps_that_fell_due_are_told_though_the_agent_is_gone(
        self, serve: Serve, agent: Channel, outbox: Outbox
    ) -> None:
        """A reminder, then who may decide too; each once, and nothing of what is decided by then."""
        # given
        later = Step(after_seconds=300, to=("group:security",))
        urged = ONE.model_copy(update={"remind_seconds": 60, "escalate": (later,)})
        request, ended = await opened(agent, urged), await opened(agent, urged)
        steps = agent.names.steps
        await agent.connection.execute("ZADD", steps, request.opened_ms, request.id, ended.opened_ms, ended.id)
        await agent.withdraw(ended.id, "")

        # when
        with receiving() as receiver, serve(receiver):
            told = [verified(await next_of(receiver)) for _ in range(4)]
            nothing_more = receiver.nothing_more()

        # then
        of = [one for one in told if one["data"]["request"] == request.id]
        assert sorted(one["type"] for one in of) == ["request.opened", "request.reminded"]
        assert {tuple(one["data"]["approvers"]) for one in of} == {("group:stewards",)}
        assert {one["type"] for one in told if one not in of} == {"request.opened", "request.ended"}
        assert nothing_more

    async def test_t19_a_reminder_that_comes_after_the_end_is_not_told(
        self, serve: Serve, agent: Channel, outbox: Outbox
    ) -> None:
        """It was announced while its request waited, and the request ended before anybody could send it."""
        # given
        request = await opened(agent, ONE.model_copy(update={"remind_seconds": 60}))
        await agent.connection.execute("ZADD", agent.names.steps, request.opened_ms, request.id)
        await Steps(channel=agent).take_due()
        announced = await agent.connection.read_stream(agent.names.events, "0-0", 1)
        await agent.withdraw(request.id, "")

        # when
        with receiving() as receiver, serve(receiver):
            told = [verified(await next_of(receiver))["type"] for _ in range(2)]
            with anyio.fail_after(60):
                while await outbox.counts() != (0, 0):
                    await anyio.sleep(0.01)
            nothing_more = receiver.nothing_more()

        # then
        assert [event["kind"] for _, event in announced] == [b"opened", b"reminded"]
        assert sorted(told) == ["request.ended", "request.opened"]
        assert nothing_more

    async def test_a_vote_that_ends_nothing_is_not_told(self, serve: Serve, agent: Channel, outbox: Outbox) -> None:
        """Between opening and end there is silence."""
        with receiving() as receiver, serve(receiver) as base:
            request = await opened(agent, TWO)
            await next_of(receiver)
            await approve(base, request, "ann")
            await approve(base, request, "bob")
            told = verified(await next_of(receiver))
            assert (told["data"]["state"], told["data"]["by"]) == ("approved", ["ann", "bob"])
            assert receiver.nothing_more()

    async def test_t26_only_facts_of_the_card_are_told(self, serve: Serve, agent: Channel, outbox: Outbox) -> None:
        """No argument, no comment, no raw user, no sealed input, no digest of the call."""
        # given
        card = Card(
            title="Export 500 customers", tool="export_customers", agent="clerk", user="u***@acme.example",
            session="canary session", risk="high", reasons=("Bulk export",), arguments='{"limit":"canary argument"}',
        )  # fmt: skip

        # when
        with receiving() as receiver, serve(receiver) as base:
            request = await opened(agent, ONE, card=card)
            first = await next_of(receiver)
            await approve(base, request)
            second = await next_of(receiver)

        # then
        sent = (first.body + second.body).decode()
        assert "canary" not in sent
        assert "user@acme.example" not in sent
        assert request.digest not in sent
        assert set(verified(first)["data"]) == {
            "request", "tenant", "state", "title", "tool", "risk", "agent", "user", "deployment", "reasons",
            "approvers", "by", "opened_ms", "deadline_ms", "url",
        }  # fmt: skip

    async def test_every_endpoint_is_told(self, serve: Serve, agent: Channel, outbox: Outbox) -> None:
        """One that is down holds up no other."""
        with receiving(*[500] * 9) as down, receiving() as up, serve(down, up, retry_seconds=(60,)):
            request = await opened(agent)
            await next_of(down)
            told = verified(await next_of(up))
            await agent.withdraw(request.id, "")
            again = verified(await next_of(up))
        assert (told["type"], again["type"]) == ("request.opened", "request.ended")

    async def test_what_happened_before_there_were_webhooks_is_not_told(self, serve: Serve, agent: Channel) -> None:
        """The first server that has any begins with the events from then on."""
        # given
        await opened(agent)
        await Outbox(connection=agent.connection, names=agent.names).cursor()

        # when
        with receiving() as receiver, serve(receiver):
            later = await opened(agent)
            told = verified(await next_of(receiver))

            # then
            assert told["data"]["request"] == later.id
            assert receiver.nothing_more()


class TestFaults:
    """Receivers that fail, servers that stop."""

    async def test_t10_a_failed_attempt_is_repeated_with_the_same_id_and_a_fresh_time(
        self, serve: Serve, agent: Channel, outbox: Outbox
    ) -> None:
        """Until it is taken; each attempt verifies."""
        # given
        with receiving(500, 503) as receiver, serve(receiver, retry_seconds=(0.01, 1.0)):
            # when
            await opened(agent)
            attempts = [await next_of(receiver) for _ in range(3)]

        # then
        assert [verified(attempt)["type"] for attempt in attempts] == ["request.opened"] * 3
        assert len({attempt.headers["webhook-id"] for attempt in attempts}) == 1
        assert len({attempt.body for attempt in attempts}) == 1
        assert int(attempts[2].headers["webhook-timestamp"]) > int(attempts[0].headers["webhook-timestamp"])
        assert await outbox.dead_letters() == []

    async def test_what_no_attempt_delivers_is_a_dead_letter_and_in_the_log(
        self, serve: Serve, agent: Channel, outbox: Outbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        """After the last wait; neither list nor log holds the URL."""
        # given
        with caplog.at_level(logging.WARNING, "agentguard.server"), receiving(*[500] * 9) as receiver, serve(receiver):
            # when
            request = await opened(agent)
            [await next_of(receiver) for _ in range(4)]
            letter = await dead(outbox)

        # then
        assert (letter.turn.request, letter.attempts, letter.trouble) == (request.id, 4, "answered 500")
        assert receiver.nothing_more()
        assert "given up after 4 attempts: answered 500" in caplog.text
        assert "/hook" not in caplog.text + letter.canonical()

    async def test_a_receiver_that_is_gone_is_asked_once(self, serve: Serve, agent: Channel, outbox: Outbox) -> None:
        """410 says so."""
        with receiving(410) as receiver, serve(receiver):
            await opened(agent)
            assert (await dead(outbox)).trouble == "answered 410"
            await next_of(receiver)
            assert receiver.nothing_more()

    async def test_t30_a_receiver_that_leads_inside_is_a_dead_letter(
        self, serve: Serve, agent: Channel, outbox: Outbox
    ) -> None:
        """Nothing is sent to it."""
        with receiving() as receiver, serve(receiver, allowed_hosts=frozenset()):
            await opened(agent)
            assert "not a public address" in (await dead(outbox)).trouble
            assert receiver.nothing_more()

    async def test_t4_what_happens_while_no_server_runs_is_told_by_the_next(
        self, serve: Serve, agent: Channel, outbox: Outbox
    ) -> None:
        """From the cursor on: nothing lost, nothing twice."""
        # given
        with receiving() as receiver:
            with serve(receiver):
                first = await opened(agent)
                await next_of(receiver)
            second = await opened(agent)
            await agent.withdraw(first.id, "")

            # when
            with serve(receiver):
                told = [verified(await next_of(receiver)) for _ in range(2)]
                third = await opened(agent)
                told.append(verified(await next_of(receiver)))

            # then
            assert receiver.nothing_more()
        assert {(one["data"]["request"], one["type"]) for one in told} == {
            (second.id, "request.opened"),
            (first.id, "request.ended"),
            (third.id, "request.opened"),
        }

    async def test_t4_an_attempt_that_waits_is_made_by_the_next_server(
        self, serve: Serve, agent: Channel, outbox: Outbox
    ) -> None:
        """A receiver that was down is told after the restart, with the same id."""
        # given
        with receiving(500) as receiver:
            with serve(receiver, retry_seconds=(1.0,)):
                await opened(agent)
                failed = await next_of(receiver)

            # when
            with serve(receiver):
                taken = await next_of(receiver)

        # then
        assert taken.headers["webhook-id"] == failed.headers["webhook-id"]
        assert verified(taken) == verified(failed)

    async def test_an_attempt_whose_server_died_is_made_again(
        self, serve: Serve, agent: Channel, outbox: Outbox
    ) -> None:
        """Claimed and never settled: its lease runs out."""
        # given
        await opened(agent)
        events = await agent.connection.read_stream(agent.names.events, "0-0", 1)
        with receiving() as receiver:
            endpoint = hashlib.sha256(receiver.url.encode()).hexdigest()[:16]
            turn = {
                "kind": "request.opened",
                "request": events[0][1]["request"].decode(),
                "state": "pending",
                "time_ms": 1,
            }
            delivery = Delivery.model_validate_json(json.dumps({"endpoint": endpoint, "turn": turn}))
            brief = Outbox(connection=agent.connection, names=agent.names, lease_ms=300)
            await brief.take(await brief.cursor(), events[-1][0], [delivery])
            assert (await brief.claim()).delivery == delivery
            assert (await brief.claim()).delivery is None

            # when
            with serve(receiver):
                told = verified(await next_of(receiver))

        # then
        assert told["data"]["request"] == delivery.turn.request

    async def test_two_servers_tell_everything_once(self, serve: Serve, agent: Channel, outbox: Outbox) -> None:
        """They share the cursor and the outbox."""
        # given
        with receiving() as receiver, serve(receiver, lease_ms=30_000), serve(receiver, lease_ms=30_000):
            # when
            requests = [await opened(agent) for _ in range(30)]
            told = [await next_of(receiver) for _ in requests]
            await agent.withdraw(requests[0].id, "")
            last = verified(await next_of(receiver))

            # then
            assert {verified(one)["data"]["request"] for one in told} == {request.id for request in requests}
            assert last["type"] == "request.ended"
            assert receiver.nothing_more()


class TestForgery:
    """Redis is written by somebody else."""

    async def test_t32_an_approval_that_nobody_signed_is_not_told(
        self, serve: Serve, agent: Channel, outbox: Outbox
    ) -> None:
        """Neither an event nor a resolution written by hand makes it so."""
        # given
        with receiving() as receiver, serve(receiver):
            request = await opened(agent)
            await next_of(receiver)

            # when
            votes = agent.names.votes(request.id)
            forged = a_vote(request, "bob", key=KEYS["stranger"], time_ms=request.opened_ms)
            await agent.connection.execute(
                "HSET", votes, "resolution", "approved", "version", 1, "vote:bob", forged.canonical()
            )
            await agent.connection.execute(
                "XADD",
                agent.names.events,
                "*",
                "request",
                request.id,
                "kind",
                "voted",
                "state",
                "approved",
                "time_ms",
                1,
            )

            # then
            letter = await dead(outbox)
            assert (letter.trouble, letter.attempts) == ("its votes do not make it approved", 1)
            assert receiver.nothing_more()

    @pytest.mark.parametrize(
        "event",
        [
            {"request": "x" * 5000, "kind": "opened", "state": "pending", "time_ms": "1"},
            {"request": "no-such", "kind": "opened", "state": "pending", "time_ms": "1"},
            {"request": "x", "kind": "opened", "state": "open", "time_ms": "1"},
            {"request": "x", "kind": "opened", "state": "pending", "time_ms": "9" * 5000},
            {"kind": "opened"},
            {"x": "y"},
        ],
        ids=["long id", "unknown id", "no state", "no time", "no request", "nothing"],
    )
    async def test_an_event_that_is_none_holds_nothing_up(
        self, serve: Serve, agent: Channel, outbox: Outbox, event: dict[str, str]
    ) -> None:
        """The next one is told."""
        with receiving() as receiver, serve(receiver):
            fields = [part for pair in event.items() for part in pair]
            await agent.connection.execute("XADD", agent.names.events, "*", *fields)
            request = await opened(agent)
            assert verified(await next_of(receiver))["data"]["request"] == request.id

    async def test_a_delivery_that_is_none_holds_nothing_up(
        self, serve: Serve, agent: Channel, outbox: Outbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is dropped, and said; its text is not."""
        # given
        kept = f"{agent.names.events}:webhooks"
        for one in ("canary-1", "canary-2"):
            await agent.connection.execute("ZADD", f"{kept}:due", 1, one)
        await agent.connection.execute("HSET", f"{kept}:deliveries", "canary-1", '{"canary": 1}')

        # when
        with caplog.at_level(logging.ERROR, "agentguard.server"), receiving() as receiver, serve(receiver) as base:
            request = await opened(agent)
            told = verified(await next_of(receiver))
            async with caller(base) as client:
                ready = await client.get("/readyz")

        # then
        assert told["data"]["request"] == request.id
        assert ready.status_code == 200
        assert "was dropped from the outbox" in caplog.text
        assert "canary" not in caplog.text


async def test_t35_one_tenants_webhooks_tell_nothing_of_another(
    serve: Serve, agent: Channel, outbox: Outbox, connection: Connection
) -> None:
    """Each has its own stream, cursor and outbox."""
    with receiving() as receiver, serve(receiver):
        await opened(agents_side(connection, f"other-{secrets.token_hex(4)}"))
        own = await opened(agent)
        assert verified(await next_of(receiver))["data"]["request"] == own.id
        assert receiver.nothing_more()
