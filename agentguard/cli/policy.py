"""`agentguard policy`: check, test and explain policies."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from agentguard.cli.junit import junit as junit_of
from agentguard.cli.lazily import lazily
from agentguard.cli.screen import complain, say
from agentguard.config import case_sources, has_people, policy_warnings, read_library
from agentguard.config.masking import maskers_of
from agentguard.config.seeing import CaseView
from agentguard.errors import ConfigurationError, NotCanonical
from agentguard.model.calls import Principal
from agentguard.model.canonical import canonical_json
from agentguard.model.facts import Facts
from agentguard.model.provenance import PlainProvenance
from agentguard.policy import CaseResult, milliseconds, run_cases

_COMMANDS = {
    "init": (
        "agentguard.cli.propose:init",
        "Pin the tools of these sources, and propose a policy for them: each with a risk, and why. Overwrites nothing.",
    ),
    "pin": (
        "agentguard.cli.pin:pin",
        "Pin the tools of these sources in tools.lock.json, and say what changed. Exit code 1: one must not be pinned, and none was.",
    ),
    "diff": (
        "agentguard.cli.diff:diff",
        "Compare two policies, clause by clause and over the cases of both. Exit code 1: something is laxer, or may be.",
    ),
    "replay": (
        "agentguard.cli.replay:replay",
        "Judge the calls on record by this policy, and say which it would decide differently. Shows no argument.",
    ),
    "verify": (
        "agentguard.cli.verify:verify",
        "Try each clause with a call that it is about and one that it is not, the whole road long. Exit code 1: one is not enforced.",
    ),
    "report": (
        "agentguard.cli.report:report",
        "Say what clauses in shadow would have done to the calls on record, and how many questions a day they would cost.",
    ),
    "schema": (
        "agentguard.cli.schema:schema",
        "Print the JSON Schema of a file, so that editors complete it.",
    ),
}

app = typer.Typer(cls=lazily(_COMMANDS), help="Check, test and explain policies.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="A folder with policy.yaml.")]


@app.command()
def lint(path: Folder) -> None:
    """Load the policies as a guard would, and warn of what can't be meant. Exit code 2: they don't load."""
    policy = read_library(path)
    for warning in policy_warnings(path, policy):
        say(f"warning: {warning}", style="yellow")
    if not has_people(path):
        say(
            f"note: no approvers.yaml in {path}, so groups and quorums were not checked; a guard refuses to start without"
        )
    say(f"{path}: ok, {policy.version}")


@app.command("test")
def run_tests(
    path: Folder,
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Write the results into this file too, as JUnit XML.")
    ] = None,
) -> None:
    """Run the cases beside the policies (*.cases.yaml). Exit code 1: a case fails, or there is none."""
    policy = read_library(path)
    results = run_cases(policy, case_sources(path), CaseView(maskers=maskers_of(policy)))
    if junit is not None:
        _write_junit(junit, results)
    failed = [result for result in results if result.wrong]
    for result in failed:
        complain(f"{result.place}: {result.name}: {'; '.join(result.wrong)}")
    say(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    if not results:
        complain(f"{path}: no *.cases.yaml with cases in it, so nothing was tested")
    if failed or not results:
        raise typer.Exit(1)


def _write_junit(file: Path, results: Sequence[CaseResult]) -> None:
    try:
        junit_of(results).write(file, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise ConfigurationError(f"{file}: can't be written ({type(error).__name__}); give another file") from None


@app.command()
def explain(
    path: Folder,
    tool: Annotated[str, typer.Option("--tool", help="The tool's name.")],
    args: Annotated[str, typer.Option("--args", help="The arguments, as JSON.")] = "{}",
    user: Annotated[
        str | None, typer.Option("--user", help="On whose behalf the agent acts; by default ann@acme.example.")
    ] = None,
    autonomous: Annotated[bool, typer.Option("--autonomous", help="No user stands behind the agent.")] = False,
    label: Annotated[list[str] | None, typer.Option("--label", help="A label of the session; repeat for more.")] = None,
    entity: Annotated[list[str] | None, typer.Option("--entity", help="An entity type found in the arguments.")] = None,
    origin: Annotated[list[str] | None, typer.Option("--origin", help="A tool whose result a token came from.")] = None,
    said: Annotated[str | None, typer.Option("--said", help="What the user wrote in the session.")] = None,
    result: Annotated[
        list[str] | None, typer.Option("--result", help="TOOL=TEXT: what a tool gave before; repeat for more.")
    ] = None,
    count: Annotated[
        list[str] | None, typer.Option("--count", help="TOOL=N: how often a tool was called, this call included.")
    ] = None,
    time: Annotated[str | None, typer.Option("--time", help="When: such as 2026-01-05T22:00:00Z.")] = None,
    deployment: Annotated[str, typer.Option("--deployment", help="The name of the deployment.")] = "",
    over: Annotated[list[str] | None, typer.Option("--over", help="A limit that the call would go over.")] = None,
) -> None:
    """Say what would happen to one call, and which clause says so."""
    policy = read_library(path)
    if user is not None and autonomous:
        raise ConfigurationError("--autonomous says that no user stands behind the agent: give it, or --user")
    unknown = sorted(set(over or ()) - policy.document.limits.keys())
    if unknown:
        known = ", ".join(policy.document.limits) or "none"
        raise ConfigurationError(f"--over {unknown[0]!r}: no such limit; limits here: {known}")
    user = None if autonomous else user or "ann@acme.example"
    principal = Principal(tenant="default", agent="agent", user=user, session="explain")
    facts = Facts(
        entities=tuple(sorted(entity or ())),
        origins=tuple(sorted(origin or ())),
        labels=tuple(sorted(label or ())),
        counts={name: _whole(number) for name, number in _pairs("--count", count)},
        time_ms=None if time is None else _time(time),
        deployment=deployment,
        over=tuple(over or ()),
    )
    words = PlainProvenance(said, dict(_pairs("--result", result)))
    call = (tool, _arguments(args), principal, facts, words)
    say(policy.explain(policy.classify(*call), facts, policy.parts(*call)))


def _pairs(option: str, given: list[str] | None) -> Iterator[tuple[str, str]]:
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigurationError(f"{option} {text!r}: write TOOL=...")
        yield name, value


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise ConfigurationError(f"--count: {text!r} is no whole number; write such as send_email=3")
    return int(text)


def _time(text: str) -> int:
    try:
        return milliseconds(text)
    except (ValueError, OverflowError):
        raise ConfigurationError(f"--time: {text!r} is no time; write such as 2026-01-05T22:00:00Z") from None


def _arguments(text: str) -> dict[str, Any]:
    try:
        arguments = json.loads(text)
        canonical_json(arguments)
    except (ValueError, RecursionError, NotCanonical) as error:
        raise ConfigurationError(f"--args: not JSON ({error}); write an object such as '{{\"limit\": 5}}'") from None
    if not isinstance(arguments, dict):
        raise ConfigurationError("--args: write a JSON object, such as '{\"limit\": 5}'")
    return arguments
