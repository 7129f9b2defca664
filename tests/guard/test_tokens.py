"""Tokens on the road: every respelling restored, nothing else; and what a hostile model or page makes of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from agentguard.config import open_guard
from agentguard.errors import CallRefused, RefusalReason, ResultWithheld
from agentguard.guard.pipeline import Guard
from agentguard.integrations.functions import FunctionTool
from agentguard.masking import Form, TokenIds
from agentguard.model.calls import ToolCall
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from tests.guard.world import CUSTOMER, POLICY, World
from tests.masking.test_tokens import _disguised, _respelled

pytestmark = pytest.mark.anyio

ANN = "ann@acme.example"


@pytest.fixture
def mailing(world: World) -> FunctionTool:
    """A tool that gets addresses in one list, and nothing in another."""
    text = POLICY.replace("  echo:", "  mail_all: {risk: low, labels: [], reveal: {to: [EMAIL_ADDRESS]}}\n  echo:")
    (world.policies / "policy.yaml").write_text(text.replace("DEADLINE", "20s"), encoding="utf-8")

    def mail_all(to: list[str], about: list[str] | None = None) -> str:
        """Write to all."""
        world.tools.ran.append(("mail_all", {"to": to, "about": about}))
        return "sent"

    return FunctionTool.of(mail_all)


async def test_t27_24_tokens_in_32_respellings_are_restored_and_none_wrong(world: World, mailing: FunctionTool) -> None:
    """Each gives the value that it stands for; where they aren't revealed they stay as the model wrote them."""
    addresses = [f"person{number}@mail.example" for number in range(24)]
    with world.open() as guard, guard.session(user=ANN):
        tokens = await world.call(guard, "echo", value=addresses)
        respelled = [{**_respelled(token), **_disguised(token)} for token in tokens]
        written = [text for each in respelled for name, text in each.items() if name != "sentence"]
        await guard.run(ToolCall(tool="mail_all", arguments={"to": written, "about": written}), mailing)
    got = world.tools.ran[-1][1]
    assert len(written) == 24 * 31
    assert got["to"] == [address for address in addresses for _ in range(31)]
    assert got["about"] == written


Made = Callable[[dict[str, str]], str]

HOSTILE: dict[str, Made] = {
    "spliced ids": lambda seen: f"[EMAIL_{seen['email'][7:12]}{seen['full_name'][13:18]}]",
    "check of another": lambda seen: seen["email"][:-3] + seen["full_name"][-3:],
    "word of another": lambda seen: "[PERSON" + seen["email"][6:],
    "one in another": lambda seen: f"[EMAIL_{seen['email']}]x",
    "two at once": lambda seen: seen["email"] * 2,
    "a list in a text": lambda seen: f"{seen['email']}, eve@mail.example",
    "a name with it": lambda seen: f"Anna {seen['email']}",
    "JSON in a text": lambda seen: json.dumps({"to": seen["email"]}),
    "JSON twice": lambda seen: json.dumps(json.dumps({"to": [seen["email"]]})),
    "a header more": lambda seen: f"{seen['email']}\nBcc: eve@mail.example",
    "an address around": lambda seen: f"{seen['email'][1:-1]}@mail.example",
    "another type": lambda seen: seen["full_name"],
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE.keys())
async def test_t27_what_is_no_whole_token_of_the_type_stays_text(world: World, guard: Guard, make: Made) -> None:
    """In the very parameter that gets addresses: nothing is restored in part, and nothing of another type."""
    with guard.session(user=ANN):
        seen = await world.call(guard, "find_customer", customer_id=7)
        written = make(seen)
        await world.call(guard, "send_email", to=written, body=seen["email"])
    assert world.tools.ran[-1][1] == {"to": written, "body": seen["email"]}


async def test_t27_a_token_as_a_key_is_never_restored(world: World, guard: Guard) -> None:
    """Keys are the model's own."""
    with guard.session(user=ANN):
        seen = await world.call(guard, "find_customer", customer_id=7)
        await world.call(guard, "echo", value={seen["email"]: {"to": seen["email"]}})
    assert world.tools.ran[-1][1]["value"] == {seen["email"]: {"to": seen["email"]}}


