"""`agentguard policy init`: pins and a first policy for tools that nobody classified, for a person to edit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentguard.config import read_policies, read_roster
from agentguard.policy import read_lock
from tests import documents
from tests.policy.policies import ROOT

TOOLS = [
    {
        "name": "find_order",
        "description": "Looks up an order.",
        "input_schema": {"type": "object", "properties": {"id": {}}},
    },
    {
        "name": "refund",
        "description": "Gives money back.",
        "input_schema": {"type": "object", "properties": {"id": {}}},
    },
    {
        "name": "no",
        "description": "Says no.",
        "input_schema": {"type": "object", "properties": {"to": {}, "on\n  x": {}}},
    },
]


RULE = "version: 1\nrules: [{id: a, tools: [refund], when: args.x > 1, deny: true}]\n"
LANGCHAIN = """\
from langchain_core.tools import tool

@tool
def close_account(account: int) -> str:
    "Close an account."

TOOLS = [close_account]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where the command runs, with a file of tools."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AGENTGUARD_CONFIG_DIR", str(tmp_path / "config"))
    (tmp_path / "tools.json").write_text(json.dumps(TOOLS))
    return tmp_path


def init(monkeypatch: pytest.MonkeyPatch, words: str = "--json-file tools.json") -> tuple[int, str]:
    return documents.run(f"agentguard policy init p {words}", monkeypatch)


def test_a_folder_without_a_policy_gets_all_that_a_guard_needs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root, people, tools and pins, and they load as a guard loads them."""
    code, printed = init(monkeypatch)
    policy = read_policies(folder / "p")
    assert code == 0
    assert "3 tools, 1 low, 1 high, 1 critical" in printed
    assert {tool: str(policy.document.tools[tool].risk) for tool in ("find_order", "refund", "no")} == {
        "find_order": "low",
        "refund": "critical",
        "no": "high",
    }
    assert policy.document.tools["no"].params == {"recipient": ("to",)}
    assert sorted(read_lock((folder / "p" / "tools.lock.json").read_text(), "lock").tools) == [
        "find_order",
        "no",
        "refund",
    ]
    assert read_roster(folder / "p").people


def test_each_line_has_its_reason(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment above each tool says why, in words of the tool."""
    init(monkeypatch)
    lines = (folder / "p" / "tools.yaml").read_text().splitlines()
    assert lines[lines.index('  "refund": critical') - 1] == "  # its name says 'refund'"
    assert sum(line.startswith("  #") for line in lines) == 3


def test_tools_that_the_policy_lists_are_left_as_they_are(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An own policy stays; only what it says nothing of is proposed, and all is pinned."""
    (folder / "p").mkdir()
    (folder / "p" / "policy.yaml").write_text(ROOT + "tools: {refund: low}\n")
    code, printed = init(monkeypatch)
    assert code == 0
    assert "left out 1 that the policy lists already" in printed
    assert "refund" not in (folder / "p" / "tools.yaml").read_text()
    assert "refund" in (folder / "p" / "tools.lock.json").read_text()


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        pytest.param("tools.yaml", "version: 1\n", "is there already", id="tools.yaml"),
        pytest.param("all.yaml", "version: 1\ntools: {refund: low, \"no\": low, find_order: low}\n", "lists all of", id="listed"),
        pytest.param("rule.yaml", RULE, "no argument 'x'", id="rule"),
    ],
)  # fmt: skip
def test_nothing_is_overwritten_and_nothing_is_left_half_done(
    folder: Path, monkeypatch: pytest.MonkeyPatch, file: str, text: str, told: str
) -> None:
    """Files that are there, or that don't load with the new pins, stay as they were."""
    (folder / "p").mkdir()
    (folder / "p" / "policy.yaml").write_text(ROOT + "tools: {}\n")
    (folder / "p" / file).write_text(text)
    before = {each.name: each.read_text() for each in (folder / "p").iterdir()}
    code, printed = init(monkeypatch)
    assert code == 2
    assert told in printed
    assert {each.name: each.read_text() for each in (folder / "p").iterdir()} == before


def test_a_tool_that_must_not_be_pinned_is_not_proposed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text that nobody sees in a description: exit code 1, and nothing is written."""
    (folder / "tools.json").write_text(json.dumps([{**TOOLS[0], "description": "Looks\u200bup."}]))
    code, printed = init(monkeypatch)
    assert code == 1
    assert "text that nobody sees" in printed
    assert not (folder / "p").exists()


@pytest.mark.slow
def test_a_list_of_langchain_tools_is_classified(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """module:name, as `pin` takes it."""
    (folder / "bench_tools.py").write_text(LANGCHAIN)
    code, printed = init(monkeypatch, "--tools bench_tools:TOOLS")
    assert (code, "1 tools, 1 high" in printed) == (0, True)


def test_a_draft_is_a_policy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever tools are called, what is written is strict YAML that loads."""
    names = ["null", "true", "1", "1e3", "0x1F", "-", "on", "a-b_c"]
    (folder / "tools.json").write_text(json.dumps([{"name": name, "input_schema": {}} for name in names]))
    assert init(monkeypatch)[0] == 0
    assert set(names) <= read_policies(folder / "p").document.tools.keys()
