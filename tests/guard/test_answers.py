"""The final answer to the user: what policy lists is shown in clear, on record; everything else stays as the model wrote it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from agentguard.audit import read
from agentguard.errors import GuardUnavailable, NoSession
from agentguard.guard.pipeline import Guard
from agentguard.masking import Form
from tests.guard.world import CUSTOMER, POLICY, World

pytestmark = pytest.mark.anyio

ANSWER = "masking:\n  answer: [PERSON, EMAIL_ADDRESS]\n"


@pytest.fixture
def answering_world(world: World) -> World:
    """Policy shows persons and addresses of e-mail to the user."""
    text = POLICY.replace("DEADLINE", "20s") + ANSWER
    (world.policies / "policy.yaml").write_text(text, encoding="utf-8")
    return world


@pytest.fixture
def answering_guard(answering_world: World) -> Iterator[Guard]:
    """A guard in that world, in a session."""
    with answering_world.open() as opened, opened.session(user="dan@acme.example"):
        yield opened


@pytest.fixture
async def seen(answering_world: World, answering_guard: Guard) -> dict[str, Any]:
    """A customer as the model sees them."""
    return await answering_world.call(answering_guard, "find_customer", customer_id=7)


async def test_listed_types_are_shown_and_others_stay_tokens(answering_guard: Guard, seen: dict[str, Any]) -> None:
    """However the model spells them; what stands for nothing stays as it is."""
    phone = seen["note"].removeprefix("call ")
    text = f"**{seen['full_name'][1:-1]}** <{seen['email'].lower()}> {phone} [EMAIL_0000000000]"
    shown = await answering_guard.answer(text)
    assert shown == f"**Anna Kowalska** <anna.kowalska@mail.example> {phone} [EMAIL_0000000000]"
    assert answering_guard.blocking.answer(text) == shown


async def test_t27_an_answer_is_on_record_without_a_value(
    answering_world: World, answering_guard: Guard, seen: dict[str, Any]
) -> None:
    """How many of which type were shown and stayed; an answer without tokens leaves no line."""
    await answering_guard.answer("Nothing to show")
    await answering_guard.answer(f"{seen['full_name']} {seen['email']} {seen['email']} {seen['note']}")
    journal = list(read(answering_world.settings.state_dir / "journal"))
    [line] = [entry.body for entry in journal if entry.kind == "answered"]
    assert (line["shown"], line["kept"]) == ({"PERSON": 1, "EMAIL_ADDRESS": 2}, {"PHONE_NUMBER": 1})
    assert "Kowalska" not in str([entry.body for entry in journal])


async def test_t27_another_sessions_tokens_stay(answering_guard: Guard, seen: dict[str, Any]) -> None:
    """And so do those of another user in the same session."""
    with answering_guard.session(user="dan@acme.example", id="another"):
        assert await answering_guard.answer(seen["email"]) == seen["email"]


async def test_by_default_nothing_is_shown(world: World, guard: Guard) -> None:
    """A policy that lists no type shows none."""
    with guard.session(user="dan@acme.example"):
        seen = await world.call(guard, "find_customer", customer_id=7)
        assert await guard.answer(str(seen)) == str(seen)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 17, 33, 64])
async def test_an_answer_in_pieces_is_the_answer(answering_guard: Guard, seen: dict[str, Any], size: int) -> None:
    """At any size of the pieces, and never more held back than 80 characters and a token."""
    name, mail = seen["full_name"], seen["email"]
    text = f"{name}, {mail[1:-1]}; x{mail[1:-1]} the {name}\n\\{mail} %5B{mail[1:-1]}%5D {'abc ' * 60}{name} {mail}"
    answering = answering_guard.answering()
    held, shown = 0, ""
    for first in range(0, len(text), size):
        shown += await answering.feed(text[first : first + size])
        held = max(held, len(answering._held))
    assert shown + await answering.finish() == await answering_guard.answer(text)
    assert "Anna Kowalska" in shown
    assert held < 160


async def test_a_stand_in_that_is_not_shown_becomes_the_token(answering_world: World, answering_guard: Guard) -> None:
    """A person could take it for a real address or number."""
    answering_guard.tokens.forms["PHONE_NUMBER"] = (Form.PHONE,)
    seen = await answering_world.call(answering_guard, "find_customer", customer_id=7)
    stand_in = seen["note"].removeprefix("call ")
    assert stand_in.startswith("+999")
    assert (await answering_guard.answer(f"call {stand_in}")).startswith("call [PHONE_")


async def test_outside_of_a_session_nothing_is_shown(answering_guard: Guard, world: World) -> None:
    """Nobody said whose answer it is."""
    with world.open() as other, pytest.raises(NoSession):
        await other.answer("[EMAIL_0000000000]")


async def test_without_the_vault_nothing_is_shown(answering_world: World, seen: dict[str, Any]) -> None:
    """What this process does not know can't be asked for: an error, never a guess."""
    answering_world.redis_url = f"unix://{answering_world.folder}/none.sock"
    with answering_world.open() as cut_off, cut_off.session(user="dan@acme.example", id="other"):
        token = cut_off.tokens.ids(cut_off.principals.current()).token("PERSON", CUSTOMER["full_name"])
        with pytest.raises(GuardUnavailable, match="redis"):
            await cut_off.answer(f"It is {token.text}")
