"""Random schedules under faults break no promise: a few here, thousands by `python -m benchmarks.faults`, which can play one again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from tests.approval.server import Server
from tests.faults.jumping import jumping_moves
from tests.faults.plan import Plan, everywhere
from tests.faults.processes import Ordeal, Trouble
from tests.faults.schedule import Play, Played
from tests.faults.stage import Stage

pytestmark = pytest.mark.anyio

SEEDS = (*range(20_000, 20_005), *range(20_006, 20_011))
JUMPING = range(20_000, 20_004)
ONCE = range(20_000, 20_006)
SOMEWHERE = [
    ("cancelled", 17),
    ("cancelled", 23),
    ("lost", 14),
    ("killed", 18),
    ("killed after", 18),
    ("person", 12),
    ("person after", 12),
]
KILLS = (20_000, 20_009)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Policies and people."""
    return Stage.set(tmp_path_factory.mktemp("stage"))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of the schedules' own."""
    own = Server()
    own.start()
    yield own
    own.remove()


@pytest.fixture
def play(stage: Stage, server: Server, state_dir: Path) -> Player:
    """Plays schedules at the same time."""
    return Player(stage, server, state_dir)


class Player:
    """Plays plans on one server."""

    def __init__(self, stage: Stage, server: Server, folder: Path) -> None:
        self._play = partial(Play, stage=stage, server=server.folder / "s")
        self._folder = folder

    async def all(self, *plans: Plan) -> Sequence[Played]:
        """What came of each."""
        plays = [self._play(plan=plan, folder=self._folder / str(number)) for number, plan in enumerate(plans)]
        return await asyncio.gather(*(each.played() for each in plays))


def broken(played: Sequence[Played]) -> dict[int, list[str]]:
    """What was broken, by seed."""
    return {each.seed: each.broken for each in played if each.broken}


@pytest.mark.slow
async def test_t3_t4_t5_t7_no_random_schedule_breaks_a_promise(play: Player) -> None:
    """Broken lines, lost replies, deaths, cancellations, freezes, clocks that are off."""
    assert broken(await play.all(*map(Plan.of, SEEDS))) == {}


async def test_t8_nor_does_one_in_which_the_clock_of_redis_jumps(play: Player) -> None:
    """Over deadlines, and back."""
    with jumping_moves():
        assert broken(await play.all(*(Plan.of(seed, jumps=True) for seed in JUMPING))) == {}


async def test_t7_reply_lost_and_called_again_under_new_ids_is_one_effect(play: Player) -> None:
    """The tool's reply, or one of Redis; one agent or two."""
    # when
    played = await play.all(*map(Plan.once, ONCE))

    # then
    runs = [sum(event.kind == "run" for event in each.history) for each in played]
    assert broken(played) == {}
    assert max(runs) == 1
    assert sum(runs) >= len(ONCE) - 1  # a machine that is slow enough may outwait seven attempts


@pytest.mark.slow
async def test_t4_t7_death_cancellation_or_a_lost_reply_anywhere_breaks_nothing(play: Player) -> None:
    """Some of the messages and awaits here; `--everywhere` goes through all of them."""
    assert broken(await play.all(*(everywhere(kind, where) for kind, where in SOMEWHERE))) == {}


@pytest.mark.slow
@pytest.mark.parametrize("seed", KILLS)
async def test_t4_t5_t7_nor_do_killed_processes_and_servers(stage: Stage, state_dir: Path, seed: int) -> None:
    """SIGKILL to agents, people's clients and the server, SIGSTOP, full memory."""
    # given
    plan = Plan.of(seed)
    ordeal = Ordeal(plan=plan, trouble=Trouble.of(seed, plan), stage=stage, folder=state_dir / "played")

    # when
    played = await ordeal.played()

    # then
    assert played.broken == []
    assert ordeal.kills > 0
