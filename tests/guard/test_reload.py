"""Policy files that change under a guard: taken in whole when they load, and changing nothing when they don't."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agentguard.audit import Journal, read
from agentguard.cli.doctor import _in_force
from agentguard.config.files import read_all
from agentguard.config.opening import maskers_of
from agentguard.config.watching import AGAIN_SECONDS, Watched
from agentguard.errors import CallRefused, ConfigurationError, GuardUnavailable, RefusalReason
from agentguard.guard.in_force import InForce
from agentguard.guard.pipeline import Guard
from agentguard.model.approvals import State
from agentguard.model.calls import Principal, ToolCall
from agentguard.model.facts import Facts
from tests.guard.world import POLICY, World

pytestmark = pytest.mark.anyio

SMALL = """\
version: 1
risk: {low: allow, medium: deny, high: deny, critical: deny}
tools:
  echo: {risk: low, labels: []}
  "*": critical
"""
NEVER = "rules:\n  - {id: never, tools: [echo], deny: true}\n"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Folder:
    """A watched folder with one policy, and a clock to look at it by. Files count as old unless a test says otherwise."""

    path: Path
    watched: Watched
    clock: Clock
    journal: Path

    def write(self, text: str, name: str = "policy.yaml") -> None:
        """Write a file in place."""
        (self.path / name).write_text(text)

    def look(self) -> InForce:
        """What is in force a moment later."""
        self.clock.now += 1.0
        return self.watched()

    def reloads(self) -> list[dict[str, Any]]:
        """What the journal says of changes."""
        return [entry.body for entry in read(self.journal) if entry.kind == "reloaded"]


def watch(path: Path, journal: Path, clock: Clock) -> Watched:
    """A watched folder whose files look ten seconds older than they are."""
    reading = read_all(path)
    return Watched(
        folder=path,
        reading=reading,
        make=lambda policy: InForce(policy=policy, maskers=maskers_of(policy)),
        journal=Journal(journal, keys=[bytes(32)], policy_version=reading.policy.version),
        seconds=clock,
        wall_ns=lambda: 2**62,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """A folder with a small policy."""
    path = tmp_path / "policies"
    path.mkdir()
    (path / "policy.yaml").write_text(SMALL)
    clock = Clock()
    watched = watch(path, tmp_path / "journal", clock)
    yield Folder(path=path, watched=watched, clock=clock, journal=tmp_path / "journal")
    watched.journal.close()


def effect(now: InForce, tool: str = "echo") -> str:
    """What a policy would do to a call."""
    principal = Principal(tenant="t", agent="a", user="ann@acme.example", session="s")
    return now.policy.classify(tool, {}, principal, Facts(over=())).effect.value


def aged(guard: Guard) -> Watched:
    """What a guard watches, at its next call: with clocks by which all files are old and a look is due."""
    watched = guard.in_force
    assert isinstance(watched, Watched)
    watched.wall_ns, watched._due = (lambda: 2**62), 0.0
    return watched


def test_an_edit_is_in_force_a_second_later_and_on_record(folder: Folder) -> None:
    """The new version stands in the verdict, in the journal's line of the change, and in all lines after it."""
    before = folder.watched().policy.version
    folder.write(SMALL + NEVER)

    now = folder.look()

    assert effect(now) == "deny"
    assert folder.reloads() == [
        {"outcome": "taken", "policy_version": now.policy.version, "previous": before, "problems": []}
    ]
    assert folder.watched.journal.policy_version == now.policy.version != before


def test_files_are_not_looked_at_again_within_half_a_second(folder: Folder) -> None:
    """Between two looks a call costs nothing but reading a clock."""
    folder.look()
    folder.write(SMALL + NEVER)
    folder.clock.now += 0.4
    assert effect(folder.watched()) == "allow"
    folder.clock.now += 0.1
    assert effect(folder.watched()) == "deny"


