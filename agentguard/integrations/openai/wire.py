"""What OpenAI's API is sent and answers, as JSON: which parts are masked on the way out, and which are a final answer on the way back.

Pure: no I/O, no guard.

Rules:
- everything in a body is masked but what only steers the API (`STEERING`): what this module does not know is masked too;
- a final answer is the text of a choice or of an output message; arguments of tool calls stay as the model wrote them, tokens and all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

STEERING = frozenset(
    {
        "model", "tools", "tool_choice", "parallel_tool_calls", "response_format", "stream", "stream_options", "temperature", "top_p", "n",
        "max_tokens", "max_completion_tokens", "max_output_tokens", "reasoning", "reasoning_effort", "seed", "stop", "store", "include",
        "truncation", "logprobs", "top_logprobs", "presence_penalty", "frequency_penalty", "modalities", "service_tier",
        "previous_response_id", "conversation", "background", "verbosity",
    }
)  # fmt: skip
"""Keys of a body that hold nothing of a conversation."""

Restore = Callable[[str], Awaitable[str]]


def conversation_of(body: dict[str, Any]) -> dict[str, Any]:
    """The parts of a body that are masked."""
    return {key: value for key, value in body.items() if key not in STEERING}


async def restored(answer: Any, restore: Restore) -> Any:
    """A whole answer with its final texts restored."""
    if not isinstance(answer, dict):
        return answer
    for choice in _dicts(answer.get("choices")):
        message = choice.get("message")
        if isinstance(message, dict) and isinstance(message.get("content"), str):
            message["content"] = await restore(message["content"])
    await _restore_output(answer, restore)
    return answer


async def restored_event(event: dict[str, Any], restore: Restore) -> dict[str, Any]:
    """An event of a stream that holds whole texts (`...done`, `response.completed`), restored."""
    if isinstance(event.get("text"), str) and str(event.get("type", "")).startswith("response.output_text"):
        event["text"] = await restore(event["text"])
    for key in ("part", "item"):
        if isinstance(event.get(key), dict):
            await _restore_item(event[key], restore)
    if isinstance(event.get("response"), dict):
        await _restore_output(event["response"], restore)
    return event


def choice_deltas(event: dict[str, Any]) -> list[tuple[str, dict[str, Any], bool]]:
    """Of a chunk of a chat completion: the name of each text that grows, its delta, and whether it ends here."""
    found = []
    for choice in _dicts(event.get("choices")):
        delta = choice.get("delta")
        if isinstance(delta, dict):
            found.append((f"choice {choice.get('index', 0)}", delta, choice.get("finish_reason") is not None))
    return found


def output_text(event: dict[str, Any]) -> str:
    """Of an event of a response: the name of the text that it is about; empty for any other event."""
    if not str(event.get("type", "")).startswith("response.output_text"):
        return ""
    return f"item {event.get('item_id')} {event.get('content_index')}"


async def _restore_output(answer: dict[str, Any], restore: Restore) -> None:
    for item in _dicts(answer.get("output")):
        await _restore_item(item, restore)


async def _restore_item(item: dict[str, Any], restore: Restore) -> None:
    for part in [item, *_dicts(item.get("content"))]:
        if part.get("type") == "output_text" and isinstance(part.get("text"), str):
            part["text"] = await restore(part["text"])


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
