"""Warnings of what loads and is surely not meant, from the policy itself, its pins, its people and its masking."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard.approval import read_roster
from agentguard.config import policy_warnings, read_library
from agentguard.config.warnings import idle_reveals, idle_types, lonely_approvals
from agentguard.model.listings import Listing
from agentguard.policy import lint, load, pin
from agentguard.policy.patterns import Overlapping, overlap
from agentguard.policy.pins import Lock, Pins, pins_of
from tests.policy.policies import ROOT, source


def told(more: str, **options: object) -> list[str]:
    """The warnings about a policy but those about approvals that nothing asks for."""
    pins = options.pop("pins", None)
    found = lint(load([source(ROOT + more)], pins=pins), **options)  # type: ignore[arg-type]
    return [each.what for each in found if "nothing asks for" not in each.what]


def pinned(*names: str) -> Pins:
    listings = [Listing(name=name, description="", input_schema={}) for name in names]
    return pins_of(Lock(version=1, tools={each.name: pin(each) for each in listings}))


@pytest.mark.parametrize(
    ("more", "warning"),
    [
        ("tools: {a: low}\nrules: [{id: r, tools: [b], deny: true}]\n", "matches no tool"),
        ("tools: {a: {risk: low, deny: true}}\nrules: [{id: r, tools: [a], ask: board}]\n", "can't make any verdict stricter"),
        ("tools: {a: low}\nrules: [{id: r, tools: [a], when: 1 > 2, deny: true}]\n", "so it is never met"),
        ("tools: {a: low}\nrules: [{id: r, tools: ['*'], when: 'true', deny: true, mode: shadow}]\n", "so it is always met"),
        ("tools: {a: low}\nrules: [{id: r, tools: [a], when: size(params.url) > 0, deny: true}]\n", "params.url is always empty"),
        ("tools: {a: low}\nrules: [{id: r, tools: [a], when: '\"x\" in session.labels', deny: true}]\n", "no tool brings the label 'x'"),
    ],
    ids=["no tool", "adds nothing", "never met", "always met", "role", "label"],
)  # fmt: skip
def test_a_clause_that_makes_no_difference_is_told(more: str, warning: str) -> None:
    """Each with its place, and once."""
    (found,) = told(more)
    assert warning in found


@pytest.mark.parametrize(
    "more",
    [
        "tools: {a: {risk: low, params: {url: [u]}}}\nrules: [{id: r, tools: [a], when: size(params.url) > 0, deny: true}]\n",
        "tools: {a: low}\nrules: [{id: r, tools: [a], when: '\"untrusted\" in session.labels', deny: true}]\n",
        "tools: {a: {risk: low, labels: [x]}}\nrules: [{id: r, tools: [a], when: '\"x\" in session.labels', deny: true}]\n",
        "tools: {a: low}\nrules: [{id: r, tools: [a], when: 'args.note == \"params.url\"', deny: true}]\n",
        "tools: {a: low}\nrules: [{id: r, tools: [a], when: 'call.user == \"\"', deny: true}]\n",
    ],
    ids=["role", "untrusted", "label", "quoted", "user"],
)
def test_a_clause_that_makes_a_difference_is_not(more: str) -> None:
    """No warning that people would learn to ignore."""
    assert told(more) == []


def test_patterns_that_no_pinned_tool_has_are_told() -> None:
    """In tools, rules and limits, with the name that was probably meant."""
    more = (
        "tools: {find_order: low, find_oder: low, 'send_*': low}\n"
        "rules: [{id: r, tools: [find_order, 'pay_*'], deny: true}]\n"
        "limits: {l: {tools: ['find_*', gone], max: 1, over: 1h, deny: true}}\n"
    )
    found = told(more, pins=pinned("find_order"))
    assert [each for each in found if "pinned" in each] == [
        f"no pinned tool matches {name!r}" for name in ("find_oder", "send_*", "pay_*", "gone")
    ]


def test_without_pins_nobody_knows_which_tools_there_are() -> None:
    """An empty lock, or none, says nothing of patterns."""
    more = "tools: {'send_*': low}\n"
    assert told(more) == told(more, pins=pinned()) == []


PEOPLE = """\
people:
  ann: {email: ann@acme.example, groups: [on-call, data-stewards]}
  dan: {email: dan@acme.example, groups: [data-stewards]}
  bob: {email: bob@acme.example, groups: [security]}
