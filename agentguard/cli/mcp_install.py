"""`agentguard mcp install` and `uninstall`: a guard before every server of an MCP client's configuration, and none again.

Rules:
- each server is asked for its tools, which are pinned and classified in a folder of its own; a folder that is there stays as it is;
- nothing is written before every server was asked; one that can't be asked stops it all, unless the user says what becomes of it;
- what the user decided is kept: a server that is guarded already, and a policy that was edited.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentguard.cli import init as first
from agentguard.cli import pin, propose
from agentguard.cli.clients.entries import Entry, entries
from agentguard.cli.clients.installed import ConfigFile, Guarded, digest_of, text_of, written
from agentguard.cli.clients.known import CLIENTS, KnownClient, Machine
from agentguard.cli.clients.showing import diff
from agentguard.cli.clients.written_json import exchanged, written_like
from agentguard.cli.screen import note, say
from agentguard.config import Settings
from agentguard.errors import ConfigurationError
from agentguard.masking import Masker
from agentguard.policy.layout import ROOT
from agentguard.policy.proposing import propose as proposed

if TYPE_CHECKING:
    from agentguard.cli.clients.asking import Asked

POLICY = """\
# Of the MCP server "{server}" of {client}, proposed by `agentguard mcp install`; its tools stand in tools.yaml. Read both, line by line.
version: 1
{mode}use: [library:agentguard]  # keeps agents from this guard's own files, commands and doors
risk:                      # what each level means here; must rise: allow <= ask <= deny
  low: allow
  medium: allow
  high: {{ask: confirm}}     # you confirm each such call: in the client, where it can ask, or with agentguard approvals
  critical: deny           # where somebody else can approve: {{ask: NAME}}, and NAME under approvals
tools:
  "*": high                # whatever is not listed
"""

SHADOW = (
    "mode: shadow               # only watches and masks: agentguard policy report. Take this line out to enforce\n"
)

ClientName = StrEnum("ClientName", {name.upper().replace("-", "_"): name for name in CLIENTS})  # type: ignore[misc]

Client = Annotated[ClientName, typer.Argument(help="Whose configuration; other: the file that --config names.")]
Config = Annotated[
    Path | None, typer.Option("--config", help="The client's configuration file, where it is not in its usual place.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would change, and write nothing.")]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A server, and the folder of its policy, which `is_new` or stays. `asked` is what the server said; None where nobody asked it."""

    entry: Entry
    folder: Path
    is_new: bool
    asked: Asked | None


