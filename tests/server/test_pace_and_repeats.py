"""How often a caller may call, what calling twice does, and paging by cursor."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard.approval import Channel, Cursor, Pages
from agentguard.errors import DecisionRefused
from agentguard.model.approvals import State
from agentguard.server.pace import Pace, Paces, Pacing, TooMany
from agentguard.server.tokens import Token
from agentguard.store.redis import Connection
from tests.approval.people import ONE
from tests.server.serving import UNHURRIED, caller, opened, parts, serving, token_lines
from tests.server.test_door import everything

pytestmark = pytest.mark.anyio


class TestPace:
    """One bucket for each caller."""

    def pacing(self, agent: Channel, **changed: Pace) -> Pacing:
        """A server's count of the tenant's callers; as many as are made count together."""
        return Pacing(connection=agent.connection, names=agent.names, paces=Paces(**changed))

    async def test_a_burst_and_how_long_to_wait_then(self, agent: Channel) -> None:
        """Each caller for themselves."""
        pacing = self.pacing(agent, deciding=Pace(per_minute=6, burst=3))
        for _ in range(3):
            await pacing.take("deciding", "ann")
        with pytest.raises(TooMany) as many:
            await pacing.take("deciding", "ann")
        await pacing.take("deciding", "bob")
        await pacing.take("reading", "ann")
        assert 9 <= many.value.seconds <= 10

    async def test_it_fills_up_as_time_goes_by(self, agent: Channel) -> None:
        """On Redis's clock; a bucket that is full again is not kept."""
        pacing = self.pacing(agent, deciding=Pace(per_minute=1200, burst=1))
        await pacing.take("deciding", "ann")
        name = agent.names.pace("deciding", "ann")
        assert 0 < await agent.connection.execute("PTTL", name) <= 50
        async with asyncio.timeout(10):
            while await agent.connection.execute("EXISTS", name):
                await asyncio.sleep(0.01)
        await pacing.take("deciding", "ann")

    async def test_t19_servers_count_together(self, agent: Channel) -> None:
        """Whoever goes from one to the next, all at once, gets no more."""
        pacings = [self.pacing(agent, deciding=Pace(per_minute=1, burst=5)) for _ in range(4)]
        replies = await asyncio.gather(
            *(each.take("deciding", "ann") for each in pacings for _ in range(5)), return_exceptions=True
        )
        assert [isinstance(reply, TooMany) for reply in replies].count(False) == 5

    async def test_t19_over_it_the_answer_is_429(self, valkey_url: str) -> None:
        """For a person, and for an address that fails; a good token comes in all the same."""
        slow = Pace(per_minute=1, burst=2)
        paces = Paces(reading=Pace(per_minute=1, burst=3), deciding=UNHURRIED, failing=slow)
        with serving(parts(valkey_url, f"paced-{secrets.token_hex(4)}", paces=paces)) as base:
            async with caller(base) as nobody, caller(base, "ann") as ann, caller(base, "bob") as bob:
                failed = [(await nobody.get("/api/v1/requests")) for _ in range(3)]
                read = [(await ann.get("/api/v1/requests")).status_code for _ in range(4)]
                other = await bob.get("/api/v1/requests")
        assert [reply.status_code for reply in failed] == [401, 401, 429]
        assert int(failed[2].headers["retry-after"]) >= 1
        assert read == [200, 200, 200, 429]
        assert other.status_code == 200

    async def test_t19_what_may_only_read_uses_up_nothing_of_what_may_decide(
        self, valkey_url: str, agent: Channel
    ) -> None:
        """A token of the same person that only reads: by whatever route it tries."""
        request = await opened(agent, ONE)
        body, route = {"card_digest": request.card.digest()}, f"/api/v1/requests/{request.id}"
        tried: list[tuple[str, dict[str, Any]]] = [
            (f"{route}/approve", body),
            (f"{route}/edit", body | {"changes": {"limit": 1}}),
            (f"{route}/settle", {"found": "happened"}),
            ("/api/v1/freezes", {"scope": "tenant", "reason": "x"}),
            (f"/api/v1/freezes/{'f' * 32}/lift", {}),
            (f"/api/v1/grants/{request.id}/revoke", {}),
        ]
        paces = Paces(reading=UNHURRIED, deciding=Pace(per_minute=1, burst=1), failing=UNHURRIED)
        with serving(parts(valkey_url, agent.names.tenant, paces=paces)) as base:
            async with caller(base, "reader") as reader, caller(base, "bob") as bob:
                refused = [(await reader.post(path, json=sent)).json()["code"] for path, sent in tried]
                own = await bob.post(f"{route}/approve", json=body)
        assert refused == ["scope"] * len(tried)
        assert own.status_code == 200

    async def test_t19_two_servers_count_one_caller_together(self, valkey_url: str) -> None:
        """Whoever goes from one to the other gets no more than at one of them."""
        tenant = f"paced-{secrets.token_hex(4)}"
        paces = Paces(reading=Pace(per_minute=1, burst=4), deciding=UNHURRIED, failing=UNHURRIED)
        with (
            serving(parts(valkey_url, tenant, paces=paces)) as one,
            serving(parts(valkey_url, tenant, paces=paces)) as two,
        ):
            async with caller(one, "ann") as at_one, caller(two, "ann") as at_the_other:
                read = [(await where.get("/api/v1/requests")).status_code for where in [at_one, at_the_other] * 3]
        assert read == [200, 200, 200, 200, 429, 429]


