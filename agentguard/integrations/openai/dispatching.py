"""The tool calls of OpenAI's models, chat completions and responses, behind a guard.

    tools = dispatch(guard, {"refund": refund})
    completion = await client.chat.completions.create(model=..., messages=messages, tools=tools.tools)
    messages += [completion.choices[0].message, *await tools.chat(completion.choices[0].message)]

Rules:
- every call that the model writes is answered once, in order, and each by its own decision: one that is refused stops no other;
- the calls of one message run together, functions that don't await in threads;
- unknown names, unreadable arguments and free-text calls are refused, on record, and told to the model;
- a tool that raises is told to the model too, masked;
- what people changed of a call is told in a line before a result of text, and in a text of its own before any other, which stays JSON;
- what is not for the model (see `answers`) is raised, once all other calls of the message have ended.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from anyio.from_thread import start_blocking_portal
from openai.types.chat import (
    ChatCompletionContentPartTextParam,
    ChatCompletionFunctionToolParam,
    ChatCompletionMessage,
    ChatCompletionToolMessageParam,
)
from openai.types.responses import (
    FunctionToolParam,
    ResponseFunctionCallOutputItemParam,
    ResponseInputItemParam,
    ResponseOutputItem,
)
from openai.types.shared_params import FunctionDefinition
from pydantic_core import to_json

from agentguard.errors import CallRefused, ConfigurationError, Fault, GuardUnavailable, ResultRefused
from agentguard.guard.permit import Settled
from agentguard.guard.pipeline import Guard
from agentguard.integrations.answers import answer, failure
from agentguard.integrations.functions import FunctionTool
from agentguard.integrations.names import check_names
from agentguard.integrations.openai.calls import WrittenCall, calls_of_message, calls_of_output, users_words
from agentguard.integrations.openai.specs import function_definition
from agentguard.integrations.readable import readable

T = TypeVar("T")
Texts = tuple[str, ...]
"""What answers one call: a text, or a word on what people changed and a text."""


def dispatch(guard: Guard, tools: Mapping[str, Callable[..., Any] | FunctionTool]) -> Dispatch:
    """Tools by the names that the model calls them by. Raises ConfigurationError."""
    if not isinstance(tools, Mapping):
        raise ConfigurationError("give the tools by name: dispatch(guard, {'find_order': find_order})")
    check_names(tools)
    by_name = {name: _tool(name, given) for name, given in tools.items()}
    guard.expect(*by_name.values())
    return Dispatch(guard=guard, by_name=by_name)


@dataclass(frozen=True, kw_only=True)
class Dispatch:
    """Answers tool calls. Give `tools` or `response_tools` to the model, then its message or output to `chat` or `responses`."""

    guard: Guard
    by_name: Mapping[str, FunctionTool]

    @property
    def blocking(self) -> BlockingDispatch:
        """The same, for code that doesn't await."""
        return BlockingDispatch(self)

    @property
    def tools(self) -> list[ChatCompletionFunctionToolParam]:
        """What `chat.completions.create` takes as `tools`."""
        return [{"type": "function", "function": spec} for spec in self._definitions()]

    @property
    def response_tools(self) -> list[FunctionToolParam]:
        """What `responses.create` takes as `tools`."""
        return [
            {
                "type": "function",
                "name": spec["name"],
                "description": spec["description"],
                "parameters": spec["parameters"],
                "strict": bool(spec["strict"]),
            }
            for spec in self._definitions()
        ]

    async def chat(
        self, message: ChatCompletionMessage | Mapping[str, Any], *, messages: Iterable[Any] = ()
    ) -> list[ChatCompletionToolMessageParam]:
        """The tool messages that answer an assistant's message, to append after it. Raises Fault or NoSession.

        `messages`: the conversation, of which the user's messages tell the guard what the user wrote.
        """
        calls = calls_of_message(message)
        await self._listen(messages)
        answers = await self._answers(calls)
        return [
            {"role": "tool", "tool_call_id": call.id, "content": _content(texts)}
            for call, texts in zip(calls, answers, strict=True)
        ]

    async def responses(
        self, output: Iterable[ResponseOutputItem | Mapping[str, Any]], *, given: str | Iterable[Any] = ()
    ) -> list[ResponseInputItemParam]:
        """The items that answer the calls in a response's output, to send as further input. Raises Fault or NoSession.

        `given`: the input of the request, of which text and the user's messages tell the guard what the user wrote.
        """
        calls = calls_of_output(output)
        await self._listen([{"role": "user", "content": given}] if isinstance(given, str) else given)
        answers = await self._answers(calls)
        return [_output(call, texts) for call, texts in zip(calls, answers, strict=True)]

    def _definitions(self) -> list[FunctionDefinition]:
        tools = self.by_name.values()
        return [function_definition(tool, reveals=self.guard.reveals(tool.name)) for tool in tools]

    async def _listen(self, messages: Iterable[Any]) -> None:
        for text in users_words(messages):
            await self.guard.user_said(text)

    async def _answers(self, calls: list[WrittenCall]) -> list[Texts]:
        ended = await asyncio.gather(*map(self._answer, calls), return_exceptions=True)
        raised = [error for error in ended if isinstance(error, BaseException)]
        for other in raised[1:]:
            raised[0].add_note(f"another call of the same message ended with {type(other).__name__}")
        if raised:
            raise raised[0]
        return [texts for texts in ended if isinstance(texts, tuple)]

    async def _answer(self, written: WrittenCall) -> Texts:
        call, tool = written.read(self.by_name)
        try:
            permit = await self.guard.admit(call, tool)
        except (CallRefused, GuardUnavailable) as refusal:
            return (answer(refusal),)
        assert isinstance(tool, FunctionTool)  # noqa: S101 - any other tool is refused by its own parsing
        try:
            async with self.guard.settling(permit) as outcome:
                outcome.result = readable(await _run(tool, permit.arguments))
            return _texts(outcome.settled)
        except Fault:
            raise
        except ResultRefused as refusal:
            return (answer(refusal),)
        except Exception as error:  # noqa: BLE001 - masked by settling, and told
            return (failure(error),)


