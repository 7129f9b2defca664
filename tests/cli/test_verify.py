"""`policy verify`: every clause of the schema has something that verifies it, and a broken enforcer shows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from agentguard.approval import Opened, Restraint
from agentguard.cli.app import app
from agentguard.cli.verifying import VERIFIERS, Outcome, Verified, open_ground, present, verified
from agentguard.guard.in_force import InForce, Now
from agentguard.guard.judging import Evidence, Judgement, Judging
from agentguard.guard.maskers import Maskers
from agentguard.guard.pipeline import Guard
from agentguard.guard.requests import Requests
from agentguard.masking import DEFAULT_DETECTORS, Masker
from agentguard.model.approvals import Request
from agentguard.model.calls import Tool
from agentguard.model.verdicts import Effect, Need, Verdict
from agentguard.policy import Case, Policy, Source, load, read_cases
from agentguard.policy.document import Fragment, Root

pytestmark = pytest.mark.anyio

POLICY = """\
version: 1
risk: {low: allow, medium: allow, high: {ask: on-call}, critical: {ask: board}}
tools:
  read_page: {risk: low, labels: [outside]}
  send_email:
    risk: medium
    params: {recipient: [to, more.cc], text: [body]}
    reveal: {to: [EMAIL_ADDRESS], body: {types: [PERSON], inside_text: true}}
    title: "Send an e-mail"
    undo: false
    labels: []
    once: args.message
    masking: {result: {EMAIL_ADDRESS: allow, "more.note": redact}, arguments: {US_SSN: drop, PERSON: token}}
  close_account: {risk: high, ask: confirm, undo: Open it again, wait: defer}
  refund: {risk: high, grants: {for: 30m, uses: 5, same: [customer], at_most: [amount]}}
  wipe: {risk: low, deny: true}
  tried: {risk: high, mode: shadow}
  "pay_*": {risk: low, params: {amount: [amount]}, labels: []}
rules:
  - {id: leaving, tools: [send_email], when: '"outside" in session.labels', deny: true, reason: It would leave}
  - {id: many, tools: [send_email], when: size(params.recipient) > 3, risk: high}
  - {id: large, tools: ["pay_*"], when: 'args.amount > 500 && !("CREDIT_CARD" in data.entities)', ask: on-call}
  - {id: carried, tools: [send_email], when: '"find_customer" in data.origins', ask: on-call, mode: shadow}
  - {id: unnamed, tools: [send_email], when: 'params.recipient.exists(r, !user_wrote(r))', ask: on-call}
  - {id: often, tools: [read_page], when: session.counts.read_page > 2, deny: true}
  - {id: always, tools: [close_account], ask: on-call, wait: defer, notify: ["webhook:pager"]}
  - {id: one-payment, tools: ["pay_*"], once: params.amount}
limits:
  calls: {tools: [read_page], max: 100, over: 1h, per: user, deny: true, reason: Too many pages}
  paid: {tools: ["pay_*"], sum: params.amount, max: 1000, over: 24h, ask: on-call}
  people: {tools: [read_page], distinct: PERSON, max: 20, per: session, deny: true}
  noted: {tools: [read_page], max: 5, over: 1h, deny: true, mode: shadow}
approvals:
  on-call:
    approvers: [group:on-call, person:bob]
    quorum: 2
    reject_quorum: 2
    deadline: 10m
    remind: 2m
    escalate: [{after: 5m, to: [group:leads]}]
  board: {approvers: [group:data, group:security], from_each: true, deadline: 4h, edit: false, notify: ["slack:#board", teams]}
asking: {pending: 20, per_minute: 10, pause: 2m, after_rejection: 1h}
masking:
  fields: {"**.badge": EMPLOYEE_ID}
  actions:
    US_SSN: redact
    CREDIT_CARD: {action: mask, keep: 2}
    IP_ADDRESS: allow
    SALARY: generalise
    AGE: drop
    "**.note": {EMAIL_ADDRESS: drop, US_SSN: hmac}
    "*": token
  answer: [PERSON]
  thresholds: {TICKET: 0.7}
  packs: [poland]
  patterns:
    ticket: {entity: TICKET, pattern: 'TCK-[0-9]{6}', score: 0.8, match: [TCK-123456]}
  allow: {EMAIL_ADDRESS: ["*@acme.example"]}
  deny: {PROJECT: [Blue Falcon]}
  limits: {characters: 1000000, nodes: 10000, depth: 50}
