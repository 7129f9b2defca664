"""Verdicts: which clause wins, what rules add, and that whatever is unknown or broken means no."""

from __future__ import annotations

from functools import reduce

import pytest

from agentguard.model.calls import Principal
from agentguard.model.record import Json
from agentguard.model.verdicts import Effect, Risk
from agentguard.policy import load
from agentguard.policy.policy import NAMES_KEPT
from tests.policy.policies import ROOT, judge, needed, policy, source, spoke

TOOLS = """
tools:
  look: low
  send: {risk: medium, params: {recipient: [to, cc], text: [body]}, labels: []}
  wipe: critical
  refund: {risk: high, ask: confirm}
  never: {risk: low, deny: true}
  "sh*": high
"""


@pytest.mark.parametrize(
    ("tool", "effect", "risk", "needs"),
    [
        ("look", Effect.ALLOW, Risk.LOW, []),
        ("send", Effect.ALLOW, Risk.MEDIUM, []),
        ("shell", Effect.ASK, Risk.HIGH, ["on-call"]),
        ("wipe", Effect.ASK, Risk.CRITICAL, ["stewards"]),
        ("refund", Effect.ASK, Risk.HIGH, ["confirm"]),
        ("never", Effect.DENY, Risk.LOW, []),
    ],
)
def test_a_tool_gets_what_its_level_means_unless_it_has_its_own_ask(
    tool: str, effect: Effect, risk: Risk, needs: list[str]
) -> None:
    """Risk gives effect and approval; the tool's own `ask` stands in place of its level's."""
    verdict = judge(policy(TOOLS), tool)

    assert (verdict.effect, verdict.risk, needed(verdict)) == (effect, risk, needs)
    assert verdict.tool == tool


def test_a_level_that_denies_is_not_undone_by_the_tools_own_ask() -> None:
    """A tool can't ask its way out of a level that means deny."""
    root = ROOT.replace("critical: {ask: stewards}", "critical: deny")

    denying = load([source(root + "tools: {a: {risk: critical, ask: board}}")])

    assert judge(denying, "a").effect is Effect.DENY


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("send_mail", "send_mail"),
        ("send_sms", "send_*"),
        ("send_text", "send_t*"),
        ("sent", "*"),
        ("Send_mail", "*"),
        ("send_mailx", "send_mail*"),
        ("xsend_mail", "*"),
    ],
)
def test_t20_the_most_specific_pattern_wins(name: str, pattern: str) -> None:
    """Most literal characters win, whole names only, and case counts."""
    judged = policy('tools: {"*": high, "send_*": medium, "send_t*": low, send_mail: low, "send_mail*": low}')

    assert judged.terms(name).pattern == pattern


def test_a_tie_takes_the_higher_risk() -> None:
    """Two patterns as specific as each other: the riskier one is followed."""
    judged = policy('tools: {"ab*": low, "*ab": high}')

    assert judge(judged, "abab").risk is Risk.HIGH


@pytest.mark.parametrize("tool", ["unknown", "Look", "loo", "looks"])
def test_t20_a_tool_that_no_pattern_matches_is_denied(tool: str) -> None:
    """Without "*", what is not listed is denied by a clause that says so, and its results would be untrusted."""
    judged = policy(TOOLS)

    verdict = judge(judged, tool)

    assert (verdict.effect, verdict.risk, spoke(verdict)) == (Effect.DENY, Risk.CRITICAL, ["(unlisted)"])
    assert verdict.labels == judged.terms(tool).labels == ("untrusted",)
    assert str(verdict.clauses[0].place).startswith("policy.yaml:")


@pytest.mark.parametrize(
    "tool",
    ["", "a b", "look\n", "lооk", "a" * 65, "look\u200b", "a.b", "\ud800", "*", "look;rm", "x" * 1_000_000],
    ids=range(11),
)
def test_t23_a_name_that_no_tool_may_have_is_denied_even_with_a_star(tool: str) -> None:
    """Spaces, look-alikes, invisible characters and over-long names match nothing, and are shown escaped and cut."""
    judged = policy('tools: {"*": low}')

    verdict = judge(judged, tool)

    assert (verdict.effect, spoke(verdict)) == (Effect.DENY, ["(not a tool name)"])
    assert verdict.tool.isascii()
    assert len(verdict.tool) <= 64 * 10
    assert judged.terms(tool).reveal == ()
    assert not judged.needs(tool)
    assert judged.title(tool, {}) == verdict.tool


def test_names_chosen_by_a_model_do_not_grow_memory() -> None:
    """Only the last names are kept, however many are asked for."""
    judged = policy('tools: {"*": low}')

    verdicts = {judge(judged, f"t{number}").effect for number in range(NAMES_KEPT + 500)}

    assert verdicts == {Effect.ALLOW}
    assert judged.names_kept == NAMES_KEPT


