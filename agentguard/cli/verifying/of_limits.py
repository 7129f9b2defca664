"""Verifies the keys of a limit. Where a limit leaves much room it is tried with little: the clause is the same, the number smaller."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agentguard.cli.verifying.alone import PROBE_KEY, QUIET, at, base, fed, written
from agentguard.cli.verifying.of_tools import came_to
from agentguard.cli.verifying.proof import NotApplicable, Proof
from agentguard.cli.verifying.trials import OUTSIDER, USER, Ground, Observed, Trial
from agentguard.model.record import Json
from agentguard.model.verdicts import Effect
from agentguard.policy.document import LimitEntry

if TYPE_CHECKING:
    from agentguard.cli.verifying.clauses import Present

_ROOM = 2
"""What a limit leaves room for in a trial."""
_WINDOWS_SECONDS = (1, 5, 20)
_OTHER_TOOL = "verify_other_tool"


async def tools(ground: Ground, clause: Present) -> Proof:
    """Calls of tools that a pattern matches are counted, and no others."""
    async with ground.trial(_alone(clause, deny=True)) as trial:
        for _ in range(_ROOM):
            await _use(trial, clause)
        seen = await _use(trial, clause)
        other = await trial.call(_OTHER_TOOL, {}, session="s") if "*" not in clause.owner.tools else None
    return Proof(holds=_is_over(seen), spares=other is None or other.ran, told=f"calls of {clause.tool} are counted")


async def over_it(ground: Ground, clause: Present) -> Proof:
    """What there is room for passes, and what goes over does not."""
    async with ground.trial(_alone(clause, deny=True)) as trial:
        within = [await _use(trial, clause) for _ in range(_ROOM)]
        seen = await _use(trial, clause)
    return Proof(
        holds=_is_over(seen),
        spares=all(each.ran and not each.refused for each in within),
        told="over it a call is held up",
    )


async def deny(ground: Ground, clause: Present) -> Proof:
    """A call over the limit is denied."""
    return await over_it(ground, clause)


async def ask(ground: Ground, clause: Present) -> Proof:
    """A call over the limit waits for the approval."""
    async with ground.trial(_alone(clause, ask=clause.value)) as trial:
        within = [await _use(trial, clause) for _ in range(_ROOM)]
        seen = await _use(trial, clause)
        if seen.ran and clause.owner.distinct:
            seen = await _use(trial, clause)  # kept back the first time; asked about from then on
    return Proof(
        holds=came_to(seen, Effect.ASK, str(clause.value)),
        spares=all(each.ran for each in within),
        told=f"over it a call waits for {clause.value}",
    )


async def over(ground: Ground, clause: Present) -> Proof:
    """What was used counts no more once the window has passed. On a slow machine a longer window is tried."""
    for seconds in _WINDOWS_SECONDS:
        begun = time.monotonic()
        async with ground.trial(_alone(clause, deny=True, over=f"{seconds}s")) as trial:
            for _ in range(_ROOM):
                await _use(trial, clause)
            seen = await _use(trial, clause)
            in_time = time.monotonic() - begun < seconds
            await asyncio.sleep(seconds * 1.05 + 0.05)
            later = await _use(trial, clause)
        if in_time:
            return Proof(
                holds=_is_over(seen), spares=later.ran and not later.refused, told="counts within its window only"
            )
    raise NotApplicable("this machine is too slow to use it up within a window that can be waited for")


async def per(ground: Ground, clause: Present) -> Proof:
    """Who counts together does, and who doesn't has room of their own."""
    owner: LimitEntry = clause.owner
    apart = {"user": {"user": OUTSIDER}, "session": {"session": "other"}}
    if not apart.keys() & set(owner.dimensions):
        async with ground.trial(_alone(clause, deny=True)) as trial:
            for _ in range(_ROOM):
                await _use(trial, clause)
            alike = await _use(trial, clause, user=OUTSIDER, session="other")
        return Proof(holds=_is_over(alike), spares=True, told="users and sessions count together")
    holds, spares = True, True
    for dimension, other in apart.items():
        async with ground.trial(_alone(clause, deny=True)) as trial:
            for _ in range(_ROOM):
                await _use(trial, clause)
            holds &= _is_over(await _use(trial, clause))
            elsewhere = await _use(trial, clause, **other)
        spares &= (dimension not in owner.dimensions) or (elsewhere.ran and not elsewhere.refused)
    return Proof(holds=holds, spares=spares, told=f"counts for each {' and '.join(owner.dimensions)}")


