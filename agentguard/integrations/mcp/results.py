"""What an MCP server sent, taken apart into what is masked, and put together again.

Rules:
- every text of a message is masked, in content blocks, structured content, links, metadata and descriptions;
- pictures, sound and blobs pass as they are, since nothing here can read them, if they are base64 of something that is text in no
  encoding;
- they are left out only where the protocol has them: whatever else looks like one is masked like any text;
- structured content that is written out as JSON in a text beside it is written out again where the two came to differ, since a masked
  number is a number in the one (see `masking.fitted`) and text in the other.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import mcp_types as types
from pydantic import BaseModel

from agentguard.masking import TOKEN_PATTERN, is_text
from agentguard.model.paths import told_step

M = TypeVar("M", bound=BaseModel)

_TOKEN = re.compile(TOKEN_PATTERN)

Path = tuple[str | int, ...]
_INDENT = re.compile(r"[{\[]\n( +)")


class Taken(NamedTuple, Generic[M]):
    """`plain` is what must be masked; `put_back(masked)` is the message again, the very same where nothing was."""

    plain: Any
    put_back: Callable[[Any], M]


def take_apart(message: M) -> Taken[M]:
    """The texts of any message of the protocol."""
    plain = message.model_dump(by_alias=True, mode="json", exclude_none=True)
    binary = {path: data for path in _binary_places(plain) if _is_binary(data := _at(plain, path))}
    for path in binary:
        _at(plain, path[:-1])[path[-1]] = None
    kind = type(message)

    written = dict(_written_out(plain))

    def put_back(masked: Any) -> M:
        if masked == plain:
            return message
        structured = masked.get("structuredContent")
        for index, indent in written.items():
            if _json(masked["content"][index]["text"]) != structured:
                masked["content"][index]["text"] = json.dumps(structured, ensure_ascii=False, indent=indent)
        for path, data in binary.items():
            _at(masked, path[:-1])[path[-1]] = data
        return kind.model_validate(masked)

    return Taken(plain, put_back)


def with_word(message: M, word: str) -> M:
    """A call's result with this word in a block before the others, where there is one to say; structured content stays as it is."""
    if not word or not isinstance(message, types.CallToolResult):
        return message
    return message.model_copy(update={"content": [types.TextContent(text=word), *message.content]})


def with_reason(result: types.CallToolResult, tool: str, arguments: Mapping[str, Any]) -> types.CallToolResult:
    """A result; where it is an error, with what may be behind it: tokens in the arguments, which the server can't read."""
    if not result.is_error:
        return result
    places = ", ".join(dict.fromkeys(_token_places(arguments)))
    if not places:
        return result
    told = (
        f"not revealed: {places} holds what stands for a masked value, and policy does not give {tool} the value there."
    )
    return result.model_copy(update={"content": [*result.content, types.TextContent(text=told)]})


def _token_places(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, str) and _TOKEN.fullmatch(value):
        yield path
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            shown = told_step(str(key))
            yield from _token_places(inner, f"{path}.{shown}" if path else shown)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _token_places(inner, f"{path}.{index}")


def _binary_places(plain: dict[str, Any]) -> Iterator[Path]:
    """Where the protocol has binary content: `data` of pictures and sound, `blob` of resources."""
    for path in _blocks(plain):
        block = _at(plain, path)
        if block.get("type") in ("image", "audio") and "data" in block:
            yield (*path, "data")
        elif block.get("type") == "resource" and "blob" in block.get("resource", {}):
            yield (*path, "resource", "blob")
    for index, resource in enumerate(plain.get("contents", [])):
        if "blob" in resource:
            yield ("contents", index, "blob")


def _blocks(plain: dict[str, Any]) -> Iterator[Path]:
    """Where content blocks stand: in results, and in the messages of a prompt."""
    yield from (("content", index) for index in range(len(plain.get("content", []))))
    yield from (("messages", index, "content") for index in range(len(plain.get("messages", []))))


def _written_out(plain: dict[str, Any]) -> Iterator[tuple[int, int | None]]:
    """The content blocks that hold the structured content as JSON, and how it is indented there."""
    structured = plain.get("structuredContent")
    for index, block in enumerate(plain.get("content", ()) if structured is not None else ()):
        text = block.get("text")
        if isinstance(text, str) and _json(text) == structured:
            indented = _INDENT.match(text)
            yield index, len(indented[1]) if indented else None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _at(value: Any, path: Path) -> Any:
    for part in path:
        value = value[part]
    return value


def _is_binary(data: object) -> bool:
    """Whether this is base64 of something that is no text."""
    if not isinstance(data, str):
        return False
    try:
        raw = base64.b64decode(data, validate=True)
    except binascii.Error:
        return False
    return not is_text(raw)
