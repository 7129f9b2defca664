"""Decisions of outside systems: who signed them, and that nobody else decides anything."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from starlette.datastructures import Headers

from agentguard.approval import Channel, Person, Roster
from agentguard.approval.signing import signed
from agentguard.model.approvals import Decision, Request, State, Vote
from agentguard.server.incoming import WINDOW_SECONDS, NotSigned, Sender, sender_of
from agentguard.store.keys import SigningKey
from agentguard.store.redis import Connection
from tests.approval.people import KEYS, ONE, ROSTER, TWO
from tests.documents import ROOT, blocks
from tests.server.serving import TOKENS, agents_side, opened, parts, serving

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000
BODY = b'{"request":"r"}'


def headers(
    body: bytes, key: SigningKey, *, message_id: str = "msg_1", at: int = NOW, more: str = "", **changed: str
) -> dict[str, str]:
    """The headers of a message, signed; then some of them changed."""
    signature = f"{more}v1a,{key.sign(f'{message_id}.{at}.'.encode() + body)}"
    given = {"webhook-id": message_id, "webhook-timestamp": str(at), "webhook-signature": signature}
    return given | {name.replace("_", "-"): value for name, value in changed.items()}


def told(written: dict[str, str], body: bytes = BODY) -> Sender:
    """Who sent it."""
    return sender_of(Headers(written), body, ROSTER, now_seconds=NOW)


class TestWhoSentIt:
    """The signature, by itself."""

    @pytest.mark.parametrize("name", ["ann", "bob", "eve"])
    def test_a_key_is_its_person(self, name: str) -> None:
        """Whoever has it."""
        assert told(headers(BODY, KEYS[name])) == Sender(person=name, message_id="msg_1")

    def test_one_of_several_signatures_is_enough(self) -> None:
        """While one key takes another's place."""
        assert told(headers(BODY, KEYS["ann"], more="v1,xx v1a,eHg= ")).person == "ann"

    @pytest.mark.parametrize("off", [-WINDOW_SECONDS, -299, 0, 299, WINDOW_SECONDS])
    def test_t10_within_the_window_it_counts(self, off: int) -> None:
        """Either side of now."""
        assert told(headers(BODY, KEYS["ann"], at=NOW + off)).person == "ann"

    @pytest.mark.parametrize("off", [-NOW, -301, 301, 10**11 - NOW])
    def test_t10_outside_of_it_it_is_stale(self, off: int) -> None:
        """However well it is signed."""
        with pytest.raises(NotSigned) as refused:
            told(headers(BODY, KEYS["ann"], at=NOW + off))
        assert refused.value.code == "stale"

    @pytest.mark.parametrize(
        "written",
        [
            pytest.param({}, id="no headers"),
            pytest.param(headers(BODY, KEYS["stranger"]), id="a stranger's key"),
            pytest.param(headers(BODY, KEYS["inbox"]), id="the server's key, which is no person's"),
            pytest.param(headers(BODY + b" ", KEYS["ann"]), id="another body"),
            pytest.param(headers(BODY, KEYS["ann"], webhook_id="msg_2"), id="another id"),
            pytest.param(headers(BODY, KEYS["ann"], webhook_timestamp=str(NOW + 1)), id="another time"),
            pytest.param(headers(BODY, KEYS["ann"], webhook_timestamp=f"{NOW}.0"), id="a time that is none"),
            pytest.param(headers(BODY, KEYS["ann"], webhook_timestamp="²"), id="digits that are none"),
            pytest.param(headers(BODY, KEYS["ann"], message_id="a.b"), id="an id with a dot"),
            pytest.param(headers(BODY, KEYS["ann"], message_id="x" * 129), id="a long id"),
            pytest.param(headers(BODY, KEYS["ann"], webhook_signature=""), id="no signature"),
            pytest.param(headers(BODY, KEYS["ann"], webhook_signature="v1,eHg="), id="a shared secret's"),
            pytest.param(headers(BODY, KEYS["ann"], webhook_signature="v1a,not base64"), id="no base64"),
            pytest.param(headers(BODY, KEYS["ann"], more="v1a,eHg= " * 5), id="too many signatures"),
        ],
    )
    def test_t9_what_nobody_signed_is_nobodys(self, written: dict[str, str]) -> None:
        """Each way of forging one."""
        with pytest.raises(NotSigned) as refused:
            told(written)
        assert refused.value.code == "not_signed"

    @pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
    def test_t9_a_header_that_stands_there_twice_counts_for_nothing(self, name: str) -> None:
        """Whichever of them somebody on the way would take."""
        written = headers(BODY, KEYS["ann"])
        doubled = Headers(raw=[(k.encode(), v.encode()) for k, v in [*written.items(), (name, written[name])]])
        with pytest.raises(NotSigned):
            sender_of(doubled, BODY, ROSTER, now_seconds=NOW)


