"""Loading is all or nothing, and says what is wrong, where, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import pytest

from agentguard.errors import PolicyError
from agentguard.model.marked_yaml import read_yaml
from agentguard.policy import Document, Source, load
from agentguard.policy.unenforced import unenforced, without
from tests.policy.policies import ROOT, policy, source

LINES = ROOT.count("\n")

WHOLE_LANGUAGE = """
version: 1
use: [library:email]
risk:
  low: allow
  medium: allow
  high: {ask: on-call}
  critical: {ask: stewards}
tools:
  get_customer: {risk: low, labels: [customer-data]}
  read_page: {risk: low, params: {url: [url]}}
  send_email: {risk: medium, params: {recipient: [to, cc, bcc], text: [body]}, reveal: {to: [EMAIL_ADDRESS]}, labels: []}
  "http_*": {risk: medium, params: {url: [url], text: [body]}}
  refund: {risk: high, ask: confirm, once: args.order_id, labels: []}
  export_customers: {risk: critical, title: "Export {{ args.limit }} customers", labels: [customer-data]}
  "shell_*": {risk: high, params: {shell: [command]}}
  "*": high
rules:
  - id: bulk-export
    tools: [export_customers]
    when: args.limit > 1000
    ask: board
    reason: Many customer records at once
  - id: leaving
    tools: ["send_*", "http_*"]
    when: '"untrusted" in session.labels && (params.recipient + params.url).exists(r, domain(r) != "acme.example")'
    deny: true
