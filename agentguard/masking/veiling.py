"""Restored values become tokens again: for whoever records or shows a call that a tool got in clear, and in what the tool gives back.

What a value is may only be known from where it came: a tier, a salary, a number. Nobody finds it by itself, so it is put back where it
was restored, wherever else the tool's own parsing has carried it, and where the tool says it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from agentguard.masking.finding import Finding
from agentguard.masking.page import Page
from agentguard.model.record import Json
from agentguard.model.tokens import Token

_SHORTEST = 3
"""Characters of a value that is found where a tool says it again."""

_SHORTEST_INSIDE = 4
"""Characters of a value that is looked for in other texts; shorter ones stand in too many words."""


class Put(NamedTuple):
    """A value that a tool gets: where, what it stands for (by its token), and as what it is given. `whole`: it is all that stands there."""

    path: tuple[str | int, ...]
    token: Token
    value: Json
    whole: bool


@dataclass(frozen=True)
class SaidAgain:
    """Finds, in what a tool gives back, the values that it was given in clear: whole words, as they were spelled."""

    put: Sequence[Put]
    name: str = "given"

    def find(self, page: Page) -> Iterator[Finding]:
        """Each place where one of the values stands by itself."""
        types = {
            text: each.token.entity_type for each in self.put for text in _spellings(each) if len(text) >= _SHORTEST
        }
        for text, entity_type in types.items():
            start = page.text.find(text)
            while start >= 0:
                end = start + len(text)
                if not (page.text[start - 1 : start].isalnum() or page.text[end : end + 1].isalnum()):
                    yield Finding(start, end, entity_type, 1.0, self.name)
                start = page.text.find(text, end)


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
