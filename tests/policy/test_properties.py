"""Properties of every policy: it means what the reference says, order never matters, and rules only add."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agentguard.errors import PolicyError
from agentguard.model.verdicts import Verdict
from agentguard.policy import Policy, Source, load
from tests.policy import reference
from tests.policy.policies import ROOT, judge, needed, source, spoke

SHIPPED = sorted(
    file
    for file in (Path(__file__).parents[2] / "tool_policies").glob("*.yaml")
    if not file.name.endswith(".cases.yaml")
)
NAMES = ["send", "send_mail", "sent", "read", "a", "ab", "zz"]
PATTERNS = ["*", "send", "send*", "send_*", "s?nt", "read", "r*", "a", "a?", "?b", "*d"]
APPROVALS = ["on-call", "stewards", "board"]

risks = st.sampled_from(reference.ORDER)
modes = st.sampled_from(["enforce", "shadow"])
entries = st.fixed_dictionaries(
    {"risk": risks}, optional={"ask": st.sampled_from(APPROVALS), "deny": st.just(True), "mode": modes}
)  # fmt: skip
tool_sections = st.dictionaries(st.sampled_from(PATTERNS), entries, max_size=5)
effects = st.fixed_dictionaries(
    {}, optional={"ask": st.sampled_from(APPROVALS), "deny": st.just(True), "risk": risks}
).filter(bool)  # fmt: skip


@st.composite
def rule_sections(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rules with distinct ids, each over `args.limit > over`."""
    found = draw(
        st.lists(
            st.tuples(st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2), st.integers(-1, 3), effects, modes),
            max_size=4,
        )
    )
    return [
        {"id": f"r{index}", "tools": tools, "over": over, "mode": mode, **effect}
        for index, (tools, over, effect, mode) in enumerate(found)
    ]


limits = st.one_of(st.integers(-1, 4), st.just("text"), st.none())
"""What a call has as its limit: a number, or what no condition can compare."""


def written(tools: dict[str, Any], rules: list[dict[str, Any]]) -> str:
    """Tools and rules as YAML (JSON is YAML)."""
    real = [
        {**{k: v for k, v in rule.items() if k != "over"}, "when": f"args.limit > {rule['over']}"} for rule in rules
    ]
    return f"tools: {json.dumps(tools)}\nrules: {json.dumps(real)}\n"


def loaded(*parts: str) -> Policy:
    """A policy of these parts, each in a file of its own. Ambiguous patterns are not what is looked at here."""
    files = [source("version: 1\n" + part, f"f{index}.yaml") for index, part in enumerate(parts)]
    try:
        return load([*files, source(ROOT)])
    except PolicyError as error:
        assume("equally specific" not in str(error))
        raise


def shown(verdict: Verdict) -> reference.Answer:
    return reference.Answer(str(verdict.effect), str(verdict.risk), needed(verdict), spoke(verdict))


@given(tool_sections, rule_sections(), st.sampled_from(NAMES), limits)
def test_t20_a_policy_means_what_the_reference_says(
    tools: dict[str, Any], rules: list[dict[str, Any]], tool: str, limit: object
) -> None:
    """Effect, risk, needs and clauses are those of a second, plain evaluator, and so is what the explanation tells."""
    policy = loaded(written(tools, rules))
    verdict = judge(policy, tool, {"limit": limit})
    answer = reference.judged(tools, rules, tool, limit)

    assert shown(verdict) == answer
    assert explained(policy.explain(verdict)) == reference.told(answer, tool)


def explained(text: str) -> list[str]:
    """The first line of an explanation, the clauses that it names, and what it needs; those of shadow are left out."""
    first, *lines = text.splitlines()
    enforced = [line for line in lines if line.startswith("  ") and not line.startswith("   ")]
    clauses = [found[1] for line in enforced if (found := re.search(r": (?:tools|rule) (?:\()?([^ )]+)\)? says", line))]
    needs = [f"needs {found[1]}" for line in enforced if (found := re.match(r"  needs ([a-z-]+):", line))]
    return [first, *clauses, *needs]


