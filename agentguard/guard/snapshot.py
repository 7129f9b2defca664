"""The form of a call that is judged, shown and approved.

- *input*: the restored arguments plus the values that the tool's own defaults made up; what runs is `tool.parse(input)`.
- *snapshot*: the canonical dump of `tool.parse(input)`.

Parsing the input again must give the same snapshot, now and when the call is redeemed; else what would run is not
what was judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from agentguard.errors import AgentGuardError, InvalidArguments, NotCanonical
from agentguard.guard.raising import raise_alone
from agentguard.masking import bare_error, says_nothing
from agentguard.model.calls import Parsed, Tool
from agentguard.model.canonical import canonical_json, read_canonical
from agentguard.model.record import Json


class Snapshot(NamedTuple):
    """Canonical JSON texts, so that nothing can change them; `arguments` and `input` are fresh copies each time."""

    text: str
    input_text: str
    shown_text: str | None = None
    ready: Any = None

    def __repr__(self) -> str:
        return "Snapshot()"  # nothing of an argument

    @property
    def arguments(self) -> dict[str, Json]:
        """The parsed arguments, JSON-ready."""
        arguments: dict[str, Json] = read_canonical(self.text)
        return arguments

    @property
    def shown(self) -> dict[str, Json]:
        """The parsed arguments with secrets hidden: what may be masked, recorded and shown."""
        shown: dict[str, Json] = read_canonical(self.shown_text or self.text)
        return shown

    @property
    def input(self) -> dict[str, Json]:
        """What the tool is called with."""
        given: dict[str, Json] = read_canonical(self.input_text)
        return given


def take_snapshot(tool: Tool, restored: str) -> Snapshot:
    """The snapshot of a call with these arguments, given as canonical JSON.

    Raises InvalidArguments, with paths and rules, never a value.
    """
    # A copy that nobody else holds: what is parsed now is what may run.
    fresh: dict[str, Json] = read_canonical(restored)
    parsed = _parsed(tool, fresh)
    if parsed.as_given:
        return Snapshot(restored, restored, None, parsed.ready)
    return _snapshot(tool, parsed, _canonical(tool, {**fresh, **parsed.filled}) if parsed.filled else restored)


def read_again(tool: Tool, input_text: str) -> Snapshot:
    """The snapshot that a stored input gives now; nothing is filled in twice. Raises InvalidArguments."""
    return _snapshot(tool, _parsed(tool, read_canonical(input_text)), input_text)


def _snapshot(tool: Tool, parsed: Parsed, input_text: str) -> Snapshot:
    shown = None if parsed.shown is None else _canonical(tool, parsed.shown)
    return Snapshot(_canonical(tool, parsed.snapshot), input_text, shown, parsed.ready)


def _parsed(tool: Tool, arguments: Mapping[str, Any]) -> Parsed:
    try:
        return tool.parse(arguments)
    except AgentGuardError:
        raise
    except Exception as error:  # noqa: BLE001 - a validator may raise anything, and its text may hold the value
        raise InvalidArguments(
            [("", f"the tool's validation failed ({type(error).__name__})")], tool=tool.name
        ) from None
    except BaseException as error:
        if says_nothing(error):
            raise
        raise_alone(bare_error(error, "the tool's validation stopped the program"))


def _canonical(tool: Tool, value: dict[str, Any]) -> str:
    try:
        return canonical_json(value)
    except NotCanonical as error:
        raise InvalidArguments([(error.path, error.rule)], tool=tool.name) from None
