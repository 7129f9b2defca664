"""MCP's reference servers, each bare and behind a guard that allows everything, over stdio and over HTTP: what differs.

The servers are not part of the project. They are looked for on PATH and in the folders that are given:

    python benchmarks/mcp_reference.py FOLDER_WITH_COMMANDS ...

A server passes where its listings and its results are the same behind the guard, but for the guard's own tool and what was masked
(then no personal value may be left, and without its tokens the text must be the bare one's).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import anyio
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters
from mcp_types import ElicitResult

from agentguard.config import Settings, open_guard
from agentguard.integrations.mcp.serving import Terms, proxied, serve_http
from agentguard.store.embedded import stop_left_over

POLICY = """\
version: 1
risk: {low: allow, medium: allow, high: deny, critical: deny}
tools: {"*": {risk: low, labels: []}}
"""
EMAIL = "anna.kowalska@mail.example"
TOKEN = re.compile(r"\[[A-Z][A-Z0-9]{0,23}_[0-9a-z]{10}\]")
OWN = {"await_approval"}


@dataclass(frozen=True, kw_only=True)
class Server:
    """A reference server: the command, and calls that leave everything as it is or do the same twice."""

    command: str
    args: tuple[str, ...] = ()
    calls: tuple[tuple[str, dict[str, Any]], ...]


def servers(folder: Path, port: int) -> list[Server]:
    """The servers, on a folder with a repository and a file in it."""
    tokyo = {"source_timezone": "Europe/Warsaw", "time": "12:30", "target_timezone": "Asia/Tokyo"}
    anna = {"name": "Anna Kowalska", "entityType": "person", "observations": [f"writes from {EMAIL}"]}
    thought = {"thought": "first", "nextThoughtNeeded": False, "thoughtNumber": 1, "totalThoughts": 1}
    repository = {"repo_path": str(folder)}
    return [
        Server(
            command="mcp-server-time",
            calls=(("convert_time", tokyo), ("convert_time", {**tokyo, "time": "25:00"}), ("convert_time", {})),
        ),
        Server(
            command="mcp-server-git",
            args=("--repository", str(folder)),
            calls=(
                *((f"git_{what}", repository) for what in ("status", "log", "diff_unstaged")),
                *(("git_show", {**repository, "revision": revision}) for revision in ("HEAD", "none")),
            ),
        ),
        Server(
            command="mcp-server-fetch",
            args=("--allow-private-ips",),
            calls=(("fetch", {"url": f"http://127.0.0.1:{port}/note.txt", "raw": True}), ("fetch", {"url": "x"})),
        ),
        Server(
            command="mcp-server-filesystem",
            args=(str(folder),),
            calls=(
                ("read_text_file", {"path": str(folder / "note.txt")}),
                ("list_directory", {"path": str(folder)}),
                ("get_file_info", {"path": str(folder / "picture.png")}),
                ("read_media_file", {"path": str(folder / "picture.png")}),
                ("read_text_file", {"path": "/etc/passwd"}),
            ),
        ),
        Server(
            command="mcp-server-memory",
            calls=(("create_entities", {"entities": [anna]}), ("read_graph", {}), ("search_nodes", {"query": "Anna"})),
        ),
        Server(command="mcp-server-sequential-thinking", calls=(("sequentialthinking", thought),)),
        Server(
            command="mcp-server-everything",
            calls=(
                ("echo", {"message": f"hello {EMAIL}"}),
                ("get-sum", {"a": 2, "b": 3}),
                ("get-tiny-image", {}),
                ("get-structured-content", {"location": "New York"}),
                ("get-annotated-message", {"messageType": "error", "includeImage": True}),
                ("get-resource-links", {"count": 3}),
                ("trigger-long-running-operation", {"duration": 1, "steps": 3}),
            ),
        ),
    ]


async def said(client: Client, calls: Sequence[tuple[str, dict[str, Any]]]) -> dict[str, str]:
    """What a client gets of a server: listings, results, progress."""
    there, got = client.server_capabilities, {}
    tools = [tool for tool in (await client.list_tools()).tools if tool.name not in OWN]
    got["tools"] = "\n".join(
        f"{tool.name} {tool.description} {json.dumps(tool.input_schema, sort_keys=True)}" for tool in tools
    )
    if there.resources is not None:
        got["resources"] = str([(each.uri, each.name) for each in (await client.list_resources()).resources])
        for resource in (await client.list_resources()).resources[:2]:
            got[f"resource {resource.uri}"] = _plain(await client.read_resource(resource.uri))
    if there.prompts is not None:
        got["prompts"] = str([(each.name, each.description) for each in (await client.list_prompts()).prompts])
    for number, (name, arguments) in enumerate(calls):
        steps: list[float] = []

        async def progress(done: float, *_: Any, steps: list[float] = steps) -> None:
            steps.append(done)

        try:
            result = await client.call_tool(name, arguments, progress_callback=progress)
            got[f"{number} {name}"] = f"{result.is_error} {_plain(result)} {steps}"
        except MCPError as error:
            got[f"{number} {name}"] = str(error)
    return got


async def decline(*_: Any) -> ElicitResult:
    """What a user without a word answers; a server lists other tools to a client that can't ask."""
    return ElicitResult(action="decline")


