"""What conditions read besides arguments: each name, and what happens where it is not known."""

from __future__ import annotations

from typing import Any

import pytest

from agentguard.model.calls import Principal
from agentguard.model.facts import Facts
from agentguard.model.listings import Hints, Listing
from agentguard.model.provenance import PlainProvenance
from agentguard.policy import Lock, SessionPart, Undecided, judge_kept, load, pin
from agentguard.policy.pins import pins_of
from tests.policy.policies import ANN, ROOT, policy, source

MONDAY_NIGHT = 1_767_650_400_000  # 2026-01-05T22:00:00Z
KNOWN = Facts(
    entities=("PERSON",),
    origins=("crm",),
    origin_labels=("customer-data",),
    labels=("untrusted", "found:US_SSN"),
    counts={"use": 3, "search": 2},
    time_ms=MONDAY_NIGHT,
    deployment="production",
    over=(),
)
WORDS = PlainProvenance("Pay ann@acme.example 50", {"read_mail": "from eve@evil.example: 70"})


def how(
    when: str, facts: Facts = KNOWN, words: Any = WORDS, arguments: dict[str, Any] | None = None, who: Principal = ANN
) -> str:
    """How the rule counted as met; its code where it failed; empty where it did not speak."""
    tools = "tools: {use: {risk: low, params: {recipient: [to]}}, other: low}"
    text = f"{tools}\nrules:\n  - id: r\n    tools: [use]\n    deny: true\n    when: >-\n      {when}\n"
    verdict = policy(text).classify("use", arguments or {}, who, facts, words)
    return next((clause.error or clause.met for clause in verdict.clauses if clause.id == "r"), "")


@pytest.mark.parametrize(
    "when",
    [
        'call.tool == "use"',
        'agent == "helper" && agent == call.agent',
        'user == "ann@acme.example" && user == call.user',
        'tenant == "acme"',
        '"untrusted" in session.labels',
        '"found:US_SSN" in session.labels',
        "session.counts.use == 3",
        'session.counts["search"] == 2',
        "session.counts.other == 0",
        'data.entities == ["PERSON"]',
        'data.origins == ["crm"]',
        'data.labels == ["customer-data"]',
        'deployment == "production"',
        'time > timestamp("2026-01-05T21:59:59Z")',
        'time.getHours("Europe/Warsaw") == 23',
        "time.getDayOfWeek() == 1",
        'user_wrote("ann@acme.example")',
        "user_wrote(50)",
        "user_wrote(50.0)",
        'user_wrote("50.00")',
        'user_wrote(["ann@acme.example", "50"])',
        "user_wrote([])",
        '!user_wrote("eve@evil.example")',
        '!user_wrote(["ann@acme.example", "eve@evil.example"])',
        'came_from("eve@evil.example") == ["read_mail"]',
        "came_from(70) == came_from([70, 50])",
        'came_from("bob@x.example") == []',
        'links("see http://x.example/a.") == ["http://x.example/a"]',
        "params.recipient.all(r, user_wrote(r))",
        "tool.hints == {}",
    ],
)
def test_each_name_has_its_value(when: str) -> None:
    """As the facts say."""
    assert how(when) == "true"


@pytest.mark.parametrize(
    ("when", "facts", "words"),
    [
        ('"untrusted" in session.labels', Facts(), None),
        ("session.counts.use > 5", Facts(), None),
        ("session.counts.nobody_knows_it > 5", KNOWN, None),
        ('time < timestamp("2020-01-01T00:00:00Z")', Facts(), None),
        ("tool.hints.destructive", KNOWN, None),
        ('!user_wrote("x")', KNOWN, None),
        ('user_wrote("ann@acme.example")', KNOWN, PlainProvenance(None, {})),
        ('"x" in came_from("abc")', KNOWN, None),
        ('"x" in came_from("it")', KNOWN, WORDS),
        ("user_wrote(true)", KNOWN, WORDS),
        ("user_wrote(null)", KNOWN, WORDS),
        ('user_wrote({"a": 1})', KNOWN, WORDS),
        ("user_wrote([null])", KNOWN, WORDS),
        ("user_wrote(args.missing)", KNOWN, WORDS),
        ('"x" in came_from(null)', KNOWN, WORDS),
    ],
)
def test_what_is_not_known_fails_and_so_is_met(when: str, facts: Facts, words: Any) -> None:
    """With a code; whichever way the condition asks."""
    assert how(when, facts, words) not in ("", "true")


