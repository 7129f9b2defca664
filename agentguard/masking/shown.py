"""A value as JSON, for whoever reads it."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from agentguard.masking.leaves import record_fields
from agentguard.masking.limits import refused

_DEEPEST = 200


def json_ready(value: Any, spelled: Callable[[str], str] = str, depth: int = 0) -> Any:
    """Dicts with text keys, lists, text, numbers, booleans and null; all text, keys too, passed through `spelled`."""
    if depth > _DEEPEST:
        raise refused(f"nested deeper than {_DEEPEST} levels, or holding itself")
    if value is None or (isinstance(value, (bool, int, float)) and not isinstance(value, enum.Enum)):
        return value
    if isinstance(value, str) and not isinstance(value, enum.Enum):
        return spelled(value)
    if isinstance(value, Mapping):
        return {spelled(str(key)): json_ready(inner, spelled, depth + 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        return [json_ready(inner, spelled, depth + 1) for inner in value]
    if isinstance(value, enum.Enum):
        return json_ready(value.value, spelled, depth + 1)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return spelled(bytes(value).decode("utf-8", "backslashreplace"))
    names = record_fields(value)
    if names is not None:
        return {name: json_ready(getattr(value, name), spelled, depth + 1) for name in names}
    return spelled(str(value))
