"""Slack, with its real client against a workspace on loopback: cards that are posted and change, and presses that count."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio
import httpx
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from agentguard.approval import Channel, Desk, NotDelivered, Shown, Steps, Turn, sign_vote
from agentguard.errors import ConfigurationError
from agentguard.model.approvals import Decision, Request, State
from agentguard.model.verdicts import Risk
from agentguard.server.outbox import Outbox
from agentguard.server.pace import Pace, Paces
from agentguard.server.settings import RETRY_SECONDS, ServerSettings
from agentguard.server.signatures import WebhookSecret
from agentguard.server.slack.blocks import APPROVE, READ_ALL, REJECT
from agentguard.server.slack.office import Slack, slack_of
from agentguard.server.slack.posts import SlackNotifier
from agentguard.server.webhooks import Endpoint, Webhooks
from tests.approval.people import KEYS, ONE, ROSTER, TWO, a_request
from tests.server.fake_slack import CHANNEL, SECRET, TEAM, FakeSlack, member, press, signed, submit
from tests.server.receiver import receiving
from tests.server.serving import agents_side, opened, parts, serving
from tests.server.test_door import raw

pytestmark = pytest.mark.anyio

PEOPLE = {"ann": "U0ANN", "bob": "U0BOB", "cat": "U0CAT", "eve": "U0EVE"}
WITH_SLACK = replace(
    ROSTER,
    people={name: person.model_copy(update={"slack": PEOPLE.get(name)}) for name, person in ROSTER.people.items()},
)


@pytest.fixture(scope="session")
def tenant() -> str:
    """A tenant of these tests' own."""
    return f"tenant-{secrets.token_hex(6)}"


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    """A workspace whose people are full members."""
    with FakeSlack() as running:
        running.users |= {user: member() for user in PEOPLE.values()}
        yield running


@pytest.fixture
async def base(slack: FakeSlack, valkey_url: str, agent: Channel) -> AsyncIterator[str]:
    """A server that posts there, and takes presses by HTTP and by Socket Mode."""
    made = settings(slack)
    await Outbox(connection=agent.connection, names=agent.names).cursor()
    with serving(parts(valkey_url, agent.names.tenant, slack=made, roster=lambda: WITH_SLACK)) as address:
        await anyio.to_thread.run_sync(slack.connected)
        yield address


def settings(slack: FakeSlack, **changed: Any) -> Slack:
    """The server's Slack."""
    given: dict[str, Any] = {
        "bot_token": "xoxb-1",
        "channel": CHANNEL,
        "team": TEAM,
        "app_token": "xapp-1",
        "signing_secret": SECRET,
        "critical": True,
        "api_url": slack.url,
        "public_url": "https://approvals.acme.example/",
    }
    return Slack(**(given | changed))


async def told(slack: FakeSlack, method: str, **how: Any) -> dict[str, Any]:
    """What Slack was told, waited for without holding up the test's loop."""
    return await anyio.to_thread.run_sync(lambda: slack.told(method, **how))


async def by_http(base: str, payload: dict[str, Any], **how: Any) -> httpx.Response:
    """A press that Slack sends by HTTP."""
    body, headers = signed(payload, **how)
    async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
        return await client.post("/slack/interactions", content=body, headers=headers)


async def state_of(agent: Channel, request: Request) -> State:
    """How a request stands."""
    return (await agent.read(request.id)).state


async def reaches(agent: Channel, request: Request, state: State) -> None:
    """Wait until a request stands like this."""
    with anyio.fail_after(10):
        while await state_of(agent, request) is not state:
            await anyio.sleep(0.01)


def text_of(message: dict[str, Any]) -> str:
    """Everything that a message shows."""
    return json.dumps(message["blocks"], ensure_ascii=False)


