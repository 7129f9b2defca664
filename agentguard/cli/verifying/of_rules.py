"""Verifies the keys of a rule."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agentguard.cli.verifying.alone import FEEDER, PROBE_KEY, QUIET, base, fed, written
from agentguard.cli.verifying.of_tools import came_to, deed_path, deferred, happens_once, waits_as
from agentguard.cli.verifying.proof import NotApplicable, Proof
from agentguard.cli.verifying.search import call, pair
from agentguard.cli.verifying.trials import USER, Ground, Observed, Trial, told_of
from agentguard.model.record import Json
from agentguard.model.verdicts import CONFIRM, Effect
from agentguard.policy import Case, Policy, Source, load
from agentguard.policy.document import RuleEntry, level_effect

if TYPE_CHECKING:
    from agentguard.cli.verifying.clauses import Present

_OTHER_TOOL = "verify_other_tool"
_TIMES_MAX = 30
"""How often a tool is called to be counted."""


async def tools(ground: Ground, clause: Present) -> Proof:
    """The rule speaks about tools that a pattern matches, and about no other."""
    rule = {"id": clause.owner.id, "tools": list(clause.owner.tools), "deny": True}
    everything = {"*": QUIET} if "*" in clause.owner.tools else {clause.tool: QUIET, _OTHER_TOOL: QUIET}
    async with ground.trial(base(clause.document, tools=everything, rules=[rule])) as trial:
        seen = await trial.call(clause.tool, {})
        other = await trial.call(_OTHER_TOOL, {}, session="other")
    if "*" in clause.owner.tools:
        async with ground.trial(base(clause.document, tools=everything)) as trial:
            other = await trial.call(_OTHER_TOOL, {})
    return Proof(holds=came_to(seen, Effect.DENY, None), spares=other.ran, told=f"speaks about {clause.tool}")


async def when(ground: Ground, clause: Present) -> Proof:
    """The rule speaks where its condition is met, and does not where it isn't."""
    return await _conditional(ground, clause, {"deny": True}, Effect.DENY, None)


async def deny(ground: Ground, clause: Present) -> Proof:
    """The call is denied."""
    return await _conditional(ground, clause, {"deny": True}, Effect.DENY, None)


async def ask(ground: Ground, clause: Present) -> Proof:
    """The call waits for the approval."""
    return await _conditional(ground, clause, {"ask": clause.value}, Effect.ASK, str(clause.value))


async def risk(ground: Ground, clause: Present) -> Proof:
    """The call is of this risk, and what the level means happens to it."""
    rule: RuleEntry = clause.owner
    assert rule.risk is not None  # noqa: S101 - it is the key that is present
    if rule.risk.rank == 0:
        raise NotApplicable("no call is of a lower risk")
    effect, name = level_effect(clause.document.risk.of(rule.risk))
    levels = clause.document.risk.model_dump(mode="json")
    return await _conditional(ground, clause, {"risk": rule.risk.value}, effect, name, levels=levels)


async def notify(ground: Ground, clause: Present) -> Proof:
    """A request that the rule speaks about goes to these places; where it doesn't speak, to those without a name alone."""
    others = (*clause.owner.notify, "verify", "verify:named")
    told = {}
    for speaks in (True, False):
        tools = [clause.tool if speaks else _OTHER_TOOL]
        rule = {"id": clause.owner.id, "tools": tools, "ask": CONFIRM, "notify": list(clause.owner.notify)}
        document = base(clause.document, tools={clause.tool: {**QUIET, "ask": CONFIRM}}, rules=[rule])
        async with ground.trial(document) as trial:
            told[speaks] = told_of(await trial.call(clause.tool, {}), others)
    unnamed = {name for name in others if ":" not in name}
    return Proof(
        holds=told[True] == unnamed | set(clause.owner.notify),
        spares=told[False] == unnamed,
        told=f"goes to {', '.join(clause.owner.notify)} too, where the rule speaks",
    )


async def wait(ground: Ground, clause: Present) -> Proof:
    """An asked call is told to come back while its request waits; or it waits itself."""
    seen = {}
    for how in ("defer", "block"):
        rule = {"id": clause.owner.id, "tools": [clause.tool], "ask": CONFIRM, "wait": how}
        seen[how] = await deferred(ground, base(clause.document, tools={clause.tool: QUIET}, rules=[rule]), clause.tool)
    return waits_as(str(clause.value), seen)


async def once(ground: Ground, clause: Present) -> Proof:
    """The same deed is refused the second time; another deed is not."""
    path = deed_path(clause, str(clause.value))
    entry = written(clause.document.tools[clause.pattern]) if clause.pattern else {}
    tools = {clause.tool: {**QUIET, "params": entry.get("params", {})}}
    rule = {"id": clause.owner.id, "tools": [clause.tool], "once": clause.value}
    return await happens_once(ground, base(clause.document, tools=tools, rules=[rule]), clause.tool, path)