def test_labels_left_out_mean_untrusted_and_an_empty_list_means_none() -> None:
    """What a result brings into the session is an obligation of the verdict."""
    judged = policy("tools: {a: low, b: {risk: low, labels: []}, c: {risk: low, labels: [z, customer-data]}}")

    assert [judge(judged, tool).labels for tool in "abc"] == [("untrusted",), (), ("customer-data", "z")]


RULES = """
rules:
  - {id: ask-board, tools: [send, look], when: args.n > 10, ask: board, reason: Many of them}
  - {id: deny-out, tools: ["s*"], when: 'params.recipient.exists(r, domain(r) != "acme.example")', deny: true}
  - {id: raise, tools: [look], when: 'call.user == ""', risk: critical}
  - {id: again, tools: [send], when: args.n > 100, ask: board}
"""


@pytest.mark.parametrize(
    ("tool", "arguments", "effect", "risk", "needs", "clauses"),
    [
        pytest.param("look", {"n": 1}, "allow", "low", [], ["look"], id="nothing speaks"),
        pytest.param("look", {"n": 11}, "ask", "low", ["board"], ["look", "ask-board"], id="ask"),
        pytest.param("send", {"n": 1, "to": "x@evil.example"}, "deny", "medium", [], ["send", "deny-out"], id="deny"),
        pytest.param(
            "send",
            {"n": 11, "cc": ["x@evil.example"]},
            "deny",
            "medium",
            [],
            ["send", "ask-board", "deny-out"],
            id="deny beats ask",
        ),
        pytest.param(
            "send", {"n": 200}, "ask", "medium", ["board"], ["send", "again", "ask-board"], id="one need for two asks"
        ),
        pytest.param("send", {"n": 1, "to": None}, "allow", "medium", [], ["send"], id="null is no recipient"),
        pytest.param("send", {"n": 1, "to": ["bob@ACME.example"]}, "allow", "medium", [], ["send"], id="inside"),
    ],
)
def test_rules_add_up_and_the_strictest_wins(
    tool: str, arguments: dict[str, Json], effect: str, risk: str, needs: list[str], clauses: list[str]
) -> None:
    """Deny beats ask beats allow, every ask is needed once, and each clause that spoke is named."""
    verdict = judge(policy(TOOLS + RULES), tool, arguments)

    assert (verdict.effect, verdict.risk, needed(verdict), spoke(verdict)) == (effect, risk, needs, clauses)


def test_a_risk_that_a_rule_raises_brings_in_its_level() -> None:
    """The level's approval is needed on top of what the tool asks for itself."""
    autonomous = Principal(tenant="acme", agent="helper", user=None, session="s1")
    judged = policy(TOOLS + RULES + "  - {id: up, tools: [refund], risk: critical}\n")

    raised = judge(judged, "look", {"n": 1}, principal=autonomous)
    added = judge(judged, "refund")

    assert (raised.effect, raised.risk, needed(raised)) == (Effect.ASK, Risk.CRITICAL, ["stewards"])
    assert (added.risk, needed(added)) == (Risk.CRITICAL, ["confirm", "stewards"])


def test_a_rule_that_names_a_lower_risk_lowers_nothing() -> None:
    """Rules may only make a verdict stricter."""
    judged = policy("tools: {a: critical}\nrules: [{id: r, tools: [a], risk: low}]")

    verdict = judge(judged, "a")

    assert (verdict.risk, verdict.effect, needed(verdict)) == (Risk.CRITICAL, Effect.ASK, ["stewards"])


def test_needs_keep_their_own_quorum_and_deadline() -> None:
    """Each need carries who, how many and how long."""
    judged = policy("tools: {a: {risk: high, ask: confirm}}\nrules: [{id: r, tools: [a], ask: board, risk: critical}]")

    board, confirm, stewards = judge(judged, "a").needs

    assert (board.approvers, board.from_each, board.deadline_seconds) == (
        ("group:data-stewards", "group:security"),
        True,
        14400,
    )
    assert (confirm.approvers, confirm.deadline_seconds) == ((), 600)
    assert (stewards.quorum, stewards.deadline_seconds) == (2, 900)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param({}, "NOT_FOUND", id="absent"),
        pytest.param({"n": "11"}, "UNKNOWN", id="text"),
        pytest.param({"n": None}, "UNKNOWN", id="null"),
        pytest.param({"n": [11]}, "UNKNOWN", id="list"),
        pytest.param({"n": 2**70}, None, id="over 64 bits"),
        pytest.param({"n": float("nan")}, "NOT_CANONICAL", id="NaN"),
        pytest.param({"n": 11, "x": "\ud800"}, "NOT_CANONICAL", id="surrogate"),
        pytest.param({"n": 11, "x": b"bytes"}, "NOT_CANONICAL", id="bytes"),
    ],
)
def test_t20_a_condition_that_fails_counts_as_met(arguments: dict[str, Json], code: str | None) -> None:
    """An error is a code in the clause, the rule speaks, and no value is told."""
    verdict = judge(
        policy("tools: {a: low}\nrules: [{id: r, tools: [a], when: args.n > 10, deny: true}]"), "a", arguments
    )

    assert verdict.effect is Effect.DENY
    assert verdict.clauses[1].met == "error"
    assert verdict.clauses[1].error == (code or verdict.clauses[1].error)
    assert verdict.clauses[1].error.replace("_", "").isalpha()


