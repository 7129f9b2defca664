"""What a person means by the first characters of an id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from agentguard.errors import DecisionRefused

T = TypeVar("T")


def the_one(there: Mapping[str, T], given: str, *, kind: str, listed_by: str) -> T:
    """The one of those that are there (by their ids) whose id begins so.

    Raises DecisionRefused ("not_found") where it is none, or several.
    """
    meant = [one for id_, one in there.items() if id_.startswith(given)]
    if len(meant) != 1 or not given:
        raise DecisionRefused("not_found", f"no one {kind} is {given[:40]!r}; `{listed_by}` lists them")
    return meant[0]