async def test_a_request_is_posted_decided_by_two_and_its_card_says_so_everywhere(
    base: str, slack: FakeSlack, agent: Channel
) -> None:
    """The whole loop by HTTP: posted once, changed by each vote and by the end, wherever it came from."""
    request = await opened(agent, TWO)
    posted = await told(slack, "chat.postMessage")
    first = await by_http(base, press(posted, APPROVE, "U0ANN", trigger="1"))
    await told(slack, "chat.update", where=lambda body: "ann: approve" in text_of(body))
    await by_http(base, press(posted, APPROVE, "U0BOB", trigger="2"))
    await reaches(agent, request, State.APPROVED)
    ended = await told(slack, "chat.update", where=lambda body: "Approved by ann, bob" in text_of(body))

    assert first.status_code == 200
    assert posted["channel"] == CHANNEL
    assert "Export 500 customers" in text_of(posted)
    assert len(posted["text"]) <= 110
    assert slack.count("chat.postMessage") == 1
    assert APPROVE not in text_of(ended)


async def test_socket_mode_needs_no_way_to_this_server_and_a_rejection_asks_for_a_reason(
    base: str, slack: FakeSlack, agent: Channel
) -> None:
    """A press is acknowledged before anything is done; the modal's reason is the vote's comment."""
    request = await opened(agent, ONE)
    posted = await told(slack, "chat.postMessage")
    await anyio.to_thread.run_sync(slack.press_by_socket, press(posted, REJECT, "U0ANN", trigger="1"))
    modal = await told(slack, "views.open")
    await anyio.to_thread.run_sync(
        slack.press_by_socket, submit(modal["view"], "U0ANN", trigger="2", reason="Not twice")
    )
    await reaches(agent, request, State.REJECTED)

    assert (await agent.read(request.id)).resolution.comment == "Not twice"
    assert (await agent.read(request.id)).votes[0].signer == "inbox"


@pytest.mark.parametrize(
    ("user", "info", "why"),
    [
        ("U0DAN", member(), "stands beside nobody in approvers.yaml"),
        ("U0ANN", member(is_restricted=True), "Guests, bots and people of other workspaces"),
        ("U0ANN", member(is_ultra_restricted=True), "Guests, bots and people of other workspaces"),
        ("U0ANN", member(is_stranger=True), "Guests, bots and people of other workspaces"),
        ("U0ANN", member(deleted=True), "Guests, bots and people of other workspaces"),
        ("U0ANN", member(team_id="T0OTHER"), "Guests, bots and people of other workspaces"),
        ("U0ANN", None, "Slack could not say who you are"),
        ("U0EVE", member(), "not"),
    ],
    ids=["unmapped", "guest", "single-channel guest", "stranger", "left", "other team", "unknown", "not entitled"],
)
async def test_t14_who_may_not_decide_is_told_so_alone(
    base: str, slack: FakeSlack, agent: Channel, user: str, info: dict[str, Any] | None, why: str
) -> None:
    """Membership of the channel is no authority, and neither is a display name."""
    request = await opened(agent, ONE)
    posted = await told(slack, "chat.postMessage")
    slack.users.pop(user, None)
    slack.users |= {user: info} if info else {}
    await by_http(base, press(posted, APPROVE, user, trigger="1", name="ann"))
    private = await told(slack, "chat.postEphemeral")

    assert private["user"] == user
    assert why in private["text"]
    assert await state_of(agent, request) is State.PENDING


async def test_t14_another_workspaces_ann_is_nobody_here(base: str, slack: FakeSlack, agent: Channel) -> None:
    """A user's id counts within its team alone."""
    request = await opened(agent, ONE)
    posted = await told(slack, "chat.postMessage")
    await by_http(base, press(posted, APPROVE, "U0ANN", trigger="1", team="T0OTHER"))
    private = await told(slack, "chat.postEphemeral")

    assert "not of this workspace" in private["text"]
    assert await state_of(agent, request) is State.PENDING


