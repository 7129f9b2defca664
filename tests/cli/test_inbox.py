"""The inbox on a real terminal, against a real server and a real guard: what a person sees there, and what their keys do."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from rich.cells import cell_len

from agentguard import ToolCall, open_guard
from agentguard.approval import Channel, Desk
from agentguard.config import Settings
from agentguard.errors import CallRefused
from agentguard.integrations.functions import FunctionTool
from agentguard.model.approvals import Card, Decision, State
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from tests.approval.people import KEYS, ONE, ROSTER, TWO
from tests.approval.server import Server
from tests.cli.commands import Commands
from tests.cli.terminal import Terminal, terminal
from tests.server.serving import agents_side, opened

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

POLICY = {
    "version": 1,
    "risk": {"low": "allow", "medium": "allow", "high": {"ask": "stewards"}, "critical": {"ask": "stewards"}},
    "tools": {"refund": {"risk": "high", "title": "Refund order {{ args.order_id }}", "labels": []}},
    "approvals": {"stewards": {"approvers": ["group:stewards"], "deadline": "10m"}},
}
_SWITCHES = re.compile(r"\x1b\[\?\d+[hl]")
AFTER_A_CHANGE = 0.8
"""Seconds after which a press counts again."""

EVIL = "\x1b[2Jx\x9b31m\u202eevil\u200b[red]b[/red]\x07\r\nApproved" + " " * 90 + "表" * 30

Sit = Callable[..., AbstractContextManager[Terminal]]


@pytest.fixture
def env(valkey_url: str, state_dir: Path) -> dict[str, str]:
    """Ann's folders, with her key, her policies and the server."""
    folder = state_dir / "tool_policies"
    folder.mkdir()
    (folder / "policy.yaml").write_text(json.dumps(POLICY))
    people = {
        name: person.model_dump(mode="json", exclude_none=True, exclude={"aliases"})
        for name, person in ROSTER.people.items()
    }
    (folder / "approvers.yaml").write_text(json.dumps({"people": people}))
    KEYS["ann"].save(state_dir / "config" / "keys" / "ann.key")
    own = {"AGENTGUARD_STATE_DIR": f"{state_dir}/state", "AGENTGUARD_CONFIG_DIR": f"{state_dir}/config"}
    return {**os.environ, **own, "AGENTGUARD_REDIS_URL": valkey_url}


@pytest.fixture
def sit(commands: Commands, state_dir: Path, env: dict[str, str], tenant: str) -> Sit:
    """Sit down as Ann at a terminal of a size."""

    def sit_(**size: int) -> AbstractContextManager[Terminal]:
        return terminal(commands, "inbox", "--tenant", tenant, folder=state_dir, env=env, **size)

    return sit_


@pytest.fixture
def agent(connection: Connection, tenant: str) -> Channel:
    """An agent's side that opens requests of any form."""
    return agents_side(connection, tenant)


async def seen(at: Terminal, *texts: str) -> str:
    """The screen once it shows these."""
    return await anyio.to_thread.run_sync(functools.partial(at.shows, *texts))


async def left(at: Terminal) -> int:
    """The exit code."""
    return await anyio.to_thread.run_sync(at.code)


async def looked_at(at: Terminal, *texts: str) -> None:
    """The card is there, and has been for a while."""
    await seen(at, *texts)
    await anyio.sleep(AFTER_A_CHANGE)


def a_card(**changed: Any) -> Card:
    """A card of some command."""
    given: dict[str, Any] = {
        "title": "Run a command", "tool": "shell", "agent": "clerk", "user": None, "session": "s", "risk": "high",
        "reasons": (), "arguments": "{}",
    }  # fmt: skip
    return Card(**(given | changed))


@asynccontextmanager
async def asking(env: dict[str, str], folder: Path, tenant: str, order: int) -> AsyncIterator[asyncio.Task[Any]]:
    """A guarded call that waits for people."""
    settings = Settings(
        redis_url=env["AGENTGUARD_REDIS_URL"], state_dir=folder / "agent", config_dir=folder / "agents-config"
    )

    def refund(order_id: int) -> str:
        return f"refunded {order_id}"

    with open_guard(folder / "tool_policies", tenant=tenant, settings=settings) as guard:
        with guard.session(user="user@acme.example", id="thread"):
            call = ToolCall(tool="refund", arguments={"order_id": order}, id="c1")
            task = asyncio.create_task(guard.run(call, FunctionTool.of(refund)))
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_call_appears_by_itself_and_one_key_approves_exactly_it(
    sit: Sit, env: dict[str, str], state_dir: Path, tenant: str, connection: Connection
) -> None:
    """No refresh; the vote is the person's own, on the card that was shown; the tool runs, and the terminal is left as it was."""
    # given
    with sit() as at:
        await seen(at, "Nothing waits")
        async with asking(env, state_dir, tenant, 1042) as call:
            await looked_at(at, "Refund order 1042", "1 waits", "because")

            # when
            at.press("a")
            ran = await asyncio.wait_for(call, 20)
            await seen(at, "approve by ann is on record", "Nothing waits")
        at.press("q")
        code = await left(at)

    # then
    assert (ran, code) == ("refunded 1042", 0)
    desk = Desk(channel=Channel(connection=connection, names=Names(tenant)), roster=ROSTER)
    (stored,) = await desk.list((State.DONE,))
    (vote,) = stored.votes
    assert (vote.person, vote.signer, vote.card_digest) == ("ann", "ann", stored.request.card.digest())
    after = at.written[at.written.rindex("Nothing waits") :]
    assert {"\x1b[?1049l", "\x1b[?25h", "\x1b[?2004l"} <= set(_SWITCHES.findall(after))


