"""The calls of one turn as one card on the web: each decided by its id, or all of them, or none."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest

from agentguard.approval import Channel, Turn
from agentguard.cards import digest_of
from agentguard.model.approvals import Request, State
from agentguard.model.verdicts import Need
from agentguard.server.outbox import Delivery, Outbox
from tests.approval.people import BOARD, CONFIRMED, ONE, TWO
from tests.cards.faces import a_card
from tests.server.serving import opened
from tests.server.test_pages import XSS
from tests.server.visiting import COOKIES, form, visitor

pytestmark = pytest.mark.anyio

TURN = "c" * 32
MINE = Need(name="on-call", approvers=("group:security",), deadline_seconds=300)


@pytest.fixture
async def ann(base: str) -> AsyncIterator[httpx.AsyncClient]:
    """Ann's browser."""
    async with visitor(base, "ann") as client:
        yield client


async def turn(agent: Channel, *needs: Need, **changed: Any) -> list[Request]:
    """The calls of a turn, which wait."""
    card = changed.pop("card", None) or a_card()
    return [
        await opened(
            agent, need, turn=TURN, card=card.model_copy(update={"title": f"Refund order {number}"}), **changed
        )
        for number, need in enumerate(needs)
    ]


def path_of(requests: Sequence[Request]) -> str:
    """The page of a turn."""
    return f"/requests/{requests[0].id}/turn"


async def page_of(client: httpx.AsyncClient, requests: Sequence[Request]) -> str:
    """What stands on it."""
    reply = await client.get(path_of(requests))
    assert reply.status_code == 200
    return reply.text


async def states(agent: Channel, requests: Sequence[Request]) -> list[State]:
    """How its calls stand."""
    return [(await agent.read(request.id)).state for request in requests]


async def all_at_once(client: httpx.AsyncClient, requests: Sequence[Request], verb: str, **more: str) -> httpx.Response:
    """The form for all of them, as the page gives it now."""
    path = f"{path_of(requests)}/{verb}"
    return await client.post(path, data=form(await page_of(client, requests), path) | more)


class TestInbox:
    """What waits."""

    async def test_t19_a_turn_is_one_row_that_leads_to_its_card(self, agent: Channel, ann: httpx.AsyncClient) -> None:
        """With its calls in it; a call of no turn, or alone in its turn, has a row of its own."""
        requests = await turn(agent, ONE, ONE, TWO, ONE)
        other = await opened(agent, ONE, card=a_card())
        alone = await opened(agent, ONE, card=a_card(), turn="d" * 32)
        page = (await ann.get("/")).text
        assert re.findall(r'<li class="row [a-z-]+" id="([rt])-', page).count("t") == 1
        assert f'href="{path_of(requests)}"' in page
        assert {f'id="r-{other.id}"', f'id="r-{alone.id}"'} <= set(re.findall(r'id="r-\w+"', page))
        assert not any(f'id="r-{request.id}"' in page for request in requests)
        assert "4 calls in one turn" in page
        assert "Refund order 2" in page
        assert "and 1 more" in page

    async def test_a_turn_stands_where_its_most_urgent_call_would(self, agent: Channel, ann: httpx.AsyncClient) -> None:
        """Before what has more time than that one, and as grave as its gravest."""
        between = await opened(agent, ONE, card=a_card())
        requests = await turn(agent, BOARD, MINE)
        order = re.findall(r'<li class="row [a-z-]+" id="([^"]+)"', (await ann.get("/")).text)
        assert order == [f"t-{TURN}", f"r-{between.id}"]
        assert f'href="/requests/{requests[1].id}/turn"' in (await ann.get("/")).text