async def test_t9_a_flood_of_what_nobody_signed_holds_up_nobody_else(valkey_url: str, tenant: str) -> None:
    """Each takes its time where many people have keys; a page is answered before most of them."""
    people = {
        f"p{n}": Person(email=f"p{n}@acme.example", groups=("stewards",), key=SigningKey.new().public)
        for n in range(200)
    }
    wrong = [f"v1a,{KEYS['stranger'].sign(str(n).encode())}" for n in range(4)]
    given = headers(BODY, KEYS["stranger"], at=int(time.time()), webhook_signature=" ".join(wrong))
    made = parts(valkey_url, tenant, roster=lambda: Roster(people=people, signers={}))
    with serving(made) as base:
        async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=60) as client:
            ask = {"content": BODY, "headers": {"content-type": "application/json", **given}}
            flood = [asyncio.create_task(client.post("/webhooks/decisions", **ask)) for _ in range(30)]
            await asyncio.wait(flood, return_when=asyncio.FIRST_COMPLETED)
            page = await client.get("/login")
            pending = sum(not each.done() for each in flood)
            statuses = {reply.status_code for reply in await asyncio.gather(*flood)}
    assert page.status_code == 200
    assert pending > 15
    assert statuses == {401}


async def send(
    client: httpx.AsyncClient, body: dict[str, Any] | bytes, key: SigningKey, message_id: str = "", **more: str
) -> httpx.Response:
    """Send a signed message."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    made = headers(text, key, message_id=message_id or f"msg_{secrets.token_hex(8)}", at=int(time.time()))
    return await client.post(
        "/webhooks/decisions", content=text, headers={"content-type": "application/json", **made, **more}
    )


def decision(request: Request, word: str = "approve", **more: Any) -> dict[str, Any]:
    """A decision on a request."""
    return {"request": request.id, "decision": word, "card_digest": request.card.digest(), **more}


async def a_ballot(agent: Channel, request: Request, person: str = "ann", **changed: Any) -> Vote:
    """A vote of a person's, signed by their own key."""
    await agent.learn_time()
    given: dict[str, Any] = {
        "tenant": agent.names.tenant, "request": request.id, "revision": request.revision, "digest": request.digest,
        "card_digest": request.card.digest(), "approvals": ("stewards",), "person": person, "groups": ("stewards",),
        "decision": Decision.APPROVE, "time_ms": agent.clock.now_ms(), "signer": person,
    }  # fmt: skip
    return signed(Vote(**(given | changed)), KEYS[changed.get("signer", person)])


def whole(vote: Vote) -> dict[str, Any]:
    """A message with a vote in it."""
    return {"vote": vote.model_dump(mode="json")}


