"""Verifies the section `masking` and the masking of one tool."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from agentguard.cli.verifying.alone import FEEDER, PLAIN, PROBE_KEY, QUIET, at, base
from agentguard.cli.verifying.proof import NotApplicable, Proof
from agentguard.cli.verifying.trials import USER, Ground
from agentguard.config.masking import ALL_PACKS, pack_examples, packs
from agentguard.errors import Fault
from agentguard.model.record import Json
from agentguard.policy.masking_section import ActionEntry

if TYPE_CHECKING:
    from agentguard.cli.verifying.clauses import Present

_TYPE = "VERIFY_TYPE"
_LITTLE = 60
"""What a limit on the size of values is tried with."""


async def fields(ground: Ground, clause: Present) -> Proof:
    """What stands at a path is masked as its type is, and the same value elsewhere is not."""
    holds, spares, told = True, True, []
    for path, kind in clause.owner.fields.items():
        masking = {"fields": {path: kind}, "actions": {kind: "redact"}}
        where = _filled(path)
        async with ground.trial(base(clause.document, tools={FEEDER: QUIET}, masking=masking)) as trial:
            seen = await trial.call(FEEDER, {}, result=at(where, PLAIN))
            plain = await trial.call(FEEDER, {}, result={PROBE_KEY: PLAIN}, session="other")
        holds &= PLAIN not in str(seen.shown)
        spares &= PLAIN in str(plain.shown)
        told.append(where)
    return Proof(holds=holds, spares=spares, told=f"masked at {', '.join(told)}")


async def actions(ground: Ground, clause: Present) -> Proof:
    """Each finding comes to the model as its action says; with another action it comes otherwise."""
    proofs = []
    for each in _tries(clause.owner.actions):
        looks = []
        for written in (each.written, _otherwise(each.action)):
            masking = {"fields": {each.path: each.kind}, "actions": {each.key: written}}
            async with ground.trial(base(clause.document, tools={FEEDER: QUIET}, masking=masking)) as trial:
                seen = await trial.call(FEEDER, {}, result=at(_filled(each.path), PLAIN))
            looks.append(_found_at(seen.shown, each.path))
        proofs.append(_proof(each, *looks))
    return _all(proofs)


async def of_result(ground: Ground, clause: Present) -> Proof:
    """What the tool gives comes to the model as the tool's own words say; without them as for all tools."""
    proofs = []
    for each in _tries(clause.value):
        looks = []
        for own in ({"masking": {"result": {each.key: each.written}}}, {}):
            masking = {"fields": {each.path: each.kind}, "actions": {"*": _otherwise(each.action)}}
            tools = {clause.pattern: {**QUIET, **own}}
            async with ground.trial(base(clause.document, tools=tools, masking=masking)) as trial:
                seen = await trial.call(clause.tool, {}, result=at(_filled(each.path), PLAIN))
            looks.append(_found_at(seen.shown, each.path))
        proofs.append(_proof(each, *looks))
    return _all(proofs)


async def of_arguments(ground: Ground, clause: Present) -> Proof:
    """What the model writes goes out as the tool's own words say; without them as it was written."""
    proofs = []
    for each in _tries(clause.value):
        looks = []
        for own in ({"masking": {"arguments": {each.key: each.written}}}, {}):
            masking = {"fields": {each.path: each.kind}}
            tools = {clause.pattern: {**QUIET, **own}}
            async with ground.trial(base(clause.document, tools=tools, masking=masking)) as trial:
                seen = await trial.call(clause.tool, at(_filled(each.path), PLAIN))
            looks.append(_found_at(seen.given, each.path))
        if each.action == "allow":
            raise NotApplicable("arguments stay as the model wrote them anyway")
        proofs.append(_proof(each, *looks))
    return _all(proofs)


async def patterns(ground: Ground, clause: Present) -> Proof:
    """What an example shows is masked in a result; without the pattern it isn't."""
    masking = clause.document.masking.model_dump(mode="json", exclude_none=True)
    texts = [entry["match"][0] for entry in masking["patterns"].values()]
    actions = {entry["entity"]: "redact" for entry in masking["patterns"].values()}
    alone = {"patterns": masking["patterns"], "actions": actions}
    alone |= {key: masking[key] for key in ("thresholds",) if key in masking}
    return await _texts(ground, clause, alone, {"actions": actions}, texts, f"find {len(texts)} examples")


