"""Erasing a person's values: in every session of the tenant or in one, on record, and known in every process within a second."""

from __future__ import annotations

import asyncio
import json

import anyio
import pytest
from click.testing import Result
from typer.testing import CliRunner

from agentguard.audit import read
from agentguard.cli.app import app
from agentguard.config import open_erasure
from agentguard.errors import CallRefused, ConfigurationError, RefusalReason
from agentguard.guard.erasure import Named
from agentguard.guard.tokens import RECALL_SECONDS
from agentguard.store.redis import Connection
from tests.guard.world import POLICY, World

pytestmark = pytest.mark.anyio

ANN = "ann@acme.example"
MAIL = "anna.kowalska@mail.example"


async def seen_by(world: World, session: str, user: str = ANN) -> dict[str, str]:
    """A customer, as the model sees them in a session, in a process of its own."""
    with world.open() as guard, guard.session(user=user, id=session):
        seen: dict[str, str] = await world.call(guard, "find_customer", customer_id=7)
        return seen


async def erase(world: World, named: Named, *, tenant: str | None = None) -> int:
    """Erase it; gives how many tokens were found."""
    async with open_erasure(world.settings, tenant=tenant or world.tenant) as erasure:
        found = await erasure.find(named)
        await erasure.erase(named, found, by="dan")
        return found.size


async def resolves(world: World, session: str, token: str) -> bool:
    """Whether a tool would get the value in this session, asked in a process of its own."""
    with world.open() as guard, guard.session(user=ANN, id=session):
        try:
            await world.call(guard, "send_email", to=token)
        except CallRefused:
            return False
        return world.tools.ran[-1][1]["to"] != token


async def test_t27_what_is_erased_resolves_in_no_session(world: World) -> None:
    """By the value, in any spelling; others stay."""
    one, two = await seen_by(world, "one"), await seen_by(world, "two")
    assert await erase(world, Named(what="value", text=" Anna.Kowalska@MAIL.example")) == 2
    assert not await resolves(world, "one", one["email"])
    assert not await resolves(world, "two", two["email"])
    async with open_erasure(world.settings, tenant=world.tenant) as erasure:
        assert (await erasure.find(Named(what="value", text="kowalska, ANNA"))).size == 2
        assert (await erasure.find(Named(what="value", text=MAIL))).size == 0


async def test_a_running_process_knows_within_a_second_and_the_call_says_what_to_do(world: World) -> None:
    """Its own memory does not keep what was erased; what is looked up again is new."""
    with world.open() as guard, guard.session(user=ANN, id="one"):
        seen = await world.call(guard, "find_customer", customer_id=7)
        await world.call(guard, "send_email", to=seen["email"])
        assert await erase(world, Named(what="token", text=seen["email"].lower())) == 1
        await asyncio.sleep(RECALL_SECONDS + 0.05)
        with pytest.raises(CallRefused, match=r"^unknown token: to holds .* Look the value up again") as refused:
            await world.call(guard, "send_email", to=seen["email"])
        again = await world.call(guard, "find_customer", customer_id=7)
        await world.call(guard, "send_email", to=again["email"])
    assert refused.value.reason is RefusalReason.UNKNOWN_TOKEN
    assert [to["to"] for name, to in world.tools.ran if name == "send_email"] == [MAIL, MAIL]


async def test_what_is_erased_is_no_known_value_any_more(world: World) -> None:
    """A name that was erased is not found again in prose; one that was not still is."""
    with world.open() as guard, guard.session(user=ANN, id="one"):
        await world.call(guard, "find_customer", customer_id=7)
        await world.call(guard, "echo", value={"full_name": "Bo Ray"})
        assert await erase(world, Named(what="value", text="Anna Kowalska")) == 1
        await asyncio.sleep(RECALL_SECONDS + 0.05)
        told = await world.call(guard, "echo", value="Anna Kowalska met Bo Ray")
    assert told.startswith("Anna Kowalska met [PERSON_")


async def test_one_session_alone_and_a_whole_session(world: World) -> None:
    """What is named with a session is erased there; a session by itself is erased whole, for each of its users."""
    one, two = await seen_by(world, "one"), await seen_by(world, "two")
    await seen_by(world, "two", "bob@acme.example")
    assert await erase(world, Named(what="value", text=MAIL, session="one")) == 1
    assert not await resolves(world, "one", one["email"])
    assert await resolves(world, "two", two["email"])
    assert await erase(world, Named(what="session", text="two")) == 6
    assert not await resolves(world, "two", two["email"])


