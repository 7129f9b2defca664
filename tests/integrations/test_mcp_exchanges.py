"""What a server asks the user of a client of the newer protocol in the middle of a call: the call goes on while its client asks."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.server.lowlevel import Server
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import (
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
    InputResponseRequestParams,
    ListRootsResult,
)

from agentguard.audit import read
from agentguard.guard.pipeline import Guard
from agentguard.integrations.mcp.exchanges import KEY, WAITING_MAX, Exchange, Exchanges
from tests.guard.world import POLICY, World
from tests.integrations.mcp_connecting import Asked, proxied_shop, text
from tests.integrations.mcp_planted import planted
from tests.integrations.test_mcp_wild import SERVER

pytestmark = pytest.mark.anyio

SIZE = {KEY: ElicitResult(action="accept", content={"size": "L"})}


@pytest.fixture
def world(world: World) -> World:
    """A policy that lets the shop's tools run."""
    tools = '  "echo_*": {risk: low, labels: []}\nrules:\n'
    (world.policies / "policy.yaml").write_text(POLICY.replace("DEADLINE", "20s").replace("rules:\n", tools))
    return world


async def call(client: Client, name: str = "echo_ask", **more: Any) -> CallToolResult | InputRequiredResult:
    """One request, without the client's own rounds."""
    arguments = more.pop("arguments", {})
    answered: CallToolResult | InputRequiredResult = await client.session.call_tool(
        name, arguments, allow_input_required=True, **more
    )
    return answered


async def asked(client: Client) -> InputRequiredResult:
    """A call whose user is asked something."""
    answered = await call(client)
    assert isinstance(answered, InputRequiredResult)
    return answered


def outcomes(world: World) -> list[tuple[str, str]]:
    """What the journal has of calls: that they were judged, and how they ended."""
    entries = read(world.settings.state_dir / "journal")
    return [
        (entry.kind, str(entry.body.get("outcome", ""))) for entry in entries if entry.kind in ("judged", "settled")
    ]


async def test_the_client_asks_and_the_call_that_began_goes_on(guard: Guard, world: World) -> None:
    """It is judged once and ends once, however often its client comes; what it gives is masked like any result."""
    async with proxied_shop(guard, world.folder, elicitation_callback=Asked()) as (client, ran):
        first = await asked(client)
        before = list(ran)
        done = await call(client, request_state=first.request_state, input_responses=SIZE)

    (question,) = (first.input_requests or {}).values()
    assert isinstance(question.params, ElicitRequestFormParams)
    assert question.params.message == "Which size?\\u202e"
    assert isinstance(done, CallToolResult)
    assert (before, text(done), ran) == ([], "L", [("echo_ask", "accept")])
    assert [kind for kind, _ in outcomes(world)] == ["judged", "settled"]


async def test_t1_t2_an_answer_is_for_exactly_its_call_once(guard: Guard, world: World) -> None:
    """Another call, another user, a made-up question and the same answer again run nothing, and say so."""
    async with proxied_shop(guard, world.folder, elicitation_callback=Asked()) as (client, ran):
        state = (await asked(client)).request_state
        terms: dict[str, Any] = {"request_state": state, "input_responses": SIZE}
        wrong = [
            await call(client, arguments={"size": "XL"}, **terms),
            await call(client, "echo", arguments={"value": 1}, **terms),
            await call(client, request_state="asked-0", input_responses=SIZE),
        ]
        async with proxied_shop(guard, world.folder, user="ann@acme.example", elicitation_callback=Asked()) as (ann, _):
            wrong.append(await call(ann, **terms))
        before = list(ran)
        right = await call(client, **terms)
        wrong.append(await call(client, **terms))

    assert [text(each).partition(":")[0] for each in wrong if isinstance(each, CallToolResult)] == ["expired"] * 5
    assert isinstance(right, CallToolResult)
    assert (before, text(right), ran) == ([], "L", [("echo_ask", "accept")])


@pytest.mark.parametrize(
    "answers",
    [
        None,
        {},
        {"other": ElicitResult(action="accept")},
        {KEY: ElicitResult(action="cancel")},
        {KEY: ListRootsResult(roots=[])},
    ],
    ids=["none", "empty", "to another", "closed", "of another kind"],
)
async def test_what_is_no_answer_cancels_the_question(guard: Guard, world: World, answers: Any) -> None:
    """The server hears that, and nothing that the user did not say."""
    async with proxied_shop(guard, world.folder, elicitation_callback=Asked()) as (client, ran):
        state = (await asked(client)).request_state
        done = await call(client, request_state=state, input_responses=answers)

    assert isinstance(done, CallToolResult)
    assert (text(done), ran) == ("cancel", [("echo_ask", "cancel")])


