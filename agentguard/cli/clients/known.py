"""The MCP clients whose configuration files are known: where the files are, and where servers stand in them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

Keys = tuple[str, ...]
"""A path of keys to an object whose members are servers; `*` is every key."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What says where a user's files are."""

    home: Path
    platform: str
    environment: Mapping[str, str]

    @classmethod
    def this(cls) -> Machine:
        """The one that this runs on."""
        return cls(home=Path.home(), platform=sys.platform, environment=os.environ)

    def settings(self, vendor: str) -> Path:
        """The folder of an application's settings."""
        match self.platform:
            case "darwin":
                return self.home / "Library" / "Application Support" / vendor
            case "win32":
                return Path(self.environment.get("APPDATA", self.home / "AppData" / "Roaming")) / vendor
            case _:
                return Path(self.environment.get("XDG_CONFIG_HOME") or self.home / ".config") / vendor


@dataclass(frozen=True, kw_only=True)
class KnownClient:
    """One client: what people call it, its file on a machine (None: it must be named), and where servers stand there."""

    title: str
    file: Callable[[Machine], Path] | None
    servers: tuple[Keys, ...]


CLIENTS: Mapping[str, KnownClient] = {
    "claude-desktop": KnownClient(
        title="Claude Desktop",
        file=lambda machine: machine.settings("Claude") / "claude_desktop_config.json",
        servers=(("mcpServers",),),
    ),
    "claude-code": KnownClient(
        title="Claude Code",
        file=lambda machine: Path(machine.environment.get("CLAUDE_CONFIG_DIR") or machine.home) / ".claude.json",
        servers=(("mcpServers",), ("projects", "*", "mcpServers")),
    ),
    "cursor": KnownClient(
        title="Cursor", file=lambda machine: machine.home / ".cursor" / "mcp.json", servers=(("mcpServers",),)
    ),
    "vscode": KnownClient(
        title="VS Code",
        file=lambda machine: machine.settings("Code") / "User" / "mcp.json",
        servers=(("servers",), ("mcp", "servers")),
    ),
    "windsurf": KnownClient(
        title="Windsurf",
        file=lambda machine: machine.home / ".codeium" / "windsurf" / "mcp_config.json",
        servers=(("mcpServers",),),
    ),
    "other": KnownClient(
        title="the client",
        file=None,
        servers=(("mcpServers",), ("servers",), ("mcp", "servers"), ("projects", "*", "mcpServers")),
    ),
}
"""By the word that a command is given."""
