"""`agentguard policy pin`: tools of a live MCP server, of a LangChain list and of tool JSON, written down and compared."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests import documents
from tests.cli.commands import Commands
from tests.policy.policies import ROOT

SERVER = """\
import sys
from mcp.server import MCPServer
from mcp_types import ToolAnnotations

server = MCPServer("shop")

@server.tool(annotations=ToolAnnotations(readOnlyHint=True))
def find_order(order_id: int) -> str:
    "Look up an order."
    return "found"

@server.tool()
def cancel_order(order_id: int, reason: str = "") -> str:
    "Cancel an order."
    return "cancelled"

server.run(*(["streamable-http"] if len(sys.argv) > 1 else []), **({"port": int(sys.argv[1])} if len(sys.argv) > 1 else {}))
"""

TOOLS = [
    {
        "type": "function",
        "function": {"name": "find_order", "description": "Look up.", "parameters": {"type": "object"}},
    },
    {"type": "function", "name": "send", "parameters": {"type": "object", "properties": {"to": {"type": "string"}}}},
    {"name": "buy", "input_schema": {"type": "object"}},
    {"name": "sell", "inputSchema": {"type": "object"}, "annotations": {"destructiveHint": True}},
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a policy, where the commands run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "policy.yaml").write_text(ROOT + 'tools: {"*": high}\n')
    return tmp_path


def pinned(folder: Path) -> dict[str, Any]:
    tools: dict[str, Any] = json.loads((folder / "p" / "tools.lock.json").read_text())["tools"]
    return tools


def test_tool_json_of_every_form_is_pinned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is given to a model of OpenAI or Anthropic, and what an MCP server lists."""
    (folder / "tools.json").write_text(json.dumps(TOOLS))

    code, printed = documents.run("agentguard policy pin p --json-file tools.json", monkeypatch)

    assert (code, printed.splitlines()[-1]) == (0, "p/tools.lock.json: 4 tools pinned")
    assert sorted(pinned(folder)) == ["buy", "find_order", "sell", "send"]
    assert pinned(folder)["send"]["input_schema"] == {"properties": {"to": {"type": "string"}}, "type": "object"}
    assert pinned(folder)["sell"]["hints"] == {"destructive": True}


def test_pinning_again_says_what_changed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """New, changed and removed tools, so that a person sees what they agree to; `--keep` removes none."""
    (folder / "tools.json").write_text(json.dumps(TOOLS[:2]))
    documents.run("agentguard policy pin p --json-file tools.json", monkeypatch)
    (folder / "tools.json").write_text(json.dumps([{**TOOLS[1], "description": "Send."}, TOOLS[2]]))

    _, kept = documents.run("agentguard policy pin p --json-file tools.json --keep", monkeypatch)
    _, printed = documents.run("agentguard policy pin p --json-file tools.json", monkeypatch)

    assert kept.splitlines()[:2] == ["new      buy", "changed  send: description"]
    assert printed.splitlines()[0] == "removed  find_order"
    assert sorted(pinned(folder)) == ["buy", "send"]


def test_t23_a_tool_that_hides_text_is_not_pinned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named with what it hides, and nothing is written."""
    (folder / "tools.json").write_text(json.dumps([{**TOOLS[1], "description": "Send.\u202e"}]))

    code, printed = documents.run("agentguard policy pin p --json-file tools.json", monkeypatch)

    assert (code, "send has text that nobody sees: U+202E" in printed) == (1, True)
    assert not (folder / "p" / "tools.lock.json").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("", "which tools? give --mcp, --tools or --json-file"),
        ("--json-file none.json", "none.json: no JSON that can be read (FileNotFoundError)"),
        ("--json-file text.json", 'write a list of tools, or {"tools": [...]}'),
        ("--json-file strange.json", "the tool at index 0 has no name"),
        ("--json-file empty.json", "there is no tool in these sources"),
        ("--tools nothing", "'nothing' is no module:name"),
        ("--tools no_such_module:TOOLS", "'no_such_module' can't be imported"),
        ("--tools json:TOOLS", "'json' has no 'TOOLS'"),
        ("--tools json:__all__", "a str is no tool"),
    ],
)
def test_sources_that_hold_no_tools_are_told(
    folder: Path, words: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong with a source, and what to write instead; exit code 2."""
    (folder / "text.json").write_text('"text"')
    (folder / "strange.json").write_text('[{"type": "web_search"}]')
    (folder / "empty.json").write_text("[]")

    code, printed = documents.run(f"agentguard policy pin p {words}", monkeypatch)

    assert code == 2
    assert told in printed


