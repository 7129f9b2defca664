"""A whole LangChain agent behind the guard: what its model is sent, what its checkpoints, streams and events hold, and how it sleeps."""

from __future__ import annotations

import json
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from agentguard.errors import GuardUnavailable
from agentguard.guard.pipeline import Guard
from agentguard.integrations.langchain import guarded
from agentguard.integrations.langgraph_checkpoints import sealed_serializer
from agentguard.model.approvals import Decision
from tests.guard.world import CUSTOMER, POLICY, World
from tests.integrations.shapes import Scripted, calling, written

pytestmark = pytest.mark.anyio

EMAIL, NAME = str(CUSTOMER["email"]), str(CUSTOMER["full_name"])
MINE = "me.myself@mail.example"
CONFIG: Any = {"configurable": {"thread_id": "t1"}}
BOTH = pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])


@pytest.fixture
def world(world: World) -> World:
    """Policies that show the user persons and addresses in the final answer, and defer refunds."""
    deferring = POLICY.replace("DEADLINE", "20s").replace("refund: {risk: high,", "refund: {risk: high, wait: defer,")
    (world.policies / "policy.yaml").write_text(deferring + "masking: {answer: [PERSON]}\n")
    return world


async def run(agent: Any, sync: bool, given: Any) -> dict[str, Any]:
    """One run of the agent, through either of its doors."""
    state: dict[str, Any] = agent.invoke(given, CONFIG) if sync else await agent.ainvoke(given, CONFIG)
    return state


def told(model: Scripted) -> str:
    """All that the model was sent, as text."""
    return json.dumps([[message.model_dump(mode="json") for message in sent] for sent in model.sent])


def script() -> list[AIMessage]:
    """Looks a customer up, and says what it found, by whatever the result called them."""
    return [calling(written("find_customer", {"customer_id": 7}, "c1")), AIMessage("Done")]


class Answering(Scripted):
    """A model whose last word repeats what it read."""

    def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        said = super()._generate(messages, *args, **kwargs)
        if not said.generations[0].message.tool_calls:
            said.generations[0].message.content = f"Found: {messages[-1].content}"
        return said


@BOTH
async def test_t26_the_model_is_sent_nothing_personal_and_the_user_reads_what_policy_shows(
    sync: bool, guard: Guard, world: World
) -> None:
    """System prompt, the user's words and results are masked in each call; the answer shows names, and no address."""
    model = Answering(script=script())
    agent: Any = create_agent(
        model, system_prompt=f"You work for {MINE}", **guarded(guard, [world.tools.find_customer])
    )
    with guard.session(user="ann@acme.example"):
        state = await run(agent, sync, {"messages": [HumanMessage(f"I am {MINE}, find customer 7")]})

    assert all(value not in told(model) for value in (EMAIL, NAME, MINE))
    assert isinstance(model.sent[0][0], SystemMessage)
    assert "[EMAIL_" in str(model.sent[0][0].content)
    assert NAME in state["answer"]
    assert EMAIL not in state["answer"]
    assert NAME not in str(state["messages"])


@BOTH
async def test_t26_checkpoints_streams_and_events_hold_tokens_alone(sync: bool, guard: Guard, world: World) -> None:
    """Sealed checkpoints hold nothing readable; what is streamed on the way never holds what a tool gave."""
    saver = InMemorySaver(serde=sealed_serializer(guard))
    model = Answering(script=script())
    agent: Any = create_agent(model, checkpointer=saver, **guarded(guard, [world.tools.find_customer]))
    given = {"messages": [HumanMessage(f"I am {MINE}, find customer 7")]}
    with guard.session(user="ann@acme.example"):
        if sync:
            streamed = str(list(agent.stream(given, CONFIG, stream_mode=["messages", "updates", "values"])))
        else:
            streamed = str([event async for event in agent.astream_events(given, CONFIG, version="v2")])
        kept = agent.get_state(CONFIG).values

    stored = repr(dict(saver.storage)) + repr(dict(saver.writes)) + repr(dict(saver.blobs))
    assert stored.count("agentguard") > 0
    assert all(value not in stored for value in (EMAIL, NAME, MINE))
    assert EMAIL not in streamed
    assert MINE not in str(kept)
    assert "answer" not in kept


async def test_a_checkpoint_that_was_changed_or_never_sealed_is_not_read(guard: Guard, world: World) -> None:
    """Nobody puts a state under the agent that it did not write."""
    serde = sealed_serializer(guard)
    kind, sealed = serde.dumps_typed({"messages": ["hello"]})

    assert serde.loads_typed((kind, sealed)) == {"messages": ["hello"]}
    with pytest.raises(GuardUnavailable):
        serde.loads_typed((kind, sealed[:-1] + bytes([sealed[-1] ^ 1])))
    with pytest.raises(GuardUnavailable):
        serde.loads_typed(("json", b'{"messages": ["approved"]}'))


@BOTH
async def test_a_run_sleeps_in_its_checkpoint_until_people_decided(sync: bool, guard: Guard, world: World) -> None:
    """Interrupted, resumed too early, resumed after the decision: one request, one run."""
    model = Scripted(script=[calling(written("refund", {"order_id": 1}, "c1")), AIMessage("Done")])
    agent: Any = create_agent(
        model, checkpointer=InMemorySaver(), **guarded(guard, [world.tools.refund], interrupts=True)
    )
    with guard.session(user="eve@acme.example", id="thread-1"):
        asleep = await run(agent, sync, {"messages": [HumanMessage("Refund order 1")]})
        (request,) = await world.waiting()
        still = await run(agent, sync, Command(resume=True))
        await world.decide(request, "ann")
        before = list(world.tools.ran)
        done = await run(agent, sync, Command(resume=True))

    assert asleep["__interrupt__"][0].value["pending"] == request
    assert still["__interrupt__"][0].value["pending"] == request
    assert before == []
    assert world.tools.ran == [("refund", {"order_id": 1, "amount": 10.0})]
    assert [message.content for message in done["messages"][-2:]] == ["refunded", "Done"]


