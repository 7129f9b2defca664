"""What people do on the pages besides approving and rejecting: edit, settle, freeze and lift; with a real guard on the agent's side."""

from __future__ import annotations

import asyncio
import errno
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from agentguard.audit import Journal, read, verify
from agentguard.config import journal_keys, keyring_of, read_roster
from agentguard.errors import CallRefused, ConfigurationError, GuardUnavailable, RefusalReason
from agentguard.guard.pipeline import Guard
from agentguard.integrations.functions import FunctionTool
from agentguard.model.approvals import State
from agentguard.model.calls import ToolCall
from agentguard.server.identity import Identity
from agentguard.server.running import _unmasking
from agentguard.server.settings import ServerSettings
from agentguard.server.unmasking import Unmasking
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from agentguard.store.seal import Sealer
from tests.audit.journals import FailingDisk
from tests.guard.world import World
from tests.server.serving import now_ms, parts, serving
from tests.server.visiting import COOKIES, decide, form, visitor

pytestmark = pytest.mark.anyio

ANN = "ann@acme.example"


@pytest.fixture
def base(world: World) -> Iterator[str]:
    """A server of that tenant."""
    with serving(parts(world.redis_url, world.tenant, roster=lambda: read_roster(world.policies))) as address:
        yield address


@pytest.fixture
async def bob(base: str) -> AsyncIterator[httpx.AsyncClient]:
    """Bob's browser."""
    async with visitor(base, "bob") as client:
        yield client


@pytest.fixture
async def cem(base: str) -> AsyncIterator[httpx.AsyncClient]:
    """Cem's browser."""
    async with visitor(base, "cem") as client:
        yield client


class TestEdit:
    """Before anybody approves."""

    async def test_what_was_edited_and_approved_runs(self, world: World, guard: Guard, bob: httpx.AsyncClient) -> None:
        """The page shows what changed and by whom, and the approval is of the changed call."""
        with guard.session(user=ANN):
            call = asyncio.create_task(world.call(guard, "refund", order_id=7, amount=80.0))
            (request,) = await world.waiting()
            path = f"/requests/{request}"
            old = (await bob.get(path)).text
            edited = await bob.post(
                f"{path}/edit", data=form(old, f"{path}/edit") | {"name": "amount", "value": "50.0"}
            )
            page = (await bob.get(path)).text
            stale = await bob.post(f"{path}/approve", data=form(old, f"{path}/approve"))
            await decide(bob, request)
            await call
        assert edited.status_code == 303
        assert re.search(r"50\.0</span>\s*<span class=\"origin quiet\">changed by bob<", page)
        assert re.search(r"bob changed it.*<b>amount</b>.*80\.0.*→.*50\.0", page, re.DOTALL)
        assert stale.status_code == 409
        assert world.tools.ran == [("refund", {"order_id": 7, "amount": 50.0})]

    async def test_an_edit_that_would_not_run_is_told(self, world: World, guard: Guard, bob: httpx.AsyncClient) -> None:
        """The request waits on as it was."""
        with guard.session(user=ANN):
            call = asyncio.create_task(world.call(guard, "refund", order_id=7))
            (request,) = await world.waiting()
            path = f"/requests/{request}"
            fields = form((await bob.get(path)).text, f"{path}/edit") | {"name": "amount", "value": "much"}
            await bob.post(f"{path}/edit", data=fields)
            page = (await bob.get(path)).text
            await decide(bob, request, "reject", comment="no")
            with pytest.raises(CallRefused):
                await call
        assert "The edit of bob was refused" in page
        assert "much" not in page

    async def test_t14_who_may_not_decide_may_not_edit(self, world: World, guard: Guard, base: str) -> None:
        """Neither a stranger to it nor the requester; by hand neither."""
        with guard.session(user=ANN):
            call = asyncio.create_task(world.call(guard, "refund", order_id=7))
            (request,) = await world.waiting()
            path, digest = f"/requests/{request}", (await world.card(request)).digest()
            for person in ("zoe", "ann"):
                async with visitor(base, person) as client:
                    assert not form((await client.get(path)).text, f"{path}/edit")
                    token = COOKIES.form_token(f"{person:0>32}", "edit", request, digest)
                    fields = {"form": token, "card_digest": digest, "name": "amount", "value": "1"}
                    assert (await client.post(f"{path}/edit", data=fields)).status_code == 403
            await world.decide(request, "bob")
            await call
        assert world.tools.ran == [("refund", {"order_id": 7, "amount": 10.0})]


