"""The pages: who sees them, what stands on them, and which forms decide."""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from agentguard.approval import Brake, Channel
from agentguard.audit import Journal
from agentguard.model.approvals import Request, State
from agentguard.model.events import Erased, Faulted
from agentguard.model.verdicts import Risk
from agentguard.server.decision_routes import incoming
from agentguard.server.entrance import logins
from agentguard.server.freeze_pages import freeze_pages
from agentguard.server.grant_pages import grant_pages
from agentguard.server.order_routes import orders
from agentguard.server.pages import pages
from agentguard.server.records import Records
from agentguard.server.request_pages import CHARACTERS_SHOWN, request_pages
from agentguard.server.routes import api, health
from agentguard.server.turn_pages import turn_pages
from agentguard.store.redis import Connection
from tests.approval.people import CONFIRMED, ONE, ROSTER, TWO, a_principal, a_request
from tests.cards.faces import a_card
from tests.cards.test_face import HOSTILE, UNSEEN
from tests.server.serving import now_ms, opened, parts, serving
from tests.server.test_door import BOTS, everything
from tests.server.visiting import COOKIES, decide, form, visitor

pytestmark = pytest.mark.anyio

ROUTES = [
    pytest.param(method, route.path, id=f"{method} {route.path}")
    for router in (api, incoming, orders, health, logins, pages, request_pages, turn_pages, freeze_pages, grant_pages)
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in sorted(route.methods)
]
PAGES = [
    route.path
    for router in (pages, request_pages, turn_pages, freeze_pages, grant_pages)
    for route in router.routes
    if isinstance(route, APIRoute) and "GET" in route.methods
]
OPEN = {"/healthz", "/readyz", "/metrics", "/login", "/login/oidc", "/login/callback", "/login/local"}
"""What answers without a login."""

XSS = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'><a href=javascript:alert(3)>x</a>"


@pytest.fixture
async def ann(base: str) -> AsyncIterator[httpx.AsyncClient]:
    """Ann's browser."""
    async with visitor(base, "ann") as client:
        yield client


@pytest.fixture
async def bob(base: str) -> AsyncIterator[httpx.AsyncClient]:
    """Bob's browser."""
    async with visitor(base, "bob") as client:
        yield client


@pytest.fixture
async def request_(agent: Channel) -> Request:
    """A request that one steward decides."""
    return await opened(agent, ONE, card=a_card())


def change(folder: Path) -> None:
    """Write another number into a record of a journal."""
    file = next(file for file in folder.rglob("*.jsonl") if "canary7" in file.read_text())
    file.write_text(file.read_text().replace("canary7", "canary8"))


def filled(path: str, request: Request) -> str:
    """A path with this request in it."""
    return path.format(request_id=request.id, version="x", name="app.css", freeze_id="x")