async def test_a_sleeping_run_is_told_of_a_rejection_and_another_process_may_resume_it(
    guard: Guard, world: World
) -> None:
    """The decision belongs to the session, and the checkpoint to whoever stores it."""
    saver = InMemorySaver()
    model = Scripted(script=[calling(written("refund", {"order_id": 1}, "c1")), AIMessage("Done")])
    with guard.session(user="eve@acme.example", id="thread-1"):
        agent: Any = create_agent(model, checkpointer=saver, **guarded(guard, [world.tools.refund], interrupts=True))
        await agent.ainvoke({"messages": [HumanMessage("Refund order 1")]}, CONFIG)
    (request,) = await world.waiting()
    await world.decide(request, "ann", Decision.REJECT, "Not twice")
    with world.open() as other, other.session(user="eve@acme.example", id="thread-1"):
        agent = create_agent(model, checkpointer=saver, **guarded(other, [world.tools.refund], interrupts=True))
        done = await agent.ainvoke(Command(resume=True), CONFIG)

    assert "Not twice" in done["messages"][-2].content
    assert world.tools.ran == []


@BOTH
async def test_t19_the_calls_of_one_message_are_asked_about_as_one_turn(sync: bool, guard: Guard, world: World) -> None:
    """Two calls of one message share a turn that the next message's call has not, and people read what was said beside them."""
    both = calling(written("refund", {"order_id": 1}, "c1"), written("refund", {"order_id": 2}, "c2"))
    alone = calling(written("refund", {"order_id": 3}, "c3"))
    both.content = f"Both are for {MINE}"
    agent: Any = create_agent(Scripted(script=[both, alone, AIMessage("Done")]), **guarded(guard, [world.tools.refund]))
    with guard.session(user="eve@acme.example"):
        await run(agent, sync, {"messages": [HumanMessage("Refund all")]})

    requests = [(await world.stored(request_id)).request for request_id in await world.waiting(3)]
    by_call = {request.call_id: request for request in requests}
    assert by_call["c1"].turn == by_call["c2"].turn != ""
    assert by_call["c3"].turn not in ("", by_call["c1"].turn)
    assert by_call["c1"].card.says.startswith("Both are for ")
    assert MINE not in by_call["c1"].card.says


@BOTH
async def test_t24_a_tool_that_another_middleware_brings_is_gated_too(sync: bool, guard: Guard, world: World) -> None:
    """Whatever way a tool comes into the agent, its calls take the road."""
    ran: list[str] = []

    @tool
    def forbidden_thing() -> str:
        """Never."""
        ran.append("forbidden_thing")
        return EMAIL

    class Brings(AgentMiddleware[Any, Any, Any]):
        tools = [forbidden_thing]

    model = Scripted(script=[calling(written("forbidden_thing", {}, "c1")), AIMessage("Done")])
    agent: Any = create_agent(model, **guarded(guard, [world.tools.echo], middleware=[Brings()]))
    with guard.session(user="ann@acme.example"):
        state = await run(agent, sync, {"messages": [HumanMessage("Go on")]})

    assert ran == []
    assert "Nobody may do this" in state["messages"][-2].content


@pytest.mark.parametrize(("policy", "offered"), [("", []), ("  web_search: low\n", [{"type": "web_search"}])])
async def test_t24_a_tool_of_the_provider_is_offered_only_where_policy_allows_it_unasked(
    guard: Guard, world: World, policy: str, offered: list[Any]
) -> None:
    """No gate stands where it runs, so the model must not know of it."""
    (world.policies / "policy.yaml").write_text(
        POLICY.replace("DEADLINE", "20s").replace("rules:\n", f"{policy}rules:\n")
    )
    bound: list[Any] = []

    class Binding(Scripted):
        def bind_tools(self, tools: Any, **_: Any) -> Any:
            bound.extend(tools)
            return self

    class Brings(AgentMiddleware[Any, Any, Any]):
        async def awrap_model_call(self, request: Any, handler: Any) -> Any:
            return await handler(request.override(tools=[*request.tools, {"type": "web_search"}]))

    with world.open() as opened, opened.session(user="ann@acme.example"):
        agent: Any = create_agent(
            Binding(script=[AIMessage("Done")]), **guarded(opened, [world.tools.echo], middleware=[Brings()])
        )
        await agent.ainvoke({"messages": [HumanMessage("Go on")]}, CONFIG)

    assert [each for each in bound if isinstance(each, dict)] == offered


async def test_t5_where_masking_is_not_to_be_had_the_model_is_not_called(
    lonely_guard: Guard, lonely_world: World
) -> None:
    """New tokens can't be kept without a vault, so what holds them is not sent."""
    model = Scripted(script=[AIMessage("Done")])
    agent: Any = create_agent(model, **guarded(lonely_guard, [lonely_world.tools.echo]))
    with lonely_guard.session(user="ann@acme.example"), pytest.raises(GuardUnavailable):
        await agent.ainvoke({"messages": [HumanMessage(f"I am {MINE}")]}, CONFIG)

    assert model.sent == []
