"""The door of the API: every route, every method, every kind of body."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from agentguard.approval import Channel, Roster
from agentguard.model.approvals import Request, State
from agentguard.server.app import create_app
from agentguard.server.door import BODY_BYTES_MAX, Door
from agentguard.store.redis import Connection
from tests.approval.server import Server
from tests.server.serving import TOKENS, agents_side, caller, opened, parts, serving
from tests.server.visiting import visitor

pytestmark = pytest.mark.anyio

METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"]
SAFE = ["GET", "HEAD", "OPTIONS"]
ALL_PATHS = sorted(create_app(parts("unix:///nowhere", "nobody")).openapi()["paths"])
PATHS = [path for path in ALL_PATHS if path.startswith("/api/")]
BOTS = ["Slackbot-LinkExpanding 1.0", "Mozilla/5.0 (compatible; Microsoft Safe Links)", "facebookexternalhit/1.1"]
HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff", "x-frame-options": "DENY"}
CARD = "4111 1111 1111 1111"
HIDDEN = [
    "/docs",
    "/redoc",
    "/openapi.json",
    "/api",
    "/api/",
    "/api/v1",
    "/api/v1/",
    "/api/v1/openapi.json",
    "/api/v2/requests",
]


def filled(path: str, request: Request) -> str:
    """A route's path with the id of a request that waits."""
    return path.replace("{request_id}", request.id).replace("{freeze_id}", "f" * 32)


async def everything(connection: Connection, agent: Channel) -> dict[bytes, bytes]:
    """All that the tenant has in Redis, but for how often whom has called."""
    prefix = agent.names.events.removesuffix("events")
    keys = await connection.execute("KEYS", prefix + "*")
    counts = f"{prefix}pace:".encode()
    return {key: await connection.execute("DUMP", key) for key in sorted(keys) if not key.startswith(counts)}


async def raw(base: str, *parts: bytes) -> bytes:
    """What the server answers to these bytes, until it hangs up or says nothing more."""
    host, port = base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for part in parts:
        writer.write(part)
        await writer.drain()
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 15)
    writer.close()
    return answer


@pytest.fixture
async def request_(agent: Channel) -> AsyncIterator[Request]:
    """A request that waits, and that nobody decided when the test ends."""
    request = await opened(agent)
    yield request
    stored = await agent.read(request.id)
    assert (stored.state, stored.votes) == (State.PENDING, ())


