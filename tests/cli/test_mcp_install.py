"""`agentguard mcp install` and `uninstall`: the configuration of a client in a home of its own, with real servers in it."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import Result
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from typer.testing import CliRunner

from agentguard.cli.app import app
from agentguard.cli.clients.entries import GUARD
from agentguard.cli.clients.installed import ConfigFile
from agentguard.cli.clients.known import CLIENTS, Machine
from agentguard.config import read_policies, read_roster
from agentguard.errors import ConfigurationError
from agentguard.store.embedded import stop_left_over
from tests.integrations.mcp_shop import EMAIL

SHOP = [sys.executable, str(Path(__file__).parents[1] / "integrations" / "mcp_shop.py")]
SECRET = "sk-live-4f7b2c9d8e1a6035planted"
CONFIG = """\
{
  // what I use
  "theme": "dark",
  "mcpServers": {
    "shop": {"command": "SHOP0", "args": ["SHOP1"], "env": {"API_KEY": "SECRET"}, "disabled": false},
    "Web Shop": {"type": "http", "url": "https://shop.example/mcp?key=SECRET", "headers": {"Authorization": "Bearer SECRET"}},
  },
  "last": [1, 2.50]
}
"""


@pytest.fixture
def home(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home with nothing of agentguard's in it."""
    for name in [name for name in os.environ if name.startswith(("AGENTGUARD_", "XDG_", "CLAUDE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(state_dir))
    monkeypatch.setattr(sys, "platform", "linux")
    yield state_dir
    stop_left_over(state_dir / ".local" / "state" / "agentguard")


@pytest.fixture
def config(home: Path) -> Path:
    """Claude Desktop's configuration with two servers, as somebody wrote it."""
    return written(home, CONFIG)


def written(home: Path, text: str) -> Path:
    file = home / ".config" / "Claude" / "claude_desktop_config.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    filled = text.replace("SHOP0", SHOP[0]).replace("SHOP1", SHOP[1]).replace("SECRET", SECRET)
    file.write_text(filled, newline="")
    file.chmod(0o640)
    return file


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["mcp", *words])


def install(*words: str) -> Result:
    """Install without asking a server."""
    return run("install", "claude-desktop", "--unasked", "shop", "--unasked", "Web Shop", *words)


def plain(file: Path) -> Any:
    """What a configuration without comments says."""
    return json.loads(file.read_text().replace("// what I use", "").replace("},\n  },", "}\n  },"))


def servers(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = plain(file)["mcpServers"]
    return found


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def test_each_server_is_started_through_a_guard_and_all_else_stays(home: Path, config: Path) -> None:
    """Command, arguments, environment and the client's own keys are what they were; headers and a secret URL go into the environment."""
    done = install("--user", "ann@acme.example")

    shop, web = servers(config).values()
    folders = home / ".config" / "agentguard" / "mcp" / "claude-desktop"
    options = ["--user", "ann@acme.example", "--agent", "claude-desktop"]
    assert done.exit_code == 0, done.output
    assert "take it back with: agentguard mcp uninstall claude-desktop" in done.output
    assert [shop["command"], *shop["args"]] == [*GUARD, "--policies", str(folders / "shop"), *options, "--", *SHOP]
    assert {key: shop[key] for key in ("env", "disabled")} == {"env": {"API_KEY": SECRET}, "disabled": False}
    assert web["type"] == "stdio"
    assert web["args"][-4:] == [
        "--url-from",
        "AGENTGUARD_MCP_URL",
        "--header-from",
        "Authorization=AGENTGUARD_MCP_HEADER_1",
    ]
    assert list(web["env"].values()) == [f"https://shop.example/mcp?key={SECRET}", f"Bearer {SECRET}"]
    assert SECRET not in str(web["args"])
    assert plain(config)["theme"] == "dark"
    assert "// what I use" in config.read_text()
    assert '"last": [1, 2.50]\n}\n' in config.read_text()


def test_secrets_go_nowhere_else(home: Path, config: Path) -> None:
    """They stand in the client's file and its copy, which only its owner reads: not in what is printed, policies, pins or notes."""
    told = install("--dry-run").output + install().output + run("install", "claude-desktop").output

    holding = {name for name, data in everything_in(home).items() if SECRET.encode() in data}
    backup = config.with_name(config.name + ".before-agentguard")
    assert SECRET not in told
    assert holding == {str(config), str(backup)}
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert stat.S_IMODE(config.stat().st_mode) == 0o640


def test_a_dry_run_shows_a_diff_and_writes_nothing(home: Path, config: Path) -> None:
    """What would stand there, a line each; secrets of arguments, variables and headers left out."""
    before = everything_in(home)

    done = install("--dry-run")

    assert done.exit_code == 0
    assert "+++ mcpServers.shop behind a guard" in done.output
    assert '-  "url": "https://shop.example/mcp?..."' in done.output
    assert '+    "AGENTGUARD_MCP_HEADER_1": "***"' in done.output
    assert everything_in(home) == before


@pytest.mark.parametrize("text", [CONFIG, CONFIG.replace("\n", "\r\n"), "\ufeff" + CONFIG, CONFIG.replace("  ", "\t")])
def test_uninstall_gives_the_old_bytes_back(home: Path, text: str) -> None:
    """Line ends, byte order mark, comments, indentation and mode are what they were, and no copy or note is left."""
    config = written(home, text)
    before = config.read_bytes()
    install()
    changed = config.read_bytes()

    done = run("uninstall", "claude-desktop")

    assert done.exit_code == 0, done.output
    assert changed != before
    assert config.read_bytes() == before
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    assert [file.name for file in config.parent.iterdir()] == [config.name]
    assert isinstance(run("uninstall", "claude-desktop").exception, ConfigurationError)


def test_what_else_changed_since_is_kept(home: Path, config: Path) -> None:
    """The client writes its own settings into the same file; a server that was taken out stays out."""
    before = config.read_text()
    install()
    edited = config.read_text().replace('"dark"', '"light"')
    config.write_text(edited)

    done = run("uninstall", "claude-desktop")

    assert done.exit_code == 0, done.output
    assert config.read_text() == before.replace('"dark"', '"light"')


def test_an_entry_that_somebody_changed_since_is_not_overwritten(home: Path, config: Path) -> None:
    """Nothing is written, the server is named, and the copy from before stays."""
    install()
    config.write_text(config.read_text().replace('"disabled": false', '"disabled": true'))
    before = everything_in(home)

    done = run("uninstall", "claude-desktop")

    assert "shop was changed since" in str(done.exception)
    assert SECRET not in str(done.exception)
    assert everything_in(home) == before


def test_a_copy_that_is_not_the_file_from_before_restores_nothing(home: Path, config: Path) -> None:
    """Whoever can write beside the file could else choose which commands the client starts."""
    install()
    (copy,) = config.parent.glob(f"{config.name}.*")
    copy.write_bytes(copy.read_bytes().replace(b"shop.example", b"evil.example"))
    before = everything_in(home)

    done = run("uninstall", "claude-desktop")

    assert isinstance(done.exception, ConfigurationError)
    assert f"{copy} is not the file from before any more; restore {config} by hand" in str(done.exception)
    assert everything_in(home) == before


def test_a_file_that_is_written_meanwhile_is_left_alone(home: Path, config: Path) -> None:
    """What the client wrote between reading and exchanging is not lost."""
    read = ConfigFile.of(config, home / "state")
    current = read.read()
    config.write_bytes(current.replace(b"dark", b"light"))

    with pytest.raises(ConfigurationError, match="was written meanwhile; close the client, then run this again"):
        read.write(b"{}", current=current, before=current, guarded=())

    assert config.read_bytes() == current.replace(b"dark", b"light")


def test_a_second_install_changes_nothing_and_guards_what_is_new(home: Path, config: Path) -> None:
    """A policy that is there stays as it is, and uninstall gives back what would be there without any guard."""
    install()
    once = config.read_bytes()
    again = run("install", "claude-desktop")
    twice = config.read_bytes()
    added = '"mcpServers": {\n    "new": {"command": "new-server"},'
    config.write_text(config.read_text().replace('"mcpServers": {', added))
    policy = home / ".config/agentguard/mcp/claude-desktop/shop/policy.yaml"
    policy.write_text(policy.read_text() + "# read\n")
    run("install", "claude-desktop", "--unasked", "new")
    guarded = servers(config)
    run("uninstall", "claude-desktop")

    assert "nothing to change there" in again.output
    assert once == twice
    assert [each["command"] for each in guarded.values()] == [sys.executable] * 3
    assert policy.read_text().endswith("# read\n")
    assert servers(config)["new"] == {"command": "new-server"}
    assert servers(config)["shop"]["command"] == SHOP[0]


def test_a_server_that_cannot_be_asked_stops_it_unless_somebody_says_what_becomes_of_it(home: Path) -> None:
    """Nothing is left bare without a word: it is guarded unasked, or left, by name."""
    config = written(
        home,
        '{"mcpServers": {"gone": {"command": "no-such-command-anywhere"}, "odd": {"command": "${input:x}"}, "x": {}}}',
    )
    before = everything_in(home)

    refused = run("install", "claude-desktop")
    unchanged = everything_in(home)
    left = run("install", "claude-desktop", "--unasked", "gone", "--leave", "odd", "--leave", "x")

    assert refused.exit_code == 1
    assert "gone: it can't be reached (FileNotFoundError)" in refused.stderr
    assert "odd: its entry holds ${...} that only the client fills in" in refused.stderr
    assert "x: its entry has neither a command nor a URL" in refused.stderr
    assert unchanged == before
    assert "odd: left as it is, UNGUARDED" in left.output
    assert servers(config)["odd"] == {"command": "${input:x}"}
    assert servers(config)["gone"]["command"] == sys.executable


def test_one_server_that_cannot_be_asked_is_enough_to_write_nothing(home: Path) -> None:
    """Though a guard could stand before it."""
    written(home, '{"mcpServers": {"gone": {"command": "no-such-command-anywhere"}}}')
    before = everything_in(home)

    refused = run("install", "claude-desktop")

    assert (refused.exit_code, everything_in(home)) == (1, before)
    assert "nothing was written" in refused.stderr


def test_the_first_policy_loads_asks_the_user_and_names_them(home: Path, config: Path) -> None:
    """Whatever nobody listed is confirmed by the user, whose key is theirs; `--shadow` puts all of it in shadow."""
    install("--user", "ann@acme.example", "--shadow")

    folder = home / ".config/agentguard/mcp/claude-desktop/shop"
    shadowed = read_policies(folder)
    (folder / "policy.yaml").write_text((folder / "policy.yaml").read_text().replace("mode: shadow", "mode: enforce"))
    enforced = read_policies(folder)
    assert read_roster(folder).find("ann@acme.example") is not None
    assert shadowed.allows_unasked("anything")
    assert not enforced.allows_unasked("anything")


@pytest.mark.parametrize(
    ("client", "platform", "place"),
    [
        ("claude-desktop", "darwin", "Library/Application Support/Claude/claude_desktop_config.json"),
        ("claude-desktop", "win32", "AppData/Roaming/Claude/claude_desktop_config.json"),
        ("claude-desktop", "linux", ".config/Claude/claude_desktop_config.json"),
        ("claude-code", "darwin", ".claude.json"),
        ("cursor", "linux", ".cursor/mcp.json"),
        ("vscode", "darwin", "Library/Application Support/Code/User/mcp.json"),
        ("vscode", "linux", ".config/Code/User/mcp.json"),
        ("windsurf", "linux", ".codeium/windsurf/mcp_config.json"),
    ],
)
def test_each_client_has_its_file(client: str, platform: str, place: str) -> None:
    """Where each keeps its servers on each system."""
    machine = Machine(home=Path("/me"), platform=platform, environment={})

    file = CLIENTS[client].file

    assert file is not None
    assert file(machine) == Path("/me") / place


@pytest.mark.parametrize(
    ("client", "text", "names"),
    [
        (
            "claude-code",
            '{"projects": {"/a": {"mcpServers": {"s": {"command": "x"}}}, "/b": {"mcpServers": {"s": {"command": "y"}}}}}',
            2,
        ),
        ("vscode", '{"inputs": [], "servers": {"s": {"type": "stdio", "command": "x"}}}', 1),
        ("windsurf", '{"mcpServers": {"s": {"serverUrl": "https://shop.example/mcp"}}}', 1),
        ("other", '{"mcp": {"servers": {"s": {"command": "x", "cwd": "/tmp"}}}}', 1),
    ],
)
def test_each_client_has_its_shape(home: Path, client: str, text: str, names: int) -> None:
    """Servers are found where each client has them; two of one name get a policy each."""
    file = home / "theirs.json"
    file.write_text(text)

    done = run("install", client, "--config", str(file), "--unasked", "s")

    assert done.exit_code == 0, done.output
    assert file.read_text().count('"agentguard"') == names
    assert len(list((home / ".config/agentguard/mcp").glob("*/*/policy.yaml"))) == names


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"mcpServers": {"a": {}', "line 1, column 24: a ',' or '}' is missing"),
        ('{"mcpServers": {"a": {}, "a": {}}}', "line 1, column 26: this key stands twice"),
        ('{"mcpServers": {"a": {"env": {"K": SECRET}}}}', "line 1, column 36: no JSON value"),
        ("{}", "no server stands there"),
        ('{"mcpServers": {}} trailing', "line 1, column 20: something follows"),
        ("[" * 100, "nested deeper than 64"),
        ('{"a": "\u0001"}', "a text that does not end"),
    ],
)
def test_a_file_that_cannot_be_read_is_left_alone(home: Path, text: str, told: str) -> None:
    """The message says where and what, and holds nothing of the file."""
    config = written(home, text)
    before = config.read_bytes()

    done = run("install", "claude-desktop")

    assert isinstance(done.exception, ConfigurationError)
    assert told in str(done.exception)
    assert SECRET not in str(done.exception)
    assert config.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["install", "claude-desktop"], "No such file or directory; --config names another file"),
        (["install", "other"], "which file? --config names it"),
        (["uninstall", "cursor"], "nothing is known to be installed there"),
    ],
)
def test_a_file_that_is_not_there_is_told(home: Path, words: list[str], told: str) -> None:
    """One sentence, and nothing is made."""
    done = run(*words)

    assert told in str(done.exception)
    assert not (home / ".config").exists()


