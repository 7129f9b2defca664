"""What is in shadow decides nothing, and tells what it would have decided."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard.errors import PolicyError
from agentguard.model.facts import Facts
from agentguard.model.verdicts import Effect, Risk, Verdict
from agentguard.policy import Policy, Source, load
from tests.policy.policies import ANN, ROOT, judge, needed, policy, source, spoke

TOOLS = "tools: {read: {risk: low, labels: [seen]}, 'pay_*': high, '*': critical}\n"
STRICT = ["deny: true", "ask: board", "risk: critical", "ask: stewards, risk: high"]


def said(verdict: Verdict) -> tuple[Effect, Risk, list[str], list[str]]:
    """What follows from a verdict."""
    return verdict.effect, verdict.risk, spoke(verdict), needed(verdict)


@pytest.mark.parametrize("what", STRICT)
@pytest.mark.parametrize("tool", ["read", "pay_bill", "other"])
def test_a_rule_in_shadow_changes_no_verdict_and_is_told(what: str, tool: str) -> None:
    """The same rule enforced gives the very verdict that shadow tells."""
    without = policy(TOOLS)
    shadowed = policy(TOOLS + f"rules: [{{id: r, tools: ['*'], {what}, mode: shadow}}]")
    enforced = judge(policy(TOOLS + f"rules: [{{id: r, tools: ['*'], {what}}}]"), tool)

    verdict = judge(shadowed, tool)

    assert said(verdict) == said(judge(without, tool))
    assert verdict.shadow is not None
    assert (verdict.shadow.effect, verdict.shadow.risk, verdict.shadow.needs) == (
        enforced.effect,
        enforced.risk,
        enforced.needs,
    )


def test_a_rule_in_shadow_that_does_not_speak_leaves_no_trace() -> None:
    """Nor does one in enforce mode bring shadow into a verdict."""
    shadowed = policy(
        TOOLS + "rules: [{id: r, tools: [read], when: args.n > 5, deny: true, mode: shadow}, "
        "{id: e, tools: [read], risk: medium}]"
    )

    assert judge(shadowed, "read", {"n": 1}).shadow is None
    assert judge(shadowed, "read", {"n": 6}).shadow is not None


@given(
    st.lists(st.tuples(st.sampled_from(STRICT), st.sampled_from(["enforce", "shadow"])), max_size=6),
    st.sampled_from(["read", "pay_bill", "other"]),
)
def test_what_is_enforced_never_depends_on_what_is_in_shadow(rules: list[tuple[str, str]], tool: str) -> None:
    """Whatever rules there are, the verdict is that of the enforced ones alone."""
    written = [
        (f"{{id: r{index}, tools: ['*'], {what}, mode: {mode}}}", mode) for index, (what, mode) in enumerate(rules)
    ]
    every = policy(TOOLS + f"rules: [{', '.join(rule for rule, _ in written)}]")
    enforced = policy(TOOLS + f"rules: [{', '.join(rule for rule, mode in written if mode == 'enforce')}]")

    assert said(judge(every, tool)) == said(judge(enforced, tool))


@pytest.mark.parametrize("entry", ["{risk: low, mode: shadow}", "{risk: critical, deny: true, mode: shadow}"])
def test_a_tool_in_shadow_leaves_the_enforced_entry_in_charge(entry: str) -> None:
    """Laxer or stricter, with other knobs: the most specific enforced entry speaks, and its knobs are the tool's."""
    judged = policy(TOOLS + "  \n").classify  # as if the entry were not there
    shadowed = policy(TOOLS.replace("}\n", f", pay_bill: {entry}}}\n"))

    verdict = judge(shadowed, "pay_bill")

    assert said(verdict) == said(judged("pay_bill", {}, ANN, Facts(over=())))
    assert verdict.shadow is not None
    assert verdict.shadow.effect is (Effect.DENY if "deny" in entry else Effect.ALLOW)
    assert shadowed.terms("pay_bill").pattern == "pay_*"


def test_a_tool_that_only_shadow_speaks_for_is_not_listed() -> None:
    """A file in shadow beside an enforced root opens nothing."""
    judged = policy("tools: {read: low}", "mode: shadow\ntools: {open_door: low}")

    verdict = judge(judged, "open_door")

    assert (verdict.effect, spoke(verdict)) == (Effect.DENY, ["(unlisted)"])
    assert verdict.shadow is not None
    assert verdict.shadow.effect is Effect.ALLOW


