"""Tool calls as OpenAI's models write them: in an assistant's message, or among the items of a response."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from agentguard.errors import CallRefused, ConfigurationError, InvalidArguments
from agentguard.integrations.json_arguments import UnreadableArguments, read_arguments
from agentguard.integrations.names import recorded_name
from agentguard.integrations.refused_tool import RefusedTool, unknown
from agentguard.model.calls import Tool, ToolCall


@dataclass(frozen=True, kw_only=True)
class WrittenCall:
    """A call before anybody read it. `free_text`: a custom call, whose input is no JSON.

    `says`: what the model wrote beside it. `turn`: what all calls of its message share.
    """

    id: str
    name: object
    arguments: object
    free_text: bool
    says: str = ""
    turn: str = ""

    def read(self, tools: Mapping[str, Tool]) -> tuple[ToolCall, Tool]:
        """The call and its tool. Where there is no such tool or no reading, a tool that refuses every call, for the record."""
        name = recorded_name(self.name)
        tool = tools.get(name)
        if tool is None:
            return self._unread(name, unknown(name, tools))
        if self.free_text:
            return self._unread(name, _invalid(name, "this tool takes JSON arguments, not free text"))
        try:
            arguments = read_arguments(self.arguments)
        except UnreadableArguments as error:
            return self._unread(name, _invalid(name, str(error)))
        return ToolCall(tool=name, arguments=arguments, id=self.id, says=self.says, turn=self.turn), tool

    def _unread(self, name: str, refusal: CallRefused) -> tuple[ToolCall, Tool]:
        return ToolCall(tool=name, arguments={}, id=self.id), RefusedTool(name=name, refusal=refusal)


def calls_of_message(message: BaseModel | Mapping[str, Any]) -> list[WrittenCall]:
    """The calls in an assistant's message of a chat completion."""
    plain: Any = _plain(message)
    if not isinstance(plain, Mapping) or not ({"role", "tool_calls"} & plain.keys()):
        raise ConfigurationError("that is no assistant's message; give completion.choices[0].message")
    said = plain.get("content")
    calls = plain.get("tool_calls") or ()
    turn = " ".join(call["id"] for call in calls)
    return [_chat_call(call, said if isinstance(said, str) else "", turn) for call in calls]


def calls_of_output(output: Iterable[BaseModel | Mapping[str, Any]]) -> list[WrittenCall]:
    """The calls among the items of a response. Items of other kinds are the model's words, or ran at the provider."""
    items = list(map(_plain, output))
    says = "\n".join(text for item in items if item.get("type") == "message" for text in _texts(item))
    calls = [item for item in items if item.get("type") in ("function_call", "custom_tool_call")]
    turn = " ".join(call["call_id"] for call in calls)
    return [_response_call(call, says, turn) for call in calls]


def users_words(messages: Iterable[BaseModel | Mapping[str, Any]]) -> list[str]:
    """The text of the user's messages in a conversation or a request's input."""
    plain = [_plain(message) for message in messages]
    return [text for message in plain if message.get("role") == "user" for text in _written(message)]


def _written(message: Mapping[str, Any]) -> Iterable[str]:
    content = message.get("content")
    return [content] if isinstance(content, str) else _texts(message)


def _chat_call(call: Mapping[str, Any], says: str, turn: str) -> WrittenCall:
    free_text = call.get("type") == "custom"
    written = call.get("custom" if free_text else "function") or {}
    return WrittenCall(
        id=call["id"],
        name=written.get("name"),
        arguments=written.get("arguments"),
        free_text=free_text,
        says=says,
        turn=turn,
    )


def _texts(message: Mapping[str, Any]) -> Iterator[str]:
    """What the model says in a message of a response."""
    content = message.get("content")
    for part in content if isinstance(content, list) else ():
        if isinstance(part, Mapping) and isinstance(part.get("text"), str):
            yield part["text"]


def _response_call(item: Mapping[str, Any], says: str, turn: str) -> WrittenCall:
    return WrittenCall(
        id=item["call_id"],
        name=item.get("name"),
        arguments=item.get("arguments"),
        free_text=item["type"] == "custom_tool_call",
        says=says,
        turn=turn,
    )


def _plain(item: BaseModel | Mapping[str, Any]) -> Mapping[str, Any]:
    return item.model_dump() if isinstance(item, BaseModel) else item


def _invalid(name: str, rule: str) -> InvalidArguments:
    return InvalidArguments([("", rule)], tool=name)