class TestEntrance:
    """Who gets in."""

    @pytest.mark.parametrize(("method", "path"), ROUTES)
    async def test_t31_without_a_login_no_route_shows_or_decides_anything(
        self, base: str, agent: Channel, connection: Connection, request_: Request, method: str, path: str
    ) -> None:
        """Every route that there is: to the login, or a refusal; nothing changes, and nothing of a request is told."""
        # given
        before = await everything(connection, agent)
        body = {
            "form": COOKIES.form_token("", "approve", request_.id, request_.card.digest()),
            "card_digest": request_.card.digest(),
        }

        # when
        async with visitor(base, None) as nobody:
            reply = await nobody.request(method, filled(path, request_), data=body if method == "POST" else None)

        # then
        assert reply.status_code in {303, 401, 403, 404, 415} | ({200} if path in OPEN else set())
        assert reply.status_code != 303 or reply.headers["location"].startswith("/login")
        assert request_.card.title not in reply.text
        assert await everything(connection, agent) == before

    @pytest.mark.parametrize("verb", ["approve", "reject"])
    @pytest.mark.parametrize("person", ["eve", "cat"])
    async def test_t14_who_is_not_among_those_who_decide_is_told_so_and_decides_nothing(
        self, base: str, agent: Channel, request_: Request, person: str, verb: str
    ) -> None:
        """The page offers nothing, and a form made by hand is refused."""
        async with visitor(base, person) as client:
            page = (await client.get(f"/requests/{request_.id}")).text
            token = COOKIES.form_token(f"{person:0>32}", verb, request_.id, request_.card.digest())
            fields = {"form": token, "card_digest": request_.card.digest()}
            reply = await client.post(f"/requests/{request_.id}/{verb}", data=fields)
        assert not form(page, f"/requests/{request_.id}/{verb}")
        assert f"{person} is not among those who decide this" in page
        assert reply.status_code == 403
        assert (await agent.read(request_.id)).state is State.PENDING

    async def test_t13_nobody_approves_what_was_asked_for_on_their_behalf(self, base: str, agent: Channel) -> None:
        """Though they are in the group."""
        request = await opened(agent, ONE, user="ann@acme.example")
        async with visitor(base, "ann") as ann:
            page = (await ann.get(f"/requests/{request.id}")).text
            token = COOKIES.form_token(f"{'ann':0>32}", "approve", request.id, request.card.digest())
            fields = {"form": token, "card_digest": request.card.digest()}
            reply = await ann.post(f"/requests/{request.id}/approve", data=fields)
        assert "ann asked for this call and cannot approve it" in page
        assert reply.status_code == 403
        assert (await agent.read(request.id)).state is State.PENDING

    async def test_the_user_confirms_their_own_call(self, base: str, agent: Channel) -> None:
        """Where policy says `confirm`, and the button says so."""
        request = await opened(agent, CONFIRMED, user="ann@acme.example")
        async with visitor(base, "ann") as ann:
            assert "Confirm: Export 500 customers" in (await ann.get(f"/requests/{request.id}")).text
            await decide(ann, request.id)
        assert (await agent.read(request.id)).state is State.APPROVED

    async def test_who_left_approvers_yaml_is_out(self, base: str, request_: Request) -> None:
        """With the cookie of a login that was good."""
        async with visitor(base, "gone") as gone:
            reply = await gone.get(f"/requests/{request_.id}")
        assert (reply.status_code, reply.headers["location"]) == (303, f"/login?next=%2Frequests%2F{request_.id}")

    @pytest.mark.parametrize("email", ["ann@other.example", "", "ann@acme.example.evil.example"])
    async def test_t35_a_login_of_another_human_of_that_name_is_none(
        self, base: str, request_: Request, email: str
    ) -> None:
        """From a server with another approvers.yaml and the same key, or from before somebody else got the name."""
        async with visitor(base, "ann", email=email) as other, visitor(base, "ann", email="ANN@acme.example") as ann:
            assert (await other.get(f"/requests/{request_.id}")).status_code == 303
            assert (await other.get("/session")).status_code == 401
            assert (await ann.get("/session")).status_code == 204

    @pytest.mark.parametrize("broken", ["", "x", "e30.aaaa.bbbb", "signature"])
    async def test_a_changed_cookie_is_no_login(self, base: str, ann: httpx.AsyncClient, broken: str) -> None:
        """Not by one character."""
        good = ann.cookies["agentguard"]
        body, _, signature = good.rpartition(".")  # its last character has bits that count for nothing
        altered = f"{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
        changed = altered if broken == "signature" else broken
        async with visitor(base, None) as client:
            client.cookies.set("agentguard", changed)
            reply = await client.get("/session")
        assert reply.status_code == 401

    async def test_logging_out_ends_every_copy_of_the_cookie(self, base: str) -> None:
        """Whoever has one."""
        async with visitor(base, "ann", session="a" * 32) as here, visitor(base, "ann", session="a" * 32) as copy:
            assert (await copy.get("/session")).status_code == 204
            await here.post("/logout", data=form((await here.get("/")).text, "/logout"))
            assert (await copy.get("/session")).status_code == 401

    async def test_groups_that_the_login_does_not_confirm_do_not_decide(
        self, base: str, agent: Channel, request_: Request
    ) -> None:
        """approvers.yaml lists Bob as a steward; his login says security alone. It can only narrow."""
        async with visitor(base, "bob", groups=("security",)) as bob:
            page = (await bob.get(f"/requests/{request_.id}")).text
        assert "your login does not say that bob is in a group that decides this" in page
        async with visitor(base, "cat", groups=("stewards", "security")) as cat:
            assert "cat is not among those who decide this" in (await cat.get(f"/requests/{request_.id}")).text
        async with visitor(base, "ann", groups=("stewards",)) as ann:
            await decide(ann, request_.id)
        assert (await agent.read(request_.id)).state is State.APPROVED

    @pytest.mark.parametrize("verb", ["approve", "reject", "edit"])
    async def test_t14_a_form_does_not_make_up_for_them(
        self, base: str, agent: Channel, request_: Request, verb: str
    ) -> None:
        """Who sends it is looked at, and not who got it."""
        path = f"/requests/{request_.id}/{verb}"
        token = COOKIES.form_token(f"{'bob':0>32}", verb, request_.id, request_.card.digest())
        fields = {"form": token, "card_digest": request_.card.digest(), "name": "limit", "value": "1"}
        async with visitor(base, "bob", groups=("security",)) as bob:
            reply = await bob.post(path, data=fields)
        assert reply.status_code == 403
        assert "your login does not say that bob" in html.unescape(reply.text)
        assert (await agent.read(request_.id)).votes == ()