@given(tool_sections, rule_sections(), st.sampled_from(NAMES), limits)
def test_a_policy_that_loads_round_trips_through_its_model(
    tools: dict[str, Any], rules: list[dict[str, Any]], tool: str, limit: object
) -> None:
    """Written from its model and read again it is the same document, with the same version and the same verdicts."""
    first = loaded(written(tools, rules))

    again = load([source(json.dumps(first.document.model_dump(mode="json", exclude_none=True)))])

    assert again.document == first.document
    assert again.version == first.version
    assert shown(judge(again, tool, {"limit": limit})) == shown(judge(first, tool, {"limit": limit}))


@given(tool_sections, rule_sections(), st.sampled_from(NAMES), st.integers(-1, 4), st.randoms(use_true_random=False))
def test_order_of_files_tools_and_rules_never_matters(
    tools: dict[str, Any], rules: list[dict[str, Any]], tool: str, limit: int, random: Any
) -> None:
    """Shuffled and spread over files, the policy has the same version and gives the same verdict."""
    names, others = list(tools), list(rules)
    random.shuffle(names)
    random.shuffle(others)
    cut, rule_cut = random.randint(0, len(names)), random.randint(0, len(others))

    one = loaded(written(tools, rules))
    other = loaded(
        written({name: tools[name] for name in names[cut:]}, others[:rule_cut]),
        written({name: tools[name] for name in names[:cut]}, others[rule_cut:]),
    )

    assert one.version == other.version
    assert shown(judge(one, tool, {"limit": limit})) == shown(judge(other, tool, {"limit": limit}))


@given(tool_sections, rule_sections(), effects, st.sampled_from(PATTERNS), st.sampled_from(NAMES), st.integers(-1, 4))
def test_t20_adding_a_rule_never_makes_a_verdict_laxer(
    tools: dict[str, Any], rules: list[dict[str, Any]], effect: dict[str, Any], pattern: str, tool: str, limit: int
) -> None:
    """With one rule more the effect and the risk are at least as strict, and no approval is dropped."""
    more = [*rules, {"id": "added", "tools": [pattern], "over": 1, **effect}]

    before = judge(loaded(written(tools, rules)), tool, {"limit": limit})
    after = judge(loaded(written(tools, more)), tool, {"limit": limit})

    assert after.effect.rank >= before.effect.rank
    assert after.risk.rank >= before.risk.rank
    assert set(spoke(before)) <= set(spoke(after))
    assert after.effect == "deny" or set(needed(before)) <= set(needed(after))


@given(tool_sections, rule_sections(), st.sampled_from(NAMES), st.integers(-1, 4))
def test_the_same_call_always_gets_the_same_verdict(
    tools: dict[str, Any], rules: list[dict[str, Any]], tool: str, limit: int
) -> None:
    """Classifying is pure: another call in between changes nothing."""
    judged = loaded(written(tools, rules))

    first = judge(judged, tool, {"limit": limit})
    judge(judged, tool, {"limit": "text"})

    assert judge(judged, tool, {"limit": limit}) == first


WHOLE = """
tools:
  find_customer: {risk: low, labels: [customer-data], title: "Find {{ args.name }}"}
  send_email:
    risk: medium
    params: {recipient: [to, cc], text: [body]}
    reveal: {to: [EMAIL_ADDRESS], body: {types: [PERSON], inside_text: true}}
    labels: []
  "refund_*": {risk: high, ask: confirm, params: {amount: [amount]}, mode: shadow}
rules:
  - {id: stranger, tools: [send_email], when: 'params.recipient.exists(r, !user_wrote(r))', ask: board, reason: Nobody named them}
  - {id: never, tools: ["refund_*"], risk: critical, mode: shadow}
limits:
  paid: {tools: ["refund_*"], sum: params.amount, max: 100.5, over: 24h, per: [user, tool], ask: stewards}
  people: {tools: [find_customer], distinct: PERSON, max: 20, per: session, deny: true, reason: Too many}
masking:
  fields: {"**.badge": EMPLOYEE_ID}
  actions: {US_SSN: redact, "*": token}
"""


@pytest.mark.parametrize(
    "files",
    [
        pytest.param([source(ROOT + WHOLE)], id="every section"),
        pytest.param([source(file.read_text(), file.name) for file in SHIPPED], id="what is shipped"),
    ],
)
def test_a_whole_policy_round_trips_through_its_model(files: list[Source]) -> None:
    """Every section, and all files as one."""
    first = load(files)

    again = load([source(json.dumps(first.document.model_dump(mode="json", exclude_none=True)))])

    assert again.document == first.document
    assert again.version == first.version