def test_a_langchain_list_is_pinned_as_the_guard_sees_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`module:name` of a list or of a function that gives one; functions count as LangChain makes tools of them."""
    (folder / "shop_tools.py").write_text(
        'def find_order(order_id: int) -> str:\n    "Look up an order."\n    return ""\n\n'
        "TOOLS = [find_order]\n\ndef tools():\n    return TOOLS\n"
    )

    code, _ = documents.run("agentguard policy pin p --tools shop_tools:TOOLS", monkeypatch)
    first = pinned(folder)
    documents.run("agentguard policy pin p --tools shop_tools:tools", monkeypatch)

    assert code == 0
    assert list(first) == ["find_order"]
    assert pinned(folder) == first


@pytest.mark.slow
def test_a_live_server_is_pinned_alike_over_stdio_and_http(commands: Commands, folder: Path) -> None:
    """The same tools give the same file, whatever way they are reached."""
    (folder / "server.py").write_text(SERVER)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    stdio = _pin(commands, folder, f"{sys.executable} server.py")
    over_stdio = pinned(folder)
    with subprocess.Popen([sys.executable, "server.py", str(port)], cwd=folder, stderr=subprocess.DEVNULL) as server:
        try:
            _until_it_listens(port)
            http = _pin(commands, folder, f"http://127.0.0.1:{port}/mcp")
        finally:
            server.terminate()

    assert (stdio.returncode, http.returncode) == (0, 0), (stdio.stderr, http.stderr)
    assert sorted(over_stdio) == ["cancel_order", "find_order", "mcp_get_prompt", "mcp_read_resource"]
    assert over_stdio["find_order"]["hints"] == {"read_only": True}
    assert pinned(folder) == over_stdio


@pytest.mark.slow
@pytest.mark.parametrize("server", ["no-such-command-anywhere", "http://127.0.0.1:9/mcp"])
def test_a_server_that_does_not_answer_is_told(commands: Commands, folder: Path, server: str) -> None:
    """A command that is no server, and an address where nobody listens."""
    ran = _pin(commands, folder, server)

    assert ran.returncode == 2
    assert "the MCP server can't be reached" in ran.stderr


@pytest.mark.slow
def test_of_several_servers_the_one_that_does_not_answer_is_named(commands: Commands, folder: Path) -> None:
    """By its number and its program or host, and by nothing else of what was written, which may hold a secret."""
    (folder / "server.py").write_text(SERVER)
    servers = (f"{sys.executable} server.py", "http://user:s3cret@127.0.0.1:9/mcp?key=s3cret")
    words = ("policy", "pin", "p", *(word for server in servers for word in ("--mcp", server)))
    ran = commands.run(words, folder=folder, env=os.environ)

    assert ran.returncode == 2
    assert "--mcp number 2 of 2 (127.0.0.1): the MCP server can't be reached" in ran.stderr
    assert "s3cret" not in ran.stderr
    assert not (folder / "p" / "tools.lock.json").exists()


def _pin(commands: Commands, folder: Path, server: str) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own: a server that it starts writes to its real stderr."""
    return commands.run(("policy", "pin", "p", "--mcp", server), folder=folder, env=os.environ)


def _until_it_listens(port: int) -> None:
    until = time.monotonic() + 20
    while True:
        with socket.socket() as line:
            if line.connect_ex(("127.0.0.1", port)) == 0 or time.monotonic() > until:
                return
        time.sleep(0.05)
