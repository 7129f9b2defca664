"""What limits say of one call: what it takes, and when they speak."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard.errors import PolicyError
from agentguard.model.facts import Facts
from agentguard.model.limits import LARGEST, NANO, Amount
from agentguard.model.record import Json
from agentguard.model.verdicts import Effect
from agentguard.policy.limits import BadAmount
from tests.policy.policies import ANN, needed, policy, spoke

TOOLS = """
tools:
  refund: {risk: low, params: {amount: [amount, fees]}}
  pay: {risk: low, params: {amount: [invoice.total]}}
  other: {risk: low}
"""
PAID = "limits: {paid: {tools: [refund, pay], sum: params.amount, max: 1000, over: 24h, per: user, WHAT}}"
ASKS, DENIES = (policy(TOOLS + PAID.replace("WHAT", what)) for what in ("ask: board", "deny: true"))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({}, "MISSING"),
        ({"amount": None}, "MISSING"),
        ({"amount": []}, "MISSING"),
        ({"amount": {"value": 5}}, "NOT_A_NUMBER"),
        ({"amount": [5, None]}, "MISSING"),
        ({"amount": 5, "fees": "none"}, "NOT_A_NUMBER"),
        ({"amount": -0.01}, "NEGATIVE"),
        ({"amount": "-5"}, "NEGATIVE"),
        ({"amount": [100, -100]}, "NEGATIVE"),
        ({"amount": True}, "NOT_A_NUMBER"),
        ({"amount": "NaN"}, "NOT_A_NUMBER"),
        ({"amount": "Infinity"}, "NOT_A_NUMBER"),
        ({"amount": float("nan")}, "NOT_A_NUMBER"),
        ({"amount": float("inf")}, "NOT_A_NUMBER"),
        ({"amount": "1,000"}, "NOT_A_NUMBER"),
        ({"amount": "1e3"}, "NOT_A_NUMBER"),
        ({"amount": "\u0661\u0660"}, "NOT_A_NUMBER"),
        ({"amount": "10 "}, "NOT_A_NUMBER"),
        ({"amount": ""}, "NOT_A_NUMBER"),
    ],
)
@pytest.mark.parametrize("judged", [ASKS, DENIES], ids=["asks", "denies"])
def test_what_is_no_amount_is_denied_and_never_charged(judged: object, arguments: dict[str, Json], code: str) -> None:
    """A limit that asks denies too: there is nothing that people could agree to count."""
    verdict = judged.classify("refund", arguments, ANN, Facts(over=()))  # type: ignore[attr-defined]

    assert verdict.effect is Effect.DENY
    assert [(clause.id, clause.error) for clause in verdict.clauses[1:]] == [("paid", code)]
    with pytest.raises(BadAmount):
        judged.charges("refund", arguments, ANN)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("tool", "arguments", "amount"),
    [
        ("refund", {"amount": 0, "fees": 0}, Amount(0, 0)),
        ("refund", {"amount": 0.1, "fees": 0.2}, Amount(0, 300_000_000)),
        ("refund", {"amount": "12.50", "fees": []}, Amount(12, 500_000_000)),
        ("refund", {"amount": [1, 2, [3]], "fees": 4}, Amount(10, 0)),
        ("refund", {"amount": 10**400, "fees": 1}, Amount(LARGEST, 0)),
        ("refund", {"amount": 5, "fees": None}, Amount(5, 0)),
        ("pay", {"invoice": {"total": 1e-12}}, Amount(0, 1)),
        ("pay", {"invoice": [{"total": 5}, {"total": 6}]}, Amount(11, 0)),
    ],
)
def test_amounts_are_exact(tool: str, arguments: dict[str, Json], amount: Amount) -> None:
    """Floats count as they are written, parts of a billionth count as one, and huge amounts as more than any limit."""
    (charge,) = ASKS.charges(tool, arguments, ANN)

    assert charge.amount == amount


@given(st.lists(st.decimals(min_value=0, max_value=10**6, places=2), min_size=1, max_size=20))
def test_cents_are_never_lost(amounts: list[Decimal]) -> None:
    """However many amounts are added, their sum is that of whole cents."""
    total = Amount.of(*amounts)

    assert total.whole * NANO + total.nano == int(sum(amounts) * 100) * (NANO // 100)


def test_a_limit_speaks_where_the_call_would_go_over_it() -> None:
    """Its approval is needed on top of all others, or the call is denied; a limit that nobody counted denies."""
    arguments: dict[str, Json] = {"amount": 5, "fees": 0}
    over, within, uncounted = Facts(over=("paid",)), Facts(over=()), Facts()

    asked = ASKS.classify("refund", arguments, ANN, over)

    assert (asked.effect, needed(asked), spoke(asked)) == (Effect.ASK, ["board"], ["refund", "paid"])
    assert DENIES.classify("refund", arguments, ANN, over).effect is Effect.DENY
    assert spoke(ASKS.classify("refund", arguments, ANN, within)) == ["refund"]
    assert ASKS.classify("refund", arguments, ANN, uncounted).effect is Effect.DENY
    assert spoke(ASKS.classify("other", {}, ANN, uncounted)) == ["other"]


def test_a_verdict_over_a_limit_is_stricter_than_one_within() -> None:
    """So an approval of a call that was within a limit does not run it over the limit."""
    arguments: dict[str, Json] = {"amount": 5, "fees": 0}
    within = ASKS.classify("refund", arguments, ANN, Facts(over=()))

    assert ASKS.classify("refund", arguments, ANN, Facts(over=("paid",))).stricter_than(within)


def test_explain_names_the_limit_and_its_place() -> None:
    """People see which budget was used up."""
    verdict = ASKS.classify("refund", {"amount": 5, "fees": 0}, ANN, Facts(over=("paid",)))

    assert "limit paid says ask for board (the call would go over it)" in ASKS.explain(verdict)


@pytest.mark.parametrize(
    ("per", "scope"),
    [
        ("tenant", ("tenant=acme",)),
        ("user", ("user=ann@acme.example",)),
        ("[user, tool]", ("tool=refund", "user=ann@acme.example")),
        ("[session, agent, agent]", ("agent=helper", "session=s1")),
    ],
)
def test_a_scope_says_whose_calls_count_together(per: str, scope: tuple[str, ...]) -> None:
    """The order in which it is written makes no difference."""
    judged = policy(TOOLS + f"limits: {{calls: {{tools: [refund], max: 5, over: 1h, per: {per}, deny: true}}}}")

    assert [charge.scope for charge in judged.charges("refund", {}, ANN)] == [scope]


@pytest.mark.parametrize(
    ("written", "wrong"),
    [
        ("tools: [refund], max: 5, over: 1h", "asks or denies, one of the two"),
        ("tools: [refund], max: 5, over: 1h, ask: board, deny: true", "asks or denies, one of the two"),
        ("tools: [refund], max: 5, deny: true", "nothing says how far back it counts"),
        ("tools: [refund], max: 0, over: 1h, deny: true", "greater than 0"),
        ("tools: [refund], max: .nan, over: 1h, deny: true", "not a finite number"),
        ("tools: [refund], max: 2.5, over: 1h, deny: true", "counted whole"),
        ("tools: [refund], max: 5, over: 90d, deny: true", "not a duration"),
        ("tools: [refund], max: 5, over: 1h, per: [], deny: true", "per"),
        ("tools: [refund], max: 5, over: 1h, per: galaxy, deny: true", "per"),
        ("tools: [], max: 5, over: 1h, deny: true", "tools"),
        ("tools: [refund], max: 5, over: 1h, ask: nobody", "no approval 'nobody' is defined"),
        ("tools: [refund], sum: amount, max: 5, over: 1h, deny: true", "'amount' is not an amount"),
        ("tools: [refund], sum: args.a, distinct: PERSON, max: 5, over: 1h, deny: true", "counts one thing"),
        ("tools: [refund], distinct: US_SSN, max: 5, over: 1h, deny: true", "its masking action is redact"),
        ("tools: [refund], distinct: PERSON, max: 100001, over: 1h, deny: true", "at most 100000 subjects"),
    ],
)
def test_a_limit_that_cannot_hold_does_not_load(written: str, wrong: str) -> None:
    """Each problem says what to write instead."""
    with pytest.raises(PolicyError, match=wrong):
        policy(TOOLS + f"limits: {{l: {{{written}}}}}\nmasking: {{actions: {{US_SSN: redact}}}}")


@pytest.mark.parametrize(
    ("masking", "tool"),
    [
        ("actions: {'**.ssn': drop}", ""),
        ("actions: {'**.ssn': {US_SSN: {action: mask, keep: 2}}}", ""),
        ("actions: {}", "result: {US_SSN: allow}"),
        ("actions: {}", "result: {'*': redact}"),
    ],
)
def test_subjects_are_counted_only_where_they_become_tokens(masking: str, tool: str) -> None:
    """An action of a path or of one of the tools that takes the tokens away is a load error; of another tool, or in arguments, it isn't."""
    limit = "limits: {l: {tools: ['pay_*'], distinct: US_SSN, max: 5, over: 1h, deny: true}}"
    harmless = "masking: {result: {PERSON: redact}, arguments: {US_SSN: redact}}"
    own = f"masking: {{{tool}}}" if tool else harmless
    other = "other_tool: {risk: low, masking: {result: {US_SSN: allow}}}"

    with pytest.raises(PolicyError, match="US_SSN is counted by its tokens"):
        policy(f"tools:\n  pay_out: {{risk: low, {own}}}\n{limit}\nmasking: {{{masking}}}")
    assert policy(f"tools:\n  pay_out: {{risk: low, {harmless}}}\n  {other}\n{limit}").version