class TestRoutes:
    """All routes that there are."""

    def test_the_routes_are_these(self) -> None:
        """A new one must be looked at here."""
        assert ALL_PATHS == [
            "/api/v1/decisions",
            "/api/v1/freezes",
            "/api/v1/freezes/{freeze_id}/lift",
            "/api/v1/grants",
            "/api/v1/grants/{request_id}/revoke",
            "/api/v1/requests",
            "/api/v1/requests/{request_id}",
            "/api/v1/requests/{request_id}/approve",
            "/api/v1/requests/{request_id}/ballot",
            "/api/v1/requests/{request_id}/edit",
            "/api/v1/requests/{request_id}/reject",
            "/api/v1/requests/{request_id}/settle",
            "/webhooks/decisions",
        ]

    async def test_t9_where_outside_systems_decide_nobody_does_without_a_signature(
        self, nobody: httpx.AsyncClient, ann: httpx.AsyncClient, request_: Request
    ) -> None:
        """With a whole decision in the body, whoever sends it, by whatever method; a token is no signature."""
        body = {"request": request_.id, "decision": "approve", "card_digest": request_.card.digest()}
        replies = [await who.post("/webhooks/decisions", json=body) for who in (nobody, ann)]
        others = [await ann.request(each, "/webhooks/decisions", json=body) for each in METHODS if each != "POST"]
        assert {(reply.status_code, reply.json()["code"]) for reply in replies} == {(401, "not_signed")}
        assert {reply.status_code for reply in others} == {405}

    def test_every_route_under_api_is_documented(self) -> None:
        """None is hidden from the tests that go through them."""
        app = create_app(parts("unix:///nowhere", "nobody"))
        others = {getattr(route, "path", None) for route in app.routes}
        assert others <= {None, "/api/v1/openapi.json"}

    @pytest.mark.parametrize("path", [*PATHS, "/api", "/api/", "/api/v1/openapi.json", "/api/v1/nothing"])
    async def test_t9_without_a_token_every_route_is_a_401(
        self, nobody: httpx.AsyncClient, request_: Request, path: str
    ) -> None:
        """Before method, path or body are looked at."""
        replies = [await nobody.request(each, filled(path, request_), content=b"{" * 100) for each in METHODS]
        assert {reply.status_code for reply in replies} == {401}
        assert {reply.headers["content-type"] for reply in replies} == {"application/problem+json"}

    @pytest.mark.parametrize("path", [*ALL_PATHS, "/healthz", "/readyz"])
    async def test_t11_reading_changes_nothing(
        self, agent: Channel, connection: Connection, ann: httpx.AsyncClient, request_: Request, path: str
    ) -> None:
        """With a token and a whole decision in the body, as a link scanner or a browser would send it."""
        # given
        before = await everything(connection, agent)
        body = json.dumps({"card_digest": request_.card.digest()})

        # when
        replies = [
            await ann.request(
                method,
                filled(path, request_),
                headers={"user-agent": bot, "content-type": "application/json", "x-http-method-override": "POST"},
                content=body,
            )
            for bot in BOTS
            for method in SAFE
        ]

        # then
        assert {reply.status_code for reply in replies} <= {200, 405}
        assert await everything(connection, agent) == before

    @pytest.mark.parametrize("verb", ["approve", "reject"])
    async def test_t11_a_decision_is_no_link(self, ann: httpx.AsyncClient, request_: Request, verb: str) -> None:
        """405, and which method it would be."""
        query = f"?card_digest={request_.card.digest()}&_method=POST"
        reply = await ann.get(f"/api/v1/requests/{request_.id}/{verb}{query}")
        assert (reply.status_code, reply.headers["allow"]) == (405, "POST")
        assert reply.json()["code"] == "method_not_allowed"

    @pytest.mark.parametrize("path", HIDDEN)
    async def test_there_are_no_pages(self, nobody: httpx.AsyncClient, path: str) -> None:
        """No documentation that loads scripts, and the description of the API is for those who may use it."""
        assert (await nobody.get(path)).status_code in {401, 404}

    @pytest.mark.parametrize(
        "path", ["/api/v1/openapi.json", "/healthz", "/nothing", "/api/v1/requests", "/api/v1/requests/x"]
    )
    async def test_t12_every_reply_has_the_security_headers(self, ann: httpx.AsyncClient, path: str) -> None:
        """Errors too: nothing is cached, framed or sniffed."""
        headers = (await ann.get(path)).headers
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers
        assert not [name for name in headers if name.startswith("access-control")]

    @pytest.mark.parametrize(("is_https", "told"), [(True, "max-age=31536000"), (False, None)])
    async def test_t12_behind_a_proxy_with_tls_browsers_are_told_to_stay_with_https(
        self, valkey_url: str, tenant: str, is_https: bool, told: str | None
    ) -> None:
        """Though the proxy speaks http to it; where people come by http they are not."""
        with serving(parts(valkey_url, tenant, is_https=is_https)) as base:
            async with visitor(base, None) as anybody:
                replies = [await anybody.get(path) for path in ("/login", "/nothing", "/api/v1/requests")]
        assert [reply.headers.get("strict-transport-security") for reply in replies] == [told] * 3

    async def test_t14_a_route_that_the_door_did_not_guard_lets_nobody_in(self, valkey_url: str, tenant: str) -> None:
        """Were the door taken away, nobody would be somebody."""
        app = create_app(parts(valkey_url, tenant))
        app.user_middleware = [one for one in app.user_middleware if one.cls is not Door]
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                reply = await client.get("/api/v1/requests", headers={"authorization": f"Bearer {TOKENS['ann']}"})
        assert reply.status_code == 401

    @pytest.mark.parametrize(("path", "word"), [("/healthz", "ok"), ("/readyz", "ready")])
    async def test_health_needs_no_token(self, nobody: httpx.AsyncClient, path: str, word: str) -> None:
        """And tells nothing but that."""
        reply = await nobody.get(path)
        assert (reply.status_code, reply.json()) == (200, {"status": word})


