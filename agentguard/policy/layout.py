"""Several files as one policy: what each may hold, and where each part of the whole came from.

Rules:
- exactly one file is named policy.yaml; it alone holds risk, approvals, asking, limits and masking;
- the others hold tools and rules; a tool pattern or a rule id that stands twice is an error that names both places;
- a file that was taken in (`use`) gives way only to an entry of policy.yaml with `override: true` (see `overriding`);
- a file's mode is that of its clauses that have none of their own; a file that was taken in and has none gets the root's;
- the order of files, tools and rules makes no difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TypeVar

from agentguard.model.marked import Marked, Path
from agentguard.model.problems import Place, Problem
from agentguard.model.verdicts import Mode, Risk
from agentguard.policy.document import Document, Fragment, LimitEntry, Root, RuleEntry, ToolEntry
from agentguard.policy.overriding import WrittenTool, overridden

ROOT = "policy.yaml"

E = TypeVar("E")
M = TypeVar("M", ToolEntry, RuleEntry, LimitEntry)


@dataclass(frozen=True, kw_only=True)
class ReadFile:
    """One file: its form, and where everything in it stands."""

    form: Fragment
    marked: Marked
    used: bool = False


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The whole document, and the file behind each of its parts."""

    document: Document
    root: Marked
    parts: dict[Path, tuple[Marked, Path]]

    def place(self, path: Sequence[str | int]) -> Place:
        """Where something in the document stands: its key, or the nearest thing around it."""
        steps = tuple(path)
        marked, start = self.parts.get(steps[:2], (self.root, steps[:2]))
        return marked.place((*start, *steps[2:]))

    def value_place(self, path: Sequence[str | int]) -> Place:
        """Where a value in the document begins."""
        steps = tuple(path)
        marked, start = self.parts.get(steps[:2], (self.root, steps[:2]))
        return marked.value_place((*start, *steps[2:]))


def is_root(file: str) -> bool:
    """Whether a file is the root of a policy."""
    return PurePath(file).name == ROOT


def lay_out(files: Sequence[ReadFile]) -> tuple[Layout, list[Problem]]:
    """All files as one document, and what stands in it twice. One of them must be the root."""
    root, form = next((file.marked, file.form) for file in files if isinstance(file.form, Root))
    modal = (_with_modes(file, file.form.mode or (form.mode if file.used else None)) for file in files)
    ordered = sorted(modal, key=lambda file: (not file.used, file.marked.file))
    problems: list[Problem] = []
    written = overridden([tool for file in ordered for tool in _tools(file)], problems)
    tools = _unique([(tool.pattern, tool.entry, tool.marked, tool.path) for tool in written], "tool pattern", problems)
    rules = _unique([item for file in ordered for item in _rules(file)], "rule", problems)
    document = Document(
        mode=form.mode,
        risk=form.risk,
        tools={pattern: entry for pattern, (entry, _, _) in tools.items()},
        rules=tuple(entry for entry, _, _ in rules.values()),
        approvals=dict(sorted(form.approvals.items())),
        asking=form.asking,
        limits={name: _in_mode(limit, form.mode) for name, limit in sorted(form.limits.items())},
        masking=form.masking,
    )
    parts: dict[Path, tuple[Marked, Path]] = {
        ("tools", name): (marked, path) for name, (_, marked, path) in tools.items()
    }
    parts |= {("rules", index): (marked, path) for index, (_, marked, path) in enumerate(rules.values())}
    return Layout(document=document, root=root, parts=parts), problems


def _with_modes(file: ReadFile, mode: Mode | None) -> ReadFile:
    """The file with its mode on each of its tools and rules that has none of its own."""
    tools = {pattern: _in_mode(_entry(written), mode) for pattern, written in file.form.tools.items()}
    rules = tuple(_in_mode(rule, mode) for rule in file.form.rules)
    return replace(file, form=file.form.model_copy(update={"tools": tools, "rules": rules}))


def _in_mode(entry: M, mode: Mode | None) -> M:
    return entry.model_copy(update={"mode": mode}) if entry.mode is None and mode is not None else entry


def _entry(written: ToolEntry | Risk) -> ToolEntry:
    return ToolEntry(risk=written) if isinstance(written, Risk) else written


def _tools(file: ReadFile) -> Iterator[WrittenTool]:
    for pattern, written in file.form.tools.items():
        yield WrittenTool(
            pattern=pattern,
            entry=_entry(written),
            marked=file.marked,
            path=("tools", pattern),
            is_root=isinstance(file.form, Root),
            used=file.used,
        )


def _rules(file: ReadFile) -> Iterator[tuple[str, RuleEntry, Marked, Path]]:
    for index, entry in enumerate(file.form.rules):
        yield entry.id, entry, file.marked, ("rules", index)


def _unique(
    items: Sequence[tuple[str, E, Marked, Path]], what: str, problems: list[Problem]
) -> dict[str, tuple[E, Marked, Path]]:
    """The items by name, sorted; each name that stands twice becomes a problem."""
    found: dict[str, tuple[E, Marked, Path]] = {}
    for name, entry, marked, path in items:
        if name in found:
            _, first, first_path = found[name]
            instead = f"remove one; the first is at {first.place(first_path)}"
            problems.append(
                Problem(place=marked.place(path), what=f"{what} {name!r} is defined twice", instead=instead)
            )
        else:
            found[name] = (entry, marked, path)
    return dict(sorted(found.items()))
