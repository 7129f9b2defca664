"""OpenAI's real client behind the guard, against a server on loopback: what it sends, and what comes back to its user."""

from __future__ import annotations

from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI

from agentguard.errors import ConfigurationError, GuardUnavailable, NoSession
from agentguard.guard.pipeline import Guard
from agentguard.integrations.openai import dispatch, guard_client
from tests.guard.world import CUSTOMER, POLICY, World
from tests.integrations.fake_openai import FakeOpenAI, call, calls, text

pytestmark = pytest.mark.anyio

NAME, EMAIL, MINE = str(CUSTOMER["full_name"]), str(CUSTOMER["email"]), "me.myself@mail.example"
USER = "ann@acme.example"


@pytest.fixture
def world(world: World) -> World:
    """Policies that show the user their own address and names in the final answer."""
    (world.policies / "policy.yaml").write_text(
        POLICY.replace("DEADLINE", "20s") + "masking: {answer: [EMAIL_ADDRESS, PERSON]}\n"
    )
    return world


def openai(server: FakeOpenAI) -> OpenAI:
    """A client of that server."""
    return OpenAI(base_url=server.url, api_key="x", max_retries=0)


def token_in(server: FakeOpenAI, word: str = "EMAIL") -> str:
    """The token of a type that the server was sent."""
    sent = "".join(server.sent)
    return sent[sent.index(f"[{word}_") : sent.index("]", sent.index(f"[{word}_")) + 1]


def test_t26_what_goes_out_is_masked_and_the_answer_is_restored(guard: Guard, server: FakeOpenAI) -> None:
    """System prompt, the user's words and names of users in other fields; the model's answer reads as the user may read it."""
    client = guard_client(guard, openai(server))
    messages: Any = [{"role": "system", "content": f"Work for {MINE}"}, {"role": "user", "content": f"I am {MINE}"}]
    with guard.session(user=USER, id="t"):
        server.says(text("Hello"))
        client.chat.completions.create(model="m", messages=messages, user=MINE)
        server.says(text(f"Hello {token_in(server)}"))
        answer = client.chat.completions.create(model="m", messages=messages)
        server.says(text(f"Hello {token_in(server)}"))
        response = client.responses.create(model="m", input=f"I am {MINE}", instructions=f"Work for {MINE}")

    assert MINE not in "".join(server.sent)
    assert answer.choices[0].message.content == f"Hello {MINE}"
    assert response.output_text == f"Hello {MINE}"


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
async def test_streams_are_restored_across_their_pieces(sync: bool, guard: Guard, server: FakeOpenAI) -> None:
    """Pieces of three characters; no piece is lost, and no half of a token is shown."""
    client = guard_client(guard, openai(server))
    messages: Any = [{"role": "user", "content": f"I am {MINE}"}]
    with guard.session(user=USER, id="t"):
        server.says(text("Hello"))
        client.chat.completions.create(model="m", messages=messages)
        said = f"Dear {token_in(server)}, hello {token_in(server)}"
        server.says(text(said), text(said))
        if sync:
            chat = list(client.chat.completions.create(model="m", messages=messages, stream=True))
            with client.responses.stream(model="m", input="Go on") as stream:
                whole = stream.get_final_response().output_text
        else:
            async_client = guard_client(guard, AsyncOpenAI(base_url=server.url, api_key="x", max_retries=0))
            chat = [
                chunk
                async for chunk in await async_client.chat.completions.create(model="m", messages=messages, stream=True)
            ]
            async with async_client.responses.stream(model="m", input="Go on") as async_stream:
                whole = (await async_stream.get_final_response()).output_text
            await async_client.close()

    told = f"Dear {MINE}, hello {MINE}"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chat) == told
    assert whole == told


def test_events_of_a_streamed_response_add_up(guard: Guard, server: FakeOpenAI) -> None:
    """The pieces together are the whole text that the done event has."""
    client = guard_client(guard, openai(server))
    with guard.session(user=USER, id="t"):
        server.says(text("Hello"))
        client.responses.create(model="m", input=f"I am {MINE}")
        server.says(text(f"Dear {token_in(server)}"))
        events: list[Any] = list(client.responses.create(model="m", input="Go on", stream=True))

    pieces = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    (done,) = [event.text for event in events if event.type == "response.output_text.done"]
    assert pieces == done == f"Dear {MINE}"


def test_arguments_of_calls_keep_their_tokens_for_dispatch_to_restore(
    guard: Guard, world: World, server: FakeOpenAI
) -> None:
    """The whole loop: the model never sees the address, the permitted tool gets it, the user reads it."""
    client, tools = guard_client(guard, openai(server)), dispatch(guard, {"send_email": world.tools.send_email})
    messages: list[Any] = [{"role": "user", "content": f"Write to {MINE}"}]
    with guard.session(user=USER, id="t"):
        server.says(text("Hello"))
        client.chat.completions.create(model="m", messages=messages)
        token = token_in(server)
        server.says(calls(call("c1", "send_email", {"to": token})), text(f"Sent to {token}"))
        asked = client.chat.completions.create(model="m", messages=messages, tools=tools.tools).choices[0].message
        messages += [asked, *tools.blocking.chat(asked)]
        answer = client.chat.completions.create(model="m", messages=messages, tools=tools.tools)

    assert world.tools.ran == [("send_email", {"to": MINE, "body": ""})]
    assert MINE not in "".join(server.sent)
    assert answer.choices[0].message.content == f"Sent to {MINE}"


def test_nothing_is_sent_that_cannot_be_masked(guard: Guard, server: FakeOpenAI) -> None:
    """No session, a file: the error comes before a byte is sent."""
    client = guard_client(guard, openai(server))
    with pytest.raises(NoSession):
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": MINE}])
    with guard.session(user=USER), pytest.raises(ConfigurationError, match="only JSON can be masked"):
        client.files.create(file=("a.txt", MINE.encode()), purpose="assistants")

    assert server.sent == []


def test_t5_without_a_vault_nothing_personal_is_sent(lonely_guard: Guard, server: FakeOpenAI) -> None:
    """New tokens could not be kept, so what they stand for stays here."""
    client = guard_client(lonely_guard, openai(server))
    with lonely_guard.session(user=USER), pytest.raises(GuardUnavailable):
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": MINE}])

    assert server.sent == []


def test_what_is_no_client_is_told_what_to_give(guard: Guard) -> None:
    """A programmer's mistake, at once."""
    wrong: Any = object()
    with pytest.raises(ConfigurationError, match=r"give OpenAI\(\) or AsyncOpenAI\(\)"):
        guard_client(guard, wrong)