async def test_a_rejection_gives_the_model_the_reason(
    sit: Sit, env: dict[str, str], state_dir: Path, tenant: str
) -> None:
    """`r`, the words, enter. Escape before that decides nothing, and a paste goes into the words."""
    async with asking(env, state_dir, tenant, 7) as call:
        with sit() as at:
            await looked_at(at, "Refund order 7")
            at.press("r")
            await seen(at, "Reason, which the agent is told")
            at.press("\x1b")
            await seen(at, "nothing was decided")
            at.press("r")
            await seen(at, "Reason, which the agent is told")
            at.press("Not tx\x7fwice, \x1b[200~says\nthe customer\x1b[201~")
            await seen(at, "> Not twice, says the customer")
            at.press("\r")
            with pytest.raises(CallRefused, match="Not twice, says the customer"):
                await asyncio.wait_for(call, 20)


async def test_t1_an_edit_is_a_new_card_and_what_changed_in_between_is_not_what_is_decided(
    sit: Sit, env: dict[str, str], state_dir: Path, tenant: str, connection: Connection
) -> None:
    """`e` begins with the only argument's name; a rejection that was begun on one revision doesn't fall on the next one."""
    desk = Desk(channel=Channel(connection=connection, names=Names(tenant)), roster=ROSTER)
    async with asking(env, state_dir, tenant, 1) as call:
        with sit() as at:
            # given
            await looked_at(at, "Refund order 1")
            at.press("e")
            await seen(at, "> order_id=")
            at.press("12\r")
            await looked_at(at, "Refund order 12", "changed by ann", "revision 2 waits")
            at.press("r")
            await seen(at, "Reason, which the agent is told")
            (stored,) = await desk.list()
            seen_by_bob = stored.request.card.digest()
            changes = {"order_id": 55}
            edit = await desk.edit(stored.request.id, changes, person="bob", key=KEYS["bob"], card_digest=seen_by_bob)
            await desk.answered(edit)
            await seen(at, "Refund order 55")

            # when
            at.press("no\r")

            # then
            await seen(at, "what waits now is not what you saw")
            assert not call.done()


async def test_t3_t13_what_others_decided_leaves_the_screen_and_nobody_approves_their_own(
    sit: Sit, agent: Channel, connection: Connection, state_dir: Path
) -> None:
    """A quorum of two waits for the second; a refusal names who can; a roster that doesn't load lets nobody decide."""
    # given
    desk = Desk(channel=Channel(connection=connection, names=agent.names), roster=ROSTER)
    own = await opened(agent, ONE, user="ann@acme.example")
    two = await opened(agent, TWO.model_copy(update={"deadline_seconds": 900}))
    with sit() as at:
        # when
        await looked_at(at, "Export 500 customers", "2 wait")
        at.press("a")
        await seen(at, "ann asked for this call and cannot approve it")
        await desk.decide(
            own.id, person="bob", key=KEYS["bob"], decision=Decision.REJECT, card_digest=own.card.digest()
        )
        await looked_at(at, "1 waits", "stewards: 0 of 2 approved")
        at.press("a")
        await seen(at, "stewards: 1 of 2 approved (ann)", "the request is pending")
        (state_dir / "tool_policies" / "approvers.yaml").write_text("people: {}")
        at.press("\x1b[B")
        await seen(at, "nobody is listed")

    # then
    assert [vote.person for vote in (await agent.read(two.id)).votes] == ["ann"]


async def test_the_calls_of_one_turn_are_decided_all_at_once_on_their_common_card(sit: Sit, agent: Channel) -> None:
    """`t` shows all of them; `a` there approves exactly what was shown, together."""
    # given
    requests = [await opened(agent, ONE, turn="a" * 32) for _ in range(2)]
    with sit(lines=70) as at:
        await seen(at, "2 wait", "One of 2 calls in one turn")

        # when
        at.press("t")
        await looked_at(at, "2 calls in one turn", "2 of 2", "a approve all")
        at.press("a")

        # then
        await seen(at, "the 2 requests are approved")
        assert [(await agent.read(each.id)).state for each in requests] == [State.APPROVED] * 2


