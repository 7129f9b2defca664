"""What programs do over the API besides approving and rejecting: edit, settle, freeze, lift and grant."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from agentguard.approval import Channel
from agentguard.config import read_roster
from agentguard.errors import CallRefused, RefusalReason
from agentguard.guard.pipeline import Guard
from agentguard.model.approvals import State
from agentguard.server.app import create_app
from agentguard.store.letters import LetterBox
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from tests.approval.people import ONE
from tests.guard.world import World
from tests.server.serving import caller, opened, parts, serving

pytestmark = pytest.mark.anyio

ANN = "ann@acme.example"
GRANTING = "refund: {risk: high, labels: [], grants: {for: 30m, uses: 3, same: [order_id], at_most: [amount]}}"
PATHS: dict[str, dict[str, Any]] = create_app(parts("unix:///nowhere", "nobody")).openapi()["paths"]
DIGEST = "0" * 64
BODIES: dict[str, dict[str, Any]] = {
    "/api/v1/decisions": {"decision": "approve", "cards": {"a" * 32: DIGEST}},
    "/api/v1/freezes": {"scope": "agent", "name": "support", "reason": "why"},
    "/api/v1/freezes/{freeze_id}/lift": {"reason": ""},
    "/api/v1/grants/{request_id}/revoke": {"reason": ""},
    "/api/v1/requests/{request_id}/approve": {"card_digest": DIGEST},
    "/api/v1/requests/{request_id}/edit": {"card_digest": DIGEST, "changes": {"amount": 1}},
    "/api/v1/requests/{request_id}/reject": {"card_digest": DIGEST},
    "/api/v1/requests/{request_id}/settle": {"found": "happened"},
}
"""A body that fits, for each POST that there is."""


@pytest.fixture
def granting(world: World) -> World:
    """Refunds may be granted and edited."""
    file = world.policies / "policy.yaml"
    file.write_text(file.read_text().replace("refund: {risk: high, labels: []}", GRANTING))
    return world


@pytest.fixture
def guarded(granting: World) -> Iterator[str]:
    """A server of that tenant, whose people are the guard's."""
    with serving(parts(granting.redis_url, granting.tenant, roster=lambda: read_roster(granting.policies))) as address:
        yield address


@pytest.fixture
async def bob(guarded: str) -> AsyncIterator[httpx.AsyncClient]:
    """Bob, an approver."""
    async with caller(guarded, "bob") as client:
        yield client


@pytest.fixture
async def cem(guarded: str) -> AsyncIterator[httpx.AsyncClient]:
    """Cem, another."""
    async with caller(guarded, "cem") as client:
        yield client


class Waiting:
    """A refund that waits, and what runs in the end."""

    def __init__(self, world: World, guard: Guard, **arguments: Any) -> None:
        self.world, self.guard, self.arguments = world, guard, {"order_id": 7, "amount": 80.0} | arguments

    async def __aenter__(self) -> str:
        """Its path."""
        self.session = self.guard.session(user=ANN)
        self.session.__enter__()
        self.call = asyncio.create_task(self.world.call(self.guard, "refund", **self.arguments))
        (self.id,) = await self.world.waiting()
        return f"/api/v1/requests/{self.id}"

    async def __aexit__(self, *_: object) -> None:
        """Reject it where it still waits."""
        if await self.world.state(self.id) is State.PENDING:
            await self.world.decide(self.id, "bob")
        await asyncio.gather(self.call, return_exceptions=True)
        self.session.__exit__(None, None, None)


