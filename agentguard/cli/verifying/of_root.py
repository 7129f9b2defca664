"""Verifies what stands in policy.yaml alone: levels of risk, and its mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentguard.cli.verifying.alone import CALM, base
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
