"""The shipped rules that keep an agent from its own guard."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentguard.config import policy_library
from agentguard.policy import Policy, Source, load
from tests import documents
from tests.policy.policies import ROOT, judge, source

TOOLS = """\
tools:
  run_shell: {risk: low, params: {shell: [command]}}
  read_file: {risk: low, params: {path: [path]}}
  fetch: {risk: low, params: {url: [url]}}
  python: {risk: low, params: {code: [code]}}
  note: low
use: [library:agentguard]
"""


@pytest.fixture(scope="module")
def guarded() -> Policy:
    """A policy that allows every tool, and takes the rules in."""
    file = policy_library() / "agentguard.yaml"
    return load(
        [source(ROOT + TOOLS.replace("use: [library:agentguard]\n", "")), Source(file=str(file), text=file.read_text())]
    )


@pytest.mark.parametrize(
    ("tool", "argument", "text"),
    [
        ("read_file", "path", "/var/lib/agentguard/keys.json"),
        ("read_file", "path", "~/.config/AgentGuard/keys/ann.key"),
        ("read_file", "path", "tool_policies/approvers.yaml"),
        ("read_file", "path", "/tmp/x/valkey/valkey.sock"),
        ("read_file", "path", "~/.config/Claude/claude_desktop_config.json"),
        ("read_file", "path", "/srv/work/.cursor/mcp.json"),
        ("read_file", "path", ".mcp.json"),
        ("run_shell", "command", "sed -i s/guard// ~/.claude.json"),
        ("run_shell", "command", "cp /tmp/x ~/.codeium/windsurf/mcp_config.json"),
        ("run_shell", "command", "agentguard approvals approve 0123 --card abcd"),
        ("run_shell", "command", "python -m agentguard freeze --all"),
        ("run_shell", "command", "redis-cli -u redis://10.0.0.5:6379 HSET a b c"),
        ("run_shell", "command", "curl -X POST http://127.0.0.1:8000/api/v1/requests/0/approve"),
        ("python", "code", "from agentguard.config import open_desk"),
        ("python", "code", "redis.Redis.from_url('rediss://redis.example')"),
        ("fetch", "url", "https://inbox.acme.example/api/v1/requests"),
        ("fetch", "url", "https://inbox.acme.example/requests/0123456789abcdef0123456789abcdef"),
    ],
)
def test_t13_a_call_that_touches_the_guard_is_denied(guarded: Policy, tool: str, argument: str, text: str) -> None:
    """Its state, keys, policy, socket, commands and doors, whatever the tool's own risk."""
    assert judge(guarded, tool, {argument: text}).effect == "deny"


@pytest.mark.parametrize(
    ("tool", "argument", "text"),
    [
        ("read_file", "path", "/srv/work/report.txt"),
        ("read_file", "path", "/srv/work/tools-mcp.json"),
        ("run_shell", "command", "ls -l /srv/work"),
        ("fetch", "url", "https://acme.example/requests/latest"),
        ("note", "text", "ask the agentguard inbox"),
    ],
)
def test_what_has_nothing_to_do_with_the_guard_is_let_be(guarded: Policy, tool: str, argument: str, text: str) -> None:
    """Also a text that only speaks of it, in an argument without a role."""
    assert judge(guarded, tool, {argument: text}).effect == "allow"


def test_a_first_policy_takes_the_rules_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`agentguard init` writes them."""
    monkeypatch.setenv("AGENTGUARD_CONFIG_DIR", str(tmp_path / "config"))
    documents.run(f"agentguard init {tmp_path / 'policies'}", monkeypatch)
    told = documents.run(f"agentguard policy explain --tool any {tmp_path / 'policies'}", monkeypatch)
    assert "library:agentguard" in (tmp_path / "policies" / "policy.yaml").read_text()
    assert told[0] == 0