def test_files_that_were_only_touched_change_nothing(folder: Folder) -> None:
    """The same text is the same policy: no line in the journal, and the very same objects."""
    before = folder.look()
    os.utime(folder.path / "policy.yaml")
    assert folder.look() is before
    assert folder.reloads() == []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(SMALL.replace("deny", "dney", 1), id="typo"),
        pytest.param("\x00\x01", id="no text"),
        pytest.param(SMALL + "grants: {}\n", id="not enforced"),
        pytest.param(SMALL + NEVER.replace("}", ", when: nothing.there}"), id="condition"),
    ],
)
def test_t22_a_broken_edit_keeps_the_last_good_policy_and_says_so(
    folder: Folder, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It stays in force, and log and journal name the place; once repaired the files count again."""
    before = folder.look()
    folder.write(text)

    with caplog.at_level(logging.ERROR, "agentguard.policy"):
        assert folder.look() is before
        assert folder.look() is before

    (refused,) = folder.reloads()
    assert (refused["outcome"], refused["policy_version"]) == ("refused", before.policy.version)
    assert "policy.yaml" in refused["problems"][0]
    assert len(caplog.records) == 1
    assert "stays in force" in caplog.text
    folder.write(SMALL + NEVER)
    assert effect(folder.look()) == "deny"
    assert [each["outcome"] for each in folder.reloads()] == ["refused", "taken"]


def test_t22_a_broken_edit_is_spoken_of_again_each_minute(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    """A log that rolled over still tells; the journal has it once."""
    folder.write("")
    with caplog.at_level(logging.ERROR, "agentguard.policy"):
        folder.look()
        folder.clock.now += AGAIN_SECONDS
        folder.look()
    assert len(caplog.records) == 2
    assert len(folder.reloads()) == 1


def test_t22_a_truncated_file_is_never_taken(folder: Folder) -> None:
    """Cut anywhere, a file that ended with `...` changes nothing; without it, one that is cut within a line."""
    marked = SMALL + NEVER + "...\n"
    folder.write(marked)
    whole = folder.look()
    assert effect(whole) == "deny"

    for cut in range(0, len(marked) - len("...\n"), 3):
        folder.write(marked[:cut])
        assert folder.look() is whole, cut

    folder.write(SMALL + NEVER)
    assert folder.look() is whole
    folder.write(marked)
    assert folder.look() is whole


def test_t22_a_file_cut_within_a_line_is_never_taken(folder: Folder) -> None:
    """A last line without its end is no last line."""
    folder.write(SMALL + NEVER)
    whole = folder.look()
    folder.write((SMALL + NEVER)[: len(SMALL) - 1])
    assert folder.look() is whole
    assert "as if cut off" in folder.reloads()[-1]["problems"][0]


def test_t22_a_writer_that_was_killed_leaves_the_last_good_policy(folder: Folder) -> None:
    """A real process writes half of a policy and dies."""
    before = folder.look()
    script = (
        "import os, signal, sys\n"
        "file = open(sys.argv[1], 'w')\n"
        "file.write(sys.argv[2])\n"
        "file.flush()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    half = (SMALL + NEVER)[: len(SMALL) + 20]
    died = subprocess.run([sys.executable, "-c", script, folder.path / "policy.yaml", half], check=False)
    assert died.returncode == -signal.SIGKILL
    assert folder.look() is before


def test_t22_a_file_that_is_still_being_written_waits(folder: Folder) -> None:
    """What changed this very moment is read when it has been still: at the next look that finds it unchanged."""
    before = folder.look()
    folder.watched.wall_ns = lambda: 0
    folder.write(SMALL)
    os.utime(folder.path / "policy.yaml")
    folder.look()
    folder.write(SMALL + NEVER)
    assert folder.look() is before
    assert effect(folder.look()) == "deny"


def test_t22_a_swapped_link_takes_all_files_of_the_new_folder(tmp_path: Path) -> None:
    """Where the folder is a link that is swapped in one step, both files come into force in one step."""
    for name, risk in (("one", "low"), ("two", "medium")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "policy.yaml").write_text(SMALL.replace("low, labels", f"{risk}, labels"))
        (tmp_path / name / "more.yaml").write_text(f"version: 1\ntools: {{other: {risk}}}\n")
    link = tmp_path / "policies"
    link.symlink_to("one")
    clock = Clock()
    watched = watch(link, tmp_path / "journal", clock)
    before = watched()

    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").rename(link)
    clock.now += 1.0
    now = watched()

    assert [effect(before, tool) for tool in ("echo", "other")] == ["allow", "allow"]
    assert [effect(now, tool) for tool in ("echo", "other")] == ["deny", "deny"]
    watched.journal.close()


def test_t22_a_folder_that_is_gone_leaves_the_last_good_policy(folder: Folder) -> None:
    """Nothing there is no policy that allows nothing, nor one that allows all: it is a broken edit."""
    before = folder.look()
    folder.path.rename(folder.path.with_name("elsewhere"))
    assert folder.look() is before
    assert folder.reloads()[0]["outcome"] == "refused"


@pytest.mark.parametrize(
    ("name", "text", "called"),
    [
        pytest.param("more.yaml", "version: 1\nrules: [{id: never, tools: [echo], deny: true}]\n", "deny", id="added"),
        pytest.param("tools.lock.json", '{"version": 1, "tools": {"echo": {}}}\n', "allow", id="pins that don't load"),
        pytest.param("approvers.yaml", "people: {}\nnonsense: 1\n", "allow", id="people that don't load"),
    ],
)
def test_files_beside_the_policy_count_too(folder: Folder, name: str, text: str, called: str) -> None:
    """A file that is new, pins and people: a policy is what all of them make together."""
    folder.look()
    folder.write(text, name)
    assert effect(folder.look()) == called
    assert len(folder.reloads()) == 1


def test_a_file_that_was_taken_in_counts_too(tmp_path: Path) -> None:
    """`use` may lead out of the folder; what it leads to is watched where it lies."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "shared.yaml").write_text("version: 1\ntools: {other: low}\n")
    (tmp_path / "policies" / "policy.yaml").write_text(SMALL + "use: [../shared.yaml]\n")
    clock = Clock()
    watched = watch(tmp_path / "policies", tmp_path / "journal", clock)
    assert effect(watched(), "other") == "allow"

    (tmp_path / "shared.yaml").write_text("version: 1\ntools: {other: high}\n")
    clock.now += 1.0

    assert effect(watched(), "other") == "deny"
    watched.journal.close()


def test_t22_policy_and_masking_never_mix(folder: Folder) -> None:
    """Threads that ask while files change see one policy with its own masker, never a part of each."""
    texts = [SMALL + "masking: {fields: {badge: EMPLOYEE_ID}}\n" + NEVER, SMALL]
    seen: set[tuple[str, bool]] = set()
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            now = folder.watched()
            seen.add((effect(now), "B-77" in str(now.masker.for_people({"badge": "B-77"}, shown={}, known=None))))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(10):
        folder.write(texts[turn % 2])
        folder.look()
    stop.set()
    for thread in threads:
        thread.join()
    assert seen <= {("deny", False), ("allow", True)}


def test_an_edit_that_can_not_be_put_on_record_is_not_in_force(folder: Folder) -> None:
    """Record before acting: without its line in the journal the change waits, and the call that would be under it does not run."""
    folder.look()
    folder.watched.journal.close()
    folder.write(SMALL.replace("low, labels", "medium, labels"))
    with pytest.raises(GuardUnavailable, match="journal"):
        folder.look()
    assert effect(folder.watched()) == "allow"
    with pytest.raises(GuardUnavailable, match="journal"):
        folder.look()


def test_a_forked_child_takes_in_edits_of_its_own(folder: Folder) -> None:
    """A lock that a thread of the parent held when it forked holds nothing up in the child."""
    folder.look()
    folder.write(SMALL + NEVER)
    folder.watched._lock.acquire()
    child = os.fork()
    if child == 0:
        folder.clock.now += 1.0
        os._exit(0 if effect(folder.watched()) == "deny" else 1)
    folder.watched._lock.release()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def edit(world: World, guard: Guard, change: tuple[str, str], more: str = "") -> None:
    """Change the world's policy, and let the guard see it at its next look."""
    file = world.policies / "policy.yaml"
    text = file.read_text()
    assert change[0] in text
    file.write_text(text.replace(*change) + more)
    aged(guard)


async def approved(world: World, guard: Guard, change: tuple[str, str], more: str = "") -> tuple[Any, str]:
    """What becomes of a refund that waits while the policy is edited, and is approved after that."""
    with guard.session(user="zoe@acme.example"):
        call = asyncio.create_task(world.call(guard, "refund", order_id=1))
        (request,) = await world.waiting()
        edit(world, guard, change, more)
        await world.decide(request, "ann")
        (result,) = await asyncio.gather(call, return_exceptions=True)
    return result, request


@pytest.mark.parametrize(
    ("change", "more"),
    [
        pytest.param(("read_page: {risk: low", "read_page: {risk: high"), "", id="another tool"),
        pytest.param(
            ("rules:\n", "rules:\n  - {id: more, tools: [echo], deny: true}\n"), "", id="a rule of another tool"
        ),
        pytest.param(("version: 1\n", "# all moves down a line\nversion: 1\n"), "", id="places"),
        pytest.param(("version: 1\n", "version: 1\n"), "masking: {actions: {US_SSN: redact}}\n", id="masking"),
    ],
)
async def test_an_approval_survives_an_edit_that_does_not_touch_its_call(
    world: World, guard: Guard, change: tuple[str, str], more: str
) -> None:
    """People approved this call; what changed concerns others."""
    before = guard.in_force()
    result, _ = await approved(world, guard, change, more)
    assert result == "refunded"
    assert guard.in_force() is not before


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(("refund: {risk: high", "refund: {risk: critical"), id="risk"),
        pytest.param(("rules:\n", "rules:\n  - {id: more, tools: [refund], deny: true}\n"), id="a rule"),
        pytest.param(
            ("on-call: {approvers: [group:on-call]", "on-call: {approvers: [group:on-call], quorum: 2"), id="quorum"
        ),
    ],
)
async def test_an_approval_does_not_survive_an_edit_that_makes_its_call_stricter(
    world: World, guard: Guard, change: tuple[str, str]
) -> None:
    """What people were asked is no longer what policy asks: the call does not run."""
    result, request = await approved(world, guard, change)
    assert isinstance(result, CallRefused)
    assert result.reason is RefusalReason.STALE
    assert await world.state(request) is State.WITHDRAWN
    assert world.tools.ran == []


