"""Deciding over HTTP, on a real server: who may, on what, and what everybody else is told."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import replace
from typing import Any

import httpx
import pytest

from agentguard.approval import Channel, Roster, recount
from agentguard.approval.channel import RETENTION_MS
from agentguard.errors import ConfigurationError
from agentguard.model.approvals import Decision, Request, State
from agentguard.store.keys import SigningKey
from agentguard.store.redis import Connection
from tests.approval.people import CONFIRMED, KEYS, ONE, ROSTER, TWO, a_vote
from tests.server.serving import TOKENS, agents_side, caller, opened, parts, serving

pytestmark = pytest.mark.anyio


async def decide(client: httpx.AsyncClient, request: Request, verb: str = "approve", **changed: Any) -> httpx.Response:
    """A decision on the card of `request`."""
    body = {"card_digest": request.card.digest(), "comment": "looks right"} | changed
    return await client.post(f"/api/v1/requests/{request.id}/{verb}", json=body)


async def state(agent: Channel, request: Request) -> State:
    """How a request stands."""
    return (await agent.read(request.id)).state


class TestShow:
    """Listing and showing."""

    async def test_the_list_has_what_waits(self, agent: Channel, ann: httpx.AsyncClient) -> None:
        """The most urgent first; what ended is listed where asked for."""
        # given
        later, sooner = await opened(agent, TWO), await opened(agent, CONFIRMED)
        ended = await opened(agent)
        await agent.withdraw(ended.id, "not needed")

        # when
        waiting = (await ann.get("/api/v1/requests")).json()["requests"]
        everything = (await ann.get("/api/v1/requests?state=pending&state=withdrawn")).json()["requests"]

        # then
        assert [one["id"] for one in waiting] == [sooner.id, later.id]
        assert [one["id"] for one in everything] == [sooner.id, later.id, ended.id]
        assert waiting[0]["title"] == "Export 500 customers"
        assert [one["state"] for one in everything] == ["pending", "pending", "withdrawn"]

    async def test_t19_a_request_says_which_turn_it_is_of(self, agent: Channel, ann: httpx.AsyncClient) -> None:
        """In the list and when it is shown, so that a screen can show a turn's calls together."""
        request = await opened(agent, TWO, turn="0" * 32)
        alone = await opened(agent)
        listed = (await ann.get("/api/v1/requests")).json()["requests"]
        shown = (await ann.get(f"/api/v1/requests/{request.id}")).json()

        assert {one["id"]: one["turn"] for one in listed} == {request.id: "0" * 32, alone.id: ""}
        assert shown["turn"] == "0" * 32

    async def test_the_list_has_a_limit(self, agent: Channel, ann: httpx.AsyncClient) -> None:
        """The first ones; of those with the same deadline, by their ids."""
        made = [await opened(agent) for _ in range(3)]
        requests = sorted(made, key=lambda each: (each.deadline_ms, each.id))
        found = (await ann.get("/api/v1/requests?limit=2")).json()["requests"]
        assert [one["id"] for one in found] == [one.id for one in requests[:2]]

    @pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "state=open", "everyone=1"])
    async def test_a_query_that_is_none_is_refused(self, ann: httpx.AsyncClient, query: str) -> None:
        """Unknown names too."""
        assert (await ann.get(f"/api/v1/requests?{query}")).status_code == 422

    async def test_a_request_is_shown_whole(
        self, agent: Channel, ann: httpx.AsyncClient, bob: httpx.AsyncClient
    ) -> None:
        """Card, digest, needs, votes and what is missing; no signature, nothing sealed."""
        # given
        request = await opened(agent, TWO)
        await decide(bob, request)

        # when
        reply = await ann.get(f"/api/v1/requests/{request.id}")

        # then
        shown = reply.json()
        assert shown["card"] == request.card.model_dump(mode="json")
        assert shown["card_digest"] == request.card.digest()
        assert shown["needs"][0]["quorum"] == 2
        assert shown["standings"][0] == {"need": "stewards", "people": ["bob"], "missing": "1 of group:stewards"}
        assert [(vote["person"], vote["decision"], vote["counts"]) for vote in shown["votes"]] == [
            ("bob", "approve", True)
        ]
        assert shown["now_ms"] < shown["deadline_ms"]
        assert "sealed" not in reply.text
        assert "signature" not in reply.text
        assert request.digest not in reply.text

    async def test_t32_a_vote_written_by_hand_is_shown_as_not_verified(
        self, agent: Channel, connection: Connection, ann: httpx.AsyncClient
    ) -> None:
        """It counts for nothing, and no approval can be put beside it unseen."""
        # given
        request = await opened(agent, TWO)
        forged = a_vote(request, "bob", key=KEYS["stranger"], time_ms=request.opened_ms)
        await connection.execute("HSET", agent.names.votes(request.id), "vote:bob", forged.canonical())

        # when
        shown = (await ann.get(f"/api/v1/requests/{request.id}")).json()
        decided = await decide(ann, request)

        # then
        assert [(vote["person"], vote["counts"]) for vote in shown["votes"]] == [("bob", False)]
        assert "does not verify" in shown["votes"][0]["why"]
        assert shown["standings"][0]["people"] == []
        assert (decided.status_code, decided.json()["code"]) == (409, "forged")

    async def test_t31_absent_forbidden_and_malformed_are_one_404(
        self, agent: Channel, connection: Connection, ann: httpx.AsyncClient
    ) -> None:
        """Another tenant's request is as absent as one that never was, for showing and for deciding."""
        # given
        other = await opened(agents_side(connection, f"other-{secrets.token_hex(4)}"))
        ids = [secrets.token_hex(16), other.id, "x", "a" * 65, "%00", "a:b", "{}", "..%2frequests"]

        # when
        shown = [await ann.get(f"/api/v1/requests/{one}") for one in ids[:7]]
        body = {"card_digest": other.card.digest()}
        decided = [await ann.post(f"/api/v1/requests/{one}/approve", json=body) for one in ids[:7]]

        # then
        assert {reply.status_code for reply in [*shown, *decided]} == {404}
        assert len({reply.content for reply in [*shown, *decided]}) == 1
        assert {tuple(sorted(set(reply.headers) - {"date"})) for reply in shown} == {
            tuple(sorted(set(shown[0].headers) - {"date"}))
        }
        assert await state(agents_side(connection, other.principal.tenant), other) is State.PENDING

    async def test_t35_an_approver_of_one_tenant_sees_nothing_of_another(
        self, connection: Connection, ann: httpx.AsyncClient
    ) -> None:
        """Not in the list either."""
        await opened(agents_side(connection, f"other-{secrets.token_hex(4)}"))
        assert (await ann.get("/api/v1/requests")).json() == {"requests": [], "next": None}