@pytest.mark.parametrize(
    "how",
    [{"secret": "another"}, {"when": 1_700_000_000}, {"when": time.time() + 3600}],
    ids=["forged", "old", "ahead"],
)
async def test_t9_t10_a_press_that_slack_did_not_sign_now_is_refused(
    base: str, slack: FakeSlack, agent: Channel, how: dict[str, Any]
) -> None:
    """401, before a byte of it is read; nothing is decided."""
    request = await opened(agent, ONE)
    posted = await told(slack, "chat.postMessage")
    answer = await by_http(base, press(posted, APPROVE, "U0ANN", trigger="1"), **how)

    assert answer.status_code == 401
    assert await state_of(agent, request) is State.PENDING


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("x-slack-request-timestamp", [b"abc"]),
        ("x-slack-request-timestamp", [b""]),
        ("x-slack-request-timestamp", [b"1e9"]),
        ("x-slack-request-timestamp", ["\u0661\u0662".encode()]),
        ("x-slack-request-timestamp", [b"9" * 5_000]),
        ("x-slack-signature", ["v0=\u00fc".encode()]),
        ("x-slack-signature", [b""]),
        ("x-slack-request-timestamp", []),
        ("x-slack-signature", []),
    ],
)
async def test_t9_what_is_no_signature_is_refused_and_breaks_nothing(
    base: str, slack: FakeSlack, agent: Channel, name: str, values: list[bytes]
) -> None:
    """Headers that are missing, or nothing that Slack would send: 401."""
    request = await opened(agent, ONE)
    posted = await told(slack, "chat.postMessage")
    body, headers = signed(press(posted, APPROVE, "U0ANN", trigger="1"))
    others = [(key, value.encode()) for key, value in headers.items() if key != name]
    async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
        sent = [*others, *((name, value) for value in values)]
        answer = await client.post("/slack/interactions", content=body, headers=sent)

    assert (answer.status_code, answer.json()["code"]) == (401, "signature")
    assert await state_of(agent, request) is State.PENDING


@pytest.mark.parametrize("name", ["x-slack-request-timestamp", "x-slack-signature"])
async def test_t9_a_header_that_stands_there_twice_signs_nothing(
    base: str, slack: FakeSlack, agent: Channel, name: str
) -> None:
    """Whichever of them is right: two readers could take one each."""
    request = await opened(agent, ONE)
    posted = await told(slack, "chat.postMessage")
    body, headers = signed(press(posted, APPROVE, "U0ANN", trigger="1"))
    async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
        answers = [
            await client.post("/slack/interactions", content=body, headers=sent)
            for sent in ([*headers.items(), (name, "1")], [(name, "1"), *headers.items()])
        ]

    assert [answer.status_code for answer in answers] == [401, 401]
    assert await state_of(agent, request) is State.PENDING


