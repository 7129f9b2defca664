"""What a tool gets in clear is in clear nowhere else: twelve kinds of value in one call that people are asked about."""

from __future__ import annotations

import asyncio
import inspect
import json
from typing import Any

import pytest
from pydantic_core import to_jsonable_python

from agentguard.integrations.functions import FunctionTool
from agentguard.model.calls import ToolCall
from tests.guard.test_editing import edit
from tests.guard.world import World
from tests.integrations.kinds import FIELDS, KINDS

pytestmark = pytest.mark.anyio

NAMES = {name: name.replace("-", "_") for name in KINDS}


def _policy() -> str:
    fields = ", ".join(f'"**.{name}": {entity}' for name, entity in FIELDS.items())
    reveal = ", ".join(
        f"{NAMES[name]}{kind.path.removeprefix('value')}: [{kind.entity_type}]" for name, kind in KINDS.items()
    )
    return f"""\
version: 1
risk: {{low: allow, medium: allow, high: {{ask: on-call}}, critical: deny}}
tools:
  give: {{risk: low, labels: []}}
  take: {{risk: high, labels: [], reveal: {{{reveal}}}}}
approvals:
  on-call: {{approvers: [group:on-call], deadline: 20s}}
masking:
  fields: {{{fields}}}
"""


@pytest.fixture
def twelve(world: World) -> World:
    """A world whose `take` gets all twelve, once people approve."""
    (world.policies / "policy.yaml").write_text(_policy(), encoding="utf-8")
    return world


async def test_t26_neither_journal_nor_card_nor_redis_holds_a_restored_value(twelve: World) -> None:
    """Not even values that nobody would find by themselves: a tier, a salary, a number, a date."""
    taken: list[dict[str, Any]] = []

    def give() -> dict[str, Any]:
        """All of a customer."""
        return {kind.field: kind.value for kind in KINDS.values()}

    def take(**values: Any) -> dict[str, Any]:
        taken.append(values)
        said: dict[str, Any] = to_jsonable_python(values)
        return said

    tools = {"give": FunctionTool.of(give), "take": _with_twelve(take)}
    with twelve.open() as guard, guard.session(user="dan@acme.example"):
        guard.expect(*tools.values())
        given = await guard.run(ToolCall(tool="give", arguments={}), tools["give"])
        written = {NAMES[name]: kind.write(given[kind.field]) for name, kind in KINDS.items()} | {"remark": "more"}
        running = asyncio.create_task(guard.run(ToolCall(tool="take", arguments=written), tools["take"]))
        [waiting] = await twelve.waiting()
        card = await twelve.card(waiting)
        await edit(twelve, waiting, "ann", remark="less")
        edited = await twelve.card(waiting)
        await twelve.decide(waiting, "bob")
        done = await running

    journal = "".join(file.read_text() for file in (twelve.settings.state_dir / "journal").glob("*.jsonl"))
    assert taken == [{NAMES[name]: kind.expected for name, kind in KINDS.items()} | {"remark": "less"}]
    assert done["remark"] == "less"
    assert [name for name, kind in KINDS.items() if str(kind.value) in json.dumps(done)] == []
    assert [name for name, kind in KINDS.items() if str(kind.value) in journal] == []
    shown = json.dumps([card.model_dump(mode="json"), edited.model_dump(mode="json")])
    assert [name for name, kind in KINDS.items() if str(kind.value) in shown] == []


def _with_twelve(function: Any) -> FunctionTool:
    parameters = [
        inspect.Parameter(NAMES[name], inspect.Parameter.KEYWORD_ONLY, annotation=kind.annotation)
        for name, kind in KINDS.items()
    ]
    parameters.append(inspect.Parameter("remark", inspect.Parameter.KEYWORD_ONLY, annotation=str))
    function.__signature__ = inspect.Signature(parameters)
    function.__annotations__ = {each.name: each.annotation for each in parameters}
    return FunctionTool.of(function)