def install(
    client: Client,
    config: Config = None,
    user: Annotated[str | None, typer.Option("--user", help="Your e-mail address, on whose behalf agents act.")] = None,
    folders: Annotated[
        Path | None, typer.Option("--folders", help="Where each server's policy goes, in a folder of its own.")
    ] = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Watch first: calls pass, and it is on record what would have been done.")
    ] = False,
    leave: Annotated[list[str] | None, typer.Option("--leave", help="Leave this server as it is, unguarded.")] = None,
    unasked: Annotated[
        list[str] | None,
        typer.Option("--unasked", help="Guard this server without asking it; you confirm every call."),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Put a guard before each server of a client's configuration. Exit code 1: one can't be asked, and nothing was written."""
    known, file = _file(client, config)
    root = folders or Settings().config_dir / "mcp" / _folder_of_client(client, config, file)
    current = file.read()
    before = file.before(current)
    text = text_of(before, file.file)
    there = list(entries(known, written(text, file.file)))
    if both := set(leave or ()) & set(unasked or ()):
        raise ConfigurationError(f"{', '.join(sorted(both))}: --leave says unguarded, --unasked guarded; give one")
    _must_be_there([*(leave or ()), *(unasked or ())], there, file)
    chosen = [each for each in there if not each.is_guarded and each.name not in (leave or ())]
    plans = _plans(chosen, root.expanduser().absolute(), unasked or ())
    _all_answered(plans)
    who = user or f"{getpass.getuser().lower()}@localhost"
    exchange = {plan.entry.path: plan.entry.behind(_options(plan, who, client)) for plan in plans}
    after = _with_guards(text, [(each, exchange[each.path]) for each in chosen])
    say(f"{known.title}: {file.file}")
    for line in _told(there, plans, leave or (), dry_run=dry_run):
        say(f"  {line}")
    if dry_run:
        masker = Masker()
        for plan in plans:
            for line in diff(plan.entry, _options(plan, who, client), masker):
                say(line)
        return
    for plan in plans:
        _write_policy(plan, who, known, shadow=shadow)
    if after.encode() == current:
        say("nothing to change there")
        return
    guarded = tuple(Guarded(path=path, digest=digest_of(value)) for path, value in exchange.items())
    file.write(after.encode(), current=current, before=before, guarded=guarded)
    again = f"agentguard mcp uninstall {client.value}" + (f" --config {shlex.quote(str(config))}" if config else "")
    say(f"the file from before is {file.backup}; start {known.title} anew, and take it back with: {again}")
    _tell_of_settings()


def uninstall(client: Client, config: Config = None, dry_run: DryRun = False) -> None:
    """Give a client's configuration back as it was. Policies, pins and records stay."""
    known, file = _file(client, config)
    if file.installed() is None:
        kept = f"; a copy from before is {file.backup}" if file.backup.exists() else ""
        raise ConfigurationError(
            f"{file.file}: nothing is known to be installed there{kept}; --config names another file"
        )
    current = file.read()
    before = file.before(current)
    if not dry_run:
        file.restore(before, current=current)
    say(f"{file.file}: {'would be' if dry_run else 'is'} what it was before; its servers are unguarded")
    if not dry_run:
        say(f"start {known.title} anew")


def _file(client: ClientName, config: Path | None) -> tuple[KnownClient, ConfigFile]:
    known = CLIENTS[client.value]
    if config is None and known.file is None:
        raise ConfigurationError("which file? --config names it")
    place = config if config is not None else known.file(Machine.this()) if known.file is not None else Path()
    return known, ConfigFile.of(place.expanduser(), Settings().state_dir)


def _folder_of_client(client: ClientName, config: Path | None, file: ConfigFile) -> str:
    return client.value if config is None else f"{client.value}-{_short(str(file.file))}"


def _folder_of(entry: Entry) -> str:
    """A name for a folder, and for no other server's."""
    plain = re.sub(r"[^a-z0-9._-]", "-", entry.name.lower()).strip(".") or "server"
    return plain if plain == entry.name and len(entry.path) == 2 else f"{plain[:40]}-{_short(repr(entry.path))}"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _must_be_there(names: Sequence[str], there: Sequence[Entry], file: ConfigFile) -> None:
    known = sorted({each.name for each in there})
    if not known:
        raise ConfigurationError(f"{file.file}: no server stands there; --config names another file")
    for name in names:
        if name not in known:
            raise ConfigurationError(f"there is no server {name!r} in {file.file}; there are: {', '.join(known)}")


def _plans(chosen: Sequence[Entry], root: Path, unasked: Sequence[str]) -> list[Plan]:
    """Where each server's policy is or goes; those that have none are asked."""
    try:
        from agentguard.cli.clients.asking import ask  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigurationError(f"this needs {error.name}: pip install 'agentguard[mcp]'") from None
    folders = {each.path: root / _folder_of(each) for each in chosen}
    new = [each for each in chosen if not (folders[each.path] / ROOT).exists()]
    answers = {each.entry.path: each for each in ask([each for each in new if each.name not in unasked])}
    return [
        Plan(entry=each, folder=folders[each.path], is_new=each in new, asked=answers.get(each.path)) for each in chosen
    ]


def _all_answered(plans: Sequence[Plan]) -> None:
    """Raise typer.Exit where a server could not be asked, and the user did not say what becomes of it."""
    silent = [plan.asked for plan in plans if plan.asked is not None and plan.asked.why_not]
    for asked in silent:
        name = shlex.quote(asked.entry.name)
        note(f"{asked.entry.name}: {asked.why_not}")
        note(f"  --unasked {name}: guard it all the same, and confirm each call    --leave {name}: leave it unguarded")
    if silent:
        note("nothing was written; correct it, or say what becomes of these servers")
        raise typer.Exit(1)


def _with_guards(text: str, exchange: Sequence[tuple[Entry, object]]) -> str:
    """The client's file with something else in the place of each of these entries."""
    return exchanged(
        text,
        {
            (each.written.start, each.written.end): written_like(value, text, each.written.start)
            for each, value in exchange
        },
    )


def _options(plan: Plan, user: str, client: ClientName) -> tuple[str, ...]:
    return ("--policies", str(plan.folder), "--user", user, "--agent", client.value)


def _write_policy(plan: Plan, user: str, client: KnownClient, *, shadow: bool) -> None:
    """A policy, a person and the pins of a server that has none yet."""
    if not plan.is_new:
        return
    policy = POLICY.format(
        server=re.sub(r"[^\w .-]", "?", plan.entry.name), client=client.title, mode=SHADOW if shadow else ""
    )
    first.begin(plan.folder, policy, name=None, email=user)
    if plan.asked is not None and plan.asked.tools:
        propose.classify(plan.folder, plan.asked.tools)
    elif plan.asked is not None:
        pin.write(plan.folder, {})


def _told(there: Sequence[Entry], plans: Sequence[Plan], leave: Sequence[str], *, dry_run: bool) -> Iterator[str]:
    """What becomes of each server, a line each."""
    by_path = {plan.entry.path: plan for plan in plans}
    for entry in there:
        plan = by_path.get(entry.path)
        yield f"{entry.name}: {'left as it is, UNGUARDED' if entry.name in leave else _of(plan, dry_run=dry_run)}"


def _of(plan: Plan | None, *, dry_run: bool) -> str:
    if plan is None:
        return "has a guard before it already"
    if not plan.is_new:
        return f"guarded by the policy that is there: {plan.folder}"
    what = "not asked, so you confirm every call"
    if plan.asked is not None:
        risks = Counter(proposed(tool).risk for tool in plan.asked.tools)
        what = f"{risks.total()} tools, {propose.in_words(risks)}" if risks else "it has no tools"
    return f"{'would be ' if dry_run else ''}guarded: {what}; {plan.folder}"


def _tell_of_settings() -> None:
    """The client starts guards in its own environment, not in this one."""
    here = sorted(name for name in os.environ if name.startswith("AGENTGUARD_"))
    if here:
        note(f"set here, and for the client only if its own environment says so: {', '.join(here)}")
