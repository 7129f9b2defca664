"""Freezing, lifting and settling from the command line, in this process, against a real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from agentguard.errors import CallRefused
from agentguard.guard.pipeline import Guard
from agentguard.integrations.functions import FunctionTool
from agentguard.model.calls import ToolCall
from tests import documents
from tests.guard.world import World

Run = Callable[[str], tuple[int, str]]
ONCE = """\
version: 1
risk: {low: allow, medium: allow, high: deny, critical: deny}
tools:
  refund: {risk: low, labels: [], once: args.order_id}
"""


@pytest.fixture
def world(state_dir: Path, valkey_url: str, tenant: str) -> World:
    """Two people with keys of their own on this machine."""
    made = World(folder=state_dir, redis_url=valkey_url, tenant=tenant)
    (made.policies / "policy.yaml").write_text(ONCE)
    for person in ("ann", "bob"):
        made.keys[person].save(state_dir / "config" / "keys" / f"{person}.key")
    return made


@pytest.fixture
def run(world: World, valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command there."""
    monkeypatch.setenv("AGENTGUARD_REDIS_URL", valkey_url)
    monkeypatch.setenv("AGENTGUARD_STATE_DIR", str(world.folder / "state"))
    monkeypatch.setenv("AGENTGUARD_CONFIG_DIR", str(world.folder / "config"))
    monkeypatch.setenv("AGENTGUARD_POLICIES", str(world.policies))
    return lambda command: documents.run(command, monkeypatch)


def refund(order_id: int) -> str:
    """Refund an order."""
    raise TimeoutError


def call(guard: Guard) -> str:
    """Refund order 1, or what became of that."""
    with guard.session(user="ann@acme.example"):
        try:
            asyncio.run(guard.run(ToolCall(tool="refund", arguments={"order_id": 1}), FunctionTool.of(refund)))
        except CallRefused as refusal:
            return refusal.reason.value
        except TimeoutError:
            return "failed"
    return "ran"


def test_a_freeze_is_given_listed_and_lifted_by_somebody_else(run: Run, world: World) -> None:
    """And not by whoever gave it."""
    # when
    given = run(f"agentguard freeze --tenant {world.tenant} --reason 'an incident' --as ann")
    listed = run(f"agentguard freezes --tenant {world.tenant} --json")
    order = json.loads(listed[1])[0]
    own = run(f"agentguard unfreeze {order['id']} --tenant {world.tenant} --as ann")
    with world.open() as guard:
        while_frozen = call(guard)
    other = run(f"agentguard unfreeze {order['id'][:8]} --tenant {world.tenant} --as bob")
    after = run(f"agentguard freezes --tenant {world.tenant}")

    # then
    assert given[0] == other[0] == after[0] == 0
    assert "tenant is frozen by ann since" in given[1]
    assert (order["scope"], order["person"], order["reason"]) == ("tenant", "ann", "an incident")
    assert own[0] == 1
    assert "somebody else must lift it" in own[1]
    assert while_frozen == "frozen"
    assert after[1] == "nothing is frozen\n"


@pytest.mark.parametrize(
    "words",
    ["", "--agent a --tool b", "--all --tenant t", "--all --agent a"],
)
def test_a_freeze_says_one_thing_that_stops(run: Run, words: str) -> None:
    """Nothing is guessed."""
    code, told = run(f"agentguard freeze {words} --reason why --as ann")
    assert code == 2
    assert "what is to stop?" in told


@pytest.mark.parametrize("freeze_id", ["0", "''", "zz"])
def test_what_is_not_frozen_is_not_lifted(run: Run, world: World, freeze_id: str) -> None:
    """One freeze is meant, or none is lifted."""
    code, told = run(f"agentguard unfreeze {freeze_id} --tenant {world.tenant} --as bob")
    assert code == 1
    assert "agentguard freezes" in told


def test_what_may_have_run_is_listed_and_settled(run: Run, world: World) -> None:
    """Then the deed may be done again."""
    with world.open() as guard:
        # given
        assert [call(guard), call(guard)] == ["failed", "may have run"]

        # when
        listed = run(f"agentguard approvals list --undone --json --tenant {world.tenant}")
        deed = json.loads(listed[1])["id"]
        told = run(f"agentguard approvals list --undone --tenant {world.tenant}")
        unsaid = run(f"agentguard approvals settle {deed} --tenant {world.tenant} --as bob")
        both = run(f"agentguard approvals settle {deed} --happened --did-not --tenant {world.tenant} --as bob")
        settled = run(
            f"agentguard approvals settle {deed} --did-not --comment checked --tenant {world.tenant} --as bob"
        )
        left = run(f"agentguard approvals list --undone --tenant {world.tenant}")

        # then
        assert "failed  refund  by support for ann@acme.example" in told[1]
        assert unsaid[0] == both[0] == 2
        assert "one of --happened and --did-not" in both[1]
        assert settled == (0, f"{deed} did not, says bob; that is on record\n")
        assert left[1] == "nothing may have happened that a person must find out\n"
        assert call(guard) == "failed"
