"""Two policies side by side: what became laxer, what stricter, and that nothing is left out."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from agentguard.cli.app import app
from agentguard.model.listings import Listing
from agentguard.policy import Policy, Way, compare, load, pin
from agentguard.policy.directions import JUDGES, opposite
from agentguard.policy.pins import Lock, pins_of
from tests.policy.policies import ROOT, policy, source

LAXER, STRICTER, UNCLEAR = Way.LAXER, Way.STRICTER, Way.UNCLEAR


def changes(old: Policy, new: Policy) -> list[tuple[Way, str]]:
    """What differs, each with its way."""
    return [(change.way, change.what) for change in compare(old, new)]


def tool(terms: str) -> str:
    return f"tools: {{t: {terms}}}\n"


def rule(terms: str, tools: str = "[t]") -> str:
    return f"tools: {{t: low, u: low}}\nrules: [{{id: r, tools: {tools}, {terms}}}]\n"


FIVE = "max: 5, over: 1h, deny: true"


def limit(terms: str, tools: str = "[t]") -> str:
    return f"tools: {{t: low, u: low}}\nlimits: {{l: {{tools: {tools}, {terms}}}}}\n"


@pytest.mark.parametrize(
    ("old", "new", "ways"),
    [
        pytest.param(tool("medium"), tool("low"), [(LAXER, "tools t")], id="risk"),
        pytest.param(tool("high"), tool("low"), [(LAXER, "tools t"), (LAXER, "tools t")], id="risk and effect"),
        pytest.param(tool("{risk: low, deny: true}"), tool("low"), [(LAXER, "tools t")], id="deny"),
        pytest.param(tool("{risk: high, ask: board}"), tool("high"), [(UNCLEAR, "tools t")], id="another approval"),
        pytest.param(
            tool("{risk: low, labels: [a, b]}"), tool("{risk: low, labels: [a]}"), [(LAXER, "tools t")], id="labels"
        ),
        pytest.param(tool("low"), tool("{risk: low, labels: []}"), [(LAXER, "tools t")], id="untrusted by default"),
        pytest.param(
            tool("{risk: low, params: {url: [a, b]}}"),
            tool("{risk: low, params: {url: [a]}}"),
            [(LAXER, "tools t")],
            id="params",
        ),
        pytest.param(
            tool("low"), tool("{risk: low, reveal: {to: [EMAIL_ADDRESS]}}"), [(LAXER, "tools t")], id="reveal"
        ),
        pytest.param(
            tool("{risk: low, reveal: {to: [PERSON]}}"),
            tool("{risk: low, reveal: {to: {types: [PERSON], inside_text: true}}}"),
            [(UNCLEAR, "tools t")],
            id="reveal inside text",
        ),
        pytest.param(tool("high"), tool("{risk: high, mode: shadow}"), [(LAXER, "tools t")], id="shadow"),
        pytest.param("tools: {}\n", tool("low"), [(LAXER, "tools t")] * 2, id="listed now"),
        pytest.param(
            "tools: {'*': low}\n",
            "tools: {'*': low, t: high}\n",
            [(STRICTER, "tools t")] * 2,
            id="a pattern of its own",
        ),
        pytest.param("tools: {'*': low}\n", "tools: {'*': low, 't_*': low}\n", [], id="a pattern that says the same"),
        pytest.param(rule("deny: true"), "tools: {t: low, u: low}\n", [(LAXER, "rule r")], id="rule gone"),
        pytest.param(
            rule("deny: true"), rule("deny: true, when: 'args.x > 1'"), [(LAXER, "rule r")], id="condition added"
        ),
        pytest.param(
            rule("deny: true, when: 'args.x > 1'"),
            rule("deny: true, when: 'args.x > 2'"),
            [(UNCLEAR, "rule r")],
            id="another condition",
        ),
        pytest.param(rule("deny: true", "[t, u]"), rule("deny: true"), [(LAXER, "rule r")], id="fewer tools"),
        pytest.param(rule("deny: true"), rule("deny: true", "[u]"), [(UNCLEAR, "rule r")], id="other tools"),
        pytest.param(rule("risk: high"), rule("risk: medium"), [(LAXER, "rule r")], id="lower risk"),
        pytest.param(rule("deny: true, ask: board"), rule("deny: true"), [(LAXER, "rule r")], id="asks nobody"),
        pytest.param(
            rule("ask: on-call"), rule("ask: on-call, mode: shadow"), [(LAXER, "rule r")], id="rule in shadow"
        ),
        pytest.param(rule("ask: on-call"), rule("ask: on-call, reason: Because"), [], id="reason"),
        pytest.param("tools: {t: low, u: low}\n", rule("ask: on-call, mode: shadow"), [], id="new rule in shadow"),
        pytest.param(limit(FIVE), limit("max: 6, over: 1h, deny: true"), [(LAXER, "limit l")], id="more"),
        pytest.param(limit("max: 5, over: 60m, deny: true"), limit(FIVE), [], id="same window"),
        pytest.param(limit(FIVE.replace("1h", "2h")), limit(FIVE), [(LAXER, "limit l")], id="shorter window"),
        pytest.param(
            limit(FIVE + ", per: user"), limit(FIVE + ", per: [user, tool]"), [(LAXER, "limit l")], id="narrower scope"
        ),
        pytest.param(
            limit(FIVE),
            limit(FIVE.replace("deny: true", "ask: board")),
            [(UNCLEAR, "limit l"), (LAXER, "limit l")],
            id="asks now",
        ),
        pytest.param(limit(FIVE), "tools: {t: low, u: low}\n", [(LAXER, "limit l")], id="limit gone"),
    ],
)
def test_a_change_has_its_way_and_going_back_the_other(old: str, new: str, ways: list[tuple[Way, str]]) -> None:
    """Each change is told once, and undoing it is the opposite."""
    before, now = policy(old), policy(new)
    assert changes(before, now) == ways
    assert sorted(way for way, _ in changes(now, before)) == sorted(opposite(way) for way, _ in ways)


@pytest.mark.parametrize(
    ("old", "new", "ways"),
    [
        pytest.param("quorum: 2", "quorum: 1", [LAXER], id="quorum"),
        pytest.param("deadline: 15m", "deadline: 20m", [LAXER], id="deadline"),
        pytest.param("deadline: 10m", "deadline: 600s", [], id="same deadline"),
        pytest.param("deadline: 10m", "deadline: 10m, remind: 1m", [], id="reminders"),
        pytest.param(
            "deadline: 10m", "deadline: 10m, escalate: [{after: 5m, to: [person:ann]}]", [LAXER], id="escalation"
        ),
        pytest.param("version: 1", "version: 1\nasking: {pending: 10}", [STRICTER], id="fewer wait"),
        pytest.param("version: 1", "version: 1\nasking: {per_minute: 100}", [LAXER], id="more a minute"),
        pytest.param("version: 1", "version: 1\nasking: {pause: 1m}", [LAXER], id="a shorter pause"),
        pytest.param("version: 1", "version: 1\nasking: {after_rejection: 600s}", [], id="as long after a rejection"),
        pytest.param("from_each: true, ", "", [LAXER], id="from_each"),
        pytest.param("[group:on-call]", "[group:on-call, person:ann]", [LAXER], id="one more approver"),
        pytest.param("[group:on-call]", "[person:ann]", [UNCLEAR], id="another approver"),
        pytest.param("high: {ask: on-call}", "high: allow", [LAXER], id="level"),
        pytest.param("high: {ask: on-call}", "high: {ask: board}", [UNCLEAR], id="level asks others"),
        pytest.param("version: 1", "version: 1\nmasking: {actions: {US_SSN: redact}}", [STRICTER], id="action"),
        pytest.param("version: 1", "version: 1\nmasking: {actions: {US_SSN: allow}}", [LAXER], id="in clear"),
        pytest.param("version: 1", "version: 1\nmasking: {fields: {badge: EMPLOYEE_ID}}", [STRICTER], id="field"),
        pytest.param("version: 1", "version: 1\nmasking: {deny: {PROJECT: [Blue Falcon]}}", [STRICTER], id="deny list"),
        pytest.param("version: 1", "version: 1\nmasking: {packs: [india]}", [STRICTER], id="pack"),
        pytest.param("version: 1", "version: 1\nmasking: {allow: {PERSON: [Ann Lee]}}", [LAXER], id="allow list"),
        pytest.param("version: 1", "version: 1\nmasking: {thresholds: {URL: 0.4}}", [UNCLEAR], id="threshold"),
        pytest.param("version: 1", "version: 1\nmode: shadow", [LAXER], id="mode"),
    ],
)
def test_sections_of_the_root_are_compared(old: str, new: str, ways: list[Way]) -> None:
    """Approvals, levels, masking and mode."""
    before, now = (load([source(text + "tools: {}\n")]) for text in (ROOT, ROOT.replace(old, new)))
    assert [way for way, _ in changes(before, now)] == ways


def test_pins_are_compared() -> None:
    """A tool that is pinned is trusted as it is; that nothing is pinned any more trusts all."""
    pins = pins_of(Lock(version=1, tools={"t": pin(Listing(name="t", description="", input_schema={}))}))
    bare, pinned, empty = (
        load([source(ROOT + "tools: {t: low}\n")], pins=each)
        for each in (None, pins, pins_of(Lock(version=1, tools={})))
    )
    assert changes(bare, pinned) == [(STRICTER, "pins")]
    assert changes(pinned, bare) == [(LAXER, "pins")]
    assert changes(empty, pinned) == [(LAXER, "pin of t")]


def test_a_policy_does_not_differ_from_itself() -> None:
    """Nor does its text in another order."""
    old = policy(
        "tools: {a: low, b: high}\nrules: [{id: x, tools: [a, b], deny: true}, {id: y, tools: [a], deny: true}]\n"
    )
    new = policy(
        "rules: [{id: y, tools: [a], deny: true}, {id: x, tools: [b, a], deny: true}]\ntools: {b: high, a: low}\n"
    )
    assert changes(old, old) == changes(old, new) == []


@pytest.mark.parametrize("kind", list(JUDGES), ids=lambda kind: kind.__name__)
def test_every_judge_has_a_key(kind: type) -> None:
    """A judge of a key that no entry has would be dead."""
    known = set(kind.model_fields) | {name for name in dir(kind) if not name.startswith("_")}  # type: ignore[attr-defined]
    assert JUDGES[kind].keys() <= known


OLD = "version: 1\nrisk: {low: allow, medium: allow, high: deny, critical: deny}\ntools: {pay: low}\n"
PAY = "rules: [{id: large, tools: [pay], when: args.amount > %d, deny: true}]\n"
CASES = """\
- {name: a large one, tool: pay, args: {amount: 150}, expect: {effect: deny, risk: low}}
- {name: a small one, tool: pay, args: {amount: 1}, expect: {effect: allow, risk: low}}
"""


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A policy before and after a change of a condition; the cases stand beside the old one."""
    for name, amount in (("old", 100), ("new", 200)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "policy.yaml").write_text(OLD + PAY % amount)
    (tmp_path / "old" / "policy.cases.yaml").write_text(CASES)
    return tmp_path / "old", tmp_path / "new"