class TestDecide:
    """Approving and rejecting."""

    async def test_an_approval_is_a_vote_that_the_agents_side_verifies(
        self, agent: Channel, ann: httpx.AsyncClient
    ) -> None:
        """Signed by the server for the token's person, on the card they saw."""
        # given
        request = await opened(agent, ONE)

        # when
        reply = await decide(ann, request)

        # then
        assert reply.json() == {"request": request.id, "state": "approved", "by": ["ann"], "comment": "looks right"}
        stored = await agent.read(request.id)
        vote = stored.votes[0]
        assert (vote.person, vote.signer, vote.card_digest) == ("ann", "inbox", request.card.digest())
        assert recount(stored.request, stored.votes, ROSTER).state is State.APPROVED

    async def test_a_rejection_ends_it(self, agent: Channel, ann: httpx.AsyncClient) -> None:
        """With the person's words."""
        request = await opened(agent, TWO)
        reply = await decide(ann, request, "reject", comment="too many customers")
        assert reply.json()["state"] == "rejected"
        assert (await agent.read(request.id)).resolution.comment == "too many customers"

    async def test_two_people_make_a_quorum_of_two(
        self, agent: Channel, ann: httpx.AsyncClient, bob: httpx.AsyncClient
    ) -> None:
        """One of them does not."""
        request = await opened(agent, TWO)
        first, second = await decide(ann, request), await decide(bob, request)
        assert (first.json()["state"], second.json()["state"]) == ("pending", "approved")

    async def test_t15_one_person_twice_is_one_person(self, agent: Channel, ann: httpx.AsyncClient) -> None:
        """However often they approve."""
        request = await opened(agent, TWO)
        states = [(await decide(ann, request)).json()["state"] for _ in range(3)]
        assert states == ["pending", "pending", "pending"]
        assert len((await agent.read(request.id)).votes) == 1

    async def test_t10_the_same_decision_again_is_the_same_decision(
        self, agent: Channel, ann: httpx.AsyncClient
    ) -> None:
        """Also after it ended the request."""
        request = await opened(agent)
        first, again = await decide(ann, request), await decide(ann, request)
        assert (again.status_code, again.json()) == (200, first.json())

    @pytest.mark.parametrize("verb", ["approve", "reject"])
    async def test_t3_after_the_end_nothing_is_decided(
        self, agent: Channel, ann: httpx.AsyncClient, bob: httpx.AsyncClient, verb: str
    ) -> None:
        """409, with the state that it ended in."""
        # given
        request = await opened(agent)
        await decide(ann, request, "reject")

        # when
        late = await decide(bob, request, verb, comment="me too")

        # then
        assert (late.status_code, late.json()["code"], late.json()["state"]) == (409, "ended", "rejected")
        assert [vote.person for vote in (await agent.read(request.id)).votes] == ["ann"]

    async def test_t8_after_the_deadline_nothing_is_decided(
        self, agent: Channel, connection: Connection, ann: httpx.AsyncClient
    ) -> None:
        """On Redis's clock."""
        request = await opened(agent)
        await connection.execute("HSET", agent.names.request(request.id), "deadline_ms", request.opened_ms - 1)
        late = await decide(ann, request)
        assert (late.status_code, late.json()["state"]) == (409, "expired")

    async def test_t3_racing_deciders_have_one_winner(self, agent: Channel, base: str) -> None:
        """Everybody else is told the state."""
        # given
        request = await opened(agent)
        async with caller(base, "ann") as ann, caller(base, "bob") as bob:
            # when
            replies = await asyncio.gather(
                *[decide(client, request, verb) for client, verb in [(ann, "approve"), (bob, "reject")] * 8]
            )

        # then
        ended = await state(agent, request)
        assert ended in {State.APPROVED, State.REJECTED}
        assert {reply.status_code for reply in replies} == {200, 409}
        assert {reply.json()["state"] for reply in replies} == {ended.value}

    async def test_t13_the_requester_does_not_decide(self, agent: Channel, ann: httpx.AsyncClient) -> None:
        """By name or e-mail; the refusal says who can."""
        # given
        request = await opened(agent, user="ANN@acme.example")

        # when
        refused = await decide(ann, request)

        # then
        assert (refused.status_code, refused.json()["code"]) == (403, "self_approval")
        assert "bob" in refused.json()["detail"]
        assert await state(agent, request) is State.PENDING

    async def test_who_is_in_no_group_of_it_does_not_decide(self, agent: Channel, base: str) -> None:
        """A token alone is no authority."""
        request = await opened(agent)
        async with caller(base, "eve") as eve:
            refused = await decide(eve, request)
        assert (refused.status_code, refused.json()["code"]) == (403, "not_entitled")
        assert await state(agent, request) is State.PENDING

    async def test_a_decision_is_on_the_card_that_was_seen(self, agent: Channel, ann: httpx.AsyncClient) -> None:
        """Another card: 409, nothing decided."""
        request, other = await opened(agent), "0" * 64
        refused = await decide(ann, request, card_digest=other)
        assert (refused.status_code, refused.json()["code"]) == (409, "other_card")
        assert await state(agent, request) is State.PENDING

    async def test_t16_a_comment_that_hides_characters_is_refused(self, agent: Channel, ann: httpx.AsyncClient) -> None:
        """It would be shown on other screens."""
        request = await opened(agent)
        refused = await decide(ann, request, comment="fine\u202e.exe")
        assert (refused.status_code, refused.json()["code"]) == (422, "bad_comment")
        assert await state(agent, request) is State.PENDING