class TestGrant:
    """A few more along with an approval."""

    GRANTING = "refund: {risk: high, labels: [], grants: {for: 30m, uses: 3, same: [order_id], at_most: [amount]}}"

    @pytest.fixture
    def world(self, world: World) -> World:
        """Refunds may be granted."""
        file = world.policies / "policy.yaml"
        file.write_text(file.read_text().replace("refund: {risk: high, labels: []}", self.GRANTING))
        return world

    async def test_calls_like_the_approved_one_run_without_being_asked_about(
        self, world: World, guard: Guard, bob: httpx.AsyncClient
    ) -> None:
        """As many as the form said."""
        with guard.session(user=ANN):
            call = asyncio.create_task(world.call(guard, "refund", order_id=7))
            (request,) = await world.waiting()
            page = (await bob.get(f"/requests/{request}")).text
            await decide(bob, request, scope="session", uses="1", seconds="600")
            await call
            await world.call(guard, "refund", order_id=7)
            third = asyncio.create_task(world.call(guard, "refund", order_id=7))
            (other,) = await world.waiting()
            await decide(bob, other)
            await third
        words = "refund where order_id is 7 and amount is at most 10.0, whatever its other arguments are"
        assert f"Like it means: <b>{words}</b>" in page
        assert '<input type="number" name="uses" min="1" max="3" value="1" required>' in page
        assert re.findall(r'<option value="(\d+)">([^<]+)</option>', page) == [("600", "10 min"), ("1800", "30 min")]
        assert 'value="any"' not in page
        assert len(world.tools.ran) == 3

    async def test_once_is_once_whatever_else_the_form_says(
        self, world: World, guard: Guard, bob: httpx.AsyncClient
    ) -> None:
        """What is chosen unless somebody chooses otherwise."""
        with guard.session(user=ANN):
            call = asyncio.create_task(world.call(guard, "refund", order_id=7))
            (request,) = await world.waiting()
            await decide(bob, request, scope="once", uses="3", seconds="1800")
            await call
            again = asyncio.create_task(world.call(guard, "refund", order_id=7))
            (other,) = await world.waiting()
            await decide(bob, other)
            await again
        assert "Nothing is granted" in (await bob.get("/grants")).text

    async def test_anybody_ends_a_grant_on_its_page(
        self, world: World, guard: Guard, bob: httpx.AsyncClient, cem: httpx.AsyncClient
    ) -> None:
        """The page says what it covers, by whom, and how much is used; the next call is asked about again."""
        with guard.session(user=ANN):
            call = asyncio.create_task(world.call(guard, "refund", order_id=7))
            (request,) = await world.waiting()
            await decide(bob, request, scope="session", uses="3", seconds="1800")
            await call
            await world.call(guard, "refund", order_id=7)
            page = (await cem.get("/grants")).text
            path = f"/grants/{request}/revoke"
            foreign = await cem.post(path, data=form((await bob.get("/grants")).text, path))
            revoked = await cem.post(path, data=form(page, path) | {"comment": "Done for today"})
            again = asyncio.create_task(world.call(guard, "refund", order_id=7))
            (other,) = await world.waiting()
            await decide(bob, other)
            await again
        assert "refund where order_id is 7" in page
        assert "granted by bob" in page
        assert "1 of 3</b> used" in page
        assert (foreign.status_code, revoked.status_code) == (403, 303)
        assert "Revoked; no further call runs under it." in (await bob.get("/grants")).text

    async def test_more_than_is_offered_is_refused_and_nothing_is_decided(
        self, world: World, guard: Guard, bob: httpx.AsyncClient
    ) -> None:
        """The request waits on."""
        uses = [{"uses": uses} for uses in ("4", "0", "-1", "x", "", "9" * 12, "\u0663")]
        seconds = [{"seconds": seconds} for seconds in ("1801", "0", "x", "")]
        scopes = [{"scope": scope} for scope in ("any", "forever", "")]
        good = {"scope": "session", "uses": "1", "seconds": "600"}
        with guard.session(user=ANN):
            call = asyncio.create_task(world.call(guard, "refund", order_id=7))
            (request,) = await world.waiting()
            path = f"/requests/{request}/approve"
            fields = form((await bob.get(f"/requests/{request}")).text, path) | good
            replies = [await bob.post(path, data=fields | bad) for bad in (*uses, *seconds, *scopes)]
            assert await world.state(request) is State.PENDING
            await decide(bob, request)
            await call
        assert {reply.status_code for reply in replies} == {403}


