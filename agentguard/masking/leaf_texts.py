"""What parts of a value are as text, and what text becomes in their place."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from agentguard.masking.looks import plain_text

LONGEST_LABEL = 60
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,20})(?:\.[0-9]{1,20})?\Z")
"""A number as JSON writes it."""


def column_name(column: Any) -> str:
    """The name of a column, which may be an object with a name."""
    if isinstance(column, Mapping):
        column = next((column[key] for key in ("name", "field", "label", "Name") if key in column), "")
    return plain_text(column) if isinstance(column, str) and len(column) <= LONGEST_LABEL else ""


def number_or_text(new: str) -> int | float | str | None:
    """What stands in the place of a number: a number where the text is one, None where it was taken out."""
    if not new:
        return None
    return json.loads(new) if NUMBER.match(new) else new