approvals:
  on-call: {approvers: [group:on-call], deadline: 10m}
  stewards: {approvers: [group:data-stewards], quorum: 2, deadline: 15m, notify: [slack:#data-approvals]}
  board: {approvers: [group:data-stewards, group:security], from_each: true, deadline: 4h}
masking:
  fields: {"**.full_name": PERSON}
  actions: {US_SSN: redact, "*": token}
  answer: [PERSON]
"""


def told(*sources: Source) -> str:
    with pytest.raises(PolicyError) as caught:
        load(sources)
    return str(caught.value)


def test_the_whole_language_loads_but_for_clauses_that_nothing_enforces() -> None:
    """Each clause that is not built yet is named with its place, and nothing else is refused."""
    problems = told(source(WHOLE_LANGUAGE.replace("deadline: 4h", "deadline: 4h, defer: true"))).splitlines()

    assert problems == [
        "policy.yaml:31:92: approvals.*.defer is not enforced by this version; remove it",
    ]


def test_the_whole_language_without_those_clauses_loads() -> None:
    """What is left when they are removed is a policy."""
    plain = (
        WHOLE_LANGUAGE.replace("use: [library:email]\n", "")
        .replace(", once: args.order_id", "")
        .replace("  answer: [PERSON]\n", "")
    )

    loaded = load([source(plain)])

    assert loaded.masking.actions == {"US_SSN": "redact", "*": "token"}
    assert sorted(loaded.document.tools)[:3] == ["*", "export_customers", "get_customer"]


@pytest.mark.parametrize(
    ("written", "clause"),
    [
        ("notify: []", "notify"),
        ("deployment: x", "deployment"),
        ("rules: [{id: r, tools: [a], deny: true, labels: x}]", "rules.*.labels"),
    ],
)
def test_a_clause_without_an_enforcer_is_refused_by_name(written: str, clause: str) -> None:
    """A declared control that nothing reads does not load."""
    assert f"{clause} is not enforced by this version" in told(source(ROOT + written))


def test_removing_clauses_keeps_the_rest_in_its_place() -> None:
    """The form of what is left is still checked, at the same paths."""
    marked = read_yaml("notify: x\ntools: {a: {risk: low, notify: b}}\nrules: [{labels: x}]\n", "f.yaml")

    left = without(marked.value, {path for path, _ in unenforced(marked.value)})

    assert left == {"tools": {"a": {"risk": "low"}}, "rules": [{}]}


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        pytest.param("tols: {}", "1:1: unknown key 'tols'; did you mean 'tools'?", id="unknown key"),
        pytest.param(
            "tools: {a: {risk: low, reveals: {}}}", "1:24: unknown key 'reveals'; did you mean 'reveal'?", id="knob"
        ),
        pytest.param("tools: {a: lo}", "1:12: tools.a: should be 'low', 'medium', 'high' or 'critical'", id="risk"),
        pytest.param("tools: {a: {ask: on-call}}", "'risk' is missing in tools.a", id="no risk"),
        pytest.param("tools: {a: {risk: low, deny: false}}", "tools.a.deny: should be true", id="deny false"),
        pytest.param("tools: {'send email': low}", "'send email' can never match a tool's name", id="never matches"),
        pytest.param("tools: {'a**': low}", "'a**' says '*' twice; write 'a*'", id="two stars"),
        pytest.param(f"tools: {{{'a' * 65}: low}}", "can never match a tool's name", id="too long"),
        pytest.param(
            "tools: {a: {risk: low, ask: boss}}", "1:24: no approval 'boss' is defined", id="undefined approval"
        ),
        pytest.param(
            "tools: {a: {risk: critical, ask: confirm}}", "a critical call can't be confirmed", id="confirm critical"
        ),
        pytest.param("tools: {a: {risk: low, labels: [Bad Label]}}", "'Bad Label' is not a label", id="label"),
        pytest.param(
            "tools: {a: {risk: low, params: {in: [x]}}}", "'in' is a word that conditions can't read", id="reserved"
        ),
        pytest.param("tools: {a: {risk: low, params: {url: []}}}", "the role 'url' has no argument", id="empty role"),
        pytest.param("tools: {a: {risk: low, params: {Url: [x]}}}", "'Url' is not a role", id="role"),
        pytest.param(
            "tools: {a: {risk: low, params: {url: [a..b]}}}", "'a..b' is not a path to an argument", id="path"
        ),
        pytest.param("tools: {a: {risk: low, reveal: {to: []}}}", "tools.a.reveal.to: ", id="empty reveal"),
        pytest.param("tools: {a: {risk: low, reveal: {to: [Mail]}}}", "'Mail' is not an entity type", id="entity type"),
        pytest.param(
            "tools: {a: {risk: low, title: '{{ x }}'}}", "1:31: a title reads args and tool, not x", id="title name"
        ),
        pytest.param("tools: {a: {risk: low, title: '{{ args.x'}}", "not a title template", id="title syntax"),
        pytest.param("tools: {'a*': low, '*a': low}", "'a*' and '*a' are equally specific", id="ambiguous"),
        pytest.param("rules: [{id: r, tools: [a]}]", "1:9: the rule 'r' does nothing", id="no effect"),
        pytest.param("rules: [{id: r, tools: [], deny: true}]", "rules.0.tools: ", id="no tools"),
        pytest.param("rules: [{id: R 1, tools: [a], deny: true}]", "'R 1' is not a name", id="rule id"),
        pytest.param("rules: [{id: r, tools: ['a b'], deny: true}]", "'a b' can never match", id="rule pattern"),
        pytest.param("rules: [{id: r, tools: [a], deny: false}]", "rules.0.deny: should be true", id="rule deny false"),
        pytest.param("rules: [{id: r, tools: [a], allow: true}]", "unknown key 'allow'", id="rules can't allow"),
        pytest.param(
            "rules: [{id: r, tools: [a], ask: nobody}]", "no approval 'nobody' is defined", id="rule approval"
        ),
        pytest.param(
            "rules: [{id: r, tools: [a], ask: confirm, risk: critical}]",
            "a critical call can't be confirmed",
            id="rule confirm",
        ),
        pytest.param(
            "rules: [{id: r, tools: [a], deny: true}, {id: r, tools: [b], deny: true}]",
            "1:42: rule 'r' is defined twice; remove one; the first is at",
            id="rule twice",
        ),
        pytest.param(
            "masking: {actions: {PERSON: hide}}", "masking.actions.PERSON: should be 'allow', 'token'", id="action"
        ),
        pytest.param("masking: {fields: {'**.n': person}}", "'person' is not an entity type", id="field type"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(written: str, problem: str) -> None:
    """Bad form and unsound clauses are load errors."""
    text = told(source(ROOT + written))

    assert problem in text.replace(f"policy.yaml:{LINES + 1}:", "1:")


@pytest.mark.parametrize(
    ("approval", "problem"),
    [
        ("{approvers: [], deadline: 1h}", "nobody could ever approve this"),
        ("{approvers: [group:a, group:a], deadline: 1h}", "an approver stands here twice"),
        ("{approvers: [ann], deadline: 1h}", "'ann' is not an approver; write group:NAME or person:NAME"),
        ("{approvers: [group:a]}", "'deadline' is missing"),
        ("{approvers: [group:a], deadline: 10}", "should be text"),
        ("{approvers: [group:a], deadline: 0m}", "'0m' is not a duration"),
        ("{approvers: [group:a], deadline: 31d}", "'31d' is not a duration of at most 30 days"),
        ("{approvers: [group:a], deadline: 1h, quorum: 0}", "quorum: should be greater than or equal to 1"),
        ("{approvers: [group:a], deadline: 1h, quorum: -1}", "quorum: should be greater than or equal to 1"),
        ("{approvers: [person:a, person:b], deadline: 1h, quorum: 3}", "a quorum of 3, but 2 can approve"),
        ("{approvers: [group:a], deadline: 1h, from_each: true}", "fewer than two or a person"),
        ("{approvers: [group:a, person:b], deadline: 1h, from_each: true}", "fewer than two or a person"),
        ("{approvers: [group:a], deadline: 1h, qourum: 2}", "unknown key 'qourum'; did you mean 'quorum'?"),
    ],
)
def test_an_approval_that_nobody_could_give_does_not_load(approval: str, problem: str) -> None:
    """Empty approvers, impossible quorums and unknown knobs are load errors."""
    assert problem in told(source(ROOT.replace("approvals:\n", f"approvals:\n  bad: {approval}\n")))


def test_confirm_is_a_reserved_name() -> None:
    """Nobody can redefine what the user's own confirmation is."""
    root = ROOT.replace("approvals:\n", "approvals:\n  confirm: {approvers: [group:a], deadline: 1h}\n")

    assert "confirm is the user's own confirmation" in told(source(root))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("low: allow", "low: {ask: on-call}", "policy.yaml:5:3: medium means allow, but low already means ask"),
        ("medium: allow", "medium: deny", "high means ask, but medium already means deny"),
        (
            "critical: {ask: stewards}",
            "critical: {ask: confirm}",
            "critical calls can't be confirmed by their own user",
        ),
        ("critical: {ask: stewards}", "critical: allow", "critical calls would run unasked"),
        ("  critical: {ask: stewards}\n", "", "'critical' is missing in risk"),
        ("low: allow", "low: alow", "policy.yaml:4:8: risk.low: should be 'allow' or 'deny'"),
        ("low: allow", "low: allow\n  none: allow", "unknown key 'none'"),
        ("high: {ask: on-call}", "high: {ask: nobody}", "policy.yaml:6:10: no approval 'nobody' is defined"),
        ("high: {ask: on-call}", "high: {ask: [on-call]}", "risk.high.ask: should be text"),
        ("version: 1", "version: 2", "version: should be 1"),
        ("version: 1\n", "", "'version' is missing"),
    ],
)
def test_risk_must_rise_and_be_complete(old: str, new: str, problem: str) -> None:
    """Each level is at least as strict as the one below it, and critical is never allowed or merely confirmed."""
    assert problem in told(source(ROOT.replace(old, new)))