"""


def policy_of(text: str) -> Policy:
    return load([Source(file="policy.yaml", text=text)])


async def outcomes(text: str, spoil: Callable[[Guard], Guard], *names: str) -> dict[str, Verified]:
    """What came of these clauses (of all, where none is named) with a guard that was spoilt first."""
    clauses = [each for each in present(policy_of(text)) if not names or each.name in names]
    async with open_ground(spoil) as ground:
        return {each.clause: each async for each in verified(ground, clauses)}


def records(model: type[BaseModel]) -> set[type[BaseModel]]:
    """A record and all records in it."""
    found = {model}
    for field in model.model_fields.values():
        for inner in _records_in(field.annotation):
            found |= records(inner)
    return found


def _records_in(annotation: Any) -> set[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {model for part in get_args(annotation) for model in _records_in(part)}


def test_every_clause_of_the_schema_has_something_that_verifies_it() -> None:
    """A key that is added to the language without a verification fails here; and so does a verification of nothing."""
    schema = {(model, key) for model in records(Root) | records(Fragment) for key in model.model_fields}
    assert set(VERIFIERS) == schema


@pytest.mark.slow
async def test_every_kind_of_clause_is_enforced() -> None:
    """A policy with each key of the language in it: whatever can be tried is enforced."""
    found = await outcomes(POLICY, lambda guard: guard)
    not_enforced = [each for each in found.values() if each.outcome is Outcome.NOT_ENFORCED]
    not_tried = {each.clause.rsplit(".", 1)[1] for each in found.values() if each.outcome is Outcome.NOT_APPLICABLE}
    assert not not_enforced
    assert not_tried <= {"id", "types", "masking", "limits"}
    assert len(found) > 90


@dataclass(frozen=True, kw_only=True)
class Lenient(Judging):
    """Judges, and then thinks better of it."""

    change: Callable[[Verdict], Verdict]

    async def judge(self, *args: Any, **kwargs: Any) -> Judgement:
        judged = await super().judge(*args, **kwargs)
        return judged._replace(verdict=self.change(judged.verdict))


@dataclass(frozen=True, kw_only=True)
class Slow(Judging):
    """Takes its time over calls of one tool, as a busy machine does."""

    async def evidence(self, policy: Policy, tool: Tool, *args: Any, **kwargs: Any) -> Evidence:
        await asyncio.sleep(0.3 if tool.name == "read_page" else 0)
        return await super().evidence(policy, tool, *args, **kwargs)


def slow(guard: Guard) -> Guard:
    """A guard on such a machine."""
    return replace(
        guard, judging=Slow(**{each.name: getattr(guard.judging, each.name) for each in fields(guard.judging)})
    )


@pytest.mark.slow
async def test_a_call_that_takes_long_is_not_told_as_waiting_for_the_request_of_another() -> None:
    """Another call of the same session waits meanwhile; what is told of this one is how it ended."""
    document = policy_of(POLICY).document.model_dump(mode="json", exclude_none=True, by_alias=True)
    async with open_ground(slow) as ground, ground.trial({**document, "rules": []}) as trial:
        waits = await trial.call("refund", {"customer": "one"})
        ended = await trial.call("read_page", {})
        assert waits.stored is not None
        assert (ended.stored, ended.ran) == (None, True)


def by_verdict(change: Callable[[Verdict], Verdict]) -> Callable[[Guard], Guard]:
    """A guard that changes each verdict."""

    def spoil(guard: Guard) -> Guard:
        judging = guard.judging
        as_it_is = {each.name: getattr(judging, each.name) for each in fields(judging)}
        return replace(guard, judging=Lenient(**as_it_is, change=change))

    return spoil


def by_need(**changes: Any) -> Callable[[Guard], Guard]:
    """A guard that asks for less than policy says."""

    def lessened(verdict: Verdict) -> Verdict:
        needs = tuple(_lessened(need, changes) for need in verdict.needs)
        return verdict.model_copy(update={"needs": needs})

    return by_verdict(lessened)


def _lessened(need: Need, changes: dict[str, Any]) -> Need:
    return need.model_copy(update={**changes, "approvers": (*need.approvers, *changes.get("approvers", ()))})


class Blind:
    """A policy some of whose answers are others."""

    def __init__(self, policy: Policy, **answers: Any) -> None:
        self._policy = policy
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        if name in self._answers:
            return lambda *args, **kwargs: self._answers[name](getattr(self._policy, name), *args, **kwargs)
        return getattr(self._policy, name)


def by_policy(**answers: Any) -> Callable[[Guard], Guard]:
    """A guard whose policy gives other answers."""

    def spoil(guard: Guard) -> Guard:
        before = guard.in_force

        def now() -> InForce:
            found = before()
            return replace(found, policy=Blind(found.policy, **answers))  # type: ignore[arg-type]

        return _under(guard, now)

    return spoil


def by_masker(**options: Any) -> Callable[[Guard], Guard]:
    """A guard that masks otherwise than policy says."""

    def spoil(guard: Guard) -> Guard:
        found = guard.in_force()
        masking = {"fields": found.policy.masking.fields, "actions": found.policy.masking.actions, **options}
        masker = Masker(list(DEFAULT_DETECTORS), **masking)
        return _under(guard, lambda: replace(found, maskers=Maskers(default=masker)))

    return spoil


def _under(guard: Guard, now: Now) -> Guard:
    return replace(guard, in_force=now, settler=replace(guard.settler, in_force=now))


class Unrestrained(Requests):
    """Asks people whatever, and however often."""

    async def open(self, request: Request, sealed_input: bytes, _restraint: Restraint) -> Opened:
        return await super().open(request, sealed_input, Restraint())


def unrestrained(guard: Guard) -> Guard:
    """A guard that asks without end."""
    requests = guard.asking.requests
    unruly = Unrestrained(background=requests.background, link=requests.link)
    return replace(guard, asking=replace(guard.asking, requests=unruly))


def allowed(verdict: Verdict) -> Verdict:
    return verdict.model_copy(update={"effect": Effect.ALLOW, "needs": ()})


def unlabelled(verdict: Verdict) -> Verdict:
    return verdict.model_copy(update={"labels": ()})


def in_earnest(verdict: Verdict) -> Verdict:
    said = verdict.shadow
    return verdict if said is None else verdict.model_copy(update={"effect": said.effect, "needs": said.needs})


def knobless(terms: Callable[[str], Any], tool: str) -> Any:
    return terms(tool).model_copy(update={"reveal": (), "undo": "", "params": {}})


def without_arguments(classify: Callable[..., Verdict], tool: str, _arguments: Any, *others: Any) -> Verdict:
    return classify(tool, {}, *others)


BROKEN = [
    pytest.param(by_verdict(allowed), ["risk.high", "risk.critical", "tools.close_account.risk"], id="levels"),
    pytest.param(by_verdict(allowed), ["tools.wipe.deny", "tools.close_account.ask"], id="tools"),
    pytest.param(by_verdict(allowed), ["rules.leaving.deny", "rules.many.risk", "rules.large.ask", "rules.always.tools"], id="rules"),
    pytest.param(by_verdict(unlabelled), ["tools.read_page.labels"], id="labels"),
    pytest.param(by_verdict(in_earnest), ["tools.tried.mode", "rules.carried.mode"], id="shadow"),
    pytest.param(by_need(quorum=1), ["approvals.on-call.quorum"], id="quorum"),
    pytest.param(by_need(remind_seconds=0, escalate=()), ["approvals.on-call.remind", "approvals.on-call.escalate"], id="ladder"),
    pytest.param(by_need(from_each=False), ["approvals.board.from_each"], id="from_each"),
    pytest.param(by_need(deadline_seconds=3), ["approvals.board.deadline"], id="deadline", marks=pytest.mark.slow),
    pytest.param(by_need(approvers=("person:verify-outsider",)), ["approvals.on-call.approvers"], id="approvers"),
    pytest.param(by_policy(terms=knobless), ["tools.send_email.reveal", "tools.send_email.undo"], id="knobs"),
    pytest.param(by_policy(terms=knobless), ["tools.send_email.reveal.body.inside_text"], id="inside text"),
    pytest.param(by_policy(title=lambda _title, tool, _shown: tool), ["tools.send_email.title"], id="title"),
    pytest.param(by_policy(classify=without_arguments), ["rules.many.when", "tools.send_email.params"], id="arguments"),
    pytest.param(by_policy(charges=lambda *_: ()), ["limits.calls.max", "limits.paid.ask", "limits.paid.sum"], id="limits"),
    pytest.param(by_policy(charges=lambda *_: ()), ["limits.people.distinct", "limits.people.per"], id="subjects"),
    pytest.param(unrestrained, ["asking.pending", "asking.per_minute", "asking.pause", "asking.after_rejection"], id="asking"),
    pytest.param(by_policy(notified=lambda *_: ()), ["approvals.board.notify", "rules.always.notify"], id="notify"),
    pytest.param(by_masker(fields={}), ["masking.fields"], id="fields"),
    pytest.param(by_masker(actions={"*": "token"}), ["masking.actions"], id="actions"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "names"), BROKEN)
async def test_a_broken_enforcer_shows(spoil: Callable[[Guard], Guard], names: list[str]) -> None:
    """Each clause that a spoilt guard no longer enforces is NOT ENFORCED."""
    found = await outcomes(POLICY, spoil, *names)
    assert {name: each.outcome for name, each in found.items()} == dict.fromkeys(names, Outcome.NOT_ENFORCED)


async def test_what_a_session_must_have_seen_is_brought_about_first() -> None:
    """Conditions over the words of the user, and over how often a tool was called."""
    found = await outcomes(POLICY, lambda guard: guard, "rules.unnamed.when", "rules.often.when")
    assert {each.outcome for each in found.values()} == {Outcome.ENFORCED}


RARE = """\
version: 1
risk: {low: allow, medium: allow, high: deny, critical: deny}
tools: {pay: low}
rules:
  - {id: rare, tools: [pay], when: 'args.code.matches("^[A-Z]{3}-[0-9]{4}$")', deny: true}
  - {id: never-spared, tools: [pay], when: "1 == 1", deny: true}
