"""`agentguard doctor`: whether everything is there that a guard needs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import anyio
import typer

from agentguard.audit import Keeping, keeping, read, verify
from agentguard.cli.options import DEFAULT_FOLDER, Policies
from agentguard.cli.screen import say
from agentguard.cli.trouble import told
from agentguard.config import Settings, journal_keys, open_connection, people_of, read_policies
from agentguard.errors import AgentGuardError, ConfigurationError
from agentguard.server.outbox import Outbox, all_counts
from agentguard.store.embedded import stop_left_over
from agentguard.store.names import Names


def doctor(
    policies: Policies = DEFAULT_FOLDER,
    stop: Annotated[bool, typer.Option("--stop", help="Stop an embedded server that a killed process left.")] = False,
    tenant: Annotated[
        str | None, typer.Option("--tenant", help="Look at the messages of this tenant alone, not of every one.")
    ] = None,
) -> None:
    """Check policies, the guards that run under them, Redis and journal; exit code 1 where something is wrong."""
    settings = Settings()
    if stop:
        stopped = stop_left_over(settings.state_dir)
        say("stopped the embedded server" if stopped else "no embedded server was left, or somebody still uses it")
        return
    results = [
        _checked(name, check) for name, check in _checks(settings, policies, tenant)
    ]  # all of them, whatever the first says
    if not all(results):
        raise typer.Exit(1)


def _checks(settings: Settings, policies: Path, tenant: str | None) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "policies", lambda: read_policies(policies).version
    yield "groups", lambda: _groups(policies, settings)
    yield "in force", lambda: _in_force(settings)
    yield "redis", lambda: anyio.run(_redis, settings)
    yield "journal", lambda: _journal(settings)
    yield "messages", lambda: anyio.run(_messages, settings, tenant)


def _checked(name: str, check: Callable[[], str]) -> bool:
    try:
        say(f"ok     {name}: {check()}", style="green")
    except AgentGuardError as error:
        say(f"wrong  {name}: {told(error)}", style="red")
        return False
    return True


def _groups(policies: Path, settings: Settings) -> str:
    """Whether each group that a command tells has somebody in it now, by the people that an agent here would take."""
    roster = people_of(policies, settings.trusted_keys)()
    empty = [name for name in sorted(roster.rotas) if not roster.members(f"group:{name}")]
    if empty:
        told = "so nobody is in it; `agentguard groups ask` asks, and `agentguard serve` does while it runs"
        raise ConfigurationError(f"no answer of the command of {', '.join(empty)} counts, {told}")
    return f"{len(roster.rotas)} told by a command, somebody in each" if roster.rotas else "none is told by a command"


def _in_force(settings: Settings) -> str:
    """Whether each guard that runs here took in what was changed."""
    kept = [each for each in keeping(read(settings.state_dir / "journal")) if _runs(each.pid)]
    if kept:
        told = "; ".join(f"process {each.pid} keeps {each.policy_version}: {_first(each)}" for each in kept)
        raise ConfigurationError(f"an edit did not load, so the last good policy is in force: {told}")
    return "no guard here keeps an older policy"


def _first(kept: Keeping) -> str:
    more = len(kept.problems) - 1
    return kept.problems[0] + (f" (and {more} more)" if more > 0 else "")


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


async def _redis(settings: Settings) -> str:
    async with open_connection(settings) as connection:
        reply = await connection.execute("CONFIG", "GET", *_WANTED)
        memory = await connection.execute("INFO", "memory")
    found = {name.decode(): value.decode() for name, value in _pairs(reply)}
    wrong = [
        f"{name} is {found.get(name, 'unknown')}, set it to {want}"
        for name, want in _WANTED.items()
        if found.get(name) != want
    ]
    full = 100 * int(memory["used_memory"]) // (int(memory["maxmemory"]) or sys.maxsize)
    if full >= _FULL_PERCENT:
        wrong.append(f"memory is {full} % full, raise maxmemory: once it is full, no call that needs Redis runs")
    if wrong:
        raise ConfigurationError("; ".join(wrong))
    return ", ".join(f"{name} {value}" for name, value in found.items())


async def _messages(settings: Settings, tenant: str | None) -> str:
    """Whether everything that others were to be told of requests was sent, of one tenant's or of every tenant's."""
    async with open_connection(settings) as connection:
        if tenant is None:
            counts = await all_counts(connection)
        else:
            counts = {tenant: await Outbox(connection=connection, names=Names(tenant)).counts()}
    lost = sorted(((dead, name) for name, (_, dead) in counts.items() if dead), reverse=True)
    if lost:
        told = [f"{dead} could not be sent to webhooks or chats (tenant {name})" for dead, name in lost[:_TOLD_MAX]]
        told += [f"nor could messages of {len(lost) - _TOLD_MAX} more tenants"] if len(lost) > _TOLD_MAX else []
        how = "`agentguard webhooks dead --tenant NAME` lists them, and `redeliver` sends them again"
        raise ConfigurationError(f"{'; '.join(told)}; {how}")
    whose = "every tenant" if tenant is None else f"tenant {tenant}"
    waiting = sum(waiting for waiting, _ in counts.values())
    return f"{waiting} wait to be sent to webhooks and chats, none was given up ({whose})"


def _pairs(reply: Any) -> list[tuple[bytes, bytes]]:
    """CONFIG GET gives a map or a flat list, by protocol."""
    return list(reply.items()) if isinstance(reply, dict) else list(zip(reply[::2], reply[1::2], strict=True))


def _journal(settings: Settings) -> str:
    report = verify(settings.state_dir / "journal", journal_keys(settings))
    if not report.ok:
        bad = next(writer.bad for writer in (report.index, *report.writers) if not writer.ok)
        raise ConfigurationError(f"{bad}; `agentguard audit verify` tells all")
    return f"{sum(writer.records for writer in report.writers)} records, all in place"


_TOLD_MAX = 10
_FULL_PERCENT = 70
_WANTED = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
