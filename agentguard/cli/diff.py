"""`agentguard policy diff`: what a change makes laxer, and what stricter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from agentguard.cli.options import Json
from agentguard.cli.screen import complain, say, say_json
from agentguard.config import case_sources, read_library
from agentguard.model.canonical import canonical_json
from agentguard.policy import Answer, Change, Policy, Way, between, compare, read_cases, verdict_of

_STYLES = {Way.LAXER: "red", Way.UNCLEAR: "yellow", Way.STRICTER: "green"}
_ORDER = tuple(_STYLES)


def diff(
    old: Annotated[Path, typer.Argument(help="The folder with the policy as it was.")],
    new: Annotated[Path, typer.Argument(help="The folder with the policy as it would be.")],
    as_json: Json = False,
) -> None:
    """Compare two policies, clause by clause and over the cases of both. Exit code 1: something is laxer, or may be."""
    before, now = read_library(old), read_library(new)
    found = [*compare(before, now), *_over_cases(before, now, (old, new))]
    found.sort(key=lambda change: _ORDER.index(change.way))
    may_be_laxer = any(change.way is not Way.STRICTER for change in found)
    if may_be_laxer:
        complain(_sum(found))
    elif not as_json:
        say(_sum(found))
    if as_json:
        say_json([change.model_dump(mode="json") for change in found])
    else:
        for change in found:
            say(f"{change.way:<9} {change.place}: {change.what}: {change.how}", style=_STYLES[change.way])
    if may_be_laxer:
        raise typer.Exit(1)


def _over_cases(old: Policy, new: Policy, folders: Sequence[Path]) -> Iterator[Change]:
    """The calls of the cases that are decided differently, each once."""
    seen: set[str] = set()
    for folder in reversed(folders):
        for source in case_sources(folder):
            for case, place in read_cases(source):
                call = canonical_json(case.model_dump(mode="json", exclude={"name", "expect"}))
                changed = None if call in seen else between(*(Answer.of(verdict_of(each, case)) for each in (old, new)))
                seen.add(call)
                if changed is not None:
                    yield Change(way=changed[0], what=f"case {case.name!r}", how=changed[1], place=place)


def _sum(found: Sequence[Change]) -> str:
    ways = Counter(change.way for change in found)
    return ", ".join(f"{ways[way]} {way}" for way in _ORDER) if found else "nothing that decides a call differs"