class TestBodies:
    """What a decision may look like."""

    @pytest.mark.parametrize(
        "content",
        [
            b"", b"{}", b"null", b"[]", b'"x"', b"{", b"\xff\xfe", b"{'card_digest': 1}", b"[" * 60_000,
            b'{"card_digest": null}', b'{"card_digest": 1}', b'{"card_digest": ["%(digest)s"]}', b'{"card_digest": ""}',
            b'{"card_digest": "%(digest)s "}', b'{"card_digest": "%(digest)s", "comment": 1}',
            b'{"card_digest": "%(digest)s", "comment": null}', b'{"card_digest": "%(digest)s", "comment": "\\ud800"}',
            b'{"card_digest": "%(digest)s", "decision": "approve"}', b'{"card_digest": "%(digest)s"} {"x": 1}',
            b'[{"card_digest": "%(digest)s"}]', b'{"CARD_DIGEST": "%(digest)s"}',
        ],
    )  # fmt: skip
    async def test_a_body_that_is_none_decides_nothing(
        self, ann: httpx.AsyncClient, request_: Request, content: bytes
    ) -> None:
        """400 or 422 with path and rule, and never a word of what was sent."""
        # given
        sent = content.replace(b"%(digest)s", request_.card.digest().encode())

        # when
        reply = await ann.post(
            f"/api/v1/requests/{request_.id}/approve", content=sent, headers={"content-type": "application/json"}
        )

        # then
        assert reply.status_code in {400, 422}
        assert reply.headers["content-type"] == "application/problem+json"
        assert request_.card.digest() not in reply.text

    @pytest.mark.parametrize(
        ("path", "content"),
        [
            ("requests/{id}/approve", b'{"card_digest": "%(other)s", "card_digest": "%(digest)s"}'),
            ("requests/{id}/approve", b'{"card_digest": "%(digest)s", "card\\u005fdigest": "%(digest)s"}'),
            ("requests/{id}/edit", b'{"card_digest": "%(digest)s", "changes": {"limit": 1, "limit": 9000}}'),
            ("decisions", b'{"decision": "reject", "decision": "approve", "cards": {"%(id)s": "%(digest)s"}}'),
        ],
        ids=["a field", "written in two ways", "deep in it", "a decision"],
    )
    async def test_t1_a_body_that_gives_one_name_two_values_decides_nothing(
        self, ann: httpx.AsyncClient, request_: Request, path: str, content: bytes
    ) -> None:
        """What a proxy or a log reads of it could be the other one."""
        names = {"digest": request_.card.digest(), "other": "0" * 64, "id": request_.id}
        sent = content % {name.encode(): value.encode() for name, value in names.items()}
        where = f"/api/v1/{path.format(id=request_.id)}"
        reply = await ann.post(where, content=sent, headers={"content-type": "application/json"})
        assert (reply.status_code, reply.json()["code"]) == (400, "said_twice")

    async def test_t26_what_was_sent_does_not_come_back(self, ann: httpx.AsyncClient, request_: Request) -> None:
        """Not a value, and not a name that is more than a name."""
        body = {"card_digest": "canary-1", "canary 2 +1-202-555-0147": 1, "comment": ["canary-3"]}
        reply = await ann.post(f"/api/v1/requests/{request_.id}/approve", json=body)
        assert reply.status_code == 422
        assert "canary" not in reply.text
        assert {error["path"] for error in reply.json()["errors"]} == {"body.card_digest", "body.comment", "body.?"}

    @pytest.mark.parametrize(
        "headers",
        [
            {}, {"content-type": ""}, {"content-type": "text/plain"}, {"content-type": "application/x-www-form-urlencoded"},
            {"content-type": "multipart/form-data; boundary=x"}, {"content-type": "application/jsonx"},
            {"content-type": "application/json", "content-encoding": "gzip"},
        ],
        ids=["none", "empty", "text", "form", "multipart", "nearly", "compressed"],
    )  # fmt: skip
    async def test_t12_only_json_is_taken(
        self, ann: httpx.AsyncClient, request_: Request, headers: dict[str, str]
    ) -> None:
        """None of the kinds that a form of another site can send."""
        content = json.dumps({"card_digest": request_.card.digest()}).encode()
        reply = await ann.post(f"/api/v1/requests/{request_.id}/approve", content=content, headers=headers)
        assert reply.status_code == 415

    async def test_t9_a_body_over_the_cap_is_refused(
        self, ann: httpx.AsyncClient, base: str, request_: Request
    ) -> None:
        """413, and nobody waits for it; one at the cap is read."""
        path = f"/api/v1/requests/{request_.id}/approve"
        at = await ann.post(path, content=b" " * BODY_BYTES_MAX, headers={"content-type": "application/json"})
        over = await raw(base, _head(request_, f"content-length: {BODY_BYTES_MAX + 1}"))
        assert at.status_code == 400
        assert over.startswith(b"HTTP/1.1 413 ")

    async def test_t9_ten_megabytes_are_not_read(self, base: str, request_: Request) -> None:
        """The answer is there before the body is."""
        head = _head(request_, "content-length: 10485760")
        assert (await raw(base, head, b"{")).startswith(b"HTTP/1.1 413 ")

    async def test_t9_a_body_without_a_length_is_counted(self, base: str, request_: Request) -> None:
        """Chunked, and each chunk harmless: two make the cap, and one byte more is over it."""
        chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
        head = _head(request_, "transfer-encoding: chunked")
        assert (await raw(base, head, chunk, chunk, b"1\r\n \r\n")).startswith(b"HTTP/1.1 413 ")

    @pytest.mark.parametrize("length", ["-1", "x", "1e3", "9" * 40, "1, 2"])
    async def test_t9_a_length_that_is_none_is_refused(self, base: str, request_: Request, length: str) -> None:
        """By whoever sees it first."""
        answer = await raw(base, _head(request_, f"content-length: {length}"), b"{}")
        assert answer.split()[1] in {b"400", b"413"}

    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_t9_a_request_whose_length_is_told_in_two_ways_is_refused(self, base: str, method: str) -> None:
        """A proxy that believes the other one would take what follows for somebody else's; nothing of it is answered."""
        second = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
        lines = f"{method} /login/local HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n"
        lengths = f"content-length: {5 + len(second)}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
        host, port = base.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(lines.encode() + lengths.encode() + second)
        answer = await asyncio.wait_for(reader.read(), 15)
        writer.close()
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.count(b"HTTP/1.1") == 1

    async def test_t9_no_more_is_taken_where_slack_sends_no_presses(self, base: str) -> None:
        """Nobody is known there before all of it was read."""
        lines = [
            "POST /slack/interactions HTTP/1.1",
            "host: x",
            "content-type: application/x-www-form-urlencoded",
            f"content-length: {BODY_BYTES_MAX + 1}",
        ]
        answer = await raw(base, ("\r\n".join(lines) + "\r\n\r\n").encode())
        assert answer.startswith(b"HTTP/1.1 413 ")

    async def test_t9_without_a_token_no_body_is_waited_for(self, base: str, request_: Request) -> None:
        """The head alone is answered."""
        head = _head(request_, "content-length: 100", token="agt_" + "x" * 43)
        assert (await raw(base, head)).startswith(b"HTTP/1.1 401 ")


