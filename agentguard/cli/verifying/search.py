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

from agentguard.cli.verifying.alone import at
from agentguard.model.calls import Principal
from agentguard.model.facts import Facts
from agentguard.model.record import Json
from agentguard.policy import Case, Policy

TRIED_MAX = 4000

_TEXT = re.compile(r"""[rR]?(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")""")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?")
_PATH = re.compile(r"\bargs\.(\w+(?:\.\w+)*)(?!\w*\()|\bargs\[\s*['\"](\w+)['\"]\s*\]|['\"](\w+)['\"]\s+in\s+args\b")
_ROLE = re.compile(r"\bparams\.(\w+)")
_METHODS = re.compile(r"\.(?:exists|exists_one|all|map|filter|size|matches|contains|startsWith|endsWith)$")


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call with what must be known of it."""

    arguments: dict[str, Json]
    labels: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    autonomous: bool = False
    agent: str = "agent"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A call that meets a rule's condition, and one that does not."""

    met: Call
    spared: Call | None


def pair(policy: Policy, rule: str, tool: str, condition: str, cases: Sequence[Case]) -> Pair | None:
    """Calls of this tool that meet a rule's condition and that don't. One that makes the condition fail is neither."""
    met: Call | None = None
    spared: Call | None = None
    params = policy.terms(tool).params
    for call in islice(_calls(tool, condition, params, cases), TRIED_MAX):
        how = _spoke(policy, rule, tool, call)
        if how is None:
            spared = spared or call
        elif how == "true":
            met = met or call
        if spared and met:
            break
    return None if met is None else Pair(met=met, spared=spared)


def _spoke(policy: Policy, rule: str, tool: str, call: Call) -> str | None:
    principal = Principal(tenant="verify", agent=call.agent, user=None if call.autonomous else "u", session="s")
    facts = Facts(entities=call.entities, origins=call.origins, labels=call.labels, over=())
    clauses = policy.classify(tool, call.arguments, principal, facts).clauses
    return next((clause.met for clause in clauses if (clause.kind, clause.id) == ("rule", rule)), None)


def _calls(tool: str, condition: str, params: dict[str, tuple[str, ...]], cases: Sequence[Case]) -> Iterator[Call]:
    for case in cases:
        if case.tool == tool:
            yield Call(
                arguments=case.args,
                labels=case.labels,
                entities=case.entities,
                origins=case.origins,
                autonomous=case.user is None,
                agent=case.agent,
            )
    yield from _made_up(condition, params)


def _made_up(condition: str, params: dict[str, tuple[str, ...]]) -> Iterator[Call]:
    """Calls from what stands in a condition: first those with few facts."""
    texts = list(dict.fromkeys(one or other for one, other in _TEXT.findall(condition)))
    bare = _TEXT.sub("''", condition)
    paths = dict.fromkeys(_METHODS.sub("", one or two or three) for one, two, three in _PATH.findall(condition))
    paths |= dict.fromkeys(path for role in _ROLE.findall(bare) for path in params.get(role, ()))
    values = _values(texts, [float(number) for number in _NUMBER.findall(bare)])
    facts = list(_facts(texts, bare))
    yield from (Call(arguments={}, **fact) for fact in facts)
    for chosen in product(values, repeat=min(len(paths), 3)):
        arguments: dict[str, Json] = {}
        for index, path in enumerate(paths):
            arguments = _merged(arguments, at(path, chosen[min(index, len(chosen) - 1)]))
        yield from (Call(arguments=arguments, **fact) for fact in facts)


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
    if "call.user" in bare:
        yield {**read, "autonomous": True}
    if "call.agent" in bare:
        yield from ({**read, "agent": text} for text in texts if text)


def _values(texts: Sequence[str], numbers: Sequence[float]) -> list[Json]:
    """Values that may make a difference: what is named, what is near it, and what is plainly something else."""
    found: list[Json] = ["zq-plain-7", 0, 1]
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
