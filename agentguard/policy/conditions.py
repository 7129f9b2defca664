"""Conditions: CEL, type-checked when the policy loads. `reading` evaluates them.

Rules:
- a condition reads the names of `_names` and calls FUNCTIONS; any other name is a load error;
- it must be able to give a boolean;
- what of a session it needs is known when it is compiled, and nothing else is read for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Literal, NamedTuple

from cel_expr_python import cel

from agentguard.policy.functions import FUNCTIONS, extension, load_called
from agentguard.policy.roles import KNOWN_ROLES

_TEXT, _TEXTS = cel.Type.STRING, cel.Type.List(cel.Type.STRING)
_NAMES = {
    "agent": _TEXT,
    "args": cel.Type.Map(_TEXT, cel.Type.DYN),
    "call.agent": _TEXT,
    "call.tool": _TEXT,
    "call.user": _TEXT,
    "data.entities": _TEXTS,
    "data.labels": _TEXTS,
    "data.origins": _TEXTS,
    "deployment": _TEXT,
    "session.counts": cel.Type.Map(_TEXT, cel.Type.INT),
    "session.labels": _TEXTS,
    "tenant": _TEXT,
    "time": cel.Type.TIMESTAMP,
    "tool.hints": cel.Type.Map(_TEXT, cel.Type.BOOL),
    "user": _TEXT,
}
_ERROR_LINE = re.compile(r"ERROR: <input>:([0-9]+):([0-9]+): (.+)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']+)'")


class BadCondition(Exception):
    """A condition that does not compile: what is wrong with it, and what to write instead."""

    def __init__(self, what: str, instead: str) -> None:
        super().__init__(what)
        self.what = what
        self.instead = instead


class Met(NamedTuple):
    """How a condition counted as met; `code` says why one failed."""

    how: Literal["always", "true", "error"]
    code: str = ""


TRUE = Met("true")


class SessionPart(StrEnum):
    """What of a session a condition needs: it is read for it, and words and counts are kept for it."""

    LABELS = "session.labels"
    COUNTS = "session.counts"
    SAID = "user_wrote"
    BROUGHT = "came_from"

    @property
    def word(self) -> str:
        """What a condition that needs it can't be written without."""
        return self.value.rpartition(".")[2]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A compiled condition."""

    text: str
    expression: cel.Expression
    reads: frozenset[str]
    """The names that it may read, and perhaps some that it doesn't."""
    needs: frozenset[SessionPart]


class Language:
    """What conditions of one policy may read: the common names and `params.<role>` for each of its roles.

    `tools`: names that `session.counts` has even before their first call.
    """

    def __init__(self, roles: Iterable[str], tools: Iterable[str] = ()) -> None:
        self.roles = tuple(sorted({*roles, *KNOWN_ROLES}))
        self.tools = tuple(sorted(tools))
        self._names = _NAMES | {f"params.{role}": _TEXTS for role in self.roles}
        self._whole = _environment(self._names)
        self._without: dict[SessionPart, cel.Env] = {}

    def compile(self, text: str) -> Condition:
        """The condition in a text. Raises BadCondition."""
        expression = self._compiled(text)
        if expression.return_type() not in (cel.Type.BOOL, cel.Type.DYN):
            raise BadCondition(f"this gives {expression.return_type().name()}, not a boolean", "write a comparison")
        load_called(text)
        reads = frozenset(name for name in self._names if name.rpartition(".")[2] in text)
        needs = frozenset(
            need for need in SessionPart if need.word in text and not _compiles(self._lacking(need), text)
        )
        return Condition(text=text, expression=expression, reads=reads, needs=needs)

    def _lacking(self, need: SessionPart) -> cel.Env:
        """An environment in which a condition that needs this does not compile."""
        if need not in self._without:
            names = {name: kind for name, kind in self._names.items() if name != need}
            self._without[need] = _environment(names, without=need)
        return self._without[need]

    def activation(self, data: Mapping[str, object], functions: Sequence[cel.Function] = ()) -> cel.Activation:
        """The values of one call under their names, and the functions that know its session."""
        return self._whole.Activation(dict(data), list(functions) or None)

    def _compiled(self, text: str) -> cel.Expression:
        try:
            return self._whole.compile(text)
        except RuntimeError as error:
            raise self._told(str(error)) from None

    def _told(self, message: str) -> BadCondition:
        found = _ERROR_LINE.search(message)
        if found is None:
            return BadCondition("not a CEL expression", "see the examples of conditions in the documentation")
        line, column, what = found[1], found[2], found[3].replace(" (in container '')", "")
        name = _UNDECLARED.search(what)
        near = (
            get_close_matches(name[1], [*sorted(self._names), *(each.name for each in FUNCTIONS)], n=1, cutoff=0.6)
            if name
            else []
        )
        meant = f"did you mean {near[0]}? " if near else ""
        called = ", ".join(each.usage for each in FUNCTIONS)
        instead = (
            f"{meant}conditions read {', '.join(sorted(self._names))} and call {called}"
            if name
            else "correct the expression"
        )
        return BadCondition(f"at {line}:{column} of the condition: {what}", instead)


def _environment(names: Mapping[str, cel.Type], *, without: str = "") -> cel.Env:
    return cel.NewEnv(variables=dict(names), extensions=[extension(without=without)])


def _compiles(environment: cel.Env, text: str) -> bool:
    try:
        environment.compile(text)
    except RuntimeError:
        return False
    return True
