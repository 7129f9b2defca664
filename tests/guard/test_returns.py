"""What tools say they give, and choices that take no token: on the road, from a result to the next call."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel

from agentguard.errors import CallRefused, RefusalReason
from agentguard.integrations.functions import FunctionTool
from agentguard.model.calls import ToolCall
from tests.guard.world import POLICY, World

pytestmark = pytest.mark.anyio

ANN = "ann@acme.example"
PHONE = 2025550147
TOOLS = """\
  find_account: {risk: low, labels: []}
  call_back: {risk: low, labels: [], reveal: {phone: [PHONE_NUMBER]}}
  give_tier: {risk: low, labels: [], reveal: {tier: [TIER]}}
  note_tier: {risk: low, labels: []}
"""
Ran = list[tuple[str, Any]]


class Account(BaseModel):
    """What a tool gives."""

    phone: int
    tier: Literal["gold", "silver"]
    order_id: int


@pytest.fixture
def world(world: World) -> World:
    """A world whose policy knows tiers as personal."""
    masking = 'masking: {fields: {"**.tier": TIER}}\n'
    text = POLICY.replace("tools:\n", "tools:\n" + TOOLS).replace("approvals:\n", masking + "approvals:\n")
    (world.policies / "policy.yaml").write_text(text.replace("DEADLINE", "20s"), encoding="utf-8")
    return world


def tool(name: str, ran: Ran) -> FunctionTool:
    """One of these tools, which notes how it was called."""

    def find_account() -> Account:
        return Account(phone=PHONE, tier="gold", order_id=7)

    def call_back(phone: int) -> str:
        ran.append((name, phone))
        return "called"

    def give_tier(tier: Literal["gold", "silver"]) -> str:
        ran.append((name, tier))
        return "given"

    made = {"find_account": find_account, "call_back": call_back, "give_tier": give_tier, "note_tier": give_tier}
    return FunctionTool.of(made[name], name=name)


async def test_a_masked_number_stays_a_number_and_becomes_the_value_in_another_process(world: World) -> None:
    """Where the annotation says that it is one; the tool that policy reveals it to gets the true number, as a number."""
    # given
    ran: Ran = []
    with world.open() as one, one.session(user=ANN, id="thread"):
        found = await one.run(ToolCall(tool="find_account", arguments={}), tool("find_account", ran))

    # when
    with world.open() as other, other.session(user=ANN, id="thread"):
        call = ToolCall(tool="call_back", arguments={"phone": found.phone})
        await other.run(call, tool("call_back", ran))

    # then
    assert isinstance(found.phone, int)
    assert found.phone != PHONE
    assert found.order_id == 7
    assert ran == [("call_back", PHONE)]


async def test_t27_a_number_that_stands_for_nobody_is_refused(world: World) -> None:
    """What masking took out of a result is a number too, and none that a tool gets."""
    # given
    ran: Ran = []
    policy = world.policies / "policy.yaml"
    policy.write_text(policy.read_text().replace("masking: {", "masking: {actions: {PHONE_NUMBER: redact}, "))
    with world.open() as guard, guard.session(user=ANN):
        found = await guard.run(ToolCall(tool="find_account", arguments={}), tool("find_account", ran))

        # when
        call = ToolCall(tool="call_back", arguments={"phone": found.phone})
        with pytest.raises(CallRefused) as refused:
            await guard.run(call, tool("call_back", ran))

    # then
    assert isinstance(found.phone, int)
    assert refused.value.reason is RefusalReason.UNKNOWN_TOKEN
    assert ran == []


async def test_a_choice_of_words_takes_the_token_only_where_it_is_revealed(world: World) -> None:
    """There the tool gets the true word. Elsewhere the call is refused, says which argument it was, and does not run."""
    # given
    ran: Ran = []
    with world.open() as guard, guard.session(user=ANN):
        found = await guard.run(ToolCall(tool="find_account", arguments={}), tool("find_account", ran))

        # when
        await guard.run(ToolCall(tool="give_tier", arguments={"tier": found.tier}), tool("give_tier", ran))
        with pytest.raises(CallRefused) as refused:
            await guard.run(ToolCall(tool="note_tier", arguments={"tier": found.tier}), tool("note_tier", ran))
        await guard.run(ToolCall(tool="note_tier", arguments={"tier": "silver"}), tool("note_tier", ran))

    # then
    assert found.tier.startswith("[TIER_")
    assert ran == [("give_tier", "gold"), ("note_tier", "silver")]
    assert "tier" in str(refused.value)
    assert "gold" not in str(refused.value)


@pytest.mark.parametrize(
    ("annotation", "says"),
    [
        pytest.param(Any, False, id="anything"),
        pytest.param(dict, False, id="a dict"),
        pytest.param(dict[str, Any], False, id="a dict of anything"),
        pytest.param(list[Any], False, id="a list of anything"),
        pytest.param(dict[str, int], True, id="a dict of numbers"),
        pytest.param(list[int], True, id="a list of numbers"),
        pytest.param(int, True, id="a number"),
        pytest.param(Account, True, id="a model"),
    ],
)
def test_an_annotation_that_tells_of_nothing_in_a_result_promises_nothing(annotation: Any, says: bool) -> None:
    """What is masked is held against the rest."""

    def find() -> Any:
        return None

    find.__annotations__["return"] = annotation
    assert (FunctionTool.of(find).returns is not None) is says