async def found_packs(ground: Ground, clause: Present) -> Proof:
    """The examples of the packs are masked in results; without the packs they aren't."""
    names = packs() if ALL_PACKS in clause.owner.packs else list(clause.owner.packs)
    texts = [text for name in names for text in pack_examples(name)]
    actions = {"*": "redact"}
    with_packs = {"packs": list(clause.owner.packs), "actions": actions}
    return await _texts(ground, clause, with_packs, {"actions": actions}, texts, f"find {len(texts)} examples")


async def denied(ground: Ground, clause: Present) -> Proof:
    """Listed values are masked wherever they stand; without the list they aren't."""
    texts = [f"about {value} then" for values in clause.owner.deny.values() for value in values]
    alone = {"deny": {kind: list(values) for kind, values in clause.owner.deny.items()}, "actions": {"*": "redact"}}
    return await _texts(ground, clause, alone, {"actions": {"*": "redact"}}, texts, f"find {len(texts)} values")


async def _texts(
    ground: Ground,
    clause: Present,
    masking: Mapping[str, Json],
    without: Mapping[str, Json],
    texts: list[str],
    told: str,
) -> Proof:
    """That each text is masked in part under one masking, and left alone under another."""
    shown: list[list[str]] = []
    for each in (masking, without):
        async with ground.trial(base(clause.document, tools={FEEDER: QUIET}, masking=dict(each))) as trial:
            found = [await trial.call(FEEDER, {}, result=text, session=f"s{index}") for index, text in enumerate(texts)]
        shown.append([str(one.shown) for one in found])
    own = [index for index, text in enumerate(texts) if shown[1][index] == text]
    if not own:
        raise NotApplicable("each of its examples is found without it too")
    return Proof(holds=all(shown[0][index] != texts[index] for index in own), spares=True, told=told)


async def allowed(ground: Ground, clause: Present) -> Proof:
    """Listed values stay in clear, and others of their type do not."""
    holds, spares = True, True
    for kind, values in clause.owner.allow.items():
        named = _TYPE if kind == "*" else kind
        masking = {"fields": {f"**.{PROBE_KEY}": named}, "actions": {"*": "redact"}, "allow": {kind: list(values)}}
        async with ground.trial(base(clause.document, tools={FEEDER: QUIET}, masking=masking)) as trial:
            for value in values:
                clear = value.replace("*", "verify")
                seen = await trial.call(FEEDER, {}, result={PROBE_KEY: clear})
                holds &= seen.shown == {PROBE_KEY: clear}
            other = await trial.call(FEEDER, {}, result={PROBE_KEY: PLAIN})
        spares &= other.shown != {PROBE_KEY: PLAIN}
    return Proof(holds=holds, spares=spares, told="listed values stay in clear, others don't")


async def thresholds(ground: Ground, clause: Present) -> Proof:
    """A finding that scores just above counts, and one that scores just below does not."""
    holds, spares = True, True
    for kind, threshold in clause.owner.thresholds.items():
        named = _TYPE if kind == "*" else kind
        word = {"entity": named, "context": ["zqcontext"]}
        below = {
            **word,
            "pattern": r"\bvfyb[0-9]{6}\b",
            "score": _score(threshold - 0.02),
            "match": ["zqcontext vfyb123456"],
        }
        above = {**word, "pattern": r"\bvfya[0-9]{6}\b", "score": _score(threshold + 0.02), "match": ["vfya123456"]}
        masking = {
            "thresholds": {kind: threshold},
            "patterns": {"verify-below": below, "verify-above": above},
            "actions": {"*": "redact"},
        }
        async with ground.trial(base(clause.document, tools={FEEDER: QUIET}, masking=masking)) as trial:
            seen = await trial.call(FEEDER, {}, result="vfya123456 and vfyb123456")
        holds &= "vfya123456" not in str(seen.shown)
        spares &= "vfyb123456" in str(seen.shown)
    return Proof(holds=holds, spares=spares, told="a score just above counts, one just below doesn't")


def _score(score: float) -> float:
    return round(min(1.0, max(0.01, score)), 3)


