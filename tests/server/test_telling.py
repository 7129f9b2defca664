"""Which places are told of a request, and what happens where one can't be: real servers, real receivers."""

from __future__ import annotations

import functools
import logging
import re
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import anyio
import httpx
import pytest
from standardwebhooks import Webhook
from typer.testing import CliRunner

from agentguard.approval import Channel, Desk, Place, Shown, Turn, routed
from agentguard.cli.app import app
from agentguard.model.approvals import State
from agentguard.server.addressing import Addressing
from agentguard.server.deliveries import AT_ONCE, TELL_SECONDS, Deliveries
from agentguard.server.outbox import LEASE_MS, Delivery, Outbox
from agentguard.server.signatures import WebhookSecret
from agentguard.server.webhooks import Endpoint, Webhooks
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from tests.approval.people import ONE, ROSTER
from tests.server.receiver import Receiver, receiving
from tests.server.serving import caller, opened, parts, serving
from tests.server.visiting import visitor

pytestmark = pytest.mark.anyio

SECRET = WebhookSecret.new()
PAGER = ("webhook:pager",)
Serve = Callable[..., AbstractContextManager[str]]


@pytest.fixture
def tenant() -> str:
    """A tenant of one test's own: what was told is kept from one server to the next."""
    return f"tenant-{secrets.token_hex(6)}"


@pytest.fixture
async def outbox(connection: Connection, agent: Channel) -> Outbox:
    """What is still to be told, read from outside; the cursor stands at the beginning."""
    kept = Outbox(connection=connection, names=agent.names)
    await kept.cursor()
    return kept


@pytest.fixture
def serve(valkey_url: str, tenant: str, outbox: Outbox) -> Serve:
    """Runs a server that tells receivers, those by keyword under that name."""

    def serve(*unnamed: Receiver, retry_seconds: Any = (0.01,) * 8, **named: Receiver) -> AbstractContextManager[str]:
        found = [("", receiver) for receiver in unnamed] + list(named.items())
        made = Webhooks(
            endpoints=[Endpoint(url=httpx.URL(receiver.url), name=name) for name, receiver in found],
            secrets=[SECRET],
            public_url="https://approvals.acme.example",
            allowed_hosts={"127.0.0.1"},
            lease_ms=2_000,
        )
        return serving(parts(valkey_url, tenant, webhooks=made, retry_seconds=retry_seconds))

    return serve


async def told(receiver: Receiver) -> tuple[str, str]:
    """What came next, by the reference implementation: its type and its request."""
    received = await anyio.to_thread.run_sync(receiver.next)
    message: dict[str, Any] = Webhook(SECRET.text).verify(received.body, received.headers)
    return message["type"], message["data"]["request"]


async def until(holds: Callable[[], Any]) -> Any:
    """What this gives, once it gives something."""
    with anyio.fail_after(20):
        while not (found := await holds()):  # another process's work
            await anyio.sleep(0.01)
    return found


class Silent:
    """A notifier that tells nobody."""

    def wants(self, turn: Turn) -> bool:
        """Nothing."""
        return False

    async def tell(self, turn: Turn, shown: Shown) -> None:
        """Nobody."""


PLACES = [
    Place(name=name, id=name, where=name, notifier=Silent())
    for name in ("slack", "webhook", "slack:#data", "webhook:pager")
]


@pytest.mark.parametrize(
    ("names", "goes_to", "missing"),
    [
        pytest.param((), {"slack", "webhook"}, set(), id="policy says nothing"),
        pytest.param(("slack:#data",), {"slack:#data"}, set(), id="one by name"),
        pytest.param(("webhook",), {"webhook"}, set(), id="one kind"),
        pytest.param(("*", "webhook:pager"), {"slack", "webhook", "webhook:pager"}, set(), id="beside the others"),
        pytest.param(("slack:#gone",), {"slack", "webhook"}, {"slack:#gone"}, id="one that is not there"),
        pytest.param(
            ("slack:#data", "sms"), {"slack:#data", "slack", "webhook"}, {"sms"}, id="one that is, one that is not"
        ),
    ],
)
def test_a_request_goes_where_policy_says_and_never_nowhere(
    names: tuple[str, ...], goes_to: set[str], missing: set[str]
) -> None:
    """Places with a name are told of what is sent there; the others of the rest."""
    places, absent = routed(names, PLACES)
    assert ({place.name for place in places}, absent) == (goes_to, missing)


