"""The names that a tool may have: the model's own, in every framework."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from agentguard.errors import ConfigurationError
from agentguard.policy.patterns import is_tool_name

UNREADABLE = "unreadable-name"
"""Stands on record for a name that the model made up and that no tool can have: such a name may hold anything."""


def check_names(names: Iterable[str]) -> None:
    """Raise ConfigurationError for a name that models can't call, and for one that two tools have."""
    counted = Counter(list(names))
    for name, times in counted.items():
        if not is_tool_name(name):
            raise ConfigurationError(
                f"tool name {name!r}: models call tools by 1 to 64 of a-z A-Z 0-9 _ -; rename the tool"
            )
        if times > 1:
            raise ConfigurationError(
                f"{times} tools are named {name!r}; policy and models tell tools apart by name: rename one"
            )


def recorded_name(name: object) -> str:
    """The name to judge and record a call under, whatever the model wrote for one."""
    return name if isinstance(name, str) and is_tool_name(name) else UNREADABLE