async def reason(ground: Ground, clause: Present) -> Proof:
    """The model is told the reason of a denial, and people that of a question."""
    told: list[str] = []
    for says in ({"reason": clause.value}, {}):
        rule = {"id": clause.owner.id, "tools": [clause.tool], **says}
        document = base(clause.document, tools={clause.tool: QUIET})
        async with ground.trial({**document, "rules": [{**rule, "deny": True}]}) as trial:
            refused = (await trial.call(clause.tool, {})).refused
        async with ground.trial({**document, "rules": [{**rule, "ask": CONFIRM}]}) as trial:
            stored = (await trial.call(clause.tool, {})).stored
        told.append(f"{refused}\n{stored.request.card.model_dump_json() if stored else ''}")
    shown = str(clause.value)
    inside = told[0].partition("\n")
    return Proof(
        holds=shown in inside[0] and _as_json(shown) in inside[2],
        spares=shown not in told[1],
        told="in the refusal and on the card",
    )


async def mode(ground: Ground, clause: Present) -> Proof:
    """In shadow the rule only tells what it would have done."""
    if clause.value != "shadow":
        raise NotApplicable("every other trial of this rule enforces it")
    rule = {"id": clause.owner.id, "tools": [clause.tool], "deny": True}
    seen = []
    for says in ({"mode": "shadow"}, {}):
        async with ground.trial(base(clause.document, tools={clause.tool: QUIET}, rules=[{**rule, **says}])) as trial:
            seen.append(await trial.call(clause.tool, {}))
    return Proof(
        holds=seen[0].ran and clause.owner.id in seen[0].shadowed,
        spares=came_to(seen[1], Effect.DENY, None),
        told="passes and is recorded; denied once enforced",
    )


async def _conditional(
    ground: Ground, clause: Present, does: dict[str, Json], effect: Effect, name: str | None, *, levels: Json = None
) -> Proof:
    """That the rule, saying only this, does it to a call that it speaks about and not to one that it doesn't."""
    rule = {"id": clause.owner.id, "tools": [clause.tool], **does}
    entry = written(clause.document.tools[clause.pattern]) if clause.pattern else {}
    document = base(clause.document, tools={clause.tool: {**QUIET, "params": entry.get("params", {})}})
    if levels is not None:
        document = {
            **document,
            "risk": levels,
            "tools": {clause.tool: {**document["tools"][clause.tool], "risk": "low"}},
        }
    if clause.owner.when is None:
        seen = await _made(ground, {**document, "rules": [rule]}, clause, call(clause.tool, {}))
        spared = await _made(ground, document, clause, call(clause.tool, {}))
        return _proof(seen, spared, effect, name, "always")
    document = {**document, "rules": [{**rule, "when": clause.owner.when}]}
    found = pair(_pure(document), clause.owner.id, clause.tool, clause.owner.when, clause.cases)
    if found is None:
        raise NotApplicable("no call was found that meets its condition; add a case with one")
    seen = await _made(ground, document, clause, found.met)
    if found.spared is None:
        raise NotApplicable("its condition is met by every call that was tried; add a case with one that it spares")
    spared = await _made(ground, document, clause, found.spared)
    return _proof(seen, spared, effect, name, "its condition met")


def _proof(seen: Observed, spared: Observed, effect: Effect, name: str | None, how: str) -> Proof:
    held = came_to(seen, effect, name)
    if effect is Effect.ALLOW:
        return Proof(holds=held, spares=spared.ran, told=f"{effect}, {how}")
    return Proof(holds=held, spares=not came_to(spared, effect, name), told=f"{effect}, {how}; spared otherwise")


def _pure(document: dict[str, Json]) -> Policy:
    return load([Source(file="policy.yaml", text=json.dumps(document, ensure_ascii=False))])


async def _made(ground: Ground, document: dict[str, Json], clause: Present, wanted: Case) -> Observed:
    """The call, with what it needs to be known of it brought about first."""
    others = {tool for tool in (*wanted.results, *wanted.counts) if tool != clause.tool}
    quiet = dict.fromkeys((*others, FEEDER), QUIET)
    sources = {tool: {"risk": "low", "labels": list(wanted.origin_labels)} for tool in wanted.origins}
    labelled = {"verify_labels": {"risk": "low", "labels": list(wanted.labels)}}
    masked = {**document, "tools": {**quiet, **sources, **labelled, **document["tools"]}}
    for kind in wanted.entities:
        masked = fed(masked, kind)
    async with ground.trial(masked, agent=wanted.agent, deployment=wanted.deployment) as trial:
        session: dict[str, Any] = {"user": None if wanted.user is None else USER, "said": wanted.said}
        if wanted.labels:
            await trial.call("verify_labels", {}, **session)
        for tool, text in wanted.results.items():
            await trial.call(tool, {}, result=text, **session)
        for tool, times in wanted.counts.items():
            for _ in range(min(times, _TIMES_MAX) - (tool == clause.tool)):
                await trial.call(tool, {}, **session)
        arguments = dict(wanted.args)
        if wanted.entities or wanted.origins:
            arguments["verify_tokens"] = await _tokens(trial, wanted, session)
        return await trial.call(clause.tool, arguments, **session)


async def _tokens(trial: Trial, wanted: Case, session: dict[str, Any]) -> list[str]:
    """Tokens of these types that came from these tools."""
    values = {"EMAIL_ADDRESS": "zq7@agentguard.example"}
    found: list[str] = []
    for origin in wanted.origins or (FEEDER,):
        for kind in wanted.entities or ("EMAIL_ADDRESS",):
            result = {PROBE_KEY: values.get(kind, f"zq-{kind.lower()}-7")}
            seen = await trial.call(origin, {}, result=result, **session)
            found.append(str((seen.shown or result)[PROBE_KEY]))
    return found


def _as_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