async def answer(ground: Ground, clause: Present) -> Proof:
    """The final answer shows values of these types, and tokens of others."""
    holds, spares = True, True
    for kind in clause.owner.answer:
        for types in ([kind], []):
            masking = {"fields": {f"**.{PROBE_KEY}": kind}, "actions": {kind: "token"}, "answer": types}
            async with ground.trial(base(clause.document, tools={FEEDER: QUIET}, masking=masking)) as trial:
                seen = await trial.call(FEEDER, {}, result={PROBE_KEY: PLAIN})
                with trial.guard.session(user=f"{USER}@agentguard.example", id="s"):
                    text = await trial.guard.answer(f"It is {seen.shown[PROBE_KEY]}.")
            if types:
                holds &= text == f"It is {PLAIN}."
            else:
                spares &= PLAIN not in text
    return Proof(holds=holds, spares=spares, told=f"shows {', '.join(clause.owner.answer) or 'nothing'}")


async def limit(ground: Ground, clause: Present) -> Proof:
    """A value over the limit is withheld, and a smaller one is not. Tried with a small limit."""
    key = clause.key[1]
    large: dict[str, Any] = {"characters": "a " * _LITTLE, "nodes": [1] * (_LITTLE + 1), "depth": _nested(_LITTLE + 1)}
    small: dict[str, Any] = {"characters": "a", "nodes": [1], "depth": [1]}
    document = base(clause.document, tools={FEEDER: QUIET}, masking={"limits": {key: _LITTLE}})
    async with ground.trial(document) as trial:
        spared = await trial.call(FEEDER, {}, result=small[key])
        try:
            seen = await trial.call(FEEDER, {}, result=large[key], session="other")
        except Fault:
            seen = None
    return Proof(holds=seen is None, spares=spared.shown == small[key], told="over it a result is withheld")


def _nested(depth: int) -> Json:
    value: Json = 1
    for _ in range(depth):
        value = [value]
    return value


class _Try(NamedTuple):
    """An action to try: its key, the type and path of a finding that it is about, and what it says."""

    key: str
    kind: str
    path: str
    action: str
    written: Json


def _tries(written: Any) -> Iterator[_Try]:
    for key, says in written.items():
        is_path = "." in key
        path = key if is_path else f"**.{PROBE_KEY}"
        for kind, action in says.items() if isinstance(says, dict) else [("*" if is_path else key, says)]:
            name = action.action if isinstance(action, ActionEntry) else action
            dumped = action.model_dump(mode="json") if isinstance(action, ActionEntry) else action
            there = {kind: dumped} if isinstance(says, dict) else dumped
            yield _Try(key, _TYPE if kind == "*" else kind, path, name, there)


def _filled(path: str) -> str:
    """A path with its wildcards filled in."""
    return ".".join(key.replace("*", "verify") for key in path.split(".") if key != "**")


def _otherwise(action: str) -> str:
    """Another action, under which the same value looks otherwise."""
    return "allow" if action != "allow" else "redact"


def _found_at(shown: Json, path: str) -> str:
    """Which action the value at a path looks like."""
    value = shown
    for key in _filled(path).split("."):
        if not isinstance(value, dict) or key not in value:
            return "drop"
        value = value[key]
    text = "" if value is None else str(value)
    if text in ("", PLAIN):
        return "allow" if text else "drop"
    if re.fullmatch(r"\[[A-Z0-9_]+ redacted\]", text):
        return "redact"
    if re.fullmatch(r"\[[A-Z0-9_]+ hmac .+\]", text):
        return "hmac"
    return "token" if re.fullmatch(r"\[[A-Z0-9_]+_[a-z0-9]{8,}\]", text) else "mask"


def _proof(each: _Try, look: str, otherwise: str) -> Proof:
    holds = look in ("mask", "redact", "generalise") if each.action == "generalise" else look == each.action
    return Proof(holds=holds, spares=otherwise != look, told=f"{each.key}: {each.action}")


def _all(proofs: list[Proof]) -> Proof:
    told = ", ".join(dict.fromkeys(proof.told for proof in proofs))
    return Proof(holds=all(each.holds for each in proofs), spares=all(each.spares for each in proofs), told=told)
