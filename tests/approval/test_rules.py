"""Every rule of every script has its tests, and they notice when it is broken.

The rules are those that stand in each file's head. For each there is a row: where its tests are, and a change of the script that breaks it;
with the change in place one of the tests must fail.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from typing import Any

import pytest

from agentguard.approval import Brake, Channel, Deeds, Desk, Freezes, RecordMac, moves
from agentguard.store.names import EVERYBODY, Names
from agentguard.store.redis import Connection, Script
from tests.approval import test_states
from tests.approval.conftest import MAC_KEY, tenant_keys
from tests.approval.people import ROSTER, TENANT
from tests.approval.rules import ROWS, Row, Test

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
    noticed = await _first_that_fails(connection, row.tests)

    # then
    assert noticed is not None


async def test_as_the_scripts_are_no_test_of_a_rule_fails(connection: Connection) -> None:
    """Else the test above would show nothing."""
    assert await _first_that_fails(connection, dict.fromkeys(test for row in ROWS for test in row.tests)) is None


async def _first_that_fails(connection: Connection, tests: Iterable[Test]) -> Test | None:
    for test in tests:
        for given in _given(test):
            if await _fails(connection, test, given):
                return test
    return None


def _change(monkeypatch: pytest.MonkeyPatch, name: str, old: str, new: str) -> None:
    changed = SCRIPTS[name].replace(old, new, 1)
    for move, script in vars(moves).items():
        if isinstance(script, Script) and name in (script.name, "state"):
            source = script.source.replace(SCRIPTS[name], changed)
            monkeypatch.setattr(moves, move, Script(script.name, source, script.writes))
    derive = test_states._DERIVE
    monkeypatch.setattr(test_states, "_DERIVE", Script("derive", derive.source.replace(SCRIPTS[name], changed)))


async def _fails(connection: Connection, test: Test, given: Mapping[str, Any]) -> bool:
    """Whether a test fails, run on a tenant that has nothing."""
    if keys := await tenant_keys(connection):
        await connection.execute("DEL", *keys)
    await connection.execute("DEL", Names(EVERYBODY).freezes)
    agent = Channel(connection=connection, names=Names(TENANT), mac=RecordMac(keys=[MAC_KEY]))
    desk = Desk(channel=Channel(connection=connection, names=Names(TENANT)), roster=ROSTER)
    there = {
        "line": connection,
        "agent": agent,
        "desk": desk,
        "deeds": Deeds(channel=agent),
        "brake": Brake(channel=desk.channel, roster=ROSTER),
        "freezes": Freezes(connection=connection, names=agent.names),
        **given,
    }
    try:
        await test(**{name: there[name] for name in inspect.signature(test).parameters})
    except (Exception, pytest.fail.Exception):  # noqa: BLE001 - whatever it is, it is noticed
        return True
    return False


def _given(test: Test) -> Iterator[dict[str, Any]]:
    """The cases of a parametrized test; else one."""
    marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    if not marks:
        yield {}
    for mark in marks:
        names = mark.args[0].split(",") if isinstance(mark.args[0], str) else mark.args[0]
        for case in mark.args[1]:
            values = case.values if isinstance(case, type(pytest.param())) else case if len(names) > 1 else (case,)
            yield dict(zip((name.strip() for name in names), values, strict=True))
