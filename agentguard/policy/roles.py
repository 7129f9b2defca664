"""What conditions read as `params.<role>`: the values of the arguments that play a role, as one flat list of text.

Rules:
- a path goes through lists (each item) and objects (by key); absent and null give nothing;
- an object or list at the end gives all the text in it; a plain value met before the end of a path counts itself,
  so that an argument of another shape than the policy expects is still looked at;
- numbers and booleans are written as in JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from agentguard.model.record import Json

KNOWN_ROLES = ("amount", "code", "path", "recipient", "shell", "sql", "text", "url")
"""Roles that every condition may read, whether or not a tool has one."""

EXECUTABLE_ROLES = frozenset({"code", "shell", "sql", "url"})
"""Roles whose text something else interprets: a token inside such a text is never restored."""

_WORDS_OF_CEL = "as break const continue else false for function if import in let loop package namespace null return"
RESERVED = frozenset(_WORDS_OF_CEL.split()) | {"true", "var", "void", "while"}
"""Words that CEL keeps for itself: `params.in` can't be written."""

_ROLE = re.compile(r"\bparams\.(\w+)")


def roles_in(condition: str) -> list[str]:
    """The roles that a condition reads by name, as often as it does."""
    return _ROLE.findall(condition)


def role_values(arguments: Mapping[str, Json], paths: Iterable[str]) -> list[str]:
    """The text of every argument at these paths."""
    found: list[str] = []
    for path in paths:
        _collect(arguments, path.split("."), found)
    return found


def _collect(value: Json, steps: list[str], found: list[str]) -> None:
    if isinstance(value, Mapping):
        if not steps:
            for inner in value.values():
                _collect(inner, steps, found)
        elif steps[0] in value:
            _collect(value[steps[0]], steps[1:], found)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _collect(inner, steps, found)
    elif value is not None:
        found.append(value if isinstance(value, str) else json.dumps(value))