class TestSettle:
    """May have run."""

    @pytest.mark.parametrize(
        ("found", "told"), [("happened", "Ran, says bob: I saw it"), ("did-not", "Did not run, says bob: I saw it")]
    )
    async def test_a_person_says_what_happened(
        self, world: World, guard: Guard, base: str, bob: httpx.AsyncClient, found: str, told: str
    ) -> None:
        """Once, and on record; the page offers it only where nobody knows."""
        with guard.session(user=ANN):
            call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=7, amount=-1.0))
            (request,) = await world.waiting()
            path = f"/requests/{request}"
            assert not form((await bob.get(path)).text, f"{path}/settle")
            await decide(bob, request)
            await call
        assert await world.state(request) is State.DONE
        async with visitor(base, "ann") as ann:
            assert not form((await ann.get(path)).text, f"{path}/settle")
        await self.break_off(world, request)
        fields = form((await bob.get(path)).text, f"{path}/settle") | {"found": found, "comment": "I saw it"}
        assert (await bob.post(f"{path}/settle", data=fields)).status_code == 303
        assert told in (await bob.get(path)).text
        other = "did-not" if found == "happened" else "happened"
        assert (await bob.post(f"{path}/settle", data=fields | {"found": other})).status_code == 409

    async def break_off(self, world: World, request: str) -> None:
        """As though the process had died while the call ran."""
        connection = await Connection.open(world.redis_url)
        await connection.execute("HDEL", Names(world.tenant).claim(request), "outcome", "ended_ms")
        await connection.execute("HSET", Names(world.tenant).claim(request), "until_ms", 1)
        await connection.close()


class TestUnmask:
    """A person looks at a real value."""

    @pytest.fixture
    def base(self, world: World, guard: Guard) -> Iterator[str]:
        """A server whose stewards may."""
        unmasking = _unmasking(world.settings, ServerSettings(unmask_group="stewards"), read_roster(world.policies))
        made = parts(world.redis_url, world.tenant, roster=lambda: read_roster(world.policies), unmasking=unmasking)
        with serving(made) as address:
            yield address

    async def asked(self, world: World, guard: Guard) -> tuple[asyncio.Task[object], str]:
        """A call with a personal value in it, that waits."""

        def refund(order_id: str) -> str:
            """Refund an order."""
            return "refunded"

        given = ToolCall(tool="refund", arguments={"order_id": "anna.kowalska@mail.example"})
        call = asyncio.create_task(guard.run(given, FunctionTool.of(refund)))
        (request,) = await world.waiting()
        return call, f"/requests/{request}"

    async def test_t26_that_somebody_looked_is_on_record_and_what_they_saw_is_not(
        self, world: World, guard: Guard, base: str
    ) -> None:
        """The page shows the value to them alone, once."""
        with guard.session(user=ANN):
            call, path = await self.asked(world, guard)
            async with visitor(base, "cem") as cem:
                before = (await cem.get(path)).text
                shown = await cem.post(f"{path}/unmask", data=form(before, f"{path}/unmask") | {"name": "order_id"})
                after = (await cem.get(path)).text
            await world.decide(path.rpartition("/")[2], "bob")
            await call
        lines = list(read(world.settings.state_dir / "journal"))
        (line,) = [entry.body for entry in lines if entry.kind == "unmasked"]
        assert "anna.kowalska@mail.example" in shown.text
        assert "anna.kowalska" not in before + after + str(lines)
        assert (line["person"], line["argument"], line["login"]) == ("cem", "order_id", "oidc")
        assert verify(world.settings.state_dir / "journal", journal_keys(world.settings)).ok

    @pytest.mark.parametrize(
        ("person", "identity", "name"),
        [
            pytest.param("zoe", {}, "order_id", id="not in the group"),
            pytest.param("cem", {"groups": ("others",)}, "order_id", id="not by their login"),
            pytest.param("cem", {"authenticated_ms": 1}, "order_id", id="not fresh"),
            pytest.param("cem", {}, "nothing", id="no such argument"),
        ],
    )
    async def test_t26_nobody_else_sees_anything(
        self, world: World, guard: Guard, base: str, person: str, identity: dict[str, Any], name: str
    ) -> None:
        """Not with a form made by hand, and nothing is said to have been looked at."""
        with guard.session(user=ANN):
            call, path = await self.asked(world, guard)
            async with visitor(base, person, **identity) as client:
                token = COOKIES.form_token(f"{person:0>32}", "unmask", path.rpartition("/")[2])
                reply = await client.post(f"{path}/unmask", data={"form": token, "name": name})
            await world.decide(path.rpartition("/")[2], "bob")
            await call
        assert reply.status_code == 403
        assert "anna.kowalska" not in reply.text
        assert "unmasked" not in {entry.kind for entry in read(world.settings.state_dir / "journal")}

    async def test_t26_a_token_is_no_person_who_looks(self, world: World, guard: Guard) -> None:
        """A program with a steward's token sees no value; the steward does, by their login."""
        people = read_roster(world.policies)
        unmasking = _unmasking(world.settings, ServerSettings(unmask_group="stewards"), people)
        assert unmasking is not None
        cem = Identity(person="cem", how="oidc", session="s", authenticated_ms=1)
        assert unmasking.may(cem, people)
        assert not unmasking.may(cem.model_copy(update={"how": "token"}), people)
        unmasking.journal.close()

    async def test_t33_nobody_sees_a_value_before_it_is_on_the_disk_who_looks(
        self, world: World, guard: Guard, state_dir: Path
    ) -> None:
        """Not in a file that may still be lost: where that can't be written, nothing is shown."""
        disk = FailingDisk()
        keys = keyring_of(world.settings)
        writing = Journal(
            state_dir / "looks", keys=keys.derive("journal"), policy_version="none", now_ms=now_ms, disk=disk
        )
        unmasking = Unmasking(group="stewards", sealer=Sealer(keys.derive("input")), journal=writing)
        cem = Identity(person="cem", how="oidc", session="s", authenticated_ms=1)
        with guard.session(user=ANN):
            call, path = await self.asked(world, guard)
            stored = await world.stored(path.rpartition("/")[2])
            seen = await unmasking.look(stored, "order_id", cem)
            disk.errors = {"sync": errno.EIO}
            with pytest.raises(GuardUnavailable):
                await unmasking.look(stored, "order_id", cem)
            call.cancel()
        disk.errors = {}
        writing.close()
        assert seen == "anna.kowalska@mail.example"

    async def test_without_the_setting_nobody_may(self, world: World, guard: Guard) -> None:
        """And the server holds no key for it; with the setting it must have one, and the group people."""
        people = read_roster(world.policies)
        assert _unmasking(world.settings, ServerSettings(), people) is None
        with pytest.raises(ConfigurationError, match="nobody in that group"):
            _unmasking(world.settings, ServerSettings(unmask_group="nobody"), people)
        elsewhere = world.settings.model_copy(update={"state_dir": world.folder / "elsewhere"})
        with pytest.raises(ConfigurationError, match="keyring on this machine"):
            _unmasking(elsewhere, ServerSettings(unmask_group="stewards"), people)


