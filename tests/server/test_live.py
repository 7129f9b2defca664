"""What open screens are told, as server-sent events."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest

from agentguard.approval import Channel
from agentguard.model.approvals import State
from agentguard.server.live import ANEW, AT_ONCE_MAX, WAITING_MAX, Live
from agentguard.server.pages import LISTENERS_EACH_MAX, LOOKED_AFTER_SECONDS
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from tests.approval.people import ONE
from tests.cards.faces import a_card
from tests.server.serving import opened, parts, serving
from tests.server.visiting import decide, form, visitor

pytestmark = pytest.mark.anyio

SCREENS = 100
TOLD_WITHIN_SECONDS = 0.3
"""How soon a decision stands on other screens; the machine that runs tests may be busy, so the test allows it several times."""


@asynccontextmanager
async def screen(client: httpx.AsyncClient) -> AsyncIterator[AsyncIterator[tuple[str, dict[str, str]]]]:
    """What one open screen hears: the kind of each message, and its data."""
    async with client.stream("GET", "/live", timeout=30) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")

        async def heard() -> AsyncIterator[tuple[str, dict[str, str]]]:
            kind = ""
            async for line in reply.aiter_lines():
                kind = line.removeprefix("event: ") if line.startswith("event: ") else kind
                if line.startswith("data: "):
                    yield kind, json.loads(line.removeprefix("data: "))

        yield heard()


async def until(heard: AsyncIterator[tuple[str, dict[str, str]]], request_id: str, state: State) -> float:
    """The time at which a screen heard that this request is in this state."""
    async for kind, data in heard:
        if kind == "request" and (data["id"], data["state"]) == (request_id, state):
            return time.monotonic()
    raise AssertionError("the screen was let go")


async def test_a_hundred_screens_hear_of_a_decision_at_once(base: str, agent: Channel) -> None:
    """On one process, each within a moment of it; a row with the outcome comes along."""
    async with AsyncExitStack() as stack:
        # given
        ann = await stack.enter_async_context(visitor(base, "ann"))
        screens = [await stack.enter_async_context(screen(ann)) for _ in range(SCREENS)]
        request = await opened(agent, ONE, card=a_card())
        await asyncio.gather(*(until(heard, request.id, State.PENDING) for heard in screens))

        # when
        async with visitor(base, "bob") as bob:
            waiting = [asyncio.create_task(until(heard, request.id, State.REJECTED)) for heard in screens]
            answered = asyncio.create_task(decide(bob, request.id, "reject", comment="no"))
            times = await asyncio.gather(*waiting)
            await answered
        started = min(times)

    # then
    assert max(times) - started < 4 * TOLD_WITHIN_SECONDS


async def test_what_is_told_says_how_many_wait_on_all_pages_and_which_rows_it_replaces(
    base: str, agent: Channel
) -> None:
    """So that a count stays right beyond the first page, and a turn takes the place of its calls."""
    async with visitor(base, "ann") as ann, screen(ann) as heard:
        requests = [await opened(agent, ONE, turn="7" * 32) for _ in range(2)]
        told = [data async for data in _told(heard, 2)]
    assert [data["waiting"] for data in told][-1] == 2
    assert told[-1]["instead_of"] == [request.id for request in requests]
    assert f'id="t-{"7" * 32}"' in told[-1]["html"]


async def _told(heard: AsyncIterator[tuple[str, dict[str, Any]]], most: int) -> AsyncIterator[dict[str, Any]]:
    """The next requests that a screen hears of."""
    async for kind, data in heard:
        if kind == "request":
            yield data
            most -= 1
        if not most:
            return


async def test_a_screen_is_let_go_when_its_person_is_gone_and_when_the_server_stops(
    valkey_url: str, tenant: str
) -> None:
    """Nobody is kept waiting by an open page."""
    with serving(parts(valkey_url, tenant)) as base:
        async with visitor(base, "ann") as ann, screen(ann) as heard:
            assert (await anext(heard))[0] == "anew"
            started = time.monotonic()
    assert time.monotonic() - started < 5
    async with visitor(base, None) as nobody:
        with pytest.raises(httpx.HTTPError):
            await nobody.get("/live")


async def test_t31_who_logged_out_hears_nothing_more(base: str, agent: Channel) -> None:
    """Nor does whoever has a copy of their cookie open; who is logged in goes on."""
    own = visitor(base, "ann", session="e" * 32)
    async with own as ann, visitor(base, "bob") as bob, screen(ann) as heard, screen(bob) as other:
        # given
        assert [(await anext(each))[0] for each in (heard, other)] == ["anew", "anew"]
        await ann.post("/logout", data=form((await ann.get("/")).text, "/logout"))
        await asyncio.sleep(1.1 * LOOKED_AFTER_SECONDS)

        # when
        request = await opened(agent, ONE, card=a_card())
        await until(other, request.id, State.PENDING)
        told = [data async for _, data in heard]

    # then
    assert told == []


async def test_nobody_takes_the_screens_of_all(base: str) -> None:
    """Who has many open is refused one more, and nobody else is."""
    async with AsyncExitStack() as stack:
        ann = await stack.enter_async_context(visitor(base, "ann"))
        open_ = [await stack.enter_async_context(screen(ann)) for _ in range(LISTENERS_EACH_MAX)]
        heard = [(await anext(each))[0] for each in open_]
        refused = await ann.get("/live")
        bob = await stack.enter_async_context(visitor(base, "bob"))
        other = await stack.enter_async_context(screen(bob))
        assert (await anext(other))[0] == "anew"
    assert heard == ["anew"] * LISTENERS_EACH_MAX
    assert (refused.status_code, "retry-after" in refused.headers) == (429, True)


class TestListeners:
    """One reader, many listeners."""

    @pytest.fixture
    def live(self, connection: Connection, tenant: str) -> Live:
        """A reader whose every request is told by its id."""

        async def told(request_id: str) -> str:
            return json.dumps({"id": request_id})

        return Live(connection=connection, names=Names(tenant), told=told)

    async def happen(self, live: Live, *requests: str) -> None:
        """Events in the tenant's stream."""
        for request in requests:
            await live.connection.execute(
                "XADD", live.names.events, "*", "request", request, "kind", "opened", "state", "pending"
            )

    async def test_one_who_is_slow_is_told_to_read_anew_and_holds_up_nobody(self, live: Live) -> None:
        """Messages for it are dropped; the other gets each."""
        slow, quick = live.messages("ann"), live.messages("ann")
        assert [await anext(slow), await anext(quick)] == [ANEW, ANEW]
        for number in range(WAITING_MAX + 5):
            live._send(f"{number}")
            assert await anext(quick) == f"{number}"
        assert await anext(slow) == ANEW

    async def test_many_at_once_are_told_as_one(self, live: Live) -> None:
        """Whoever listens reads the list anew."""
        await self.happen(live, "before")
        listening = live.messages("ann")
        await anext(listening)
        await self.happen(live, *(f"r{number}" for number in range(AT_ONCE_MAX + 1)))
        live._last = "0-0"
        await live.tell()
        assert await anext(listening) == ANEW

    async def test_what_happens_is_told_once_for_all(self, live: Live) -> None:
        """A request that several events name is read once."""
        await self.happen(live, "before")
        listening = live.messages("ann")
        await anext(listening)
        live._last = (await live.connection.execute("XREVRANGE", live.names.events, "+", "-", "COUNT", 1))[0][
            0
        ].decode()
        await self.happen(live, "a", "a", "b")
        await live.tell()
        assert [await anext(listening), await anext(listening)] == [
            'event: request\ndata: {"id": "a"}\n\n',
            'event: request\ndata: {"id": "b"}\n\n',
        ]

    async def test_stopping_lets_all_go(self, live: Live) -> None:
        """Also those that come later."""
        listening = live.messages("ann")
        await anext(listening)
        live.stop()
        assert [message async for message in listening] == []
        assert [message async for message in live.messages("ann")] == [ANEW]
        assert live.listeners == 0