async def test_a_question_that_no_client_comes_back_with_is_cancelled_in_time(guard: Guard, world: World) -> None:
    """The server ends the call, which is on record; who comes later is told, and nothing runs again."""
    async with proxied_shop(guard, world.folder, answer_within=0.1, elicitation_callback=Asked()) as (client, ran):
        state = (await asked(client)).request_state
        with anyio.fail_after(60):
            while len(outcomes(world)) < 2:
                await anyio.sleep(0.01)
        late = await call(client, request_state=state, input_responses=SIZE)

    assert isinstance(late, CallToolResult)
    assert text(late).startswith("expired: ")
    assert ran == [("echo_ask", "cancel")]
    assert [kind for kind, _ in outcomes(world)] == ["judged", "settled"]


async def test_a_call_that_people_approved_is_approved_once(guard: Guard, world: World) -> None:
    """Its user is asked after that, and nobody else again."""
    policy = (world.policies / "policy.yaml").read_text()
    (world.policies / "policy.yaml").write_text(policy.replace('"echo_*": {risk: low', '"echo_*": {risk: high'))
    with world.open() as strict:
        async with proxied_shop(strict, world.folder, elicitation_callback=Asked()) as (client, ran):
            asking = asyncio.create_task(asked(client))
            [request] = await world.waiting()
            await world.decide(request, "ann")
            state = (await asking).request_state
            done = await call(client, request_state=state, input_responses=SIZE)

    assert isinstance(done, CallToolResult)
    assert (text(done), ran) == ("L", [("echo_ask", "accept")])
    assert await world.open_requests() == []


async def test_t38_two_calls_at_once_are_asked_each_its_own(guard: Guard, world: World) -> None:
    """Though both are of one client, and the server asks both at the same time."""
    async with proxied_shop(guard, world.folder, elicitation_callback=Asked()) as (client, ran):
        one, other = await asyncio.gather(asked(client), asked(client))
        small = {KEY: ElicitResult(action="accept", content={"size": "S"})}
        done = await asyncio.gather(
            call(client, request_state=other.request_state, input_responses=small),
            call(client, request_state=one.request_state, input_responses=SIZE),
        )

    assert [text(each) for each in done if isinstance(each, CallToolResult)] == ["S", "L"]
    assert ran == [("echo_ask", "accept")] * 2


async def test_t26_a_question_whose_choices_would_be_masked_is_declined(guard: Guard, world: World) -> None:
    """Beside one that is asked, with its words masked."""
    user = Asked()
    async with proxied_shop(guard, world.folder, server=planted(), elicitation_callback=user) as (client, _):
        done = await client.call_tool("echo_ask")

    assert user.shown == ["Write to m***@mail.example, card ***1111."]
    assert sorted(text(done).split()) == ["accept", "decline"]


async def test_a_call_that_asks_two_things_at_once_has_them_asked_one_after_the_other(
    guard: Guard, world: World
) -> None:
    """Each has its own answer."""
    server: MCPServer[Any] = MCPServer("shop")

    @server.tool(name="echo_both")
    async def both(ctx: Context[Any]) -> str | InputRequiredResult:
        """Ask for a size and a colour."""
        if not ctx.input_responses:
            wanted = {"type": "object", "properties": {"it": {"type": "string"}}}
            return InputRequiredResult(
                input_requests={
                    each: ElicitRequest(params=ElicitRequestFormParams(message=each, requested_schema=wanted))
                    for each in ("size", "colour")
                }
            )
        return str({key: answer.content for key, answer in sorted(ctx.input_responses.items())})  # type: ignore[union-attr]

    async def answer(_: Any, params: Any) -> ElicitResult:
        return ElicitResult(action="accept", content={"it": f"my {params.message}"})

    async with proxied_shop(guard, world.folder, server=server, elicitation_callback=answer) as (client, _):
        done = await client.call_tool("echo_both")

    assert text(done) == "{'colour': {'it': 'my colour'}, 'size': {'it': 'my size'}}"


