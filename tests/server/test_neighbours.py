"""What listens on another port of the inbox's host, such as what an agent of one's own machine just built: browsers send it the cookie."""

from __future__ import annotations

import http.server
import re
import secrets
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from playwright.sync_api import Page, expect

from agentguard.approval import Channel
from agentguard.model.approvals import Request, State
from agentguard.server.identity import Identity
from agentguard.server.local_login import LocalLogin
from agentguard.server.pace import Pace, Paces
from tests.approval.people import ONE
from tests.cards.faces import a_card
from tests.server.chromium import CHROMIUM, Scene, scene
from tests.server.serving import opened, parts, serving
from tests.server.visiting import COOKIES, decide, form, visitor

SECRET = "s" * 43
KEY = re.compile(r'data-key="([0-9a-f]{32})"')
PAGE = b"<!doctype html><title>what the agent built</title>"


@dataclass
class Neighbour:
    """A server on the same host. `cookies`: what browsers sent it."""

    url: str
    cookies: list[str] = field(default_factory=list)


@pytest.fixture
def neighbour() -> Iterator[Neighbour]:
    """One that keeps what it is sent."""
    made = Neighbour(url="")

    class Keeping(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.cookies.append(self.headers.get("cookie", ""))
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(PAGE)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keeping) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        made.url = f"http://127.0.0.1:{server.server_port}"
        yield made
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def local_base(valkey_url: str, tenant: str) -> Iterator[str]:
    """A server with a link for Ann."""
    with serving(parts(valkey_url, tenant, local=LocalLogin(person="ann", secret=SECRET))) as address:
        yield address


@pytest.fixture(scope="module")
def world(valkey_url: str) -> Iterator[Scene]:
    """A browser, and a server whose link logs Ann in."""
    with scene(valkey_url, "neighbours", local=LocalLogin(person="ann", secret=SECRET)) as made:
        yield made


@pytest.mark.anyio
class TestKey:
    """What a cookie alone is good for over plain http."""

    @pytest.fixture
    async def entered(self, local_base: str) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
        """A browser in which Ann logged in by the link, and the key that its pages then keep."""
        async with visitor(local_base, None) as client:
            reply = await client.post("/login/local", data={"secret": SECRET})
            key = KEY.search(reply.text)
            assert key is not None
            yield client, key[1]

    @pytest.fixture
    async def request_(self, agent: Channel) -> Request:
        """A request that one steward decides."""
        return await opened(agent, ONE, card=a_card())

    async def test_with_its_key_a_login_decides(
        self, entered: tuple[httpx.AsyncClient, str], agent: Channel, request_: Request
    ) -> None:
        """As ever."""
        client, key = entered
        assert (await decide(client, request_.id, key=key)).status_code == 303
        assert (await agent.read(request_.id)).state is State.APPROVED

    @pytest.mark.parametrize("shown", [None, "", "0" * 32, "\u00fc", "hash"])
    async def test_t13_a_cookie_alone_decides_nothing(
        self, entered: tuple[httpx.AsyncClient, str], agent: Channel, request_: Request, shown: str | None
    ) -> None:
        """Nor with another key, nor with the hash that stands in the cookie; the page says what to do."""
        client, _ = entered
        cookie = client.cookies["agentguard"]
        held = Identity.read(COOKIES._serializer("agentguard").loads(cookie)).key_sha256
        key = {} if shown is None else {"key": held if shown == "hash" else shown}
        replies = [await decide(client, request_.id, verb, comment="x", **key) for verb in ("approve", "reject")]
        frozen = form((await client.get("/freezes")).text, "/freezes")
        said = {"scope": "tenant", "name": "", "comment": "x"}
        replies.append(await client.post("/freezes", data=frozen | said | key))
        assert len(held) == 64
        assert [reply.status_code for reply in replies] == [403] * 3
        assert "log in again" in replies[0].text
        assert (await agent.read(request_.id)).votes == ()

    async def test_each_login_has_a_key_of_its_own(
        self, entered: tuple[httpx.AsyncClient, str], local_base: str, agent: Channel, request_: Request
    ) -> None:
        """That of one is none of another's."""
        _, key = entered
        async with visitor(local_base, None) as other:
            own = KEY.search((await other.post("/login/local", data={"secret": SECRET})).text)
            reply = await decide(other, request_.id, key=key)
        assert own is not None
        assert own[1] != key
        assert reply.status_code == 403

    async def test_who_lost_the_key_can_log_out(self, entered: tuple[httpx.AsyncClient, str]) -> None:
        """It harms nobody."""
        client, _ = entered
        fields = form((await client.get("/")).text, "/logout")
        assert (await client.post("/logout", data=fields)).headers["location"] == "/login"
        assert (await client.get("/session")).status_code == 401

    async def test_over_https_there_is_none(self, valkey_url: str, tenant: str) -> None:
        """No other port has that cookie, unless it has the host's certificate; and pages work without a script."""
        made = parts(
            valkey_url, tenant, local=LocalLogin(person="ann", secret=SECRET), is_https=True, has_neighbours=False
        )
        with serving(made) as base:
            async with visitor(base, None) as client:
                reply = await client.post("/login/local", data={"secret": SECRET})
        assert not KEY.search(reply.text)
        cookie = reply.cookies["__Host-agentguard"]
        assert Identity.read(COOKIES._serializer("agentguard").loads(cookie)).key_sha256 == ""