def test_calls_of_the_cases_settle_what_clauses_leave_open(folders: tuple[Path, Path]) -> None:
    """The condition is another; over the cases one call became laxer, and CI fails."""
    done = CliRunner().invoke(app, ["policy", "diff", *map(str, folders)])
    lines = done.stdout.splitlines()
    assert done.exit_code == 1
    assert lines[0].startswith("laxer")
    assert "case 'a large one': allow, was deny" in lines[0]
    assert lines[1].startswith("unclear")
    assert "new/policy.yaml:4:9: rule large: when" in lines[1]
    assert lines[2:] == []
    assert done.stderr == "error: 1 laxer, 1 unclear, 0 stricter\n"


@pytest.mark.parametrize(("order", "code"), [((0, 0), 0), ((0, 1), 1)], ids=["same", "changed"])
def test_the_exit_code_says_whether_something_may_be_laxer(
    folders: tuple[Path, Path], order: tuple[int, int], code: int
) -> None:
    """0 where nothing is laxer, 1 where something is or may be."""
    assert CliRunner().invoke(app, ["policy", "diff", *(str(folders[each]) for each in order)]).exit_code == code


def test_stricter_alone_passes(folders: tuple[Path, Path]) -> None:
    """A change that only adds holds up no merge."""
    (folders[1] / "policy.yaml").write_text(OLD + PAY % 100 + "use: []\n")
    (folders[1] / "more.yaml").write_text(
        "version: 1\nrules: [{id: more, tools: [pay], when: args.amount > 50, deny: true}]\n"
    )
    done = CliRunner().invoke(app, ["policy", "diff", "--json", *map(str, folders)])
    assert done.exit_code == 0
    assert '"way": "stricter", "what": "rule more", "how": "is new"' in done.stdout
