"""Trying another policy on the calls on record: over arguments that are kept sealed, for as long as the deployment says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agentguard.audit import KeptCall, KeptCalls, read
from agentguard.cli.app import app
from agentguard.cli.replay import Replayed, replayed
from agentguard.config import kept_calls, keyring_of, read_library
from agentguard.config.settings import Settings
from agentguard.errors import CallRefused
from agentguard.guard.pipeline import Guard
from agentguard.model.facts import Facts
from agentguard.policy import Way
from agentguard.store.seal import Sealer
from tests.guard.world import POLICY, World

pytestmark = pytest.mark.anyio

HOUR, DAY = 3_600_000, 86_400_000
SECRET = "4111 1111 1111 1111"


class Keeping(World):
    """A world that keeps calls for replay."""

    days = 7

    @property
    def settings(self) -> Settings:
        return super().settings.model_copy(update={"replay_days": self.days})


@pytest.fixture
def world(state_dir: Path, valkey_url: str, tenant: str) -> Keeping:
    return Keeping(folder=state_dir, redis_url=valkey_url, tenant=tenant)


@pytest.fixture
def guard(world: Keeping) -> Iterator[Guard]:
    with world.open() as opened:
        yield opened


def again(world: Keeping, old: str = "", new: str = "") -> Replayed:
    """What a changed policy says of all that is on record."""
    other = world.folder / "other"
    other.mkdir()
    text = POLICY.replace("DEADLINE", "20s")
    assert old in text
    (other / "policy.yaml").write_text(text.replace(old, new, 1))
    (other / "approvers.yaml").write_text((world.policies / "approvers.yaml").read_text())
    kept = kept_calls(world.settings, keyring_of(world.settings)).read()
    return replayed(read_library(other), read(world.settings.state_dir / "journal"), kept)


async def echoes(world: Keeping, guard: Guard, *values: object) -> None:
    with guard.session(user="zoe@acme.example"):
        for value in values:
            await world.call(guard, "echo", value=value)


async def test_the_same_policy_decides_all_the_same(world: Keeping, guard: Guard) -> None:
    """Allowed and denied calls, with tokens and without."""
    await echoes(world, guard, 1, "mail anna@mail.example")
    with guard.session(user="zoe@acme.example"), pytest.raises(CallRefused):
        await world.call(guard, "forbidden_thing")
    assert again(world) == Replayed(calls=3, same=3, differing=(), undecided={})


async def test_calls_that_a_condition_would_catch_are_found(world: Keeping, guard: Guard) -> None:
    """The arguments of then are judged by the condition of now, and the clause that spoke is named."""
    await echoes(world, guard, 1, 5, 7)
    found = again(world, "rules:\n", "rules:\n  - {id: big, tools: [echo], when: args.value > 4, deny: true}\n")
    (differing,) = found.differing
    assert (found.same, differing.calls, differing.way, differing.how) == (1, 2, Way.STRICTER, "deny, was allow")
    assert "rule big" in differing.clauses


async def test_what_was_not_looked_at_then_is_undecided(world: Keeping, guard: Guard) -> None:
    """Labels that nobody read, and limits that nobody counted, are not made up."""
    await echoes(world, guard, 1)
    labels = again(
        world, "rules:\n", "rules:\n  - {id: l, tools: [echo], when: \"'x' in session.labels\", deny: true}\n"
    )
    assert labels.undecided == {"the session's labels were not read then": 1}
    (world.folder / "other" / "policy.yaml").unlink()
    (world.folder / "other" / "approvers.yaml").unlink()
    (world.folder / "other").rmdir()
    limits = again(world, "rules:\n", "limits: {few: {tools: [echo], max: 1, over: 1h, deny: true}}\nrules:\n")
    assert limits.undecided == {"limit few was not counted then": 1}


async def test_calls_whose_arguments_were_not_kept_are_undecided(world: Keeping) -> None:
    """Without replay_days nothing is kept, and nothing is said of such calls."""
    Keeping.days = 0
    try:
        with world.open() as guard:
            await echoes(world, guard, 1)
        assert not (world.settings.state_dir / "replay").exists()
        assert again(world).undecided == {"its arguments were not kept": 1}
    finally:
        Keeping.days = 7


async def test_no_value_is_kept_in_clear(world: Keeping, guard: Guard) -> None:
    """What is kept is sealed, private to its user, and opens for nobody without the keyring."""
    await echoes(world, guard, SECRET)
    (file,) = (world.settings.state_dir / "replay").iterdir()
    assert SECRET.encode() not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    stranger = KeptCalls(directory=file.parent, sealer=Sealer([bytes(32)]), days=7, now_ms=lambda: 0).read()
    assert [stranger.call(call_id) for call_id in stranger.sealed] == [None]


async def test_a_kept_call_does_not_open_under_another_id(world: Keeping, guard: Guard) -> None:
    """Moved to another line of the journal it is nothing: what is sealed is bound to its id."""
    await echoes(world, guard, 1, 2)
    (file,) = (world.settings.state_dir / "replay").iterdir()
    (one, first), (two, second) = (line.split() for line in file.read_bytes().splitlines())
    file.write_bytes(b"%b %b\n%b %b\n" % (one, second, two, first))
    assert again(world).undecided == {"its arguments are no longer kept": 2}


def kept_in(folder: Path, clock: list[int], days: int = 2) -> KeptCalls:
    return KeptCalls(directory=folder, sealer=Sealer([bytes(32)]), days=days, now_ms=lambda: clock[0])


CALL = KeptCall(arguments="{}", facts=Facts())


def test_calls_go_when_their_days_are_over(tmp_path: Path) -> None:
    """An hour's file is removed once its first call is too old, by whoever keeps or reads calls then."""
    clock = [1000 * DAY]
    keeping = kept_in(tmp_path, clock)
    first = keeping.keep(CALL)
    clock[0] += 2 * DAY
    second = keeping.keep(CALL)
    assert set(keeping.read().sealed) == {first, second}
    clock[0] += HOUR
    third = kept_in(tmp_path, clock).keep(CALL)
    assert set(keeping.read().sealed) == {second, third}
    assert len(list(tmp_path.iterdir())) == 2


