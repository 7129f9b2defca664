"""What one process saw in a session, another knows: the same tokens, and names found again in prose."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis.asyncio

from agentguard.errors import GuardUnavailable
from agentguard.guard.tokens import RECALL_SECONDS, SESSIONS_KEPT
from tests.cli.commands import Running
from tests.guard.world import POLICY, World

pytestmark = pytest.mark.anyio

ANN = "ann@acme.example"
Elsewhere = Callable[..., tuple[list[Any], list[Any]]]
OTHER_PROCESS = """
import asyncio, json, sys
from pathlib import Path
from agentguard.config import Settings, open_guard
from agentguard.model.calls import ToolCall
from tests.guard.world import Tools

async def main():
    folder, url, tenant, calls = sys.argv[1:]
    folder, tools, told = Path(folder), Tools(), []
    settings = Settings(redis_url=url, state_dir=folder / "state", config_dir=folder / "config", keys=None)
    with open_guard(folder / "policies", agent="support", tenant=tenant, settings=settings) as guard:
        with guard.session(user="ann@acme.example", id="thread"):
            for name, arguments in json.loads(calls):
                told.append(await guard.run(ToolCall(tool=name, arguments=arguments), tools.tool(name)))
    print(json.dumps({"told": told, "ran": tools.ran}))

asyncio.run(main())
"""


@pytest.fixture
def elsewhere(begin: Callable[..., Running], world: World) -> Elsewhere:
    """Calls in the same session, in a process of its own: what the model got, and what ran."""

    def made(*calls: tuple[str, dict[str, object]]) -> tuple[list[Any], list[Any]]:
        other = begin(OTHER_PROCESS, world.folder, world.redis_url, world.tenant, json.dumps(calls))
        told, complained = other.communicate()
        assert other.returncode == 0, complained
        said = json.loads(told)
        return said["told"], said["ran"]

    return made


async def test_t27_tokens_are_stable_across_real_processes(world: World, elsewhere: Elsewhere) -> None:
    """The same value is the same token there, each resolves here, and a name is found in prose that no field named there."""
    with world.open() as guard, guard.session(user=ANN, id="thread"):
        seen = await world.call(guard, "find_customer", customer_id=7)
        (prose, again, _, theirs), ran = elsewhere(
            ("echo", {"value": "KOWALSKA, Anna called"}),
            ("find_customer", {"customer_id": 7}),
            ("send_email", {"to": seen["email"]}),
            ("echo", {"value": {"full_name": "Bo Ray", "email": "bo@mail.example"}}),
        )
        await asyncio.sleep(RECALL_SECONDS + 0.05)
        told = await world.call(guard, "echo", value="Ask Bo Ray")
    assert again == seen
    assert prose == f"{seen['full_name']} called"
    assert ["send_email", {"to": "anna.kowalska@mail.example", "body": ""}] in ran
    assert told == f"Ask {theirs['full_name']}"


async def test_t27_a_session_that_was_let_go_of_is_read_anew(world: World) -> None:
    """A process that saw more sessions than it keeps finds a name of an earlier one in prose all the same."""
    with world.open() as guard, guard.session(user=ANN, id="thread") as principal:
        seen = await world.call(guard, "find_customer", customer_id=7)
        others = (principal.model_copy(update={"session": f"other-{number}"}) for number in range(SESSIONS_KEPT))
        assert len(list(map(guard.tokens.ids, others))) == SESSIONS_KEPT
        told = await world.call(guard, "echo", value="KOWALSKA, Anna called")
    assert told == f"{seen['full_name']} called"


async def test_what_is_redacted_is_known_elsewhere_too(world: World) -> None:
    """A value that the model never gets a token for is found again all the same."""
    policy = POLICY.replace("DEADLINE", "20s") + "masking:\n  actions: {PERSON: redact}\n"
    (world.policies / "policy.yaml").write_text(policy, encoding="utf-8")
    with world.open() as first, first.session(user=ANN, id="thread"):
        await world.call(first, "find_customer", customer_id=7)
    with world.open() as second, second.session(user=ANN, id="thread"):
        told = await world.call(second, "echo", value="Anna Kowalska called")
    assert told == "[PERSON redacted] called"


async def test_a_name_behind_a_key_that_is_cut_off_is_known_elsewhere_too(world: World) -> None:
    """The key is masked to the end of its text; the name in there is found again all the same."""
    text = "-----BEGIN PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n\nFull name: Anna Kowalska"
    with world.open() as first, first.session(user=ANN, id="thread"):
        assert "KOWALSKA" not in (await world.call(first, "echo", value=text)).upper()
    with world.open() as second, second.session(user=ANN, id="thread"):
        told = await world.call(second, "echo", value="Anna Kowalska called")
    assert "Kowalska" not in told


async def test_another_user_and_another_session_know_nothing_of_it(world: World) -> None:
    """What is known is the session's, on this user's behalf."""
    with world.open() as first, first.session(user=ANN, id="thread"):
        await world.call(first, "find_customer", customer_id=7)
    with world.open() as second, second.session(user="bob@acme.example", id="thread"):
        told = await world.call(second, "echo", value="Anna Kowalska called")
    assert told == "Anna Kowalska called"


async def test_t5_who_cannot_know_what_others_saw_runs_nothing(world: World) -> None:
    """Without the vault a name that another process saw could pass."""
    with world.open() as first, first.session(user=ANN, id="thread"):
        await world.call(first, "find_customer", customer_id=7)
    world.redis_url = f"unix://{world.folder}/none.sock"
    with (
        world.open() as cut_off,
        cut_off.session(user=ANN, id="thread"),
        pytest.raises(GuardUnavailable, match="redis"),
    ):
        await world.call(cut_off, "echo", value="Anna Kowalska called")
    assert [name for name, _ in world.tools.ran] == ["find_customer"]


async def _reads_of(world: World, run: Callable[[], Awaitable[Any]]) -> int:
    """How often the tenant's erasures were read while this ran: once by each look at what others put into a session."""
    client = redis.asyncio.Redis(unix_socket_path=world.redis_url.removeprefix("unix://"))
    found = 0
    async with client.monitor() as monitor:
        await run()
        await client.echo(world.tenant)
        async for line in monitor.listen():
            word, _, rest = line["command"].partition(" ")
            if word.lower() == "echo" and rest == world.tenant:
                break
            found += word.lower() == "get" and world.tenant in rest and "eras" in rest
    await client.aclose()
    return found


async def test_calls_at_once_look_once_and_one_that_is_cancelled_holds_up_no_other(world: World) -> None:
    """A hundred calls of a session that this process knows too little of wait for one round trip, and each gets its answer."""
    with world.open() as guard, guard.session(user=ANN, id="thread"):
        await world.call(guard, "echo", value=0)
        await asyncio.sleep(RECALL_SECONDS + 0.05)
        told: list[Any] = []

        async def all_at_once() -> None:
            calling = [asyncio.create_task(world.call(guard, "echo", value=number)) for number in range(100)]
            await asyncio.sleep(0)  # each has begun
            calling[0].cancel()
            told.extend(await asyncio.gather(*calling, return_exceptions=True))

        reads = await _reads_of(world, all_at_once)

    assert isinstance(told[0], asyncio.CancelledError)
    assert told[1:] == list(range(1, 100))
    assert reads == 1
