"""A user's confirmation of their own agent's calls, asked by the MCP client, in both generations of the protocol."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp_types import CallToolResult, ElicitationCapability, ElicitResult, ErrorData, InputRequiredResult

from agentguard.audit import read
from agentguard.guard.pipeline import Guard
from tests.guard.world import World
from tests.integrations.mcp_connecting import Asked, proxied_shop, text
from tests.integrations.mcp_shop import EMAIL

pytestmark = pytest.mark.anyio

POLICY = """\
version: 1
risk: {low: allow, medium: allow, high: {ask: on-call}, critical: {ask: stewards}}
tools:
  find_customer: {risk: low, labels: []}
  echo: {risk: high, ask: confirm, labels: [], title: "Say {{ args.value }}"}
  send_email: {risk: high, ask: confirm, params: {recipient: [to], text: [body]}, reveal: {to: [EMAIL_ADDRESS]}, labels: []}
  refund: {risk: high, labels: []}
  forbidden_thing: {risk: critical, labels: []}
  mcp_read_resource: {risk: high, ask: confirm}
rules:
  - {id: big, tools: [echo], when: args.value == "big", ask: on-call}
asking: {per_minute: 4}
approvals:
  on-call: {approvers: [group:on-call], deadline: 20s}
  stewards: {approvers: [group:stewards], quorum: 2, deadline: 20s}
"""
BOTH = pytest.mark.parametrize("mode", ["auto", "legacy"])
ZOE = "zoe@acme.example"


@pytest.fixture
def world(world: World) -> World:
    """People, and a policy in which some calls are for their own user to confirm."""
    (world.policies / "policy.yaml").write_text(POLICY)
    return world


def records(world: World, kind: str) -> list[dict[str, Any]]:
    """What the journal has of a kind."""
    return [entry.body for entry in read(world.settings.state_dir / "journal") if entry.kind == kind]


async def call(
    client: Client, name: str, arguments: dict[str, Any], **more: Any
) -> CallToolResult | InputRequiredResult:
    """One request, without the client's own rounds."""
    return await client.session.call_tool(name, arguments, allow_input_required=True, **more)


@BOTH
async def test_the_user_is_asked_by_their_client_and_the_call_runs_once(guard: Guard, world: World, mode: str) -> None:
    """The question is the card; what stands for personal data stays masked in it; the answer is on record before the call runs."""
    user = Asked()
    async with proxied_shop(guard, world.folder, user=ZOE, mode=mode, elicitation_callback=user) as (client, ran):
        found = await client.call_tool("find_customer", {"order_id": 1})
        sent = await client.call_tool("send_email", {"to": found.structured_content["email"], "body": "hi\u202e"})

    [question] = user.shown
    [record] = records(world, "confirmed")
    assert text(sent).startswith("sent to [EMAIL_")
    assert ran[1:] == [("send_email", (EMAIL, "hi\u202e"))]
    assert question.startswith("Confirm exactly this call: send_email\n▲ high risk: send_email, by ")
    assert "body:\n  | hi\\u202e" in question
    assert EMAIL not in question
    assert (record["answer"], record["tool"]) == ("confirmed", "send_email")
    assert not await world.open_requests()


@BOTH
@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_no_and_a_closed_question_both_mean_that_it_does_not_run(
    guard: Guard, world: World, mode: str, action: str
) -> None:
    """The model is told that the user did not confirm it."""
    user = Asked(action)
    async with proxied_shop(guard, world.folder, user=ZOE, mode=mode, elicitation_callback=user) as (client, ran):
        refused = await client.call_tool("echo", {"value": "x"})

    assert text(refused).startswith("not confirmed: the user did not confirm this call")
    assert refused.is_error
    assert ran == []
    assert [each["answer"] for each in records(world, "confirmed")] == ["refused"]


@BOTH
@pytest.mark.parametrize(
    ("tool", "arguments"), [("refund", {"order_id": 1}), ("echo", {"value": "big"}), ("forbidden_thing", {})]
)
async def test_t13_an_approval_is_never_given_by_the_client(
    guard: Guard, world: World, mode: str, tool: str, arguments: dict[str, Any]
) -> None:
    """What others must approve, alone or beside the user, and whatever is critical, waits for them; the client is asked nothing."""
    user = Asked()
    terms: dict[str, Any] = {"user": ZOE, "hold": 0.2, "mode": mode, "elicitation_callback": user}
    async with proxied_shop(guard, world.folder, **terms) as (client, ran):
        pending = await client.call_tool(tool, arguments)

    assert text(pending).startswith("pending: request ")
    assert user.shown == []
    assert ran == []


