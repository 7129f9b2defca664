"""The web inbox in a real Chromium."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import APIResponse, Page, Route, expect

from agentguard.config import read_roster
from agentguard.guard.pipeline import Guard
from agentguard.model.approvals import Held, Offer, State
from tests.approval.people import KEYS, ONE, TWO
from tests.cards.faces import a_card
from tests.guard.world import World
from tests.server.chromium import CHROMIUM, Scene, scene
from tests.server.conftest import SIGNERS
from tests.server.serving import parts, serving
from tests.server.test_pages import XSS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no Chromium at {CHROMIUM}"),
]

OFFER = Offer(
    seconds=14_400,
    uses=3,
    session=False,
    held=(Held(path="amount", how="at_most", shown="1420", most="1420"),),
    tool_digest="t",
    clause="c",
)
PHONE = {"width": 360, "height": 740}
NOTE_WHAT_ROWS_SAID = """
const rows = document.querySelector("#rows"), said = document.documentElement.dataset;
new MutationObserver(() => { said.said = rows.textContent || said.said; })
  .observe(rows, {childList: true, subtree: true, characterData: true});
"""

HEARD = """
() => new Promise((connected) => {
  const source = new EventSource("/live");
  window.heard = new Promise((done) => source.addEventListener("request", () => { source.close(); done(); }));
  source.onopen = () => connected();
})
"""


@pytest.fixture(scope="module")
def world(valkey_url: str) -> Iterator[Scene]:
    """One server and one browser for all."""
    with scene(valkey_url, "browsers") as made:
        yield made


@pytest.fixture(autouse=True)
def empty(world: Scene) -> None:
    """Each test begins with nothing in the tenant."""

    async def clear() -> None:
        connection, prefix = world.agent.connection, world.agent.names.events.removesuffix("events")
        keys = await connection.execute("KEYS", prefix + "*")
        await connection.execute("DEL", "nothing", *(key for key in keys if not key.endswith(b":events")))

    world.portal.call(clear)


def live(page: Page, path: str = "/") -> Page:
    """The page, once it hears what happens."""
    page.goto(path)
    page.wait_for_selector("body[data-connected]")
    return page


expect.set_options(timeout=20_000)
"""As long as a click may take: machines are shared."""


def ready(page: Page) -> Page:
    """The page, once a tap on its card counts: 0.7 seconds after the card last changed."""
    page.wait_for_selector(".decide:not(.held)")
    return page


def test_a_person_logs_in_by_their_provider_and_a_stranger_does_not(world: Scene) -> None:
    """From the link in a message to the page that it named."""
    request = world.ask(ONE, card=a_card())
    with world.screen(None) as context:
        page = context.new_page()
        page.goto(f"/requests/{request.id}")
        page.get_by_role("link", name="Log in with your organisation").click()
        page.locator("input[name=sub]:not([type=hidden])").fill("1")
        page.locator("form:has(input[name=sub]:not([type=hidden])) button").first.click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Refund 1,420.00 EUR to order 1042")
        assert page.url == f"{world.base}/requests/{request.id}"
        page.get_by_role("button", name="Log out").click()
        page.get_by_role("link", name="Log in with your organisation").click()
        page.locator("input[name=sub]:not([type=hidden])").fill("2")
        page.locator("form:has(input[name=sub]:not([type=hidden])) button").first.click()
        expect(page.get_by_role("alert")).to_contain_text("approvers.yaml lists nobody")


def test_a_request_appears_and_goes_without_a_reload(world: Scene) -> None:
    """The page that was opened first is still the same."""
    with world.screen("ann") as context:
        page = live(context.new_page())
        page.evaluate("window.mark = 1")
        expect(page.get_by_text("Nothing waits.")).to_be_visible()
        request = world.ask(ONE, card=a_card())
        row = page.locator(f"#r-{request.id}")
        expect(row).to_contain_text("Refund 1,420.00 EUR to order 1042")
        expect(page.locator("#count")).to_have_text("1")
        expect(row).to_contain_text("left")
        page.evaluate(NOTE_WHAT_ROWS_SAID)  # a row that ended goes by itself, maybe before a busy machine has looked
        world.do(world.agent.withdraw, request.id, "the waiting call was cancelled")
        expect(page.locator("html")).to_have_attribute("data-said", re.compile("Did not run: taken back"))
        assert page.evaluate("window.mark") == 1


def test_t4_what_comes_while_the_list_is_read_anew_is_not_lost(world: Scene) -> None:
    """The list that a screen reads when it connects may be older than what it was told meanwhile."""
    held: list[tuple[Route, APIResponse]] = []
    with world.screen("ann") as context:
        page = context.new_page()
        page.goto("/history")
        page.route(
            f"{world.base}/",
            lambda route: (
                held.append((route, route.fetch()))
                if "x-agentguard-part" in route.request.headers
                else route.continue_()
            ),
        )
        live(page)
        expect(page.locator("body")).to_have_attribute("data-connected", "1")
        page.evaluate(HEARD)
        request = world.ask(ONE, card=a_card())
        page.evaluate("window.heard")
        for route, answer in held:
            route.fulfill(response=answer)
        expect(page.locator(f"#r-{request.id}")).to_be_visible()


def test_two_people_approve_in_two_browsers_and_each_sees_the_other(world: Scene) -> None:
    """A quorum of two; the first one's page follows, and at the end says that it ran."""
    request = world.ask(TWO, card=a_card())
    path = f"/requests/{request.id}"
    with world.screen("ann") as one, world.screen("bob") as two:
        ann, bob = live(one.new_page(), path), live(two.new_page(), path)
        ready(ann).get_by_role("button", name="Approve: Refund 1,420.00 EUR to order 1042").click()
        expect(ann.get_by_text("You approved this. It waits for others.")).to_be_visible()
        expect(bob.locator(".votes")).to_contain_text("ann approved")
        ready(bob).get_by_role("button", name="Approve: Refund").click()
        expect(ann.locator(".status")).to_have_text("Approved by ann, bob; not run yet")
        stored = world.do(world.agent.read, request.id)
        world.do(world.agent.redeem, stored, "fence")
        world.do(world.agent.finish, request.id, "fence", State.DONE)
        expect(ann.locator(".status")).to_contain_text("Ran ")
        expect(bob.locator(".decide")).to_have_count(0)


