"""The road of one call, step by step, on a real server."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
from pydantic import SecretStr

from agentguard.audit import read
from agentguard.config import Settings
from agentguard.errors import CallRefused, ConfigurationError, InvalidArguments, NoSession, RefusalReason
from agentguard.guard.pipeline import Guard
from agentguard.model.approvals import Decision, State
from agentguard.model.calls import ToolCall
from tests.guard.world import CUSTOMER, World

pytestmark = pytest.mark.anyio

ANN = "ann@acme.example"


async def test_a_result_reaches_the_model_masked(world: World, guard: Guard) -> None:
    """Names come by field, addresses and numbers by pattern; the tool itself saw nothing of it."""
    with guard.session(user=ANN):
        seen = await world.call(guard, "find_customer", customer_id=7)
    assert seen["id"] == 7
    assert not [
        value for value in (CUSTOMER["full_name"], CUSTOMER["email"], "202-555-0147") if value in json.dumps(seen)
    ]


async def test_a_token_is_restored_only_in_the_parameter_that_policy_reveals_it_to(world: World, guard: Guard) -> None:
    """`to` gets the address; the text keeps both tokens, and what the tool answers is masked again."""
    with guard.session(user=ANN):
        seen = await world.call(guard, "find_customer", customer_id=7)
        answer = await world.call(
            guard, "send_email", to=seen["email"], body=f"Dear {seen['full_name']}, {seen['email']}"
        )
    name, got = world.tools.ran[-1]
    assert (name, got["to"]) == ("send_email", CUSTOMER["email"])
    assert got["body"] == f"Dear {seen['full_name']}, {seen['email']}"
    assert answer == f"sent to {seen['email']}"


async def test_t26_no_key_is_in_what_a_guard_looks_like(guard: Guard) -> None:
    """A guard ends up in tracebacks with local variables and in error reports; its repr holds no key."""
    assert "key=" not in repr(guard)
    assert "keys=(" not in repr(guard)


async def test_t26_the_password_of_redis_is_not_in_what_settings_look_like() -> None:
    """The address of Redis may hold a password; settings are part of what a guard looks like."""
    settings = Settings(redis_url="redis://agent:hunter2@127.0.0.1:6379/0")
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings)


async def test_two_spellings_of_one_value_are_one_token(world: World) -> None:
    """In one result, in the next and in another process; the tool gets a spelling that was seen."""
    spellings = ["Anna.Kowalska@mail.example", "Anna.Kowalska@MAIL.example", "Anna.Kowalska@Mail.Example"]
    tokens = []
    for spelling in spellings:
        with world.open() as guard, guard.session(user=ANN, id="thread"):
            seen = await world.call(guard, "echo", value=[spelling, *spellings])
            await world.call(guard, "send_email", to=seen[0])
        tokens += seen
    assert len(set(tokens)) == 1
    assert {got["to"] for name, got in world.tools.ran if name == "send_email"} <= set(spellings)


async def test_t27_a_token_of_another_session_stays_as_it_is(world: World, guard: Guard) -> None:
    """Who copies a token into another conversation gets the token, not the value; or a refusal, where its check fits here by chance."""
    with guard.session(user=ANN, id="one"):
        seen = await world.call(guard, "find_customer", customer_id=7)
    with guard.session(user=ANN, id="two"), suppress(CallRefused):
        await world.call(guard, "send_email", to=seen["email"])
    assert CUSTOMER["email"] not in str(world.tools.ran)
    assert [given["to"] for name, given in world.tools.ran if name == "send_email"] in ([], [seen["email"]])


async def test_t27_another_user_of_the_same_session_gets_the_labels_and_not_the_values(
    world: World, guard: Guard
) -> None:
    """Bob in Ann's conversation can't have her tokens restored, and can't shake off what she read."""
    with guard.session(user=ANN, id="shared"):
        seen = await world.call(guard, "find_customer", customer_id=7)
    with guard.session(user="bob@acme.example", id="shared"):
        with suppress(CallRefused):  # the token's check may fit here by chance
            await world.call(guard, "send_email", to=seen["email"])
        with pytest.raises(CallRefused, match="Customer data would leave"):
            await world.call(guard, "http_post", url="https://mail.example/x")
    assert CUSTOMER["email"] not in str(world.tools.ran)
    assert [given["to"] for name, given in world.tools.ran if name == "send_email"] in ([], [seen["email"]])