class TestForms:
    """Which POST decides."""

    async def test_approve_and_reject(self, agent: Channel, ann: httpx.AsyncClient, bob: httpx.AsyncClient) -> None:
        """A quorum of two from two browsers; one rejection with its reason."""
        both, one = await opened(agent, TWO), await opened(agent, TWO)
        first = await decide(ann, both.id)
        assert (first.status_code, first.headers["location"]) == (303, f"/requests/{both.id}")
        assert "You approved this. It waits for others." in (await ann.get(f"/requests/{both.id}")).text
        await decide(bob, both.id)
        await decide(bob, one.id, "reject", comment="Not twice\r\nplease")
        assert "Approved by ann, bob; not run yet" in (await ann.get(f"/requests/{both.id}")).text
        page = (await ann.get(f"/requests/{one.id}")).text
        assert r"Did not run: rejected by bob: Not twice\nplease" in page
        assert (await agent.read(one.id)).resolution.comment == "Not twice\nplease"

    @pytest.mark.parametrize(
        "headers",
        [
            pytest.param({"origin": "https://evil.example"}, id="other origin"),
            pytest.param({"origin": "null"}, id="no origin"),
            pytest.param({"sec-fetch-site": "cross-site"}, id="cross-site"),
            pytest.param({"sec-fetch-site": "same-site"}, id="neighbour host"),
        ],
    )
    async def test_t12_a_form_on_another_site_decides_nothing(
        self, agent: Channel, ann: httpx.AsyncClient, request_: Request, headers: dict[str, str]
    ) -> None:
        """With the right token even."""
        path = f"/requests/{request_.id}"
        fields = form((await ann.get(path)).text, f"{path}/approve")
        reply = await ann.post(f"{path}/approve", data=fields, headers=headers)
        assert reply.status_code == 403
        assert (await agent.read(request_.id)).state is State.PENDING

    async def test_t12_a_token_is_for_one_person_request_card_and_decision(
        self, agent: Channel, ann: httpx.AsyncClient, bob: httpx.AsyncClient, request_: Request
    ) -> None:
        """Every other is refused; so are a form without one, and one that says a thing twice."""
        # given
        other = await opened(agent, ONE)
        path = f"/requests/{request_.id}"
        mine = form((await ann.get(path)).text, f"{path}/approve")
        wrong: list[Any] = [
            {"card_digest": mine["card_digest"]},
            mine | {"form": ""},
            mine | {"form": mine["form"][:-1] + "z"},
            mine | {"form": form((await bob.get(path)).text, f"{path}/approve")["form"]},
            mine | {"form": form((await ann.get(path)).text, f"{path}/reject")["form"]},
            mine
            | {"form": form((await ann.get(f"/requests/{other.id}")).text, f"/requests/{other.id}/approve")["form"]},
            mine | {"card_digest": other.card.digest()},
            {**mine, "card_digest": [mine["card_digest"], other.card.digest()]},
        ]

        # when
        replies = [await ann.post(f"{path}/approve", data=fields) for fields in wrong]

        # then
        assert [reply.status_code for reply in replies] == [403] * len(wrong)
        assert (await agent.read(request_.id)).state is State.PENDING

    async def test_another_card_than_the_one_that_was_shown_is_not_decided(
        self, agent: Channel, ann: httpx.AsyncClient, request_: Request
    ) -> None:
        """409, and the page says to look again."""
        digest = "0" * 64
        token = COOKIES.form_token(f"{'ann':0>32}", "approve", request_.id, digest)
        reply = await ann.post(f"/requests/{request_.id}/approve", data={"form": token, "card_digest": digest})
        assert reply.status_code == 409
        assert "what waits now is not what you saw" in reply.text
        assert (await agent.read(request_.id)).state is State.PENDING

    async def test_t10_the_same_form_again_changes_nothing(
        self, agent: Channel, connection: Connection, ann: httpx.AsyncClient, request_: Request
    ) -> None:
        """A button pressed twice, or a page sent again, after the end even."""
        path = f"/requests/{request_.id}"
        fields = form((await ann.get(path)).text, f"{path}/approve")
        first = await ann.post(f"{path}/approve", data=fields)
        before = await everything(connection, agent)
        again = await ann.post(f"{path}/approve", data=fields)
        assert (first.status_code, again.status_code) == (303, 303)
        assert await everything(connection, agent) == before

    async def test_t10_after_the_end_a_page_that_is_still_open_decides_nothing(
        self, ann: httpx.AsyncClient, bob: httpx.AsyncClient, request_: Request
    ) -> None:
        """Its buttons were there when it was opened."""
        path = f"/requests/{request_.id}"
        fields = form((await ann.get(path)).text, f"{path}/approve")
        await decide(bob, request_.id, "reject", comment="no")
        reply = await ann.post(f"{path}/approve", data=fields)
        assert reply.status_code == 409
        assert "already rejected; nothing was decided" in reply.text

    @pytest.mark.parametrize("path", PAGES)
    async def test_t11_opening_a_page_changes_nothing(
        self, agent: Channel, connection: Connection, ann: httpx.AsyncClient, request_: Request, path: str
    ) -> None:
        """Every page, by whatever unfurls links, with a login even, ten times."""
        before = await everything(connection, agent)
        for bot, method in itertools.product([*BOTS, "curl/8"], ("GET", "HEAD", "OPTIONS")):
            async with ann.stream(method, filled(path, request_), headers={"user-agent": bot}):
                pass
        assert await everything(connection, agent) == before

    @pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data; boundary=x", ""])
    async def test_a_body_that_is_no_form_is_refused(
        self, ann: httpx.AsyncClient, request_: Request, kind: str
    ) -> None:
        """Another site can send these without asking."""
        reply = await ann.post(f"/requests/{request_.id}/approve", content=b"{}", headers={"content-type": kind})
        assert reply.status_code == 415

    @pytest.mark.parametrize("body", [b"form", b"%ff=%ff", b"&".join(b"a%d=1" % n for n in range(50)), b"\xff=\xff"])
    async def test_a_form_that_is_none_is_refused(self, ann: httpx.AsyncClient, request_: Request, body: bytes) -> None:
        """403, and nothing breaks."""
        kind = {"content-type": "application/x-www-form-urlencoded"}
        assert (await ann.post(f"/requests/{request_.id}/reject", content=body, headers=kind)).status_code == 403