class TestRoutes:
    """All that there are."""

    def test_every_post_is_tried_here(self) -> None:
        """A new one needs a body here."""
        posts = {path for path, methods in PATHS.items() if "post" in methods}
        assert set(BODIES) == {path for path in posts if path.startswith("/api/")}

    @pytest.mark.parametrize("path", sorted(BODIES))
    async def test_t13_a_token_that_may_only_read_changes_nothing(self, base: str, agent: Channel, path: str) -> None:
        """On any route, with a body that fits."""
        request = await opened(agent, ONE)
        async with caller(base, "reader") as reader:
            where = path.format(request_id=request.id, freeze_id="f" * 32)
            reply = await reader.post(
                where,
                json=BODIES[path] | ({"card_digest": request.card.digest()} if "card_digest" in BODIES[path] else {}),
            )
        assert (reply.status_code, reply.json()["code"]) == (403, "scope")
        assert (await agent.read(request.id)).votes == ()

    @pytest.mark.parametrize("path", sorted(BODIES))
    async def test_t31_what_is_not_there_is_told_to_nobody(self, ann: httpx.AsyncClient, path: str) -> None:
        """404 for requests and grants; a freeze that does not stand is none."""
        reply = await ann.post(path.format(request_id="f" * 32, freeze_id="f" * 32), json=BODIES[path])
        known = {"/api/v1/freezes": 200, "/api/v1/freezes/{freeze_id}/lift": 409}
        assert reply.status_code == known.get(path, 404)

    @pytest.mark.parametrize("path", sorted(BODIES))
    async def test_t14_a_body_that_names_somebody_is_refused(self, ann: httpx.AsyncClient, path: str) -> None:
        """Who it is comes from the token alone."""
        body = BODIES[path] | {"person": "cem"}
        reply = await ann.post(path.format(request_id="f" * 32, freeze_id="f" * 32), json=body)
        assert (reply.status_code, reply.json()["code"]) == (422, "invalid")


class TestEdit:
    """Before anybody approves."""

    async def test_what_was_edited_and_approved_runs(
        self, granting: World, guard: Guard, bob: httpx.AsyncClient
    ) -> None:
        """The answer is the new card, with the digest that an approval must name."""
        async with Waiting(granting, guard) as path:
            old = (await bob.get(path)).json()["card_digest"]
            edited = await bob.post(f"{path}/edit", json={"card_digest": old, "changes": {"amount": 50.0}})
            stale = await bob.post(f"{path}/approve", json={"card_digest": old})
            await bob.post(f"{path}/approve", json={"card_digest": edited.json()["card_digest"]})
        assert (edited.status_code, edited.json()["revision"]) == (200, 2)
        assert edited.json()["edit"] == {"person": "bob", "comment": "", "waits": False, "refused": ""}
        assert (stale.status_code, stale.json()["code"]) == (409, "other_card")
        assert granting.tools.ran == [("refund", {"order_id": 7, "amount": 50.0})]

    async def test_an_edit_again_with_its_key_is_the_same_edit(
        self, granting: World, guard: Guard, bob: httpx.AsyncClient
    ) -> None:
        """One revision, one answer."""
        async with Waiting(granting, guard) as path:
            body = {"card_digest": (await bob.get(path)).json()["card_digest"], "changes": {"amount": 50.0}}
            replies = [await bob.post(f"{path}/edit", json=body, headers={"idempotency-key": "e-1"}) for _ in range(2)]
            revision = (await bob.get(path)).json()["revision"]
        assert replies[0].content == replies[1].content
        assert revision == 2

    async def test_an_edit_that_would_not_run_is_a_409_that_shows_no_value(
        self, granting: World, guard: Guard, bob: httpx.AsyncClient
    ) -> None:
        """The request waits on as it was."""
        async with Waiting(granting, guard) as path:
            digest = (await bob.get(path)).json()["card_digest"]
            reply = await bob.post(f"{path}/edit", json={"card_digest": digest, "changes": {"amount": "canary-9"}})
            waits = (await bob.get(path)).json()
        assert (reply.status_code, reply.json()["code"]) == (409, "edit_refused")
        assert "canary-9" not in reply.text
        assert (waits["state"], waits["card_digest"]) == ("pending", digest)
        assert waits["edit"]["refused"]

    async def test_an_agent_that_does_not_answer_yet_is_a_202(self, agent: Channel, ann: httpx.AsyncClient) -> None:
        """The edit waits for it, and the request says so."""
        need = ONE.model_copy(update={"edit": True})
        request = await opened(agent, need, box=LetterBox([b"k" * 32]).public)
        body = {"card_digest": request.card.digest(), "changes": {"limit": 1}}
        reply = await ann.post(f"/api/v1/requests/{request.id}/edit", json=body)
        assert reply.status_code == 202
        assert reply.json()["edit"] == {"person": "ann", "comment": "", "waits": True, "refused": ""}

    async def test_t29_what_is_no_change_is_refused(
        self, granting: World, guard: Guard, bob: httpx.AsyncClient
    ) -> None:
        """With 4xx, before anybody is asked: nothing, no number, half a character, too deep, a list."""
        changes = [
            b"{}",
            b'{"amount": NaN}',
            b'{"amount": "\\ud800"}',
            b'{"a": ' + b"[" * 70 + b"]" * 70 + b"}",
            b'{"a": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
            b"[1]",
        ]
        async with Waiting(granting, guard) as path:
            digest = (await bob.get(path)).json()["card_digest"].encode()
            replies = [
                await bob.post(
                    f"{path}/edit",
                    content=b'{"card_digest": "' + digest + b'", "changes": ' + change + b"}",
                    headers={"content-type": "application/json"},
                )
                for change in changes
            ]
            revision = (await bob.get(path)).json()["revision"]
        assert [reply.status_code for reply in replies] == [422, 422, 422, 422, 400, 422]
        assert revision == 1

    @pytest.mark.parametrize("person", ["zoe", "ann"])
    async def test_t14_who_may_not_decide_may_not_edit(
        self, guarded: str, granting: World, guard: Guard, person: str
    ) -> None:
        """Neither a stranger to it nor the requester."""
        async with Waiting(granting, guard) as path, caller(guarded, person) as client:
            digest = (await client.get(path)).json()["card_digest"]
            reply = await client.post(f"{path}/edit", json={"card_digest": digest, "changes": {"amount": 1.0}})
        assert (reply.status_code, reply.json()["code"]) in ((403, "not_entitled"), (403, "self_approval"))
        assert granting.tools.ran == [("refund", {"order_id": 7, "amount": 80.0})]


