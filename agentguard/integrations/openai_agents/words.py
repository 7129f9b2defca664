"""A word to the model beside what a tool of the Agents SDK gave.

Rules:
- before parts of content of the SDK's it is a part of its own, and each part stays what it is;
- any other result the SDK gives the model as its text: the word is a line before that.
"""

from __future__ import annotations

from typing import Any

from agents import ToolOutputText
from agents.tool import ValidToolOutputPydanticModelsTypeAdapter
from pydantic import ValidationError

from agentguard.guard.permit import Settled


def with_word(settled: Settled) -> Any:
    """The result with the word on what people changed, if they changed something."""
    if not settled.word:
        return settled.value
    parts = list(settled.value) if isinstance(settled.value, (list, tuple)) else [settled.value]
    if parts and all(map(_is_part, parts)):
        return [ToolOutputText(text=settled.word), *parts]
    return f"{settled.word}\n{settled.value}"


def _is_part(value: Any) -> bool:
    """Whether the SDK takes this for a part of content."""
    if isinstance(value, dict) and "type" not in value:
        return False
    try:
        ValidToolOutputPydanticModelsTypeAdapter.validate_python(value)
    except ValidationError:
        return False
    return True