class TestStepUp:
    """What is critical."""

    @pytest.fixture
    async def critical(self, agent: Channel) -> Request:
        """A critical request."""
        request = await opened(agent, ONE)
        assert request.verdict.risk is Risk.CRITICAL
        return request

    @pytest.mark.parametrize("authenticated_ms", [0, 1])
    async def test_an_old_login_does_not_approve_it(
        self, base: str, agent: Channel, critical: Request, authenticated_ms: int
    ) -> None:
        """It may look, and reject; a provider that doesn't say when counts as long ago."""
        async with visitor(base, "ann", authenticated_ms=authenticated_ms) as ann:
            path = f"/requests/{critical.id}"
            page = (await ann.get(path)).text
            token = COOKIES.form_token(f"{'ann':0>32}", "approve", critical.id, critical.card.digest())
            fields = {"form": token, "card_digest": critical.card.digest()}
            reply = await ann.post(f"{path}/approve", data=fields)
            assert "Log in again to approve what is critical" in page
            assert not form(page, f"{path}/approve")
            assert reply.status_code == 403
            assert (await agent.read(critical.id)).state is State.PENDING
            await decide(ann, critical.id, "reject", comment="no")
        assert (await agent.read(critical.id)).state is State.REJECTED

    async def test_a_fresh_one_does(self, agent: Channel, ann: httpx.AsyncClient, critical: Request) -> None:
        """Within five minutes."""
        await decide(ann, critical.id)
        assert (await agent.read(critical.id)).state is State.APPROVED