"""


@pytest.mark.parametrize(
    ("name", "cases", "outcome", "told"),
    [
        ("rules.rare.when", "", Outcome.NOT_APPLICABLE, "add a case"),
        ("rules.never-spared.when", "", Outcome.NOT_APPLICABLE, "every call that was tried"),
        (
            "rules.rare.when",
            "- {name: a, tool: pay, args: {code: ABC-1234}, expect: {effect: deny, risk: low}}\n",
            Outcome.ENFORCED,
            "its condition met",
        ),
    ],
    ids=["no call", "no other call", "a case"],
)
async def test_a_condition_that_no_call_meets_is_said_so_and_a_case_settles_it(
    name: str, cases: str, outcome: Outcome, told: str
) -> None:
    """What can't be tried is never called enforced."""
    known: list[Case] = [case for case, _ in read_cases(Source(file="c", text=cases))] if cases else []
    clauses = [each for each in present(policy_of(RARE), known) if each.name == name]
    async with open_ground() as ground:
        (found,) = [each async for each in verified(ground, clauses)]
    assert found.outcome is outcome
    assert told in found.told


def test_the_command_prints_each_clause_with_its_place(tmp_path: Path) -> None:
    """One line a clause, the sum at the end, and JSON for programs."""
    (tmp_path / "policy.yaml").write_text(
        "version: 1\nrisk: {low: allow, medium: allow, high: deny, critical: deny}\ntools: {pay: {risk: low, deny: true}}\n"
    )
    done = CliRunner().invoke(app, ["policy", "verify", str(tmp_path)])
    as_json = CliRunner().invoke(app, ["policy", "verify", "--json", str(tmp_path)])
    assert done.exit_code == as_json.exit_code == 0
    assert "policy.yaml:3:26: tools.pay.deny: its call is denied; it runs without it" in done.stdout
    assert {each["outcome"] for each in json.loads(as_json.stdout)} == {"enforced", "not applicable"}