class TestIdentity:
    """Who the caller is."""

    @pytest.mark.parametrize(
        "authorization",
        [
            [],
            [""],
            ["Bearer"],
            ["Bearer x"],
            ["Bearer agt_" + "x" * 43],
            ["Bearer " + "x" * 7000],
            [f"Basic {TOKENS['ann']}"],
            [TOKENS["ann"]],
            [f"Bearer  {TOKENS['ann']}"],
            [f"Bearer {TOKENS['ann'].upper()}"],
            [f"Bearer {TOKENS['ann']}x"],
            [f"Bearer {TOKENS['ann'][:-1]}"],
            [f"Bearer {TOKENS['late']}"],
            [f"Bearer {TOKENS['gone']}"],
            [f"Bearer {TOKENS['ann']}", f"Bearer {TOKENS['bob']}"],
            [f"Bearer {TOKENS['ann']}, Bearer {TOKENS['bob']}"],
        ],
        ids=[
            "none", "empty", "scheme alone", "short", "unknown", "huge", "basic", "no scheme", "two spaces", "another case",
            "longer", "shorter", "expired", "somebody who left", "two headers", "two in one",
        ],
    )  # fmt: skip
    async def test_t31_every_bad_credential_gets_the_same_401(
        self, agent: Channel, nobody: httpx.AsyncClient, authorization: list[str]
    ) -> None:
        """Nothing is decided, and nothing told apart."""
        # given
        request = await opened(agent)
        plain = await nobody.post("/api/v1/nothing")

        # when
        reply = await nobody.post(
            f"/api/v1/requests/{request.id}/approve",
            headers=[("authorization", value) for value in authorization],
            json={"card_digest": request.card.digest()},
        )

        # then
        assert (reply.status_code, reply.content) == (401, plain.content)
        assert reply.headers["www-authenticate"] == "Bearer"
        assert await state(agent, request) is State.PENDING

    @pytest.mark.parametrize("extra", ["person", "approver", "by", "signer", "groups", "decision", "state"])
    async def test_t14_a_body_cannot_say_who_decides(self, agent: Channel, base: str, extra: str) -> None:
        """Unknown fields are refused, whatever they are called."""
        request = await opened(agent)
        async with caller(base, "eve") as eve:
            refused = await decide(eve, request, **{extra: "ann"})
        assert refused.status_code == 422
        assert "ann" not in refused.json()["errors"][0].values()
        assert await state(agent, request) is State.PENDING

    async def test_t35_a_token_is_nobodys_where_its_persons_name_is_another_humans(
        self, valkey_url: str, agent: Channel
    ) -> None:
        """Such as at a server of another tenant on the same machine, whose people have names of their own."""
        request = await opened(agent, ONE)
        people = {**ROSTER.people, "ann": ROSTER.people["ann"].model_copy(update={"email": "ann@other.example"})}
        made = parts(valkey_url, agent.names.tenant, roster=lambda: replace(ROSTER, people=people))
        with serving(made) as base:
            async with caller(base, "ann") as other, caller(base, "bob") as bob:
                replies = [await decide(client, request) for client in (other, bob)]
        assert [reply.status_code for reply in replies] == [401, 200]
        assert [vote.person for vote in (await agent.read(request.id)).votes] == ["bob"]

    @pytest.mark.parametrize("header", ["x-forwarded-user", "x-remote-user", "x-agentguard-person", "remote-user"])
    async def test_t14_a_header_cannot_say_who_decides(self, agent: Channel, base: str, header: str) -> None:
        """The token alone does."""
        request = await opened(agent)
        async with caller(base, "eve") as eve:
            reply = await eve.post(
                f"/api/v1/requests/{request.id}/approve",
                headers={header: "ann"},
                json={"card_digest": request.card.digest()},
            )
        assert reply.status_code == 403

    async def test_t13_nothing_that_the_agents_side_holds_opens_the_api(
        self, agent: Channel, connection: Connection, nobody: httpx.AsyncClient
    ) -> None:
        """Not its record keys, not what stands in Redis, not another's signing key."""
        # given
        request = await opened(agent)
        in_redis = await connection.execute("HVALS", agent.names.request(request.id))
        held = [*in_redis, *(one.encode() for one in (request.digest, request.id, KEYS["stranger"].public))]

        # when
        replies = [
            await nobody.post(
                f"/api/v1/requests/{request.id}/approve",
                headers={"authorization": b"Bearer " + one[:4000]},
                json={"card_digest": request.card.digest()},
            )
            for one in held
        ]

        # then
        assert {reply.status_code for reply in replies} == {401}
        assert await state(agent, request) is State.PENDING

    async def test_who_leaves_approvers_is_out_at_once(self, valkey_url: str, tenant: str) -> None:
        """Their token is as unknown as any other."""
        # given
        today = [ROSTER]
        made = parts(valkey_url, tenant, roster=lambda: today[0])
        with serving(made) as base:
            async with caller(base, "ann") as ann:
                before = await ann.get("/api/v1/requests")

                # when
                today[0] = Roster(people={"bob": ROSTER.people["bob"]}, signers=ROSTER.signers)
                after = await ann.get("/api/v1/requests")

        # then
        assert (before.status_code, after.status_code) == (200, 401)

    async def test_broken_people_let_nobody_in(self, valkey_url: str, tenant: str) -> None:
        """503, and the reply does not say what is wrong with the file."""

        # given
        def broken() -> Roster:
            raise ConfigurationError("approvers.yaml:3:1: canary")

        # when
        with serving(parts(valkey_url, tenant, roster=broken)) as base:
            async with caller(base, "ann") as ann:
                reply = await ann.get("/api/v1/requests")

        # then
        assert reply.status_code == 503
        assert "canary" not in reply.text

    async def test_a_server_whose_key_is_not_the_signers_decides_nothing(
        self, agent: Channel, valkey_url: str, tenant: str
    ) -> None:
        """503; whose key it is stands in the log alone."""
        request = await opened(agent)
        with serving(parts(valkey_url, tenant, key=SigningKey.new())) as base:
            async with caller(base, "ann") as ann:
                reply = await decide(ann, request)
        assert (reply.status_code, reply.json()["code"]) == (503, "cannot_sign")
        assert await state(agent, request) is State.PENDING