@BOTH
async def test_a_client_that_cannot_ask_leaves_it_to_the_inbox(guard: Guard, world: World, mode: str) -> None:
    """The user confirms there, with their own key, and the same call then runs."""
    async with proxied_shop(guard, world.folder, user=ZOE, hold=0.2, mode=mode) as (client, ran):
        pending = await client.call_tool("echo", {"value": "x"})
        [request] = await world.waiting()
        await world.decide(request, "zoe")
        done = await client.call_tool("echo", {"value": "x"})

    assert text(pending).startswith("pending: request ")
    assert [block.text for block in done.content] == ["x"]
    assert ran == [("echo", "x")]


@BOTH
async def test_what_does_not_fit_a_dialog_is_not_asked_there(guard: Guard, world: World, mode: str) -> None:
    """The end of a long argument could be out of sight: the inbox shows it whole."""
    user = Asked()
    terms: dict[str, Any] = {"user": ZOE, "hold": 0.2, "mode": mode, "elicitation_callback": user}
    async with proxied_shop(guard, world.folder, **terms) as (client, ran):
        pending = await client.call_tool("echo", {"value": "echo ok " + "x, " * 2000 + "rm -rf /"})

    assert text(pending).startswith("pending: request ")
    assert (user.shown, ran) == ([], [])


@BOTH
async def test_nobody_confirms_for_an_agent_without_a_user(guard: Guard, world: World, mode: str) -> None:
    """Nor for a user whom approvers.yaml does not know."""
    user = Asked()
    async with proxied_shop(guard, world.folder, user=None, mode=mode, elicitation_callback=user) as (client, ran):
        alone = await client.call_tool("echo", {"value": "x"})
    async with proxied_shop(guard, world.folder, user="eve", mode=mode, elicitation_callback=user) as (client, _):
        stranger = await client.call_tool("echo", {"value": "x"})

    assert "the agent is autonomous" in text(alone)
    assert "not in approvers.yaml" in text(stranger)
    assert (user.shown, ran) == ([], [])


@BOTH
async def test_a_resource_is_confirmed_alike(guard: Guard, world: World, mode: str) -> None:
    """What is no call has the same road."""
    user = Asked()
    async with proxied_shop(guard, world.folder, user=ZOE, mode=mode, elicitation_callback=user) as (client, ran):
        found = await client.read_resource("customers://all")

    assert EMAIL not in found.model_dump_json()
    assert len(user.shown) == 1
    assert ran == [("customers", None)]


async def test_t1_t2_an_answer_is_for_exactly_one_call_once(guard: Guard, world: World) -> None:
    """Used again, for other arguments, for another tool, for a question that nobody asked, or by another user: nothing runs."""
    yes: dict[str, Any] = {"input_responses": {"confirm": ElicitResult(action="accept")}}
    async with proxied_shop(guard, world.folder, user=ZOE, elicitation_callback=Asked()) as (client, ran):
        asked = [await call(client, "echo", {"value": "x"}) for _ in range(4)]
        states = [each.request_state for each in asked if isinstance(each, InputRequiredResult)]
        ran_once = await call(client, "echo", {"value": "x"}, request_state=states[0], **yes)
        refused = [
            await call(client, "echo", {"value": "x"}, request_state=states[0], **yes),
            await call(client, "echo", {"value": "y"}, request_state=states[1], **yes),
            await call(client, "send_email", {"to": "a", "body": "x"}, request_state=states[2], **yes),
            await call(client, "echo", {"value": "x"}, request_state="0" * 32, **yes),
            await call(client, "echo", {"value": "x"}, request_state=states[2], **yes),
        ]
        async with proxied_shop(guard, world.folder, user="ann@acme.example", elicitation_callback=Asked()) as (ann, _):
            refused.append(await call(ann, "echo", {"value": "x"}, request_state=states[3], **yes))
    told = [text(each) for each in refused if isinstance(each, CallToolResult)]

    assert isinstance(ran_once, CallToolResult)
    assert ran == [("echo", "x")]
    assert [each.partition(":")[0] for each in told] == ["expired", "stale", "stale", "expired", "expired", "stale"]


@pytest.mark.parametrize(
    "answers", [None, {}, {"other": ElicitResult(action="accept")}, {"confirm": ElicitResult(action="decline")}]
)
async def test_only_accept_is_a_yes(guard: Guard, world: World, answers: Any) -> None:
    """An answer that is missing or is to something else is a no."""
    async with proxied_shop(guard, world.folder, user=ZOE, elicitation_callback=Asked()) as (client, ran):
        asked = await call(client, "echo", {"value": "x"})
        assert isinstance(asked, InputRequiredResult)
        answer: dict[str, Any] = {"request_state": asked.request_state, "input_responses": answers}
        refused = await call(client, "echo", {"value": "x"}, **answer)

    assert isinstance(refused, CallToolResult)
    assert text(refused).startswith("not confirmed")
    assert ran == []


