"""`agentguard policy report`: what clauses in shadow would have done, and what they would have cost."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from agentguard.audit import ShadowClause, ShadowReport, read, shadow_report
from agentguard.cli.durations import milliseconds
from agentguard.cli.options import Json
from agentguard.cli.screen import say, say_json
from agentguard.config import Settings


def report(
    since: Annotated[str, typer.Option("--since", help="How far back: 30m, 12h, 7d.")] = "1d",
    as_json: Json = False,
) -> None:
    """Say what clauses in shadow would have done to the calls on record, and how many questions a day they would cost."""
    now_ms = int(time.time() * 1000)
    since_ms = now_ms - milliseconds(since, option="--since")
    found = shadow_report(read(Settings().state_dir / "journal", since_ms=since_ms), since_ms, now_ms)
    if as_json:
        say_json(found.model_dump(mode="json"))
        return
    for line in _lines(found):
        say(line)


def _lines(found: ShadowReport) -> list[str]:
    hours = (found.until_ms - found.since_ms) / 3_600_000
    lines = [f"{found.calls} calls in {hours:.1f} h; people were asked about {found.questions}"]
    if not found.clauses:
        return [*lines, "nothing in shadow spoke"]
    needs = "".join(f", {count} for {name}" for name, count in found.needs.items())
    lines.append(
        f"with what is in shadow: {found.more_questions} more questions, {found.more_questions_a_day:g} a day{needs}; "
        f"{found.denials} more denials; {found.results} results kept back"
    )
    return lines + [f"  {_clause(each)}" for each in found.clauses]


def _clause(clause: ShadowClause) -> str:
    said = [
        f"{what} {count}"
        for what, count in (("asked about", clause.asked), ("denied", clause.denied), ("allowed", clause.allowed))
        if count
    ]
    kept = [f"kept back {clause.results} results"] if clause.results else []
    kind = "tools" if clause.kind == "tool" else clause.kind
    return f"{clause.place or 'policy'}: {kind} {clause.id}: {', '.join([*said, *kept])}"