async def test_tokens_and_labels_last_across_guards(world: World) -> None:
    """Another process with the same session restores the token and sees the label."""
    with world.open() as first, first.session(user=ANN, id="thread"):
        seen = await world.call(first, "find_customer", customer_id=7)
    with world.open() as second, second.session(user=ANN, id="thread"):
        await world.call(second, "send_email", to=seen["email"])
        with pytest.raises(CallRefused, match="Customer data would leave"):
            await world.call(second, "http_post", url="https://mail.example/x")
    assert world.tools.ran[-1][1]["to"] == CUSTOMER["email"]


async def test_a_rule_on_labels_denies_once_the_session_has_the_label(world: World, guard: Guard) -> None:
    """The same call is allowed before, and denied after, customer data came in."""
    with guard.session(user=ANN):
        assert await world.call(guard, "http_post", url="https://mail.example/x") == "posted"
        await world.call(guard, "find_customer", customer_id=7)
        with pytest.raises(CallRefused) as refused:
            await world.call(guard, "http_post", url="https://mail.example/x")
    assert refused.value.reason is RefusalReason.DENIED
    assert [name for name, _ in world.tools.ran].count("http_post") == 1


async def test_a_waiting_call_says_so_where_a_developer_looks(
    world: World, guard: Guard, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning names the tool and the command that shows the request; no argument is in it."""
    with guard.session(user=ANN):
        call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1042))
        (request,) = await world.waiting()
        await world.decide(request, "bob")
        await call
    (told,) = [record.getMessage() for record in caplog.records if record.name == "agentguard.guard"]
    assert told == f"refund waits for a decision: agentguard approvals show {request[:8]}"


async def test_a_bare_function_is_told_how_to_become_a_tool(world: World, guard: Guard) -> None:
    """The commonest first mistake gets its answer."""
    bare: Any = world.tools.refund
    with guard.session(user=ANN), pytest.raises(ConfigurationError, match=r"FunctionTool\.of"):
        await guard.run(ToolCall(tool="refund", arguments={"order_id": 1}), bare)


async def test_what_policy_denies_never_runs(world: World, guard: Guard) -> None:
    """The refusal says which clause and what the model can do."""
    with guard.session(user=ANN), pytest.raises(CallRefused, match="Nobody may do this") as refused:
        await world.call(guard, "forbidden_thing")
    assert refused.value.reason is RefusalReason.DENIED
    assert world.tools.ran == []


async def test_a_tool_that_policy_does_not_list_is_denied(world: World, guard: Guard) -> None:
    """This policy has no "*": what it does not name does not run."""

    def unlisted() -> str:
        world.tools.ran.append(("unlisted", {}))
        return "ran"

    tool = world.tools.tool("echo").of(unlisted)
    with guard.session(user=ANN), pytest.raises(CallRefused):
        await guard.run(ToolCall(tool="unlisted", arguments={}), tool)
    assert world.tools.ran == []


async def test_a_risky_call_waits_and_runs_once_approved(world: World, guard: Guard) -> None:
    """It runs after the vote, and not before."""
    with guard.session(user=ANN):
        call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1042))
        (request,) = await world.waiting()
        assert world.tools.ran == []
        await world.decide(request, "bob")
        assert await call == "refunded"
    assert world.tools.ran == [("refund", {"order_id": 1042, "amount": 10.0})]
    assert await world.state(request) is State.DONE


async def test_a_critical_call_needs_two_distinct_people(world: World, guard: Guard) -> None:
    """One vote, even twice, does not let it run."""
    with guard.session(user=ANN):
        call = asyncio.create_task(world.call(guard, "export_customers", "c1", limit=2))
        (request,) = await world.waiting()
        await world.decide(request, "bob")
        await world.decide(request, "bob")
        assert await world.state(request) is State.PENDING
        await world.decide(request, "cem")
        rows = await call
    assert len(rows) == 2
    assert CUSTOMER["email"] not in json.dumps(rows)


async def test_a_rejection_reaches_the_model_with_the_persons_words_masked(world: World, guard: Guard) -> None:
    """The words help the model; a number in them does not reach it."""
    with guard.session(user=ANN):
        call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1042))
        (request,) = await world.waiting()
        await world.decide(request, "bob", Decision.REJECT, "Not twice; call 202-555-0147 first")
        with pytest.raises(CallRefused) as refused:
            await call
    assert refused.value.reason is RefusalReason.REJECTED
    assert "Not twice" in str(refused.value)
    assert "555-0147" not in str(refused.value)
    assert world.tools.ran == []


async def test_confirm_is_the_users_own(world: World, guard: Guard) -> None:
    """`ask: confirm` is given by the user, and by nobody else."""
    with guard.session(user=ANN):
        call = asyncio.create_task(world.call(guard, "close_account", "c1", account=3))
        (request,) = await world.waiting()
        with pytest.raises(Exception, match="not among those"):
            await world.decide(request, "bob")
        await world.decide(request, "ann")
        assert await call == "closed"


async def test_t13_the_requester_cannot_approve_their_own_call(world: World, guard: Guard) -> None:
    """Being in the group does not help; the refusal names the way out."""
    with guard.session(user="Ann@ACME.example"):
        call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1))
        (request,) = await world.waiting()
        with pytest.raises(Exception, match="ask: confirm"):
            await world.decide(request, "ann")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert world.tools.ran == []


async def test_t15_what_nobody_could_approve_is_refused_at_once(world: World, guard: Guard) -> None:
    """An autonomous agent has no user to confirm; nobody is asked and nothing waits."""
    with guard.session(autonomous=True), pytest.raises(CallRefused, match="autonomous") as refused:
        await world.call(guard, "close_account", "c1", account=3)
    assert refused.value.reason is RefusalReason.DENIED
    assert world.tools.ran == []


async def test_a_cancelled_wait_takes_its_request_back(world: World, guard: Guard) -> None:
    """A late vote finds it withdrawn, and nothing runs."""
    with guard.session(user=ANN):
        call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1))
        (request,) = await world.waiting()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        async with asyncio.timeout(20):
            while await world.state(request) is State.PENDING:
                await asyncio.sleep(0.01)
        with pytest.raises(Exception, match="withdrawn"):
            await world.decide(request, "bob")
    assert world.tools.ran == []


async def test_t8_nobody_decides_in_time(state_dir: Any, valkey_url: str, tenant: str) -> None:
    """At the deadline the call is refused as expired."""
    world = World(folder=state_dir, redis_url=valkey_url, tenant=tenant, deadline="1s")
    with world.open() as guard, guard.session(user=ANN), pytest.raises(CallRefused) as refused:
        await world.call(guard, "refund", "c1", order_id=1)
    assert refused.value.reason is RefusalReason.EXPIRED
    assert world.tools.ran == []


async def test_t2_the_same_call_id_never_runs_twice(world: World, guard: Guard) -> None:
    """Done is done: the second time is told so."""
    with guard.session(user=ANN):
        call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1))
        (request,) = await world.waiting()
        await world.decide(request, "bob")
        await call
        with pytest.raises(CallRefused) as refused:
            await world.call(guard, "refund", "c1", order_id=1)
    assert refused.value.reason is RefusalReason.ALREADY_DONE
    assert len(world.tools.ran) == 1


async def test_t2_a_call_id_names_one_call(world: World, guard: Guard) -> None:
    """The same id with other arguments is refused, and does not end the first."""
    with guard.session(user=ANN):
        call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1))
        (request,) = await world.waiting()
        with pytest.raises(CallRefused) as refused:
            await world.call(guard, "refund", "c1", order_id=2)
        await world.decide(request, "bob")
        await call
    assert refused.value.reason is RefusalReason.CALL_ID_REUSED
    assert world.tools.ran == [("refund", {"order_id": 1, "amount": 10.0})]


async def test_t2_approving_one_of_two_parallel_calls_runs_that_one(world: World, guard: Guard) -> None:
    """Two calls of one tool are two requests; the other is still waiting."""
    with guard.session(user=ANN):
        one = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1))
        (first,) = await world.waiting()
        two = asyncio.create_task(world.call(guard, "refund", "c2", order_id=2))
        requests = await world.waiting(2)
        await world.decide(first, "bob")
        assert await one == "refunded"
        (second,) = set(requests) - {first}
        assert await world.state(second) is State.PENDING
        await world.decide(second, "bob", Decision.REJECT)
        with pytest.raises(CallRefused):
            await two
    assert world.tools.ran == [("refund", {"order_id": 1, "amount": 10.0})]


async def test_two_identical_calls_share_one_request_and_one_permit(world: World, guard: Guard) -> None:
    """Asked once, run once; whoever comes second is told so, and its agent goes on."""
    with guard.session(user=ANN):
        calls = [asyncio.create_task(world.call(guard, "refund", call_id, order_id=1)) for call_id in ("c1", "c2")]
        (request,) = await world.waiting()
        await asyncio.sleep(0.2)
        assert await world.waiting() == [request]
        await world.decide(request, "bob")
        ends = await asyncio.gather(*calls, return_exceptions=True)
    assert ends.count("refunded") == 1
    (twin,) = [end for end in ends if isinstance(end, CallRefused)]
    assert twin.reason is RefusalReason.ALREADY_DONE
    assert len(world.tools.ran) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param({"order_id": "ann@acme.example"}, "order_id", id="wrong type"),
        pytest.param({}, "order_id: missing", id="missing"),
        pytest.param({"order_id": 1, "sudo": True}, "sudo: extra_forbidden", id="unknown"),
        pytest.param({"order_id": float("nan")}, "NaN", id="not JSON"),
        pytest.param({"order_id": object()}, "no JSON form", id="an object"),
        pytest.param({"order_id": "\ud800"}, "surrogate", id="lone surrogate"),
    ],
)
async def test_arguments_that_the_tool_refuses_are_told_without_their_values(
    world: World, guard: Guard, arguments: dict[str, Any], told: str
) -> None:
    """Path and rule, never the value; nobody is asked."""
    with guard.session(user=ANN), pytest.raises(InvalidArguments, match=told) as refused:
        await world.call(guard, "refund", **arguments)
    assert "ann@acme.example" not in str(refused.value)
    assert world.tools.ran == []


async def test_a_call_outside_a_session_does_not_run(world: World, guard: Guard) -> None:
    """Nobody said on whose behalf."""
    with pytest.raises(NoSession):
        await world.call(guard, "echo", value=1)
    assert world.tools.ran == []


async def test_an_error_of_the_tool_reaches_the_model_masked(world: World, guard: Guard) -> None:
    """Same type, no raw value, no context to leak through."""

    def fail() -> str:
        try:
            raise KeyError(CUSTOMER["email"])
        except KeyError as error:
            raise ValueError(f"no mailbox {CUSTOMER['email']}") from error

    tool = world.tools.tool("echo").of(fail, name="echo")
    with guard.session(user=ANN), pytest.raises(ValueError, match="no mailbox") as raised:
        await guard.run(ToolCall(tool="echo", arguments={}), tool)
    assert str(CUSTOMER["email"]) not in repr(raised.value)
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    assert str(CUSTOMER["email"]) not in repr(raised.value.__cause__)


async def test_t26_a_secret_argument_reaches_the_tool_and_nothing_else(world: World, guard: Guard) -> None:
    """A field that the tool declares secret is opened for the tool alone: not in the journal, not on the card, not in Redis in clear."""
    got: list[str] = []

    def refund(code: SecretStr, codes: list[SecretStr] = []) -> str:  # noqa: B006 - never changed
        got.append(code.get_secret_value())
        return "in"

    tool = world.tools.tool("refund").of(refund)
    with guard.session(user=ANN):
        asked = ToolCall(tool="refund", arguments={"code": "open sesame", "codes": ["and again"]}, id="c1")
        call = asyncio.create_task(guard.run(asked, tool))
        (request,) = await world.waiting()
        card = await world.card(request)
        await world.decide(request, "bob")
        await call
    written = "".join(file.read_text() for file in (world.folder / "state" / "journal").glob("*.jsonl"))
    assert got == ["open sesame"]
    assert card.arguments == '{"code":"[secret]","codes":["[secret]"]}'
    assert not [text for text in (written, card.canonical()) if "open sesame" in text or "and again" in text]


async def test_t26_no_context_of_a_raised_error_holds_the_raw_one(world: World, guard: Guard) -> None:
    """Whoever walks causes and contexts, as tracers do, finds nothing raw on the async door or the sync one."""

    def echo() -> str:
        raise ValueError(f"no mailbox {CUSTOMER['email']}")

    tool = world.tools.tool("echo").of(echo)
    call = ToolCall(tool="echo", arguments={})
    with guard.session(user=ANN):
        with pytest.raises(ValueError, match="no mailbox") as awaited:
            await guard.run(call, tool)
        with pytest.raises(ValueError, match="no mailbox") as driven:
            guard.blocking.run(call, tool)
    assert [awaited.value.__context__, awaited.value.__cause__] == [None, None]
    assert [driven.value.__context__, driven.value.__cause__] == [None, None]


async def test_the_journal_tells_the_story_without_a_value(world: World, guard: Guard) -> None:
    """Judged, asked, permitted, settled, in this order, and nothing in clear."""
    with guard.session(user=ANN):
        seen = await world.call(guard, "find_customer", customer_id=7)
        await world.call(guard, "send_email", to=seen["email"], body="call 202-555-0147")
        call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1))
        (request,) = await world.waiting()
        await world.decide(request, "bob")
        await call
    entries = list(read(world.folder / "state" / "journal"))
    assert [entry.kind for entry in entries] == [
        "opened", "judged", "settled", "judged", "settled", "judged", "asked", "permitted", "settled",
    ]  # fmt: skip
    assert entries[3].body["revealed"] == {"to": ["EMAIL_ADDRESS"]}
    text = "".join(file.read_text() for file in (world.folder / "state" / "journal").glob("*.jsonl"))
    assert not [value for value in (CUSTOMER["full_name"], CUSTOMER["email"], "555-0147") if str(value) in text]
