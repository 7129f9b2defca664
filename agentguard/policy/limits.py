"""What a limit says of one call: what the call takes from it, and whether the limit speaks. Pure.

Rules:
- a call is charged where its tool matches; a sum takes every amount at its paths, through lists, and there must be one;
- an amount is a JSON number or plain decimal text, exact, 0 or more. Anything else, or nothing at all, is never charged: the limit denies
  the call;
- a limit that nobody counted denies the call too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from agentguard.model.calls import Principal
from agentguard.model.facts import Facts
from agentguard.model.limits import Amount, Charge, IfOver
from agentguard.model.record import Json
from agentguard.model.verdicts import Mode
from agentguard.policy.conditions import TRUE, Met
from agentguard.policy.document import Dimension, LimitEntry

_PLAIN = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?")
_ONE = Amount(1, 0)
_NONE = Amount(0, 0)


class BadAmount(Exception):
    """There is no amount to charge; `code` says why, and holds no value."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A limit as it concerns one tool. `paths`: where a sum finds its amounts in the tool's arguments."""

    id: str
    entry: LimitEntry
    tool: str
    paths: tuple[str, ...] = ()

    def met(self, arguments: Mapping[str, Json], facts: Facts) -> Met | None:
        """How the limit speaks: the call would go over it, there is nothing to charge, or (None) it has nothing to say."""
        try:
            self._amount(arguments)
        except BadAmount as bad:
            return Met("error", bad.code)
        if facts.over is None:
            return Met("error", "NOT_COUNTED")
        return TRUE if self.id in facts.over else None

    def charge(self, arguments: Mapping[str, Json], principal: Principal) -> Charge | None:
        """What the call takes. Raises BadAmount; in shadow, where nobody is held up, it takes nothing then."""
        try:
            amount = self._amount(arguments)
        except BadAmount:
            if self.entry.mode is Mode.SHADOW:
                return None
            raise
        return Charge(
            limit=self.id,
            scope=tuple(f"{each}={self._whose(each, principal)}" for each in sorted(set(self.entry.dimensions))),
            amount=amount,
            most=Amount.of(_number(self.entry.max)),
            window_ms=self.entry.window_ms,
            if_over=self._if_over(),
            subjects=self.entry.distinct or "",
        )

    def _if_over(self) -> IfOver:
        if self.entry.mode is Mode.SHADOW:
            return IfOver.NOTE
        return IfOver.ASK if self.entry.ask else IfOver.REFUSE

    def _amount(self, arguments: Mapping[str, Json]) -> Amount:
        if self.entry.distinct:
            return _NONE
        if self.entry.sum is None:
            return _ONE
        return Amount.of(*amounts(arguments, self.paths))

    def _whose(self, dimension: Dimension, principal: Principal) -> str:
        match dimension:
            case "tenant":
                return principal.tenant
            case "agent":
                return principal.agent
            case "user":
                return principal.user or ""
            case "session":
                return principal.session
            case "tool":
                return self.tool


def amounts(arguments: Mapping[str, Json], paths: Sequence[str]) -> list[Decimal]:
    """Every number at these paths, through lists. Raises BadAmount where there is none, or something else."""
    found: list[Decimal] = []
    for first, *rest in (path.split(".") for path in paths):
        if arguments.get(first) is not None:
            _collect(arguments[first], rest, found)
    if not found:
        raise BadAmount("MISSING")
    return found


def paths_of(written: str | None, params: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Where `sum: args.PATH` or `sum: params.ROLE` finds its amounts, for a tool with these roles."""
    if written is None:
        return ()
    kind, _, rest = written.partition(".")
    return (rest,) if kind == "args" else tuple(params.get(rest, ()))


def _collect(value: Json, steps: list[str], found: list[Decimal]) -> None:
    """Every amount at a path. Raises BadAmount where one is missing or is none."""
    if isinstance(value, (list, tuple)):
        for inner in value:
            _collect(inner, steps, found)
    elif not steps:
        found.append(_number(value))
    elif isinstance(value, Mapping) and steps[0] in value:
        _collect(value[steps[0]], steps[1:], found)
    else:
        raise BadAmount("MISSING")


def _number(value: Json) -> Decimal:
    if value is None:
        raise BadAmount("MISSING")
    plain = isinstance(value, str) and _PLAIN.fullmatch(value) is not None
    if isinstance(value, bool) or not (plain or isinstance(value, (int, float))):
        raise BadAmount("NOT_A_NUMBER")
    number = Decimal(value if isinstance(value, (int, str)) else repr(value))
    if not number.is_finite():
        raise BadAmount("NOT_A_NUMBER")
    if number < 0:
        raise BadAmount("NEGATIVE")
    return number
