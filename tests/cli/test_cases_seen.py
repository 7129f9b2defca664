"""`agentguard policy test`: cases say what the model and people see, and CI servers read the results."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner, Result

from agentguard.cli.app import app
from agentguard.policy import Source, run_cases
from tests.policy.policies import ROOT, policy

POLICY = (
    ROOT
    + """\
tools:
  find: {risk: low, masking: {result: {US_SSN: redact}}}
masking: {fields: {badge: EMPLOYEE_ID}, actions: {CREDIT_CARD: hmac}}
"""
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policy.yaml").write_text(POLICY)
    return tmp_path


def run(folder: Path, cases: str, *words: str) -> Result:
    (folder / "a.cases.yaml").write_text(cases)
    return CliRunner().invoke(app, ["policy", "test", str(folder), *words])


def case(expect: str, more: str = "", name: str = "a") -> str:
    return f"- {{name: {name}, tool: find, {more}expect: {{effect: allow, risk: low, {expect}}}}}\n"


@pytest.mark.parametrize(
    "text",
    [
        case('masked: {badge: "[EMPLOYEE_*]", n: 7}', "gives: {badge: B-77, n: 7}, "),
        case('masked: "mail [EMAIL_*] and [EMAIL_*]"', "gives: 'mail ann@mail.example and dan@mail.example', "),
        case('masked: "[US_SSN redacted]"', "gives: 219-09-9999, "),
        case('masked: ["[CREDIT_CARD hmac *]"]', "gives: ['4111 1111 1111 1111'], "),
        case("shown: {to: a***@mail.example}", "args: {to: ann@mail.example}, "),
    ],
    ids=["field", "text", "of one tool", "keyed", "shown"],
)
def test_what_is_seen_can_be_expected(folder: Path, text: str) -> None:
    """The masking of the policy, and that of the tool; every token of a type is written alike."""
    done = run(folder, text)
    assert (done.exit_code, done.stdout) == (0, "1 passed, 0 failed\n"), done.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (case("masked: {badge: B-77}", "gives: {badge: B-77}, "), 'masked is {"badge": "[EMPLOYEE_*]"}, expected {"badge": "B-77"}'),
        (case("masked: x"), "says nothing of what the tool gives"),
        (case("shown: {to: ann@mail.example}", "args: {to: ann@mail.example}, "), 'shown is {"to": "a***@mail.example"}'),
    ],
    ids=["masked", "nothing given", "shown"],
)  # fmt: skip
def test_what_is_not_seen_as_expected_fails(folder: Path, text: str, told: str) -> None:
    """Each difference is told, with both sides."""
    done = run(folder, text)
    assert done.exit_code == 1
    assert told in done.stderr


def test_without_masking_nothing_is_claimed_of_what_is_seen() -> None:
    """A case that expects a view fails where nobody can say what is seen."""
    (result,) = run_cases(policy("tools: {find: low}\n"), [Source(file="c", text=case("shown: {}"))])
    assert result.wrong == ("nothing here can say what is seen",)


def test_results_are_written_for_ci_servers(folder: Path) -> None:
    """One suite a file, each case with its place, each failure with what differs; hostile names stay text."""
    cases = case("needs: []", name="'good ]]> <x> \"&'") + case("needs: [board]", name='"bad \\u0007"')
    done = run(folder, cases, "--junit", str(folder / "out.xml"))
    suite = ElementTree.parse(folder / "out.xml").getroot()[0]
    assert done.exit_code == 1
    assert suite.attrib["name"].endswith("a.cases.yaml")
    assert (suite.attrib["tests"], suite.attrib["failures"]) == ("2", "1")
    assert [each.attrib["name"] for each in suite] == ['good ]]> <x> "&', "bad \\x07"]
    assert [each.attrib["line"] for each in suite] == ["1", "2"]
    assert suite[1][0].attrib["message"] == "needs are none, expected board"


def test_a_file_that_can_not_be_written_is_a_wrong_use(folder: Path) -> None:
    """The error names it, and nothing looks as if it had passed."""
    done = run(folder, case("needs: []"), "--junit", str(folder / "no" / "out.xml"))
    assert done.exit_code != 0