async def reason(ground: Ground, clause: Present) -> Proof:
    """The model is told the reason."""
    if clause.owner.distinct:
        raise NotApplicable("what a limit on subjects keeps back is said without it; people are shown it")
    told = []
    for says in ({"reason": clause.value}, {}):
        async with ground.trial(_alone(clause, deny=True, **says)) as trial:
            for _ in range(_ROOM):
                await _use(trial, clause)
            told.append((await _use(trial, clause)).refused)
    return Proof(holds=str(clause.value) in told[0], spares=str(clause.value) not in told[1], told="in the refusal")


async def mode(ground: Ground, clause: Present) -> Proof:
    """In shadow it counts, and holds nothing up."""
    if clause.value != "shadow":
        raise NotApplicable("every other trial of this limit enforces it")
    seen = []
    for says in ({"mode": "shadow"}, {}):
        async with ground.trial(_alone(clause, deny=True, **says)) as trial:
            for _ in range(_ROOM):
                await _use(trial, clause)
            seen.append(await _use(trial, clause))
    noted = clause.owner.distinct is not None or _name(clause) in seen[0].shadowed
    return Proof(
        holds=seen[0].ran and not seen[0].refused and noted,
        spares=_is_over(seen[1]),
        told="passes and is recorded; held up once enforced",
    )


def _alone(clause: Present, **says: Any) -> dict[str, Json]:
    """The limit alone, with little room; what it says besides."""
    owner: LimitEntry = clause.owner
    whole = written(owner)
    kept = {key: value for key, value in whole.items() if key in ("sum", "distinct", "per", "over")}
    limit = {**kept, "tools": [clause.tool] if "*" in owner.tools else list(owner.tools), "max": _ROOM, **says}
    entry = clause.document.tools.get(clause.pattern)
    params = written(entry).get("params", {}) if entry is not None else {}
    document = base(
        clause.document,
        tools={clause.tool: {**QUIET, "params": params}, _OTHER_TOOL: QUIET},
        limits={_name(clause): limit},
    )
    return fed(document, owner.distinct) if owner.distinct else document


def _name(clause: Present) -> str:
    return str(clause.path[1])


async def _use(trial: Trial, clause: Present, *, user: str = USER, session: str = "s") -> Observed:
    """A call that uses one of what the limit counts."""
    owner: LimitEntry = clause.owner
    arguments: dict[str, Json] = {}
    for path in _amounts(clause):
        arguments |= at(path, 1)
    someone = "zq" + chr(ord("a") + len(trial.calls)) * 3
    result: Any = {PROBE_KEY: f"{someone} subject"} if owner.distinct else "done"
    return await trial.call(clause.tool, arguments, result=result, user=user, session=session)


def _amounts(clause: Present) -> Sequence[str]:
    """Where one amount is put: the first path of a role."""
    kind, _, rest = (clause.owner.sum or "").partition(".")
    if kind == "args":
        return (rest,)
    if kind != "params":
        return ()
    entry = clause.document.tools.get(clause.pattern)
    paths = entry.params.get(rest, ()) if entry is not None else ()
    if not paths:
        raise NotApplicable(f"{clause.tool} has no {rest}: the limit denies each of its calls")
    return paths[:1]


def _is_over(seen: Observed) -> bool:
    """Whether a call was held up, or its result kept back, by a limit."""
    return seen.refused.startswith(("denied by policy", "over a limit"))