async def test_what_was_not_meant_for_this_card_decides_nothing(sit: Sit, agent: Channel) -> None:
    """Keys before the screen was there, a paste, a letter with Alt or in an unknown sequence."""
    # given
    request = await opened(agent, ONE)
    with sit() as at:
        # when
        at.press("aaaa")
        await looked_at(at, "Export 500 customers", "1 waits")
        at.press("\x1b[200~a\x1b[201~\x1ba\x1b[1;2a\x1b[?1;2a")
        at.press("r")
        await seen(at, "Reason, which the agent is told")

        # then
        assert (await agent.read(request.id)).votes == ()


async def test_t17_what_does_not_fit_is_approved_only_after_its_end_was_shown(sit: Sit, agent: Channel) -> None:
    """`a` opens it whole, and counts at its end."""
    # given
    command = "\n".join(f"echo {n}" for n in range(200)) + "\nrm -rf TAIL"
    request = await opened(agent, ONE, card=a_card(arguments=json.dumps({"command": command})))
    with sit(columns=60, lines=24) as at:
        assert "TAIL" not in await seen(at, "Run a command", "more lines below")
        await anyio.sleep(AFTER_A_CHANGE)

        # when
        at.press("a")
        await seen(at, "read all of it first")
        before = (await agent.read(request.id)).votes
        at.press("\x1b[F")
        await seen(at, "rm -rf TAIL", "this is the end of it")
        at.press("a")

        # then
        await seen(at, "approve by ann is on record")
        assert before == ()


async def test_t16_nothing_an_agent_writes_steers_the_terminal_and_another_size_is_another_screen(
    sit: Sit, agent: Channel
) -> None:
    """Escapes, bidi, markup and blanks in every field; no line is ever longer than the terminal."""
    # given
    await opened(agent, ONE, card=a_card(**dict.fromkeys(("title", "agent", "user", "says"), EVIL)))
    with sit(columns=200, lines=30) as at:
        # when
        wide = await seen(at, "\\u202e", "1 waits", "[red]")
        at.resize(40, 16)
        await anyio.to_thread.run_sync(at.until, lambda text: _size(text) == (40, 16))

        # then
        assert _width(wide) <= 200
        assert not {"\u202e", "\u200b", "\x07", "\x9b"} & set(at.written)
        assert "\x1b[2Jx" not in at.written


async def test_t5_while_redis_is_away_the_screen_says_so_and_goes_on_by_itself(
    commands: Commands, env: dict[str, str], state_dir: Path, tenant: str
) -> None:
    """Nothing can be decided meanwhile; a server that answers nobody keeps nobody from leaving."""
    # given
    server = Server()
    server.start()
    connection = await Connection.open(server.url)
    agent = agents_side(connection, tenant)
    request = await opened(agent, ONE)
    own = env | {"AGENTGUARD_REDIS_URL": server.url}
    try:
        with terminal(commands, "inbox", "--tenant", tenant, folder=state_dir, env=own) as at:
            await looked_at(at, "Export 500 customers")

            # when
            server.kill()
            await seen(at, "Redis is away")
            at.press("a")
            server.start()
            await seen(at, "1 waits", "nothing can be decided now")
            votes = (await agent.read(request.id)).votes
            server.freeze()
            at.press("j")
            at.press("q")
            code = await left(at)
    finally:
        server.thaw()
        await connection.close()
        server.remove()

    # then
    assert (votes, code) == ((), 0)


async def test_without_a_terminal_it_says_what_to_use(commands: Commands, state_dir: Path, env: dict[str, str]) -> None:
    """Programs have commands of their own."""
    done = await anyio.to_thread.run_sync(functools.partial(commands.run, ("inbox",), folder=state_dir, env=env))
    assert done.returncode == 2
    assert "approvals list --json" in done.stderr


def _width(screen: str) -> int:
    return max(map(cell_len, screen.split("\n")))


def _size(screen: str) -> tuple[int, int]:
    return _width(screen), screen.count("\n") + 1


@pytest.mark.parametrize("words", [("inbox",), ("approvals", "list"), ("approvals", "list", "--undone")])
async def test_whoever_looks_at_what_waits_has_people_reminded(
    words: tuple[str, ...], commands: Commands, agent: Channel, state_dir: Path, env: dict[str, str], tenant: str
) -> None:
    """Where neither the agent nor a server lives that would."""

    async def reminded() -> int:
        events = await agent.connection.read_stream(agent.names.events, "0-0", 1)
        return sum(event["kind"] == b"reminded" for _, event in events)

    # given
    request = await opened(agent, ONE.model_copy(update={"remind_seconds": 1}))
    while (await agent.read(request.id)).now_ms < request.opened_ms + 1000:
        await anyio.sleep(0.05)
    before = await reminded()

    # when
    with terminal(commands, *words, "--tenant", tenant, folder=state_dir, env=env), anyio.fail_after(20):
        while not await reminded():
            await anyio.sleep(0.05)

    # then
    assert before == 0