class TestSettle:
    """May have run."""

    async def test_a_person_says_what_happened_once(
        self, granting: World, guard: Guard, bob: httpx.AsyncClient
    ) -> None:
        """And the request says so from then on; another word is refused, the same is the same."""
        async with Waiting(granting, guard) as path:
            request = path.rpartition("/")[2]
            early = await bob.post(f"{path}/settle", json={"found": "happened"})
        connection = await Connection.open(granting.redis_url)
        await connection.execute("HDEL", Names(granting.tenant).claim(request), "outcome", "ended_ms")
        await connection.execute("HSET", Names(granting.tenant).claim(request), "until_ms", 1)
        await connection.close()
        said = await bob.post(f"{path}/settle", json={"found": "did-not", "comment": "Not in the bank's list"})
        other = await bob.post(f"{path}/settle", json={"found": "happened"})
        shown = (await bob.get(path)).json()
        assert (early.status_code, early.json()["code"]) == (404, "not_found")  # nothing ran yet
        assert (said.status_code, said.json()["found"], said.json()["person"]) == (200, "did-not", "bob")
        assert (other.status_code, other.json()["code"]) == (409, "settled_otherwise")
        assert (shown["ending"], shown["status"]) == ("did not run", "Did not run, says bob: Not in the bank's list")


class TestFreeze:
    """Stop, and go on with a second person."""

    async def test_a_second_person_lifts_it(
        self, granting: World, guard: Guard, bob: httpx.AsyncClient, cem: httpx.AsyncClient
    ) -> None:
        """What is frozen is told to both, and nothing of it runs meanwhile."""
        body = {"scope": "agent", "name": "support", "reason": "It went mad"}
        frozen = (await bob.post("/api/v1/freezes", json=body)).json()
        again = (await cem.post("/api/v1/freezes", json=body)).json()
        own = await bob.post(f"/api/v1/freezes/{frozen['id']}/lift", json={})
        with guard.session(user=ANN), pytest.raises(CallRefused) as refused:
            await granting.call(guard, "refund", order_id=7)
        seen = (await cem.get("/api/v1/freezes")).json()["freezes"]
        lifted = await cem.post(f"/api/v1/freezes/{frozen['id']}/lift", json={"reason": "Mended"})
        assert refused.value.reason is RefusalReason.FROZEN
        assert again["id"] == frozen["id"]
        assert [(one["id"], one["reason"], one["person"], one["is_own"]) for one in seen] == [
            (frozen["id"], "It went mad", "bob", False)
        ]
        assert (own.status_code, own.json()["code"]) == (403, "second_person")
        assert (lifted.status_code, lifted.json()) == (200, {"freezes": []})

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"scope": "all", "reason": "x"}, 422),
            ({"scope": "tenant", "name": "x", "reason": "x"}, 422),
            ({"scope": "agent", "reason": "x"}, 422),
            ({"scope": "agent", "name": "x", "reason": " "}, 422),
            ({"scope": "agent", "name": "x", "reason": ""}, 422),
            ({"scope": "agent", "name": "\ud800", "reason": "x"}, 422),
            ({"scope": "agent", "name": "x", "reason": "\u202e"}, 422),
            ({"scope": "agent", "name": "x", "reason": "\ud800"}, 422),
        ],
        ids=str,
    )
    async def test_what_is_no_freeze_is_refused(
        self, agent: Channel, ann: httpx.AsyncClient, body: dict[str, str], status: int
    ) -> None:
        """Everything of all tenants is for who runs the server."""
        headers = {"content-type": "application/json"}
        reply = await ann.post("/api/v1/freezes", content=json.dumps(body), headers=headers)
        assert reply.status_code == status
        assert (await ann.get("/api/v1/freezes")).json() == {"freezes": []}


