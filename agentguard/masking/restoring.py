"""Tokens and stand-ins back into values, for the tool alone, and only where policy reveals them.

Rules:
- a parameter whose whole value is a token (spaces, quotes and brackets around it don't count) gets the value, in the spelling and the
  type that the tool's schema takes there;
- inside a longer text a token is restored only where the reveal says `inside_text`;
- only in the parameter of the reveal (a dotted path; indexes of lists don't count), and only its entity types;
- a token that is not revealed stays as it is where the schema takes any text, and nowhere else: a value of another kind was meant;
- a stand-in that is known never stays: in a text it becomes the token that it stands in for, elsewhere the call must not run;
- what stands for nothing any more is no value: where a value was to be, the call must not run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from agentguard.masking.limits import refused
from agentguard.masking.standins import is_stand_in
from agentguard.masking.tokens import candidates
from agentguard.masking.veiling import Put
from agentguard.masking.wanted import Wanted
from agentguard.model.record import Json
from agentguard.model.tokens import Token

_DEEPEST = 200
_AROUND = " \t\r\n\"'`()[]<>{}\\*"

Read = Callable[[str], Sequence[tuple[int, int, str]]]
"""The tokens in a text: (start, end, text as it was made)."""


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


class Why(StrEnum):
    """Why a token was not restored."""

    NOT_REVEALED = "not revealed"
    UNKNOWN = "unknown token"


class Left(NamedTuple):
    """A token that was not restored: its place, and the entity type of its value where that is known.

    `stops`: the call must not run with it.
    """

    path: tuple[str | int, ...]
    why: Why
    stops: bool
    entity_type: str = ""


def restore(arguments: Mapping[str, Any], reveals: Iterable[Reveal], resolved: Mapping[str, Token]) -> dict[str, Any]:
    """A copy of the arguments with tokens restored where `reveals` say so. `resolved`: a token's text to the token."""
    return Restoring(reveals=by_parameter(reveals), resolved=resolved).restored(arguments)


def by_parameter(reveals: Iterable[Reveal]) -> dict[str, list[Reveal]]:
    """Reveals by the parameter that they are for."""
    found: dict[str, list[Reveal]] = {}
    for reveal in reveals:
        found.setdefault(reveal.parameter, []).append(reveal)
    return found


def _known_only(text: str) -> list[tuple[int, int, str]]:
    return candidates(text)


@dataclass(frozen=True, kw_only=True)
class Restoring:
    """Restores the arguments of one call; what was put in stands in `put` by its token, what was not restored in `left`.

    `schema`: the tool's. `read`: what counts as a token. `token_text`: what a token is written as where a stand-in can't stay.
    """

    reveals: Mapping[str, Sequence[Reveal]]
    resolved: Mapping[str, Token]
    schema: Mapping[str, Any] = field(default_factory=dict)
    read: Read = _known_only
    token_text: Callable[[Token], str] = lambda token: token.text
    left: list[Left] = field(default_factory=list)
    put: list[Put] = field(default_factory=list)

    def restored(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """A copy of the arguments."""
        made: dict[str, Any] = self._value(arguments, (), "", Wanted.of(self.schema))
        return made

    def _value(self, value: Any, path: tuple[str | int, ...], parameter: str, wanted: Wanted) -> Any:
        if len(path) > _DEEPEST:
            raise refused(f"arguments nested deeper than {_DEEPEST} levels")
        if isinstance(value, str) or (isinstance(value, (int, float)) and not isinstance(value, bool)):
            return self._leaf(value, path, parameter, wanted)
        if isinstance(value, Mapping):
            made = {}
            for key, inner in value.items():
                self._check_key(key, path)
                name = f"{parameter}.{key}" if parameter else str(key)
                made[key] = self._value(inner, (*path, key), name, wanted.key(str(key)))
            return made
        if isinstance(value, (list, tuple)):
            return [self._value(item, (*path, at), parameter, wanted.item(at)) for at, item in enumerate(value)]
        return value

    def _check_key(self, key: Any, path: tuple[str | int, ...]) -> None:
        if isinstance(key, str) and any(is_stand_in(name) for _, _, name in self.read(key)):
            self.left.append(Left((*path, "?"), Why.NOT_REVEALED, stops=True))

    def _leaf(self, value: str | int | float, path: tuple[str | int, ...], parameter: str, wanted: Wanted) -> Json:
        text = value if isinstance(value, str) else repr(value)
        pieces: list[str] = []
        done = 0
        for start, end, name in self.read(text):
            token = self.resolved.get(name)
            revealed = self._revealed(parameter, token)
            whole = not (text[:start] + text[end:]).strip(_AROUND)
            inside = any(reveal.inside_text for reveal in revealed)
            if token is not None and (text == text[start:end] if inside else whole and revealed):
                fitting = _fitting(token, wanted)
                self._keep(token, path, fitting, whole=True)
                return fitting
            if token is not None and inside:
                new = token.value
                self._keep(token, path, new, whole=False)
            else:
                stops = self._stops(value, name, token, wanted, parameter, whole=whole)
                if stops or whole:
                    why = Why.UNKNOWN if token is None else Why.NOT_REVEALED
                    self.left.append(Left(path, why, stops=stops, entity_type=token.entity_type if token else ""))
                new = text[start:end] if token is None or not is_stand_in(name) else self.token_text(token)
            pieces += (text[done:start], new)
            done = end
        return "".join([*pieces, text[done:]]) if pieces and isinstance(value, str) else value

    def _keep(self, token: Token, path: tuple[str | int, ...], value: Json, *, whole: bool) -> None:
        self.put.append(Put(path, token._replace(text=self.token_text(token)), value, whole))

    def _revealed(self, parameter: str, token: Token | None) -> list[Reveal]:
        return [
            reveal for reveal in self.reveals.get(parameter, ()) if token and token.entity_type in reveal.entity_types
        ]

    def _stops(
        self, value: str | int | float, name: str, token: Token | None, wanted: Wanted, parameter: str, *, whole: bool
    ) -> bool:
        """Whether a call must not run with this token unrestored."""
        if not isinstance(value, str) or (whole and not wanted.takes_any_text):
            return True
        if token is not None:
            return False
        reveals = self.reveals.get(parameter, ())
        return (whole and (is_stand_in(name) or bool(reveals))) or any(reveal.inside_text for reveal in reveals)


def _fitting(token: Token, wanted: Wanted) -> Json:
    """The value as the schema takes it: as it is spelled, in its one spelling for all, or as a number."""
    plain = token.value.strip()
    options: list[Json] = [token.value, plain, token.canonical]
    if _INTEGER.fullmatch(plain):
        options.append(int(plain))
    elif _DECIMAL.fullmatch(plain):
        options.append(float(plain))
    return next((option for option in options if option != "" and wanted.takes(option)), token.value)


_INTEGER = re.compile(r"[+-]?[0-9]{1,300}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,18}\.[0-9]{1,18}")