class TestFaults:
    """Redis goes, and comes back; a part breaks."""

    async def test_a_part_that_ended_makes_it_not_ready(self, valkey_url: str, tenant: str) -> None:
        """A server that tells nobody of deadlines is to be restarted."""
        # given
        app = create_app(parts(valkey_url, tenant))
        async with app.router.lifespan_context(app):
            app.state.office.at_work[0].cancel()
            await asyncio.wait(app.state.office.at_work[:1])

            # when
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
                reply = await client.get("/readyz")

        # then
        assert reply.status_code == 503

    @pytest.mark.parametrize("accept", ["text/html", "application/json"])
    @pytest.mark.parametrize("path", ["/", "/freezes", "/api/v1/requests", "/live"])
    async def test_t26_what_nobody_expected_is_a_reply_like_any_other_and_its_text_is_nowhere(
        self, valkey_url: str, tenant: str, caplog: pytest.LogCaptureFixture, path: str, accept: str
    ) -> None:
        """With all headers, on a connection that goes on; the log says where it happened, and not the value in it."""

        def broken() -> Roster:
            raise ZeroDivisionError(CARD)

        with serving(parts(valkey_url, tenant, roster=broken)) as base:
            async with visitor(base, "ann") as ann:
                headers = {"accept": accept, "authorization": f"Bearer {TOKENS['ann']}"}
                first, second = [await ann.get(path, headers=headers) for _ in range(2)]
                counted = (await ann.get("/metrics")).text
        assert (first.status_code, second.status_code) == (500, 500)
        assert {name: first.headers.get(name) for name in HEADERS} == HEADERS
        assert "frame-ancestors 'none'" in first.headers["content-security-policy"]
        assert 'status="500"} 2' in counted
        assert "ZeroDivisionError" in caplog.text
        assert "in broken" in caplog.text
        assert CARD not in caplog.text + first.text

    async def test_t5_without_redis_nothing_is_decided_and_it_recovers_alone(self) -> None:
        """503 for decisions and readiness; the process lives, and is ready again when Redis is."""
        # given
        server = Server()
        server.start()
        try:
            with serving(parts(server.url, "acme")) as base:
                async with caller(base, "ann") as ann:
                    connection = await Connection.open(server.url)
                    agent = agents_side(connection, "acme")
                    request = await opened(agent)
                    path, body = f"/api/v1/requests/{request.id}/approve", {"card_digest": request.card.digest()}

                    # when
                    server.kill()
                    away = [await ann.post(path, json=body), await ann.get("/readyz"), await ann.get("/healthz")]
                    server.start()
                    back = [await ann.get("/readyz"), await ann.post(path, json=body)]
                    await connection.close()
        finally:
            server.remove()

        # then
        assert [reply.status_code for reply in away] == [503, 503, 200]
        assert away[0].headers["retry-after"] == "5"
        assert [reply.status_code for reply in back] == [200, 200]


def _head(request: Request, *headers: str, token: str = TOKENS["ann"]) -> bytes:
    lines = [
        f"POST /api/v1/requests/{request.id}/approve HTTP/1.1",
        "host: agentguard",
        f"authorization: Bearer {token}",
        "content-type: application/json",
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