@pytest.mark.parametrize(
    "when",
    [
        "args.flag",
        "!args.flag",
        "args.flag ? true : false",
        "[args.flag][0]",
        "args.deep.flag",
        "args.list.map(x, x)[0]",
    ],
)
@pytest.mark.parametrize("flag", ["yes", 1, 0, "", None, [], {"a": 1}], ids=str)
def test_t20_a_result_counts_only_if_it_is_a_boolean(when: str, flag: Json) -> None:
    """What looks true or false in another type is met, because the policy did not say what it means."""
    judged = policy(f'tools: {{a: low}}\nrules: [{{id: r, tools: [a], when: "{when}", deny: true}}]')

    assert judge(judged, "a", {"flag": flag, "list": [flag], "deep": {"flag": flag}}).effect is Effect.DENY


def test_a_condition_that_is_plainly_false_does_not_speak() -> None:
    """A BOOL false is the only result that is not met."""
    judged = policy('tools: {a: low}\nrules: [{id: r, tools: [a], when: "args.flag", deny: true}]')

    assert judge(judged, "a", {"flag": False}).effect is Effect.ALLOW
    assert judge(judged, "a", {"flag": True}).clauses[1].met == "true"


def test_t29_arguments_too_deep_for_cel_never_reach_it() -> None:
    """10,000 levels would end the process; here they are an error, and the rule speaks."""
    nested = reduce(lambda inner, _: [inner], range(10_000), [1])
    judged = policy("tools: {a: low}\nrules: [{id: r, tools: [a], when: args.n == 1, deny: true}]")

    verdict = judge(judged, "a", {"n": nested})

    assert (verdict.effect, verdict.clauses[1].error) == (Effect.DENY, "NOT_CANONICAL")


BEHIND_A_ZERO: dict[str, tuple[str, Json]] = {
    "text": ("args.x.contains('evil')", "fine\0evil"),
    "equal": ("args.x != 'fine'", "fine\0evil"),
    "list": ("args.x.exists(each, each.contains('evil'))", ["fine", "fine\0evil"]),
    "key": ("args.x.exists(key, key.contains('evil'))", {"fine\0evil": 1}),
    "backslash before it": ("args.x.contains('evil')", "fine\\\0evil"),
    "role": ("params.url.exists(u, !host_in(u, ['a.example']))", "https://a.example\0.evil.example"),
    "shell": ("shell_commands(args.x).exists(c, c.name == 'rm')", "ls\0; rm -rf /"),
    "path": ("!path_under(args.x, '/srv')", "/srv/x\0/../../etc"),
    "domain": ("domain(args.x) != 'a.example'", "ann@a.example\0.evil.example"),
}


@pytest.mark.parametrize(("when", "value"), BEHIND_A_ZERO.values(), ids=BEHIND_A_ZERO.keys())
def test_t20_what_stands_behind_a_zero_is_not_out_of_sight(when: str, value: Json) -> None:
    """CEL would see text up to its first zero, and the tool gets all of it: the condition fails, and the rule speaks."""
    judged = policy(
        f'tools: {{a: {{risk: low, params: {{url: [x]}}}}}}\nrules: [{{id: r, tools: [a], when: "{when}", deny: true}}]'
    )
    verdict = judge(judged, "a", {"x": value})
    assert (verdict.effect, verdict.clauses[1].error) == (Effect.DENY, "NUL_IN_TEXT")


def test_text_that_writes_a_zero_as_an_escape_is_read_as_it_is() -> None:
    """Six characters, and no zero."""
    judged = policy("tools: {a: low}\nrules: [{id: r, tools: [a], when: 'size(args.x) != 8', deny: true}]")
    assert judge(judged, "a", {"x": "\\u0000ab"}).effect is Effect.ALLOW


def test_t29_a_condition_that_takes_too_long_is_met() -> None:
    """CEL's own budget ends a loop over large arguments, and the rule speaks."""
    judged = policy(
        "tools: {a: low}\nrules: [{id: r, tools: [a], when: 'args.n.exists(x, args.n.exists(y, x + y == -1))', deny: true}]"
    )

    verdict = judge(judged, "a", {"n": list(range(3000))})

    assert (verdict.effect, verdict.clauses[1].met) == (Effect.DENY, "error")


