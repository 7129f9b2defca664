"""What an MCP server sent, taken apart into what is masked, and put together again.

Rules:
- every text of a message is masked, in content blocks, structured content, links, metadata and descriptions;
- pictures, sound and blobs pass as they are, since nothing here can read them, if they are base64 of something that is no text;
- they are left out only where the protocol has them: whatever else looks like one is masked like any text.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)

Path = tuple[str | int, ...]


class Taken(NamedTuple, Generic[M]):
    """`plain` is what must be masked; `put_back(masked)` is the message again."""

    plain: Any
    put_back: Callable[[Any], M]


def take_apart(message: M) -> Taken[M]:
    """The texts of any message of the protocol."""
    plain = message.model_dump(by_alias=True, mode="json", exclude_none=True)
    binary = {path: data for path in _binary_places(plain) if _is_binary(data := _at(plain, path))}
    for path in binary:
        _at(plain, path[:-1])[path[-1]] = None
    kind = type(message)

    def put_back(masked: Any) -> M:
        for path, data in binary.items():
            _at(masked, path[:-1])[path[-1]] = data
        return kind.model_validate(masked)

    return Taken(plain, put_back)


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


def _at(value: Any, path: Path) -> Any:
    for part in path:
        value = value[part]
    return value


def _is_binary(data: object) -> bool:
    """Whether this is base64 of something that is no text."""
    if not isinstance(data, str):
        return False
    try:
        base64.b64decode(data, validate=True).decode()
    except UnicodeDecodeError:
        return True
    except binascii.Error:
        return False
    return False