class TestRepeats:
    """Idempotency-Key."""

    async def test_the_same_call_gets_the_same_answer(
        self, agent: Channel, connection: Connection, ann: httpx.AsyncClient
    ) -> None:
        """Byte by byte, and nothing is done again; also where the answer was a refusal."""
        # given
        request = await opened(agent, ONE)
        path, body = f"/api/v1/requests/{request.id}", {"card_digest": request.card.digest()}
        headers = {"idempotency-key": "k-1"}
        first = await ann.post(f"{path}/approve", json=body, headers=headers)
        stored = await agent.read(request.id)
        await agent.redeem(stored, "fence")
        before = await everything(connection, agent)

        # when
        again = await ann.post(f"{path}/approve", json=body, headers=headers)
        late = [await ann.post(f"{path}/reject", json=body, headers={"idempotency-key": "k-2"}) for _ in range(2)]

        # then
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert again.headers["idempotent-replayed"] == "true"
        assert {key for key in await everything(connection, agent) if "repeat" not in str(key)} >= {
            key for key in before if "repeat" not in str(key)
        }
        assert late[0].status_code == late[1].status_code == 409
        assert late[0].content == late[1].content

    async def test_t13_what_may_only_read_leaves_no_answer_for_what_may_decide(
        self, base: str, agent: Channel, bob: httpx.AsyncClient
    ) -> None:
        """Though it guessed the key that the other will take."""
        request = await opened(agent, ONE)
        path, body = f"/api/v1/requests/{request.id}/approve", {"card_digest": request.card.digest()}
        async with caller(base, "reader") as reader:
            first = await reader.post(path, json=body, headers={"idempotency-key": "k-guessed"})
        own = await bob.post(path, json=body, headers={"idempotency-key": "k-guessed"})
        assert (first.status_code, own.status_code) == (403, 200)
        assert (await agent.read(request.id)).state is State.APPROVED

    async def test_a_key_stands_for_one_call_of_one_person(
        self, agent: Channel, ann: httpx.AsyncClient, bob: httpx.AsyncClient
    ) -> None:
        """Another call under it is refused; another person's key of the same name is another key."""
        one, two = await opened(agent, ONE), await opened(agent, ONE)
        headers = {"idempotency-key": "k-3"}
        body = {"card_digest": one.card.digest()}
        await ann.post(f"/api/v1/requests/{one.id}/approve", json=body, headers=headers)
        other = await ann.post(
            f"/api/v1/requests/{two.id}/approve", json={"card_digest": two.card.digest()}, headers=headers
        )
        words = await ann.post(f"/api/v1/requests/{one.id}/approve", json=body | {"comment": "x"}, headers=headers)
        mine = await bob.post(
            f"/api/v1/requests/{two.id}/approve", json={"card_digest": two.card.digest()}, headers=headers
        )
        assert (other.status_code, words.status_code, mine.status_code) == (422, 422, 200)
        assert other.json()["code"] == "key_reused"

    async def test_at_once_one_is_answered(self, agent: Channel, ann: httpx.AsyncClient) -> None:
        """The others are told to wait, or get its answer."""
        request = await opened(agent, ONE)
        body, headers = {"card_digest": request.card.digest()}, {"idempotency-key": "k-4"}
        path = f"/api/v1/requests/{request.id}/approve"
        replies = await asyncio.gather(*(ann.post(path, json=body, headers=headers) for _ in range(12)))
        fresh = [reply for reply in replies if reply.status_code == 200 and "idempotent-replayed" not in reply.headers]
        assert len(fresh) == 1
        assert {reply.status_code for reply in replies} <= {200, 409}

    @pytest.mark.parametrize("key", ["", "a b", "x" * 201])
    async def test_a_key_that_is_none_is_refused(self, agent: Channel, ann: httpx.AsyncClient, key: str) -> None:
        """422; nothing is decided."""
        request = await opened(agent, ONE)
        reply = await ann.post(
            f"/api/v1/requests/{request.id}/approve",
            json={"card_digest": request.card.digest()},
            headers={"idempotency-key": key},
        )
        assert reply.status_code == 422
        assert (await agent.read(request.id)).state is State.PENDING