async def test_a_policy_that_became_stricter_meanwhile_counts(guard: Guard, world: World) -> None:
    """The user confirmed what was shown; what is in force now asks somebody else too."""
    async with proxied_shop(guard, world.folder, user=ZOE, hold=0.2, elicitation_callback=Asked()) as (client, ran):
        asked = await call(client, "echo", {"value": "x"})
        (world.policies / "policy.yaml").write_text(POLICY.replace('args.value == "big"', 'args.value == "x"'))
        with anyio.fail_after(10):
            while guard.policy.document.rules[0].when != 'args.value == "x"':
                await asyncio.sleep(0.02)
        assert isinstance(asked, InputRequiredResult)
        yes: dict[str, Any] = {"input_responses": {"confirm": ElicitResult(action="accept")}}
        refused = await call(client, "echo", {"value": "x"}, request_state=asked.request_state, **yes)

    assert isinstance(refused, CallToolResult)
    assert text(refused).startswith("pending: request ")
    assert ran == []


async def test_a_question_that_nobody_answers_ends_with_the_call(guard: Guard, world: World) -> None:
    """The client's own limit is not waited for."""

    async def away(_: Any, __: Any) -> ElicitResult:
        await anyio.sleep_forever()
        raise AssertionError

    terms: dict[str, Any] = {"user": ZOE, "hold": 0.2, "mode": "legacy", "elicitation_callback": away}
    async with proxied_shop(guard, world.folder, **terms) as (client, ran):
        refused = await client.call_tool("echo", {"value": "x"})

    assert text(refused).startswith("not confirmed")
    assert ran == []


async def test_a_client_that_fails_to_ask_leaves_the_call_unconfirmed(guard: Guard, world: World) -> None:
    """An error of the client's is no yes, and none that the model is shown."""

    async def broken(_: Any, __: Any) -> ErrorData:
        return ErrorData(code=-32000, message="no dialog could be shown")

    terms: dict[str, Any] = {"user": ZOE, "mode": "legacy", "elicitation_callback": broken}
    async with proxied_shop(guard, world.folder, **terms) as (client, ran):
        refused = await client.call_tool("echo", {"value": "x"})

    assert text(refused).startswith("not confirmed")
    assert ran == []


@BOTH
@pytest.mark.parametrize(
    ("can", "is_asked"),
    [({}, True), ({"form": {}}, True), ({"url": {}}, False), ({"form": {}, "url": {}}, True)],
    ids=["as older clients say", "forms", "links alone", "both"],
)
async def test_only_a_client_that_says_that_it_shows_forms_is_asked(
    can: dict[str, Any], is_asked: bool, mode: str, guard: Guard, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question is no link: where nothing else can be shown, the user confirms in the inbox."""
    monkeypatch.setattr("mcp_types.ElicitationCapability", lambda **_: ElicitationCapability.model_validate(can))
    user = Asked()
    terms: dict[str, Any] = {"user": ZOE, "hold": 0.2, "mode": mode, "elicitation_callback": user}
    async with proxied_shop(guard, world.folder, **terms) as (client, ran):
        await client.call_tool("echo", {"value": "x"})

    assert (len(user.shown), len(ran)) == (int(is_asked), int(is_asked))
    assert bool(await world.open_requests()) is not is_asked


async def test_t38_two_calls_at_once_are_two_questions(guard: Guard, world: World) -> None:
    """The yes to one is none to the other."""

    async def pick(_: Any, params: Any) -> ElicitResult:
        return ElicitResult(action="accept" if "  | yes" in params.message else "decline")

    terms: dict[str, Any] = {"user": ZOE, "mode": "legacy", "elicitation_callback": pick}
    async with proxied_shop(guard, world.folder, **terms) as (client, ran):
        both = await asyncio.gather(*(client.call_tool("echo", {"value": value}) for value in ("yes", "no")))

    assert [each.is_error for each in both] == [False, True]
    assert ran == [("echo", "yes")]


@BOTH
async def test_t19_a_no_is_the_answer_for_a_while_and_too_many_questions_are_none(
    guard: Guard, world: World, mode: str
) -> None:
    """The same call asks nobody again; an agent that asks too much in a minute asks nobody at all."""
    user = Asked("decline")
    async with proxied_shop(guard, world.folder, user=ZOE, mode=mode, elicitation_callback=user) as (client, ran):
        told = [text(await client.call_tool("echo", {"value": value})) for value in ("a", "a", "b", "c", "d", "e")]

    assert [each.partition(":")[0] for each in told] == [*["not confirmed"] * 5, "asked too much"]
    assert len(user.shown) == 4
    assert ran == []