class Broken:
    """A notifier whose code raises what no contract allows, or never ends."""

    def __init__(self, *, asked: bool = False, hangs: bool = False) -> None:
        self.asked, self.hangs = asked, hangs

    def wants(self, turn: Turn) -> bool:
        """Everything, or an error."""
        if self.asked:
            raise KeyError("canary-in-the-text")
        return True

    async def tell(self, turn: Turn, shown: Shown) -> None:
        """Never."""
        if self.hangs:
            await anyio.sleep_forever()
        raise ValueError("canary-in-the-text")


class Kept:
    """A notifier that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def wants(self, turn: Turn) -> bool:
        """Everything."""
        return True

    async def tell(self, turn: Turn, shown: Shown) -> None:
        """Keep it."""
        self.told.append(turn.request)


async def _are_in(told: list[str], requests: list[str]) -> bool:
    return set(requests) <= set(told)


async def _is_in(told: list[str], request: str) -> bool:
    return request in told


@pytest.mark.parametrize("asked", [False, True], ids=["when it tells", "when it is asked"])
async def test_a_channel_that_breaks_holds_up_no_other(
    asked: bool, valkey_url: str, tenant: str, agent: Channel, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Its message is tried again like any that did not arrive; the server goes on, and its log holds no text of the error."""
    # given
    kept = Kept()
    broken = Place(name="odd", id="odd", where="odd", notifier=Broken(asked=asked))
    places = (broken, Place(name="kept", id="kept", where="kept", notifier=kept))
    with serving(parts(valkey_url, tenant, places=places)) as base:
        # when
        one = await opened(agent, ONE)
        await until(lambda: _is_in(kept.told, one.id))
        (failed,) = await until(lambda: outbox.undelivered(one.id))
        other = await opened(agent, ONE)
        await until(lambda: _is_in(kept.told, other.id))
        async with caller(base) as client:
            ready = await client.get("/readyz")

    # then
    assert failed.trouble == "its channel broke (ValueError)"
    assert ready.status_code == 200
    assert "canary" not in caplog.text


async def test_t19_a_channel_that_hangs_holds_up_no_other_however_much_it_is_told(
    valkey_url: str, tenant: str, agent: Channel, outbox: Outbox
) -> None:
    """An agent that asks for much would else keep people from hearing of it where they look."""
    # given
    kept = Kept()
    hanging = Place(name="odd", id="odd", where="odd", notifier=Broken(hangs=True))
    requests = [(await opened(agent, ONE)).id for _ in range(3 * AT_ONCE)]

    # when
    with serving(
        parts(valkey_url, tenant, places=(hanging, Place(name="kept", id="kept", where="kept", notifier=kept)))
    ):
        with anyio.fail_after(TELL_SECONDS / 2):
            await until(lambda: _are_in(kept.told, requests))
        waiting, _ = await outbox.counts()

    # then
    assert waiting == len(requests)


async def test_what_is_passed_over_is_given_out_once_there_is_room(outbox: Outbox, agent: Channel) -> None:
    """In the order in which it is due; what is due later is nobody's turn yet."""
    requests = [await opened(agent, ONE) for _ in range(2)]
    turns = [Turn(kind="request.opened", request=each.id, state=State.PENDING, time_ms=1) for each in requests]
    made = [Delivery(endpoint=place, turn=turn) for turn in turns for place in ("odd", "slack-odd")]
    cursor = await outbox.cursor()
    await outbox.take(cursor, cursor, made)

    others = [(await outbox.claim(passing_over=["odd"])).delivery for _ in range(2)]
    nothing = await outbox.claim(passing_over=["odd"])
    later = [(await outbox.claim()).delivery for _ in range(2)]

    assert [each.endpoint for each in (*others, *later) if each] == ["slack-odd", "slack-odd", "odd", "odd"]
    assert nothing.delivery is None
    assert nothing.wait_ms is not None
    assert nothing.wait_ms > 0