@pytest.mark.parametrize("role", ["sql", "shell", "code", "url"])
@pytest.mark.parametrize("parameter", ["q", "q.text", "q.text.inner"])
def test_t27_no_token_is_restored_inside_a_text_that_is_executed(role: str, parameter: str) -> None:
    """`inside_text` in a parameter of role sql, shell, code or url is a load error, on any path that touches it."""
    tool = f"tools: {{a: {{risk: low, params: {{{role}: [q.text]}}, reveal: {{{parameter}: {{types: [PERSON], inside_text: true}}}}}}}}"

    assert f", whose role is {role}, " in told(source(ROOT + tool))


@pytest.mark.parametrize("role", ["sql", "shell", "code"])
def test_t27_no_value_is_given_to_what_executes_it(role: str) -> None:
    """Not even a whole one: it came from data, and would be run."""
    tool = f"tools: {{a: {{risk: low, params: {{{role}: [q]}}, reveal: {{q: [PERSON]}}}}}}"

    assert f"what a token in q, whose role is {role}, stands for would be executed" in told(source(ROOT + tool))


def test_a_whole_url_may_be_given() -> None:
    """It leads where the data said, and the model can change nothing about it."""
    loaded = policy("tools: {a: {risk: low, params: {url: [u]}, reveal: {u: [URL]}}}")

    assert [reveal.parameter for reveal in loaded.terms("a").reveal] == ["u"]


def test_a_reveal_has_a_short_and_a_long_form() -> None:
    """Both forms give the same kind of terms."""
    loaded = policy(
        "tools: {a: {risk: low, reveal: {to: [EMAIL_ADDRESS], body: {types: [PERSON], inside_text: true}}}}"
    )

    body, to = loaded.terms("a").reveal
    assert (body.parameter, body.entity_types, body.inside_text) == ("body", ("PERSON",), True)
    assert (to.parameter, to.entity_types, to.inside_text) == ("to", ("EMAIL_ADDRESS",), False)


@pytest.mark.parametrize(
    ("when", "problem"),
    [
        ("args.limit >", "Syntax error"),
        ("nope > 1", "undeclared reference to 'nope'"),
        ("sesion.labels == []", "did you mean session.labels?"),
        ("params.recipients.exists(r, true)", "did you mean params.recipient?"),
        ("session == 1", "undeclared reference to 'session'"),
        ("domain(5) == ''", "no matching overload"),
        ("size(params.url)", "this gives INT, not a boolean"),
        ("'text'", "this gives STRING, not a boolean"),
        ("'x' in data.entities && data.origin == []", "did you mean data.origins?"),
        ("((((((((((((((((((((((((((((((((((((((true))))))))))))))))))))))))))))))))))))))", "not a CEL expression"),
    ],
)
def test_a_bad_condition_is_a_load_error_at_its_place(when: str, problem: str) -> None:
    """Conditions are compiled and type-checked when the policy loads; unknown names get near ones."""
    text = told(source(ROOT + f'rules:\n  - id: r\n    tools: [a]\n    when: "{when}"\n    deny: true\n'))

    assert text.startswith(f"policy.yaml:{LINES + 4}:11: ")
    assert problem in text


