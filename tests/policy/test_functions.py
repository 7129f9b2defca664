"""Functions in conditions: checked when the policy loads, loaded when they are called for, failing closed."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from agentguard.errors import PolicyError
from agentguard.model.verdicts import Clause
from tests.policy.policies import judge, policy


def clause(when: str, arguments: dict[str, Any]) -> Clause | None:
    """The rule's clause, if its condition counted as met."""
    judged = policy(f"tools: {{use: {{risk: low}}}}\nrules:\n  - {{id: r, tools: [use], when: '{when}', deny: true}}\n")
    verdict = judge(judged, "use", arguments)
    return next((each for each in verdict.clauses if each.id == "r"), None)


@pytest.mark.parametrize(
    ("when", "arguments", "met"),
    [
        ('host_in(args.u, ["acme.example"])', {"u": "https://acme.example/x"}, "true"),
        ('host_in(args.u, ["acme.example"])', {"u": "https://evil.example/x"}, None),
        ('host_in(args.u, ["acme.example"])', {"u": "acme.example"}, "error"),
        ('ip_in(args.i, "10.0.0.0/8")', {"i": "10.0.0.1"}, "true"),
        ('ip_in(args.i, "10.0.0.0/8")', {"i": "localhost"}, "error"),
        ('path_under(args.p, "/etc")', {"p": "/etc/passwd"}, "true"),
        ('path_under(args.p, "/etc")', {"p": "/srv/x"}, None),
        ('path_under(args.p, "/etc")', {"p": "~/x"}, "error"),
        ("amount(args.a) > 1000", {"a": 1001}, "true"),
        ("amount(args.a) > 1000", {"a": "999.5"}, None),
        ("amount(args.a) > 1000", {"a": "1,001"}, "error"),
        ("amount(args.a) > 1000", {"a": True}, "error"),
        ("amount(args.a) > 1000", {}, "error"),
        ('sql_statements(args.q).exists(s, s.kind == "drop")', {"q": "SELECT 1; DROP TABLE x"}, "true"),
        ('sql_statements(args.q, "mysql").exists(s, s.kind != "select")', {"q": "SELECT `a`"}, None),
        ('sql_statements(args.q, "nope").exists(s, s.kind == "drop")', {"q": "SELECT 1"}, "error"),
        ('shell_commands(args.c).exists(x, x.name in ["rm", "unparsed"])', {"c": "ls | xargs rm"}, "true"),
        ('shell_commands(args.c).exists(x, x.name in ["rm", "unparsed"])', {"c": "ls -l"}, None),
        ('shell_commands(args.c).exists(x, "--force" in x.argv)', {"c": "git push --force"}, "true"),
        ('shell_commands(args.c).exists(x, x.name == "rm")', {"c": 5}, "error"),
    ],
)
def test_a_function_that_fails_counts_as_met(when: str, arguments: dict[str, Any], met: str | None) -> None:
    """True is met, false is not, an error is."""
    found = clause(when, arguments)

    assert (found.met if found else None) == met


def test_an_error_has_a_code_and_no_value() -> None:
    """What could not be read is not told."""
    found = clause('path_under(args.p, "/etc")', {"p": "~/secret-name"})

    assert found is not None
    assert found.error == "OUT_OF_RANGE"


@pytest.mark.parametrize(
    "when",
    [
        "amount(args.a, 1) > 2",
        "host_in(args.u, args.h, 1)",
        'path_under("/a")',
        "ip_in(1, 2)",
        'host_in("x", [1])',
        'domain("a@b.example") > 1',
        'sql_statements("x") == 1',
        'shell_command("x") == []',
        "amount(args.a)",
    ],
)
def test_a_call_that_can_not_be_is_a_load_error(when: str) -> None:
    """Wrong names, numbers and types of arguments; and a condition that is no boolean fails at every call."""
    with pytest.raises(PolicyError) if when != "amount(args.a)" else pytest.raises(AssertionError):
        assert clause(when, {"a": 1}) is None


def test_a_misspelt_function_is_told_the_near_one() -> None:
    """With all that there are."""
    with pytest.raises(
        PolicyError, match=r"did you mean shell_commands\? .*call amount\(x\), came_from\(x\), domain\(text\)"
    ):
        clause('shell_command("x") == []', {})


def test_parsers_are_imported_only_where_a_condition_calls_them() -> None:
    """A policy without them pays nothing."""
    code = """
import sys
from tests.policy.policies import policy
loaded = lambda: print("sqlglot" in sys.modules, "tree_sitter" in sys.modules)
policy("tools: {a: low}")
loaded()
policy("tools: {a: low}\\nrules: [{id: r, tools: [a], deny: true, when: 'sql_statements(args.q) == []'}]")
loaded()
"""

    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert printed.split("\n")[:2] == ["False False", "True False"]
