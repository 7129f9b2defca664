"""`agentguard slack setup` against a workspace on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agentguard.cli.app import app
from agentguard.errors import ConfigurationError
from tests.server.fake_slack import CHANNEL, TEAM, FakeSlack

PEOPLE = """\
people:
  ann: {email: ann@acme.example, slack: U0ANN, groups: [on-call]}
  bob: {email: bob@acme.example, groups: [on-call]}
"""


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeSlack]:
    """A workspace that the settings name, and people beside a policy."""
    (tmp_path / "approvers.yaml").write_text(PEOPLE)
    monkeypatch.chdir(tmp_path)
    with FakeSlack() as running:
        running.emails = {"ann@acme.example": "U0ANN", "bob@acme.example": "U0BOB"}
        monkeypatch.setenv("AGENTGUARD_SERVER_SLACK_BOT_TOKEN", "xoxb-1")
        monkeypatch.setenv("AGENTGUARD_SERVER_SLACK_CHANNEL", CHANNEL)
        monkeypatch.setenv("AGENTGUARD_SERVER_SLACK_API_URL", running.url)
        yield running


def test_without_a_token_it_prints_the_app_to_make(tmp_path: Path) -> None:
    """By Socket Mode, or with the address that presses are sent to; no scope that reads messages."""
    by_socket = json.loads(CliRunner().invoke(app, ["slack", "setup"]).stdout.partition("\nmake an app")[0])
    by_http = CliRunner().invoke(app, ["slack", "setup", "--url", "https://approvals.acme.example/"]).stdout

    assert by_socket["settings"]["socket_mode_enabled"] is True
    assert by_socket["oauth_config"]["scopes"]["bot"] == ["chat:write", "users:read", "users:read.email"]
    assert "https://approvals.acme.example/slack/interactions" in by_http


def test_with_a_token_it_says_who_is_who_and_what_is_missing(slack: FakeSlack, tmp_path: Path) -> None:
    """The workspace to name, people found by e-mail, a scope that was not granted; a test message where one is asked for."""
    slack.scopes = "chat:write,users:read"
    done = CliRunner().invoke(app, ["slack", "setup", "--policies", str(tmp_path), "--test-card"])

    assert done.exit_code == 1
    assert f"AGENTGUARD_SERVER_SLACK_TEAM={TEAM}" in done.stdout
    assert "ann: U0ANN" in done.stdout
    assert "bob is U0BOB: put slack: U0BOB beside them in approvers.yaml" in done.stderr
    assert "the app lacks the scope users:read.email" in done.stderr
    assert slack.count("chat.postMessage") == 1


def test_a_channel_that_takes_no_message_is_told(slack: FakeSlack, tmp_path: Path) -> None:
    """By Slack's own word, beside what else is missing."""
    slack.failing = ["channel_not_found"]
    done = CliRunner().invoke(app, ["slack", "setup", "--policies", str(tmp_path), "--test-card"])

    assert done.exit_code == 1
    assert f"no test message came to {CHANNEL}: channel_not_found" in done.stderr


def test_where_slack_cannot_be_reached_it_says_so(
    slack: FakeSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line with the address that was asked."""
    monkeypatch.setenv("AGENTGUARD_SERVER_SLACK_API_URL", "http://127.0.0.1:9/")
    done = CliRunner().invoke(app, ["slack", "setup", "--policies", str(tmp_path)])

    assert (done.exit_code, done.stdout) == (1, "")
    assert "Slack can't be reached (ClientConnectorError) at http://127.0.0.1:9/" in done.stderr


def test_a_test_card_needs_a_channel(slack: FakeSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nobody would notice that none was sent."""
    monkeypatch.delenv("AGENTGUARD_SERVER_SLACK_CHANNEL")
    done = CliRunner().invoke(app, ["slack", "setup", "--policies", str(tmp_path), "--test-card"])

    assert isinstance(done.exception, ConfigurationError)
    assert slack.count("auth.test") == 0