"""


@pytest.mark.parametrize(
    ("approval", "stuck"),
    [
        ("{approvers: [group:on-call], deadline: 1h}", ["ann"]),
        ("{approvers: [group:on-call, person:bob], deadline: 1h}", []),
        ("{approvers: [group:data-stewards], quorum: 2, deadline: 1h}", ["ann, dan"]),
        ("{approvers: [group:data-stewards, group:security], from_each: true, deadline: 1h}", ["bob"]),
        ("{approvers: [group:data-stewards, group:security], deadline: 1h}", []),
    ],
    ids=["alone", "two", "quorum", "from each", "either"],
)
def test_an_approval_that_somebody_could_never_have_is_told(approval: str, stuck: list[str]) -> None:
    """Nobody approves their own call, so somebody else must be left."""
    roster = read_roster(PEOPLE, "approvers.yaml")
    text = (
        ROOT.partition("approvals:")[0]
        + f"approvals: {{on-call: {approval}, stewards: {{approvers: [group:security, person:ann], deadline: 1h}}}}\n"
    )
    found = lint(load([source(text + "tools: {}\n")]), warn=[partial(lonely_approvals, roster)])
    names = [each.what.removeprefix("for calls on behalf of ").partition(" too few")[0] for each in found]
    assert names == stuck


@pytest.mark.parametrize(
    ("kind", "masking", "warning"),
    [
        ("EMAIL_ADDRESS", "{}", ""),
        ("EMAIL", "{}", "nothing finds EMAIL"),
        ("BADGE", "{fields: {badge: BADGE}}", ""),
        ("PROJECT", "{deny: {PROJECT: [Falcon]}}", ""),
        ("TICKET", "{patterns: {t: {entity: TICKET, pattern: 'T-[0-9]{5}', match: [T-12345]}}}", ""),
        ("US_SSN", "{actions: {US_SSN: redact}}", "never becomes a token"),
        ("US_SSN", "{actions: {'*': redact}}", "never becomes a token"),
        ("US_SSN", "{actions: {'*': redact, '**.note': {US_SSN: token}}}", ""),
    ],
)
def test_a_reveal_of_what_never_is_a_token_is_told(kind: str, masking: str, warning: str) -> None:
    """Nothing would ever be restored there."""
    more = f"tools: {{a: {{risk: low, reveal: {{to: [{kind}]}}}}}}\nmasking: {masking}\n"
    found = told(more, warn=[idle_reveals])
    assert (found == []) is (warning == "")
    assert warning in " ".join(found)


def test_the_shipped_policies_give_no_warning() -> None:
    """What people start from is meant as it stands."""
    shipped = Path(__file__).parents[2] / "tool_policies"
    assert policy_warnings(shipped, read_library(shipped)) == ()


LETTERS = st.text(alphabet="ab_*?", min_size=1, max_size=8).filter(lambda text: "**" not in text)


@given(st.lists(LETTERS, max_size=12), LETTERS)
def test_the_index_finds_what_trying_all_finds(patterns: list[str], one: str) -> None:
    """It leaves out no pattern that overlaps, and finds none that doesn't."""
    assert sorted(Overlapping(patterns).of(one)) == sorted(each for each in patterns if overlap(one, each))


def _large(tools: int) -> str:
    """A policy with so many tools, and rules of which each looks for a part of their names."""
    names = ", ".join(f"server{number % 40}_tool_{number}: low" for number in range(tools))
    globs = ", ".join(f"'get_?{number}': low" for number in range(tools // 2))
    rules = ", ".join(f"{{id: r{number}, tools: ['*_{number}_*'], deny: true}}" for number in range(tools // 4))
    return f"tools: {{{names}, {globs}}}\nrules: [{rules}]\n"


def test_t28_a_policy_with_a_thousand_tools_is_read_and_looked_through_in_seconds() -> None:
    """Patterns are tried where they can meet, and each pair in one step; so are pins, of which none has the names."""
    text = _large(1_000)
    started = time.process_time()
    found = told(text, pins=pinned(*(f"server{number % 40}_tol_{number}" for number in range(1_000))))
    assert time.process_time() - started < 4
    assert len(found) == 1_000 + 500 + 2 * 250


@pytest.mark.parametrize(
    ("written", "warning"),
    [
        ("masking: {actions: {EMAIL_ADRESS: redact}}", "nothing finds EMAIL_ADRESS; did you mean EMAIL_ADDRESS?"),
        ("masking: {thresholds: {PHONE: 0.7}}", "nothing finds PHONE; name it under masking.fields"),
        ("masking: {allow: {EMAIL_ADRESS: [a@b.example]}}", "did you mean EMAIL_ADDRESS?"),
        ("masking: {actions: {'**.x': {US_SNS: redact}}}", "nothing finds US_SNS; did you mean US_SSN?"),
        ("tools: {a: {risk: low, masking: {result: {PERSN: redact}}}}", "nothing finds PERSN; did you mean PERSON?"),
        ("tools: {a: {risk: low, masking: {arguments: {PERSN: redact}}}}", "nothing finds PERSN"),
    ],
)
def test_a_type_that_nothing_finds_is_warned_of(written: str, warning: str) -> None:
    """A misspelt type would leave what was meant to the action of all others."""
    text = written if written.startswith("tools") else f"tools: {{}}\n{written}"
    assert any(warning in str(each) for each in lint(load([source(f"{ROOT}{text}\n")]), warn=[idle_types]))


@pytest.mark.parametrize(
    "written",
    [
        "masking: {actions: {EMAIL_ADDRESS: redact, US_ITIN: drop, UK_NINO: drop, URL: allow, '*': token}}",
        "masking: {actions: {SALARY: generalise}, fields: {'**.salary': SALARY}}",
        "masking: {actions: {BR_CPF: redact}, packs: [brazil]}",
        "masking: {actions: {PROJECT: redact}, deny: {PROJECT: [Blue Falcon]}}",
        "masking: {actions: {T: redact}, patterns: {t: {entity: T, pattern: abc, match: [abc]}}}",
    ],
)
def test_a_type_that_something_finds_is_not_warned_of(written: str) -> None:
    """By a default detector, a field, a pack, a list or a pattern."""
    assert not [each for each in told(written, warn=[idle_types]) if "nothing finds" in each]