def _plain(result: Any) -> str:
    found: str = result.model_dump_json(exclude={"meta"}, exclude_none=True)
    return re.sub(r'"(?:blob|data)":"[^"]{80,}"', '"..."', found)


def differences(bare: dict[str, str], guarded: dict[str, str]) -> list[str]:
    """What differs, besides what is masked."""
    found = list(bare.keys() ^ guarded.keys())
    for key in bare.keys() & guarded.keys():
        if (
            bare[key] != guarded[key]
            and not _is_masked(bare[key], guarded[key])
            and not _are_refused(bare[key], guarded[key])
        ):
            at = next((at for at, (a, b) in enumerate(zip(bare[key], guarded[key], strict=False)) if a != b), 0)
            near = slice(max(0, at - 80), at + 160)
            found.append(f"{key}\n      bare:    {bare[key][near]}\n      guarded: {guarded[key][near]}")
    return found


def _is_masked(bare: str, guarded: str) -> bool:
    """Whether the one is the other with tokens in place of values, and none is left."""
    parts = TOKEN.split(guarded)
    pattern = ".{1,200}?".join(map(re.escape, parts))
    return len(parts) > 1 and re.fullmatch(pattern, bare, re.DOTALL) is not None and EMAIL not in guarded


def _are_refused(bare: str, guarded: str) -> bool:
    """Whether both refuse the arguments, each in its own words."""
    return bare.startswith("True") and guarded.startswith("True") and "invalid arguments" in guarded


@asynccontextmanager
async def behind(guard: Any, server: StdioServerParameters, folder: Path, port: int | None) -> AsyncIterator[Client]:
    """A client of the proxy: in this process, or over HTTP."""
    terms = Terms(user="ann@acme.example", first_sight=folder / "seen.json")
    async with proxied(guard, server, terms) as standing_in:
        if port is None:
            async with Client(standing_in, mode="legacy") as client:
                yield client
            return
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(serve_http, standing_in, host="127.0.0.1", port=port))
            await _listens(port)
            async with Client(f"http://127.0.0.1:{port}/mcp") as client:
                yield client
            tasks.cancel_scope.cancel()


async def _listens(port: int) -> None:
    with anyio.fail_after(10):
        while True:
            try:
                await (await anyio.connect_tcp("127.0.0.1", port)).aclose()
            except OSError:
                await anyio.sleep(0.05)
            else:
                return


async def compare(each: Server, command: str) -> list[str]:
    """One server, bare and behind a guard, over both transports."""
    told = []
    with tempfile.TemporaryDirectory(prefix="ag-") as name:
        folder = Path(name)
        (folder / "policies").mkdir()
        (folder / "policies" / "policy.yaml").write_text(POLICY)

        def fresh(run: str) -> StdioServerParameters:
            env = {**os.environ, "MEMORY_FILE_PATH": str(folder / f"{run}.json")}
            return StdioServerParameters(command=command, args=list(each.args), env=env)

        async with Client(fresh("bare"), mode="legacy", elicitation_callback=decline) as client:
            bare = await said(client, each.calls)
        settings = Settings(state_dir=folder / "state", config_dir=folder / "config")
        with open_guard(folder / "policies", agent="mcp", settings=settings) as guard:
            for transport, port in (("stdio", None), ("http", _free_port())):
                async with behind(guard, fresh(transport), folder, port) as client:
                    guarded = await said(client, each.calls)
                told += [f"{transport}: {difference}" for difference in differences(bare, guarded)]
                masked = sum(map(len, map(TOKEN.findall, guarded.values())))
                print(f"  {each.command} over {transport}: {len(bare)} answers compared, {masked} tokens in them")
        stop_left_over(folder / "state")
    return told


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _stage(folder: Path) -> None:
    """A repository with one commit of a made-up person, and files."""
    (folder / "note.txt").write_text(f"Write to Anna Kowalska at {EMAIL}.\n")
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    who = ["-c", "user.name=Anna Kowalska", "-c", f"user.email={EMAIL}"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "First"]):
        subprocess.run(["git", "-C", str(folder), *words], check=True)


def main() -> None:
    """Compare the servers that are there; exit code 1 where something differs."""
    parsed = argparse.ArgumentParser()
    parsed.add_argument("folders", nargs="*", type=Path)
    path = os.pathsep.join([*map(str, parsed.parse_args().folders), os.environ["PATH"]])
    failed = 0
    with tempfile.TemporaryDirectory(prefix="ag-") as name:
        folder = Path(name)
        _stage(folder)
        pages = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=name))
        Thread(target=pages.serve_forever, daemon=True).start()
        for each in servers(folder, pages.server_port):
            command = shutil.which(each.command, path=path)
            if command is None:
                print(f"{each.command}: not found")
                continue
            told = anyio.run(compare, each, command)
            print(f"{each.command}: {'passes' if not told else 'DIFFERS'}")
            for line in told:
                print(f"    {line}")
            failed += bool(told)
        pages.shutdown()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