async def test_t35_another_tenant_is_left_alone(world: World) -> None:
    """Neither the values nor the knowledge of them cross."""
    seen = await seen_by(world, "one")
    assert await erase(world, Named(what="value", text=MAIL), tenant=world.tenant + "x") == 0
    assert await resolves(world, "one", seen["email"])


async def test_t26_it_is_on_record_without_the_value(world: World) -> None:
    """Who, by what, how much; before it is gone. The value is a keyed digest."""
    await seen_by(world, "one")
    await erase(world, Named(what="value", text=MAIL))
    [line] = [entry.body for entry in read(world.settings.state_dir / "journal") if entry.kind == "erased"]
    assert (line["by"], line["named_by"], line["tokens"], line["sessions"]) == ("dan", "value", 1, 1)
    assert "kowalska" not in json.dumps(line).lower()


async def test_limits_forget_the_subject(world: World) -> None:
    """A person who was counted is not known to any limit any more."""
    limit = "limits:\n  people: {tools: [find_customer], distinct: PERSON, max: 5, over: 1h, deny: true}\n"
    (world.policies / "policy.yaml").write_text(POLICY.replace("DEADLINE", "20s") + limit, encoding="utf-8")
    await seen_by(world, "one")
    connection = await Connection.open(world.redis_url)
    [key] = [
        key.decode()
        for key in (await connection.execute("SCAN", 0, "MATCH", f"*{world.tenant}*subjects*", "COUNT", 10_000))[1]
    ]
    before = await connection.execute("ZCARD", key)
    await erase(world, Named(what="value", text="ANNA KOWALSKA"))
    after = await connection.execute("ZCARD", key)
    await connection.close()
    assert (before, after) == (1, 0)


async def test_what_no_key_opens_is_counted_and_left(world: World) -> None:
    """Nobody knows what it stands for, and the command says so."""
    await seen_by(world, "one")
    (world.settings.state_dir / "keys.json").unlink()
    async with open_erasure(world.settings, tenant=world.tenant) as erasure:
        found = await erasure.find(Named(what="value", text=MAIL))
    assert (found.size, found.unreadable) == (0, 3)


def command(world: World, *words: str, value: str = "") -> Result:
    """The command, with this on its standard input."""
    environment = {
        "AGENTGUARD_REDIS_URL": world.redis_url,
        "AGENTGUARD_STATE_DIR": str(world.settings.state_dir),
        "AGENTGUARD_CONFIG_DIR": str(world.settings.config_dir),
    }
    words = ("vault", "erase", "--tenant", world.tenant, *words)
    return CliRunner().invoke(app, words, input=value, env=environment)


def test_the_command_looks_first_and_erases_only_when_told(world: World) -> None:
    """The value comes by standard input and is nowhere in what is printed."""
    seen = anyio.run(seen_by, world, "one")
    dry = command(world, "--value", "--dry-run", value=MAIL + "\n")
    unsure = command(world, "--value", value=MAIL)
    assert anyio.run(resolves, world, "one", seen["email"])
    done = command(world, "--value", "--yes", value=MAIL)
    again = command(world, "--value", "--yes", value=MAIL)
    assert (dry.exit_code, dry.output) == (
        0,
        "would be erased: 1 tokens and stand-ins (EMAIL_ADDRESS) in 1 sessions\n",
    )
    assert "add --yes" in str(unsure.exception)
    assert (done.exit_code, again.exit_code) == (0, 1)
    assert "erased: 1 tokens and stand-ins" in done.output
    assert "the journal" in done.output
    assert not anyio.run(resolves, world, "one", seen["email"])
    assert "kowalska" not in "".join(f"{each.output}{each.exception}" for each in (dry, unsure, done, again))


WRONG = {
    "nothing": [],
    "two at once": ["--value", "--token", "[EMAIL_k3q7xz2m4c]"],
    "an empty value": ["--value", "--yes"],
    "the value on the command line": ["--value", MAIL, "--yes"],
    "the value alone": [MAIL, "--yes"],
    "a value of several words": ["--yes", "--value", "Anna", "Kowalska"],
}


@pytest.mark.parametrize("words", WRONG.values(), ids=WRONG.keys())
def test_wrong_use_erases_nothing(world: World, words: list[str]) -> None:
    """It says what to write, and not what was written."""
    said = command(world, *words)
    assert isinstance(said.exception, ConfigurationError)
    assert "kowalska" not in f"{said.output}{said.exception}".lower()
    assert "value" in str(said.exception)