async def test_a_channel_that_hangs_did_not_deliver(agent: Channel, outbox: Outbox) -> None:
    """After the time that an attempt has; else it would keep a place among those that run at once for ever."""
    # given
    place = Place(name="odd", id="odd", where="odd", notifier=Broken(hangs=True))
    deliveries = Deliveries(
        addressing=Addressing(channel=agent, outbox=outbox, places=[place]),
        desk=lambda: Desk(channel=agent, roster=ROSTER),
        retry_seconds=(60.0,),
        tell_seconds=0.1,
    )
    request = await opened(agent, ONE)

    # when
    async with anyio.create_task_group() as group:
        group.start_soon(deliveries.run)
        (failed,) = await until(lambda: outbox.undelivered(request.id))
        group.cancel_scope.cancel()

    # then
    assert failed.trouble == "its channel broke (TimeoutError)"
    assert TELL_SECONDS * 1000 < LEASE_MS


async def test_a_request_and_its_end_are_told_where_policy_sends_it_alone(serve: Serve, agent: Channel) -> None:
    """Another request, of which policy says nothing, is told to the place without a name alone."""
    with receiving() as everything, receiving() as pager, serve(everything, pager=pager):
        # when
        one = await opened(agent, ONE, notify=PAGER)
        other = await opened(agent, ONE)
        first = await told(pager)
        await agent.withdraw(one.id, "")
        last = await told(pager)

        # then
        assert (first, last) == (("request.opened", one.id), ("request.ended", one.id))
        assert await told(everything) == ("request.opened", other.id)
        assert everything.nothing_more()
        assert pager.nothing_more()


async def test_where_a_place_is_down_the_others_are_told_in_its_stead_and_people_see_it(
    serve: Serve, agent: Channel, outbox: Outbox
) -> None:
    """After two attempts, once; the request says which place and why, until that is told; then all hear of its end."""
    with (
        receiving(*[500] * 500) as pager,
        receiving() as everything,
        serve(everything, pager=pager, retry_seconds=(0.05,) * 600) as base,
    ):
        # when
        request = await opened(agent, ONE, notify=PAGER)
        instead = await told(everything)
        async with caller(base, "ann") as client:

            async def untold() -> Any:
                found = (await client.get(f"/api/v1/requests/{request.id}")).json()["untold"]
                return [one for one in found if one["attempts"] > 1]

            (seen,) = await until(untold)
            page = (await client.get("/metrics")).text
        async with visitor(base, "ann") as browser:
            shown = (await browser.get(f"/requests/{request.id}")).text

            # then
            assert "127.0.0.1 could not be told of this: answered 500" in shown
            assert instead == ("request.undelivered", request.id)
            assert (seen["where"], seen["kind"], seen["trouble"]) == ("127.0.0.1", "request.opened", "answered 500")
            assert re.search(r'agentguard_messages_total\{outcome="failed"\} [2-9]', page)
            assert re.search(r"^agentguard_messages_waiting [12]$", page, re.MULTILINE)
            pager.answers.clear()
            await until(lambda: _none(outbox, request.id))
            await agent.withdraw(request.id, "")
            assert await told(everything) == ("request.ended", request.id)
            assert everything.nothing_more()


async def _said(caplog: pytest.LogCaptureFixture, text: str) -> bool:
    return text in caplog.text


async def _none(outbox: Outbox, request: str) -> bool:
    return not await outbox.undelivered(request)


async def test_a_place_that_is_gone_and_one_that_nobody_set_up_leave_no_request_untold(
    serve: Serve, agent: Channel, caplog: pytest.LogCaptureFixture
) -> None:
    """410 at the first attempt; a name that this server doesn't have."""
    caplog.set_level(logging.ERROR, "agentguard.server")
    with receiving(410) as pager, receiving() as everything, serve(everything, pager=pager):
        gone = await opened(agent, ONE, notify=PAGER)
        assert await told(everything) == ("request.undelivered", gone.id)
        unknown = await opened(agent, ONE, notify=("slack:#nobody",))
        assert await told(everything) == ("request.opened", unknown.id)
    assert "no place here is called slack:#nobody" in caplog.text