class TestDeciding:
    """Against a running server."""

    async def test_a_system_decides_as_the_person_of_its_key(self, nobody: httpx.AsyncClient, agent: Channel) -> None:
        """The server signs in their name."""
        request = await opened(agent, ONE)
        reply = await send(nobody, decision(request, comment="CHG-1"), KEYS["bob"])
        (vote,) = (await agent.read(request.id)).votes
        assert (reply.status_code, reply.json()["state"], reply.json()["by"]) == (200, "approved", ["bob"])
        assert (vote.person, vote.signer, vote.comment) == ("bob", "inbox", "CHG-1")

    async def test_a_whole_vote_is_put_as_it_was_signed(
        self, nobody: httpx.AsyncClient, ann: httpx.AsyncClient, agent: Channel
    ) -> None:
        """From the ballot that the API gives; the server's key is nowhere in it."""
        request = await opened(agent, TWO)
        ballot = (await ann.get(f"/api/v1/requests/{request.id}/ballot")).json()
        vote = signed(Vote.read(json.dumps({**ballot, "decision": "approve"})), KEYS["ann"])
        reply = await send(nobody, whole(vote), KEYS["ann"])
        assert (reply.status_code, reply.json()["state"]) == (200, "pending")
        assert (await agent.read(request.id)).votes == (vote,)

    async def test_t10_a_message_that_comes_twice_decides_once(self, nobody: httpx.AsyncClient, agent: Channel) -> None:
        """It gets the same answer, also signed anew; another body under its id gets none."""
        request, other = await opened(agent, TWO), await opened(agent, TWO)
        message = f"msg_{secrets.token_hex(8)}"
        first = await send(nobody, decision(request), KEYS["ann"], message)
        again = await send(nobody, decision(request), KEYS["ann"], message)
        changed = await send(nobody, decision(request, "reject"), KEYS["ann"], message)
        elsewhere = await send(nobody, decision(other), KEYS["ann"], message)
        assert (again.status_code, again.json()) == (first.status_code, first.json())
        assert again.headers["idempotent-replayed"] == "true"
        assert {changed.json()["code"], elsewhere.json()["code"]} == {"key_reused"}
        assert [vote.decision for vote in (await agent.read(request.id)).votes] == [Decision.APPROVE]
        assert (await agent.read(other.id)).votes == ()

    async def test_t10_an_older_word_does_not_come_back(self, nobody: httpx.AsyncClient, agent: Channel) -> None:
        """A captured vote in a message of its own, after its person changed their mind; and one from long ago."""
        request = await opened(agent, TWO.model_copy(update={"reject_quorum": 2}))
        yes = await a_ballot(agent, request)
        assert (await send(nobody, whole(yes), KEYS["ann"])).status_code == 200
        await anyio.sleep(0.005)
        no = await a_ballot(agent, request, decision=Decision.REJECT)
        assert (await send(nobody, whole(no), KEYS["ann"])).status_code == 200
        back = await send(nobody, whole(yes), KEYS["ann"])
        old = await a_ballot(agent, request, "bob", time_ms=yes.time_ms - 301_000)
        late = await send(nobody, whole(old), KEYS["bob"])
        assert {(each.status_code, each.json()["code"]) for each in (back, late)} == {(409, "stale_vote")}
        assert (await agent.read(request.id)).votes == (no,)

    async def test_t10_a_vote_from_the_future_or_of_the_same_moment_is_no_newer_word(
        self, nobody: httpx.AsyncClient, agent: Channel
    ) -> None:
        """Else it would outlive what its person says later, and of two of one moment either could come last."""
        request = await opened(agent, TWO.model_copy(update={"reject_quorum": 2}))
        yes = await a_ballot(agent, request)
        no = await a_ballot(agent, request, decision=Decision.REJECT, time_ms=yes.time_ms)
        soon = await a_ballot(agent, request, "bob", time_ms=yes.time_ms + 320_000)
        first = await send(nobody, whole(yes), KEYS["ann"])
        replies = [await send(nobody, whole(no), KEYS["ann"]), await send(nobody, whole(soon), KEYS["bob"])]
        assert first.status_code == 200
        assert [(each.status_code, each.json()["code"]) for each in replies] == [(409, "stale_vote")] * 2
        assert (await agent.read(request.id)).votes == (yes,)

    async def test_t14_a_vote_on_no_approval_is_none(self, nobody: httpx.AsyncClient, agent: Channel) -> None:
        """It would decide nothing, and stand there as its person's word."""
        request = await opened(agent, ONE)
        reply = await send(nobody, whole(await a_ballot(agent, request, approvals=())), KEYS["ann"])
        assert (reply.status_code, reply.json()["code"]) == (403, "not_entitled")
        assert (await agent.read(request.id)).votes == ()

    async def test_t13_t14_t15_nobody_decides_for_another_or_for_themselves(
        self, nobody: httpx.AsyncClient, agent: Channel
    ) -> None:
        """Their own request, no approver, another's vote, a server's vote, a stranger's signature in it."""
        own = await opened(agent, ONE, user="ann@acme.example")
        request = await opened(agent, ONE)
        strangers = (await a_ballot(agent, request)).model_copy(update={"signature": KEYS["stranger"].sign(b"x")})
        replies = [
            await send(nobody, decision(own), KEYS["ann"]),
            await send(nobody, whole(await a_ballot(agent, own)), KEYS["ann"]),
            await send(nobody, decision(request), KEYS["eve"]),
            await send(nobody, whole(await a_ballot(agent, request)), KEYS["bob"]),
            await send(nobody, whole(await a_ballot(agent, request, signer="inbox")), KEYS["ann"]),
            await send(nobody, whole(strangers), KEYS["ann"]),
            await send(nobody, whole(await a_ballot(agent, request, approvals=("board",))), KEYS["ann"]),
            await send(nobody, {**decision(request), "person": "bob"}, KEYS["eve"]),
        ]
        assert [reply.json()["code"] for reply in replies] == [
            "self_approval", "self_approval", "not_entitled", "other_person", "other_person", "vote_signature",
            "not_entitled", "invalid",
        ]  # fmt: skip
        assert [(await agent.read(each.id)).votes for each in (own, request)] == [(), ()]

    async def test_t2_t35_a_decision_is_for_one_request_of_one_tenant(
        self, nobody: httpx.AsyncClient, agent: Channel, connection: Connection
    ) -> None:
        """Another card, another request, another tenant's; what is absent and what is somebody else's look the same."""
        request, other = await opened(agent, ONE), await opened(agent, ONE, card=(await opened(agent)).card)
        foreign = await opened(agents_side(connection, f"other-{secrets.token_hex(4)}"), ONE)
        vote = await a_ballot(agent, request)
        moved = vote.model_copy(update={"request": other.id})
        replies = [
            await send(nobody, {**decision(request), "card_digest": "0" * 64}, KEYS["ann"]),
            await send(nobody, whole(moved), KEYS["ann"]),
            await send(nobody, whole(await a_ballot(agent, request, revision=2)), KEYS["ann"]),
            await send(nobody, whole(await a_ballot(agent, request, tenant="other")), KEYS["ann"]),
            await send(nobody, decision(foreign), KEYS["ann"]),
            await send(nobody, {**decision(request), "request": "f" * 32}, KEYS["ann"]),
        ]
        assert [(reply.status_code, reply.json()["code"]) for reply in replies] == [
            (409, "other_card"), (409, "other_call"), (409, "other_revision"), (404, "not_found"), (404, "not_found"),
            (404, "not_found"),
        ]  # fmt: skip
        assert replies[4].json() == replies[5].json()
        assert [(await agent.read(each.id)).votes for each in (request, other)] == [(), ()]

    @pytest.mark.parametrize(
        "body", [b"", b"{", b"[]", b'{"vote": 1}', b"\xff"], ids=["none", "half", "list", "no vote", "bytes"]
    )
    async def test_t31_without_a_signature_nothing_is_said_of_the_body(
        self, nobody: httpx.AsyncClient, agent: Channel, body: bytes
    ) -> None:
        """The same 401 for whatever stands in it; with one, what is wrong is told."""
        request = await opened(agent, ONE)
        known = json.dumps(decision(request)).encode()
        silent = [await send(nobody, text, KEYS["stranger"]) for text in (body, known)]
        mine = await send(nobody, body, KEYS["ann"])
        assert silent[0].status_code == silent[1].status_code == 401
        assert silent[0].json() == silent[1].json()
        assert mine.status_code in (400, 422)

    async def test_what_is_over_says_how_it_ended(self, nobody: httpx.AsyncClient, agent: Channel) -> None:
        """And stays as it is."""
        request = await opened(agent, ONE)
        await agent.withdraw(request.id, "")
        replies = [
            await send(nobody, decision(request), KEYS["ann"]),
            await send(nobody, whole(await a_ballot(agent, request)), KEYS["ann"]),
        ]
        assert [(r.status_code, r.json()["code"], r.json()["state"]) for r in replies] == [
            (409, "ended", "withdrawn")
        ] * 2

    async def test_t1_a_decision_that_says_two_things_is_none(self, nobody: httpx.AsyncClient, agent: Channel) -> None:
        """However well it is signed; who did not sign it is not told what is wrong with it."""
        request = await opened(agent, ONE)
        said = json.dumps(decision(request, "reject"))[:-1].encode()
        body = said + b', "decision": "approve"}'
        replies = [await send(nobody, body, KEYS[name]) for name in ("ann", "stranger")]
        assert [(reply.status_code, reply.json()["code"]) for reply in replies] == [
            (400, "said_twice"),
            (401, "not_signed"),
        ]
        assert (await agent.read(request.id)).votes == ()

    @pytest.mark.parametrize(
        ("more", "status"),
        [({"content-type": "application/x-www-form-urlencoded"}, 415), ({"content-encoding": "gzip"}, 415)],
        ids=["a form", "compressed"],
    )
    async def test_only_plain_json_is_read(
        self, nobody: httpx.AsyncClient, agent: Channel, more: dict[str, str], status: int
    ) -> None:
        """A page elsewhere can't send that without asking first."""
        request = await opened(agent, ONE)
        assert (await send(nobody, decision(request), KEYS["ann"], **more)).status_code == status
        assert (await agent.read(request.id)).state is State.PENDING

    async def test_a_body_that_is_too_large_is_not_read(self, nobody: httpx.AsyncClient) -> None:
        """64 kB are enough."""
        assert (await send(nobody, b"x" * 70_000, KEYS["ann"])).status_code == 413

    async def test_the_example_of_the_document_decides(
        self, base: str, agent: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Both ways of it, as they stand there."""
        # given
        (block,) = [each for each in blocks(ROOT / "docs" / "decisions.md", "python") if each.given == "decide.py"]
        (tmp_path / "decide.py").write_text(block.text)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "decide", raising=False)
        decide: Any = __import__("decide")
        one, two = await opened(agent, ONE), await opened(agent, ONE)

        # when
        yes = await anyio.to_thread.run_sync(
            decide.approve, base, TOKENS["ann"], KEYS["ann"], one.id, one.card.digest()
        )
        no = await anyio.to_thread.run_sync(decide.reject, base, KEYS["bob"], two.id, two.card.digest(), "Not now")

        # then
        assert (yes.json()["state"], no.json()["state"], no.json()["comment"]) == ("approved", "rejected", "Not now")
        assert [vote.signer for vote in (await agent.read(one.id)).votes] == ["ann"]
