"""Keys as a list: what was made with an older one goes on, what is new is the newest one's, and nobody guesses."""

from __future__ import annotations

import base64
import json

import pytest

from agentguard.audit import verify
from agentguard.config import journal_keys
from agentguard.errors import GuardUnavailable
from tests.guard.world import CUSTOMER, World

pytestmark = pytest.mark.anyio

ANN = "ann@acme.example"


def _with_key(world: World, *, first: bool) -> None:
    """Write a new key into the keyring, at its beginning or its end."""
    file = world.settings.state_dir / "keys.json"
    ring = json.loads(file.read_text())
    new = {"id": "new", "key": base64.b64encode(b"n" * 32).decode()}
    ring["keys"] = [new, *ring["keys"]] if first else [*ring["keys"], new]
    file.write_text(json.dumps(ring))


def _newest_alone(world: World) -> None:
    """Drop the older keys."""
    file = world.settings.state_dir / "keys.json"
    ring = json.loads(file.read_text())
    file.write_text(json.dumps({**ring, "keys": ring["keys"][:1]}))


async def test_tokens_of_an_older_key_go_on_and_new_ones_are_made_beside_them(world: World) -> None:
    """In a session that goes on: the model's old token resolves, the value has a new one, and the journal verifies."""
    with world.open() as before, before.session(user=ANN, id="thread"):
        old = await world.call(before, "find_customer", customer_id=7)
    _with_key(world, first=True)
    with world.open() as after, after.session(user=ANN, id="thread"):
        told = await world.call(after, "echo", value="Anna Kowalska")
        new = await world.call(after, "find_customer", customer_id=7)
        await world.call(after, "send_email", to=old["email"])
        await world.call(after, "send_email", to=new["email"])
    assert new["email"] != old["email"]
    assert told == new["full_name"]
    assert [got["to"] for name, got in world.tools.ran if name == "send_email"] == [CUSTOMER["email"]] * 2
    assert verify(world.settings.state_dir / "journal", journal_keys(world.settings)).ok


async def test_what_was_used_since_needs_the_older_key_no_more(world: World) -> None:
    """Values that were read under the new key are sealed with it: the session's known values open without the old one."""
    with world.open() as before, before.session(user=ANN, id="thread"):
        await world.call(before, "find_customer", customer_id=7)
    _with_key(world, first=True)
    with world.open() as between, between.session(user=ANN, id="thread"):
        await world.call(between, "echo", value="hello")
    _newest_alone(world)
    with world.open() as after, after.session(user=ANN, id="thread"):
        told = await world.call(after, "echo", value="Anna Kowalska called")
    assert told.startswith("[PERSON_")


async def test_a_process_without_the_new_key_is_blocked_and_one_that_has_it_last_is_not(world: World) -> None:
    """So a new key goes to the end of every list first, and to the front once all have it."""
    old = world.open()
    _with_key(world, first=False)
    ready = world.open()
    _with_key(world, first=True)
    with world.open() as new, new.session(user=ANN, id="thread"):
        seen = await world.call(new, "find_customer", customer_id=7)
    with old, old.session(user=ANN, id="thread"), pytest.raises(GuardUnavailable, match="vault"):
        await world.call(old, "send_email", to=seen["email"])
    with ready, ready.session(user=ANN, id="thread"):
        assert (await world.call(ready, "echo", value="Anna Kowalska")).startswith("[PERSON_")