async def test_an_approval_does_not_survive_an_edit_that_takes_a_reveal_away(world: World) -> None:
    """A value that the policy in force gives to nobody reaches no tool, whoever approved it before."""
    file = world.policies / "policy.yaml"
    file.write_text(file.read_text().replace("send_email: {risk: medium", "send_email: {risk: high"))
    with world.open() as guard, guard.session(user="zoe@acme.example"):
        token = (await world.call(guard, "find_customer", customer_id=7))["email"]
        call = asyncio.create_task(world.call(guard, "send_email", to=token))
        (request,) = await world.waiting()
        edit(world, guard, ("reveal: {to: [EMAIL_ADDRESS]}, ", ""))
        await world.decide(request, "ann")
        with pytest.raises(CallRefused) as refused:
            await call
    assert refused.value.reason is RefusalReason.STALE
    assert [name for name, _ in world.tools.ran] == ["find_customer"]


async def test_a_result_is_masked_by_the_masking_in_force_when_it_comes_back(world: World, guard: Guard) -> None:
    """An edit that masks more counts for what a tool that was running then gives."""
    with guard.session(user="zoe@acme.example"):
        permit = await guard.admit(ToolCall(tool="echo", arguments={"value": 1}), world.tools.tool("echo"))
        edit(world, guard, ("version: 1\n", "version: 1\n"), 'masking: {fields: {"**.badge": EMPLOYEE_ID}}\n')
        shown = await guard.settle(permit, {"badge": "B-77"})
    assert shown["badge"].startswith("[EMPLOYEE_")


