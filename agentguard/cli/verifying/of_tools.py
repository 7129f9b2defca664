"""Verifies the keys of an entry of `tools`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from agentguard.cli.verifying.alone import FEEDER, PLAIN, PROBE_KEY, QUIET, at, base, fed, written
from agentguard.cli.verifying.proof import NotApplicable, Proof
from agentguard.cli.verifying.trials import Ground, Observed, Trial
from agentguard.model.record import Json
from agentguard.model.verdicts import CONFIRM, Effect
from agentguard.policy.document import RevealEntry, ToolEntry, level_effect
from agentguard.policy.titles import compile_title, render_title

if TYPE_CHECKING:
    from agentguard.cli.verifying.clauses import Present

_ELSEWHERE = "verify_elsewhere"
_COMES_BACK_SECONDS = 0.5
"""How soon a deferred call is over."""


async def risk(ground: Ground, clause: Present) -> Proof:
    """What its level means happens to its calls; without the entry the tool is listed nowhere, and denied."""
    entry: ToolEntry = clause.owner
    effect, ask = level_effect(clause.document.risk.of(entry.risk))
    levels = clause.document.risk.model_dump(mode="json")
    document = base(clause.document, risk=levels, tools={clause.pattern: {"risk": entry.risk.value, "labels": []}})
    async with ground.trial(document) as trial:
        seen = await trial.call(clause.tool, {})
    async with ground.trial({**document, "tools": {}}) as trial:
        without = await trial.call(clause.tool, {})
    known = seen.judged is not None and seen.judged.risk is entry.risk and clause.pattern in seen.spoke
    return Proof(
        holds=known and came_to(seen, effect, ask),
        spares=without.refused != "" and clause.pattern not in without.spoke,
        told=f"{effect}; denied as unlisted without it",
    )


def came_to(seen: Observed, effect: Effect, ask: str | None) -> bool:
    """Whether a call came to this."""
    match effect:
        case Effect.ALLOW:
            return seen.ran
        case Effect.ASK:
            return not seen.ran and ask in seen.needs
        case Effect.DENY:
            return not seen.ran and seen.stored is None and seen.refused.startswith("denied")


async def ask(ground: Ground, clause: Present) -> Proof:
    """Calls wait for this approval, and without it for none."""
    document = base(clause.document, tools={clause.pattern: {**QUIET, "ask": clause.value}})
    async with ground.trial(document) as trial:
        seen = await trial.call(clause.tool, {})
    async with ground.trial({**document, "tools": {clause.pattern: QUIET}}) as trial:
        without = await trial.call(clause.tool, {})
    return Proof(
        holds=came_to(seen, Effect.ASK, str(clause.value)),
        spares=without.ran,
        told=f"waits for {clause.value}; runs without it",
    )


async def deny(ground: Ground, clause: Present) -> Proof:
    """Calls are denied, and without it they run."""
    document = base(clause.document, tools={clause.pattern: {**QUIET, "deny": True}})
    async with ground.trial(document) as trial:
        seen = await trial.call(clause.tool, {})
    async with ground.trial({**document, "tools": {clause.pattern: QUIET}}) as trial:
        without = await trial.call(clause.tool, {})
    return Proof(
        holds=came_to(seen, Effect.DENY, None), spares=without.ran, told="its call is denied; it runs without it"
    )


async def labels(ground: Ground, clause: Present) -> Proof:
    """A call's result brings exactly these labels; before it the session has none."""
    entry = {"risk": "low", "labels": list(clause.owner.labels)}
    reader = {"id": "verify-reads", "tools": ["*"], "when": '"verify-none" in session.labels', "deny": True}
    async with ground.trial(base(clause.document, tools={clause.pattern: entry}, rules=[reader])) as trial:
        before = await trial.labels()
        await trial.call(clause.tool, {})
        after = await trial.labels()
    told = f"brought {', '.join(sorted(after)) or 'no label'}"
    return Proof(holds=after == set(clause.owner.labels), spares=not before, told=told)