class TestCard:
    """One card, with its calls in it."""

    async def test_each_call_has_its_facts_and_a_decision_of_its_own(
        self, agent: Channel, ann: httpx.AsyncClient
    ) -> None:
        """What they share is said once."""
        requests = await turn(agent, ONE, ONE)
        page = await page_of(ann, requests)
        assert page.count("The user asked") == page.count("The agent says") == 1
        assert page.count("amount is 14 times the usual 100") == 2
        assert "All 2 wait for a decision" in page
        assert all(form(page, f"/requests/{request.id}/approve") for request in requests)
        assert len(set(re.findall(r' id="([^"]+)"', page))) == len(re.findall(r' id="([^"]+)"', page))

    async def test_each_call_says_which_place_could_not_be_told_of_it(
        self, agent: Channel, ann: httpx.AsyncClient
    ) -> None:
        """As its own page does, with what it holds written out; a screen that is open learns of it."""
        told, untold = await turn(agent, ONE, ONE)
        before = await page_of(ann, [told, untold])
        outbox = Outbox(connection=agent.connection, names=agent.names)
        opening = Turn(kind="request.opened", request=untold.id, state=State.PENDING, time_ms=untold.opened_ms)
        letter = Delivery(endpoint="e" * 16, where="hooks.acme.example", turn=opening, attempts=2, trouble=XSS)
        await outbox.take(cursor := await outbox.cursor(), cursor, [letter.model_copy(update={"attempts": 0})])
        await outbox.settle(letter, "again", delay_ms=60_000)
        page = await page_of(ann, [told, untold])
        item = page.partition(f'id="i-{untold.id}"')[2]
        assert page.count("could not be told of this") == item.count("could not be told of this") == 1
        assert "hooks.acme.example could not be told of this: " in item
        assert "(attempts: 2)" in item
        assert XSS not in page
        assert re.findall(r'data-version="(\w+)"', before) != re.findall(r'data-version="(\w+)"', page)

    async def test_t38_one_is_decided_and_the_others_wait(self, agent: Channel, ann: httpx.AsyncClient) -> None:
        """The card then says how it stands, and who decided."""
        requests = await turn(agent, ONE, ONE, ONE)
        path = f"/requests/{requests[1].id}/reject"
        reply = await ann.post(path, data=form(await page_of(ann, requests), path) | {"comment": "Not this one"})
        page = await page_of(ann, requests)
        assert (reply.status_code, reply.headers["location"]) == (303, f"/requests/{requests[1].id}/turn")
        assert await states(agent, requests) == [State.PENDING, State.REJECTED, State.PENDING]
        assert "2 of 3 wait for a decision" in page
        assert "Did not run: rejected by ann: Not this one" in page
        assert "Approve all 2" in page

    @pytest.mark.parametrize(("verb", "state"), [("approve", State.APPROVED), ("reject", State.REJECTED)])
    async def test_all_are_decided_at_once(
        self, agent: Channel, ann: httpx.AsyncClient, verb: str, state: State
    ) -> None:
        """By one press on what was shown."""
        requests = await turn(agent, ONE, ONE, ONE)
        reply = await all_at_once(ann, requests, verb, comment="Read all")
        assert reply.status_code == 303
        assert await states(agent, requests) == [state] * 3
        assert "All are decided" in await page_of(ann, requests)

    async def test_t38_where_one_ended_in_between_nothing_is_decided_and_the_page_says_so(
        self, agent: Channel, ann: httpx.AsyncClient
    ) -> None:
        """The page that comes back has what waits now, and can be decided."""
        requests = await turn(agent, ONE, ONE, ONE)
        path = f"{path_of(requests)}/approve"
        seen = form(await page_of(ann, requests), path)
        await agent.withdraw(requests[2].id, "the agent gave up")
        reply = await ann.post(path, data=seen)
        assert reply.status_code == 409
        assert "Nothing was decided, on none of these calls" in reply.text
        assert await states(agent, requests) == [State.PENDING, State.PENDING, State.WITHDRAWN]
        assert form(reply.text, path)["items"].count(":") == 2
        assert (await ann.post(path, data=form(reply.text, path))).status_code == 303

    async def test_t38_a_call_that_came_later_is_not_decided_along(
        self, agent: Channel, ann: httpx.AsyncClient
    ) -> None:
        """A decision is on what was shown, and no more."""
        requests = await turn(agent, ONE, ONE)
        path = f"{path_of(requests)}/approve"
        seen = form(await page_of(ann, requests), path)
        later = await turn(agent, ONE)
        assert (await ann.post(path, data=seen)).status_code == 303
        assert await states(agent, [*requests, *later]) == [State.APPROVED, State.APPROVED, State.PENDING]

    async def test_t10_the_same_form_again_changes_nothing(self, agent: Channel, ann: httpx.AsyncClient) -> None:
        """Clicked twice, or sent again by a browser."""
        requests = await turn(agent, ONE, ONE)
        path = f"{path_of(requests)}/approve"
        seen = form(await page_of(ann, requests), path)
        replies = [(await ann.post(path, data=seen)).status_code for _ in range(2)]
        assert replies == [303, 303]
        assert [len((await agent.read(request.id)).votes) for request in requests] == [1, 1]


