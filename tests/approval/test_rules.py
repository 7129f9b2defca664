"""Every rule of every script has its tests, and they notice when it is broken.

The rules are those that stand in each file's head. For each there is a row: where its tests are, and a change of the script that breaks it;
with the change in place one of the tests must fail.
"""

from __future__ import annotations

import itertools
from importlib.resources import files

import pytest

from agentguard.approval import moves
from agentguard.store.redis import Connection, Script
from tests.approval import test_states
from tests.approval.batteries import first_that_fails, sides
from tests.approval.rules import ROWS, Row

pytestmark = pytest.mark.anyio

SCRIPTS = {
    file.name.removesuffix(".lua"): file.read_text() for file in (files("agentguard.approval") / "scripts").iterdir()
}
NO_RULES = {"keys"}
"""It only takes a move's arguments apart."""


def rules_of(text: str) -> list[str]:
    """The rules in a script's head."""
    lines = itertools.takewhile(lambda line: line.startswith("--"), text.partition("Rules")[2].splitlines()[1:])
    return " ".join(line.removeprefix("--").strip() for line in lines).removeprefix("- ").split(" - ")


@pytest.mark.parametrize("name", sorted(set(SCRIPTS) - NO_RULES))
def test_every_rule_has_a_row_and_every_row_a_rule(name: str) -> None:
    """Who writes a rule names its tests, and what would break it."""
    rules, rows = rules_of(SCRIPTS[name]), [row.rule for row in ROWS if row.script == name]
    assert rules != [""]
    assert [[row for row in rows if rule.startswith(row)] for rule in rules] == [[row] for row in rows]


CHANGES = [(row, *change) for row in ROWS for change in row.changes]


@pytest.mark.parametrize(
    ("row", "old", "new"),
    CHANGES,
    ids=[f"{row.script}: {old.strip()[:60]} -> {new.strip()[:60]}" for row, old, new in CHANGES],
)
async def test_a_change_that_breaks_a_rule_is_noticed(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, row: Row, old: str, new: str
) -> None:
    """By a test of that rule. The change is made to the text of the script, and the real server runs it."""
    # given
    assert SCRIPTS[row.script].count(old) >= 1
    _change(monkeypatch, row.script, old, new)

    # when
    noticed = await first_that_fails(row.tests, lambda: sides(connection))

    # then
    assert noticed is not None


async def test_as_the_scripts_are_no_test_of_a_rule_fails(connection: Connection) -> None:
    """Else the test above would show nothing."""
    tests = dict.fromkeys(test for row in ROWS for test in row.tests)
    assert await first_that_fails(tests, lambda: sides(connection)) is None


def _change(monkeypatch: pytest.MonkeyPatch, name: str, old: str, new: str) -> None:
    changed = SCRIPTS[name].replace(old, new, 1)
    for move, script in vars(moves).items():
        if isinstance(script, Script) and name in (script.name, "state"):
            source = script.source.replace(SCRIPTS[name], changed)
            monkeypatch.setattr(moves, move, Script(script.name, source, script.writes))
    derive = test_states._DERIVE
    monkeypatch.setattr(test_states, "_DERIVE", Script("derive", derive.source.replace(SCRIPTS[name], changed)))
