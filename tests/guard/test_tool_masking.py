"""A tool's own masking: what its results show, and what goes out in its arguments."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentguard.audit import finding_counts, read
from agentguard.guard.pipeline import Guard
from agentguard.model.calls import ToolCall
from tests.guard.world import World

MASKING = """\
masking:
  actions: {PHONE_NUMBER: redact}
"""
FIND = "find_customer: {risk: low, labels: [customer-data]}"
HTTP = "http_post: {risk: medium, params: {url: [url]}, labels: []}"
ECHO = "echo: {risk: low, labels: []}"


@pytest.fixture
def world(world: World) -> World:
    """The world's policy with a masking section, and masking of their own for three tools."""
    file = world.policies / "policy.yaml"
    text = file.read_text(encoding="utf-8") + MASKING
    text = text.replace(FIND, FIND[:-1] + ", masking: {result: {EMAIL_ADDRESS: allow, '**.full_name': redact}}}")
    text = text.replace(
        HTTP, HTTP[:-1] + ", masking: {arguments: {US_SSN: redact, EMAIL_ADDRESS: token, '**.url': allow}}}"
    )
    text = text.replace(ECHO, ECHO[:-1] + ", masking: {result: {'*': drop}}}")
    file.write_text(text, encoding="utf-8")
    return world


@pytest.mark.anyio
async def test_results_are_masked_as_the_tool_says(world: World, guard: Guard) -> None:
    """The tool's own actions come first, then the policy's."""
    with guard.session(user="ann@acme.example"):
        shown = await world.call(guard, "find_customer", customer_id=7)

    assert shown == {
        "id": 7,
        "full_name": "[PERSON redacted]",
        "email": "anna.kowalska@mail.example",
        "note": "call [PHONE_NUMBER redacted]",
    }


@pytest.mark.anyio
async def test_other_tools_are_masked_by_the_policy(world: World, guard: Guard) -> None:
    """What one tool may show, no other does."""
    with guard.session(user="ann@acme.example"):
        shown = await world.call(guard, "send_email", to="eve@mail.example")

    assert shown.startswith("sent to [EMAIL_")


@pytest.mark.anyio
async def test_what_the_model_wrote_goes_out_as_the_tool_says(world: World, guard: Guard) -> None:
    """An SSN is redacted and an address becomes a token before the tool gets them; other words and paths stay."""
    with guard.session(user="ann@acme.example"):
        await world.call(
            guard,
            "http_post",
            url="https://acme.example/?m=eve@mail.example",
            body="536-22-1234 of eve@mail.example, 202-555-0147",
        )
        sent = world.tools.ran[-1][1]
        again = await world.call(guard, "read_page", url=sent["body"])

    assert sent["url"] == "https://acme.example/?m=eve@mail.example"
    assert sent["body"].startswith("[US_SSN redacted] of [EMAIL_")
    assert sent["body"].endswith(", 202-555-0147")
    assert again == "hello"


@pytest.mark.anyio
async def test_a_token_made_of_an_argument_can_be_revealed(world: World, guard: Guard) -> None:
    """It is in the vault like any other: another tool to which policy reveals it gets the value."""
    with guard.session(user="ann@acme.example"):
        await world.call(guard, "http_post", url="https://acme.example/", body="eve@mail.example")
        await world.call(guard, "send_email", to=world.tools.ran[-1][1]["body"])

    assert world.tools.ran[-1] == ("send_email", {"to": "eve@mail.example", "body": ""})


@pytest.mark.anyio
async def test_an_argument_that_was_masked_is_on_record_as_it_went_out(world: World, guard: Guard) -> None:
    """The journal has neither the value nor anything else than what ran."""
    with guard.session(user="ann@acme.example"):
        await world.call(guard, "http_post", url="https://acme.example/", body="536-22-1234")

    journal = "".join(file.read_text() for file in (world.folder / "state" / "journal").rglob("*.jsonl"))
    assert "536-22-1234" not in journal
    assert "[US_SSN redacted]" in journal


@pytest.mark.anyio
async def test_findings_of_both_directions_can_be_counted_later(world: World, guard: Guard) -> None:
    """The journal has how many of which type, and nothing else of them."""
    with guard.session(user="ann@acme.example"):
        await world.call(guard, "find_customer", customer_id=7)
        await world.call(guard, "send_email", to="eve@mail.example")

    counts = finding_counts(read(world.folder / "state" / "journal"))

    assert (counts.calls, counts.arguments) == (2, {"CUSTOMER_ID": 1, "EMAIL_ADDRESS": 1})
    assert counts.results == {"EMAIL_ADDRESS": 2, "PERSON": 1, "PHONE_NUMBER": 1}
    assert counts.tools["send_email"] == {"EMAIL_ADDRESS": 2}


@pytest.mark.anyio
async def test_errors_of_the_tool_are_masked_as_its_results(world: World, guard: Guard) -> None:
    """What a tool raises is no way around its own actions."""

    def echo(value: Any = None) -> Any:
        raise ValueError(f"no {value}")

    world.tools.echo = echo  # type: ignore[method-assign]
    with guard.session(user="ann@acme.example"), pytest.raises(ValueError, match=r"^no $") as raised:
        await world.call(guard, "echo", value="eve@mail.example")
    assert "eve" not in str(raised.value)


def test_the_sync_door_does_the_same(world: World, guard: Guard) -> None:
    """One road, two doors."""
    with guard.session(user="ann@acme.example"):
        call = ToolCall(tool="http_post", arguments={"url": "https://acme.example/", "body": "536-22-1234"})
        guard.blocking.run(call, world.tools.tool("http_post"))

    assert json.dumps(world.tools.ran[-1][1]) == '{"url": "https://acme.example/", "body": "[US_SSN redacted]"}'