class TestCard:
    """What stands on the page of a request."""

    async def test_t16_what_an_agent_writes_is_text(self, agent: Channel, ann: httpx.AsyncClient) -> None:
        """No markup, script, link or character that hides, in any field, on any page."""
        # given
        card = a_card({XSS: XSS + HOSTILE, "n": [XSS]}, oddities=(XSS,) * 4)
        hostile = dict.fromkeys(
            ("title", "agent", "user", "session", "tool", "deployment", "says", "asked", "undo"), XSS + HOSTILE
        )
        card = card.model_copy(update=hostile | {"reasons": (XSS,), "origins": {XSS: (XSS,)}, "read_by_rules": (XSS,)})
        request = await opened(agent, ONE, card=card)

        # when
        paths = ["/", f"/requests/{request.id}", f"/requests/{request.id}/card", f"/requests/{request.id}/session"]
        texts = [(await ann.get(path)).text for path in paths]

        # then
        for text in texts:
            assert "&lt;script&gt;" in text
            assert not re.search(
                r"<script>|<img|<a href=javascript|onerror=\w", text.replace("&lt;img src=x onerror=", "")
            )
            assert not UNSEEN.search(text)

    async def test_t16_an_agent_whose_name_nobody_can_read_is_frozen_by_its_link(
        self, agent: Channel, ann: httpx.AsyncClient
    ) -> None:
        """The card spells what nobody sees, the link doesn't: a freeze of the spelling would stop nothing."""
        name = "clerk\u200b \u202e&<x>"
        principal = a_principal(tenant=agent.names.tenant, agent=name)
        request = await agent.open(
            a_request(ONE, principal=principal, card=a_card().model_copy(update={"agent": name})), b"sealed"
        )
        page = (await ann.get(f"/requests/{request.stored.request.id}")).text
        links = re.findall(r'href="(/freezes\?scope=agent&amp;name=[^"]*)"', page)
        filled = (await ann.get(html.unescape(links[0]))).text
        value = re.search(r'<input name="name" value="([^"]*)"', filled)
        assert value is not None
        sent = {"scope": "agent", "name": html.unescape(value[1]), "comment": "x"} | form(filled, "/freezes")
        await ann.post("/freezes", data=sent)
        standing = await Brake(channel=agent, roster=ROSTER).standing()
        assert [freeze.name for freeze in standing] == [name]
        assert "clerk\\u200b \\u202e&amp;&lt;x&gt;" in page
        assert "\u202e" not in page

    async def test_t17_a_long_value_is_approved_only_after_all_of_it_was_shown(
        self, agent: Channel, ann: httpx.AsyncClient
    ) -> None:
        """Head, tail, count and digest first; then the whole, with Approve under it. Rejecting needs no reading."""
        value = "echo ok " + "x" * 4000 + "; rm -rf /"
        request = await opened(agent, ONE, card=a_card({"command": value}))
        path = f"/requests/{request.id}"
        page = (await ann.get(path)).text
        whole = (await ann.get(f"{path}?whole=1")).text
        assert f"{len(value) - CHARACTERS_SHOWN:,} of {len(value):,} characters hidden here · sha256" in page
        assert "; rm -rf /</span>" in page
        assert not form(page, f"{path}/approve")
        assert form(page, f"{path}/reject")
        assert value in whole
        assert form(whole, f"{path}/approve")

    async def test_t18_the_agents_words_are_fenced_below_the_guards_facts(
        self, ann: httpx.AsyncClient, request_: Request
    ) -> None:
        """In this order, whatever they say."""
        page = (await ann.get(f"/requests/{request_.id}")).text
        told = [
            "HIGH",
            "<h1>Refund 1,420.00 EUR",
            "<b>clerk</b>",
            "Refunds over 1,000",
            "amount is 14 times",
            "be undone",
            'class="args"',
            "The user asked",
            "not checked",
            "pre-approved by security",
            'class="votes"',
            "Reject…",
            "Approve: Refund",
            "<summary>More</summary>",
        ]
        places = [page.index(text) for text in told]
        assert places == sorted(places)
        assert re.search(r'class="fence">.*pre-approved by security', page, re.DOTALL)

    async def test_how_it_ended_is_told(self, agent: Channel, ann: httpx.AsyncClient, request_: Request) -> None:
        """When it ran."""
        await decide(ann, request_.id)
        stored = await agent.read(request_.id)
        await agent.redeem(stored, "fence")
        assert "Approved by ann; runs now" in (await ann.get(f"/requests/{request_.id}")).text
        await agent.finish(request_.id, "fence", State.DONE)
        assert re.search(r"Ran \d\d:\d\d UTC, approved by ann", (await ann.get(f"/requests/{request_.id}")).text)

    @pytest.mark.parametrize("when", [10**18, 2**53, 32_503_680_000_000])
    async def test_t32_a_record_with_times_that_are_none_is_shown(
        self, agent: Channel, connection: Connection, ann: httpx.AsyncClient, when: int
    ) -> None:
        """Somebody wrote it into Redis; the pages stand, and so does what tells open screens."""
        request = await opened(agent, ONE)
        forged = request.model_copy(update={"deadline_ms": when, "opened_ms": when, "redeem_by_ms": when})
        await connection.execute("HSET", agent.names.request(request.id), "record", forged.canonical())
        assert "at no time" in (await ann.get(f"/requests/{request.id}")).text
        assert (await ann.get("/")).status_code == 200
        await agent.withdraw(request.id, "x")
        assert (await ann.get("/history")).status_code == 200
        assert (await ann.get("/readyz")).status_code == 200

    async def test_an_absent_request_is_a_page_that_says_so(self, ann: httpx.AsyncClient) -> None:
        """404."""
        reply = await ann.get("/requests/nothing")
        assert (reply.status_code, "no such request" in reply.text) == (404, True)