async def test_a_question_beside_a_resource_is_not_put_to_whoever_has_a_call_running(
    guard: Guard, world: World
) -> None:
    """Only calls of tools have a user who is asked."""
    begun, read_ = anyio.Event(), anyio.Event()

    async def run(_: Any, __: Any) -> types.CallToolResult:
        begun.set()
        await read_.wait()
        return types.CallToolResult(content=[types.TextContent(text="ran")])

    async def resource(_: Any, params: Any) -> types.ReadResourceResult | InputRequiredResult:
        if not params.input_responses:
            wanted = {"type": "object", "properties": {}}
            asks = ElicitRequest(params=ElicitRequestFormParams(message="Whose?", requested_schema=wanted))
            return InputRequiredResult(input_requests={"whose": asks})
        return types.ReadResourceResult(
            contents=[types.TextResourceContents(uri=params.uri, text=params.input_responses["whose"].action)]
        )

    async def tools(*_: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[types.Tool(name="echo_wait", input_schema={"type": "object"})])

    async def resources(*_: Any) -> types.ListResourcesResult:
        return types.ListResourcesResult(resources=[])

    policy = (world.policies / "policy.yaml").read_text().replace('"echo_*":', 'mcp_read_resource: low\n  "echo_*":')
    (world.policies / "policy.yaml").write_text(policy)
    offers: dict[str, Any] = {"on_list_tools": tools, "on_list_resources": resources}
    server: Server[Any] = Server("s", on_call_tool=run, on_read_resource=resource, **offers)
    user = Asked()
    with world.open() as opened:
        async with proxied_shop(opened, world.folder, server=server, elicitation_callback=user) as (client, _):
            running = asyncio.create_task(client.call_tool("echo_wait"))
            await begun.wait()
            found = await client.read_resource("mail://x")
            read_.set()
            ran = await running

    assert [content.text for content in found.contents if isinstance(content, types.TextResourceContents)] == [
        "decline"
    ]
    assert (text(ran), user.shown) == ("ran", [])


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_server_of_the_older_protocol_asks_clients_of_either(
    mode: str, guard: Guard, world: World, state_dir: Path
) -> None:
    """From outside the call, so it is the only client's whose call runs."""
    policy = (
        (world.policies / "policy.yaml").read_text().replace('"echo_*":', 'asks: {risk: low, labels: []}\n  "echo_*":')
    )
    (world.policies / "policy.yaml").write_text(policy)
    shown: list[str] = []

    async def answer(_: Any, params: Any) -> ElicitResult:
        shown.append(params.message)
        return ElicitResult(action="accept", content={"size": "L"})

    target = StdioServerParameters(command=sys.executable, args=[str(SERVER), str(state_dir / "hangs")])
    terms: dict[str, Any] = {"server": target, "mode": mode, "elicitation_callback": answer}
    with world.open() as opened:
        async with proxied_shop(opened, world.folder, **terms) as (client, _):
            done = await client.call_tool("asks")

    assert shown == ["For m***@mail.example?"]
    assert text(done) == "accept {'size': 'L'}"


async def test_a_client_that_drops_its_call_cancels_it(guard: Guard, world: World) -> None:
    """While people are asked about it, as without a question; the request is taken back."""
    policy = (world.policies / "policy.yaml").read_text().replace("deadline: 20s", "deadline: 10m")
    (world.policies / "policy.yaml").write_text(policy.replace('"echo_*": {risk: low', '"echo_*": {risk: high'))
    with world.open() as strict:
        terms: dict[str, Any] = {"hold": 600.0, "elicitation_callback": Asked()}
        async with proxied_shop(strict, world.folder, **terms) as (client, ran):
            asking = asyncio.create_task(asked(client))
            await world.waiting()
            asking.cancel()
            with anyio.fail_after(60):
                while await world.open_requests():
                    await anyio.sleep(0.02)

    assert ran == []


async def test_t19_only_so_many_questions_wait_at_once() -> None:
    """One more is declined, and its call goes on with that."""
    question = ElicitRequestFormParams(message="Which?", requested_schema={"type": "object", "properties": {}})

    async with anyio.create_task_group() as tasks:
        exchanges: Exchanges[Any] = Exchanges(tasks=tasks)

        async def ask(exchange: Exchange[Any]) -> ElicitResult:
            return await exchanges.ask(exchange, question)

        begun = [exchanges.begin(str(number), ask) for number in range(WAITING_MAX)]
        waiting = [await exchange.next(None) for exchange in begun]  # type: ignore[arg-type]
        declined = await exchanges.begin("more", ask).next(None)  # type: ignore[arg-type]
        answer = InputResponseRequestParams(request_state=waiting[0].request_state)
        freed, again = exchanges.answered("0", answer), exchanges.answered("0", answer)
        asked_then = await exchanges.begin("then", ask).next(None)  # type: ignore[arg-type]
        tasks.cancel_scope.cancel()

    assert declined == ElicitResult(action="decline")
    assert freed is begun[0]
    assert again is None
    assert isinstance(asked_then, InputRequiredResult)
