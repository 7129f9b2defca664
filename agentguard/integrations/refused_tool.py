"""A call for which there is no tool: refused, and on record like any other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from agentguard.errors import CallRefused, RefusalReason


@dataclass(frozen=True, kw_only=True)
class RefusedTool:
    """Stands for a tool that can't be called this way, or at all: its parsing refuses, and the guard puts that on record."""

    name: str
    refusal: CallRefused
    description: str = ""

    @property
    def schema(self) -> Mapping[str, Any]:
        """Nothing fits it."""
        return {"not": {}}

    def parse(self, arguments: Mapping[str, Any]) -> NoReturn:
        """Raises the refusal."""
        raise self.refusal


def unknown(name: str, tools: Iterable[str]) -> CallRefused:
    """What a model is told that calls a tool which is not there."""
    known = ", ".join(sorted(tools)) or "none"
    return CallRefused(
        RefusalReason.INVALID_ARGUMENTS, f"no tool has this name; the tools are: {known}. Nothing ran.", tool=name
    )