def test_a_role_of_another_tool_is_known_to_every_condition() -> None:
    """A role declared anywhere can be read everywhere, and a role declared nowhere is an error."""
    rule = "rules: [{id: r, tools: [b], when: 'params.ticket.size() > 0', deny: true}]\n"

    assert policy("tools: {a: {risk: low, params: {ticket: [id]}}, b: low}\n" + rule)
    assert "undeclared reference to 'params.ticket'" in told(source(ROOT + rule))


def test_all_problems_of_all_files_come_at_once() -> None:
    """Nobody corrects a policy one error at a time."""
    text = told(source(ROOT + "tools: {a: lo}\nmode: x\n"), source("version: 1\nrulez: []\n", "b.yaml"))

    assert [line.split(":")[0] for line in text.splitlines()] == ["b.yaml", "policy.yaml", "policy.yaml"]


def test_only_the_root_holds_risk_approvals_and_masking() -> None:
    """Another file that declares them is told to move them."""
    text = told(source(ROOT), source("version: 1\nrisk: {}\napprovals: {}\nmasking: {}\n", "b.yaml"))

    assert text.splitlines() == [
        "b.yaml:2:1: risk stands outside the root; move it to policy.yaml",
        "b.yaml:3:1: approvals stands outside the root; move it to policy.yaml",
        "b.yaml:4:1: masking stands outside the root; move it to policy.yaml",
    ]


@pytest.mark.parametrize(
    ("sources", "problem"),
    [
        ([], "one root is needed, and there is none"),
        ([source("version: 1\n", "tools.yaml")], "one root is needed, and there is none"),
        ([source(ROOT, "a/policy.yaml"), source(ROOT, "b/policy.yaml")], "there is a/policy.yaml and b/policy.yaml"),
        (
            [source(ROOT), source("version: 1\n", "b.yaml"), source("version: 1\n", "b.yaml")],
            "b.yaml:1:1: the file is given twice",
        ),
        ([source("")], "the file is empty"),
    ],
    ids=["nothing", "no root", "two roots", "a file twice", "empty"],
)
def test_t20_a_policy_has_exactly_one_root(sources: list[Source], problem: str) -> None:
    """No files, no root, two roots and empty files do not load."""
    assert problem in told(*sources)


def test_a_tool_in_two_files_names_both_places() -> None:
    """A pattern that stands twice does not load, whichever file comes first."""
    problem = "b.yaml:2:9: tool pattern 'a' is defined twice; remove one; the first is at a.yaml:2:9"
    files = [
        source(ROOT),
        source("version: 1\ntools: {a: low}\n", "a.yaml"),
        source("version: 1\ntools: {a: high}\n", "b.yaml"),
    ]

    assert {told(*order) for order in permutations(files)} == {problem}


def test_a_check_of_another_package_is_placed_in_the_file() -> None:
    """Checks get the whole document and answer with paths; the places are those of the files."""

    def check(document: Document) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        yield ("approvals", "board", "quorum"), "too many", "fewer"
        yield ("tools", "a", "labels"), "strange", ""
        yield ("rules", 0, "ask"), document.rules[0].id, ""

    beside = source(
        "version: 1\ntools:\n  a: {risk: low, labels: []}\nrules:\n  - {id: r, tools: [a], ask: board}\n", "b.yaml"
    )
    with pytest.raises(PolicyError) as caught:
        load([source(ROOT), beside], checks=[check])

    assert str(caught.value).splitlines() == [
        "b.yaml:3:18: strange",
        "b.yaml:5:25: r",
        "policy.yaml:11:3: too many; fewer",
    ]


def test_the_version_is_the_meaning_not_the_text() -> None:
    """Comments and the order of lines leave the version as it is; a changed knob changes it."""
    one = policy("tools: {a: low, b: high}")
    same = policy("# said\ntools:\n  b: high\n  a: {risk: low}\n")
    split = policy("tools: {a: low}", "tools: {b: high}")
    other = policy("tools: {a: low, b: {risk: high, labels: []}}")

    assert one.version == same.version == split.version
    assert one.version != other.version
    assert one.version.startswith("sha256:")
    assert len(one.version) == len("sha256:") + 16