async def params(ground: Ground, clause: Present) -> Proof:
    """A condition over the role finds what stands at each of its paths, and nothing where nothing stands there."""
    reader = {"id": "verify-reads", "tools": ["*"], "deny": True}
    holds, spares = True, True
    for role, paths in clause.owner.params.items():
        rule = {**reader, "when": f'params.{role}.exists(v, v == "{PLAIN}")'}
        entry = {**QUIET, "params": {role: list(paths)}}
        async with ground.trial(base(clause.document, tools={clause.pattern: entry}, rules=[rule])) as trial:
            for path in paths:
                holds &= came_to(await trial.call(clause.tool, at(path, PLAIN), session=f"+{path}"), Effect.DENY, None)
            spares &= (await trial.call(clause.tool, {_ELSEWHERE: PLAIN}, session="-")).ran
    return Proof(holds=holds, spares=spares, told=f"conditions read {', '.join(clause.owner.params)}")


async def reveal(ground: Ground, clause: Present) -> Proof:
    """A token of each type becomes its value where the policy says so, and nowhere else."""
    holds, spares = True, True
    for parameter, terms in clause.owner.reveal.items():
        types = terms.types if isinstance(terms, RevealEntry) else terms
        entry = {**QUIET, "reveal": {parameter: list(types)}}
        for kind in types:
            async with ground.trial(fed(base(clause.document, tools={clause.pattern: entry}), kind)) as trial:
                token = await _token(trial, kind)
                there = await trial.call(clause.tool, at(parameter, token), session="s")
                elsewhere = await trial.call(clause.tool, {_ELSEWHERE: token}, session="s")
            holds &= there.given == at(parameter, PLAIN)
            spares &= elsewhere.given == {_ELSEWHERE: token}
    return Proof(holds=holds, spares=spares, told=f"restored in {', '.join(clause.owner.reveal)} only")


async def inside_text(ground: Ground, clause: Present) -> Proof:
    """A token within a longer text becomes its value with it, and stays a token without it."""
    seen: dict[bool, bool] = {}
    kind = clause.owner.types[0]
    for inside in (True, False):
        entry = {**QUIET, "reveal": {clause.parameter: {"types": [kind], "inside_text": inside}}}
        async with ground.trial(fed(base(clause.document, tools={clause.pattern: entry}), kind)) as trial:
            text = f"about {await _token(trial, kind)} today"
            ran = await trial.call(clause.tool, at(clause.parameter, text), session="s")
        seen[inside] = ran.given == at(clause.parameter, f"about {PLAIN} today")
    if not clause.value:
        return Proof(holds=not seen[False], spares=seen[True], told="tokens in longer texts stay tokens")
    return Proof(holds=seen[True], spares=not seen[False], told="restored in longer texts, and not without it")


async def _token(trial: Trial, kind: str) -> str:
    """What stands for a plain value of this type in the session `s`."""
    fed_ = await trial.call(FEEDER, {}, result={PROBE_KEY: PLAIN}, session="s")
    token = fed_.shown[PROBE_KEY]
    if token == PLAIN:
        raise NotApplicable(f"no value of type {kind} is masked here")
    return str(token)


async def title(ground: Ground, clause: Present) -> Proof:
    """People are shown the title; without it the tool's name."""
    asked = {**QUIET, "ask": CONFIRM}
    arguments = dict.fromkeys(re.findall(r"\bargs\.(\w+)", str(clause.value)), 7)
    expected = render_title(compile_title(str(clause.value)), clause.tool, arguments)
    if expected == clause.tool:
        raise NotApplicable("it can't be filled in here, and a title that fails is the tool's name")
    shown = []
    for entry in ({**asked, "title": clause.value}, asked):
        async with ground.trial(base(clause.document, tools={clause.pattern: entry})) as trial:
            seen = await trial.call(clause.tool, arguments)
            shown.append(seen.stored.request.card.title if seen.stored else "")
    return Proof(holds=shown[0] == expected, spares=shown[1] == clause.tool, told="shown on the card")


