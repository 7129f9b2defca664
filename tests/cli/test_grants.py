"""Listing and revoking grants on the command line, in this process, against a real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import documents
from tests.guard.test_grants import ANN, POLICY, granted
from tests.guard.world import World

Run = Callable[[str], str]


@pytest.fixture
def world(state_dir: Path, valkey_url: str, tenant: str) -> World:
    """People with keys of their own on this machine, and a policy that offers grants."""
    made = World(folder=state_dir, redis_url=valkey_url, tenant=tenant)
    (made.policies / "policy.yaml").write_text(POLICY)
    made.keys["bob"].save(state_dir / "config" / "keys" / "bob.key")
    return made


@pytest.fixture
def run(world: World, valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """What a command says there."""
    monkeypatch.setenv("AGENTGUARD_REDIS_URL", valkey_url)
    monkeypatch.setenv("AGENTGUARD_STATE_DIR", str(world.folder / "state"))
    monkeypatch.setenv("AGENTGUARD_CONFIG_DIR", str(world.folder / "config"))
    monkeypatch.setenv("AGENTGUARD_POLICIES", str(world.policies))

    def ran(command: str) -> str:
        code, said = documents.run(f"{command} --tenant {world.tenant}", monkeypatch)
        assert code == 0, said
        return said

    return ran


@pytest.fixture
def request_id(world: World) -> str:
    """What somebody granted along with an approval, for Ann's agent."""
    with world.open() as guard, guard.session(user=ANN, id="thread"):
        return asyncio.run(granted(world, guard))


def test_a_grant_is_listed_as_its_card_says_it(run: Run, request_id: str) -> None:
    """What it covers, whose calls, and by whom, for people and for programs."""
    # when
    told, [listed] = run("agentguard grants list"), json.loads(run("agentguard grants list --json"))

    # then
    assert f"{request_id[:8]}  0 of 3 used, until" in told
    assert "refund where order_id is 7 and amount is at most 90.0" in told
    assert f"support for {ANN}, by bob" in told
    assert (listed["id"], listed["tool"], listed["agent"], listed["user"]) == (request_id, "refund", "support", ANN)
    assert (listed["by"], listed["uses"], listed["used"], listed["revoked"]) == (["bob"], 3, 0, False)


def test_a_grant_is_revoked_by_the_beginning_of_its_id(run: Run, request_id: str) -> None:
    """And listed as revoked."""
    # when
    said = run(f"agentguard grants revoke {request_id[:8]}")
    told, [listed] = run("agentguard grants list"), json.loads(run("agentguard grants list --json"))

    # then
    assert f"{request_id} is revoked by bob" in said
    assert f"{request_id[:8]}  revoked" in told
    assert listed["revoked"] is True
