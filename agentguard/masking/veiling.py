"""Restored values become tokens again, for whoever records or shows a call that a tool got in clear.

What a value is may only be known from where it came: a tier, a salary, a number. So nobody looks for it; it is put back where it was
restored, and wherever else the tool's own parsing has carried it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from agentguard.model.record import Json
from agentguard.model.tokens import Token

_SHORTEST_INSIDE = 4
"""Characters of a value that is looked for in other texts; shorter ones stand in too many words."""


class Put(NamedTuple):
    """A value that a tool gets: where, what it stands for (by its token), and as what it is given. `whole`: it is all that stands there."""

    path: tuple[str | int, ...]
    token: Token
    value: Json
    whole: bool


def veiled(arguments: Mapping[str, Json], put: Sequence[Put]) -> dict[str, Json]:
    """A copy of parsed arguments with the tokens of restored values in their place."""
    by_path: dict[tuple[str | int, ...], list[Put]] = {}
    for each in put:
        by_path.setdefault(each.path, []).append(each)
    spelled = {text: each.token.text for each in put for text in _spellings(each)}
    return {key: _veiled(value, (key,), by_path, spelled) for key, value in arguments.items()}


def _veiled(
    value: Any,
    path: tuple[str | int, ...],
    put: Mapping[tuple[str | int, ...], Sequence[Put]],
    spelled: Mapping[str, str],
) -> Any:
    here = put.get(path, ())
    whole = next((each.token.text for each in here if each.whole), None)
    if whole is not None:
        return whole
    if isinstance(value, dict):
        return {key: _veiled(inner, (*path, key), put, spelled) for key, inner in value.items()}
    if isinstance(value, list):
        return [_veiled(inner, (*path, at), put, spelled) for at, inner in enumerate(value)]
    if isinstance(value, str):
        return _veiled_text(value, spelled, {each.token.value for each in here})
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return spelled.get(repr(value), value)
    return value


def _veiled_text(text: str, spelled: Mapping[str, str], here: set[str]) -> str:
    if text in spelled:
        return spelled[text]
    for value in sorted(spelled, key=len, reverse=True):
        if value in text and (len(value) >= _SHORTEST_INSIDE or value in here):
            text = text.replace(value, spelled[value])
    return text


def _spellings(put: Put) -> set[str]:
    written = put.value if isinstance(put.value, str) else repr(put.value)
    return {put.token.value, put.token.value.strip(), put.token.canonical, written} - {""}