class TestHostile:
    """Who may not, or did not see it."""

    @pytest.mark.parametrize(
        ("needs", "told"),
        [
            pytest.param((ONE, MINE), "ann is not among those who decide this", id="one is for others"),
            pytest.param((ONE, CONFIRMED), "ann is not among those who decide this", id="one is the user's to confirm"),
        ],
    )
    async def test_t14_all_at_once_is_for_who_may_decide_every_one(
        self, agent: Channel, ann: httpx.AsyncClient, needs: tuple[Need, ...], told: str
    ) -> None:
        """It isn't offered, and by hand it decides none."""
        requests = await turn(agent, *needs)
        page = await page_of(ann, requests)
        cards = {request.id: request.card.digest() for request in requests}
        token = COOKIES.form_token(f"{'ann':0>32}", "approve turn", requests[0].id, digest_of(cards))
        items = " ".join(f"{id_}:{digest}" for id_, digest in cards.items())
        reply = await ann.post(f"{path_of(requests)}/approve", data={"form": token, "items": items})
        assert "Approve all" not in page
        assert told in page
        assert reply.status_code == 409
        assert await states(agent, requests) == [State.PENDING] * 2

    async def test_t14_groups_that_the_login_does_not_confirm_decide_no_turn(self, base: str, agent: Channel) -> None:
        """approvers.yaml lists Bob as a steward; the login that sends the form says security alone."""
        requests = await turn(agent, ONE, ONE)
        path = f"{path_of(requests)}/approve"
        async with visitor(base, "bob") as bob, visitor(base, "bob", groups=("security",)) as narrow:
            fields = form(await page_of(bob, requests), path)
            reply = await narrow.post(path, data=fields)
        assert fields
        assert reply.status_code == 409
        assert await states(agent, requests) == [State.PENDING] * 2

    async def test_t12_the_token_is_over_exactly_the_cards_that_were_shown(
        self, agent: Channel, ann: httpx.AsyncClient
    ) -> None:
        """A call less, one more, another card, another verb, another person's form, or none: refused."""
        requests = await turn(agent, ONE, ONE, ONE)
        foreign = await opened(agent, ONE, card=a_card())
        approve, reject = (f"{path_of(requests)}/{verb}" for verb in ("approve", "reject"))
        seen = form(await page_of(ann, requests), approve)
        first, second, third = seen["items"].split(" ")
        changed = [
            seen | {"items": f"{first} {second}"},
            seen | {"items": f"{seen['items']} {foreign.id}:{foreign.card.digest()}"},
            seen | {"items": f"{first} {second} {third[:-1]}0"},
            seen | {"items": f"{first} {first} {second} {third}"},
            seen | {"items": "nonsense"},
            seen | {"items": ""},
            {"items": seen["items"]},
        ]
        replies = [(await ann.post(approve, data=fields)).status_code for fields in changed]
        replies.append((await ann.post(reject, data=seen)).status_code)
        async with visitor(ann.base_url.scheme + "://" + ann.base_url.netloc.decode(), "bob") as bob:
            replies.append((await bob.post(approve, data=seen)).status_code)
        assert replies == [403] * 9
        assert await states(agent, requests) == [State.PENDING] * 3

    async def test_t17_what_is_cut_is_approved_only_after_all_of_it_was_shown(
        self, agent: Channel, ann: httpx.AsyncClient
    ) -> None:
        """Neither one by one nor all at once."""
        requests = await turn(agent, ONE, ONE, card=a_card({"command": "echo ok " + " " * 10 + "x" * 4000}))
        page = await page_of(ann, requests)
        whole = (await ann.get(f"{path_of(requests)}?whole=1")).text
        assert not form(page, f"{path_of(requests)}/approve")
        assert not form(page, f"/requests/{requests[0].id}/approve")
        assert form(page, f"{path_of(requests)}/reject")
        assert form(whole, f"{path_of(requests)}/approve")

    async def test_what_is_critical_wants_a_fresh_login_for_all(self, base: str, agent: Channel) -> None:
        """One critical call among them is enough."""
        requests = await turn(agent, ONE, ONE)
        async with visitor(base, "ann", authenticated_ms=1) as late:
            page = await page_of(late, requests)
            cards = {request.id: request.card.digest() for request in requests}
            token = COOKIES.form_token(f"{'ann':0>32}", "approve turn", requests[0].id, digest_of(cards))
            items = " ".join(f"{id_}:{digest}" for id_, digest in cards.items())
            reply = await late.post(f"{path_of(requests)}/approve", data={"form": token, "items": items})
        assert "Log in again to approve what is critical" in page
        assert reply.status_code == 409
        assert await states(agent, requests) == [State.PENDING] * 2

    async def test_t16_what_an_agent_writes_is_text(self, agent: Channel, ann: httpx.AsyncClient) -> None:
        """In every field of every call, and in the row of the inbox."""
        hostile = dict.fromkeys(("agent", "user", "says", "asked", "deployment", "tool"), XSS)
        card = a_card({XSS: XSS}, oddities=(XSS, "\u202egnp.exe"), reasons=(XSS,)).model_copy(update=hostile)
        requests = await turn(agent, ONE, ONE, card=card)
        pages = await page_of(ann, requests) + (await ann.get("/")).text
        assert "<script>alert" not in pages
        assert "<img src=x" not in pages
        assert "\u202e" not in pages
        assert "\\u202e" in pages

    async def test_t31_an_absent_turn_is_the_same_404_as_an_absent_request(self, ann: httpx.AsyncClient) -> None:
        """Whatever is looked for."""
        replies = [await ann.get(f"/requests/{'f' * 32}{end}") for end in ("", "/turn", "/turn/card")]
        assert [reply.status_code for reply in replies] == [404] * 3
