"""The channel that the documentation shows: it is installed, keeps the contract, is named by policy and told by a server."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest

from agentguard.approval import Channel
from agentguard.config.notifiers import installed_place, notifier_checks
from agentguard.errors import ConfigurationError, PolicyError
from agentguard.policy import Source, load
from agentguard.server.outbox import Outbox
from tests.approval.people import ONE
from tests.documents import ROOT, blocks
from tests.server.receiver import receiving
from tests.server.serving import opened, parts, serving

pytestmark = pytest.mark.anyio

DOCUMENT = ROOT / "docs" / "notifiers.md"
LINES_MAX = 60
POLICY = """\
version: 1
risk: {low: allow, medium: allow, high: {ask: stewards}, critical: {ask: stewards}}
approvals: {stewards: {approvers: [person:ann], deadline: 10m, notify: [NAME]}}
"""

Install = Callable[..., None]


@pytest.fixture
def tenant() -> str:
    """A tenant of one test's own."""
    return f"tenant-{secrets.token_hex(6)}"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs packages with entry points, as an installer would."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def install(entry: str, module: str, text: str) -> None:
        (tmp_path / f"{module}.py").write_text(text)
        info = tmp_path / f"{module}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[agentguard.notifiers]\n{entry}\n")

    yield install
    for name in set(sys.modules) - before:
        if name in ("pager", "odd", "even"):
            del sys.modules[name]


def shown(name: str) -> str:
    """The file of this name in the document."""
    (found,) = [block.text for block in blocks(DOCUMENT, "python") if block.given == name]
    return found


def entry_point() -> str:
    """The entry point that the document shows."""
    (block,) = blocks(DOCUMENT, "toml")
    name, value = re.findall(r'^(\w+) = "(.*)"$', block.text, re.MULTILINE)[0]
    return f"{name} = {value}"


def test_a_channel_is_short() -> None:
    """Under 60 lines, all of it."""
    assert len(shown("pager.py").splitlines()) < LINES_MAX


@pytest.mark.slow
def test_the_channel_of_the_document_keeps_the_contract_with_pytest_alone(tmp_path: Path) -> None:
    """In a process without our tests' plugins and configuration."""
    # given
    for name in ("pager.py", "test_pager.py"):
        (tmp_path / name).write_text(shown(name))

    # when
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_pager.py"],
        cwd=tmp_path, env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    # then
    assert done.returncode == 0, done.stdout
    assert "8 passed" in done.stdout


async def test_a_server_tells_it_what_policy_sends_there(
    install: Install, monkeypatch: pytest.MonkeyPatch, valkey_url: str, agent: Channel
) -> None:
    """From the entry point to the text on the pager."""
    # given
    install(entry_point(), "pager", shown("pager.py"))
    load([Source(file="policy.yaml", text=POLICY.replace("NAME", "pager"))], checks=notifier_checks())
    await Outbox(connection=agent.connection, names=agent.names).cursor()
    with receiving() as receiver:
        monkeypatch.setenv("PAGER_URL", receiver.url)
        place = installed_place("pager", lambda request: f"https://approvals.acme.example/requests/{request}")

        # when
        with serving(parts(valkey_url, agent.names.tenant, places=(place,))):
            request = await opened(agent, ONE, notify=("pager",))
            text = (await anyio.to_thread.run_sync(receiver.next)).body.decode()

    # then
    assert text.splitlines() == [
        "■ CRITICAL Export 500 customers",
        "Waits for a decision",
        f"https://approvals.acme.example/requests/{request.id}",
    ]


@pytest.mark.parametrize(
    ("entry", "text", "told"),
    [
        pytest.param("other = odd:make", "make = None", "no installed packages have a notifier 'mine'", id="none"),
        pytest.param("mine = odd:make", "raise RuntimeError('canary')", "can't be loaded (RuntimeError)", id="breaks"),
        pytest.param("mine = odd:absent", "", "can't be loaded (AttributeError)", id="not there"),
        pytest.param("mine = odd:make", "make = 3", "makes no notifier", id="no function"),
    ],
)
def test_a_channel_that_does_not_load_is_an_error_of_policy_and_of_settings(
    install: Install, entry: str, text: str, told: str
) -> None:
    """What was wrong and which there are, without a word of the package's own."""
    install(entry, "odd", text)
    with pytest.raises(PolicyError) as refused:
        load([Source(file="policy.yaml", text=POLICY.replace("NAME", "mine"))], checks=notifier_checks())
    with pytest.raises(ConfigurationError) as wrong:
        installed_place("mine", str)
    assert all(told in str(error.value) and "there are: slack" in str(error.value) for error in (refused, wrong))
    assert "canary" not in f"{refused.value}{wrong.value}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("def make(link): return object()", "it needs wants(turn) and tell(turn, shown)", id="no notifier"),
        pytest.param("def make(link): raise KeyError('canary')", "could not be made (KeyError)", id="breaks"),
        pytest.param("def make(): ...", "could not be made (TypeError)", id="takes no link"),
    ],
)
def test_a_server_does_not_start_with_a_channel_that_can_not_be_made(install: Install, text: str, told: str) -> None:
    """Before anything listens."""
    install("mine = odd:make", "odd", text)
    with pytest.raises(ConfigurationError) as wrong:
        installed_place("mine", str)
    assert told in str(wrong.value)
    assert "canary" not in str(wrong.value)


def test_a_name_that_two_packages_have_is_nobodys(install: Install) -> None:
    """Which of them is meant can't be told."""
    install("mine = odd:make", "odd", "")
    install("mine = even:make", "even", "")
    with pytest.raises(ConfigurationError, match="2 installed packages have a notifier 'mine'"):
        installed_place("mine", str)
