"""`agentguard audit`: read the journal, and find out whether anybody changed it."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from agentguard.audit import finding_counts, read
from agentguard.audit import verify as verify_journal
from agentguard.cards.outcome import clock
from agentguard.cli.durations import milliseconds
from agentguard.cli.screen import say, say_json
from agentguard.config import Settings, journal_keys

app = typer.Typer(help="Read and verify the journal.", no_args_is_help=True)


@app.command()
def verify() -> None:
    """Check every record: changed, removed, reordered or cut. Exit code 1: something is wrong, and it says what."""
    settings = Settings()
    report = verify_journal(settings.state_dir / "journal", journal_keys(settings))
    for bad in filter(None, (writer.bad for writer in (report.index, *report.writers))):
        say(str(bad), style="bold red" if not report.ok else "yellow")
    if not report.ok:
        raise typer.Exit(1)
    say(f"{report.records} records of {len(report.writers)} writers, all in place", style="green")


@app.command()
def tail(lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many records.")] = 20) -> None:
    """Print the newest records, a line each."""
    entries = list(read(Settings().state_dir / "journal"))
    for entry in entries[-lines:]:
        when = clock(entry.time_ms, "%Y-%m-%d %H:%M:%S")
        say(f"{when}  {entry.kind:9}  {_told(entry.body)}")


@app.command()
def export(
    since: Annotated[str, typer.Option("--since", help="How far back: 30m, 12h, 7d.")] = "1d",
) -> None:
    """Print records as JSON lines, oldest first."""
    for entry in read(
        Settings().state_dir / "journal", since_ms=int(time.time() * 1000) - milliseconds(since, option="--since")
    ):
        say_json(entry.model_dump(mode="json"))


@app.command()
def findings(
    since: Annotated[str, typer.Option("--since", help="How far back: 30m, 12h, 7d.")] = "1d",
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON, by tool too.")] = False,
) -> None:
    """Print how many findings of which entity type calls and results had. Counts only: the journal has no values."""
    since_ms = int(time.time() * 1000) - milliseconds(since, option="--since")
    counts = finding_counts(read(Settings().state_dir / "journal", since_ms=since_ms))
    if as_json:
        say_json(counts.model_dump(mode="json"))
        return
    say(f"{counts.calls} calls in {since}; findings by entity type")
    say(f"{'':24} {'arguments':>10} {'results':>10}")
    for kind in sorted({*counts.arguments, *counts.results}):
        say(f"{kind:24} {counts.arguments.get(kind, 0):>10} {counts.results.get(kind, 0):>10}")


def _told(body: dict[str, object]) -> str:
    """The few fields that a person looks for first."""
    wanted = ("tool", "effect", "risk", "reason", "outcome", "request", "component", "cause", "arguments")
    return "  ".join(f"{name}={body[name]}" for name in wanted if body.get(name))