def test_calls_go_at_once_where_none_are_to_be_kept_any_more(tmp_path: Path) -> None:
    """replay_days back at 0: the next start removes all of them, and touches nothing else there."""
    clock = [1000 * DAY]
    kept_in(tmp_path, clock).keep(CALL)
    (tmp_path / "notes.txt").write_text("mine")
    kept_in(tmp_path, clock, days=0).sweep()
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_a_call_that_can_not_be_kept_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Replay is no control: where its folder can't be written the call is judged, and its line names no id."""
    (tmp_path / "file").write_text("")
    assert kept_in(tmp_path / "file", [DAY]).keep(CALL) == ""
    assert "can't be kept" in caplog.text


def test_lines_that_are_none_are_left_out(tmp_path: Path) -> None:
    """Half a line of a full disk, or anything else: the call is no longer kept."""
    clock = [1000 * DAY]
    keeping = kept_in(tmp_path, clock)
    good = keeping.keep(CALL)
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"\xff\xfe \xff\nabc\nabcd !!!\n\n" + file.read_bytes())
    kept = keeping.read()
    assert [kept.call(call_id) for call_id in ("abc", "abcd", good)] == [None, None, CALL]


async def test_the_command_prints_what_differs_and_no_argument(
    world: Keeping, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line a difference, with the last record; --json for programs."""
    await echoes(world, guard, SECRET)
    again(world, "echo: {risk: low", "echo: {risk: high")
    for name, value in {"STATE_DIR": world.settings.state_dir, "REPLAY_DAYS": 7}.items():
        monkeypatch.setitem(os.environ, f"AGENTGUARD_{name}", str(value))
    told = CliRunner().invoke(app, ["policy", "replay", str(world.folder / "other"), "--since", "1h"])
    as_json = CliRunner().invoke(app, ["policy", "replay", str(world.folder / "other"), "--json"])
    assert told.exit_code == as_json.exit_code == 0
    assert told.stdout.splitlines()[0] == "1 calls: 0 decided the same, 1 differently, 0 can't be told"
    assert "stricter  1 of echo: ask, was allow; risk high, was low (tool echo); last" in told.stdout
    assert '"undecided": {}' in as_json.stdout
    assert SECRET not in told.stdout + as_json.stdout
