"""Cases: calls beside a policy with the verdicts that they must get.

A file `NAME.cases.yaml` is a list of cases; every case of it is run against the whole policy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Protocol

from pydantic import AfterValidator, Field, RootModel
from pydantic_core import PydanticCustomError

from agentguard.model.calls import Principal
from agentguard.model.facts import Facts
from agentguard.model.marked_yaml import parse, read_yaml
from agentguard.model.problems import Place
from agentguard.model.provenance import PlainProvenance
from agentguard.model.record import Json, Record
from agentguard.model.verdicts import Effect, Risk, Verdict
from agentguard.policy.loading import Source
from agentguard.policy.policy import Policy


def milliseconds(time: str) -> int:
    """A time such as 2026-01-05T22:00:00Z in milliseconds since 1970. Raises ValueError."""
    read = datetime.fromisoformat(time)
    if read.tzinfo is None:
        raise ValueError("no time zone")
    return int(read.timestamp() * 1000)


def check_time(time: str) -> str:
    """The time, if it is one."""
    try:
        milliseconds(time)
    except (ValueError, OverflowError):
        what, instead = f"{time[:80]!r} is not a time", 'write such as "2026-01-05T22:00:00Z"'
        raise PydanticCustomError("time", "{what}", {"what": what, "instead": instead}) from None
    return time


class Expectation(Record):
    """What the verdict must be. `clauses` are the ids of all that must speak, the tool's pattern too; left out: any.

    `shadow`: the effect that it would have with what is in shadow. `masked`: what the model sees of what the tool gives; `shown`: what
    people see of the arguments; in both `[EMAIL_*]` is any token of that type.
    """

    effect: Effect
    risk: Risk
    clauses: tuple[str, ...] | None = None
    needs: tuple[str, ...] | None = None
    shadow: Effect | None = None
    masked: Json = None
    shown: dict[str, Json] | None = None


class Case(Record):
    """A call, what is known of it, and its expectation. `user` left out: an autonomous agent.

    `said`: what the user wrote in the session; left out: nobody told. `results`: what tools gave before, as text. `counts`: how often
    each tool was called in the session, this call included. `over`: the limits that the call would go over. `gives`: what the tool gives.
    """

    name: Annotated[str, Field(min_length=1, max_length=200)]
    tool: str
    args: dict[str, Json] = {}
    user: str | None = None
    agent: str = "agent"
    labels: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    origin_labels: tuple[str, ...] = ()
    said: str | None = None
    results: dict[str, str] = {}
    counts: dict[str, int] = {}
    time: Annotated[str, AfterValidator(check_time)] | None = None
    deployment: str = ""
    over: tuple[str, ...] = ()
    gives: Json = None
    expect: Expectation


class CaseFile(RootModel[tuple[Case, ...]]):
    """The form of a file of cases."""


class CaseResult(Record):
    """How a case went. `wrong` says each thing that differs; empty for a case that holds."""

    name: str
    place: Place
    wrong: tuple[str, ...]
    verdict: Verdict


def read_cases(source: Source) -> list[tuple[Case, Place]]:
    """The cases in a file, each with its place. Raises PolicyError."""
    marked = read_yaml(source.text, source.file)
    return [(case, marked.place((index,))) for index, case in enumerate(parse(CaseFile, marked).root)]


class View(Protocol):
    """What is seen of values under a policy, every token of a type alike."""

    def masked(self, tool: str, result: Json) -> Json:
        """What the model sees of what a tool gives."""
        ...

    def shown(self, arguments: Mapping[str, Json]) -> Json:
        """What people see of arguments."""
        ...


def run_cases(policy: Policy, sources: Sequence[Source], view: View | None = None) -> list[CaseResult]:
    """Every case in these files against a policy. Raises PolicyError for a file that is no list of cases."""
    return [_run(policy, case, place, view) for source in sources for case, place in read_cases(source)]


def verdict_of(policy: Policy, case: Case) -> Verdict:
    """What a policy says of a case's call."""
    principal = Principal(tenant="cases", agent=case.agent, user=case.user, session="cases")
    return policy.classify(case.tool, case.args, principal, facts_of(case), PlainProvenance(case.said, case.results))


def facts_of(case: Case) -> Facts:
    """What is known of a case's call."""
    return Facts(
        entities=case.entities,
        origins=case.origins,
        origin_labels=case.origin_labels,
        labels=case.labels,
        counts=case.counts,
        time_ms=None if case.time is None else milliseconds(case.time),
        deployment=case.deployment,
        over=case.over,
    )


def _run(policy: Policy, case: Case, place: Place, view: View | None) -> CaseResult:
    verdict = verdict_of(policy, case)
    wrong = (*_differences(case.expect, verdict), *_seen(case, view))
    return CaseResult(name=case.name, place=place, wrong=wrong, verdict=verdict)


def _seen(case: Case, view: View | None) -> Iterator[str]:
    """How what is seen differs from what was expected."""
    masked, shown = case.expect.masked, case.expect.shown
    if view is None:
        if masked is not None or shown is not None:
            yield "nothing here can say what is seen"
        return
    if masked is not None and case.gives is None:
        yield "masked is expected, and the case says nothing of what the tool gives"
    elif masked is not None:
        yield from _unlike("masked", view.masked(case.tool, case.gives), masked)
    if shown is not None:
        yield from _unlike("shown", view.shown(case.args), shown)


def _unlike(what: str, seen: Json, expected: Json) -> Iterator[str]:
    if seen != expected:
        yield f"{what} is {_json(seen)}, expected {_json(expected)}"


def _json(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def _differences(expected: Expectation, verdict: Verdict) -> Iterator[str]:
    if verdict.effect is not expected.effect:
        yield f"effect is {verdict.effect}, expected {expected.effect}"
    if verdict.risk is not expected.risk:
        yield f"risk is {verdict.risk}, expected {expected.risk}"
    with_shadow = verdict if verdict.shadow is None else verdict.shadow
    if expected.shadow not in (None, with_shadow.effect):
        yield f"with shadow the effect is {with_shadow.effect}, expected {expected.shadow}"
    yield from _differing("clauses", {clause.id for clause in verdict.clauses}, expected.clauses)
    yield from _differing("needs", {need.name for need in verdict.needs}, expected.needs)


def _differing(what: str, found: set[str], expected: tuple[str, ...] | None) -> Iterator[str]:
    if expected is not None and found != set(expected):
        yield f"{what} are {_listed(found)}, expected {_listed(set(expected))}"


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