def test_a_rejection_carries_its_reason(world: Scene) -> None:
    """By keyboard: `r` opens the reason."""
    request = world.ask(TWO, card=a_card())
    with world.screen("bob") as context:
        page = live(context.new_page(), f"/requests/{request.id}")
        page.keyboard.press("r")
        expect(page.locator("#reason")).to_be_focused()
        page.keyboard.type("Not twice")
        ready(page).get_by_role("button", name="Reject", exact=True).click()
        expect(page.locator(".status")).to_have_text("Did not run: rejected by bob: Not twice")
    assert world.do(world.agent.read, request.id).resolution.comment == "Not twice"


def test_the_list_and_approve_work_by_keyboard(world: Scene) -> None:
    """`j`, Enter, `a`, Enter; the row that `j` chose stays chosen when the list is read anew."""
    request = world.ask(ONE, card=a_card())
    with world.screen("ann") as context:
        page = live(context.new_page())
        page.keyboard.press("j")
        page.evaluate("inboxAnew()")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/requests/{request.id}")
        ready(page).keyboard.press("a")
        expect(page.locator("#approve")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator(".status")).to_have_text("Approved by ann; not run yet")


def test_a_tap_right_after_a_change_of_the_card_does_nothing(world: Scene) -> None:
    """It was meant for what stood there before; later it counts."""
    request = world.ask(TWO, card=a_card())
    with world.screen("ann") as one, world.screen("bob") as two:
        ann, bob = live(one.new_page(), f"/requests/{request.id}"), live(two.new_page(), f"/requests/{request.id}")
        ann.evaluate(
            """() => {
               const page = document.documentElement.dataset, live = document.getElementById("live");
               new MutationObserver(() => { page.told = live.textContent || page.told; }).observe(live, { childList: true });
               new MutationObserver(() => { const button = document.getElementById("approve");
                 if (button && !page.tapped) { page.tapped = 1; button.click(); } })
                 .observe(document.getElementById("main"), { childList: true }); }"""
        )
        ready(bob).locator("#approve").click()
        expect(ann.locator("html")).to_have_attribute("data-tapped", "1")
        expect(ann.locator("html")).to_have_attribute("data-told", re.compile("look again, then decide"))
        assert world.do(world.agent.read, request.id).state is State.PENDING
        ready(ann).locator("#approve").click()
        expect(ann.locator(".status")).to_have_text("Approved by ann, bob; not run yet")


