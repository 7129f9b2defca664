"""One call as conditions see it, evaluated so that a failure can only make a verdict stricter.

Rules:
- true is met, false is not met;
- an error value, an exception and a value of another type are met, recorded as a code and never with a value;
- facts that were not read are absent, so a condition that needs them fails, and is met;
- the activation is built once a call, at the first condition, from arguments that have a canonical form (depth <= 64), and no zeros in
  their text: CEL would see what stands before one, and the tool gets all of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from cel_expr_python import cel

from agentguard.errors import NotCanonical
from agentguard.model.calls import Principal
from agentguard.model.canonical import canonical_json
from agentguard.model.facts import Facts
from agentguard.model.listings import Hints
from agentguard.model.provenance import Provenance
from agentguard.model.record import Json
from agentguard.policy.conditions import TRUE, Condition, Language, Met
from agentguard.policy.functions import of_session
from agentguard.policy.roles import role_values

_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
"""A zero in canonical JSON; not a backslash that text itself has before `u0000`."""
_CODE = re.compile(r"([A-Z_]{1,40}):")


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
                written = canonical_json(dict(self._arguments))
                if "\\u0000" in written and _NUL.search(written):
                    self._broken = "NUL_IN_TEXT"
                    return
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


def _code(message: str, otherwise: str) -> str:
    """The stable first word of an error: what follows it may hold a value."""
    found = _CODE.match(message)
    return found[1] if found else otherwise
