"""`agentguard policy pin`: write down what each tool says of itself, so that one that changes is noticed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from agentguard.cli.listing import Files, Modules, Servers, listings
from agentguard.cli.screen import complain, say
from agentguard.config import lock_file, read_pins
from agentguard.errors import ConfigurationError, PolicyError
from agentguard.model.listings import Listing
from agentguard.policy import Lock, unpinnable, write_lock
from agentguard.policy import pin as pin_of
from agentguard.policy.pins import Pin


def pin(
    path: Annotated[Path, typer.Argument(help="A folder with policy.yaml.")],
    mcp: Servers = None,
    tools: Modules = None,
    json_file: Files = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the pins of tools that these sources don't have.")] = False,
) -> None:
    """Pin the tools of these sources in tools.lock.json, and say what changed. Exit code 1: one must not be pinned, and none was."""
    found = listings(mcp, tools, json_file)
    refuse(found)
    before = _pins_before(path)
    now = {listing.name: pin_of(listing) for listing in found}
    write(path, {**before, **now} if keep else now)
    for line in changes(before, {**before, **now} if keep else now):
        say(line)
    say(f"{lock_file(path)}: {len(now)} tools pinned")


def refuse(found: Sequence[Listing]) -> None:
    """Exit with 1 where one of these tools must not be pinned."""
    wrong = list(unpinnable(found))
    for name, why in wrong:
        complain(f"{name} {why}")
    if wrong:
        raise typer.Exit(1)


def write(path: Path, pins: Mapping[str, Pin]) -> None:
    """Write tools.lock.json beside a policy."""
    if not lock_file(path).parent.is_dir():
        raise ConfigurationError(f"{path}: no such folder; `agentguard policy init {path}` writes a first policy")
    lock_file(path).write_text(write_lock(Lock(version=1, tools=dict(pins))), encoding="utf-8")


def changes(before: Mapping[str, Pin], after: Mapping[str, Pin]) -> list[str]:
    """What differs between two sets of pins, one line a tool."""
    told = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old is None:
            told.append(f"new      {name}")
        elif new is None:
            told.append(f"removed  {name}")
        elif old != new:
            told.append(f"changed  {name}: {', '.join(_parts(old, new))}")
    return told


def _parts(old: Pin, new: Pin) -> list[str]:
    differing = {
        "description": old.description != new.description,
        "schema": old.schema_digest != new.schema_digest,
        "hints": old.hints != new.hints,
        "titles, schema of results": old.besides != new.besides,
    }
    return [part for part, differs in differing.items() if differs]


def _pins_before(path: Path) -> dict[str, Pin]:
    """The pins that are there now; none where they can't be read, since they are written anew."""
    try:
        pins = read_pins(path)
    except PolicyError as error:
        complain(f"{error}; all of it is written anew")
        return {}
    return dict(pins.tools) if pins is not None else {}
