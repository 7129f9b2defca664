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
from operator import attrgetter
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


class _Place(NamedTuple):
    """Where in the arguments: the path, the same without indexes as policy names it, and what the schema takes there."""

    path: tuple[str | int, ...]
    parameter: str
    wanted: Wanted

    def key(self, name: str) -> _Place:
        parameter = f"{self.parameter}.{name}" if self.parameter else name
        return _Place((*self.path, name), parameter, self.wanted.key(name))

    def item(self, at: int) -> _Place:
        return _Place((*self.path, at), self.parameter, self.wanted.item(at))


@dataclass(frozen=True, kw_only=True)
class Restoring:
    """Restores the arguments of one call; what was put in stands in `put` by its token, what was not restored in `left`.

    `schema`: the tool's. `read`: what counts as a token. `token_text`: what a token is written as where a stand-in can't stay.
    """

    reveals: Mapping[str, Sequence[Reveal]]
    resolved: Mapping[str, Token]
    schema: Mapping[str, Any] = field(default_factory=dict)
    read: Read = candidates
    token_text: Callable[[Token], str] = attrgetter("text")
    left: list[Left] = field(default_factory=list)
    put: list[Put] = field(default_factory=list)

    def restored(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """A copy of the arguments."""
        made: dict[str, Any] = self._value(arguments, _Place((), "", Wanted.of(self.schema)))
        return made

    def _value(self, value: Any, place: _Place) -> Any:
        if len(place.path) > _DEEPEST:
            raise refused(f"arguments nested deeper than {_DEEPEST} levels")
        if isinstance(value, str) or (isinstance(value, (int, float)) and not isinstance(value, bool)):
            return self._leaf(value, place)
        if isinstance(value, Mapping):
            self._check_keys(value, place)
            return {key: self._value(inner, place.key(str(key))) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._value(inner, place.item(at)) for at, inner in enumerate(value)]
        return value

    def _check_keys(self, keys: Iterable[Any], place: _Place) -> None:
        names = (name for key in keys if isinstance(key, str) for _, _, name in self.read(key))
        if any(map(is_stand_in, names)):
            self.left.append(Left((*place.path, "?"), Why.NOT_REVEALED, stops=True))

    def _leaf(self, value: str | int | float, place: _Place) -> Json:
        text = value if isinstance(value, str) else repr(value)
        found = self.read(text)
        if len(found) == 1 and (put := self._whole(text, found[0], place)) is not None:
            self.put.append(put)
            return put.value
        pieces: list[str] = []
        done = 0
        for start, end, name in found:
            whole = not (text[:start] + text[end:]).strip(_AROUND)
            pieces += (text[done:start], self._piece(value, text[start:end], name, place, whole=whole))
            done = end
        return "".join([*pieces, text[done:]]) if pieces and isinstance(value, str) else value

    def _whole(self, text: str, found: tuple[int, int, str], place: _Place) -> Put | None:
        """What is put in place of the whole text, which is a token with at most marks around it; None where it is not revealed there.

        Where the reveal is for the inside of texts too, the marks are part of the text.
        """
        start, end, name = found
        token, rest = self.resolved.get(name), text[:start] + text[end:]
        revealed = self._revealed(token, place)
        marks = "" if any(reveal.inside_text for reveal in revealed) else _AROUND
        if token is None or not revealed or (rest.strip(marks) if marks else rest):
            return None
        return Put(place.path, self._plain(token), _fitting(token, place.wanted), whole=True)

    def _piece(self, value: str | int | float, written: str, name: str, place: _Place, *, whole: bool) -> str:
        """What is put in place of a token in a text: its value, itself, or for a stand-in the token."""
        token = self.resolved.get(name)
        if token is not None and any(reveal.inside_text for reveal in self._revealed(token, place)):
            self.put.append(Put(place.path, self._plain(token), token.value, whole=False))
            return token.value
        stops = self._stops(value, name, place, whole=whole)
        if stops or whole:
            why, entity_type = (Why.UNKNOWN, "") if token is None else (Why.NOT_REVEALED, token.entity_type)
            self.left.append(Left(place.path, why, stops=stops, entity_type=entity_type))
        return written if token is None or not is_stand_in(name) else self.token_text(token)

    def _stops(self, value: str | int | float, name: str, place: _Place, *, whole: bool) -> bool:
        """Whether a call must not run with this token unrestored."""
        if not isinstance(value, str) or (whole and not place.wanted.takes_any_text):
            return True
        if name in self.resolved:
            return False
        reveals = self.reveals.get(place.parameter, ())
        return (whole and (is_stand_in(name) or bool(reveals))) or any(reveal.inside_text for reveal in reveals)

    def _revealed(self, token: Token | None, place: _Place) -> list[Reveal]:
        reveals = self.reveals.get(place.parameter, ())
        return [reveal for reveal in reveals if token is not None and token.entity_type in reveal.entity_types]

    def _plain(self, token: Token) -> Token:
        return token._replace(text=self.token_text(token))


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
