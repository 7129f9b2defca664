"""What a LangChain tool returned, taken apart into what is masked, and put together again.

Rules:
- of a message: content, artifact, the arguments of tool calls and whatever providers added; its ids and names are the framework's,
  and stay;
- of a Command: update, resume and what each Send carries;
- an object that can't be looked into is masked as the text that LangChain would show the model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.messages.tool import ToolOutputMixin

from agentguard.integrations.readable import readable


class Parts(NamedTuple):
    """`plain` is what must be masked; `put_back(masked)` is the result again."""

    plain: Any
    put_back: Callable[[Any], Any]


def take_apart(result: Any) -> Parts:
    """The parts of any result."""
    if isinstance(result, BaseMessage):
        return _message(result)
    if is_command(result):
        return _fields(result, [name for name in ("update", "resume", "goto") if hasattr(result, name)])
    if _is_send(result):
        return _send(result)
    if type(result) in (list, tuple) and any(map(_holds_framework_values, result)):
        return _sequence(result)
    if type(result) is dict and any(map(_holds_framework_values, result.values())):
        return _mapping(result)
    return Parts(readable(result), _same)


def take_pair_apart(result: Any) -> Parts:
    """The parts of (content, artifact), where a tool returns both."""
    return _sequence(result) if isinstance(result, tuple) else take_apart(result)


def _message(message: BaseMessage) -> Parts:
    names = ["content", "additional_kwargs", "response_metadata"]
    names += ["artifact"] if isinstance(message, ToolMessage) else []
    plain = {name: value for name in names if (value := getattr(message, name))}
    calls = list(message.tool_calls) if isinstance(message, AIMessage) else []

    def put_back(masked: Any) -> BaseMessage:
        update, arguments = masked
        if calls:
            pairs = zip(calls, arguments, strict=True)
            update = {**update, "tool_calls": [{**call, "args": its} for call, its in pairs]}
        return message.model_copy(update=update)

    return Parts([{**plain}, [call["args"] for call in calls]], put_back)


def _fields(command: Any, names: Sequence[str]) -> Parts:
    parts = [take_apart(getattr(command, name)) for name in names]

    def put_back(masked: Any) -> Any:
        values = [part.put_back(value) for part, value in zip(parts, masked, strict=True)]
        return dataclasses.replace(command, **dict(zip(names, values, strict=True)))

    return Parts([part.plain for part in parts], put_back)


def _send(send: Any) -> Parts:
    inner = take_apart(send.arg)
    return Parts(inner.plain, lambda masked: type(send)(send.node, inner.put_back(masked)))


def _sequence(items: Sequence[Any]) -> Parts:
    parts = [take_apart(item) for item in items]
    kind = tuple if isinstance(items, tuple) else list
    return Parts(
        [part.plain for part in parts],
        lambda masked: kind(part.put_back(value) for part, value in zip(parts, masked, strict=True)),
    )


def _mapping(values: Mapping[str, Any]) -> Parts:
    parts = {name: take_apart(value) for name, value in values.items()}
    return Parts(
        {name: part.plain for name, part in parts.items()},
        lambda masked: {
            name: part.put_back(value) for (name, part), value in zip(parts.items(), masked.values(), strict=True)
        },
    )


def _holds_framework_values(value: Any) -> bool:
    """Whether a value is a message, a command or a send, or a list of such."""
    if type(value) in (list, tuple):
        return any(isinstance(item, (BaseMessage, ToolOutputMixin)) or _is_send(item) for item in value)
    return isinstance(value, (BaseMessage, ToolOutputMixin)) or _is_send(value)


def is_command(value: Any) -> bool:
    """Whether this is LangGraph's Command, told without importing LangGraph."""
    return isinstance(value, ToolOutputMixin) and dataclasses.is_dataclass(value)


def _is_send(value: Any) -> bool:
    """Whether this is LangGraph's Send, told without importing LangGraph."""
    return type(value).__name__ == "Send" and type(value).__module__.startswith("langgraph.")


def _same(masked: Any) -> Any:
    return masked