@pytest.fixture
def other_site(world: Scene) -> Iterator[str]:
    """A page on another site whose form goes to ours, and sends itself."""

    class FormPage(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = (
                f'<form method="post" action="{world.base}{self.path}"><input name="form" value="x">'
                f'<input name="card_digest" value="x"></form><script>document.forms[0].submit()</script>'
            ).encode()
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), FormPage) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


def test_t12_a_form_on_another_site_decides_nothing_and_no_frame_shows_ours(world: Scene, other_site: str) -> None:
    """In a browser in which Ann is logged in."""
    request = world.ask(ONE, card=a_card())
    with world.screen("ann") as context:
        page = context.new_page()
        with page.expect_response(f"{world.base}/requests/{request.id}/approve") as sent:
            page.goto(f"{other_site}/requests/{request.id}/approve")
        assert sent.value.status in (401, 403)
        page.goto(f"{world.base}/history")
        framed = page.evaluate(
            """async (url) => { const frame = document.createElement("iframe"); frame.src = url; document.body.append(frame);
               await new Promise((done) => { frame.onload = done; setTimeout(done, 400); });
               try { return frame.contentDocument ? frame.contentDocument.body.innerText : ""; } catch { return "refused"; } }""",
            f"/requests/{request.id}",
        )
        assert "Refund" not in framed
    assert world.do(world.agent.read, request.id).state is State.PENDING


def test_t16_what_an_agent_writes_runs_nowhere(world: Scene) -> None:
    """Not when the page is opened, and not when it comes live."""
    hostile = dict.fromkeys(("title", "agent", "user", "says", "asked", "deployment", "tool"), XSS)
    card = a_card({XSS: XSS}, oddities=(XSS,), reasons=(XSS,)).model_copy(update=hostile)
    with world.screen("ann") as context:
        page = context.new_page()
        said: list[str] = []
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda message: said.append(message.text))
        live(page)
        request = world.ask(TWO, card=card)
        expect(page.locator(f"#r-{request.id}")).to_contain_text("<script>alert(1)</script>")
        live(page, f"/requests/{request.id}")
        with world.screen("bob") as other:
            bob = live(other.new_page(), f"/requests/{request.id}")
            ready(bob).locator("#approve").click()
        expect(page.locator(".votes")).to_contain_text("bob approved")
        assert page.locator("main script, main img, main a[href^='javascript']").count() == 0
    assert said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone_in_light_and_dark_and_axe_finds_nothing_serious(world: Scene, scheme: str) -> None:
    """No sideways scrolling at 360 pixels, buttons for a thumb, paper or ink behind, and WCAG AA as axe-core sees it."""
    long = world.ask(ONE, card=a_card({"command": "x" * 3000, "to": "a" * 200}, title="Run " + "y" * 150))
    request = world.ask(TWO, card=a_card(grant=OFFER))
    over = world.ask(ONE, card=a_card())
    turn = [world.ask(ONE, card=a_card(title="Run " + "z" * 90), turn="f" * 32) for _ in range(2)]
    world.do(world.agent.withdraw, over.id, "x")
    paths = [
        "/",
        f"/requests/{request.id}",
        f"/requests/{long.id}?whole=1",
        "/history",
        "/journal",
        f"/requests/{long.id}/session",
        f"/requests/{turn[0].id}/turn",
        "/freezes",
        "/grants",
    ]
    with world.screen("ann", viewport=PHONE, color_scheme=scheme, has_touch=True) as context:
        page = context.new_page()
        for path in paths:
            page.goto(path)
            page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true })")
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, path
            small = page.evaluate(
                "[...document.querySelectorAll('.decide button, .decide .button')]"
                ".filter((each) => each.checkVisibility() && each.getBoundingClientRect().height < 44).length"
            )
            assert small == 0, path
            paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert paper == ("rgb(246, 246, 243)" if scheme == "light" else "rgb(18, 19, 22)")
            found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
            serious = [each for each in found.response["violations"] if each["impact"] in ("serious", "critical")]
            assert [(path, each["id"], [node["target"] for node in each["nodes"]][:3]) for each in serious] == []


