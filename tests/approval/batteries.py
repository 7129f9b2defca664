"""Tests as a battery: each is run with whatever it wants of what there is, and it is told which of them fails first."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from agentguard.approval import Brake, Channel, Deeds, Desk, Freezes, RecordMac
from agentguard.store.names import EVERYBODY, Names
from agentguard.store.redis import Connection
from tests.approval.conftest import MAC_KEY, tenant_keys
from tests.approval.people import ROSTER, TENANT

Test = Callable[..., Any]
There = Callable[[], AbstractAsyncContextManager[dict[str, Any]]]
"""What tests may want, made anew for each."""


async def first_that_fails(tests: Iterable[Test], there: There) -> Test | None:
    """The first of these tests that fails in any of its cases; None where all pass."""
    for test in tests:
        for given in _cases(test):
            async with there() as found:
                if await _fails(test, {**found, **given}):
                    return test
    return None


@asynccontextmanager
async def sides(connection: Connection) -> AsyncIterator[dict[str, Any]]:
    """Both sides of a channel of a tenant that has nothing yet."""
    if keys := await tenant_keys(connection):
        await connection.execute("DEL", *keys)
    await connection.execute("DEL", Names(EVERYBODY).freezes)
    agent = Channel(connection=connection, names=Names(TENANT), mac=RecordMac(keys=[MAC_KEY]))
    desk = Desk(channel=Channel(connection=connection, names=Names(TENANT)), roster=ROSTER)
    yield {
        "line": connection,
        "agent": agent,
        "desk": desk,
        "deeds": Deeds(channel=agent),
        "brake": Brake(channel=desk.channel, roster=ROSTER),
        "freezes": Freezes(connection=connection, names=agent.names),
    }


async def _fails(test: Test, there: dict[str, Any]) -> bool:
    wanted = {name: there[name] for name in inspect.signature(test).parameters}
    try:
        result = test(**wanted)
        if inspect.isawaitable(result):
            await result
    except (Exception, pytest.fail.Exception):  # noqa: BLE001 - whatever it is, it is noticed
        return True
    return False


def _cases(test: Test) -> Iterator[dict[str, Any]]:
    """The cases of a parametrized test; else one."""
    marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    if not marks:
        yield {}
    for mark in marks:
        names = mark.args[0].split(",") if isinstance(mark.args[0], str) else mark.args[0]
        for case in mark.args[1]:
            values = case.values if isinstance(case, type(pytest.param())) else case if len(names) > 1 else (case,)
            yield dict(zip((name.strip() for name in names), values, strict=True))
