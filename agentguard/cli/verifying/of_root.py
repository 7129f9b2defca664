"""Verifies what stands in policy.yaml alone: levels of risk, masking, and the mode of a file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agentguard.cli.verifying.alone import CALM, FEEDER, PLAIN, PROBE_KEY, QUIET, base
from agentguard.cli.verifying.of_tools import came_to
from agentguard.cli.verifying.proof import NotApplicable, Proof
from agentguard.cli.verifying.trials import Ground
from agentguard.model.record import Json
from agentguard.model.verdicts import Effect, Risk
from agentguard.policy.document import level_effect

if TYPE_CHECKING:
    from agentguard.cli.verifying.clauses import Present

_TOOL = "verify_tool"


async def level(ground: Ground, clause: Present) -> Proof:
    """What a level means happens to a tool of that risk; with another meaning it doesn't."""
    risk = Risk(str(clause.path[1]))
    effect, name = level_effect(clause.document.risk.of(risk))
    levels = clause.document.risk.model_dump(mode="json")
    tools: Json = {_TOOL: {"risk": risk.value, "labels": []}}
    async with ground.trial(base(clause.document, risk=levels, tools=tools)) as trial:
        seen = await trial.call(_TOOL, {})
    other = _otherwise(risk, effect)
    async with ground.trial(base(clause.document, risk=other, tools=tools)) as trial:
        changed = await trial.call(_TOOL, {})
    return Proof(
        holds=came_to(seen, effect, name),
        spares=not came_to(changed, effect, name),
        told=f"{effect}{f' for {name}' if name else ''}",
    )


def _otherwise(risk: Risk, effect: Effect) -> dict[str, Json]:
    """Levels in which this one means something else."""
    order = [each.value for each in Risk]
    if effect is not Effect.DENY:
        return {each: "allow" if order.index(each) < risk.rank else "deny" for each in order}
    return {**CALM, "high": {"ask": "confirm"}} if risk is not Risk.CRITICAL else _asked_last()


def _asked_last() -> dict[str, Json]:
    raise NotApplicable("critical calls are denied, and nothing laxer could be compared without an approval")


async def fields(ground: Ground, clause: Present) -> Proof:
    """What stands at a path is masked as its type is, and the same value elsewhere is not."""
    holds, spares, told = True, True, []
    for path, kind in clause.owner.fields.items():
        masking = clause.document.masking.model_dump(mode="json", exclude_none=True)
        masking["actions"] = {**masking.get("actions", {}), kind: "redact"}
        async with ground.trial(base(clause.document, tools={FEEDER: QUIET}, masking=masking)) as trial:
            value, at_path = _at(path)
            seen = await trial.call(FEEDER, {}, result=value)
            plain = await trial.call(FEEDER, {}, result={PROBE_KEY: PLAIN}, session="other")
        holds &= PLAIN not in str(seen.shown)
        spares &= PLAIN in str(plain.shown)
        told.append(at_path)
    return Proof(holds=holds, spares=spares, told=f"masked at {', '.join(told)}")


def _at(path: str) -> tuple[Json, str]:
    """A result with a plain value at a path of keys, `*` and `**` filled in."""
    keys = [key.replace("*", "verify") for key in path.split(".") if key != "**"]
    value: Json = PLAIN
    for key in reversed(keys):
        value = {key: value}
    return value, ".".join(keys)


async def actions(ground: Ground, clause: Present) -> Proof:
    """A value of each type comes to the model as its action says; with another action it comes otherwise."""
    holds, spares = True, True
    for kind, action in clause.owner.actions.items():
        named = "VERIFY_TYPE" if kind == "*" else kind
        looks = []
        for does in (action, "redact" if action != "redact" else "token"):
            masking = {"fields": {f"**.{PROBE_KEY}": named}, "actions": {kind: does}}
            async with ground.trial(base(clause.document, tools={FEEDER: QUIET}, masking=masking)) as trial:
                seen = await trial.call(FEEDER, {}, result={PROBE_KEY: PLAIN})
            looks.append(_look(seen.shown))
        holds &= looks[0] == str(action)
        spares &= looks[1] != looks[0]
    return Proof(
        holds=holds, spares=spares, told=", ".join(f"{kind}: {does}" for kind, does in clause.owner.actions.items())
    )


def _look(shown: Json) -> str:
    """Which action a masked result looks like."""
    if not isinstance(shown, dict) or PROBE_KEY not in shown:
        return "drop"
    value = str(shown[PROBE_KEY])
    if value == PLAIN:
        return "allow"
    if re.fullmatch(r"\[[A-Z_]+ redacted\]", value):
        return "redact"
    return "token" if re.fullmatch(r"\[[A-Z_]+_[a-z0-9]{10,}\]", value) else "mask"


async def mode(ground: Ground, clause: Present) -> Proof:
    """In shadow a tool that nobody listed passes, and the journal has that it would have been denied."""
    if clause.value != "shadow":
        raise NotApplicable("every trial here is enforced")
    seen = []
    for says in ({"mode": "shadow"}, {}):
        async with ground.trial(base(clause.document, **says)) as trial:
            seen.append(await trial.call(_TOOL, {}))
    return Proof(
        holds=seen[0].ran and "(unlisted)" in seen[0].shadowed,
        spares=came_to(seen[1], Effect.DENY, None),
        told="what nobody listed passes and is recorded; denied once enforced",
    )