class TestForgery:
    """Redis is written by somebody else."""

    async def test_t32_an_approval_written_by_hand_is_shown_with_nobody_behind_it(
        self, agent: Channel, connection: Connection, ann: httpx.AsyncClient
    ) -> None:
        """And the agent's side has no vote to verify."""
        request = await opened(agent)
        await connection.execute("HSET", agent.names.votes(request.id), "resolution", "approved", "version", 1)
        shown = (await ann.get(f"/api/v1/requests/{request.id}")).json()
        assert shown["standings"][0]["people"] == []
        assert shown["votes"] == []

    async def test_a_record_that_is_none_is_said_to_be_forged(
        self, agent: Channel, connection: Connection, ann: httpx.AsyncClient
    ) -> None:
        """Never a 500."""
        request = await opened(agent)
        await connection.execute("HSET", agent.names.request(request.id), "record", json.dumps({"id": request.id}))
        shown, decided = await ann.get(f"/api/v1/requests/{request.id}"), await decide(ann, request)
        assert (shown.status_code, shown.json()["code"]) == (409, "forged")
        assert (decided.status_code, decided.json()["code"]) == (409, "forged")

    async def test_the_decision_of_a_person_is_the_last_word_of_the_record(
        self, agent: Channel, ann: httpx.AsyncClient
    ) -> None:
        """What the API wrote lives as long as ended requests do."""
        request = await opened(agent)
        await decide(ann, request)
        ttl = await agent.connection.execute("PTTL", agent.names.votes(request.id))
        assert 0 < ttl <= RETENTION_MS + 3_600_000
        assert (await agent.read(request.id)).votes[0].decision is Decision.APPROVE
