"""The demo, as a stranger runs it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.commands import Commands
from tests.cli.terminal import terminal
from tests.integrations.fake_openai import FakeOpenAI, call, calls, text

pytestmark = pytest.mark.slow


@pytest.fixture
def env(state_dir: Path) -> dict[str, str]:
    """A home and a temporary folder of its own."""
    return {**os.environ, "HOME": str(state_dir), "TMPDIR": str(state_dir), "COLUMNS": "140"}


def test_the_demo_runs_by_itself_and_every_step_holds(
    commands: Commands, tmp_path: Path, state_dir: Path, env: dict[str, str]
) -> None:
    """With --auto and nobody at the terminal: exit code 0, every claim ok, and nothing is left behind."""
    done = commands.run(("demo", "--auto"), folder=tmp_path, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "the model is scripted" in done.stdout
    assert done.stdout.count(" ok   ") == 10
    assert "FAIL" not in done.stdout
    assert list(state_dir.iterdir()) == list(tmp_path.iterdir()) == []


def test_two_people_answer_in_the_terminal(commands: Commands, tmp_path: Path, env: dict[str, str]) -> None:
    """Each is shown the card and asked; after two times yes the export runs."""
    with terminal(commands, "demo", folder=tmp_path, env=env, columns=140) as demo:
        demo.answer("y", "y")
        assert demo.code() == 0
    heard = demo.written
    assert heard.count("approve exactly this call?") == 2
    assert heard.count(" ok   ") == 10


def test_a_no_in_the_terminal_fails_the_scripted_story(commands: Commands, tmp_path: Path, env: dict[str, str]) -> None:
    """A no is a rejection: the export does not run, the agent goes on, and the demo says so and exits 1."""
    with terminal(commands, "demo", folder=tmp_path, env=env, columns=140) as demo:
        demo.answer("n")
        assert demo.code() == 1
    assert "FAIL the export ran once" in demo.written


def test_a_real_model_drives_the_same_tools(commands: Commands, tmp_path: Path, env: dict[str, str]) -> None:
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
        own = {**env, "OPENAI_API_KEY": "made-up", "OPENAI_BASE_URL": server.url}
        done = commands.run(("demo", "--auto"), folder=tmp_path, env=own)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the model is openai:" in done.stdout
    assert "mira.jansen42@mail.example" not in "".join(server.sent)