@pytest.mark.anyio
class TestAsking:
    """A neighbour's page makes the browser ask, with the cookie."""

    @pytest.mark.parametrize("path", ["/", "/live", "/history?q=x", "/session", "/requests/" + "f" * 32])
    @pytest.mark.parametrize(
        "headers",
        [
            {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
            {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"},
            {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
            {"sec-fetch-site": "same-site"},
        ],
        ids=["an image", "a fetch", "a frame", "nothing more"],
    )
    async def test_t12_it_is_answered_like_nobody(self, base: str, path: str, headers: dict[str, str]) -> None:
        """Whatever the page is."""
        async with visitor(base, "ann") as ann:
            reply = await ann.get(path, headers=headers)
        assert (reply.status_code, reply.headers.get("location", "/login").partition("?")[0]) in {
            (303, "/login"),
            (401, "/login"),
        }

    async def test_t12_it_uses_up_nothing_of_what_its_person_may(self, valkey_url: str) -> None:
        """Else any page could keep people out of the inbox for as long as it is open."""
        paces = Paces(reading=Pace(per_minute=1, burst=3))
        elsewhere = {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}
        with serving(parts(valkey_url, f"tenant-{secrets.token_hex(6)}", paces=paces)) as base:
            async with visitor(base, "ann") as ann:
                asked = [await ann.get("/", headers=elsewhere) for _ in range(6)]
                sent = [await ann.post("/freezes", data={"form": "x"}, headers=elsewhere) for _ in range(6)]
                own = await ann.get("/")
        assert ({reply.status_code for reply in asked}, {reply.status_code for reply in sent}) == ({303}, {403})
        assert own.status_code == 200

    @pytest.mark.parametrize("site", ["same-origin", "none", "same-site"])
    async def test_who_goes_there_is_let_in(self, base: str, site: str) -> None:
        """By a link of a neighbour's page too."""
        headers = {"sec-fetch-site": site, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
        async with visitor(base, "ann") as ann:
            assert (await ann.get("/", headers=headers)).status_code == 200


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no Chromium at {CHROMIUM}")
class TestBrowser:
    """In a real Chromium."""

    def entered(self, page: Page) -> None:
        """Open the link, and press its button."""
        page.goto(f"/login/local#{SECRET}")
        page.get_by_role("button", name="Log in as ann").click()
        expect(page.get_by_role("heading", name="Waiting for a decision")).to_be_visible()

    def test_t13_a_neighbour_has_the_cookie_and_decides_nothing_and_its_person_does(
        self, world: Scene, neighbour: Neighbour
    ) -> None:
        """On the page that shows the request, with the form that the page would send."""
        request = world.ask(ONE, card=a_card())
        path = f"/requests/{request.id}"
        with world.screen(None) as context:
            page = context.new_page()
            self.entered(page)
            page.goto(neighbour.url)
            with httpx.Client(base_url=world.base, trust_env=False, headers={"cookie": neighbour.cookies[0]}) as thief:
                shown = thief.get(path)
                sent = thief.post(f"{path}/approve", data=form(shown.text, f"{path}/approve"))
            kept = page.evaluate("localStorage.length")
            untouched = world.do(world.agent.read, request.id).votes
            page.goto(path)
            page.locator(".decide:not(.held) #approve").click()
            expect(page.locator(".status")).to_have_text("Approved by ann; not run yet")
        assert (shown.status_code, sent.status_code, kept, untouched) == (200, 403, 0, ())

    def test_t12_a_neighbours_page_reads_nothing_and_frames_nothing(self, world: Scene, neighbour: Neighbour) -> None:
        """It has no answer, no event and no frame."""
        world.ask(ONE, card=a_card())
        with world.screen(None) as context:
            page = context.new_page()
            self.entered(page)
            page.goto(neighbour.url)
            found = page.evaluate(
                """async (base) => {
                  const read = fetch(base + "/", { credentials: "include" }).then((reply) => reply.text()).catch(() => "");
                  const heard = new Promise((done) => { const source = new EventSource(base + "/live", { withCredentials: true });
                    source.onopen = () => done("open"); source.onerror = () => { source.close(); done(""); }; });
                  const frame = document.createElement("iframe"); frame.src = base + "/"; document.body.append(frame);
                  await new Promise((done) => { frame.onload = done; setTimeout(done, 2000); });
                  return [await read, await heard, frame.contentDocument === null]; }""",
                world.base,
            )
        assert found == ["", "", True]

    def test_without_a_script_a_decision_says_what_it_needs(self, world: Scene) -> None:
        """Rather than nothing."""
        request = world.ask(ONE, card=a_card())
        with world.screen(None) as context:
            page = context.new_page()
            self.entered(page)
            page.goto(f"/requests/{request.id}")
            page.evaluate("localStorage.clear()")
            page.locator(".decide:not(.held) #approve").click()
            expect(page.locator("main")).to_contain_text("let the script run, and log in again")
        assert world.do(world.agent.read, request.id).state is State.PENDING