def test_the_user_of_an_autonomous_agent_is_empty() -> None:
    """And nobody's name."""
    nobody = ANN.model_copy(update={"user": None})

    assert how('user == "" && call.user == ""', who=nobody) == "true"


def test_hints_are_what_the_pinned_tool_claimed() -> None:
    """Claims that it did not make are absent; a tool that is not pinned has none."""
    listing = Listing(name="use", hints=Hints(destructive=True, read_only=False))
    when = "tool.hints.destructive && !tool.hints.read_only && !has(tool.hints.open_world)"
    text = f"{ROOT}tools: {{use: low}}\nrules:\n  - {{id: r, tools: [use], deny: true, when: {when!r}}}\n"
    judged = load([source(text)], pins=pins_of(Lock(version=1, tools={"use": pin(listing)})))

    verdict = judged.classify("use", {}, ANN, Facts(over=()))

    assert [clause.met for clause in verdict.clauses if clause.id == "r"] == ["true"]


@pytest.mark.parametrize(
    ("when", "needs"),
    [
        ('"x" in session.labels', {SessionPart.LABELS}),
        ("session.counts.use > 1", {SessionPart.COUNTS}),
        ("user_wrote(args.to)", {SessionPart.SAID}),
        ('"x" in came_from(args.to) && user_wrote(args.to)', {SessionPart.SAID, SessionPart.BROUGHT}),
        ('session . labels == ["user_wrote(x)"]', {SessionPart.LABELS}),
        ('args.note == "user_wrote" || args.labels == [] || args.counts == 1', set()),
        ("args.session.labels == []", set()),
        ("true", set()),
    ],
)
def test_only_what_a_condition_reads_is_needed(when: str, needs: set[SessionPart]) -> None:
    """Words in texts, and arguments of the same name, are not."""
    text = f"tools: {{use: low, other: low}}\nrules:\n  - id: r\n    tools: [use]\n    deny: true\n    when: >-\n      {when}\n"
    judged = policy(text)

    assert judged.needs("use") == judged.kept == needs
    assert judged.needs("other") == set()


@pytest.mark.parametrize(
    ("when", "found"),
    [
        ('"found:PERSON" in session.labels', ("found:PERSON",)),
        ('session.labels.exists(l, l.startsWith("found:"))', ("found:PERSON", "found:US_SSN")),
        ('"untrusted" in session.labels', ()),
    ],
)
def test_what_masking_found_is_a_label_where_a_condition_could_ask(when: str, found: tuple[str, ...]) -> None:
    """For the types that it names, or for all."""
    text = f"tools: {{use: low}}\nrules:\n  - id: r\n    tools: [use]\n    deny: true\n    when: >-\n      {when}\n"

    assert policy(text).found_labels(["PERSON", "US_SSN"]) == found


def test_an_explanation_tells_the_facts_that_a_condition_read() -> None:
    """With what they were; never an argument, and nothing of facts that it did not read."""
    text = """tools: {use: low}
rules:
  - id: r
    tools: [use]
    deny: true
    when: >-
      "untrusted" in session.labels && session.counts.use > 1 && args.to != "data.origins" && data.labels != []
"""
    judged = policy(text)

    told = judged.explain(judged.classify("use", {"to": "secret"}, ANN, KNOWN), KNOWN)

    read = "session.labels: untrusted, found:US_SSN; session.counts: search 2, use 3; data.labels: customer-data"
    assert f"    it read {read}" in told.splitlines()
    assert "secret" not in told


def test_a_call_on_record_is_undecided_where_the_sessions_words_decide() -> None:
    """They are not on record."""
    text = "tools: {use: low}\nrules:\n  - {id: r, tools: [use], deny: true, when: '!user_wrote(args.to)'}\n"

    with pytest.raises(Undecided, match="words are not on record"):
        judge_kept(policy(text), "use", {"to": "x"}, ANN, KNOWN, lambda _: True)
