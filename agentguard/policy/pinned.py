"""What a policy says of arguments, against the schemas of the tools that are pinned.

Rules:
- a condition that reads `args.x` of a tool that has no x is an error: it would fail, and count as met, at every call;
- one that only asks `has(args.x)` is an error where no tool that it is about has x: it would never be met;
- a path of `params`, `reveal` or `once` that the pinned tools of its entry lack is an error: what it guards would go unguarded;
- a schema that permits any argument, or can't be read, settles nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from agentguard.model.record import Json
from agentguard.policy.document import Document, RuleEntry
from agentguard.policy.limits import paths_of
from agentguard.policy.patterns import Overlapping, is_exact, literals
from agentguard.policy.pins import Pin
from agentguard.policy.soundness import Found

_ASKED = re.compile(r"has\(\s*args\.(\w+)")
_READ = re.compile(r"(?<![\w.])args\.(\w+)\b(?!\s*\()")
_INDEXED = re.compile(r"""\bargs\[\s*(['"])(\w+)\1\s*\]""")
_LOOKED_UP = re.compile(r"""(['"])(\w+)\1\s+in\s+args\b(?!\.)""")
_TEXT = re.compile(r"""[rRbB]{0,2}(?:'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")""", re.DOTALL)


def check_pinned(pins: Mapping[str, Pin], document: Document) -> Iterator[Found]:
    """Everything in a document that reads an argument which the pinned tools lack."""
    names_of = Overlapping(pins)
    for index, rule in enumerate(document.rules):
        yield from _check_rule(pins, names_of, index, rule)
    for pattern, names in _spoken_for(pins, document).items():
        entry = document.tools[pattern]
        for role, paths in entry.params.items():
            yield from _check_paths(pins, names, ("tools", pattern, "params", role), paths)
        for path in entry.reveal:
            yield from _check_paths(pins, names, ("tools", pattern, "reveal", path), (path,))
        if entry.grants is not None:
            for path in (*entry.grants.same, *entry.grants.at_most):
                yield from _check_paths(pins, names, ("tools", pattern, "grants"), (path,))
        if entry.once is not None:
            yield from _check_paths(pins, names, ("tools", pattern, "once"), paths_of(entry.once, entry.params))


def reads(condition: str) -> tuple[set[str], set[str]]:
    """The arguments that a condition reads, and those that it first asks for."""
    bare = without_texts(condition)
    asked = set(_ASKED.findall(bare)) | {name for _, name in _LOOKED_UP.findall(condition)}
    read = set(_READ.findall(bare)) | {name for _, name in _INDEXED.findall(condition)}
    return read - asked, asked


def without_texts(condition: str) -> str:
    """A condition with all that is quoted in it left empty."""
    return _TEXT.sub('""', condition)


def arguments_of(pin: Pin) -> Mapping[str, Json] | None:
    """The arguments that a schema names, or None where it settles nothing."""
    schema = pin.input_schema
    named = schema.get("properties")
    if not isinstance(named, dict):
        return {} if schema.get("additionalProperties") is False else None
    closed = schema.get("additionalProperties", False) is False
    return named if closed and not schema.keys() & {"anyOf", "oneOf", "allOf", "$ref"} else None


def _check_rule(pins: Mapping[str, Pin], names_of: Overlapping, index: int, rule: RuleEntry) -> Iterator[Found]:
    if rule.when is None and rule.once is None:
        return
    names = {name for each in rule.tools for name in names_of.of(each)}
    about = {name: arguments_of(pins[name]) for name in sorted(names)}
    known = {name: arguments for name, arguments in about.items() if arguments is not None}
    read, asked = reads(rule.when or "")
    for argument in sorted(read):
        lacking = sorted(name for name, arguments in known.items() if argument not in arguments)
        if lacking:
            yield ("rules", index, "when"), f"{lacking[0]} has no argument {argument!r}", _permitted(known[lacking[0]])
    for argument in sorted(asked):
        if known and len(known) == len(about) and not any(argument in arguments for arguments in known.values()):
            what = f"no tool that this rule is about has an argument {argument!r}"
            yield (
                ("rules", index, "when"),
                what,
                f"they have: {_listed({each for found in known.values() for each in found})}",
            )


def _check_paths(
    pins: Mapping[str, Pin], names: list[str], where: tuple[str | int, ...], paths: tuple[str, ...]
) -> Iterator[Found]:
    known = [arguments_of(pins[name]) for name in names]
    for path in paths:
        if known and all(arguments is not None and not _has(arguments, path.split(".")) for arguments in known):
            yield where, f"{', '.join(names[:3])} has no argument {path!r}", _permitted(known[0] or {})


def _spoken_for(pins: Mapping[str, Pin], document: Document) -> dict[str, list[str]]:
    """The pinned tools that each pattern of `tools` wins."""
    order = sorted(document.tools, key=lambda each: (literals(each), document.tools[each].risk.rank, is_exact(each)))
    rank = {pattern: number for number, pattern in enumerate(order)}
    patterns, found = Overlapping(order), dict[str, list[str]]()
    for name in sorted(pins):
        if speaking := patterns.of(name):
            found.setdefault(max(speaking, key=rank.__getitem__), []).append(name)
    return found


def _has(arguments: Mapping[str, Json], steps: list[str]) -> bool:
    """Whether there may be an argument at a path: only what a schema plainly lacks is lacking."""
    if steps[0] not in arguments:
        return False
    inner: Any = arguments[steps[0]]
    named = inner.get("properties") if isinstance(inner, dict) else None
    return len(steps) == 1 or not isinstance(named, dict) or _has(named, steps[1:])


def _permitted(arguments: Mapping[str, Json]) -> str:
    return f"it has: {_listed(set(arguments))}"


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
