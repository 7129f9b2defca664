"""From files to a policy: all or nothing, and every problem with its place and what to write instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from jinja2 import Template

from agentguard.errors import PolicyError
from agentguard.model.marked_yaml import Marked, parse, read_yaml
from agentguard.model.problems import Place, Problem
from agentguard.policy.conditions import BadCondition, Condition, Language
from agentguard.policy.document import Fragment, Root
from agentguard.policy.layout import ROOT, Layout, ReadFile, is_root, lay_out
from agentguard.policy.patterns import is_exact
from agentguard.policy.pinned import check_pinned
from agentguard.policy.pins import Pins
from agentguard.policy.policy import Policy
from agentguard.policy.soundness import Check, check
from agentguard.policy.titles import BadTitle, compile_title
from agentguard.policy.unenforced import unenforced, without

_ONLY_IN_ROOT = frozenset(Root.model_fields) - frozenset(Fragment.model_fields)


@dataclass(frozen=True, kw_only=True)
class Source:
    """A policy file: its name, for errors, and its text. `used`: another file took it in."""

    file: str
    text: str
    used: bool = False


def load(sources: Sequence[Source], *, checks: Sequence[Check] = (), pins: Pins | None = None) -> Policy:
    """The policy in these files, over the tools that are pinned. Raises PolicyError with all problems."""
    layout = read_layout(sources)
    pinned = [partial(check_pinned, pins.tools)] if pins is not None else []
    problems = _unsound(layout, [check, *checks, *pinned])
    tools = layout.document.tools
    language = Language((role for entry in tools.values() for role in entry.params), filter(is_exact, tools))
    conditions = _compile_conditions(layout, language, problems)
    titles = _compile_titles(layout, problems)
    _refuse(problems)
    return Policy(layout=layout, language=language, conditions=conditions, titles=titles, pins=pins)


def read_layout(sources: Sequence[Source]) -> Layout:
    """The files as one document, each of the right form. Raises PolicyError."""
    problems: list[Problem] = []
    _check_names(sources, problems)
    files = [file for source in sources if (file := _read(source, problems)) is not None]
    _refuse(problems)
    layout, twice = lay_out(files)
    _refuse(twice)
    return layout


def _check_names(sources: Sequence[Source], problems: list[Problem]) -> None:
    roots = [source.file for source in sources if is_root(source.file)]
    names = [source.file for source in sources]
    if len(roots) != 1:
        found = " and ".join(roots) or "none"
        instead = f"one file named {ROOT} holds risk, approvals and masking"
        place = Place(file=roots[-1] if roots else ROOT, line=1, column=1)
        problems.append(Problem(place=place, what=f"one root is needed, and there is {found}", instead=instead))
    for name in sorted({name for name in names if names.count(name) > 1} - set(roots)):
        problems.append(Problem(place=Place(file=name, line=1, column=1), what="the file is given twice"))


def _read(source: Source, problems: list[Problem]) -> ReadFile | None:
    """A file in its form; its problems are added to the list."""
    try:
        marked = read_yaml(source.text, source.file)
        form = parse(Root if is_root(source.file) else Fragment, _enforced_part(marked, problems))
    except PolicyError as error:
        problems.extend(error.problems)
        return None
    return ReadFile(form=form, marked=marked, used=source.used)


def _enforced_part(marked: Marked, problems: list[Problem]) -> Marked:
    """The document without clauses that nothing here enforces, or that only the root may hold; each is a problem."""
    refused = {
        path: (f"{clause} is not enforced by this version", "remove it") for path, clause in unenforced(marked.value)
    }
    if isinstance(marked.value, dict) and not is_root(marked.file):
        for key in _ONLY_IN_ROOT & marked.value.keys():
            refused[(key,)] = (f"{key} stands outside the root", f"move it to {ROOT}")
    problems.extend(Problem(place=marked.place(path), what=what, instead=to) for path, (what, to) in refused.items())
    return replace(marked, value=without(marked.value, set(refused)))


def _unsound(layout: Layout, checks: Sequence[Check]) -> list[Problem]:
    return [
        Problem(place=layout.place(path), what=what, instead=instead)
        for each in checks
        for path, what, instead in each(layout.document)
    ]


def _compile_conditions(layout: Layout, language: Language, problems: list[Problem]) -> dict[str, Condition]:
    conditions: dict[str, Condition] = {}
    for index, rule in enumerate(layout.document.rules):
        if rule.when is None:
            continue
        try:
            conditions[rule.id] = language.compile(rule.when)
        except BadCondition as error:
            place = layout.value_place(("rules", index, "when"))
            problems.append(Problem(place=place, what=error.what, instead=error.instead))
    return conditions


def _compile_titles(layout: Layout, problems: list[Problem]) -> dict[str, Template]:
    titles: dict[str, Template] = {}
    for pattern, entry in layout.document.tools.items():
        if entry.title is None:
            continue
        try:
            titles[pattern] = compile_title(entry.title)
        except BadTitle as error:
            place = layout.value_place(("tools", pattern, "title"))
            problems.append(Problem(place=place, what=str(error), instead='write such as "Refund {{ args.amount }}"'))
    return titles


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        distinct = dict.fromkeys(problems)
        raise PolicyError(sorted(distinct, key=lambda each: (each.place.file, each.place.line, each.place.column)))
