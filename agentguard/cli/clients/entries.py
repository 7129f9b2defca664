"""One server of a client's configuration: how it is reached, and what stands in its place once it is behind a guard.

Rules:
- everything of an entry stays but what names the server: environment, folder, and the client's own keys are for the guard's process as
  they were for the server's;
- headers, and a URL that may hold a secret, go into the environment of the guard's process, so that no list of processes shows them;
- a server that is behind a guard already stays as it is.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from agentguard.cli.clients.known import KnownClient
from agentguard.cli.clients.written_json import Written

GUARD = (sys.executable, "-P", "-m", "agentguard", "mcp")
"""Starts the guard whatever the client's PATH is, and whatever lies in the folder that the client starts it in (`-P`)."""

_VARIABLE = "AGENTGUARD_MCP_"
_URL_KEYS = ("url", "serverUrl", "httpUrl")
_OF_A_REMOTE = frozenset({*_URL_KEYS, "type", "headers"})
_FILLED_IN = re.compile(r"\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


class NotAskable(Exception):
    """Why a server can't be reached from here."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How a server is reached: by its URL, or started by a command. All that only the client fills in is filled in."""

    command: tuple[str, ...] = ()
    url: str = ""
    environment: Mapping[str, str]
    headers: Mapping[str, str]
    folder: str | None = None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A server where it stands in the file: `path` are the keys that lead to it."""

    path: tuple[str, ...]
    written: Written

    @property
    def name(self) -> str:
        """What the client calls the server."""
        return self.path[-1]

    @property
    def value(self) -> dict[str, Any]:
        """The entry itself."""
        found: dict[str, Any] = self.written.value
        return found

    @property
    def is_guarded(self) -> bool:
        """Whether the client starts a guard here already."""
        words = [str(self.value.get("command", "")), *map(str, _list(self.value, "args"))]
        by_module = any(words[i : i + 3] == ["-m", "agentguard", "mcp"] for i in range(len(words)))
        return by_module or (PurePath(words[0]).stem == "agentguard" and words[1:2] == ["mcp"])

    def reach(self) -> Reach:
        """How to reach it. Raises NotAskable."""
        url, command = self._url(), self.value.get("command")
        if not url and not (isinstance(command, str) and command):
            raise NotAskable("its entry has neither a command nor a URL")
        if url and self.value.get("type") == "sse":
            raise NotAskable("it speaks SSE, which the protocol has given up; use its streamable HTTP address")
        return Reach(
            command=() if url else tuple(_filled(word) for word in (str(command), *_list(self.value, "args"))),
            url=_filled(url),
            environment={name: _filled(value) for name, value in _texts(self.value, "env").items()},
            headers={name: _filled(value) for name, value in _texts(self.value, "headers").items()},
            folder=_filled(str(self.value["cwd"])) if "cwd" in self.value else None,
        )

    def behind(self, options: tuple[str, ...]) -> dict[str, Any]:
        """The entry with a guard before the server, which is started with these options."""
        first, *words = (*GUARD, *options)
        if not self._url():
            args = [*words, "--", self.value["command"], *_list(self.value, "args")]
            return {**self.value, "command": first, "args": args}
        where, environment = self._remote()
        kept = {key: value for key, value in self.value.items() if key not in _OF_A_REMOTE}
        typed = {"type": "stdio"} if "type" in self.value else {}
        env = {"env": {**_texts(self.value, "env"), **environment}} if environment else {}
        return {**typed, "command": first, "args": [*words, *where], **kept, **env}

    def _remote(self) -> tuple[list[str], dict[str, str]]:
        """The options that lead to a server at a URL, and the variables that they name."""
        url, headers = self._url(), _texts(self.value, "headers")
        named = {f"{_VARIABLE}HEADER_{number}": name for number, name in enumerate(headers, start=1)}
        where = [word for variable, name in named.items() for word in ("--header-from", f"{name}={variable}")]
        environment = {variable: headers[name] for variable, name in named.items()}
        if "?" in url or "@" in url:
            return ["--url-from", f"{_VARIABLE}URL", *where], {f"{_VARIABLE}URL": url, **environment}
        return ["--url", url, *where], environment

    def _url(self) -> str:
        found = next((self.value[key] for key in _URL_KEYS if self.value.get(key)), "")
        return found if isinstance(found, str) else ""


def entries(client: KnownClient, root: Written) -> Iterator[Entry]:
    """Every server of a client's configuration."""
    for keys in client.servers:
        yield from _under(root, keys, ())


def _under(written: Written, keys: tuple[str, ...], path: tuple[str, ...]) -> Iterator[Entry]:
    if not keys:
        for name, each in written.members.items():
            if isinstance(each.value, dict):
                yield Entry(path=(*path, name), written=each)
        return
    for key in written.members if keys[0] == "*" else [keys[0]]:
        if key in written.members:
            yield from _under(written.members[key], keys[1:], (*path, key))


def _list(value: Mapping[str, Any], key: str) -> list[str]:
    found = value.get(key)
    return [str(each) for each in found] if isinstance(found, list) else []


def _texts(value: Mapping[str, Any], key: str) -> dict[str, str]:
    found = value.get(key)
    return {str(name): str(each) for name, each in found.items()} if isinstance(found, dict) else {}


def _filled(text: str) -> str:
    """A text with variables of the environment put in, as clients do. Raises NotAskable for what only a client knows."""

    def fill(found: re.Match[str]) -> str:
        value = os.environ.get(found[1], found[2])
        if value is None:
            raise NotAskable(f"its entry holds ${{{found[1]}}}, which is not in this environment")
        return value

    filled = _FILLED_IN.sub(fill, text)
    if "${" in _FILLED_IN.sub("", text):
        raise NotAskable("its entry holds ${...} that only the client fills in")
    return filled
