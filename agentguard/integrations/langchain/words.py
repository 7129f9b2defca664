"""A word to the model beside what a LangChain tool gave, which loses nothing of it.

Rules:
- before a text it is a line, before content blocks a block; an artifact is the program's, and stays as it is;
- any other result LangChain would write out as JSON: it stands as that, whole, in a block behind the word;
- of messages and commands, the message that answers this call carries it; where none does, nothing can;
- without an id of the call no message is made: a program gets what the tool gave, and only a text carries the word.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import ToolMessage
from langchain_core.messages.tool import ToolOutputMixin
from langchain_core.tools import BaseTool
from langchain_core.tools.base import TOOL_MESSAGE_BLOCK_TYPES

from agentguard.integrations.langchain.results import is_command


def with_word(tool: BaseTool, result: Any, word: str, tool_call_id: str | None) -> Any:
    """What the tool's code would have returned, with this word to the model."""
    if tool.response_format == "content_and_artifact" and isinstance(result, tuple):
        content, *artifact = result
        return (_before(content, word, tool_call_id), *artifact)
    return _before(result, word, tool_call_id)


def _before(result: Any, word: str, tool_call_id: str | None) -> Any:
    if isinstance(result, str):
        return f"{word}\n{result}"
    if tool_call_id is None:
        return result
    if _is_made_of_messages(result):
        return _in_messages(result, word, tool_call_id)
    blocks = [_block(each) for each in result] if _is_content(result) else [_text(_written(result))]
    return [_text(word), *blocks]


def _in_messages(result: Any, word: str, tool_call_id: str) -> Any:
    """Messages and commands with the word in the message that answers the call."""
    if isinstance(result, ToolMessage):
        return _answering(result, word) if result.tool_call_id == tool_call_id else result
    if type(result) in (list, tuple):
        return type(result)(_in_messages(each, word, tool_call_id) for each in result)
    if type(result) is dict:
        return {name: _in_messages(each, word, tool_call_id) for name, each in result.items()}
    if is_command(result) and hasattr(result, "update"):
        return dataclasses.replace(result, update=_in_messages(result.update, word, tool_call_id))
    return result


def _answering(message: ToolMessage, word: str) -> ToolMessage:
    content = message.content
    told = f"{word}\n{content}" if isinstance(content, str) else [_text(word), *content]
    return message.model_copy(update={"content": told})


def _is_made_of_messages(result: Any) -> bool:
    """Whether LangChain passes this on as it is."""
    if isinstance(result, list):
        return bool(result) and all(isinstance(each, ToolOutputMixin) for each in result)
    return isinstance(result, ToolOutputMixin)


def _is_content(result: object) -> bool:
    """Whether LangChain takes this for the content of a message: blocks, with texts among them. LangGraph writes texts alone as JSON."""
    if not isinstance(result, Sequence):
        return False
    blocks = [each for each in result if isinstance(each, dict) and each.get("type") in TOOL_MESSAGE_BLOCK_TYPES]
    return bool(blocks) and len(blocks) + sum(isinstance(each, str) for each in result) == len(result)


def _block(item: Any) -> Any:
    """LangGraph gives a model no blocks with bare texts among them."""
    return _text(item) if isinstance(item, str) else item


def _written(result: Any) -> str:
    """A result as LangChain writes it out."""
    try:
        return json.dumps(result, ensure_ascii=False)
    except Exception:  # noqa: BLE001 - as LangChain does, whatever the object's own code raises
        return str(result)


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}
