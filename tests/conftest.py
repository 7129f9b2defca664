"""What every test may use, and what none may see: the developer's own settings."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import pytest
from hypothesis import settings

from agentguard.store.embedded import Embedded
from agentguard.store.redis import Connection
from tests.cli.commands import Commands

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

REQUIRE_ALL = bool(os.environ.get("AGENTGUARD_REQUIRE_ALL"))
"""`make test REQUIRE_ALL=1`: nothing may skip."""

OUTSIDE = ("AGENTGUARD_", "LANGCHAIN_", "LANGSMITH_", "OPENAI_")
"""Prefixes of variables that would point tests at a person's own server, state, traces or model."""


IN_MEMORY = Path("/dev/shm")
"""Where Linux keeps files in memory. Tests kill processes and never the machine, so what they sync need not reach a disk."""

ROOM_BYTES = 1 << 30


LONGEST = (
    "server/test_browser.py",
    "guard/test_waiting.py",
    "cli/test_demo.py",
    "test_real_input.py",
    "test_project.py",
    "masking/test_hostile.py",
    "integrations/test_langchain_paths.py",
    "test_docs.py",
    "test_notebooks.py",
    "guard/test_faults.py",
    "cli/test_commands.py",
    "store/test_embedded.py",
    "guard/test_attacks.py",
    "cli/test_pin.py",
    "server/test_door.py",
    "cli/test_verify.py",
    "guard/test_limits.py",
)
"""The files that take longest, which workers begin with: else one of them is left alone with such a file at the end."""


settings.register_profile("unhurried", deadline=None)
"""How long one example takes says how busy the machine is."""

settings.register_profile("steady", settings.get_profile("unhurried"), derandomize=True)
"""The same examples each time: in CI a change is judged, and not the luck of a run. Elsewhere every run looks for new ones."""

settings.register_profile("thorough", settings.get_profile("unhurried"), max_examples=3000)
"""Thirty times as many: `pytest --hypothesis-profile=thorough FILE`."""


def pytest_configure(config: pytest.Config) -> None:
    """Give this process an environment of its own, before any test module is imported; what is imported now stays for good."""
    gc.disable()
    if "TMPDIR" not in os.environ and _has_room(IN_MEMORY):
        os.environ["TMPDIR"] = tempfile.tempdir = str(IN_MEMORY)
    own = tempfile.TemporaryDirectory(prefix="ag-")
    config.add_cleanup(own.cleanup)
    for name in [name for name in os.environ if name.startswith(OUTSIDE)]:
        del os.environ[name]
    os.environ["AGENTGUARD_STATE_DIR"] = f"{own.name}/state"
    os.environ["AGENTGUARD_CONFIG_DIR"] = f"{own.name}/config"
    if not config.getoption("--hypothesis-profile", None):
        settings.load_profile("steady" if os.environ.get("CI") else "unhurried")
    if REQUIRE_ALL:
        os.environ["AGENTGUARD_REQUIRE_ALL"] = "1"  # for the workers that this process starts


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first."""
    places = {Path(__file__).parent / file: place for place, file in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(LONGEST)))


def pytest_collection_finish() -> None:
    """Leave what was imported and collected out of every later search for garbage."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Count a skipped test as failed where nothing may skip."""
    report = yield
    return report if hasattr(report, "wasxfail") else _no_skip(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Count a skipped module as failed where nothing may skip."""
    report = yield
    return _no_skip(report)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The loop that async tests run on."""
    return "asyncio"


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """An empty state directory with a path short enough for a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="ag-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """A real server for all tests of this process; each test keeps to a tenant of its own."""
    with tempfile.TemporaryDirectory(prefix="ag-") as folder:
        lease = Embedded.acquire(Path(folder))
        yield lease.url
        lease.release()


@pytest.fixture(scope="session")
def commands() -> Iterator[Commands]:
    """Runs commands as processes of their own."""
    running = Commands()
    yield running
    running.close()


@pytest.fixture
def tenant() -> str:
    """A tenant that no other test has, so that its keys start empty."""
    return f"tenant-{uuid4().hex[:12]}"


@pytest.fixture
async def connection(valkey_url: str) -> AsyncIterator[Connection]:
    """A connection on the test's own loop."""
    opened = await Connection.open(valkey_url)
    yield opened
    await opened.close()


def _has_room(folder: Path) -> bool:
    """Whether tests can put their files there: enough of them, and programs too."""
    if not folder.is_mount():
        return False
    there = os.statvfs(folder)
    return there.f_bavail * there.f_frsize > ROOM_BYTES and not there.f_flag & os.ST_NOEXEC


def _no_skip(report: Report) -> Report:
    if REQUIRE_ALL and report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"nothing may skip under REQUIRE_ALL=1, and this did: {reason}"
    return report