async def test_t13_a_token_that_may_only_read_decides_nothing(valkey_url: str, agent: Channel) -> None:
    """403, and the request waits on."""
    lines: list[Token] = [line.model_copy(update={"scope": "read"}) for line in token_lines()]
    request = await opened(agent, ONE)
    with serving(parts(valkey_url, agent.names.tenant, tokens=lambda: lines)) as base:
        async with caller(base, "ann") as ann:
            seen = await ann.get(f"/api/v1/requests/{request.id}")
            reply = await ann.post(
                f"/api/v1/requests/{request.id}/approve", json={"card_digest": request.card.digest()}
            )
    assert (seen.status_code, reply.status_code, reply.json()["code"]) == (200, 403, "scope")
    assert (await agent.read(request.id)).state is State.PENDING


class TestCursor:
    """Page by page."""

    async def test_every_request_comes_once(self, agent: Channel, ann: httpx.AsyncClient) -> None:
        """Those that wait, then those that are over, though some are decided in between."""
        # given
        made = [(await opened(agent, ONE)) for _ in range(7)]
        for request in made[:3]:
            await agent.withdraw(request.id, "x")
            await anyio.sleep(0.002)  # each in a millisecond of its own, as nothing else tells their order

        # when
        seen: list[str] = []
        query: dict[str, str | list[str] | int] = {"state": ["pending", "withdrawn"], "limit": 2}
        while True:
            page = (await ann.get("/api/v1/requests", params=query)).json()
            seen += [one["id"] for one in page["requests"]]
            if page["next"] is None:
                break
            query["cursor"] = page["next"]

        # then
        assert sorted(seen) == sorted(request.id for request in made)
        assert seen[4:] == [request.id for request in made[:3]][::-1]

    async def test_requests_of_one_millisecond_are_told_apart(self, agent: Channel, connection: Connection) -> None:
        """Three pages of one score."""
        ids = sorted([(await opened(agent, ONE)).id for _ in range(5)])
        await connection.execute("ZADD", agent.names.pending, *(part for id_ in ids for part in (2**45, id_)))
        pages, seen, after = Pages(channel=agent), [], None
        while True:
            page = await pages.page((State.PENDING,), at_most=2, after=after)
            seen += [stored.request.id for stored in page.requests]
            after = page.next
            if after is None:
                break
        assert seen == ids

    @pytest.mark.parametrize("cursor", ["x", "e30", "bnVsbA", "%00", "a" * 400])
    async def test_a_cursor_that_is_none_is_refused(self, ann: httpx.AsyncClient, cursor: str) -> None:
        """422."""
        reply = await ann.get("/api/v1/requests", params={"cursor": cursor})
        assert (reply.status_code, reply.json()["code"]) == (422, "bad_cursor")

    @given(st.text(max_size=60))
    def test_whatever_is_taken_for_a_cursor_is_refused(self, text: str) -> None:
        """Never an error of ours."""
        with pytest.raises(DecisionRefused, match="no cursor of this list"):
            Cursor.parse(text)
