"""Own entries of `tools` beside those of files that were taken in.

Rules:
- only policy.yaml overrides, and only what a file taken in says;
- an own entry that speaks for tools in place of a used one, being more specific, is at least as strict as it, or says `override: true`;
- an entry in shadow speaks in place of nothing;
- what is overridden under its own pattern is as if it had never been written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from agentguard.model.marked import Marked, Path
from agentguard.model.problems import Problem
from agentguard.model.verdicts import Mode
from agentguard.policy.document import ToolEntry
from agentguard.policy.patterns import literals, overlap
from agentguard.policy.terms import ToolTerms, terms_of


@dataclass(frozen=True, kw_only=True)
class WrittenTool:
    """An entry of `tools`: what it says, in which file and where, and what kind of file that is."""

    pattern: str
    entry: ToolEntry
    marked: Marked
    path: Path
    is_root: bool
    used: bool


def overridden(written: Sequence[WrittenTool], problems: list[Problem]) -> list[WrittenTool]:
    """The entries that count, without the word `override`; what may not stand like that becomes a problem."""
    own = [tool for tool in written if not tool.used]
    used = [tool for tool in written if tool.used]
    problems.extend(_misplaced(own, used))
    problems.extend(_laxer(own, used))
    replaced = {tool.pattern for tool in own if tool.entry.override}
    return [*(tool for tool in used if tool.pattern not in replaced), *map(_plain, own)]


def _misplaced(own: Sequence[WrittenTool], used: Sequence[WrittenTool]) -> Iterator[Problem]:
    """Each `override` where it may not stand, or where there is nothing to override."""
    for tool in (*own, *used):
        place = tool.marked.place((*tool.path, "override"))
        if tool.entry.override and not tool.is_root:
            yield Problem(place=place, what="override stands outside the root", instead="move the entry to policy.yaml")
        elif tool.entry.override and tool.entry.mode is Mode.SHADOW:
            what = "an entry in shadow decides nothing, so it can't override"
            yield Problem(place=place, what=what, instead="write mode: enforce, or remove override")
        elif tool.entry.override and not any(overlap(tool.pattern, each.pattern) for each in used):
            what = f"no file that is taken in says anything of {tool.pattern!r}"
            yield Problem(place=place, what=what, instead="remove override")


def _laxer(own: Sequence[WrittenTool], used: Sequence[WrittenTool]) -> Iterator[Problem]:
    """Each own entry that would quietly speak, less strictly, for tools of a used one."""
    for tool in own:
        if tool.entry.override or tool.entry.mode is Mode.SHADOW:
            continue
        for other in used:
            if literals(tool.pattern) < literals(other.pattern) or tool.pattern == other.pattern:
                continue
            if overlap(tool.pattern, other.pattern) and not _as_strict(tool.entry, other.entry):
                there = other.marked.place(other.path)
                what = f"{tool.pattern!r} would speak for tools of {other.pattern!r} ({there}), less strictly"
                instead = "write override: true in policy.yaml if that is meant, or say at least as much"
                yield Problem(place=tool.marked.place(tool.path), what=what, instead=instead)


def _as_strict(entry: ToolEntry, other: ToolEntry) -> bool:
    """Whether an entry takes nothing away that another one says."""
    mine, theirs = terms_of("", entry), terms_of("", other)
    return (
        entry.risk.rank >= other.risk.rank
        and (entry.deny is not None or (other.deny is None and entry.ask == other.ask))
        and other.once in (None, entry.once)
        and entry.grants in (None, other.grants)
        and set(theirs.labels) <= set(mine.labels)
        and all(set(paths) <= set(mine.params.get(role, ())) for role, paths in theirs.params.items())
        and _revealed(mine) <= _revealed(theirs)
        and entry.masking == other.masking
    )


def _revealed(terms: ToolTerms) -> set[tuple[str, str, bool]]:
    return {(each.parameter, kind, each.inside_text) for each in terms.reveal for kind in each.entity_types}


def _plain(tool: WrittenTool) -> WrittenTool:
    return replace(tool, entry=tool.entry.model_copy(update={"override": None})) if tool.entry.override else tool
