"""Policies in which one clause stands alone, so that what a call comes to is that clause's doing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentguard.model.record import Json
from agentguard.policy import Document

CALM: dict[str, Json] = {"low": "allow", "medium": "allow", "high": "allow", "critical": "deny"}
"""Levels under which only what is said otherwise holds a call up."""
QUIET: dict[str, Json] = {"risk": "low", "labels": []}
"""An entry of `tools` that does nothing."""
FEEDER = "verify_feeder"
"""A tool whose results bring what a call must have seen before."""
PROBE_KEY = "verify_value"
"""A field that only the feeder's results have."""
PLAIN = "zq-plain-7"
"""A value that nothing takes for personal data."""

_TELLING = frozenset({"notify", "notifiers"})
"""Keys that would tell real people."""


def base(document: Document, **sections: Json) -> dict[str, Json]:
    """The policy under calm levels, asking as usual, with none of its tools, rules and limits; `sections` stand in place of its own."""
    whole = document.model_dump(mode="json", exclude_none=True, by_alias=True)
    bare = {"tools": {}, "rules": [], "limits": {}, "asking": {}, "risk": CALM}
    whole = {key: value for key, value in whole.items() if key != "mode"}
    return {**silent(whole), **bare, **sections}


def written(entry: Any) -> dict[str, Json]:
    """A record as it would be written."""
    dumped: dict[str, Json] = entry.model_dump(mode="json", exclude_none=True, by_alias=True)
    return {key: value for key, value in dumped.items() if key != "mode"}


def fed(document: Mapping[str, Json], entity_type: str) -> dict[str, Json]:
    """The policy with a feeder whose `verify_value` becomes a token of this type."""
    masking = document.get("masking", {})
    fields = {**masking.get("fields", {}), f"**.{PROBE_KEY}": entity_type}
    actions = {**masking.get("actions", {}), entity_type: "token"}
    return {
        **document,
        "tools": {**document["tools"], FEEDER: QUIET},
        "masking": {**masking, "fields": fields, "actions": actions},
    }


def at(path: str, value: Json) -> dict[str, Json]:
    """Arguments with a value at a path."""
    first, _, rest = path.partition(".")
    return {first: at(rest, value) if rest else value}


def silent(value: Any) -> Any:
    """The same without what would tell real people."""
    if isinstance(value, dict):
        return {key: silent(inner) for key, inner in value.items() if key not in _TELLING}
    return [silent(each) for each in value] if isinstance(value, list) else value
