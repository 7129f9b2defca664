"""What a session did before, as approvers see it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentguard.config import read_roster
from agentguard.errors import CallRefused
from agentguard.guard.pipeline import Guard
from agentguard.model.calls import Principal
from agentguard.server.earlier import ELSEWHERE, earlier_calls
from agentguard.server.records import Records
from tests.guard.world import World
from tests.server.serving import now_ms, parts, serving
from tests.server.visiting import visitor

pytestmark = pytest.mark.anyio

ANN = "ann@acme.example"


@pytest.fixture
def base(world: World) -> Iterator[str]:
    """A server on the machine where the journal lies."""
    records = Records(directory=world.settings.state_dir / "journal", tenant=world.tenant, keys=lambda: None)
    with serving(
        parts(world.redis_url, world.tenant, roster=lambda: read_roster(world.policies), records=records)
    ) as at:
        yield at


async def test_the_request_page_has_the_sessions_earlier_calls_allowed_ones_too(
    world: World, guard: Guard, base: str
) -> None:
    """Each with how it ended and what it brought; nobody else's, and none in clear."""
    with guard.session(user="zoe@acme.example"):
        await world.call(guard, "echo", value="of another session")
    with guard.session(user=ANN):
        await world.call(guard, "find_customer", customer_id=7)
        with pytest.raises(CallRefused):
            await world.call(guard, "forbidden_thing")
        call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=7))
        (request,) = await world.waiting()
        async with visitor(base, "bob") as bob:
            page = (await bob.get(f"/requests/{request}/session")).text
            part = (await bob.get(f"/requests/{request}/session/part")).text
            card = (await bob.get(f"/requests/{request}")).text
        await world.decide(request, "bob")
        await call
    assert f'data-fill="/requests/{request}/session/part"' in card
    assert "<html" not in part
    assert page.index("forbidden_thing</b>") < page.index("find_customer</b>")
    assert "did not run: denied by policy" in page
    assert '<span class="tag">allowed</span> ran' in page
    assert "of another session" not in page + part


class TestJournal:
    """Read from its files."""

    PRINCIPAL = Principal(tenant="t", agent="a", user="u", session="s")

    def test_where_it_is_on_another_machine_that_is_told(self, tmp_path: Path) -> None:
        """And nothing is made up."""
        found = earlier_calls(tmp_path / "nothing", self.PRINCIPAL, now_ms())
        assert (found.calls, found.told) == ((), ELSEWHERE)

    def test_t33_lines_that_are_none_are_left_out(self, tmp_path: Path) -> None:
        """The page of the journal tells of them."""
        (tmp_path / "w-000001.jsonl").write_bytes(b'{"session":"s"\n"session":"s"\n\xff"session":"s"\n')
        assert earlier_calls(tmp_path, self.PRINCIPAL, now_ms()).calls == ()