def test_what_somebody_opened_and_typed_stays_when_the_card_changes(world: Scene) -> None:
    """More stays open, a reason that is half written stays, and the cursor in it."""
    request = world.ask(TWO, card=a_card())
    with world.screen("ann") as one, world.screen("bob") as two:
        ann, bob = live(one.new_page(), f"/requests/{request.id}"), live(two.new_page(), f"/requests/{request.id}")
        ann.get_by_text("More", exact=True).click()
        expect(ann.get_by_text("What it did before")).to_be_visible()
        ann.keyboard.press("r")
        ann.keyboard.type("Not twice, because")
        ready(bob).locator("#approve").click()
        expect(ann.locator(".votes")).to_contain_text("bob approved")
        expect(ann.get_by_text("What it did before")).to_be_visible()
        expect(ann.locator("#reason")).to_be_focused()
        ann.keyboard.type(" it was paid")
        expect(ann.locator("#reason")).to_have_value("Not twice, because it was paid")
        ready(ann).get_by_role("button", name="Reject", exact=True).click()
        expect(ann.locator(".status")).to_have_text("Did not run: rejected by ann: Not twice, because it was paid")


def test_the_calls_of_a_turn_are_one_row_and_one_card(world: Scene) -> None:
    """They come together live; one is rejected by its id, elsewhere; then all that wait are approved by one press."""
    with world.screen("ann") as one, world.screen("bob") as two:
        inbox = live(one.new_page())
        cards = [a_card(title=f"Refund order {number}", risk="medium") for number in range(3)]
        requests = [world.ask(ONE, card=card, turn="e" * 32) for card in cards]
        expect(inbox.locator("#rows .row")).to_have_count(1)
        expect(inbox.locator("#rows .row")).to_contain_text("3 calls in one turn")
        expect(inbox.locator("#count")).to_have_text("3")
        inbox.locator("#rows a").click()
        ann = inbox
        ann.wait_for_selector("body[data-connected]")
        bob = live(two.new_page(), f"/requests/{requests[0].id}/turn")
        item = bob.locator(f"#i-{requests[0].id}")
        ready(bob).keyboard.press("j")
        expect(item.get_by_role("link", name="Refund order 0")).to_be_focused()
        bob.keyboard.press("r")
        expect(bob.locator("#reason")).to_be_focused()
        item.get_by_text("Reject…").click()
        item.get_by_label("Reason").fill("Not this one")
        item.get_by_role("button", name="Reject", exact=True).click()
        expect(ann.locator(f"#i-{requests[0].id} .status")).to_have_text("Did not run: rejected by bob: Not this one")
        ready(ann).get_by_role("button", name="Approve all 2").click()
        expect(ann.locator(".card > .status")).to_have_text("All are decided")
        expect(bob.locator(".card > .status")).to_have_text("All are decided")
    states = [world.do(world.agent.read, request.id).state for request in requests]
    assert states == [State.REJECTED, State.APPROVED, State.APPROVED]


def test_an_argument_is_edited_and_what_was_approved_then_runs(world: Scene, state_dir: Path, tenant: str) -> None:
    """With a real guard on the agent's side; the open page follows, and shows what changed."""
    agents = World(folder=state_dir, redis_url=world.valkey_url, tenant=tenant)
    with (agents.policies / "approvers.yaml").open("a") as file:
        file.write(SIGNERS.format(key=KEYS["inbox"].public))

    async def refund(guard: Guard) -> None:
        with guard.session(user="ann@acme.example", asked="Refund 80 for order 1042"):
            await agents.call(guard, "refund", order_id=1042, amount=80.0)

    made = parts(world.valkey_url, tenant, roster=lambda: read_roster(agents.policies))
    with serving(made) as base, agents.open() as guard:
        call = world.portal.start_task_soon(refund, guard)
        (request,) = world.portal.call(agents.waiting)
        with world.screen("bob", base=base) as context:
            page = live(context.new_page(), f"/requests/{request}")
            ready(page).get_by_text("More", exact=True).click()
            page.get_by_text("Change an argument before approving").click()
            page.get_by_label("Argument").select_option("amount")
            page.get_by_label("New value").fill("50.0")
            page.get_by_role("button", name="Change it").click()
            expect(page.locator(".changes")).to_contain_text("bob changed it")
            expect(page.locator(".changes")).to_contain_text("80.0 → 50.0")
            ready(page).locator("#approve").click()
            expect(page.locator(".status")).to_contain_text("Ran ")
        call.result(timeout=20)
    assert agents.tools.ran == [("refund", {"order_id": 1042, "amount": 50.0})]


def test_a_page_without_javascript_decides_too(world: Scene) -> None:
    """It only doesn't change by itself."""
    request = world.ask(ONE, card=a_card())
    with world.screen("ann", java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"/requests/{request.id}")
        page.locator("#approve").click()
        expect(page.locator(".status")).to_have_text("Approved by ann; not run yet")