async def wait(ground: Ground, clause: Present) -> Proof:
    """An asked call is told to come back while its request waits; or it waits itself."""
    seen = {}
    for how in ("defer", "block"):
        tools = {clause.pattern: {**QUIET, "ask": CONFIRM, "wait": how}}
        seen[how] = await deferred(ground, base(clause.document, tools=tools), clause.tool)
    return waits_as(str(clause.value), seen)


async def deferred(ground: Ground, document: dict[str, Json], tool: str) -> bool:
    """Whether an asked call is told to come back, with its request left open."""
    async with ground.trial(document) as trial:
        seen = await trial.call(tool, {})
        ended, _ = await asyncio.wait([seen.task], timeout=_COMES_BACK_SECONDS)
        left_open = [stored for stored in await trial.desk.list() if stored.request.tool == tool]
    return bool(ended) and not seen.ran and bool(left_open)


def waits_as(written_how: str, came_back: Mapping[str, bool]) -> Proof:
    """That calls came back where it says `defer`, and waited where it says `block`."""
    told = "told to come back; waits without it" if written_how == "defer" else "waits; told to come back with defer"
    return Proof(
        holds=came_back[written_how] is (written_how == "defer"),
        spares=came_back["defer"] is not came_back["block"],
        told=told,
    )


async def once(ground: Ground, clause: Present) -> Proof:
    """The same deed is refused the second time, in another session too; another deed is not."""
    path = deed_path(clause, str(clause.value))
    params = written(clause.owner).get("params", {})
    entry = {**QUIET, "params": params, "once": clause.value}
    return await happens_once(ground, base(clause.document, tools={clause.pattern: entry}), clause.tool, path)


async def happens_once(ground: Ground, document: dict[str, Json], tool: str, path: str) -> Proof:
    """That a deed, named by what stands at a path, happens one time."""
    async with ground.trial(document) as trial:
        first = await trial.call(tool, at(path, "one"), session="a")
        again = await trial.call(tool, at(path, "one"), session="b")
        other = await trial.call(tool, at(path, "two"), session="c")
    holds = first.ran and not again.ran and again.refused.startswith("already done")
    return Proof(holds=holds, spares=other.ran, told="the same deed is refused, another one runs")


def deed_path(clause: Present, written_path: str) -> str:
    """The argument that names a deed: the one that is written, or the first of a role."""
    kind, _, rest = written_path.partition(".")
    if kind == "args":
        return rest
    entry = clause.document.tools.get(clause.pattern)
    paths = entry.params.get(rest, ()) if entry is not None else ()
    if not paths:
        raise NotApplicable(f"{clause.tool} has no {rest}: none of its calls runs")
    return paths[0]


async def mode(ground: Ground, clause: Present) -> Proof:
    """In shadow the entry only tells what it would have done; enforced it does it."""
    entry = {**QUIET, "deny": True}
    if clause.value != "shadow":
        raise NotApplicable("every other trial of this entry enforces it")
    async with ground.trial(
        base(clause.document, tools={clause.pattern: {**entry, "mode": "shadow"}}, mode="shadow")
    ) as trial:
        seen = await trial.call(clause.tool, {})
    async with ground.trial(base(clause.document, tools={clause.pattern: {**entry, "mode": "enforce"}})) as trial:
        enforced = await trial.call(clause.tool, {})
    return Proof(
        holds=seen.ran and clause.pattern in seen.shadowed,
        spares=came_to(enforced, Effect.DENY, None),
        told="passes and is recorded; denied once enforced",
    )


async def undo(ground: Ground, clause: Present) -> Proof:
    """People are shown how it is undone, or that nothing can; without it neither."""
    asked = {**QUIET, "ask": CONFIRM}
    cards = []
    for entry in ({**asked, "undo": clause.value}, asked):
        async with ground.trial(base(clause.document, tools={clause.pattern: entry})) as trial:
            seen = await trial.call(clause.tool, {})
            cards.append(seen.stored.request.card if seen.stored else None)
    said = clause.value or None
    return Proof(
        holds=cards[0] is not None and cards[0].undo == said,
        spares=cards[1] is not None and cards[1].undo != said,
        told="shown on the card",
    )