async def test_every_record_says_which_policy_was_in_force(world: World) -> None:
    """Verdict, question, permit, end and refusal before and after an edit carry the version of then."""
    with world.open() as guard, guard.session(user="zoe@acme.example"):
        before = guard.policy.version
        call = asyncio.create_task(world.call(guard, "refund", order_id=1))
        (request,) = await world.waiting()
        await world.decide(request, "ann")
        await call
        edit(world, guard, ("read_page: {risk: low", "read_page: {risk: high"))
        with pytest.raises(CallRefused):
            await world.call(guard, "forbidden_thing")
        after = guard.policy.version
    told = [(entry.kind, entry.body["policy_version"]) for entry in read(world.settings.state_dir / "journal")]
    assert told == [
        *((kind, before) for kind in ("opened", "judged", "asked", "permitted", "settled")),
        *((kind, after) for kind in ("reloaded", "judged", "refused", "closed")),
    ]


async def test_doctor_tells_of_a_guard_that_keeps_an_older_policy(world: World, guard: Guard) -> None:
    """Beside what is wrong in the files stands which process goes on without them, until they are right."""
    edit(world, guard, ("version: 1\n", "version: 2\n"))
    version = guard.policy.version
    with pytest.raises(ConfigurationError, match=f"process {os.getpid()} keeps {version}: .*policy.yaml:1:10"):
        _in_force(world.settings)
    (world.policies / "policy.yaml").write_text(POLICY.replace("DEADLINE", "20s"))
    aged(guard)
    assert guard.policy.version == version
    assert "no guard here" in _in_force(world.settings)