def test_an_error_tells_no_value() -> None:
    """What a failing function was given is not in the verdict."""
    judged = policy("tools: {a: low}\nrules: [{id: r, tools: [a], when: 'domain(args.to) == \"x\"', deny: true}]")

    verdict = judge(judged, "a", {"to": "canary-4711"})

    assert verdict.clauses[1].error == "NOT_FOUND"
    assert "canary" not in verdict.canonical()
    assert "canary" not in judged.explain(verdict)


SESSION = """
tools: {a: low, b: low, c: low, d: low}
rules:
  - {id: r1, tools: [a], when: '"untrusted" in session.labels', deny: true}
  - {id: r2, tools: [b], when: '[1].exists(session, session == args.n)', deny: true}
  - {id: r3, tools: [c], deny: true}
  - {id: r4, tools: [d], when: 'args.n == 2 || session.labels.size() > 0', deny: true}
"""


def test_only_a_clause_that_reads_the_session_needs_its_labels() -> None:
    """A variable that is merely called session, and a rule without condition, read nothing."""
    judged = policy(SESSION)

    assert [bool(judged.needs(tool)) for tool in ("a", "b", "c", "d", "e")] == [True, False, False, True, False]


TIME = "rules:\n  - {id: r, tools: [a], when: 'time.getHours(\"UTC\") < 8', deny: true}\n"
COUNTS = "rules:\n  - {id: r, tools: [a], when: 'session.counts[\"a\"] > 8', deny: true}\n"


@pytest.mark.parametrize(
    ("text", "tools"),
    [
        pytest.param(SESSION, ["b", "no tool"], id="the session"),
        pytest.param("tools: {a: low, b: low}\n" + TIME, ["b", "no tool"], id="the time"),
        pytest.param("tools: {a: low, b: low}\n" + COUNTS, [], id="counts, which every call is part of"),
        pytest.param("tools: {a: low, b: low}\n", ["a", "b", "no tool"], id="nothing"),
    ],
)
def test_calls_are_judged_by_arguments_alone_where_no_clause_looks_at_more(text: str, tools: list[str]) -> None:
    """What is asked of the session, or of the clock, is asked for whoever needs it."""
    judged = policy(text)

    assert [tool for tool in ("a", "b", "no tool") if judged.goes_by_arguments(tool)] == tools


@pytest.mark.parametrize(("labels", "effect"), [(["untrusted"], "deny"), ([], "allow"), (None, "deny")])
def test_labels_that_were_not_read_count_as_met(labels: list[str] | None, effect: str) -> None:
    """A condition over labels that nobody read fails, and is met."""
    assert judge(policy(SESSION), "a", labels=labels).effect == effect


def test_conditions_read_facts_and_the_caller() -> None:
    """Entities, origins, tool, agent and user are there to be read."""
    judged = policy(
        "tools: {a: low}\nrules: [{id: r, tools: [a], deny: true, when: '"
        '"PERSON" in data.entities && data.origins == ["crm"] && call.tool == "a"'
        ' && call.agent == "helper" && call.user.endsWith("@acme.example")'
        "'}]"
    )

    assert judge(judged, "a", entities=["PERSON"], origins=["crm"]).effect is Effect.DENY
    assert judge(judged, "a", entities=["PERSON"], origins=["web"]).effect is Effect.ALLOW


def test_the_terms_of_a_tool_are_its_patterns_knobs() -> None:
    """Roles, labels, reveal and title come from the pattern that won."""
    judged = policy(
        'tools: {"*": high, send: {risk: low, params: {url: [u.v]}, title: "Send {{ args.n }}", labels: [x]}}'
    )

    terms = judged.terms("send")

    assert (terms.pattern, terms.params, terms.labels, terms.title) == (
        "send",
        {"url": ("u.v",)},
        ("x",),
        "Send {{ args.n }}",
    )
    assert judged.title("send", {"n": 3}) == "Send 3"
    assert judged.title("other", {}) == "other"


def test_explain_says_each_clause_with_its_place() -> None:
    """A verdict in plain words, with file and line, and who would have to approve."""
    judged = policy(TOOLS + RULES)

    text = judged.explain(judge(judged, "look", {}))

    assert "look must be asked about; risk low" in text
    assert "tools look says allow at risk low" in text
    assert (
        "rule ask-board says ask for board: Many of them (its condition failed with NOT_FOUND, which counts as met)"
        in text
    )
    assert "needs board: 1 in each of group:data-stewards, group:security, within 14400 s" in text
    assert judged.version in text
