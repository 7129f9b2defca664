"""`agentguard policy replay`: which calls on record another policy would decide differently."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from agentguard.audit import Entry, Kept, counted, read
from agentguard.cli.durations import milliseconds
from agentguard.cli.options import Json
from agentguard.cli.screen import say, say_json
from agentguard.config import Settings, kept_calls, keyring_of, read_library
from agentguard.model.events import Judged
from agentguard.model.record import Record
from agentguard.model.verdicts import Verdict
from agentguard.policy import Answer, Policy, Undecided, Way, between, judge_kept


class Differing(Record):
    """Calls of a tool that would now be decided differently, in one way: how many, by which clauses, and the last one's record."""

    way: Way
    tool: str
    how: str
    clauses: tuple[str, ...]
    calls: int
    last: str


class Replayed(Record):
    """What came of all calls: how many are decided the same, those that are not, and why others can't be told."""

    calls: int
    same: int
    differing: tuple[Differing, ...]
    undecided: dict[str, int]


def replay(
    path: Annotated[Path, typer.Argument(help="A folder with policy.yaml.")],
    since: Annotated[str, typer.Option("--since", help="How far back: 30m, 12h, 7d.")] = "7d",
    as_json: Json = False,
) -> None:
    """Judge the calls on record by this policy, and say which it would decide differently. Shows no argument."""
    settings, policy = Settings(), read_library(path)
    since_ms = int(time.time() * 1000) - milliseconds(since, option="--since")
    kept = kept_calls(settings, keyring_of(settings)).read()
    found = replayed(policy, read(settings.state_dir / "journal", since_ms=since_ms), kept)
    if as_json:
        say_json(found.model_dump(mode="json"))
        return
    for line in _lines(found):
        say(line)


def replayed(policy: Policy, entries: Iterable[Entry], kept: Kept) -> Replayed:
    """All calls among these records, judged by a policy."""
    calls = 0
    found: dict[tuple[Way, str, str, tuple[str, ...]], Differing] = {}
    undecided: Counter[str] = Counter()
    for entry in entries:
        if entry.kind != "judged":
            continue
        calls += 1
        judged = Judged.model_validate(entry.body, strict=False)
        try:
            verdict = _verdict(policy, judged, kept)
        except Undecided as reason:
            undecided[str(reason)] += 1
            continue
        changed = between(Answer(judged.effect, judged.risk, judged.needs), Answer.of(verdict))
        if changed is not None:
            clauses = tuple(f"{clause.kind} {clause.id}" for clause in verdict.clauses)
            key = (changed[0], judged.tool, changed[1], clauses)
            many = found[key].calls + 1 if key in found else 1
            last = f"{entry.file}:{entry.line}"
            found[key] = Differing(
                way=changed[0], tool=judged.tool, how=changed[1], clauses=clauses, calls=many, last=last
            )
    differing = sum(each.calls for each in found.values())
    return Replayed(
        calls=calls,
        same=calls - differing - undecided.total(),
        differing=tuple(sorted(found.values(), key=lambda each: (each.way, each.tool, each.how))),
        undecided=dict(sorted(undecided.items())),
    )


def _verdict(policy: Policy, judged: Judged, kept: Kept) -> Verdict:
    """What this policy says of a call on record. Raises Undecided."""
    if not judged.kept:
        raise Undecided("its arguments were not kept")
    call = kept.call(judged.kept)
    if call is None:
        raise Undecided("its arguments are no longer kept")
    return judge_kept(
        policy,
        judged.tool,
        json.loads(call.arguments),
        judged.principal,
        call.facts,
        lambda charge: counted(charge) in call.limits,
    )


def _lines(found: Replayed) -> Iterator[str]:
    differing = sum(each.calls for each in found.differing)
    undecided = sum(found.undecided.values())
    yield f"{found.calls} calls: {found.same} decided the same, {differing} differently, {undecided} can't be told"
    for each in found.differing:
        said = ", ".join(each.clauses)
        yield f"{each.way:<9} {each.calls} of {each.tool}: {each.how} ({said}); last {each.last}"
    for reason, count in found.undecided.items():
        yield f"unknown   {count}: {reason}"