class TestLists:
    """Inbox, history, session, journal."""

    async def test_the_inbox_has_what_waits_page_by_page(self, agent: Channel, ann: httpx.AsyncClient) -> None:
        """Each request once."""
        made = {(await opened(agent, ONE)).id for _ in range(60)}
        first = (await ann.get("/")).text
        more = re.search(r'href="(/\?cursor=[\w-]+)"', first)
        assert more is not None
        second = (await ann.get(more[1])).text
        seen = [re.findall(r'data-id="(\w+)"', text) for text in (first, second)]
        assert [len(ids) for ids in seen] == [50, 10]
        assert set(seen[0]) | set(seen[1]) == made
        assert "cursor=" not in second

    async def test_the_history_is_searched(
        self, agent: Channel, ann: httpx.AsyncClient, bob: httpx.AsyncClient
    ) -> None:
        """By words, by how it ended, by risk."""
        refund = await opened(agent, ONE, card=a_card())
        export = await opened(agent, ONE)
        waits = await opened(agent, ONE)
        await decide(ann, refund.id, "reject", comment="no")
        await decide(bob, export.id)

        async def found(query: str) -> set[str]:
            return set(re.findall(r'data-id="(\w+)"', (await ann.get(f"/history?{query}")).text))

        assert await found("") == {refund.id, export.id}
        assert await found("q=REFUND+clerk") == {refund.id}
        assert await found("ending=runs") == {export.id}
        assert await found("ending=did+not+run&risk=high") == {refund.id}
        assert await found("q=nothing") == set()
        assert waits.id not in await found("q=export")

    async def test_a_session_shows_its_other_requests_and_labels(
        self, agent: Channel, connection: Connection, ann: httpx.AsyncClient
    ) -> None:
        """And no other session's."""
        one, two = await opened(agent, ONE), await opened(agent, TWO)
        await connection.execute("SADD", agent.names.labels(one.principal.session), "untrusted")
        page = (await ann.get(f"/requests/{one.id}/session")).text
        assert set(re.findall(r'data-id="(\w+)"', page)) == {one.id, two.id}
        assert "untrusted" in page

    async def test_a_cursor_of_no_list_is_refused(self, ann: httpx.AsyncClient) -> None:
        """422, as a page."""
        reply = await ann.get("/?cursor=x")
        assert (reply.status_code, "no cursor of this list" in reply.text) == (422, True)