def test_a_name_that_is_no_servers_is_told(home: Path, config: Path) -> None:
    """A typing error in --leave leaves no server bare."""
    done = run("install", "claude-desktop", "--leave", "shop", "--leave", "web")

    assert "there is no server 'web'" in str(done.exception)
    assert "Web Shop, shop" in str(done.exception)


def test_a_server_is_not_both_left_and_guarded(home: Path, config: Path) -> None:
    """It was left bare; now nothing is written until one of the two is taken back."""
    before = config.read_bytes()
    done = run("install", "claude-desktop", "--user", "ann", "--leave", "shop", "--unasked", "shop")

    assert "shop: --leave says unguarded" in str(done.exception)
    assert config.read_bytes() == before


def test_a_link_stays_a_link(home: Path, config: Path) -> None:
    """Where the file is kept elsewhere, the file there is exchanged."""
    elsewhere = home / "dotfiles.json"
    config.rename(elsewhere)
    config.symlink_to(elsewhere)

    install()
    run("uninstall", "claude-desktop")

    assert config.is_symlink()
    assert "-m" not in elsewhere.read_text()


@pytest.mark.slow
def test_t24_the_installed_command_guards_a_real_server(home: Path, config: Path) -> None:
    """The server is asked, its tools pinned and classified; the client then starts the guard, wherever it is, and gets masked results."""
    installed = run("install", "claude-desktop", "--user", "ann@acme.example", "--leave", "Web Shop")
    entry = servers(config)["shop"]
    (home / "work" / "agentguard").mkdir(parents=True)
    (home / "work" / "agentguard" / "__init__.py").write_text("raise SystemExit('not this one')")

    async def use() -> tuple[str, str]:
        started = StdioServerParameters(
            command=entry["command"], args=entry["args"], env={"HOME": str(home), **entry["env"]}, cwd=home / "work"
        )
        async with Client(started) as client:
            found = await client.call_tool("find_customer", {"order_id": 1})
            refund = await client.call_tool("refund", {"order_id": 1})
        return found.model_dump_json(), refund.model_dump_json()

    found, refund = anyio.run(use)

    folder = home / ".config/agentguard/mcp/claude-desktop/shop"
    assert installed.exit_code == 0, installed.output
    assert re.search(r"shop: guarded: \d+ tools, \d+ low, \d+ high, 1 critical", installed.output)
    assert '"find_customer": low' in (folder / "tools.yaml").read_text()
    assert "mcp_read_resource" in json.loads((folder / "tools.lock.json").read_text())["tools"]
    assert "[EMAIL_" in found
    assert EMAIL not in found
    assert "denied by policy" in refund
