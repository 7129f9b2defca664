"""Looks for calls that a condition is about, and for calls that it is not about.

Rules:
- the calls of the cases beside the policy come first; then calls made up from what stands in the condition: its names, texts and numbers;
- a call is found by judging it, which is pure; that it is enforced is for a trial to show;
- a condition that can't be met in this way is said to be so: a case that meets it settles it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any

from agentguard.cli.verifying.alone import PLAIN, at
from agentguard.model.record import Json
from agentguard.model.verdicts import Effect, Risk
from agentguard.policy import Case, Expectation, Policy, verdict_of
from agentguard.policy.roles import roles_in

TRIED_MAX = 4000

_TEXT = re.compile(r"""[rR]?(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")""")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?")
_PATH = re.compile(r"\bargs\.(\w+(?:\.\w+)*)(?!\w*\()|\bargs\[\s*['\"](\w+)['\"]\s*\]|['\"](\w+)['\"]\s+in\s+args\b")
_COUNTED = re.compile(r"\bsession\.counts\.(\w+)")
_METHODS = re.compile(r"\.(?:exists|exists_one|all|map|filter|size|matches|contains|startsWith|endsWith)$")


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A call that meets a rule's condition, and one that does not."""

    met: Case
    spared: Case | None


def pair(policy: Policy, rule: str, tool: str, condition: str, cases: Sequence[Case]) -> Pair | None:
    """Calls of this tool that meet a rule's condition and that don't. One that makes the condition fail is neither."""
    met: Case | None = None
    spared: Case | None = None
    params = policy.terms(tool).params
    for each in islice(_calls(tool, condition, params, cases), TRIED_MAX):
        how = _spoke(policy, rule, each)
        if how is None:
            spared = spared or each
        elif how == "true":
            met = met or each
        if spared and met:
            break
    return None if met is None else Pair(met=met, spared=spared)


def _spoke(policy: Policy, rule: str, call: Case) -> str | None:
    clauses = verdict_of(policy, call).clauses
    return next((clause.met for clause in clauses if (clause.kind, clause.id) == ("rule", rule)), None)


def _calls(tool: str, condition: str, params: dict[str, tuple[str, ...]], cases: Sequence[Case]) -> Iterator[Case]:
    """Those of the cases first, but for what can't be brought about: another time."""
    yield from (case for case in cases if case.tool == tool and case.time is None)
    for arguments, facts in _made_up(condition, params):
        yield call(tool, arguments, **facts)


def call(tool: str, arguments: dict[str, Json], **facts: Any) -> Case:
    """A call that is made up, on behalf of a user where nothing else is said."""
    return Case(name="made up", tool=tool, args=arguments, expect=_ANYTHING, **{"user": "u", **facts})


_ANYTHING = Expectation(effect=Effect.ALLOW, risk=Risk.LOW)


def _made_up(condition: str, params: dict[str, tuple[str, ...]]) -> Iterator[tuple[dict[str, Json], dict[str, Any]]]:
    """Calls from what stands in a condition: first those with few facts."""
    texts = list(dict.fromkeys(one or other for one, other in _TEXT.findall(condition)))
    bare = _TEXT.sub("''", condition)
    paths = dict.fromkeys(_METHODS.sub("", one or two or three) for one, two, three in _PATH.findall(condition))
    paths |= dict.fromkeys(path for role in roles_in(bare) for path in params.get(role, ()))
    values = _values(texts, [float(number) for number in _NUMBER.findall(bare)])
    facts = list(_facts(texts, bare))
    yield from (({}, fact) for fact in facts)
    for chosen in product(values, repeat=min(len(paths), 3)):
        arguments: dict[str, Json] = {}
        for index, path in enumerate(paths):
            arguments = _merged(arguments, at(path, chosen[min(index, len(chosen) - 1)]))
        yield from ((arguments, fact) for fact in facts)


def _facts(texts: Sequence[str], bare: str) -> Iterator[dict[str, Any]]:
    """Facts that a condition may be about; nothing first."""
    yield {}
    kinds = {
        "labels": ("session.labels", [text for text in texts if re.fullmatch(r"[a-z][a-z0-9-]*", text)]),
        "entities": ("data.entities", [text for text in texts if re.fullmatch(r"[A-Z][A-Z0-9_]*", text)]),
        "origins": ("data.origins", [text for text in texts if re.fullmatch(r"[a-zA-Z0-9_-]+", text)]),
    }
    read = {kind: tuple(sorted(found)) for kind, (name, found) in kinds.items() if name in bare and found}
    if read:
        yield read
    called = _COUNTED.findall(bare)
    for number in [1, *(int(float(each)) + 1 for each in _NUMBER.findall(bare))] if called else ():
        yield {**read, "counts": dict.fromkeys(called, number)}
    if "user_wrote" in bare:
        wrote = " ".join([PLAIN, "https://elsewhere.example/a", "ann@elsewhere.example", *texts])
        yield from ({**read, "said": said} for said in ("nothing of it", wrote))
    if re.search(r"\buser\b", bare):
        yield {**read, "user": None}
    if re.search(r"\bagent\b", bare):
        yield from ({**read, "agent": text} for text in texts if text)


def _values(texts: Sequence[str], numbers: Sequence[float]) -> list[Json]:
    """Values that may make a difference: what is named, what is near it, and what is plainly something else."""
    found: list[Json] = [PLAIN, 0, 1]
    for number in numbers:
        whole = int(number) if number.is_integer() else number
        found += [whole + 1, whole, whole - 1]
        if 0 < number <= 1000:
            found += ["a" * (int(number) + 1), ["a"] * (int(number) + 1)]
    for text in texts:
        found += [text, f"{text}x", f"a{text}b", f"https://{text}/a", f"ann@{text}", [text]]
    return [*found, "https://elsewhere.example/a", "ann@elsewhere.example", "", [], True, False, 10**9]


def _merged(one: dict[str, Json], other: dict[str, Json]) -> dict[str, Json]:
    merged = dict(one)
    for key, value in other.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged
