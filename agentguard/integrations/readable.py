"""Results that masking can look into; other objects as the text that a model would be shown of them anyway."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence, Set
from typing import Any

from pydantic import BaseModel


def readable(value: Any) -> Any:
    """The value, or its text where it is of a type that masking refuses. One level of lists is looked through."""
    if type(value) is list:
        return value if all(map(_can_be_read, value)) else [_item(item) for item in value]
    return _item(value)


def _item(value: Any) -> Any:
    """The value itself, or its text."""
    return value if _can_be_read(value) else str(value)


def _can_be_read(value: Any) -> bool:
    return isinstance(value, _READ) or dataclasses.is_dataclass(value) or type(value).__module__ in _READ_MODULES


_READ = (str, bytes, bytearray, int, float, complex, type(None), Mapping, Sequence, Set, BaseModel, BaseException)
_READ_MODULES = frozenset({"datetime", "decimal", "uuid", "ipaddress", "pathlib", "enum", "collections"})
