"""Conditions: CEL, type-checked when the policy loads, evaluated so that a failure can only make a verdict stricter.

Rules:
- a condition reads the names of `_names` and calls FUNCTIONS; any other name is a load error;
- it must be able to give a boolean; true is met, false is not met;
- an error value, an exception and a value of another type are met, recorded as a code and never with a value;
- facts that were not read are absent, so a condition that needs them fails, and is met;
- the activation is built once a call, at the first condition, from arguments that have a canonical form (depth <= 64).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from cel_expr_python import cel

from agentguard.errors import NotCanonical
from agentguard.model.calls import Principal
from agentguard.model.canonical import check_canonical
from agentguard.model.facts import Facts
from agentguard.model.listings import Hints
from agentguard.model.provenance import Provenance
from agentguard.model.record import Json
from agentguard.policy.functions import FUNCTIONS, extension, load_called, of_session
from agentguard.policy.roles import KNOWN_ROLES, role_values

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
_CODE = re.compile(r"([A-Z_]{1,40}):")


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


class Need(StrEnum):
    """What of a session a condition needs; each must be read, and some must be kept, for it."""

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
    needs: frozenset[Need]


class Language:
    """What conditions of one policy may read: the common names and `params.<role>` for each of its roles.

    `tools`: names that `session.counts` has even before their first call.
    """

    def __init__(self, roles: Iterable[str], tools: Iterable[str] = ()) -> None:
        self.roles = tuple(sorted({*roles, *KNOWN_ROLES}))
        self.tools = tuple(sorted(tools))
        self._names = _NAMES | {f"params.{role}": _TEXTS for role in self.roles}
        self._whole = _environment(self._names)
        self._without: dict[Need, cel.Env] = {}

    def compile(self, text: str) -> Condition:
        """The condition in a text. Raises BadCondition."""
        expression = self._compiled(text)
        if expression.return_type() not in (cel.Type.BOOL, cel.Type.DYN):
            raise BadCondition(f"this gives {expression.return_type().name()}, not a boolean", "write a comparison")
        load_called(text)
        reads = frozenset(name for name in self._names if name.rpartition(".")[2] in text)
        needs = frozenset(need for need in Need if need.word in text and not _compiles(self._lacking(need), text))
        return Condition(text=text, expression=expression, reads=reads, needs=needs)

    def _lacking(self, need: Need) -> cel.Env:
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


class Reading:
    """One call as conditions see it; its activation is built when the first condition is asked."""

    def __init__(
        self,
        language: Language,
        *,
        reads: frozenset[str],
        params: Mapping[str, tuple[str, ...]],
        tool: str,
        arguments: Mapping[str, Json],
        principal: Principal,
        facts: Facts,
        hints: Hints,
        provenance: Provenance | None,
    ) -> None:
        self._language = language
        self._reads = reads
        self._params = params
        self._tool = tool
        self._arguments = arguments
        self._principal = principal
        self._facts = facts
        self._hints = hints
        self._provenance = provenance
        self._activation: cel.Activation | None = None
        self._broken = ""

    def met(self, condition: Condition) -> Met | None:
        """How a condition counts as met by this call, or None for one that is plainly false."""
        if self._activation is None and not self._broken:
            self._prepare()
        if self._activation is None:
            return Met("error", self._broken)
        try:
            value = condition.expression.eval(self._activation)
        except RuntimeError as error:
            return Met("error", _code(str(error), "EVALUATION_FAILED"))
        if value.type() == cel.Type.BOOL:
            return TRUE if value.value() is not False else None
        if value.type() == cel.Type.ERROR:
            return Met("error", _code(str(value.value()), "ERROR"))
        return Met("error", "NOT_A_BOOLEAN")

    def _prepare(self) -> None:
        try:
            if any(name.startswith(("args", "params.")) for name in self._reads):
                check_canonical(dict(self._arguments))
            functions = () if self._provenance is None else of_session(self._provenance)
            self._activation = self._language.activation(self._values(), functions)
        except NotCanonical:
            self._broken = "NOT_CANONICAL"
        except (RuntimeError, ValueError, TypeError):
            self._broken = "NOT_READABLE"

    def _values(self) -> dict[str, object]:
        """What the conditions of this tool may read; facts that were not read stay absent."""
        known = {name: self._value(name) for name in self._reads}
        return {name: value for name, value in known.items() if value is not None}

    def _value(self, name: str) -> object:
        if name.startswith("params."):
            return role_values(self._arguments, self._params.get(name.removeprefix("params."), ()))
        return _VALUES[name](self)

    def _labels(self) -> list[str] | None:
        return None if self._facts.labels is None else list(self._facts.labels)

    def _counts(self) -> dict[str, int] | None:
        counts = self._facts.counts
        return None if counts is None else {**dict.fromkeys((*self._language.tools, self._tool), 0), **counts}

    def _time(self) -> datetime | None:
        time_ms = self._facts.time_ms
        return None if time_ms is None else datetime.fromtimestamp(time_ms / 1000, tz=UTC)


_VALUES: dict[str, Callable[[Any], object]] = {
    "agent": lambda reading: reading._principal.agent,
    "args": lambda reading: dict(reading._arguments),
    "call.agent": lambda reading: reading._principal.agent,
    "call.tool": lambda reading: reading._tool,
    "call.user": lambda reading: reading._principal.user or "",
    "data.entities": lambda reading: list(reading._facts.entities),
    "data.labels": lambda reading: list(reading._facts.origin_labels),
    "data.origins": lambda reading: list(reading._facts.origins),
    "deployment": lambda reading: reading._facts.deployment,
    "session.counts": Reading._counts,
    "session.labels": Reading._labels,
    "tenant": lambda reading: reading._principal.tenant,
    "time": Reading._time,
    "tool.hints": lambda reading: reading._hints.model_dump(exclude_none=True),
    "user": lambda reading: reading._principal.user or "",
}
"""Where each name gets its value."""


def _environment(names: Mapping[str, cel.Type], *, without: str = "") -> cel.Env:
    return cel.NewEnv(variables=dict(names), extensions=[extension(without=without)])


def _compiles(environment: cel.Env, text: str) -> bool:
    try:
        environment.compile(text)
    except RuntimeError:
        return False
    return True


def _code(message: str, otherwise: str) -> str:
    """The stable first word of an error: what follows it may hold a value."""
    found = _CODE.match(message)
    return found[1] if found else otherwise
