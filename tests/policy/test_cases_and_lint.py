"""Cases beside a policy, warnings about it, and the policies that ship."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentguard.errors import PolicyError
from agentguard.policy import CaseResult, Source, lint, load, read_cases, run_cases
from tests.policy.policies import ROOT, policy, source

SHIPPED = Path(__file__).parents[2] / "tool_policies"
USED = "tools: {used: {risk: low, ask: board}}\n"


def shipped(pattern: str) -> list[Source]:
    return [Source(file=file.name, text=file.read_text("utf-8")) for file in sorted(SHIPPED.glob(pattern))]


POLICIES = [each for each in shipped("*.yaml") if not each.file.endswith(".cases.yaml")]
CASES = shipped("*.cases.yaml")
NAMES = [case.name for file in CASES for case, _ in read_cases(file)]


@pytest.fixture(scope="module")
def results() -> list[CaseResult]:
    """How each case of the shipped policies went, in order."""
    return run_cases(load(POLICIES), CASES)


@pytest.mark.parametrize(
    "number",
    [pytest.param(number, id=name) for number, name in enumerate(NAMES)],
)
def test_a_case_of_the_shipped_policies_holds(results: list[CaseResult], number: int) -> None:
    """Each call gets the verdict that the case beside its policy expects."""
    assert results[number].wrong == ()


def test_every_case_of_the_shipped_policies_is_run(results: list[CaseResult]) -> None:
    """None is left out."""
    assert [result.name for result in results] == NAMES


def test_every_shipped_policy_has_cases_and_no_warnings() -> None:
    """No file of policies ships without its cases, and lint has nothing to say."""
    assert {each.file.replace(".yaml", ".cases.yaml") for each in POLICIES} == {each.file for each in CASES}
    assert len(read_cases(CASES[0])) >= 15
    assert lint(load(POLICIES)) == ()


def test_every_clause_of_the_shipped_policies_is_spoken_by_a_case(results: list[CaseResult]) -> None:
    """A tool or a rule that no case reaches is not tested."""
    judged = load(POLICIES)
    spoken = {clause.id for result in results for clause in result.verdict.clauses}

    assert {*judged.document.tools, *(rule.id for rule in judged.document.rules)} <= spoken


def test_a_case_that_fails_says_each_difference_and_its_place() -> None:
    """Effect, risk, clauses and needs are compared, and what differs is told."""
    case = "- name: n\n  tool: a\n  expect: {effect: deny, risk: high, clauses: [b], needs: [board]}\n"

    (result,) = run_cases(policy("tools: {a: low}"), [source(case, "a.cases.yaml")])

    assert str(result.place) == "a.cases.yaml:1:3"
    assert result.wrong == (
        "effect is allow, expected deny",
        "risk is low, expected high",
        "clauses are a, expected b",
        "needs are none, expected board",
    )


def test_a_case_compares_only_what_it_names() -> None:
    """Clauses and needs that are left out may be any."""
    case = "- {name: n, tool: a, args: {x: 1}, user: ann@acme.example, expect: {effect: ask, risk: high}}\n"

    assert run_cases(policy("tools: {a: high}"), [source(case)])[0].wrong == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- {name: n, tool: a}\n", "c.yaml:1:3: 'expect' is missing"),
        ("- {name: n, tool: a, arguments: {}, expect: {effect: ask, risk: low}}\n", "unknown key 'arguments'"),
        (
            "- {name: n, tool: a, expect: {effect: maybe, risk: low}}\n",
            "0.expect.effect: should be 'allow', 'ask' or 'deny'",
        ),
        ("cases: []\n", "c.yaml:1:1: should be a list"),
    ],
)
def test_a_file_that_is_no_list_of_cases_is_told(text: str, told: str) -> None:
    """Cases are read as strictly as policies."""
    with pytest.raises(PolicyError) as caught:
        read_cases(source(text, "c.yaml"))

    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("written", "warning"),
    [
        ("tools: {a: low}\n", "nothing asks for the approval 'board'"),
        (USED + "rules: [{id: r, tools: [x], deny: true}]\n", "the rule 'r' matches no tool of the policy"),
        (USED + "rules: [{id: r, tools: [used], risk: low}]\n", "the rule 'r' can't make any verdict stricter"),
        (USED + "rules: [{id: r, tools: [used], ask: board}]\n", "the rule 'r' can't make any verdict stricter"),
        (
            "tools: {a: {risk: low, deny: true}, u: {risk: low, ask: board}}\nrules: [{id: r, tools: [a], ask: board}]\n",
            "the rule 'r' can't",
        ),
        (
            "tools: {a: {risk: low, ask: board, params: {urls: [x]}}}\n",
            "'urls' is not a role that policies know, and 'url' is",
        ),
    ],
)
def test_lint_warns_of_what_is_surely_not_meant(written: str, warning: str) -> None:
    """Unused approvals, rules that can do nothing, and roles that are nearly known ones."""
    (found,) = lint(load([source(ROOT + written)]))

    assert warning in str(found)
    assert str(found).startswith("policy.yaml:")


@pytest.mark.parametrize(
    "rule",
    [
        "{id: r, tools: [used], risk: medium}",
        "{id: r, tools: [used], ask: stewards}",
        "{id: r, tools: [used], deny: true}",
        "{id: r, tools: ['*'], ask: board, risk: high}",
    ],
)
def test_lint_is_silent_where_a_rule_may_do_something(rule: str) -> None:
    """Only what is provable is warned of."""
    assert lint(load([source(ROOT + USED + f"rules: [{rule}]\n")])) == ()
