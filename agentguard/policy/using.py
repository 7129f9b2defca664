"""Files that a policy takes in with `use`, each once.

Rules:
- an entry is `library:NAME`, a file that ships with agentguard, or the path of a file relative to the one that says so;
- what is taken in holds tools, rules and `use`; it is never a root;
- a circle is an error at the entry that closes it, and so is an entry that nothing answers to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from agentguard.errors import PolicyError
from agentguard.model.marked_yaml import read_yaml
from agentguard.model.problems import Place, Problem
from agentguard.policy.loading import Source

Finder = Callable[[str, Source], Source]
"""The file that an entry of a file means. Raises NotUsable."""


class NotUsable(Exception):
    """An entry of `use` that means no file: what is wrong, and what to write instead."""

    def __init__(self, what: str, instead: str) -> None:
        super().__init__(what)
        self.what = what
        self.instead = instead


def with_used(own: Sequence[Source], find: Finder) -> list[Source]:
    """These files and all that they take in. Raises PolicyError with every entry that can't be taken in."""
    taking = _Taking(find=find, found={source.file: source for source in own})
    for source in own:
        taking.visit(source, ())
    if taking.problems:
        raise PolicyError(taking.problems)
    return list(taking.found.values())


@dataclass(frozen=True, kw_only=True)
class _Taking:
    """One walk over the files; `around` are those that a file was reached through."""

    find: Finder
    found: dict[str, Source]
    visited: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def visit(self, source: Source, around: tuple[str, ...]) -> None:
        if source.file in self.visited:
            return
        through = (*around, source.file)
        for entry, place in _entries(source):
            try:
                used = self.find(entry, source)
            except NotUsable as error:
                self.problems.append(Problem(place=place, what=error.what, instead=error.instead))
                continue
            if used.file in through:
                circle = " -> ".join((*through[through.index(used.file) :], used.file))
                what = f"files take each other in: {circle}"
                self.problems.append(Problem(place=place, what=what, instead="remove one of these entries"))
            else:
                self.visit(self.found.setdefault(used.file, replace(used, used=True)), through)
        self.visited.add(source.file)


def _entries(source: Source) -> Iterator[tuple[str, Place]]:
    """What a file says under `use`; nothing where its form is wrong, which loading tells."""
    if "use" not in source.text:
        return
    try:
        marked = read_yaml(source.text, source.file)
    except PolicyError:
        return
    written = marked.value.get("use") if isinstance(marked.value, dict) else None
    for index, entry in enumerate(written if isinstance(written, list) else []):
        if isinstance(entry, str):
            yield entry, marked.value_place(("use", index))