class TestGrant:
    """A few more along with an approval."""

    async def test_a_grant_is_given_used_told_and_revoked(
        self, granting: World, guard: Guard, bob: httpx.AsyncClient, cem: httpx.AsyncClient
    ) -> None:
        """Anybody ends it; then the next call is asked about again."""
        async with (waiting := Waiting(granting, guard)) as path:
            digest = (await bob.get(path)).json()["card_digest"]
            grant = {"seconds": 600, "uses": 2, "session": True}
            await bob.post(f"{path}/approve", json={"card_digest": digest, "grant": grant})
            await waiting.call
            await granting.call(guard, "refund", order_id=7, amount=20.0)
            (given,) = (await cem.get("/api/v1/grants")).json()["grants"]
            revoked = await cem.post(f"/api/v1/grants/{given['id']}/revoke", json={"reason": "Enough"})
            third = asyncio.create_task(granting.call(guard, "refund", order_id=7, amount=20.0))
            (other,) = await granting.waiting()
            await granting.decide(other, "bob")
            await third
        assert (given["id"], given["by"], given["uses"], given["used"]) == (path.rpartition("/")[2], ["bob"], 2, 1)
        assert given["covers"].startswith("refund where order_id is 7 and amount is at most 80.0")
        assert [one["revoked"] for one in revoked.json()["grants"]] == [True]

    async def test_more_than_is_offered_is_refused_and_nothing_is_decided(
        self, granting: World, guard: Guard, bob: httpx.AsyncClient
    ) -> None:
        """The request waits on; a rejection takes no grant at all."""
        good = {"seconds": 600, "uses": 1, "session": True}
        bad: list[dict[str, Any]] = [
            {"seconds": 1801},
            {"seconds": -1},
            {"uses": 4},
            {"uses": 0},
            {"uses": True},
            {"session": False},
            {"session": None},
            {"more": 1},
        ]
        async with Waiting(granting, guard) as path:
            digest = (await bob.get(path)).json()["card_digest"]
            bodies = [{"card_digest": digest, "grant": good | one} for one in bad]
            replies = [await bob.post(f"{path}/approve", json=body) for body in bodies]
            replies.append(await bob.post(f"{path}/reject", json={"card_digest": digest, "grant": good}))
            assert await granting.state(path.rpartition("/")[2]) is State.PENDING
        assert {reply.status_code for reply in replies} == {422}


class TestTogether:
    """Several calls of one turn."""

    async def test_t38_all_or_none(self, agent: Channel, ann: httpx.AsyncClient) -> None:
        """Approved together; once one of them ended, the others wait on; those of two turns are no turn."""
        first = [await opened(agent, ONE, turn="1" * 32) for _ in range(2)]
        second = [await opened(agent, ONE, turn="2" * 32) for _ in range(2)]
        await agent.withdraw(second[1].id, "the agent gave up")
        replies = [
            await ann.post(
                "/api/v1/decisions",
                json={"decision": "approve", "cards": {one.id: one.card.digest() for one in requests}},
            )
            for requests in (first, second, [first[0], second[0]])
        ]
        assert [reply.status_code for reply in replies] == [200, 409, 422]
        assert [one["state"] for one in replies[0].json()["resolutions"]] == ["approved", "approved"]
        assert (await agent.read(second[0].id)).state is State.PENDING
