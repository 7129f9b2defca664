"""The demo, as a stranger runs it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integrations.fake_openai import FakeOpenAI, call, calls, text

pytestmark = pytest.mark.slow


@pytest.fixture
def env(state_dir: Path) -> dict[str, str]:
    """A home and a temporary folder of its own."""
    return {**os.environ, "HOME": str(state_dir), "TMPDIR": str(state_dir), "COLUMNS": "140"}


def test_the_demo_runs_by_itself_and_every_step_holds(state_dir: Path, env: dict[str, str]) -> None:
    """With --auto and nobody at the terminal: exit code 0, every claim ok, and nothing is left behind."""
    done = subprocess.run(
        [sys.executable, "-m", "agentguard", "demo", "--auto"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env, timeout=90,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "the model is scripted" in done.stdout
    assert done.stdout.count(" ok   ") == 10
    assert "FAIL" not in done.stdout
    assert list(state_dir.iterdir()) == []


def test_two_people_answer_in_the_terminal(env: dict[str, str]) -> None:
    """Each is shown the card and asked; after two times yes the export runs."""
    ours, theirs = pty.openpty()
    demo = subprocess.Popen(
        [sys.executable, "-m", "agentguard", "demo"],
        stdin=theirs, stdout=theirs, stderr=subprocess.STDOUT, env=env, close_fds=True,
    )  # fmt: skip
    os.close(theirs)
    heard = answered(ours, "y")
    assert demo.wait(timeout=90) == 0
    assert heard.count("approve exactly this call?") == 2
    assert heard.count(" ok   ") == 10


def test_a_no_in_the_terminal_fails_the_scripted_story(env: dict[str, str]) -> None:
    """A no is a rejection: the export does not run, the agent goes on, and the demo says so and exits 1."""
    ours, theirs = pty.openpty()
    demo = subprocess.Popen(
        [sys.executable, "-m", "agentguard", "demo"],
        stdin=theirs, stdout=theirs, stderr=subprocess.STDOUT, env=env, close_fds=True,
    )  # fmt: skip
    os.close(theirs)
    heard = answered(ours, "n")
    assert demo.wait(timeout=90) == 1
    assert "FAIL the export ran once" in heard


def answered(terminal: int, answer: str) -> str:
    """Type the answer to every question until the other side hangs up; gives everything that was shown."""
    shown = ""
    asked = 0
    while True:
        try:
            shown += os.read(terminal, 4096).decode(errors="replace")
        except OSError:
            return shown
        if shown.count("[y/N]") > asked:
            asked += 1
            os.write(terminal, f"{answer}\n".encode())


def test_a_real_model_drives_the_same_tools(state_dir: Path, env: dict[str, str]) -> None:
    """With OPENAI_API_KEY the model's own calls count: no raw value seen, no denied call run, the journal verifies."""
    with FakeOpenAI() as server:
        server.says(
            calls(call("1", "find_customer", {"order_id": 1042})),
            calls(
                call("2", "export_customers", {"days": 7}),
                call("3", "http_post", {"url": "https://mail.example/", "body": "x"}),
            ),
            text("Done."),
        )
        done = subprocess.run(
            [sys.executable, "-m", "agentguard", "demo", "--auto"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90,
            env={**env, "OPENAI_API_KEY": "made-up", "OPENAI_BASE_URL": server.url},
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the model is openai:" in done.stdout
    assert "mira.jansen42@mail.example" not in "".join(server.sent)