async def test_t9_a_body_that_is_no_text_is_refused(base: str) -> None:
    """It may hold any bytes; unsigned it is a 401, and signed it is no payload."""
    body = b"payload=\xff\xfe"
    stamp = str(int(time.time()))
    made = hmac.new(SECRET.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    kind = {"content-type": "application/x-www-form-urlencoded", "x-slack-request-timestamp": stamp}
    async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
        answers = [
            await client.post("/slack/interactions", content=body, headers=kind | {"x-slack-signature": f"v0={each}"})
            for each in ("0" * 64, made)
        ]

    assert [answer.status_code for answer in answers] == [401, 400]


async def test_t9_who_sends_much_that_slack_did_not_sign_has_to_wait(
    slack: FakeSlack, valkey_url: str, agent: Channel
) -> None:
    """429 after a few; what Slack signed still comes through, from the same address."""
    paces = Paces(failing=Pace(per_minute=1, burst=2))
    made = parts(valkey_url, agent.names.tenant, slack=settings(slack), roster=lambda: WITH_SLACK, paces=paces)
    with serving(made) as base:
        answers = [(await by_http(base, {"type": "x"}, secret="another")).status_code for _ in range(4)]
        genuine = (await by_http(base, {"type": "x"})).status_code

    assert (answers, genuine) == ([401, 401, 429, 429], 200)


@pytest.mark.parametrize(("method", "button"), [("users.info", APPROVE), ("views.open", REJECT)])
async def test_who_pressed_is_told_where_slack_can_not_be_asked(
    base: str, slack: FakeSlack, agent: Channel, method: str, button: str
) -> None:
    """Nothing is decided, and nobody is left to think that it was; the next press counts."""
    request = await opened(agent, ONE)
    posted = await told(slack, "chat.postMessage")
    slack.unreachable.add(method)
    await by_http(base, press(posted, button, "U0ANN", trigger="1"))
    said = await told(slack, "chat.postEphemeral")
    before = await agent.read(request.id)
    slack.unreachable.clear()
    await by_http(base, press(posted, APPROVE, "U0ANN", trigger="2"))
    await reaches(agent, request, State.APPROVED)

    assert (said["user"], "nothing was decided" in said["text"]) == ("U0ANN", True)
    assert (before.state, before.votes) == (State.PENDING, ())


async def test_t10_a_press_delivered_again_changes_nothing(base: str, slack: FakeSlack, agent: Channel) -> None:
    """By the other way too: it was acted on once."""
    request = await opened(agent, TWO)
    posted = await told(slack, "chat.postMessage")
    payload = press(posted, APPROVE, "U0ANN", trigger="1")
    await by_http(base, payload)
    await told(slack, "chat.update", where=lambda body: "ann: approve" in text_of(body))
    version = (await agent.read(request.id)).version
    await by_http(base, payload)
    await anyio.to_thread.run_sync(slack.press_by_socket, payload)
    await by_http(base, press(posted, APPROVE, "U0BOB", trigger="2"))
    await reaches(agent, request, State.APPROVED)

    assert len((await agent.read(request.id)).votes) == 2
    assert version != (await agent.read(request.id)).version


async def test_t2_a_button_of_another_request_or_of_an_earlier_card_decides_nothing(
    base: str, slack: FakeSlack, agent: Channel
) -> None:
    """A button names the card that was seen; one that was made by hand names nothing."""
    request = await opened(agent, ONE)
    posted = await told(slack, "chat.postMessage")
    payload = press(posted, APPROVE, "U0ANN", trigger="1")
    for number, value in enumerate(
        [
            json.dumps({"request": request.id, "card": "0" * 64}),
            json.dumps({"request": "0" * 32, "card": "x"}),
            "approve all",
        ]
    ):
        payload["actions"][0] |= {"value": value, "action_ts": str(number)}
        await by_http(base, payload)
    await told(slack, "chat.postEphemeral", count=2)

    assert await state_of(agent, request) is State.PENDING


async def test_t2_nobody_is_asked_why_they_reject_a_card_that_is_not_the_one_they_saw(
    base: str, slack: FakeSlack, agent: Channel
) -> None:
    """The modal would show the card as it is now, under a press that was meant for the one before."""
    request = await opened(agent, ONE)
    payload = press(await told(slack, "chat.postMessage"), REJECT, "U0ANN", trigger="1")
    payload["actions"][0]["value"] = json.dumps({"request": request.id, "card": "0" * 64})
    await by_http(base, payload)
    answer = await told(slack, "chat.postEphemeral")

    assert "The card changed meanwhile; look at it again." in str(answer)
    assert slack.count("views.open") == 0
    assert await state_of(agent, request) is State.PENDING


async def test_a_request_that_still_waits_is_called_to_mind_below_its_card_once(
    base: str, slack: FakeSlack, agent: Channel
) -> None:
    """A card that changes moves nobody: a word stands below it, without any text of the agent's."""
    reminding = ONE.model_copy(update={"remind_seconds": 60})
    request = await opened(agent, reminding)
    posted = await told(slack, "chat.postMessage")
    await agent.connection.execute("ZADD", agent.names.steps, request.opened_ms, request.id)
    await Steps(channel=agent).take_due()
    reminder = await told(slack, "chat.postMessage", where=lambda body: "thread_ts" in body)

    assert reminder["text"].startswith("still waits: ")
    assert reminder["channel"] == posted["channel"]
    assert request.card.title not in reminder["text"]
    assert slack.count("chat.postMessage") == 2


async def test_a_decision_made_elsewhere_changes_the_card(base: str, slack: FakeSlack, agent: Channel) -> None:
    """No button stays live after the end."""
    request = await opened(agent, ONE)
    posted = await told(slack, "chat.postMessage")
    stored = await agent.read(request.id)
    vote = sign_vote(
        stored.request, person="bob", groups=WITH_SLACK.groups_of("bob"), approvals=["stewards"], decision=Decision.REJECT,
        comment="", card_digest=stored.request.card.digest(), time_ms=stored.now_ms, signer="bob", key=KEYS["bob"],
    )  # fmt: skip
    await agent.vote(vote, stored.version, State.REJECTED)
    ended = await told(slack, "chat.update", where=lambda body: "rejected by bob" in text_of(body))
    await by_http(base, press(posted, APPROVE, "U0ANN", trigger="1"))
    private = await told(slack, "chat.postEphemeral")

    assert APPROVE not in text_of(ended)
    assert "rejected" in private["text"]


async def test_t17_what_is_cut_is_approved_only_after_all_of_it_was_shown(
    base: str, slack: FakeSlack, agent: Channel
) -> None:
    """No Approve in the channel; "Read all" shows the tail too, and Approve stands at its end."""
    hidden = "echo ok " + "word " * 800 + "; rm -rf /"
    card = a_request(ONE).card.model_copy(update={"arguments": json.dumps({"command": hidden})})
    request = await opened(agent, ONE, card=card)
    posted = await told(slack, "chat.postMessage")
    await by_http(base, press(posted, READ_ALL, "U0ANN", trigger="1"))
    modal = await told(slack, "views.open")
    await by_http(base, submit(modal["view"], "U0ANN", trigger="2"))
    await reaches(agent, request, State.APPROVED)

    assert APPROVE not in text_of(posted)
    assert "characters hidden here" in text_of(posted)
    assert "; rm -rf /" in text_of(posted)
    assert "".join(block["text"]["text"] for block in _view(modal)["blocks"]).count("word ") == 800


async def test_t17_what_slack_cannot_show_is_decided_on_its_page(base: str, slack: FakeSlack, agent: Channel) -> None:
    """Two megabytes fit no modal: the person is sent to the page, and nothing is decided."""
    card = a_request(ONE).card.model_copy(update={"arguments": json.dumps({"body": "x " * 1_000_000})})
    request = await opened(agent, ONE, card=card)
    posted = await told(slack, "chat.postMessage")
    await by_http(base, press(posted, READ_ALL, "U0ANN", trigger="1"))
    private = await told(slack, "chat.postEphemeral")

    assert f"https://approvals.acme.example/requests/{request.id}" in private["text"]
    assert all(len(block["text"]["text"]) <= 3_000 for block in posted["blocks"] if block["type"] == "section")


async def test_t17_a_long_card_that_was_read_to_its_end_is_approved_by_http(
    base: str, slack: FakeSlack, agent: Channel
) -> None:
    """Slack sends the whole modal back, which is far more than other forms hold; still more is not read."""
    card = a_request(ONE).card.model_copy(update={"arguments": json.dumps({"body": "é " * 60_000})})
    request = await opened(agent, ONE, card=card)
    posted = await told(slack, "chat.postMessage")
    await by_http(base, press(posted, READ_ALL, "U0ANN", trigger="1"))
    modal = await told(slack, "views.open")
    answer = await by_http(base, submit(modal["view"], "U0ANN", trigger="2"))
    await reaches(agent, request, State.APPROVED)
    kind = "application/x-www-form-urlencoded"
    head = f"POST /slack/interactions HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ncontent-length: 1048577\r\n\r\n"
    too_much = await raw(base, head.encode())
    assert answer.status_code == 200
    assert too_much.startswith(b"HTTP/1.1 413")


async def test_t35_a_button_of_another_tenants_request_decides_nothing(
    base: str, slack: FakeSlack, agent: Channel
) -> None:
    """It is as absent as one that never was, though this very person may decide it elsewhere."""
    await opened(agent, ONE)
    posted = await told(slack, "chat.postMessage")
    other = agents_side(agent.connection, f"other-{secrets.token_hex(4)}")
    foreign = await opened(other, ONE)
    payload = press(posted, APPROVE, "U0ANN", trigger="1")
    payload["actions"][0]["value"] = json.dumps({"request": foreign.id, "card": foreign.card.digest()})
    await by_http(base, payload)
    private = await told(slack, "chat.postEphemeral")
    assert private["user"] == "U0ANN"
    assert await state_of(other, foreign) is State.PENDING


async def test_t16_nothing_that_an_agent_writes_does_anything(base: str, slack: FakeSlack, agent: Channel) -> None:
    """Mentions, links and markdown stay text; what nobody sees is written out; the push says none of it."""
    evil = "<!channel> <https://evil.example|Approve> *bold*\u202e\u200b"
    card = a_request(ONE).card.model_copy(update={"title": evil, "says": evil, "arguments": json.dumps({"to": evil})})
    await opened(agent, ONE, card=card)
    posted = await told(slack, "chat.postMessage")
    kinds = {block["text"]["type"] for block in posted["blocks"] if "text" in block}

    assert kinds == {"plain_text"}
    assert "mrkdwn" not in text_of(posted)
    assert "\u202e" not in text_of(posted)
    assert "\\\\u202e" in text_of(posted)
    assert "evil" not in posted["text"]


async def test_t16_no_mention_stands_where_slack_reads_markdown(base: str, slack: FakeSlack, agent: Channel) -> None:
    """In what a phone shows, below the card, and in what one person is told, though a record says so that was written by hand."""
    evil = "<!channel> <https://evil.example|x> & *b*"
    card = a_request(ONE).card.model_copy(update={"tool": evil})
    request = await opened(agent, ONE.model_copy(update={"remind_seconds": 60}), card=card)
    posted = await told(slack, "chat.postMessage")
    await agent.connection.execute("ZADD", agent.names.steps, request.opened_ms, request.id)
    await Steps(channel=agent).take_due()
    reminder = await told(slack, "chat.postMessage", where=lambda body: "thread_ts" in body)
    await agent.withdraw(request.id, evil)
    await by_http(base, press(posted, APPROVE, "U0ANN", trigger="1"))
    private = await told(slack, "chat.postEphemeral")

    assert [any(sign in each["text"] for sign in "<>") for each in (posted, reminder, private)] == [False] * 3
    assert "&lt;!channel&gt;" in posted["text"]


async def test_slack_down_loses_nothing(slack: FakeSlack, valkey_url: str, agent: Channel) -> None:
    """The request is open all the same, and its card comes when Slack is back."""
    slack.failing = ["ratelimited"]
    async with _serving(slack, valkey_url, agent, retry_seconds=(0.05, 0.05)):
        request = await opened(agent, ONE)
        await told(slack, "chat.postMessage")
        waiting = await state_of(agent, request)
        posted = await told(slack, "chat.postMessage", count=2)

    assert waiting is State.PENDING
    assert "Export 500 customers" in text_of(posted)


async def test_a_channel_with_a_name_gets_what_policy_sends_there(
    slack: FakeSlack, valkey_url: str, agent: Channel
) -> None:
    """Its card is there alone, is decided there, and says so there."""
    async with _serving(slack, valkey_url, agent, channels={"#data": "C0DATA"}) as base:
        await anyio.to_thread.run_sync(slack.connected)
        request = await opened(agent, ONE, notify=("slack:#data",))
        posted = await told(slack, "chat.postMessage")
        await by_http(base, press(posted, APPROVE, "U0ANN", trigger="1"))
        ended = await told(slack, "chat.update", where=lambda body: "Approved by ann" in text_of(body))
        await reaches(agent, request, State.APPROVED)

    assert (posted["channel"], ended["channel"]) == ("C0DATA", "C0DATA")
    assert [body["channel"] for method, body in slack.calls if method == "chat.postMessage"] == ["C0DATA"]


async def test_where_slack_stays_down_another_place_is_told(slack: FakeSlack, valkey_url: str, agent: Channel) -> None:
    """After two attempts; the request waits all the same."""
    slack.failing = ["internal_error"] * 100
    with receiving() as receiver:
        also = Webhooks(
            endpoints=[Endpoint(url=httpx.URL(receiver.url))],
            secrets=[WebhookSecret.new()],
            public_url="",
            allowed_hosts={"127.0.0.1"},
        )
        async with _serving(slack, valkey_url, agent, also, retry_seconds=(0.05,) * 200):
            request = await opened(agent, ONE, notify=("slack",))
            instead = json.loads((await anyio.to_thread.run_sync(receiver.next)).body)

    assert (instead["type"], instead["data"]["request"]) == ("request.undelivered", request.id)
    assert await state_of(agent, request) is State.PENDING


async def test_what_is_critical_is_approved_after_a_login_unless_settings_say_otherwise(
    slack: FakeSlack, valkey_url: str, agent: Channel
) -> None:
    """By default a press is not enough; a rejection is."""
    async with _serving(slack, valkey_url, agent, critical=False) as base:
        request = await opened(agent, ONE)
        posted = await told(slack, "chat.postMessage")
        await by_http(base, press(posted, APPROVE, "U0ANN", trigger="1"))
        private = await told(slack, "chat.postEphemeral")
        state = await state_of(agent, request)

    assert "log in and approve it on its page" in private["text"]
    assert state is State.PENDING


async def test_t19_a_rejection_of_what_is_critical_needs_no_login(
    slack: FakeSlack, valkey_url: str, agent: Channel
) -> None:
    """Nothing runs by it."""
    async with _serving(slack, valkey_url, agent, critical=False) as base:
        request = await opened(agent, ONE)
        posted = await told(slack, "chat.postMessage")
        await by_http(base, press(posted, REJECT, "U0ANN", trigger="1"))
        modal = await told(slack, "views.open")
        await by_http(base, submit(_view(modal), "U0ANN", trigger="2", reason="Not this one"))
        await reaches(agent, request, State.REJECTED)


async def test_what_is_not_critical_is_approved_by_a_press_whatever_the_settings_say(
    slack: FakeSlack, valkey_url: str, agent: Channel
) -> None:
    """The setting is about what is critical alone."""
    high = a_request(ONE).verdict.model_copy(update={"risk": Risk.HIGH})
    async with _serving(slack, valkey_url, agent, critical=False) as base:
        request = await opened(agent, ONE, verdict=high)
        posted = await told(slack, "chat.postMessage")
        await by_http(base, press(posted, APPROVE, "U0ANN", trigger="1"))
        await reaches(agent, request, State.APPROVED)


class TestPosting:
    """What is told again, or too late, by a notifier alone."""

    @pytest.fixture
    def notifier(self, slack: FakeSlack, agent: Channel) -> SlackNotifier:
        """One server's."""
        client = AsyncWebClient(token="xoxb-1", base_url=slack.url, timeout=10)
        return SlackNotifier(
            client=client,
            channel=CHANNEL,
            link=lambda request: f"https://approvals.acme.example/requests/{request}",
            connection=agent.connection,
            names=agent.names,
        )

    async def shown(self, agent: Channel, kind: str, state: State = State.PENDING) -> tuple[Turn, Shown]:
        """A request, and what is to be told of it."""
        request = await opened(agent, ONE.model_copy(update={"remind_seconds": 60}))
        shown = await Desk(channel=agent, roster=WITH_SLACK).show(request.id)
        return Turn(kind=kind, request=request.id, state=state, time_ms=request.opened_ms), shown  # type: ignore[arg-type]

    async def test_t10_a_reminder_that_is_told_again_is_posted_once(
        self, notifier: SlackNotifier, slack: FakeSlack, agent: Channel
    ) -> None:
        """Where a server died before it could say that it had posted it."""
        turn, shown = await self.shown(agent, "request.reminded")
        await notifier.tell(turn.model_copy(update={"kind": "request.opened"}), shown)
        await notifier.tell(turn, shown)
        await notifier.tell(turn, shown)
        assert slack.count("chat.postMessage") == 2

    async def test_a_card_is_posted_once_however_many_servers_tell_it_at_once(
        self, notifier: SlackNotifier, slack: FakeSlack, agent: Channel
    ) -> None:
        """Whoever comes second tries again, and finds it there."""
        turn, shown = await self.shown(agent, "request.opened")
        slack.answering.clear()
        first = asyncio.create_task(notifier.tell(turn, shown))
        await told(slack, "chat.postMessage")
        ends = await asyncio.gather(*(notifier.tell(turn, shown) for _ in range(3)), return_exceptions=True)
        slack.answering.set()
        await first
        await notifier.tell(turn, shown)
        assert slack.count("chat.postMessage") == 1
        assert [type(end) for end in ends] == [NotDelivered] * 3

    async def test_a_request_that_ends_while_its_card_is_posted_leaves_no_live_button(
        self, notifier: SlackNotifier, slack: FakeSlack, agent: Channel
    ) -> None:
        """What tells of the end comes again, and finds the card."""
        turn, shown = await self.shown(agent, "request.opened")
        slack.answering.clear()
        first = asyncio.create_task(notifier.tell(turn, shown))
        await told(slack, "chat.postMessage")
        await agent.withdraw(turn.request, "")
        over = turn.model_copy(update={"kind": "request.ended", "state": State.WITHDRAWN})
        ended = await Desk(channel=agent, roster=WITH_SLACK).show(turn.request)
        (end,) = await asyncio.gather(notifier.tell(over, ended), return_exceptions=True)
        slack.answering.set()
        await first
        await notifier.tell(over, ended)
        assert isinstance(end, NotDelivered)
        assert APPROVE not in text_of(await told(slack, "chat.update"))

    async def test_a_request_that_ended_before_it_could_be_posted_is_not(
        self, notifier: SlackNotifier, slack: FakeSlack, agent: Channel
    ) -> None:
        """Nobody is to decide on it any more."""
        turn, _ = await self.shown(agent, "request.opened")
        await agent.withdraw(turn.request, "")
        await notifier.tell(turn, await Desk(channel=agent, roster=WITH_SLACK).show(turn.request))
        assert slack.calls == []


@asynccontextmanager
async def _serving(
    slack: FakeSlack,
    url: str,
    agent: Channel,
    webhooks: Webhooks | None = None,
    *,
    retry_seconds: Sequence[float] = RETRY_SECONDS,
    **changed: Any,
) -> AsyncIterator[str]:
    made = settings(slack, **changed)
    await Outbox(connection=agent.connection, names=agent.names).cursor()
    given = {"slack": made, "webhooks": webhooks, "retry_seconds": retry_seconds, "roster": lambda: WITH_SLACK}
    with serving(parts(url, agent.names.tenant, **given)) as address:
        yield address


def _view(call: dict[str, Any]) -> dict[str, Any]:
    view = call["view"]
    read: dict[str, Any] = view if isinstance(view, dict) else json.loads(view)
    return read


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("slack_channel", "AGENTGUARD_SERVER_SLACK_CHANNEL"),
        ("slack_team", "AGENTGUARD_SERVER_SLACK_TEAM"),
        ("slack_app_token", "nobody could press a button"),
    ],
)
def test_settings_that_could_not_work_are_refused(missing: str, told: str) -> None:
    """Before anything starts, with what to set; without a bot token there is no Slack at all."""
    given = {"slack_bot_token": "xoxb-1", "slack_app_token": "xapp-1", "slack_channel": CHANNEL, "slack_team": TEAM}
    with pytest.raises(ConfigurationError, match=told):
        slack_of(ServerSettings(**{**given, missing: ""}), "https://approvals.acme.example")

    assert slack_of(ServerSettings(**{**given, "slack_bot_token": ""}), "https://approvals.acme.example") is None


@pytest.mark.parametrize("critical", [True, False])
def test_the_setting_says_whether_a_press_is_enough_for_what_is_critical(critical: bool) -> None:
    """By its name in the environment it reaches what acts on presses."""
    made = slack_of(
        ServerSettings(
            slack_bot_token="xoxb-1",
            slack_app_token="xapp-1",
            slack_channel=CHANNEL,
            slack_team=TEAM,
            slack_approves_critical=critical,
        ),
        "https://approvals.acme.example",
    )

    assert made is not None
    assert made.critical is critical