class TestFreeze:
    """Stop, and go on with a second person."""

    async def test_nothing_of_a_frozen_agent_runs_until_a_second_person_lifts_it(
        self, world: World, guard: Guard, base: str, bob: httpx.AsyncClient, cem: httpx.AsyncClient
    ) -> None:
        """Though it was approved."""
        # given
        fields = form((await bob.get("/freezes?scope=agent&name=support")).text, "/freezes")
        frozen = await bob.post(
            "/freezes", data=fields | {"scope": "agent", "name": "support", "comment": "It went mad"}
        )
        page = (await bob.get("/freezes")).text
        ids = re.findall(r"/freezes/(\w+)/lift", (await cem.get("/freezes")).text)

        # when
        with guard.session(user=ANN):
            with pytest.raises(CallRefused) as refused:
                await world.call(guard, "refund", order_id=7)
            token = COOKIES.form_token(f"{'bob':0>32}", "lift", ids[0])
            own = await bob.post(f"/freezes/{ids[0]}/lift", data={"form": token, "comment": ""})
            lifted = await cem.post(
                f"/freezes/{ids[0]}/lift", data=form((await cem.get("/freezes")).text, f"/freezes/{ids[0]}/lift")
            )

        # then
        assert frozen.status_code == 303
        assert "It went mad" in page
        assert "You froze it, so somebody else lifts it" in page
        assert "/lift" not in page
        assert refused.value.reason is RefusalReason.FROZEN
        assert (own.status_code, lifted.status_code) == (403, 303)
        assert "Nothing is frozen" in (await cem.get("/freezes")).text

    @pytest.mark.parametrize(
        "fields",
        [
            {"scope": "all", "name": "", "comment": "x"},
            {"scope": "agent", "name": "", "comment": "x"},
            {"scope": "agent", "name": "support", "comment": " "},
            {"scope": "nothing", "name": "x", "comment": "x"},
        ],
    )
    async def test_a_freeze_of_nothing_or_without_a_reason_is_refused(
        self, bob: httpx.AsyncClient, fields: dict[str, str]
    ) -> None:
        """And so is one of everybody's calls: that is for who runs the server."""
        token = form((await bob.get("/freezes")).text, "/freezes")
        assert (await bob.post("/freezes", data=token | fields)).status_code == 403
        assert "Nothing is frozen" in (await bob.get("/freezes")).text
