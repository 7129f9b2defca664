"""What others try at the inbox and the API: another tenant's ids, two megabytes, two people at once, an agent that found the address."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import secrets
import time
from collections.abc import AsyncIterator
from statistics import median

import httpx
import pytest

from agentguard.approval import Channel
from agentguard.model.approvals import Request, State
from agentguard.server.cookies import Cookies
from agentguard.server.door import SLACK
from agentguard.server.entrance import SESSION
from agentguard.server.identity import Identity
from agentguard.server.tokens import Token, holder
from agentguard.store.redis import Connection
from tests.approval.people import KEYS, ONE, TWO
from tests.cards.faces import a_card
from tests.server.serving import MAC_KEY, agents_side, caller, now_ms, opened
from tests.server.test_door import everything
from tests.server.test_live import screen, until
from tests.server.test_pages import ROUTES
from tests.server.visiting import COOKIES, decide, form, visitor

pytestmark = pytest.mark.anyio

POSTS = sorted({path for method, path in (param.values for param in ROUTES) if method == "POST"} | {SLACK})
GETS = [f"/requests/{{request_id}}{end}" for end in ("", "/card", "/turn", "/turn/card", "/session", "/session/part")]


@pytest.fixture
async def ann(base: str) -> AsyncIterator[httpx.AsyncClient]:
    """Ann's browser."""
    async with visitor(base, "ann") as client:
        yield client


def forms(request: Request, session: str) -> dict[str, dict[str, str]]:
    """A form that fits, with a genuine token of this login, for each thing that a person does with a request."""
    id_, digest = request.id, request.card.digest()
    purposes = {
        "approve": ("approve", id_, digest),
        "reject": ("reject", id_, digest),
        "edit": ("edit", id_, digest),
        "settle": ("settle", id_),
        "unmask": ("unmask", id_),
    }
    fields = {"card_digest": digest, "comment": "x", "name": "limit", "value": "1", "found": "happened"}
    return {verb: fields | {"form": COOKIES.form_token(session, *said)} for verb, said in purposes.items()}


class TestTenants:
    """Another tenant's."""

    async def test_t35_on_no_page_and_by_no_form(self, agent: Channel, ann: httpx.AsyncClient) -> None:
        """Every page is the 404 of what is absent, and every form with a genuine token decides nothing."""
        other = agents_side(agent.connection, f"other-{secrets.token_hex(4)}")
        request = await opened(other, ONE, card=a_card())
        shown = [await ann.get(path.format(request_id=request.id)) for path in GETS]
        absent = [await ann.get(path.format(request_id="f" * 32)) for path in GETS]
        sent = [
            await ann.post(f"/requests/{request.id}/{verb}", data=fields)
            for verb, fields in forms(request, f"{'ann':0>32}").items()
        ]
        assert {reply.status_code for reply in shown} == {404}
        assert [reply.text for reply in shown] == [reply.text for reply in absent]
        token = COOKIES.form_token(f"{'ann':0>32}", "revoke", request.id)
        revoked = await ann.post(f"/grants/{request.id}/revoke", data={"form": token, "comment": "x"})
        assert {reply.status_code for reply in sent} <= {403, 404}
        assert revoked.status_code == 404
        assert (await other.read(request.id)).state is State.PENDING


class TestAtOnce:
    """Two people, one request."""

    async def test_t3_of_two_forms_at_once_one_decides_and_the_other_is_told(
        self, base: str, agent: Channel, ann: httpx.AsyncClient
    ) -> None:
        """The page of the second says how it stands."""
        request = await opened(agent, ONE, card=a_card())
        async with visitor(base, "bob") as bob:
            replies = await asyncio.gather(
                decide(ann, request.id, "approve"), decide(bob, request.id, "reject", comment="no")
            )
        stored = await agent.read(request.id)
        assert sorted(reply.status_code for reply in replies) in ([303, 409], [303, 303])
        assert stored.state in (State.APPROVED, State.REJECTED)
        lost = [reply.text for reply in replies if reply.status_code == 409]
        assert all("is already" in text or "approved by" in text.lower() for text in lost)

    async def test_t10_a_click_after_the_end_says_how_it_ended(self, agent: Channel, ann: httpx.AsyncClient) -> None:
        """On every form of it; nothing is decided anew."""
        request = await opened(agent, ONE, card=a_card())
        await agent.withdraw(request.id, "the agent gave up")
        before = (await agent.read(request.id)).version
        fields = forms(request, f"{'ann':0>32}")
        replies = [
            await ann.post(f"/requests/{request.id}/{verb}", data=fields[verb])
            for verb in ("approve", "reject", "edit")
        ]
        assert {reply.status_code for reply in replies} <= {403, 409}
        assert all("Did not run: taken back (the agent gave up)" in reply.text for reply in replies)
        assert (await agent.read(request.id)).version == before