async def test_where_nobody_else_can_be_told_the_log_says_so(
    serve: Serve, agent: Channel, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    """The request waits all the same, and nothing goes round in a circle."""
    with caplog.at_level(logging.ERROR, "agentguard.server"), receiving(*[500] * 20) as down, serve(down):
        request = await opened(agent, ONE)
        await until(outbox.dead_letters)
        await until(lambda: _said(caplog, "there is none in its stead"))
        events = await agent.connection.read_stream(agent.names.events, "0-0", 1)
    assert [event["kind"] for _, event in events] == [b"opened", b"undelivered"]
    assert (await agent.read(request.id)).state is State.PENDING


async def given_up(outbox: Outbox, agent: Channel) -> Delivery:
    """A dead letter."""
    request = await opened(agent, ONE)
    turn = Turn(kind="request.opened", request=request.id, state=State.PENDING, time_ms=request.opened_ms)
    letter = Delivery(endpoint="e" * 16, where="hooks.acme.example", turn=turn, attempts=9, trouble="answered 500")
    cursor = await outbox.cursor()
    await outbox.take(cursor, cursor, [letter.model_copy(update={"attempts": 0})])
    await outbox.settle(letter, "dead")
    return letter


class TestDeadLetters:
    """What was given up, from the command line."""

    async def run(self, url: str, tenant: str, *words: str) -> tuple[int, str]:
        """`agentguard webhooks WORDS`: exit code and what it prints."""
        env = {"AGENTGUARD_REDIS_URL": url}
        invoke = functools.partial(CliRunner().invoke, app, ["webhooks", *words, "--tenant", tenant], env=env)
        done = await anyio.to_thread.run_sync(invoke)
        return done.exit_code, done.output + (str(done.exception) if done.exit_code else "")

    async def test_they_are_listed_and_sent_again_once(
        self, valkey_url: str, tenant: str, agent: Channel, outbox: Outbox
    ) -> None:
        """By id, under the old id, with attempts counted anew; and none twice."""
        # given
        letter = await given_up(outbox, agent)

        # when
        listed = await self.run(valkey_url, tenant, "dead")
        as_json = await self.run(valkey_url, tenant, "dead", "--json")
        sent = await self.run(valkey_url, tenant, "redeliver", letter.id)
        again = await self.run(valkey_url, tenant, "redeliver", letter.id)
        none_left = await self.run(valkey_url, tenant, "dead")

        # then
        assert listed[0] == as_json[0] == 1
        assert "to hooks.acme.example: answered 500" in listed[1].replace("\n", " ")
        assert f'"request": "{letter.turn.request}"' in as_json[1]
        assert sent[0] == 0
        assert (again[0], none_left[0]) == (1, 0)
        claimed = await outbox.claim()
        assert claimed.delivery == letter.model_copy(update={"attempts": 0})
        assert (await outbox.undelivered(letter.turn.request))[0].id == letter.id

    async def test_one_that_is_named_leaves_the_others(
        self, valkey_url: str, tenant: str, agent: Channel, outbox: Outbox
    ) -> None:
        """They may be given up for a reason."""
        named, other = await given_up(outbox, agent), await given_up(outbox, agent)
        code, _ = await self.run(valkey_url, tenant, "redeliver", named.id)
        assert code == 0
        assert await outbox.dead_letters() == [other]

    async def test_all_of_them_reach_their_place_with_the_server_that_runs_next(
        self, valkey_url: str, tenant: str, serve: Serve, agent: Channel, outbox: Outbox
    ) -> None:
        """What a receiver missed while it was down."""
        with receiving(410, 410) as receiver:
            with serve(receiver):
                missed = {(await opened(agent, ONE)).id for _ in range(2)}
                await until(lambda: _two(outbox))
            code, _ = await self.run(valkey_url, tenant, "redeliver", "--all")
            with serve(receiver):
                [await told(receiver) for _ in range(2)]
                found = {(await told(receiver))[1] for _ in range(2)}
        assert (code, found) == (0, missed)
        assert await outbox.counts() == (0, 0)

    async def test_the_journals_page_says_how_many(
        self, valkey_url: str, tenant: str, agent: Channel, outbox: Outbox
    ) -> None:
        """And where to look."""
        await given_up(outbox, agent)
        with serving(parts(valkey_url, tenant)) as base:
            async with visitor(base, "ann") as browser:
                shown = (await browser.get("/journal")).text
        assert "1 message to webhooks and chats could not be sent" in shown

    @pytest.mark.parametrize("words", [(), ("msg_1", "--all")])
    async def test_which_one_must_be_said(self, valkey_url: str, tenant: str, words: tuple[str, ...]) -> None:
        """Neither none nor both."""
        code, output = await self.run(valkey_url, tenant, "redeliver", *words)
        assert code == 1
        assert "its ID, or --all" in output

    async def test_what_agentguard_did_not_write_is_left_out(
        self, agent: Channel, outbox: Outbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A list in Redis is only as good as who may write it."""
        letter = await given_up(outbox, agent)
        await agent.connection.execute("LPUSH", f"{agent.names.events}:webhooks:dead", '{"canary": 1}')
        with caplog.at_level(logging.ERROR, "agentguard.server"):
            assert await outbox.dead_letters() == [letter]
        assert "canary" not in caplog.text


async def _two(outbox: Outbox) -> bool:
    return (await outbox.counts())[1] == 2


async def test_doctor_says_that_something_was_given_up(valkey_url: str, connection: Connection) -> None:
    """With the commands that help."""
    names = Names("default")
    await connection.execute("LPUSH", f"{names.events}:webhooks:dead", "{}")
    try:
        invoke = functools.partial(CliRunner().invoke, app, ["doctor"], env={"AGENTGUARD_REDIS_URL": valkey_url})
        done = await anyio.to_thread.run_sync(invoke)
    finally:
        await connection.execute("DEL", f"{names.events}:webhooks:dead")
    assert done.exit_code == 1
    assert "1 could not be sent to webhooks or chats" in done.output.replace("\n", " ")


async def test_doctor_looks_at_every_tenant_and_says_which(valkey_url: str, connection: Connection) -> None:
    """One whose name stands in no key in clear too; those with most first."""
    lost = {Names("acme"): 5_002, Names("globex"): 5_001, Names("a {name} of:its own"): 5_003}
    for names, count in lost.items():
        await connection.execute("LPUSH", f"{names.events}:webhooks:dead", *["{}"] * count)
    try:
        invoke = functools.partial(CliRunner().invoke, app, ["doctor"], env={"AGENTGUARD_REDIS_URL": valkey_url})
        done = await anyio.to_thread.run_sync(invoke)
    finally:
        await connection.execute("DEL", *(f"{names.events}:webhooks:dead" for names in lost))

    said = " ".join(done.output.split())
    assert done.exit_code == 1
    assert re.search(
        r"messages: 5003 could not be sent to webhooks or chats \(tenant #[0-9a-f]{32}\); "
        r"5002 could not be sent to webhooks or chats \(tenant acme\); "
        r"5001 could not be sent to webhooks or chats \(tenant globex\)",
        said,
    )
    assert "`agentguard webhooks dead --tenant NAME` lists them" in said


async def test_doctor_looks_at_the_tenant_that_is_meant(
    valkey_url: str, tenant: str, agent: Channel, outbox: Outbox
) -> None:
    """What was given up of one says nothing of another."""
    await given_up(outbox, agent)
    said = {}
    for whose in (tenant, f"{tenant}-2"):
        env = {"AGENTGUARD_REDIS_URL": valkey_url}
        invoke = functools.partial(CliRunner().invoke, app, ["doctor", "--tenant", whose], env=env)
        said[whose] = (await anyio.to_thread.run_sync(invoke)).output.replace("\n", " ")
    assert f"1 could not be sent to webhooks or chats (tenant {tenant})" in said[tenant]
    assert f"none was given up (tenant {tenant}-2)" in said[f"{tenant}-2"]