def whole_in_shadow(more: str = "", beside: str = "") -> Policy:
    """A policy whose root is in shadow."""
    root = "mode: shadow\n" + ROOT + TOOLS.replace("'*': critical", "'never_*': {risk: low, deny: true}") + more
    return load([source(root), *([Source(file="beside.yaml", text="version: 1\n" + beside)] if beside else [])])


@pytest.mark.parametrize(
    ("tool", "effect"),
    [("read", Effect.ALLOW), ("pay_bill", Effect.ASK), ("never_this", Effect.DENY), ("nobody_listed", Effect.DENY)],
)
def test_a_policy_in_shadow_lets_every_call_pass(tool: str, effect: Effect) -> None:
    """And says what it would do, a tool that nobody listed included."""
    verdict = judge(whole_in_shadow(), tool)

    assert (verdict.effect, verdict.risk, verdict.needs) == (Effect.ALLOW, Risk.LOW, ())
    assert verdict.shadow is not None
    assert verdict.shadow.effect is effect


def test_beside_a_root_in_shadow_what_says_enforce_is_enforced() -> None:
    """A rule, and a whole file."""
    judged = whole_in_shadow(
        "rules: [{id: r, tools: ['pay_*'], deny: true, mode: enforce}]", "mode: enforce\ntools: {wipe: critical}"
    )

    assert judge(judged, "pay_bill").effect is Effect.DENY
    assert needed(judge(judged, "wipe")) == ["stewards"]
    assert judge(judged, "read").effect is Effect.ALLOW


def test_knobs_count_in_a_policy_in_shadow_too() -> None:
    """Masking, revealing and labels are not in shadow."""
    assert judge(whole_in_shadow(), "read").labels == ("seen",)


def test_a_limit_in_shadow_is_counted_and_holds_nothing_up() -> None:
    """Over it, or with nothing to count, the call passes."""
    judged = policy(TOOLS + "limits: {l: {tools: [read], sum: args.n, max: 5, over: 1h, deny: true, mode: shadow}}")
    facts = Facts(over=("l",))

    over = judged.classify("read", {"n": 9}, ANN, facts)
    strange = judged.classify("read", {"n": "x"}, ANN, Facts())

    assert over.effect is strange.effect is Effect.ALLOW
    assert over.shadow is not None
    assert strange.shadow is not None
    assert over.shadow.effect is strange.shadow.effect is Effect.DENY
    assert [charge.if_over for charge in judged.charges("read", {"n": 9}, ANN)] == ["note"]
    assert judged.charges("read", {"n": "x"}, ANN) == ()


def test_only_an_enforced_rule_needs_the_session() -> None:
    """One in shadow reads it where it can."""
    rule = "rules: [{id: r, tools: [read], when: '\"x\" in session.labels', deny: true, mode: MODE}]"
    shadowed, enforced = (policy(TOOLS + rule.replace("MODE", mode)) for mode in ("shadow", "enforce"))

    assert (bool(shadowed.needs("read")), bool(shadowed.enforced_needs("read"))) == (True, False)
    assert (bool(enforced.needs("read")), bool(enforced.enforced_needs("read"))) == (True, True)
    assert judge(shadowed, "read", labels=None).effect is Effect.ALLOW


def test_shadow_overrides_nothing() -> None:
    """A used entry is not replaced by one that decides nothing."""
    files = [
        Source(file="policy.yaml", text=ROOT + "tools: {send: {risk: low, override: true, mode: shadow}}"),
        Source(file="mail.yaml", text="version: 1\ntools: {send: high}", used=True),
    ]

    with pytest.raises(PolicyError, match="an entry in shadow decides nothing"):
        load(files)


def test_a_file_taken_in_has_the_mode_of_the_root_unless_it_has_its_own() -> None:
    """So that a whole policy can be tried, and a library with it."""

    def effects(mode: str) -> list[Effect]:
        files = [
            Source(file="policy.yaml", text="mode: shadow\n" + ROOT + "tools: {read: low}"),
            Source(file="mail.yaml", text=f"version: 1\n{mode}\ntools: {{send: high}}", used=True),
        ]
        return [judge(load(files), "send").effect]

    assert effects("") == [Effect.ALLOW]
    assert effects("mode: enforce") == [Effect.ASK]


def test_explain_tells_what_shadow_would_do() -> None:
    """With the clauses in shadow, and their places."""
    judged = policy(TOOLS + "rules: [{id: r, tools: [read], ask: board, mode: shadow}]")

    told = judged.explain(judge(judged, "read"))

    assert "read is allowed; risk low" in told
    assert "with what is in shadow it must be asked about; risk low" in told
    assert "rule r says ask for board" in told