class TestJournal:
    """The journal on this machine."""

    KEYS = (b"j" * 32,)

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """A journal of one writer."""
        journal = Journal(tmp_path / "journal", keys=self.KEYS, policy_version="sha256:0", now_ms=now_ms)
        journal.append(
            "faulted", Faulted(component="approval", code="canary7", policy_version="sha256:0"), durable=True
        )
        journal.close()
        return tmp_path / "journal"

    async def shown(self, valkey_url: str, tenant: str, records: Records | None) -> str:
        """The page."""
        with serving(parts(valkey_url, tenant, records=records)) as base:
            async with visitor(base, "ann") as ann:
                return (await ann.get("/journal")).text

    async def test_it_is_shown_and_verified(self, valkey_url: str, tenant: str, folder: Path) -> None:
        """Newest first."""
        page = await self.shown(valkey_url, tenant, Records(directory=folder, tenant=tenant, keys=lambda: self.KEYS))
        assert "all in place" in page
        assert page.index("<td>faulted</td>") < page.index("<td>opened</td>")

    async def test_t33_a_change_is_told(self, valkey_url: str, tenant: str, folder: Path) -> None:
        """With the first bad record."""
        change(folder)
        page = await self.shown(valkey_url, tenant, Records(directory=folder, tenant=tenant, keys=lambda: self.KEYS))
        assert "Not intact: somebody changed the journal" in page
        assert "changed" in page

    async def test_t35_another_tenants_records_are_verified_and_not_shown(
        self, valkey_url: str, tenant: str, folder: Path
    ) -> None:
        """The journal of a machine has those of all; what is of nobody's calls is for everybody."""
        journal = Journal(folder, keys=self.KEYS, policy_version="sha256:0", now_ms=now_ms)
        faults = {"own": a_principal(tenant=tenant), "other": a_principal(tenant="another"), "nobody": None}
        lines = [
            Faulted(component="approval", code=f"code-{name}", policy_version="sha256:0", principal=principal)
            for name, principal in faults.items()
        ]
        erased = {"by": "x", "named_by": "session", "named": "n", "tokens": 1, "sessions": 1, "unreadable": 0}
        written = [
            *(("faulted", line) for line in lines),
            ("erased", Erased.model_validate({"tenant": "another", **erased})),
        ]
        kept = [journal.append(kind, line, durable=True) for kind, line in written]
        journal.close()
        page = await self.shown(valkey_url, tenant, Records(directory=folder, tenant=tenant, keys=lambda: self.KEYS))
        assert len(kept) == 4
        assert "all in place" in page
        assert ["code-own" in page, "code-nobody" in page] == [True, True]
        assert ["code-other" in page, "<td>erased</td>" in page] == [False, False]

    async def test_without_its_key_nothing_is_claimed(self, valkey_url: str, tenant: str, folder: Path) -> None:
        """And without a journal it says where to look."""
        assert "Not verified" in await self.shown(
            valkey_url, tenant, Records(directory=folder, tenant=tenant, keys=lambda: None)
        )
        assert "No journal on this machine" in await self.shown(
            valkey_url, tenant, Records(directory=folder / "x", tenant=tenant, keys=lambda: None)
        )


async def test_t12_pages_load_nothing_from_elsewhere(ann: httpx.AsyncClient) -> None:
    """A strict policy, no inline script or style, and files under a version that may be kept."""
    reply = await ann.get("/")
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?! src=\"/static/)|<style|style=|\son\w+=|https?://", reply.text)
    for path in re.findall(r'(?:src|href)="(/static/[^"]+)"', reply.text):
        assert "immutable" in (await ann.get(path)).headers["cache-control"]
    assert (await ann.get("/static/x/app.css")).status_code == 404


async def test_metrics_count_and_name_nobody(
    base: str, agent: Channel, ann: httpx.AsyncClient, request_: Request
) -> None:
    """Routes as templates, and how many wait."""
    await ann.get(f"/requests/{request_.id}")
    await ann.get(f"/nothing/{request_.id}")
    await decide(ann, request_.id)
    await opened(agent, ONE)
    reply = await ann.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'agentguard_decisions_total{decision="approve",outcome="taken"}' in reply.text
    assert 'route="/requests/{request_id}",status="200"' in reply.text
    assert "\nagentguard_requests_waiting 1\n" in reply.text
    assert not re.search(rf"{request_.id}|ann|nothing", reply.text)
