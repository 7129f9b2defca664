"""Tokens back into values, for the tool alone, and only where policy reveals them.

Rules:
- A parameter whose whole value is a token (spaces, quotes and brackets around it don't count) gets the value.
- Inside a longer text a token is restored only where the reveal says `inside_text`.
- Only in the parameter of the reveal (a dotted path; indexes of lists don't count), and only its entity types.
- Everything else stays as it is: a token that is not known, of another type, in another parameter, in a key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from agentguard.masking.limits import refused
from agentguard.masking.tokens import candidates
from agentguard.model.tokens import Token

_DEEPEST = 200
_AROUND = " \t\r\n\"'`()[]<>{}\\*"


class Reveal(Protocol):
    """Which entity types one parameter of a tool gets in clear."""

    @property
    def parameter(self) -> str:
        """A dotted path; indexes of lists are left out."""
        ...

    @property
    def entity_types(self) -> Sequence[str]:
        """What the parameter gets in clear."""
        ...

    @property
    def inside_text(self) -> bool:
        """Whether also inside a longer text."""
        ...


def restore(arguments: Mapping[str, Any], reveals: Iterable[Reveal], resolved: Mapping[str, Token]) -> dict[str, Any]:
    """A copy of the arguments with tokens restored where `reveals` say so. `resolved`: a token's text to the token."""
    by_path: dict[str, list[Reveal]] = {}
    for reveal in reveals:
        by_path.setdefault(reveal.parameter, []).append(reveal)
    if not by_path or not resolved:
        by_path = {}
    return {key: _restored(value, str(key), by_path, resolved, 1) for key, value in arguments.items()}


def _restored(
    value: Any, path: str, reveals: Mapping[str, Sequence[Reveal]], resolved: Mapping[str, Token], depth: int
) -> Any:
    if depth > _DEEPEST:
        raise refused(f"arguments nested deeper than {_DEEPEST} levels")
    if isinstance(value, str):
        return _restored_text(value, reveals.get(path, ()), resolved)
    if isinstance(value, Mapping):
        return {key: _restored(inner, f"{path}.{key}", reveals, resolved, depth + 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_restored(inner, path, reveals, resolved, depth + 1) for inner in value]
    return value


def _restored_text(text: str, reveals: Sequence[Reveal], resolved: Mapping[str, Token]) -> str:
    if not reveals:
        return text
    pieces: list[str] = []
    done = 0
    for start, end, name in candidates(text):
        token = resolved.get(name)
        if token is None:
            continue
        revealed = [reveal for reveal in reveals if token.entity_type in reveal.entity_types]
        if any(reveal.inside_text for reveal in revealed):
            pieces += (text[done:start], token.value)
            done = end
        elif revealed and not (text[:start] + text[end:]).strip(_AROUND):
            return token.value
    return "".join([*pieces, text[done:]])