@dataclass(frozen=True)
class BlockingDispatch:
    """What `Dispatch` does, for code that doesn't await, in a thread with an event loop of its own."""

    dispatch: Dispatch

    def chat(
        self, message: ChatCompletionMessage | Mapping[str, Any], *, messages: Iterable[Any] = ()
    ) -> list[ChatCompletionToolMessageParam]:
        """See Dispatch.chat."""
        return _blocking(partial(self.dispatch.chat, message, messages=messages))

    def responses(
        self, output: Iterable[ResponseOutputItem | Mapping[str, Any]], *, given: str | Iterable[Any] = ()
    ) -> list[ResponseInputItemParam]:
        """See Dispatch.responses."""
        return _blocking(partial(self.dispatch.responses, output, given=given))


def _blocking(make: Callable[[], Awaitable[T]]) -> T:
    with start_blocking_portal() as portal:
        future = portal.start_task_soon(make)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # interrupted: what waits is taken back
            raise


def _tool(name: str, given: Callable[..., Any] | FunctionTool) -> FunctionTool:
    if not isinstance(given, FunctionTool):
        return FunctionTool.of(given, name=name)
    if given.name != name:
        raise ConfigurationError(f"the tool under {name!r} is named {given.name!r}; give it one name")
    return given


async def _run(tool: FunctionTool, arguments: Any) -> Any:
    """Run the function: in this task where it is async, else in a thread."""
    if inspect.iscoroutinefunction(tool.function):
        return await tool.call(arguments)
    result = await asyncio.to_thread(tool.call, arguments)
    return await result if inspect.isawaitable(result) else result


def _texts(settled: Settled) -> Texts:
    """A result, behind the word on what people changed: apart from it where it is JSON that somebody may read as that."""
    if settled.word and not isinstance(settled.value, str):
        return settled.word, _text(settled.value)
    return (_text(settled.told),)


def _text(masked: Any) -> str:
    """Text as it is, anything else as JSON; whatever has no JSON form was looked into by masking, so its text may be shown."""
    return masked if isinstance(masked, str) else to_json(masked, fallback=str, inf_nan_mode="constants").decode()


def _content(texts: Texts) -> str | list[ChatCompletionContentPartTextParam]:
    return texts[0] if len(texts) == 1 else [{"type": "text", "text": text} for text in texts]


def _output(call: WrittenCall, texts: Texts) -> ResponseInputItemParam:
    if call.free_text:  # which no tool runs for, so the answer is one text
        return {"type": "custom_tool_call_output", "call_id": call.id, "output": texts[0]}
    if len(texts) == 1:
        return {"type": "function_call_output", "call_id": call.id, "output": texts[0]}
    parts: list[ResponseFunctionCallOutputItemParam] = [{"type": "input_text", "text": text} for text in texts]
    return {"type": "function_call_output", "call_id": call.id, "output": parts}