class TestSize:
    """Two megabytes."""

    @pytest.mark.slow
    async def test_t17_t29_a_two_megabyte_argument_is_told_whole_and_slows_nobody(
        self, base: str, agent: Channel, ann: httpx.AsyncClient
    ) -> None:
        """The page says what is hidden and is small; all of it is one press away; lists and events carry none of it."""
        async with screen(ann) as heard:
            request = await opened(agent, ONE, card=a_card({"body": "x" * 2_000_000 + "the end"}))
            await until(heard, request.id, State.PENDING)
        path = f"/requests/{request.id}"
        page, inbox = (await ann.get(f"{path}/card")).text, (await ann.get("/")).text
        whole = (await ann.get(f"{path}?whole=1")).text
        async with caller(base, "ann") as program:
            listed = await program.get("/api/v1/requests")
            shown = await program.get(f"/api/v1/requests/{request.id}")
        assert "1,998,807 of 2,000,007 characters hidden here" in page
        assert "the end" in page
        assert not form(page, f"{path}/approve")
        assert "x" * 2_000_000 + "the end" in whole
        assert form(whole, f"{path}/approve")
        assert max(len(inbox), len(listed.content)) < 20_000
        assert shown.json()["card"]["arguments"].endswith('the end"}')


class TestAgent:
    """An agent with an HTTP tool that found the server, and uses all that its own process holds."""

    @pytest.mark.slow
    async def test_t13_it_decides_nothing_on_any_route(self, base: str, agent: Channel, connection: Connection) -> None:
        """Bearer tokens, cookies, forms and signatures made of its keys and of what stands in Redis."""
        request = await opened(agent, TWO, card=a_card())
        in_redis = await connection.execute("HVALS", agent.names.request(request.id))
        held = [MAC_KEY.hex(), KEYS["stranger"].public, request.digest]
        held = [*held, *(one.decode(errors="replace") for one in in_redis)]
        own = Cookies(keys=(MAC_KEY,), is_secure=False)
        before = await everything(connection, agent)
        bearers = [{"authorization": f"Bearer {one[:2000]}"} for one in held if one.isascii() and one.isprintable()]
        cookies = [{"cookie": f"{SESSION}={self.made(own)}"}, {"cookie": f"{SESSION}={held[0]}"}]
        fields = {
            "card_digest": request.card.digest(),
            "items": f"{request.id}:{request.card.digest()}",
            "secret": held[0],
        }
        fields["form"] = own.form_token(f"{'ann':0>32}", "approve", request.id, request.card.digest())
        replies = []
        async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=20) as tool:
            for path in POSTS:
                where = path.format(request_id=request.id, freeze_id="f" * 32)
                for headers in ({}, *cookies, *(bearers if path.startswith(("/api", "/webhooks")) else bearers[:1])):
                    body = {"json": fields} if path.startswith(("/api", "/webhooks")) else {"data": fields}
                    replies.append((path, (await tool.post(where, headers=headers, **body)).status_code))
        assert len(replies) > 3 * len(POSTS)
        assert {path for path, status in replies if status not in (401, 403, 404, 415)} == set()
        assert await everything(connection, agent) == before
        assert (await agent.read(request.id)).votes == ()

    def made(self, cookies: Cookies) -> str:
        """A login of Ann's, signed with a key of the agent's side."""
        signed = cookies._serializer(SESSION).dumps(
            Identity(person="ann", how="oidc", session=f"{'ann':0>32}", authenticated_ms=now_ms()).model_dump_json()
        )
        return signed if isinstance(signed, str) else signed.decode()


class TestGuessing:
    """Ids and secrets."""

    async def test_t31_an_id_that_differs_by_one_character_is_as_absent_as_any(
        self, agent: Channel, connection: Connection
    ) -> None:
        """Ids have 128 bits, and nothing answers to nearly the right one."""
        request = await opened(agent, ONE)
        near = [
            request.id[:place] + digit + request.id[place + 1 :]
            for place, digit in itertools.product(range(32), "0123456789abcdef")
            if request.id[place] != digit
        ]
        far = [secrets.token_hex(16) for _ in range(2_000)]
        found = await agent.read_cards([*near, *far])
        assert len(request.id) == 32
        assert [stored for stored in found if stored is not None] == []

    def test_t31_the_time_that_a_token_takes_tells_nothing_of_it(self) -> None:
        """The first of a thousand, the last, nearly the first, and none: medians of interleaved rounds lie together."""
        real = [secrets.token_hex(16) for _ in range(1_000)]
        tokens = [
            Token.model_validate({"id": f"{n:0>8}", "person": "ann", "sha256": _hashed(text), "created_ms": 1})
            for n, text in enumerate(real)
        ]
        shown = {"first": real[0], "last": real[-1], "nearly": real[0][:-1] + "-", "none": "-" * 32}
        took: dict[str, list[int]] = {name: [] for name in shown}
        for name, text in itertools.chain.from_iterable(itertools.repeat(tuple(shown.items()), 60)):
            started = time.perf_counter_ns()
            holder(tokens, text, now_ms=2)
            took[name].append(time.perf_counter_ns() - started)
        medians = [median(times) for times in took.values()]
        assert max(medians) < 1.5 * min(medians)


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