async def test_t27_a_stand_in_never_reaches_a_tool(world: World, guard: Guard) -> None:
    """Announced tools bring stand-ins; in a text they become the token, as a key or as another session's they stop the call."""
    with guard.session(user=ANN):
        guard.tokens.expect(_strict("send_email"), guard.reveals("send_email"))
        seen = await world.call(guard, "find_customer", customer_id=7)
        stand_in = seen["email"]
        token = guard.tokens.ids(guard.principals.current()).token("EMAIL_ADDRESS", CUSTOMER["email"]).text
        await world.call(guard, "echo", value=[stand_in, f"write to {stand_in}"])
        with pytest.raises(CallRefused, match="not revealed") as key:
            await world.call(guard, "echo", value={stand_in: 1})
        await world.call(guard, "send_email", to=stand_in)
    with guard.session(user=ANN, id="another"), pytest.raises(CallRefused, match="unknown token") as foreign:
        await world.call(guard, "send_email", to=stand_in)
    ran = [arguments for _, arguments in world.tools.ran]
    assert stand_in.endswith("@masked.invalid")
    assert ran[1:] == [{"value": [token, f"write to {token}"]}, {"to": CUSTOMER["email"], "body": ""}]
    assert key.value.reason is RefusalReason.NOT_REVEALED
    assert foreign.value.reason is RefusalReason.UNKNOWN_TOKEN


async def test_stand_ins_take_no_more_round_trips_than_tokens(world: World, guard: Guard) -> None:
    """One script for a result's tokens and stand-ins together, whatever their number; none where nothing is new."""
    addresses = [f"person{number}@mail.example" for number in range(50)]
    connection = await Connection.open(world.redis_url)
    with guard.session(user=ANN):
        guard.tokens.expect(_strict("send_email"), guard.reveals("send_email"))
        await world.call(guard, "echo", value="one@mail.example")
        before = await _scripts(connection)
        await world.call(guard, "echo", value=addresses)
        first = await _scripts(connection)
        await world.call(guard, "echo", value=addresses)
        second = await _scripts(connection)
    await connection.close()
    assert (first - before, second - first) == (1, 0)


async def _scripts(connection: Connection) -> int:
    calls: int = (await connection.execute("INFO", "commandstats"))["cmdstat_evalsha"]["calls"]
    return calls


async def test_two_processes_that_come_to_one_stand_in_never_share_it(world: World) -> None:
    """Dates have few: the second process withholds its result once, and gives its value as a token then."""
    with world.open() as one, world.open() as two:
        one.tokens.forms["DATE_OF_BIRTH"] = two.tokens.forms["DATE_OF_BIRTH"] = (Form.DATE,)
        with one.session(user=ANN, id="thread") as principal:
            ids = TokenIds(one.tokens.keys, world.tenant, principal.scope, None, one.tokens.forms)
            first, second = _same_stand_in(ids)
            seen = await world.call(one, "echo", value={"date_of_birth": first})
        with two.session(user=ANN, id="thread"):
            with pytest.raises(ResultWithheld, match="two values"):
                await world.call(two, "echo", value={"date_of_birth": second})
            other = await world.call(two, "echo", value={"date_of_birth": second})
    assert seen["date_of_birth"][0] in "5678"
    assert other["date_of_birth"].startswith("[BIRTHDATE_")


def _same_stand_in(ids: TokenIds) -> tuple[str, str]:
    """Two dates with one stand-in; each is asked for by itself, since a session gives it for one value only."""
    given: dict[str, str] = {}
    for number in range(700_000, 730_000):
        value = date.fromordinal(number).isoformat()
        ids._stand_ins.clear()
        made = ids.stand_in(ids.token("DATE_OF_BIRTH", value))
        assert made is not None
        if made.text in given:
            return given[made.text], value
        given[made.text] = value
    raise AssertionError("no two dates with one stand-in")


@pytest.mark.parametrize("days", [1, 30])
async def test_a_sessions_values_stay_as_long_as_the_setting_says(world: World, days: int) -> None:
    """AGENTGUARD_SESSION_DAYS after its last use the vault of a session is gone."""
    settings = world.settings.model_copy(update={"session_days": days})
    opened = open_guard(world.policies, agent="support", tenant=world.tenant, settings=settings)
    with opened as guard, guard.session(user=ANN, id="thread") as principal:
        await world.call(guard, "find_customer", customer_id=7)
    connection = await Connection.open(world.redis_url)
    left = await connection.execute("PTTL", Names(world.tenant).vault(principal.scope))
    await connection.close()
    assert (days - 0.01) * 86_400_000 < left <= days * 86_400_000


def _strict(name: str) -> Any:
    """A tool of this name whose schema holds `to` to an address."""

    class Strict:
        schema = {"type": "object", "properties": {"to": {"type": "string", "format": "email"}}}

    Strict.name = name  # type: ignore[attr-defined]
    return Strict()
